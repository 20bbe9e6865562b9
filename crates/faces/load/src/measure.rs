//! Counting what is done in a window of time.

use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// The longest time told apart: a minute, in microseconds.
const LONGEST_US: u64 = 60_000_000;

/// A window of time that begins after a warm-up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    begin: Instant,
    end: Instant,
}

impl Window {
    pub fn after(warm_up: Duration, length: Duration) -> Self {
        let begin = Instant::now() + warm_up;
        Self { begin, end: begin + length }
    }

    pub fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    pub fn length(&self) -> Duration {
        self.end - self.begin
    }
}

/// What one client, or all of them, did in the window.
#[derive(Debug)]
pub(crate) struct Tally {
    window: Window,
    pub done: u64,
    pub errors: u64,
    micros: Histogram<u64>,
    pub first_error: Option<String>,
}

impl Tally {
    pub fn new(window: Window) -> Self {
        let micros = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are sound");
        Self { window, done: 0, errors: 0, micros, first_error: None }
    }

    /// A request that began at `began` has done `items` things.
    pub fn count(&mut self, began: Instant, items: u64) {
        let now = Instant::now();
        if now < self.window.begin || now > self.window.end {
            return;
        }
        self.done += items;
        self.micros.saturating_record((now - began).as_micros() as u64);
    }

    pub fn fail(&mut self, error: &dyn std::fmt::Display) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    pub fn add(&mut self, other: Self) {
        self.done += other.done;
        self.errors += other.errors;
        self.micros.add(other.micros).expect("both have the same bounds");
        self.first_error = self.first_error.take().or(other.first_error);
    }

    pub fn per_second(&self) -> f64 {
        self.done as f64 / self.window.length().as_secs_f64()
    }

    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.micros.value_at_quantile(quantile) as f64 / 1_000.0
    }
}
