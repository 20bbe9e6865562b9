//! A worker process: leases items of jobs and does them.

use crate::context::Context;
use crate::failure::Failure;
use anyhow::Context as _;
use capstan_ids::{Kind, WorkerId};
use capstan_worker::{Options, Worker};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Who it is and what it does.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan worker --server http://127.0.0.1:8000
  capstan worker --slots 8 --kinds dump,restore --spool file:/var/spool/capstan
  capstan worker --spool s3://bucket/spool --secrets /run/secrets/capstan
SIGTERM or Ctrl-C: what runs comes to a checkpoint and is given back.")]
pub struct WorkerOptions {
    /// Who it is; the host's name and the process where nothing is said
    #[arg(long, value_name = "ID")]
    worker_id: Option<String>,
    /// Items it works on at a time; as many as there are cores where nothing is said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    slots: Option<u16>,
    /// Kinds it takes: plan, dump, restore, index, verify
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = ["plan", "dump", "restore", "index", "verify"])]
    kinds: Vec<String>,
    /// Where dumped chunks lie for jobs that name no spool: file:PATH or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL")]
    spool: Option<String>,
    /// Where documents go that a target refuses for good
    #[arg(long, value_name = "DIR")]
    dead_letters: Option<PathBuf>,
    /// Where secret:NAME in addresses is looked up, beside CAPSTAN_SECRET_NAME: a folder of files of mode 0600
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
}

/// Works until it is told to stop.
pub fn run(options: WorkerOptions, context: &Context) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = context.client().await?;
        let id = options.worker_id.clone().unwrap_or_else(default_id);
        let mut settings = Options::new(WorkerId::new(&id).map_err(|error| Failure::Usage(error.to_string()))?);
        crate::endpoints::furnish(&mut settings);
        settings.slots = options.slots.map_or(settings.slots, usize::from);
        if !options.kinds.is_empty() {
            settings.kinds = options.kinds.iter().map(|kind| Kind::new(kind).expect("clap has checked them")).collect();
        }
        settings.spool = options.spool.clone();
        settings.dead_letters = options.dead_letters.clone();
        settings.secrets.folder = options.secrets.clone();
        let slots = settings.slots;
        let shutdown = CancellationToken::new();
        let (worker, stop) = (Worker::new(Arc::new(client), settings), shutdown.clone());
        let worker = tokio::spawn(async move { worker.run(stop).await });
        eprintln!("worker {id} asks {} for work, {slots} items at a time", context.server());
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::pin!(worker);
        tokio::select! {
            ended = &mut worker => return finished(ended),
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        eprintln!("worker {id} stops: what runs comes to a checkpoint and is given back");
        shutdown.cancel();
        finished(worker.await)
    })
}

fn finished(ended: Result<Result<(), capstan_worker::WorkerError>, tokio::task::JoinError>) -> Result<(), Failure> {
    Ok(ended.context("the worker panicked")?.context("the worker failed")?)
}

fn default_id() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{}-{}", if host.is_empty() { "worker" } else { host }, std::process::id())
}
