//! Starts the peers and hands their addresses to `capstan-bench`, which measures them beside Capstan.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{BENCH, CAPSTAN, PAGE, build};
use crate::services::{Durability, Place, Service, free_port, new_folder};
use crate::setup;
use crate::workspace::{Workspace, succeed};

/// Servers whose own ways to hand out work are measured beside ours.
const PEERS: [Service; 3] = [Service::Redis, Service::Postgres, Service::Beanstalkd];

#[derive(Args)]
pub struct Work {
    /// Which systems, by name: capstan, redis, postgres, beanstalkd [default: all]
    #[arg(long, value_delimiter = ',')]
    systems: Vec<String>,
    /// Write the results into docs/benchmarks.md
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    passed_on: PassedOn,
}

/// Options of the benchmark itself, which has the defaults and checks the values.
#[derive(Args)]
struct PassedOn {
    /// table or json, one row a line
    #[arg(long)]
    output: Option<String>,
    /// Length of one measurement
    #[arg(long)]
    seconds: Option<String>,
    /// How often every cell is measured; medians are reported
    #[arg(long)]
    repeats: Option<String>,
    /// Numbers of clients, such as 1,8,64
    #[arg(long)]
    clients: Option<String>,
    /// What to measure of the peers: enqueue, acquire_complete, batch_50, bulk
    #[arg(long)]
    cases: Option<String>,
    /// Ways into Capstan: http, grpc, stream
    #[arg(long)]
    transports: Option<String>,
}

impl PassedOn {
    fn arguments(&self) -> Vec<String> {
        let given = [
            ("output", &self.output),
            ("seconds", &self.seconds),
            ("repeats", &self.repeats),
            ("clients", &self.clients),
            ("cases", &self.cases),
            ("transports", &self.transports),
        ];
        given.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?))).collect()
    }
}

pub fn run(workspace: &Workspace, work: &Work) -> Result<()> {
    let Work { systems, save, passed_on } = work;
    let known = || PEERS.map(Service::name).into_iter().chain([CAPSTAN]);
    if let Some(unknown) = systems.iter().find(|system| !known().any(|name| name == *system)) {
        bail!("there is no system named {unknown}; there are {}", known().collect::<Vec<_>>().join(", "));
    }
    let wanted = |name: &str| systems.is_empty() || systems.iter().any(|system| system == name);

    let built = build(workspace, wanted(CAPSTAN))?;
    let folder = new_folder("bench")?;
    let mut command = Command::new(built.join(BENCH));
    command.arg("work").arg("--data-dir").arg(folder.join(CAPSTAN)).stdin(Stdio::null()).current_dir(&workspace.root);
    if wanted(CAPSTAN) {
        command.arg("--capstan").arg(built.join(CAPSTAN));
    }
    let peers = PEERS.into_iter().filter(|service| wanted(service.name())).collect::<Vec<_>>();
    let missing = setup::install(&peers);
    let mut running = Vec::new();
    for peer in peers.into_iter().filter(|peer| !missing.contains(peer)) {
        let place = Place { folder: folder.join(peer.name()), port: free_port()?, durability: Durability::BeforeAck };
        let server = peer.start(&place, false)?;
        command.arg("--peer").arg(format!("{peer}={}", server.url));
        running.push(server);
    }
    if *save {
        command.arg("--save").arg(workspace.root.join(PAGE));
    }
    let outcome = succeed(command.args(passed_on.arguments()), "the benchmark");
    for server in running {
        server.stop()?;
    }
    fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    outcome
}
