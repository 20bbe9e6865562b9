//! Ten thousand pipelines that are heard of ten thousand times a second, and what the journal grows by meanwhile.
//!
//! Requests are sent by the clock and not by the answers: a latency counts from when its request was due.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;

use super::case::Turns;
use super::grpc;
use super::options::Options;
use super::rates::fill;
use super::rest::Rest;
use super::servers::Server;

const PIPELINES: u64 = 10_000;
const HEARTBEATS_PER_SECOND: u64 = 10_000;
/// Of usage, each with other figures than the one before, where they are mixed in.
const USAGE_PER_SECOND: u64 = 5_000;
const CLIENTS: u64 = 64;
/// Rule 21 of the registry: beyond so many usage events a second ...
const USAGE_EVENTS_PER_SECOND_MAX: u64 = 100;
/// ... a pipeline's usage is journalled once in this time.
const THINNED_EVERY_SECONDS: u64 = 60;
/// How much of what was due must have been sent for the figures to say anything.
const SENT_MIN: f64 = 0.9;

/// What a flood came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flood {
    pub system: &'static str,
    /// `heartbeat_flood` or `usage_flood`.
    pub case: &'static str,
    pub transport: &'static str,
    pub pipelines: u64,
    pub seconds: f64,
    pub heartbeats_per_second: f64,
    pub usage_reports_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub errors: u64,
    pub journal_events: u64,
    /// What rule 21 allows.
    pub journal_events_max: u64,
    /// Bytes of those events.
    pub journal_bytes: u64,
    pub snapshots: u64,
    /// Of the data directory, before and after; none where the journal is elsewhere.
    pub disk_bytes_before: Option<u64>,
    pub disk_bytes_after: Option<u64>,
    /// Pipelines that were stale at the end; all were heard of.
    pub stale: u64,
}

impl Flood {
    /// Why the journal's growth was not bounded, or the flood none.
    pub fn fault(&self) -> Option<String> {
        let Self { case, transport, journal_events, journal_events_max, .. } = self;
        if journal_events > journal_events_max {
            return Some(format!("{case} over {transport}: {journal_events} events of at most {journal_events_max}"));
        }
        let due = HEARTBEATS_PER_SECOND as f64 * SENT_MIN;
        let sent = self.heartbeats_per_second;
        (sent < due).then(|| format!("{case} over {transport}: only {sent:.0} heartbeats a second were sent"))
    }
}

/// Each flood on a server of its own.
pub async fn measure(options: &Options) -> Result<Vec<Flood>> {
    let mut floods = Vec::new();
    for (case, usage_per_second) in [("heartbeat_flood", 0), ("usage_flood", USAGE_PER_SECOND)] {
        for transport in ["http", "grpc"] {
            eprintln!("{case} over {transport}: {} seconds", options.flood_seconds);
            floods.push(one(options, case, transport, usage_per_second).await?);
        }
    }
    Ok(floods)
}

async fn one(options: &Options, case: &'static str, transport: &'static str, usage_rate: u64) -> Result<Flood> {
    let server = Server::start(options).await?;
    fill(&server, PIPELINES).await?;
    rustix::fs::sync();
    let has_disk = options.journal.is_none();
    let before = Grown::look(&server, has_disk).await?;
    let began = Instant::now();
    let sent = send(&server, transport, usage_rate, Duration::from_secs(options.flood_seconds)).await?;
    let seconds = began.elapsed().as_secs_f64();
    // What was held back for a second is journalled by then.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = Grown::look(&server, has_disk).await?;
    let stale = server.figure("coordinator_pipelines_stale").await? as u64;
    server.discard().await?;
    let thinned = PIPELINES * (after.at - before.at).as_secs().div_euclid(THINNED_EVERY_SECONDS);
    let in_turn = USAGE_EVENTS_PER_SECOND_MAX * ((after.at - before.at).as_secs() + 1);
    Ok(Flood {
        system: crate::table::CAPSTAN,
        case,
        transport,
        pipelines: PIPELINES,
        seconds,
        heartbeats_per_second: sent.heartbeats as f64 / seconds,
        usage_reports_per_second: sent.reports as f64 / seconds,
        p50_ms: sent.latency_us.value_at_quantile(0.5) as f64 / 1e3,
        p99_ms: sent.latency_us.value_at_quantile(0.99) as f64 / 1e3,
        errors: sent.errors,
        journal_events: after.events - before.events,
        journal_events_max: if usage_rate == 0 { 0 } else { in_turn + thinned },
        journal_bytes: after.bytes - before.bytes,
        snapshots: after.snapshots - before.snapshots,
        disk_bytes_before: before.disk,
        disk_bytes_after: after.disk,
        stale,
    })
}

/// What the journal has grown to.
struct Grown {
    at: Instant,
    events: u64,
    bytes: u64,
    snapshots: u64,
    disk: Option<u64>,
}

impl Grown {
    async fn look(server: &Server, has_disk: bool) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            events: server.figure("capstan_journal_events_total").await? as u64,
            bytes: server.figure("capstan_journal_written_bytes_total").await? as u64,
            snapshots: server.figure("capstan_journal_snapshots_total").await? as u64,
            disk: has_disk.then(|| bytes_below(&server.folder)).transpose()?,
        })
    }
}

/// Bytes of the files of a folder. Files may go while they are counted.
fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        bytes += if path.is_dir() { bytes_below(&path)? } else { path.metadata().map_or(0, |file| file.len()) };
    }
    Ok(bytes)
}

/// What clients have sent.
struct Sent {
    heartbeats: u64,
    reports: u64,
    errors: u64,
    latency_us: Histogram<u64>,
}

impl Sent {
    fn none() -> Result<Self> {
        Ok(Self { heartbeats: 0, reports: 0, errors: 0, latency_us: Histogram::new(3)? })
    }
}

async fn send(server: &Server, transport: &str, usage_rate: u64, length: Duration) -> Result<Sent> {
    let mut lines = Vec::new();
    if transport == "http" {
        for _ in 0..CLIENTS {
            lines.push(Line::Rest(server.rest().await?));
        }
    } else {
        let registries = grpc::open(&server.capstan.grpc, CLIENTS as usize).await?;
        lines.extend(registries.into_iter().map(Line::Grpc));
    }
    let rate = HEARTBEATS_PER_SECOND + usage_rate;
    let (beats, reports) = (Arc::new(Turns::new(PIPELINES)), Arc::new(Turns::new(PIPELINES)));
    let (began, mut tasks) = (Instant::now(), JoinSet::new());
    for (number, line) in lines.into_iter().enumerate() {
        let pace = Pace {
            every: Duration::from_secs(CLIENTS).div_f64(rate as f64),
            first: began + Duration::from_secs(number as u64).div_f64(rate as f64),
            end: began + length,
            usage_share: (usage_rate, rate),
        };
        tasks.spawn(pace.keep(line, Arc::clone(&beats), Arc::clone(&reports)));
    }
    let mut sent = Sent::none()?;
    while let Some(one) = tasks.join_next().await {
        let one = one.context("a client panicked")??;
        sent.heartbeats += one.heartbeats;
        sent.reports += one.reports;
        sent.errors += one.errors;
        sent.latency_us.add(one.latency_us)?;
    }
    ensure!(sent.heartbeats > 0, "no heartbeat was answered");
    Ok(sent)
}

enum Line {
    Rest(Rest),
    Grpc(grpc::Registry),
}

impl Line {
    async fn heartbeat(&mut self, pipeline: u64) -> Result<()> {
        match self {
            Self::Rest(rest) => rest.heartbeat(pipeline).await,
            Self::Grpc(registry) => grpc::heartbeat(registry, pipeline).await,
        }
    }

    async fn report_usage(&mut self, pipeline: u64, number: u64) -> Result<()> {
        match self {
            Self::Rest(rest) => rest.report_usage(pipeline, number).await,
            Self::Grpc(registry) => grpc::report_usage(registry, pipeline, number).await,
        }
    }
}

/// When one client sends.
struct Pace {
    every: Duration,
    first: Instant,
    end: Instant,
    /// So many of so many requests are reports of usage.
    usage_share: (u64, u64),
}

impl Pace {
    async fn keep(self, mut line: Line, beats: Arc<Turns>, reports: Arc<Turns>) -> Result<Sent> {
        let mut sent = Sent::none()?;
        let (mut due, mut owed) = (self.first, 0);
        while due < self.end {
            tokio::time::sleep_until(due.into()).await;
            owed += self.usage_share.0;
            let is_report = owed >= self.usage_share.1;
            let outcome = if is_report {
                owed -= self.usage_share.1;
                let (pipeline, number) = reports.next();
                line.report_usage(pipeline, number).await
            } else {
                line.heartbeat(beats.next().0).await
            };
            match outcome {
                Ok(()) if is_report => sent.reports += 1,
                Ok(()) => sent.heartbeats += 1,
                Err(error) => {
                    // A few may be refused; a line that is broken never comes back.
                    sent.errors += 1;
                    ensure!(sent.errors < 10, "{error:#}");
                }
            }
            sent.latency_us.saturating_record(u64::try_from(due.elapsed().as_micros())?.max(1));
            due += self.every;
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flood(heartbeats_per_second: f64, journal_events: u64, journal_events_max: u64) -> Flood {
        Flood {
            system: "capstan",
            case: "usage_flood",
            transport: "http",
            pipelines: PIPELINES,
            seconds: 30.0,
            heartbeats_per_second,
            usage_reports_per_second: 0.0,
            p50_ms: 1.0,
            p99_ms: 2.0,
            errors: 0,
            journal_events,
            journal_events_max,
            journal_bytes: 0,
            snapshots: 0,
            disk_bytes_before: None,
            disk_bytes_after: None,
            stale: 0,
        }
    }

    #[test]
    fn a_journal_that_grows_by_more_than_the_rule_allows_is_a_fault() {
        assert_eq!(flood(10_000.0, 3_100, 3_100).fault(), None);
        assert!(flood(10_000.0, 3_101, 3_100).fault().unwrap().contains("3101 events"));
    }

    #[test]
    fn a_flood_that_was_not_sent_is_a_fault() {
        assert!(flood(5_000.0, 0, 0).fault().unwrap().contains("5000 heartbeats"));
    }
}
