//! Starts the servers that documents are moved between, and hands them to `capstan-bench`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{BENCH, CAPSTAN, PAGE, build};
use crate::services::{Durability, Place, Running, Service, free_port, new_folder, on_path};
use crate::setup;
use crate::workspace::{Workspace, succeed};

/// The tools that are measured where this machine has them: the variable that names one, or its name on `PATH`.
const TOOLS: [(&str, &str); 2] = [("CAPSTAN_MONGODUMP", "mongodump"), ("CAPSTAN_MONGORESTORE", "mongorestore")];

#[derive(Args)]
pub struct Migrate {
    /// Write the results into docs/benchmarks.md
    #[arg(long)]
    save: bool,
    /// table or json, one row a line
    #[arg(long)]
    output: Option<String>,
    /// How often everything is measured; medians are reported
    #[arg(long)]
    rounds: Option<String>,
    /// Only these data: small, large
    #[arg(long)]
    data: Option<String>,
    /// Only these targets: mongo, ferret
    #[arg(long, value_delimiter = ',', default_value = "mongo,ferret")]
    targets: Vec<String>,
}

pub fn run(workspace: &Workspace, migrate: &Migrate) -> Result<()> {
    let targets = [Service::Mongo, Service::Ferret];
    if let Some(unknown) = migrate.targets.iter().find(|name| !targets.iter().any(|target| target.name() == *name)) {
        bail!("there is no target named {unknown}; there are mongo, ferret");
    }
    let targets: Vec<Service> =
        targets.into_iter().filter(|target| migrate.targets.iter().any(|name| name == target.name())).collect();
    let built = build(workspace, true)?;
    let missing = setup::install(&[Service::Mongo, Service::Ferret]);
    if let Some(missing) = missing.iter().find(|missing| targets.contains(missing) || **missing == Service::Mongo) {
        bail!("{missing} cannot be had on this machine");
    }

    let folder = new_folder("bench-migrate")?;
    let start = |service: Service, name: &str| -> Result<Running> {
        let place = Place { folder: folder.join(name), port: free_port()?, durability: Durability::BeforeAck };
        service.start(&place, false)
    };
    let source = start(Service::Mongo, "source")?;
    let mut command = Command::new(built.join(BENCH));
    command.arg("migrate").arg("--capstan").arg(built.join(CAPSTAN)).arg("--data-dir").arg(folder.join(CAPSTAN));
    command.arg("--source").arg(named(&source));
    let mut running = vec![source];
    for target in targets {
        let server = start(target, target.name())?;
        command.arg("--target").arg(named(&server));
        running.push(server);
    }
    match TOOLS.map(|(variable, name)| tool(variable, name)) {
        [Some(dump), Some(restore)] => {
            command.arg("--mongodump").arg(dump).arg("--mongorestore").arg(restore);
        }
        _ => eprintln!("mongodump and mongorestore are not on PATH, and are not measured"),
    }
    if migrate.save {
        command.arg("--save").arg(workspace.root.join(PAGE));
    }
    for (name, value) in [("output", &migrate.output), ("rounds", &migrate.rounds), ("data", &migrate.data)] {
        command.args(value.iter().map(|value| format!("--{name}={value}")));
    }
    let outcome = succeed(command.stdin(Stdio::null()).current_dir(&workspace.root), "the benchmark");
    for server in running {
        server.stop()?;
    }
    fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    outcome
}

/// A server as the benchmark is told of it: with the processes that all of it descends from.
fn named(server: &Running) -> String {
    let pids: Vec<String> = server.pids().iter().map(u32::to_string).collect();
    format!("{}={},{}", server.service, server.url, pids.join("+"))
}

fn tool(variable: &str, name: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).or_else(|| on_path(name))
}
