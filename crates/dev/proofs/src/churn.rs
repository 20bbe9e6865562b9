//! `churn`: does the rate hold with very much behind, and how long does anybody wait while snapshots are taken?

use crate::bulk;
use crate::door::{SESSION, grpc::Grpc};
use crate::server::{Server, program};
use anyhow::{Context, Result, ensure};
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{
    AddItemsRequest, Ask, CompleteAndAcquireRequest, CompleteRequest, ExchangeRequest, Lease, SessionStatusRequest,
    ask, reply,
};
use clap::Args;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// Requests outstanding on the stream.
const IN_FLIGHT: usize = 64;
/// How often the status is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How much of it.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Items that lie behind in the second measurement
    #[arg(long, default_value_t = 1_000_000)]
    pub behind: u64,
    /// Seconds of one measurement; two of each are made, in turn
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// One line of JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it, and their units")]
pub struct Figures {
    pub behind: u64,
    pub empty_per_second: f64,
    pub behind_per_second: f64,
    pub ratio: f64,
    /// The longest answer to a status while the items were added and snapshots taken.
    pub longest_status_while_adding_ms: f64,
    /// The longest answer to a status while the jobs ran, with the items behind.
    pub longest_status_while_working_ms: f64,
}

/// Runs it: empty, fill, behind.
pub async fn run(options: &Options) -> Result<Figures> {
    let program = program()?;
    let place = tempfile::tempdir().context("make a directory")?;
    let dir = place.path().join("data");
    std::fs::create_dir(&dir)?;
    let server = Server::start(&program, &dir).await?;
    let mut grpc = Grpc::to(&server.grpc)?;
    bulk::open(grpc.client()).await?;
    let numbers = Arc::new(AtomicU64::new(0));
    let window = Duration::from_secs(options.seconds);
    // A first one that counts for nothing: both sides are measured warm.
    work(grpc.client().clone(), &numbers, Duration::from_secs(1)).await?;
    let empty = work(grpc.client().clone(), &numbers, window).await?;

    let watching = Looks::begin(&server.grpc)?;
    bulk::add(grpc.client(), "behind", options.behind).await?;
    // Snapshots begin with the next look of the housekeeping: give them the time to run under work.
    work(grpc.client().clone(), &numbers, window).await?;
    let longest_adding = watching.end().await?;

    let watching = Looks::begin(&server.grpc)?;
    let behind = work(grpc.client().clone(), &numbers, window).await?;
    let longest_working = watching.end().await?;
    Ok(Figures {
        behind: options.behind,
        empty_per_second: empty,
        behind_per_second: behind,
        ratio: behind / empty,
        longest_status_while_adding_ms: longest_adding.as_secs_f64() * 1e3,
        longest_status_while_working_ms: longest_working.as_secs_f64() * 1e3,
    })
}

/// Jobs a second on one stream: each adds an item that goes before everything behind, and completes one for the next.
async fn work(mut work: WorkClient<Channel>, numbers: &AtomicU64, window: Duration) -> Result<f64> {
    let (frames, receiver) = mpsc::channel(IN_FLIGHT);
    let mut answers = work.exchange(ReceiverStream::new(receiver)).await?.into_inner();
    let ends = Instant::now() + window;
    let add = || {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let items = vec![bulk::item("urgent", number, 100)];
        ask::Request::Add(AddItemsRequest { session: SESSION.to_owned(), items, ..Default::default() })
    };
    let next = |lease: Option<&Lease>| match lease {
        None => ask::Request::Acquire(bulk::wish(0, 1)),
        Some(lease) => ask::Request::CompleteAndAcquire(CompleteAndAcquireRequest {
            complete: Some(complete(lease)),
            next: Some(bulk::wish(0, 1)),
        }),
    };
    let begin = (0..IN_FLIGHT as u64).flat_map(|slot| {
        [Ask { sequence: u64::MAX, request: Some(add()) }, Ask { sequence: slot, request: Some(next(None)) }]
    });
    frames.send(ExchangeRequest { asks: begin.collect() }).await?;
    let (mut jobs, mut left) = (0_u64, IN_FLIGHT * 2);
    while left > 0 {
        let frame = answers.message().await?.context("the stream ended")?;
        let is_over = Instant::now() >= ends;
        let mut asks = Vec::new();
        for reply in frame.replies {
            left -= 1;
            let leases = match reply.answer {
                Some(reply::Answer::CompleteAndAcquire(done)) => {
                    jobs += u64::from(!is_over);
                    done.leases
                }
                Some(reply::Answer::Acquire(acquired)) => acquired.leases,
                Some(reply::Answer::Add(_) | reply::Answer::Complete(_)) => continue,
                other => anyhow::bail!("a job was answered {other:?}"),
            };
            if is_over {
                asks.extend(leases.iter().map(|lease| Ask {
                    sequence: reply.sequence,
                    request: Some(ask::Request::Complete(complete(lease))),
                }));
            } else {
                asks.push(Ask { sequence: u64::MAX, request: Some(add()) });
                asks.push(Ask { sequence: reply.sequence, request: Some(next(leases.first())) });
            }
        }
        if !asks.is_empty() {
            left += asks.len();
            frames.send(ExchangeRequest { asks }).await?;
        }
    }
    ensure!(jobs > 0, "no job was done in {} s", window.as_secs());
    Ok(jobs as f64 / window.as_secs_f64())
}

fn complete(lease: &Lease) -> CompleteRequest {
    let item_id = lease.item.as_ref().map(|item| item.id.clone()).unwrap_or_default();
    CompleteRequest { session: SESSION.to_owned(), item_id, token: lease.token, ..Default::default() }
}

/// Asks for the status all the time, and remembers the longest answer.
struct Looks {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<Duration>>,
}

impl Looks {
    fn begin(address: &str) -> Result<Self> {
        let mut grpc = Grpc::to(address)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                grpc.client().session_status(SessionStatusRequest { session: SESSION.to_owned() }).await?;
                longest = longest.max(began.elapsed());
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(longest)
        });
        Ok(Self { stop, task })
    }

    async fn end(self) -> Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

impl Figures {
    /// A line a figure.
    pub fn table(&self) -> String {
        let rows = [
            ("items behind", self.behind as f64, ""),
            ("jobs with nothing behind", self.empty_per_second, "per second"),
            ("jobs with all of it behind", self.behind_per_second, "per second"),
            ("ratio", self.ratio, ""),
            ("longest status, adding", self.longest_status_while_adding_ms, "ms"),
            ("longest status, working", self.longest_status_while_working_ms, "ms"),
        ];
        rows.iter().map(|(name, figure, unit)| format!("{name:<28} {figure:>14.2} {unit}\n")).collect()
    }
}
