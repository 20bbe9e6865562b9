//! `worker-lost`: a migration by several worker processes, of which one after another is killed in the middle of its
//! work, and the server too; and at the end the target is what the source is, document by document.

use crate::dice::Dice;
use crate::failover::cluster::{Cluster, Harm};
use crate::failover::database::{Database, Kind};
use crate::server::{Server, program};
use anyhow::{Context, Result, bail, ensure};
use capstan_testkit::shop;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// What is lost, and how often.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Documents of the shop that is migrated
    #[arg(long, default_value_t = 200_000)]
    pub documents: u64,
    /// Worker processes at any time
    #[arg(long, default_value_t = 3)]
    pub workers: usize,
    /// How many workers are killed
    #[arg(long, default_value_t = 6)]
    pub workers_killed: u32,
    /// How many times the server is killed
    #[arg(long, default_value_t = 3)]
    pub servers_killed: u32,
    /// Documents of a chunk
    #[arg(long, default_value_t = 2_000)]
    pub chunk_documents: u64,
    /// Everything must be over after so many seconds
    #[arg(long, default_value_t = 420)]
    pub seconds: u64,
    /// Three servers on this database instead of one with a journal of its own; the leader is killed, and workers and
    /// the client know the address of one server only
    #[arg(long, value_enum)]
    pub journal: Option<Kind>,
    /// Where chance begins
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One line of JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Documents in the source, and in the target.
    pub documents: u64,
    /// Workers killed while the job ran.
    pub workers_killed: u32,
    /// Times the server was killed while the job ran.
    pub servers_killed: u32,
    /// From the submission to the report.
    pub seconds: f64,
}

/// The report that `capstan migrate --output json` ends with, as far as it is judged here.
#[derive(Debug, Deserialize)]
struct Report {
    event: String,
    state: String,
    documents: u64,
    dead_letters: u64,
    verified: Verified,
}

#[derive(Debug, Deserialize)]
struct Verified {
    mode: String,
    missing: u64,
    extra: u64,
    different: u64,
}

/// What the workers and the client ask.
enum Host {
    Alone { program: PathBuf, dir: PathBuf, server: Option<Server> },
    Shared { cluster: Cluster, _database: Database },
}

impl Host {
    async fn start(place: &Path, options: &Options) -> Result<Self> {
        let Some(kind) = options.journal else {
            let (program, dir) = (program()?, place.join("data"));
            fs::create_dir(&dir)?;
            let server = Server::start(&program, &dir).await?;
            return Ok(Self::Alone { program, dir, server: Some(server) });
        };
        let seed = options.seed;
        let database = tokio::task::spawn_blocking(move || Database::find(kind, seed)).await??;
        let cluster = Cluster::start(place, &database).await?;
        cluster.whole().await?;
        Ok(Self::Shared { cluster, _database: database })
    }

    /// The one address that is known: of several servers, that of a standby.
    async fn url(&self) -> Result<String> {
        let http = match self {
            Self::Alone { server, .. } => server.as_ref().context("the server runs")?.http.clone(),
            Self::Shared { cluster, .. } => {
                let leader = cluster.leader(None).await?;
                let mut all = cluster.http();
                all.remove((leader + 1) % all.len())
            }
        };
        Ok(format!("http://{http}"))
    }

    /// Kills the server, or the one that leads, and starts it again.
    async fn kill(&mut self, dice: &mut Dice) -> Result<()> {
        match self {
            Self::Alone { program, dir, server } => {
                let killed = server.take().context("the server runs")?;
                let (http, grpc) = (killed.http.clone(), killed.grpc.clone());
                killed.kill().await?;
                *server = Some(Server::start_at(program, dir, &http, &grpc).await?);
            }
            Self::Shared { cluster, .. } => {
                let leader = cluster.leader(None).await?;
                cluster.harm(Harm::Kill, leader, dice).await?;
                cluster.leader(Some(leader)).await?;
                cluster.mend().await?;
                cluster.whole().await?;
            }
        }
        Ok(())
    }
}

/// Where everything of a run lies.
struct Scene {
    program: PathBuf,
    place: tempfile::TempDir,
    url: String,
    started: u32,
}

impl Scene {
    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn log(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        File::options().create(true).append(true).open(&path).with_context(|| format!("open {}", path.display()))
    }

    fn worker(&mut self) -> Result<Child> {
        self.started += 1;
        let child = Command::new(&self.program)
            .args(["worker", "--server", &self.url, "--slots", "2", "--retry-for", "60s"])
            .args(["--worker-id", &format!("worker-{}", self.started)])
            .args(["--spool", &format!("file:{}", self.path("spool").display())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log("workers.log")?)
            .kill_on_drop(true)
            .spawn();
        child.context("start a worker")
    }

    fn migration(&self, options: &Options) -> Result<Child> {
        let dump = |name: &str| format!("dump:{}", self.path(name).display());
        let child = Command::new(&self.program)
            .args(["migrate", "--server", &self.url, "--retry-for", "60s", "--output", "json", "--verify", "hash"])
            .args(["--from", &dump("from"), "--to", &dump("to"), "--job", "worker-lost"])
            .args(["--spool", &format!("file:{}", self.path("spool").display())])
            .args(["--chunk-documents", &options.chunk_documents.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(self.log("migrate.log")?)
            .kill_on_drop(true)
            .spawn();
        child.context("start the migration")
    }
}

/// Runs it; everything that is not as it should be is an error.
pub async fn run(options: &Options) -> Result<Figures> {
    let place = tempfile::tempdir().context("make a directory")?;
    let from = place.path().join("from");
    shop::generate(&from, options.documents, options.seed).context("make a shop")?;
    let mut host = Host::start(place.path(), options).await?;
    let mut scene = Scene { program: program()?, place, url: host.url().await?, started: 0 };
    let mut workers = Vec::new();
    for _ in 0..options.workers {
        workers.push(scene.worker()?);
    }

    let began = Instant::now();
    let migration = scene.migration(options)?.wait_with_output();
    let mut migration = std::pin::pin!(migration);
    let deadline = tokio::time::sleep(Duration::from_secs(options.seconds));
    let mut deadline = std::pin::pin!(deadline);
    let mut dice = Dice::new(options.seed, 0);
    let (mut workers_killed, mut servers_killed) = (0, 0);
    let output = loop {
        let pause = Duration::from_millis(dice.between(200, 900));
        tokio::select! {
            output = &mut migration => break output.context("wait for the migration")?,
            () = &mut deadline => bail!("the migration is not over after {} s", options.seconds),
            () = tokio::time::sleep(pause) => {}
        }
        if servers_killed < options.servers_killed && dice.percent(35) {
            host.kill(&mut dice).await?;
            servers_killed += 1;
        } else if workers_killed < options.workers_killed {
            let place = dice.between(0, workers.len() as u64 - 1) as usize;
            let mut lost = workers.swap_remove(place);
            lost.start_kill().context("kill a worker")?;
            lost.wait().await.context("wait for the killed worker")?;
            workers_killed += 1;
            workers.push(scene.worker()?);
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || -> String {
        let log = fs::read_to_string(scene.path("migrate.log")).unwrap_or_default();
        format!("it said {text}\n{}", log.lines().rev().take(20).collect::<Vec<_>>().join("\n"))
    };
    ensure!(output.status.success(), "the migration ended with {}; {}", output.status, said());
    ensure!(workers_killed + servers_killed > 0, "the migration was over before anything could be killed");
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).context("the migration printed no report")?;
    let report: Report = serde_json::from_str(last).with_context(|| format!("read the report {last}"))?;
    ensure!(report.event == "report" && report.state == "completed" && report.dead_letters == 0, "{report:?}");
    let verified = &report.verified;
    ensure!(verified.mode == "hash" && verified.missing + verified.extra + verified.different == 0, "{report:?}");
    let documents = same(&from, &scene.path("to"))?;
    ensure!(documents == report.documents, "the report counts {} documents of {documents}", report.documents);
    Ok(Figures { documents, workers_killed, servers_killed, seconds })
}

/// Compares two dumps document by document, in any order; answers how many documents they have.
fn same(from: &Path, to: &Path) -> Result<u64> {
    let (source, target) = (collections(from)?, collections(to)?);
    ensure!(!source.is_empty(), "the source has no collection");
    for (name, (documents, digest)) in &source {
        let Some(found) = target.get(name) else { bail!("{name} is not in the target") };
        ensure!(
            found == &(*documents, *digest),
            "{name} has {documents} documents in the source, {} in the target, or others",
            found.0
        );
    }
    // A view has no documents, and a dump may say so by an empty file or by none.
    let is_extra = |(name, (documents, _)): &(&String, &(u64, u64))| *documents > 0 && !source.contains_key(*name);
    let extra: Vec<_> = target.iter().filter(is_extra).map(|(name, _)| name).collect();
    ensure!(extra.is_empty(), "the target has collections that the source has not: {extra:?}");
    Ok(source.values().map(|(documents, _)| documents).sum())
}

/// Every collection of a dump: how many documents, and the sum of their digests.
fn collections(folder: &Path) -> Result<BTreeMap<String, (u64, u64)>> {
    let mut found = BTreeMap::new();
    for database in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let database = database?.path();
        if !database.is_dir() {
            continue;
        }
        for file in fs::read_dir(&database)? {
            let path = file?.path();
            if path.extension().is_some_and(|ending| ending == "bson") {
                let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
                found.insert(name, digest(&path).with_context(|| format!("read {}", path.display()))?);
            }
        }
    }
    Ok(found)
}

fn digest(path: &Path) -> Result<(u64, u64)> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut documents, mut sum) = (0, 0_u64);
    let mut document = Vec::new();
    loop {
        let mut length = [0; 4];
        if file.read(&mut length[..1])? == 0 {
            return Ok((documents, sum));
        }
        file.read_exact(&mut length[1..])?;
        let bytes = usize::try_from(i32::from_le_bytes(length)).context("a document's length is below zero")?;
        ensure!((5..=17 << 20).contains(&bytes), "a document of {bytes} bytes cannot be");
        document.resize(bytes, 0);
        document[..4].copy_from_slice(&length);
        file.read_exact(&mut document[4..])?;
        // Its keys are fixed: the same documents have the same sum in both dumps.
        let mut hasher = DefaultHasher::new();
        hasher.write(&document);
        sum = sum.wrapping_add(hasher.finish());
        documents += 1;
    }
}

impl Figures {
    /// A line a figure.
    pub fn table(&self) -> String {
        format!(
            "documents, the same on both sides  {}\nworkers killed                     {}\nserver killed                      {} times\nseconds                            {:.1}\n",
            self.documents, self.workers_killed, self.servers_killed, self.seconds
        )
    }
}
