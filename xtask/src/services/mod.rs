//! Real servers on loopback, for tests and benchmarks.
//!
//! A server gets a folder for its data, its log and a record of its process, and a free port unless one is asked for.
//! It is ready when it answers in its own protocol. It is stopped by the process that its record names, and only if
//! that is still the process that was started: another server on the machine is never touched.
//!
//! A further server is one more file beside [`redis`] and one more entry in [`ALL`]; what it is installed from belongs
//! in [`crate::setup`].

mod beanstalkd;
pub mod built;
mod cassandra;
mod command;
mod ferret;
mod mongo;
mod postgres;
mod process;
mod redis;
mod s3;

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail};

pub use command::{Action, run};

/// How long a server may take until it answers.
const READY_MAX: Duration = Duration::from_secs(60);
/// Where in a server's folder the server lies that it stores in.
const BESIDE: &str = "beside";

/// Every server that can be started, in the order in which they are listed.
pub const ALL: [Service; 7] = [
    Service::Redis,
    Service::Postgres,
    Service::Beanstalkd,
    Service::Mongo,
    Service::Ferret,
    Service::Cassandra,
    Service::S3,
];

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Service {
    Redis,
    Postgres,
    Beanstalkd,
    Mongo,
    Ferret,
    Cassandra,
    S3,
}

/// When a server flushes what it was told to its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Durability {
    /// Before it acknowledges
    #[default]
    BeforeAck,
    /// Some time after it has acknowledged
    Later,
}

/// What a server is started with.
pub struct Place {
    /// Holds its data, its log and its record.
    pub folder: PathBuf,
    pub port: u16,
    pub durability: Durability,
}

/// A server that answers.
#[derive(Debug)]
pub struct Running {
    pub service: Service,
    pub folder: PathBuf,
    pub url: String,
    pub pid: u32,
    /// The process, where this process is its parent and will wait for it.
    child: Option<Child>,
    /// The server that this one stores in, stopped after it.
    beside: Option<Box<Running>>,
}

impl Service {
    /// The name by which it is started and listed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Postgres => "postgres",
            Self::Beanstalkd => "beanstalkd",
            Self::Mongo => "mongo",
            Self::Ferret => "ferret",
            Self::Cassandra => "cassandra",
            Self::S3 => "s3",
        }
    }

    /// What it is used for, in a few words.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Redis => "for tests; peer of the work benchmark (streams)",
            Self::Postgres => "for tests; peer of the work benchmark (SKIP LOCKED)",
            Self::Beanstalkd => "peer of the work benchmark",
            Self::Mongo => "for tests; speaks MongoDB, from memory (mongo-java-server)",
            Self::Ferret => "for tests; speaks MongoDB, from a PostgreSQL of its own (FerretDB)",
            Self::Cassandra => "for tests; a cluster of one node",
            Self::S3 => "for tests; speaks Amazon S3, from memory (moto)",
        }
    }

    /// The program that it consists of, if this machine has it.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Self::Redis => on_path("redis-server"),
            Self::Postgres => postgres::program("postgres"),
            Self::Beanstalkd => on_path("beanstalkd"),
            Self::Mongo => mongo::program(),
            Self::Ferret => ferret::program(),
            Self::Cassandra => cassandra::program(),
            Self::S3 => s3::program(),
        }
    }

    fn url(self, port: u16) -> String {
        match self {
            Self::Redis => format!("redis://127.0.0.1:{port}"),
            Self::Postgres => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            Self::Beanstalkd => format!("beanstalk://127.0.0.1:{port}"),
            Self::Mongo | Self::Ferret => format!("mongodb://127.0.0.1:{port}"),
            Self::Cassandra => format!("cassandra://127.0.0.1:{port}"),
            Self::S3 => {
                format!("s3://{}?region=us-east-1&endpoint=http://127.0.0.1:{port}&allow_http=true", s3::BUCKET)
            }
        }
    }

    /// The Debian package that has to be there before it can be installed or built, if one is missing.
    pub fn package(self) -> Option<&'static str> {
        match self {
            Self::Redis => Some("redis-server"),
            Self::Postgres => Some("postgresql"),
            Self::Beanstalkd => Some("beanstalkd"),
            Self::S3 => s3::package(),
            Self::Mongo | Self::Ferret | Self::Cassandra => None,
        }
    }

    /// Makes it from our sources and what a package registry has, where no package brings it as a program.
    pub fn build(self) -> Result<()> {
        match self {
            Self::Mongo => mongo::build(),
            Self::Ferret => ferret::build(),
            Self::Cassandra => cassandra::build(),
            Self::S3 => s3::build(),
            Self::Redis | Self::Postgres | Self::Beanstalkd => Ok(()),
        }
    }

    /// Starts what it stores in.
    fn start_beside(self, place: &Place, detached: bool) -> Result<Option<Box<Running>>> {
        match self {
            Self::Ferret => {
                let folder = place.folder.join(BESIDE);
                let place = Place { folder, port: free_port()?, durability: place.durability };
                Ok(Some(Box::new(Self::Postgres.start(&place, detached)?)))
            }
            Self::Redis | Self::Postgres | Self::Beanstalkd | Self::Mongo | Self::Cassandra | Self::S3 => Ok(None),
        }
    }

    /// Writes what it needs into its folder, and says how it is run.
    fn prepare(self, program: &Path, place: &Place, beside: &str) -> Result<Command> {
        match self {
            Self::Redis => Ok(redis::command(program, place)),
            Self::Postgres => postgres::prepare(program, place),
            Self::Beanstalkd => Ok(beanstalkd::command(program, place)),
            Self::Mongo => mongo::command(program, place),
            Self::Ferret => Ok(ferret::command(program, place, beside)),
            Self::Cassandra => cassandra::prepare(program, place),
            Self::S3 => Ok(s3::command(program, place)),
        }
    }

    fn answers(self, port: u16) -> bool {
        match self {
            Self::Redis => redis::answers(port),
            Self::Postgres => postgres::answers(port),
            Self::Beanstalkd => beanstalkd::answers(port),
            Self::Mongo | Self::Ferret => mongo::answers(port),
            Self::Cassandra => cassandra::answers(port),
            Self::S3 => s3::answers(port),
        }
    }

    /// Starts it and waits until it answers.
    ///
    /// `detached` servers outlive this command, also when its terminal is interrupted.
    pub fn start(self, place: &Place, detached: bool) -> Result<Running> {
        let program =
            self.program().with_context(|| format!("{self} is not installed; `cargo xtask setup` installs it"))?;
        fs::create_dir_all(&place.folder).with_context(|| format!("create {}", place.folder.display()))?;
        let folder = place.folder.canonicalize().with_context(|| format!("find {}", place.folder.display()))?;
        if let Some(record) = process::Record::read(&folder)?.filter(process::Record::is_alive) {
            bail!("{} is in use by process {}; stop it first or take another folder", folder.display(), record.pid);
        }
        let place = Place { folder, ..*place };
        let beside = self.start_beside(&place, detached)?;
        let mut command = self.prepare(&program, &place, beside.as_ref().map_or("", |beside| &beside.url))?;
        let mut child = process::spawn(&mut command, &place.folder, detached)?;
        let pid = child.id();
        let url = self.url(place.port);
        process::Record::write(&place.folder, self.name(), &url, pid)?;
        if let Err(error) = process::wait_until(&mut child, READY_MAX, || self.answers(place.port)) {
            process::stop(&mut child, READY_MAX)?;
            let log = process::last_lines(&place.folder, 20);
            return Err(
                error.context(format!("{self} did not start on port {}; the end of its log:\n{log}", place.port))
            );
        }
        Ok(Running { service: self, folder: place.folder, url, pid, child: Some(child), beside })
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Running {
    /// Asks the server to stop and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        self.stop_child()
    }

    /// Its process, and that of the server that it stores in.
    pub fn pids(&self) -> Vec<u32> {
        let beside = self.beside.as_ref().map(|beside| beside.pids()).unwrap_or_default();
        [vec![self.pid], beside].concat()
    }

    /// Leaves the server running when this value goes.
    pub fn leave(mut self) {
        self.child = None;
        if let Some(beside) = self.beside.take() {
            beside.leave();
        }
    }

    fn stop_child(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        process::stop(&mut child, READY_MAX).with_context(|| format!("stop {} (process {})", self.service, self.pid))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.stop_child() {
            eprintln!("warning: {error:#}");
        }
    }
}

/// A port that nothing listens on at this moment.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port on loopback")?;
    Ok(listener.local_addr()?.port())
}

/// A new folder for the data of servers, by the current process's id. A server that runs as another user can enter it.
pub fn new_folder(what: &str) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("capstan-{what}-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

/// The first program of that name on `PATH`, or where system administrators' programs lie.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}
