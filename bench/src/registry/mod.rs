//! The registry under load: registrations, reports and reads a second beside the peers, floods of heartbeats, and a
//! replay of many events.
//!
//! A flood has to leave the journal's growth bounded, or the benchmark fails; what was read back is compared with what
//! was written. `cargo xtask bench registry` starts the peers and calls this.

mod case;
mod flood;
mod grpc;
mod options;
mod page;
mod peers;
mod rates;
mod replay;
mod rest;
mod servers;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::machine::Machine;
use crate::options::Output;
use crate::row::{Row, medians};
use crate::table;
use flood::Flood;
pub use options::Options;
use options::Part;
use rates::Rates;
use replay::Replay;

/// What a run came to.
struct Outcome {
    /// Medians, one row for each rate.
    rows: Vec<Row>,
    floods: Vec<Flood>,
    replay: Option<Replay>,
    /// Each system with its version and how it was used.
    systems: Vec<(String, String)>,
    machine: Machine,
    /// Load of the machine over a minute, when it began.
    load: String,
    failures: Vec<String>,
}

pub async fn run(options: &Options) -> Result<ExitCode> {
    let outcome = measure(options).await?;
    match options.output {
        Output::Json => {
            for row in &outcome.rows {
                println!("{}", serde_json::to_string(row)?);
            }
            for flood in &outcome.floods {
                println!("{}", serde_json::to_string(flood)?);
            }
            if let Some(replay) = &outcome.replay {
                println!("{}", serde_json::to_string(replay)?);
            }
        }
        Output::Table => {
            if !outcome.rows.is_empty() {
                print!("{}", table::render(&outcome.rows));
            }
            print!("{}", page::floods_and_replay(&outcome.floods, outcome.replay.as_ref()));
        }
    }
    for failure in &outcome.failures {
        eprintln!("error: {failure}");
    }
    if let Some(file) = &options.save {
        ensure!(outcome.failures.is_empty(), "nothing is saved, because something failed: {}", outcome.failures[0]);
        crate::page::save(file, &options.section(), &page::render(options, &outcome))?;
        eprintln!("saved to {}", file.display());
    }
    Ok(if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(options: &Options) -> Result<Outcome> {
    fs::create_dir_all(&options.data_dir).with_context(|| format!("create {}", options.data_dir.display()))?;
    let machine = Machine::look(&options.data_dir)?;
    if !machine.has_disk() {
        bail!("{} lies in memory ({}), where a flush means nothing", options.data_dir.display(), machine.file_system);
    }
    let load = fs::read_to_string("/proc/loadavg").context("read /proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let mut systems = Vec::new();
    for peer in &options.peers {
        let how = if peer.name() == "redis" { peers::REDIS } else { peers::POSTGRES };
        systems.push((format!("{} {}", peer.name(), peer.version().await?), how.to_owned()));
    }
    systems.push(of_capstan(options).await?);
    let mut rates = Rates { options, rows: Vec::new(), failures: Vec::new() };
    if options.parts.contains(&Part::Rates) {
        rates.measure().await?;
    }
    let floods = if options.parts.contains(&Part::Flood) { flood::measure(options).await? } else { Vec::new() };
    let replay = match options.parts.contains(&Part::Replay) && options.journal.is_none() {
        true => Some(replay::measure(options).await?),
        false => None,
    };
    let mut failures = rates.failures;
    failures.extend(floods.iter().filter_map(Flood::fault));
    Ok(Outcome { rows: medians(&rates.rows), floods, replay, systems, machine, load, failures })
}

/// Ours, with its version and where its journal is.
async fn of_capstan(options: &Options) -> Result<(String, String)> {
    let server = servers::Server::start(options).await?;
    let version = server.capstan.version.clone();
    server.discard().await?;
    let journal = match options.journal_name() {
        None => "embedded journal".to_owned(),
        Some(name) => format!("journal in {name}, on this machine"),
    };
    Ok((version, format!("{journal}; raw HTTP/1.1, tonic")))
}
