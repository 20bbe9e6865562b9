//! The ways to move a collection, as commands.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::options::{Options, Server};

/// One way.
pub enum Way {
    /// A loop on the driver, and nothing else: what the servers take.
    PlainLoop {
        program: PathBuf,
    },
    Direct,
    Spool {
        compressed: bool,
    },
    Tools {
        dump: PathBuf,
        restore: PathBuf,
    },
}

pub const PLAIN_LOOP: &str = "plain loop";
pub const TOOLS: &str = "mongodump | mongorestore";

/// What can be measured here.
pub fn all(options: &Options) -> Result<Vec<Way>> {
    let program = std::env::current_exe().context("find this program")?;
    let mut ways = vec![
        Way::PlainLoop { program },
        Way::Direct,
        Way::Spool { compressed: false },
        Way::Spool { compressed: true },
    ];
    if let (Some(dump), Some(restore)) = (&options.mongodump, &options.mongorestore) {
        ways.push(Way::Tools { dump: dump.clone(), restore: restore.clone() });
    }
    Ok(ways)
}

impl Way {
    pub fn name(&self) -> &'static str {
        match self {
            Self::PlainLoop { .. } => PLAIN_LOOP,
            Self::Direct => "capstan direct",
            Self::Spool { compressed: false } => "capstan spool",
            Self::Spool { compressed: true } => "capstan spool zstd",
            Self::Tools { .. } => TOOLS,
        }
    }

    pub fn about(&self) -> &'static str {
        match self {
            Self::PlainLoop { .. } => "find, insert_many of 1,000 documents or 16 MiB, two at once, on the Rust driver",
            Self::Direct => {
                "`migrate --mode direct --verify none`: a server with its journal and a worker in one process"
            }
            Self::Spool { compressed: false } => "`migrate --verify none --no-compression`: through files",
            Self::Spool { compressed: true } => "`migrate --verify none`: through files packed by zstd",
            Self::Tools { .. } => "`mongodump --archive | mongorestore --archive`, with their defaults",
        }
    }

    /// The processes that move a collection to the same name at the target, each fed by the one before it.
    pub fn commands(&self, options: &Options, target: &Server, namespace: &str, folder: &Path) -> Vec<Command> {
        let (from, to) = (&options.source.url, &target.url);
        let (database, collection) = namespace.split_once('.').expect("a namespace has a dot");
        match self {
            Self::PlainLoop { program } => {
                let mut command = Command::new(program);
                command.args(["copy", "--from", from, "--to", to, "--namespace", namespace]);
                vec![command]
            }
            Self::Direct | Self::Spool { .. } => {
                let mut command = Command::new(&options.capstan);
                command.args(["migrate", "--from", from, "--to", to, "--include", namespace, "--verify", "none"]);
                command.arg("--data-dir").arg(folder.join("data"));
                match self {
                    Self::Direct => command.args(["--mode", "direct"]),
                    _ => command.arg("--spool").arg(format!("file:{}", folder.join("spool").display())),
                };
                if matches!(self, Self::Spool { compressed: false }) {
                    command.arg("--no-compression");
                }
                vec![command]
            }
            Self::Tools { dump, restore } => {
                let mut dump = Command::new(dump);
                dump.args(["--quiet", "--uri", from, "--db", database, "--collection", collection, "--archive"]);
                let mut restore = Command::new(restore);
                restore.args(["--quiet", "--uri", to, "--archive"]);
                vec![dump, restore]
            }
        }
    }
}
