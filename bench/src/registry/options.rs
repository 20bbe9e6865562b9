//! What was typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::case::Case;
use crate::options::Output;
use crate::peers::Peer;

#[derive(Args)]
pub struct Options {
    /// The capstan binary to measure
    #[arg(long)]
    pub capstan: PathBuf,
    /// A peer that runs already, as NAME=URL; names are redis and postgres
    #[arg(long = "peer", value_name = "NAME=URL")]
    pub peers: Vec<Peer>,
    /// Folder for Capstan's data; must lie on the disk that the peers write to
    #[arg(long)]
    pub data_dir: PathBuf,
    /// A database that the journal is kept in: postgres://HOST/DATABASE or cassandra://HOST/KEYSPACE, without parameters
    #[arg(long)]
    pub journal: Option<String>,
    /// Parts to measure
    #[arg(long, value_enum, value_delimiter = ',', default_value = "rates,flood,replay")]
    pub parts: Vec<Part>,
    /// What to measure of the rates
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "register,report_status,report_usage,get_one,list_100,system"
    )]
    pub cases: Vec<Case>,
    /// Numbers of clients, each with one request outstanding
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    pub clients: Vec<usize>,
    /// Length of one measurement of a rate, after a warm-up of one second
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub seconds: u64,
    /// How often every rate is measured; medians are reported
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeats: u32,
    /// Length of each flood
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub flood_seconds: u64,
    /// Events that are replayed
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    pub events: u64,
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Write the results between the markers of this page
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Registrations, reports and reads, beside the peers
    Rates,
    /// Heartbeats of ten thousand pipelines, alone and with changes of usage
    Flood,
    /// Many events read back; with a journal of its own alone
    Replay,
}

impl Options {
    pub fn window(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// What a database is called that the journal is kept in.
    pub fn journal_name(&self) -> Option<&str> {
        self.journal.as_deref().and_then(|url| url.split_once("://")).map(|(name, _)| name)
    }

    /// What the section of the page is called.
    pub fn section(&self) -> String {
        self.journal_name().map_or_else(|| "registry".to_owned(), |name| format!("registry --journal {name}"))
    }
}
