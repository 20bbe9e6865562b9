//! A server and a worker in this process, on one data directory.

use crate::failure::Failure;
use crate::station::{Addresses, Station};
use anyhow::Context as _;
use capstan_client::Client;
use capstan_coordinator::{COMMANDS_MAX, Handle};
use capstan_ids::WorkerId;
use capstan_work::{Command, Holder};
use capstan_worker::{Options, Worker};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Workers that live in a server's own process are called so.
const LOCAL: &str = "local-";

/// A server and a worker in this process, on one data directory.
pub struct Home {
    /// Asks the server as anybody else would.
    pub client: Client,
    /// The server.
    pub station: Station,
    shutdown: CancellationToken,
    worker: tokio::task::JoinHandle<Result<(), capstan_worker::WorkerError>>,
}

impl Home {
    /// Starts both; `slots` items are worked on at a time, twice the cores where nothing is said.
    pub async fn open(data_dir: &Path, addresses: &Addresses, slots: Option<usize>) -> Result<Self, Failure> {
        std::fs::create_dir_all(data_dir).with_context(|| format!("create {}", data_dir.display()))?;
        let station = Station::start(data_dir, addresses).await?;
        give_back_what_the_dead_hold(&station.handle).await?;
        let client = Client::connect(station.url()).await?;
        let id = WorkerId::new(format!("{LOCAL}{}", std::process::id())).context("name the worker")?;
        let mut options = Options::new(id);
        options.adapters = crate::endpoints::adapters();
        options.spool = Some(format!("file:{}", data_dir.join("spool").display()));
        options.dead_letters = Some(data_dir.join("dead-letters"));
        options.slots = slots.unwrap_or(options.slots * 2).max(1);
        let shutdown = CancellationToken::new();
        let worker = Worker::new(Arc::new(station.handle.clone()), options);
        let stop = shutdown.clone();
        let worker = tokio::spawn(async move { worker.run(stop).await });
        Ok(Self { client, station, shutdown, worker })
    }

    /// Gives back what runs, at its checkpoints, and stops both.
    pub async fn close(self) -> Result<(), Failure> {
        self.shutdown.cancel();
        self.worker.await.context("the worker panicked")?.context("the worker failed")?;
        self.station.stop().await.context("the server did not stop well")?;
        Ok(())
    }
}

/// Releases the leases of workers that lived in a process with an earlier server on this data directory.
///
/// That process is gone, for the journal is locked by this one: nobody who counts on these leases is left, and waiting
/// for them to run out would only be waiting.
async fn give_back_what_the_dead_hold(handle: &Handle) -> Result<(), Failure> {
    let workers = handle.read(|state| state.work.workers(None)).await.context("look at the workers")?;
    let held = workers.into_iter().filter(|worker| worker.worker.as_str().starts_with(LOCAL)).flat_map(|worker| {
        let session = worker.session;
        worker.holds.into_iter().map(move |(item, token, _)| Command::Release {
            session: session.clone(),
            item,
            holder: Holder::Token(token),
            progress: None,
            checkpoint: None,
        })
    });
    let releases: Vec<Command> = held.collect();
    for releases in releases.chunks(COMMANDS_MAX) {
        let outcomes = handle.submit_many(releases.to_vec()).await.context("give back leases")?;
        for outcome in outcomes {
            // One that is over by itself needs no giving back.
            if let Err(rejection) = outcome {
                tracing::debug!(%rejection, "a lease was over already");
            }
        }
    }
    Ok(())
}

/// Where work is kept that nobody gave a place to.
pub fn state_folder() -> Result<PathBuf, Failure> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let folder = state.filter(|folder| folder.is_absolute()).or_else(home);
    folder
        .map(|folder| folder.join("capstan"))
        .ok_or_else(|| Failure::Usage("there is no HOME; say where the work is kept with --data-dir".into()))
}
