//! A real migration from start to verified end, with a worker lost on the way.

use crate::context::Context;
use crate::failure::Failure;
use crate::migration::{Progress, Snapshot};
use crate::station::{Addresses, Station};
use anyhow::Context as _;
use capstan_client::{Client, Job, v1};
use capstan_coordinator::{Handle, State};
use capstan_ids::{ItemId, SessionName, WorkerId};
use capstan_journal::EmbeddedOptions;
use capstan_migration::{ChunkTarget, JobName, Spec};
use clap::Args;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// What the demonstration shows.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan demo
  capstan demo --documents 1000000
  capstan demo --from ./dump --keep")]
pub struct DemoOptions {
    /// Leave the server running at the end, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// A mongodump directory, an archive or extended JSON to move instead of a made-up shop
    #[arg(long, value_name = "DIR")]
    from: Option<String>,
    /// Documents of the made-up shop
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    documents: u64,
}

const JOB: &str = "demo";
/// Workers that are started; the second is lost.
const WORKERS: usize = 3;
const LOST: usize = 1;
/// How long a lease is here: a job's 30 s would be long to watch.
const LEASE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const SHOW_EVERY: Duration = Duration::from_millis(150);
/// The worker is lost once so many percent are done.
const UNDER_WAY: f64 = 20.0;
/// A job of fewer bytes would be over before that was seen.
const SMALL: u64 = 20 << 20;
/// A demonstration that takes longer than this has failed.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Shows it.
pub fn run(options: DemoOptions, context: &Context) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demonstrate(&options, context))
}

async fn demonstrate(options: &DemoOptions, context: &Context) -> Result<(), Failure> {
    let folder = tempfile::Builder::new().prefix("capstan-demo-").tempdir()?;
    let from = match &options.from {
        Some(path) => endpoint(path)?,
        None => made_up_shop(folder.path(), options.documents).await?,
    };
    let station = Station::start(&folder.path().join("data"), &Addresses::free(), EmbeddedOptions::default()).await?;
    eprintln!("server   {} (one binary, nothing else)", station.url());
    let mut workers = Vec::new();
    for number in 1..=WORKERS {
        workers.push(start_worker(&station.url(), folder.path(), number)?);
    }
    eprintln!("workers  worker-1, worker-2, worker-3, each a process of its own; worker-2 will be killed with SIGKILL");
    let outcome = migrate(&station, &from, folder.path(), &mut workers[LOST], context).await;
    for worker in &mut workers {
        stop(worker).await;
    }
    if options.keep && outcome.is_ok() {
        let folder = folder.keep();
        eprintln!("kept     {} and {}; Ctrl-C ends it", station.url(), folder.display());
        tokio::signal::ctrl_c().await?;
    }
    station.stop().await.context("the server did not stop well")?;
    outcome
}

/// A path as an endpoint: what lies there is told by looking, where nothing is said.
fn endpoint(path: &str) -> Result<String, Failure> {
    if path.starts_with("dump:") || path.starts_with("jsonl:") {
        return Ok(path.to_owned());
    }
    let whole = std::path::absolute(path)?;
    if !whole.exists() {
        return Err(Failure::Usage(format!(
            "{} does not exist; give a mongodump directory, an archive or a folder of JSON",
            whole.display()
        )));
    }
    let json = whole.is_dir()
        && std::fs::read_dir(&whole)?.filter_map(Result::ok).any(|entry| {
            entry.path().extension().is_some_and(|e| e == "json" || e == "jsonl")
                && !entry.file_name().to_string_lossy().contains(".metadata.")
                && entry.file_name() != "prelude.json"
        });
    Ok(format!("{}:{}", if json { "jsonl" } else { "dump" }, whole.display()))
}

async fn made_up_shop(folder: &Path, documents: u64) -> Result<String, Failure> {
    let target = folder.join("shop");
    let began = Instant::now();
    let made = {
        let target = target.clone();
        tokio::task::spawn_blocking(move || capstan_testkit::shop::generate(&target, documents, 7)).await
    };
    let made = made.context("the generator panicked")?.context("make the shop")?;
    eprintln!(
        "source   a shop of {} documents in {} collections, {:.1} MB, every BSON type among them ({:.1} s)",
        made.documents,
        made.collections.len(),
        made.bytes as f64 / 1e6,
        began.elapsed().as_secs_f64()
    );
    Ok(format!("dump:{}", target.display()))
}

fn start_worker(server: &str, folder: &Path, number: usize) -> Result<Child, Failure> {
    let program = std::env::current_exe()?;
    let spool = format!("file:{}", folder.join("spool").display());
    let child = Command::new(program)
        .args([
            "worker",
            "--server",
            server,
            "--slots",
            "2",
            "--worker-id",
            &format!("worker-{number}"),
            "--spool",
            &spool,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    Ok(child.context("start a worker")?)
}

/// Ends a worker as an operator would, and does not wait for ever.
async fn stop(worker: &mut Child) {
    if let Some(pid) = worker.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(Duration::from_secs(5), worker.wait()).await.is_err() {
        let _ = worker.kill().await;
    }
}

async fn migrate(
    station: &Station,
    from: &str,
    folder: &Path,
    lost: &mut Child,
    context: &Context,
) -> Result<(), Failure> {
    let client = Client::connect(station.url()).await?;
    let target = folder.join("moved");
    let spec = Spec {
        from: from.to_owned(),
        to: format!("dump:{}", target.display()),
        // Small chunks: many leases to watch.
        chunks: ChunkTarget { documents: 10_000, bytes: 4 << 20, ..ChunkTarget::default() },
        ..Spec::default()
    };
    let spec = serde_json::to_string(&spec).context("write the specification")?;
    let job = client.submit_job(JOB, &spec).await?;
    shorten_leases(&client).await?;
    eprintln!("job      {from} → dump:{}", target.display());
    let mut progress = Progress::new(context.out.is_json());
    let outcome = tokio::time::timeout(LIMIT, follow(station, &job, lost, &mut progress)).await;
    progress.finish();
    outcome.map_err(|_| {
        Failure::Failed(anyhow::anyhow!("the migration did not end within {} minutes", LIMIT.as_secs() / 60))
    })??;
    eprintln!();
    crate::migration::report(&job, context).await
}

async fn shorten_leases(client: &Client) -> Result<(), Failure> {
    let change = v1::PolicyChange { lease_ms: Some(LEASE.as_millis() as u64), ..Default::default() };
    let request =
        v1::UpdateSessionRequest { session: session().to_string(), policy: Some(change), ..Default::default() };
    client.work().update_session(request).await.map_err(capstan_client::Error::from)?;
    Ok(())
}

fn session() -> SessionName {
    SessionName::new(format!("job-{JOB}")).expect("a plain word")
}

/// What became of the worker that is lost.
enum Loss {
    /// It works.
    Alive,
    /// It was killed while it held these, which have not passed on yet.
    Killed { at: Instant, held: Vec<ItemId> },
    /// Somebody else has gone on with all it held.
    PassedOn,
}

/// Shows the job, kills a worker that holds something, and sees its leases pass on.
async fn follow(station: &Station, job: &Job, lost: &mut Child, progress: &mut Progress) -> Result<(), Failure> {
    let name = WorkerId::new(format!("worker-{}", LOST + 1)).context("name the worker")?;
    let mut loss = Loss::Alive;
    let mut shown: Option<Instant> = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Err(Failure::Said(130)),
        }
        loss = match loss {
            Loss::Alive => {
                let held = held_by(&station.handle, &name).await?;
                if held.is_empty() {
                    Loss::Alive
                } else {
                    lost.start_kill().context("kill the worker")?;
                    let ids: Vec<&str> = held.iter().map(ItemId::as_str).collect();
                    progress.say(&format!("lost     {name} was killed while it held {}", ids.join(", ")));
                    Loss::Killed { at: Instant::now(), held }
                }
            }
            Loss::Killed { at, held } => {
                let mut left = Vec::new();
                for item in held {
                    match taken_over(&station.handle, &item, &name).await? {
                        Some(by) => progress.say(&format!(
                            "passed   {item} went on to {by} {:.1} s later, when its lease of {} s had run out",
                            at.elapsed().as_secs_f64(),
                            LEASE.as_secs()
                        )),
                        None => left.push(item),
                    }
                }
                if left.is_empty() { Loss::PassedOn } else { Loss::Killed { at, held: left } }
            }
            Loss::PassedOn => Loss::PassedOn,
        };
        if shown.is_none_or(|at| at.elapsed() >= SHOW_EVERY) {
            shown = Some(Instant::now());
            let (seen, units) = (job.look().await?, job.units().await?);
            progress.show(&Snapshot { job: &seen, units: &units });
            if !matches!(seen.state.as_str(), "running" | "pausing") {
                return Ok(());
            }
        }
    }
}

/// Chunks that a worker works on now, once the job is well on its way.
async fn held_by(handle: &Handle, worker: &WorkerId) -> Result<Vec<ItemId>, Failure> {
    let worker = worker.clone();
    let look = move |state: &State| {
        let job = JobName::of_session(&session()).and_then(|name| state.jobs.job(&name));
        let on_its_way = job.is_some_and(|job| job.percent >= UNDER_WAY || job.size.bytes < SMALL && job.chunks > 0);
        if on_its_way { state.work.workers(Some(&session())) } else { Vec::new() }
    };
    let views = handle.read(look).await.context("look at the workers")?;
    let holds = views.into_iter().filter(|view| view.worker == worker).flat_map(|view| view.holds);
    let of_chunks = holds
        .map(|(item, ..)| item)
        .filter(|item| item.as_str().starts_with("dump:") || item.as_str().starts_with("restore:"));
    Ok(of_chunks.collect())
}

/// Who has an item now, once that is no longer the worker that is lost.
async fn taken_over(handle: &Handle, item: &ItemId, lost: &WorkerId) -> Result<Option<WorkerId>, Failure> {
    let item = item.clone();
    let view = handle.read(move |state| state.work.item(&session(), &item)).await.context("look at an item")?;
    Ok(view.and_then(|view| view.worker).filter(|worker| worker != lost))
}
