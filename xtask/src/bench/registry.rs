//! Starts the peers, and the database of the journal where one is asked for, and has `capstan-bench` measure.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::{BENCH, CAPSTAN, PAGE, build};
use crate::services::{Durability, Place, Service, free_port, new_folder};
use crate::setup;
use crate::workspace::{Workspace, succeed};

/// Servers that rows are kept in otherwise.
const PEERS: [Service; 2] = [Service::Redis, Service::Postgres];

#[derive(Args)]
pub struct Registry {
    /// Where Capstan keeps its journal
    #[arg(long, value_enum, default_value_t = JournalIn::Embedded)]
    journal: JournalIn,
    /// Write the results into docs/benchmarks.md
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    passed_on: PassedOn,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum JournalIn {
    Embedded,
    Postgres,
    Cassandra,
}

impl JournalIn {
    fn service(self) -> Option<Service> {
        match self {
            Self::Embedded => None,
            Self::Postgres => Some(Service::Postgres),
            Self::Cassandra => Some(Service::Cassandra),
        }
    }
}

/// Options of the benchmark itself, which has the defaults and checks the values.
#[derive(Args)]
struct PassedOn {
    /// table or json, one row a line
    #[arg(long)]
    output: Option<String>,
    /// Parts to measure: rates, flood, replay
    #[arg(long)]
    parts: Option<String>,
    /// Rates to measure: register, report_status, report_usage, get_one, list_100, system
    #[arg(long)]
    cases: Option<String>,
    /// Numbers of clients, such as 1,8,64
    #[arg(long)]
    clients: Option<String>,
    /// Length of one measurement of a rate
    #[arg(long)]
    seconds: Option<String>,
    /// How often every rate is measured; medians are reported
    #[arg(long)]
    repeats: Option<String>,
    /// Length of each flood
    #[arg(long)]
    flood_seconds: Option<String>,
    /// Events that are replayed
    #[arg(long)]
    events: Option<String>,
}

impl PassedOn {
    fn arguments(&self) -> Vec<String> {
        let given = [
            ("output", &self.output),
            ("parts", &self.parts),
            ("cases", &self.cases),
            ("clients", &self.clients),
            ("seconds", &self.seconds),
            ("repeats", &self.repeats),
            ("flood-seconds", &self.flood_seconds),
            ("events", &self.events),
        ];
        given.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?))).collect()
    }
}

pub fn run(workspace: &Workspace, registry: &Registry) -> Result<()> {
    let built = build(workspace, true)?;
    let journal = registry.journal.service();
    let missing = setup::install(&[&PEERS[..], journal.as_slice()].concat());
    let folder = new_folder("bench-registry")?;
    let mut command = Command::new(built.join(BENCH));
    command.arg("registry").arg("--capstan").arg(built.join(CAPSTAN)).arg("--data-dir").arg(folder.join(CAPSTAN));
    let mut running = Vec::new();
    let mut start = |service: Service, name: &str| -> Result<String> {
        let place = Place { folder: folder.join(name), port: free_port()?, durability: Durability::BeforeAck };
        let server = service.start(&place, false)?;
        let url = server.url.clone();
        running.push(server);
        Ok(url)
    };
    for peer in PEERS.into_iter().filter(|peer| !missing.contains(peer)) {
        command.arg("--peer").arg(format!("{peer}={}", start(peer, peer.name())?));
    }
    if let Some(service) = journal {
        if missing.contains(&service) {
            bail!("{service} cannot be had on this machine");
        }
        // One of its own: what peers write must not be in its way.
        let url = start(service, "journal")?;
        let keyspace = if service == Service::Cassandra { "/capstan" } else { "" };
        command.arg("--journal").arg(format!("{url}{keyspace}"));
    }
    if registry.save {
        command.arg("--save").arg(workspace.root.join(PAGE));
    }
    command.args(registry.passed_on.arguments()).stdin(Stdio::null()).current_dir(&workspace.root);
    let outcome = succeed(&mut command, "the benchmark");
    for server in running {
        server.stop()?;
    }
    fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    outcome
}
