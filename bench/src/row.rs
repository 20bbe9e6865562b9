//! One measurement, as it is printed; and the median of several.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Payload of every item, in bytes.
pub const PAYLOAD_BYTES: usize = 128;
/// Items in one batch of [`Case::Batch50`].
pub const BATCH: usize = 50;
/// Items in one request of [`Case::Bulk`].
pub const BULK: usize = 1000;

/// What is measured of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Case {
    /// One item a request
    Enqueue,
    /// One item a request, then its completion in another
    AcquireComplete,
    /// Fifty items a request, then their completion in another; counted in items
    #[value(name = "batch_50")]
    Batch50,
    /// A thousand items a request; counted in items
    Bulk,
}

impl Case {
    pub fn name(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::AcquireComplete => "acquire_complete",
            Self::Batch50 => "batch_50",
            Self::Bulk => "bulk",
        }
    }

    /// Whether it takes items out, so that some must lie there.
    pub fn takes(self) -> bool {
        matches!(self, Self::AcquireComplete | Self::Batch50)
    }
}

/// A row of results. The fields are what scripts read; `repeats`, `per_second_min` and `per_second_max` are of the
/// measurements that the medians are taken of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub system: String,
    pub case: String,
    pub transport: String,
    pub clients: usize,
    /// Requests outstanding over all clients.
    pub in_flight: usize,
    /// `before_ack` or `later`; `read` where there is nothing to flush.
    pub durability: String,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub errors: u64,
    #[serde(default = "once")]
    pub repeats: usize,
    #[serde(default)]
    pub per_second_min: f64,
    #[serde(default)]
    pub per_second_max: f64,
}

fn once() -> usize {
    1
}

impl Row {
    /// Whether two rows measure the same thing.
    pub fn is_repeat_of(&self, other: &Self) -> bool {
        let key = |row: &Self| {
            let Row { system, case, transport, clients, in_flight, durability, .. } = row.clone();
            (system, case, transport, clients, in_flight, durability)
        };
        key(self) == key(other)
    }
}

/// One row for each thing measured, in the order in which they were first measured. Errors are added up: a median would
/// hide them.
pub fn medians(rows: &[Row]) -> Vec<Row> {
    let mut firsts: Vec<&Row> = Vec::new();
    for row in rows {
        if !firsts.iter().any(|first| row.is_repeat_of(first)) {
            firsts.push(row);
        }
    }
    firsts
        .into_iter()
        .map(|first| {
            let same = rows.iter().filter(|row| row.is_repeat_of(first)).collect::<Vec<_>>();
            let of = |figure: fn(&Row) -> f64| median(same.iter().map(|row| figure(row)).collect());
            let rates = same.iter().map(|row| row.per_second);
            Row {
                per_second: of(|row| row.per_second),
                p50_ms: of(|row| row.p50_ms),
                p99_ms: of(|row| row.p99_ms),
                errors: same.iter().map(|row| row.errors).sum(),
                repeats: same.len(),
                per_second_min: rates.clone().fold(f64::INFINITY, f64::min),
                per_second_max: rates.fold(0.0, f64::max),
                ..first.clone()
            }
        })
        .collect()
}

/// The middle one, or the middle between two. There is at least one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { f64::midpoint(figures[middle - 1], figures[middle]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(system: &str, per_second: f64, errors: u64) -> Row {
        let json = format!(
            r#"{{"system":"{system}","case":"enqueue","transport":"resp","clients":8,"in_flight":8,"durability":"before_ack","per_second":{per_second},"p50_ms":1.5,"p99_ms":2.0,"errors":{errors}}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn repeats_become_one_row_with_the_median_and_all_errors() {
        let rows = [row("redis", 10.0, 1), row("postgres", 5.0, 0), row("redis", 30.0, 2), row("redis", 20.0, 0)];

        let medians = medians(&rows);

        let shown = medians.iter().map(|row| (row.system.as_str(), row.per_second, row.errors, row.repeats));
        assert_eq!(shown.collect::<Vec<_>>(), [("redis", 20.0, 3, 3), ("postgres", 5.0, 0, 1)]);
        assert_eq!((medians[0].per_second_min, medians[0].per_second_max), (10.0, 30.0));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median(vec![4.0, 1.0, 2.0, 8.0]), 3.0);
    }
}
