//! A log of many events of pipelines and no snapshot: what it takes a server to read it back, and the next one, which
//! has a snapshot and a short tail.
//!
//! The log is written by the journal itself, as a server would have written it in an hour of ten thousand busy pipelines.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use capstan_ids::{Epoch, StreamName, WallTime};
use capstan_journal::{Append, Commit, EmbeddedJournal, EmbeddedOptions, Journal};
use capstan_registry::{Event, PipelineId, PipelineName, PipelineStatus, Resources};
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::case::{id, usage};
use super::options::Options;
use super::servers::Server;
use crate::migrate::metered::peak_mib;

const PIPELINES: u64 = 10_000;
/// Events of one commit, as a busy server puts them into one flush.
const EVENTS_A_COMMIT: u64 = 1_000;
/// Reports between the snapshot and the second restart.
const TAIL: u64 = 1_000;
/// How long the snapshot may take.
const SNAPSHOT_MAX: Duration = Duration::from_secs(120);

/// What reading back took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replay {
    pub system: &'static str,
    pub case: &'static str,
    pub events: u64,
    pub pipelines: u64,
    pub log_bytes: u64,
    /// From the start of the process until it listens, with the log alone.
    pub seconds: f64,
    pub events_per_second: f64,
    pub peak_mib: f64,
    /// The same with the snapshot that was taken then, and a tail of reports.
    pub restart_seconds: f64,
    pub restart_peak_mib: f64,
    pub tail_events: u64,
}

pub async fn measure(options: &Options) -> Result<Replay> {
    let folder = options.data_dir.join("replay");
    let journal = folder.join("data").join("journal");
    eprintln!("replay: writing {} events", options.events);
    let events = options.events;
    let written = tokio::task::spawn_blocking(move || write(&journal, turns(events))).await;
    let Written { log_bytes, totals } = written.context("the log was not written")??;
    rustix::fs::sync();

    eprintln!("replay: reading them back");
    let (server, seconds) = started(Server::start_on(options, folder, None)).await?;
    totals.check(&server).await?;
    let peak = peak_of(&server)?;
    timeout(SNAPSHOT_MAX, snapshot(&server)).await.context("no snapshot was taken in time")??;
    let mut rest = server.rest().await?;
    for pipeline in 0..TAIL {
        let path = format!("/api/v1/pipelines/{}/status", id(pipeline));
        let body = format!("{{\"status\":\"paused\",\"total_records\":{events},\"failed_records\":1}}");
        rest.done("PUT", &path, &body).await?;
    }
    let (server, restart_seconds) = started(server.restart(options)).await?;
    let restart_peak_mib = peak_of(&server)?;
    let totals = Totals { paused: TAIL, ..totals };
    totals.check(&server).await?;
    server.discard().await?;
    Ok(Replay {
        system: crate::table::CAPSTAN,
        case: "replay",
        events,
        pipelines: PIPELINES,
        log_bytes,
        seconds,
        events_per_second: events as f64 / seconds,
        peak_mib: peak,
        restart_seconds,
        restart_peak_mib,
        tail_events: TAIL,
    })
}

async fn started(starting: impl Future<Output = Result<Server>>) -> Result<(Server, f64)> {
    let began = Instant::now();
    let server = starting.await?;
    Ok((server, began.elapsed().as_secs_f64()))
}

fn peak_of(server: &Server) -> Result<f64> {
    Ok(peak_mib(server.capstan.pid().context("the server has ended")?))
}

async fn snapshot(server: &Server) -> Result<()> {
    while server.figure("capstan_journal_snapshots_total").await? < 1.0 {
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// What a server must have in memory once it has read everything.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Totals {
    memory_mb: u64,
    paused: u64,
}

impl Totals {
    async fn check(&self, server: &Server) -> Result<()> {
        let (status, text) = server.rest().await?.ask("GET", "/api/v1/system", "").await?;
        ensure!(status == 200, "the system was answered with {status}: {text}");
        let system: serde_json::Value = serde_json::from_str(&text).context("read the system")?;
        let figure = |value: &serde_json::Value| value.as_u64().context("a figure is missing in the system");
        let found =
            Self { memory_mb: figure(&system["total_memory_mb"])?, paused: figure(&system["by_status"]["paused"])? };
        ensure!(found == *self, "{self:?} was written, and {found:?} was read back");
        Ok(())
    }
}

struct Written {
    log_bytes: u64,
    totals: Totals,
}

/// Registrations of all pipelines, and then their reports in turn: two of usage for one of status.
fn turns(events: u64) -> impl Iterator<Item = (u64, Option<u64>)> {
    (0..events).map(|number| (number % PIPELINES, number.checked_sub(PIPELINES)))
}

fn write(folder: &std::path::Path, turns: impl Iterator<Item = (u64, Option<u64>)>) -> Result<Written> {
    let stream = StreamName::new(capstan_registry::STREAM).context("name the stream")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?;
    let at = WallTime(i64::try_from(now.as_micros())?);
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let mut journal = EmbeddedJournal::open(folder, EmbeddedOptions::default())?;
    let mut position = journal.tail()?.next;
    let (mut commit, mut log_bytes) = (Commit::new(at), 0);
    let mut used = vec![0_u64; PIPELINES as usize];
    let mut turns = turns.peekable();
    while let Some((pipeline, report)) = turns.next() {
        let event = event(pipeline, report, at, &mut used)?;
        commit.push(&stream, |bytes| event.encode(bytes));
        if commit.events() == EVENTS_A_COMMIT || turns.peek().is_none() {
            match journal.append(Epoch::new(1), position, &commit) {
                Append::Committed => {}
                other => bail!("a commit was not taken: {other:?}"),
            }
            position = position.plus(commit.events());
            log_bytes += commit.size() as u64;
            commit.restart(at);
        }
    }
    Ok(Written { log_bytes, totals: Totals { memory_mb: used.iter().sum(), paused: 0 } })
}

fn event(pipeline: u64, report: Option<u64>, at: WallTime, used: &mut [u64]) -> Result<Event> {
    let id = PipelineId::new(id(pipeline))?;
    Ok(match report {
        None => Event::PipelineRegistered {
            name: PipelineName::new(format!("Pipeline {pipeline}"))?,
            id,
            at,
            group: None,
            priority: 0,
            labels: capstan_registry::Labels::default(),
        },
        // By rounds through all pipelines, so that each has both.
        Some(number) if (number / PIPELINES).is_multiple_of(3) => Event::PipelineStatusUpdated {
            id,
            at,
            status: PipelineStatus::Running,
            total_records: number,
            failed_records: 0,
            bytes_moved: number * 200,
        },
        Some(number) => {
            let (cpu, memory) = usage(number);
            used[usize::try_from(pipeline)?] = memory;
            Event::ResourceUsageReported { id, at, used: Resources::of_a_pipeline(cpu, i64::try_from(memory)?)? }
        }
    })
}
