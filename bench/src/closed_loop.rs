//! Clients that each send a request, wait for its answer and send the next.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// Longest latency that is told apart: a minute, in microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;
/// A client that fails this often in a row is given up.
const FAILURES_IN_A_ROW_MAX: u32 = 10;

/// One client of a system under test.
pub trait Client: Send + 'static {
    /// Does one closed-loop step and returns how many items it moved; 0 where nothing is left to do.
    fn step(&mut self) -> impl Future<Output = Result<u64>> + Send;
}

/// What a run of clients came to.
pub struct Measured {
    pub items: u64,
    pub errors: u64,
    pub latency_us: Histogram<u64>,
    pub window: Duration,
    /// What the first error said.
    pub first_error: Option<String>,
}

impl Measured {
    pub fn new(window: Duration) -> Result<Self> {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).context("make a histogram")?;
        Ok(Self { items: 0, errors: 0, latency_us, window, first_error: None })
    }

    pub fn per_second(&self) -> f64 {
        self.items as f64 / self.window.as_secs_f64()
    }

    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1000.0
    }

    fn add(&mut self, other: Self) -> Result<()> {
        self.items += other.items;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.latency_us.add(other.latency_us).context("add up histograms")
    }
}

/// Runs all clients at once, for a warm-up that does not count and a window that does.
pub async fn run<C: Client>(clients: Vec<C>, warm_up: Duration, window: Duration) -> Result<Measured> {
    let begin = Instant::now() + warm_up;
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(drive(client, begin, window));
    }
    let mut total = Measured::new(window)?;
    while let Some(outcome) = tasks.join_next().await {
        total.add(outcome.context("a client panicked")??)?;
    }
    Ok(total)
}

/// Runs all clients at once until each has answered 0, which says that there is nothing left to do, or has failed too
/// often. Everything counts, and the window is the time that it took.
pub async fn run_through<C: Client>(clients: Vec<C>, most: Duration) -> Result<Measured> {
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(drive(client, begin, most));
    }
    let mut total = Measured::new(most)?;
    while let Some(outcome) = tasks.join_next().await {
        total.add(outcome.context("a client panicked")??)?;
    }
    total.window = begin.elapsed().min(most);
    Ok(total)
}

/// A step counts where it ends inside the window, so that each second of it has whole work in it.
async fn drive<C: Client>(mut client: C, begin: Instant, window: Duration) -> Result<Measured> {
    let mut measured = Measured::new(window)?;
    let end = begin + window;
    let mut failures = 0;
    let mut started = Instant::now();
    while started < end && failures < FAILURES_IN_A_ROW_MAX {
        let outcome = client.step().await;
        let ended = Instant::now();
        match outcome {
            Ok(0) => break,
            Ok(items) => {
                failures = 0;
                if ended > begin && ended <= end {
                    measured.items += items;
                    let latency = u64::try_from((ended - started).as_micros()).unwrap_or(LATENCY_MAX_US);
                    measured.latency_us.saturating_record(latency.max(1));
                }
            }
            // An error in the warm-up is an error too.
            Err(error) => {
                failures += 1;
                measured.errors += 1;
                measured.first_error.get_or_insert_with(|| format!("{error:#}"));
            }
        }
        started = ended;
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Steady;

    impl Client for Steady {
        async fn step(&mut self) -> Result<u64> {
            tokio::task::yield_now().await;
            Ok(2)
        }
    }

    struct Broken;

    impl Client for Broken {
        async fn step(&mut self) -> Result<u64> {
            anyhow::bail!("gone")
        }
    }

    #[tokio::test]
    async fn items_and_latencies_are_counted_inside_the_window() {
        let window = Duration::from_millis(50);

        let measured = run(vec![Steady, Steady], Duration::from_millis(10), window).await.unwrap();

        assert!(measured.items > 0);
        assert_eq!(measured.items, measured.latency_us.len() * 2);
        assert_eq!(measured.errors, 0);
    }

    struct Ending(u64);

    impl Client for Ending {
        async fn step(&mut self) -> Result<u64> {
            self.0 = self.0.saturating_sub(1);
            Ok(self.0.min(1))
        }
    }

    #[tokio::test]
    async fn clients_that_have_nothing_left_to_do_end_the_run() {
        let measured = run_through(vec![Ending(3), Ending(5)], Duration::from_secs(60)).await.unwrap();

        assert_eq!((measured.items, measured.errors), (6, 0));
        assert!(measured.window < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn a_client_that_only_fails_is_counted_and_given_up() {
        let measured = run(vec![Broken], Duration::ZERO, Duration::from_secs(60)).await.unwrap();

        assert_eq!((measured.items, measured.errors), (0, u64::from(FAILURES_IN_A_ROW_MAX)));
        assert_eq!(measured.first_error.as_deref(), Some("gone"));
    }
}
