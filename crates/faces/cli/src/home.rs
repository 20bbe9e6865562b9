//! A server and a worker in this process, on one data directory.

use crate::failure::Failure;
use crate::secrets;
use crate::station::{Addresses, Station};
use anyhow::Context as _;
use capstan_client::Client;
use capstan_coordinator::{COMMANDS_MAX, Handle, State};
use capstan_ids::WorkerId;
use capstan_journal::EmbeddedOptions;
use capstan_work::{Command, Holder};
use capstan_worker::{Options, Worker};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
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
    following: tokio::task::JoinHandle<()>,
}

/// The size of the journal's files. Two of them are written full of zeros when it is made, so what ends after a second
/// would spend most of its processor time on large ones.
const SEGMENT_BYTES: u64 = 4 << 20;
/// How often the worker looks at the pools of the jobs that go on.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What the worker of a server's own process has at least and at most.
const SLOTS: RangeInclusive<usize> = 2..=256;
/// What a pool without a limit counts as.
const UNLIMITED: usize = 64;

impl Home {
    /// Starts both; `slots` items are worked on at a time, as many as the pools ask for where nothing is said.
    pub async fn open(data_dir: &Path, addresses: &Addresses, slots: Option<usize>) -> Result<Self, Failure> {
        std::fs::create_dir_all(data_dir).with_context(|| format!("create {}", data_dir.display()))?;
        let kept = EmbeddedOptions { segment_bytes: SEGMENT_BYTES, ..EmbeddedOptions::default() };
        let station = Station::start(data_dir, addresses, kept).await?;
        give_back_what_the_dead_hold(&station.handle).await?;
        let client = Client::connect(station.url()).await?;
        let id = WorkerId::new(format!("{LOCAL}{}", std::process::id())).context("name the worker")?;
        let mut options = Options::new(id);
        crate::endpoints::furnish(&mut options);
        options.spool = Some(format!("file:{}", data_dir.join("spool").display()));
        options.dead_letters = Some(dead_letters(data_dir));
        options.secrets.folder = Some(secrets::folder(data_dir));
        options.slots = slots.unwrap_or(options.slots * 2).max(1);
        let shutdown = CancellationToken::new();
        let first = options.slots;
        let worker = Arc::new(Worker::new(Arc::new(station.handle.clone()), options));
        let following = tokio::spawn({
            let (handle, worker, stop) = (station.handle.clone(), Arc::clone(&worker), shutdown.clone());
            async move {
                if slots.is_none() {
                    follow_the_pools(&handle, &worker, first, &stop).await;
                }
            }
        });
        let stop = shutdown.clone();
        let worker = tokio::spawn(async move { worker.run(stop).await });
        Ok(Self { client, station, shutdown, worker, following })
    }

    /// Gives back what runs, at its checkpoints, and stops both.
    pub async fn close(self) -> Result<(), Failure> {
        self.shutdown.cancel();
        self.following.await.context("following the pools panicked")?;
        self.worker.await.context("the worker panicked")?.context("the worker failed")?;
        self.station.stop().await.context("the server did not stop well")?;
        Ok(())
    }
}

/// Keeps a worker as large as the pools of all jobs that go on ask for.
async fn follow_the_pools(handle: &Handle, worker: &Worker, mut slots: usize, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        // A server that cannot be asked is about to end, and so is this worker.
        let Ok(Some(wished)) = handle.read(slots_wished).await else { continue };
        if wished != slots {
            worker.resize(wished);
            slots = wished;
        }
    }
}

/// What the pools of unfinished jobs ask for; none where no job goes on. Dumps and restores run beside each other; the
/// other stages take their turns.
fn slots_wished(state: &State) -> Option<usize> {
    let going_on = state.jobs.jobs().filter(|job| job.ended.is_none());
    let wished = going_on.filter_map(|job| {
        let session = state.work.session(&job.name.session())?;
        let pool = |kind: &str| {
            let limit = session.limits.iter().find(|limit| limit.name.as_str() == kind);
            limit.and_then(|limit| limit.most).map_or(UNLIMITED, |most| most.get() as usize)
        };
        let moving = pool("dump") + pool("restore");
        Some(moving.max(pool("plan")).max(pool("index")).max(pool("verify")))
    });
    wished.reduce(|all, one| all + one).map(|all| all.clamp(*SLOTS.start(), *SLOTS.end()))
}

/// Where a data directory keeps documents that a target refused for good.
pub fn dead_letters(data_dir: &Path) -> PathBuf {
    data_dir.join("dead-letters")
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
