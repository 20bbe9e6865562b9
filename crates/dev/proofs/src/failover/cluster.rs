//! Three servers on one journal, each behind links that can be cut, and what can be done to them.

use super::database::Database;
use super::link::{Link, Passage};
use crate::asking::ask;
use crate::dice::Dice;
use crate::server::{Server, program};
use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many servers there are.
pub const SERVERS: usize = 3;
/// A cluster in which nobody leads, or a server that does not come back, for so long is a fault.
const SETTLED_MAX: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(25);
const LOOK_MAX: Duration = Duration::from_secs(1);
/// A server that was told to end may take so long.
const GRACE: Duration = Duration::from_secs(20);

/// What is done to a server in one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Harm {
    /// The leader is killed.
    Kill,
    /// The leader is told to end.
    Terminate,
    /// The leader is frozen until another leads.
    Freeze,
    /// The leader is cut off from the database and the other servers until another leads.
    Cut,
    /// The leader is cut off from the database alone until another leads.
    CutDatabase,
    /// The leader is frozen or cut off for less than a term, or a little more.
    Blink,
    /// A standby is killed.
    KillStandby,
    /// The leader is cut off from the other servers alone.
    CutPeers,
    /// The database is away for all servers, for less or more than a term.
    DatabaseAway,
}

impl Harm {
    /// In a few words.
    pub fn told(self) -> &'static str {
        match self {
            Self::Kill => "leader killed",
            Self::Terminate => "leader told to end",
            Self::Freeze => "leader frozen",
            Self::Cut => "leader cut off from all",
            Self::CutDatabase => "leader cut off from database",
            Self::Blink => "leader away for a moment",
            Self::KillStandby => "standby killed",
            Self::CutPeers => "leader cut off from standbys",
            Self::DatabaseAway => "database away, from its return",
        }
    }

    /// Whether another server has to lead after it.
    pub fn changes_leader(self) -> bool {
        matches!(self, Self::Kill | Self::Terminate | Self::Freeze | Self::Cut | Self::CutDatabase)
    }
}

/// One of the servers: running, or to be started again.
#[derive(Debug)]
struct Member {
    dir: PathBuf,
    server: Option<Server>,
    http: String,
    grpc: String,
    database: Link,
    /// Where the other servers reach it.
    door: Link,
    more: Vec<String>,
}

/// The servers.
#[derive(Debug)]
pub struct Cluster {
    program: PathBuf,
    members: Vec<Member>,
}

impl Cluster {
    /// Starts all of them on a journal.
    pub async fn start(place: &Path, database: &Database) -> Result<Self> {
        let program = program()?;
        let mut members = Vec::new();
        for number in 1..=SERVERS {
            let dir = place.join(format!("server-{number}"));
            fs::create_dir(&dir)?;
            let (to_database, door) = (Link::to(&database.address).await?, Link::new().await?);
            let url = database.url_by(&to_database.address.to_string());
            let more = ["--journal".into(), url, "--advertise".into(), format!("http://{}", door.address)];
            let free = || "127.0.0.1:0".to_owned();
            let (http, grpc, more) = (free(), free(), more.to_vec());
            members.push(Member { dir, server: None, http, grpc, database: to_database, door, more });
        }
        let mut cluster = Self { program, members };
        for at in 0..SERVERS {
            cluster.run(at).await?;
        }
        Ok(cluster)
    }

    /// Where REST is served, by server.
    pub fn http(&self) -> Vec<String> {
        self.members.iter().map(|member| member.http.clone()).collect()
    }

    /// Where gRPC is served, by server.
    pub fn grpc(&self) -> Vec<String> {
        self.members.iter().map(|member| member.grpc.clone()).collect()
    }

    /// Starts one where it was.
    async fn run(&mut self, at: usize) -> Result<()> {
        let member = &mut self.members[at];
        member.door.set(Passage::Open);
        let server = Server::start_with(&self.program, &member.dir, &member.http, &member.grpc, &member.more).await?;
        member.door.lead_to(&server.http);
        (member.http, member.grpc) = (server.http.clone(), server.grpc.clone());
        member.server = Some(server);
        Ok(())
    }

    /// The server that says that it leads, other than `but`.
    pub async fn leader(&self, but: Option<usize>) -> Result<usize> {
        let began = Instant::now();
        loop {
            for (at, member) in self.members.iter().enumerate() {
                if Some(at) != but && member.server.is_some() && member.health().await.as_deref() == Some("leader") {
                    return Ok(at);
                }
            }
            ensure!(began.elapsed() < SETTLED_MAX, "nobody leads {} s later", SETTLED_MAX.as_secs());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until every server says that it is ready.
    pub async fn whole(&self) -> Result<()> {
        let began = Instant::now();
        for (at, member) in self.members.iter().enumerate() {
            while member.health().await.is_none() {
                if began.elapsed() > SETTLED_MAX {
                    bail!("server {} is not ready {} s later", at + 1, SETTLED_MAX.as_secs());
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Does harm to `leader`, or to a standby beside it.
    pub async fn harm(&mut self, harm: Harm, leader: usize, dice: &mut Dice) -> Result<()> {
        match harm {
            Harm::Kill => self.kill(leader).await,
            Harm::Terminate => {
                let server = self.members[leader].server.take().context("the leader runs")?;
                let (status, _) = server.terminate(GRACE).await?;
                self.members[leader].door.set(Passage::Refused);
                ensure!(status.success(), "a server told to end ended with {status}");
                Ok(())
            }
            Harm::Freeze => self.running(leader)?.freeze(),
            Harm::Cut => {
                self.members[leader].database.set(Passage::Silent);
                self.members[leader].door.set(Passage::Silent);
                Ok(())
            }
            Harm::CutDatabase => {
                // A cable that was pulled says nothing; a database that ended refuses.
                let how = if dice.percent(50) { Passage::Silent } else { Passage::Refused };
                self.members[leader].database.set(how);
                Ok(())
            }
            Harm::Blink => {
                let length = Duration::from_millis(dice.between(50, 3_200));
                if dice.percent(50) {
                    self.running(leader)?.freeze()?;
                } else {
                    self.members[leader].database.set(Passage::Silent);
                }
                tokio::time::sleep(length).await;
                Ok(())
            }
            Harm::KillStandby => {
                let standby = (leader + dice.between(1, SERVERS as u64 - 1) as usize) % SERVERS;
                self.kill(standby).await
            }
            Harm::CutPeers => {
                self.members[leader].door.set(Passage::Silent);
                tokio::time::sleep(Duration::from_millis(dice.between(200, 3_500))).await;
                Ok(())
            }
            Harm::DatabaseAway => {
                let how = if dice.percent(50) { Passage::Silent } else { Passage::Refused };
                self.members.iter().for_each(|member| member.database.set(how));
                tokio::time::sleep(Duration::from_millis(dice.between(300, 7_000))).await;
                Ok(())
            }
        }
    }

    /// Undoes what was done: heals, thaws, starts again.
    pub async fn mend(&mut self) -> Result<()> {
        for at in 0..SERVERS {
            self.members[at].database.set(Passage::Open);
            self.members[at].door.set(Passage::Open);
            match &self.members[at].server {
                Some(server) => server.thaw()?,
                None => self.run(at).await?,
            }
        }
        Ok(())
    }

    /// Tells all of them to end, one after another; each must end well.
    pub async fn end(mut self) -> Result<()> {
        for server in self.members.iter_mut().filter_map(|member| member.server.take()) {
            let (status, _) = server.terminate(GRACE).await?;
            ensure!(status.success(), "a server told to end ended with {status}");
        }
        Ok(())
    }

    fn running(&self, at: usize) -> Result<&Server> {
        self.members[at].server.as_ref().with_context(|| format!("server {} runs", at + 1))
    }

    async fn kill(&mut self, at: usize) -> Result<()> {
        let server = self.members[at].server.take().with_context(|| format!("server {} runs", at + 1))?;
        server.kill().await?;
        self.members[at].door.set(Passage::Refused);
        Ok(())
    }
}

impl Member {
    /// Its role, where it says that it is ready.
    async fn health(&self) -> Option<String> {
        let (status, health) = ask(&self.http, "GET", "/health/ready", "", LOOK_MAX).await.ok()?;
        (status == 200).then(|| health["role"].as_str().map(str::to_owned))?
    }
}
