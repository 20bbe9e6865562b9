//! A server and a worker in this process, on one data directory.

use crate::failure::Failure;
use crate::station::{Addresses, Station};
use anyhow::Context as _;
use capstan_client::Client;
use capstan_ids::WorkerId;
use capstan_worker::{Options, Worker};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

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
        let client = Client::connect(station.url()).await?;
        let id = WorkerId::new(format!("local-{}", std::process::id())).context("name the worker")?;
        let mut options = Options::new(id);
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

/// Where work is kept that nobody gave a place to.
pub fn state_folder() -> Result<PathBuf, Failure> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let folder = state.filter(|folder| folder.is_absolute()).or_else(home);
    folder
        .map(|folder| folder.join("capstan"))
        .ok_or_else(|| Failure::Usage("there is no HOME; say where the work is kept with --data-dir".into()))
}
