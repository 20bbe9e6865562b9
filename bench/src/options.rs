//! What was typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::peers::Peer;
use crate::row::Case;

#[derive(Parser)]
#[command(name = "capstan-bench")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Work items: enqueue, acquire and complete, batches, bulk
    Work(Options),
    /// Pipelines: registrations, reports, reads, floods of heartbeats, and a replay
    Registry(crate::registry::Options),
    /// One collection from one MongoDB server to another, in each way there is
    Migrate(crate::migrate::Options),
    /// The way that `migrate` measures others against: a plain loop on the driver
    Copy(crate::migrate::plain_loop::Copy),
}

#[derive(Args)]
pub struct Options {
    /// A peer that runs already, as NAME=URL; names are redis, postgres and beanstalkd
    #[arg(long = "peer", value_name = "NAME=URL")]
    pub peers: Vec<Peer>,
    /// The capstan binary to measure; without it, only peers are measured
    #[arg(long)]
    pub capstan: Option<PathBuf>,
    /// Ways into Capstan to measure
    #[arg(long, value_delimiter = ',', default_value = "http,grpc,stream")]
    pub transports: Vec<String>,
    /// Folder for Capstan's data and the disk probe; must lie on the disk that the peers write to
    #[arg(long)]
    pub data_dir: PathBuf,
    /// Numbers of clients, each with one request outstanding
    #[arg(long, value_delimiter = ',', default_value = "1,8,64")]
    pub clients: Vec<usize>,
    /// What to measure of the peers
    #[arg(long, value_enum, value_delimiter = ',', default_value = "enqueue,acquire_complete,batch_50,bulk")]
    pub cases: Vec<Case>,
    /// Length of one measurement, after a warm-up of one second
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// How often every cell is measured; medians are reported
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeats: u32,
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Write the results between the markers of this page
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    /// One JSON document a line
    Json,
}

impl Options {
    /// How long each cell runs before it counts.
    pub const WARM_UP: Duration = Duration::from_secs(1);

    pub fn window(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
