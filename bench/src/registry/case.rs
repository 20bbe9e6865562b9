//! What is measured of the registry, and what the clients of one measurement share.

use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;

/// Pipelines that are there where reports are measured: more than are reported in a second, for a second report within
/// one is held back.
pub const REPORTED: u64 = 90_000;

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Case {
    /// A new pipeline a request
    Register,
    /// A status with other figures than before, each of another pipeline
    ReportStatus,
    /// A usage that is not what it was, each of another pipeline
    ReportUsage,
    /// One pipeline by its id
    GetOne,
    /// A page of a hundred pipelines; counted in pages
    #[value(name = "list_100")]
    List100,
    /// All pipelines together
    System,
}

impl Case {
    pub fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::ReportStatus => "report_status",
            Self::ReportUsage => "report_usage",
            Self::GetOne => "get_one",
            Self::List100 => "list_100",
            Self::System => "system",
        }
    }

    /// When what the registry was told is on its disk, or that it was told nothing.
    pub fn durability(self) -> &'static str {
        match self {
            Self::Register | Self::ReportStatus => "before_ack",
            Self::ReportUsage => "later",
            Self::GetOne | Self::List100 | Self::System => "read",
        }
    }
}

/// What the clients of one measurement share: whose turn it is.
#[derive(Debug)]
pub struct Turns {
    next: AtomicU64,
    /// So many pipelines there are, or are to be made.
    pipelines: u64,
}

impl Turns {
    pub fn new(pipelines: u64) -> Self {
        Self { next: AtomicU64::new(0), pipelines }
    }

    /// The next pipeline that nobody has made; none once all are there.
    pub fn new_one(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.pipelines).then_some(number)
    }

    /// The next pipeline in turn, and a number that is never the same.
    pub fn next(&self) -> (u64, u64) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number % self.pipelines, number)
    }
}

pub fn id(pipeline: u64) -> String {
    format!("pipeline-{pipeline:06}")
}

/// A usage that the figures before it were not.
pub fn usage(number: u64) -> (f64, u64) {
    // Primes, so that a round through all pipelines never comes back to the same figures.
    ((number % 1_009) as f64 / 1_009.0, number % 9_973)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pipeline_is_made_once_and_then_reported_in_turn() {
        let turns = Turns::new(2);
        assert_eq!([turns.new_one(), turns.new_one(), turns.new_one()], [Some(0), Some(1), None]);

        let turns = Turns::new(2);
        assert_eq!([turns.next(), turns.next(), turns.next()], [(0, 0), (1, 1), (0, 2)]);
    }

    #[test]
    fn names_of_cases_are_what_is_typed() {
        for case in Case::value_variants() {
            assert_eq!(case.to_possible_value().unwrap().get_name(), case.name());
        }
    }
}
