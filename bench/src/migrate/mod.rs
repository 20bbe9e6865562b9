//! Moves the same documents between the same servers in each way there is, and says what each took.
//!
//! Ways take turns within a round, so that a machine that slows down slows all of them. Each moves one collection into a
//! database that was dropped before, in processes of its own, whose processor time and memory the system counts; what
//! the servers used meanwhile is counted too. What arrived is counted at the target and compared with the source.
//!
//! `cargo xtask bench migrate` starts the servers and calls this.

mod data;
pub mod metered;
mod options;
mod page;
pub mod plain_loop;
mod row;
mod table;
mod ways;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use mongodb::Client;

use crate::machine::Machine;
use crate::options::Output;
use data::DATA;
pub use options::Options;
use options::Server;
use row::Row;
use ways::Way;

/// Where the documents are, and where they go.
const DATABASE: &str = "bench";

/// What a run came to.
struct Outcome {
    /// Medians, one row for each thing measured.
    rows: Vec<Row>,
    ways: Vec<Way>,
    machine: Machine,
    failures: Vec<String>,
}

pub async fn run(options: &Options) -> Result<ExitCode> {
    let outcome = measure(options).await?;
    match options.output {
        Output::Json => {
            for row in &outcome.rows {
                println!("{}", serde_json::to_string(row)?);
            }
        }
        Output::Table => print!("{}", table::render(&outcome.rows)),
    }
    if let Some(file) = &options.save {
        ensure!(outcome.failures.is_empty(), "nothing is saved, because something failed: {}", outcome.failures[0]);
        crate::page::save(file, "migrate", &page::render(options, &outcome))?;
        eprintln!("saved to {}", file.display());
    }
    for failure in &outcome.failures {
        eprintln!("error: {failure}");
    }
    Ok(if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(options: &Options) -> Result<Outcome> {
    fs::create_dir_all(&options.data_dir).with_context(|| format!("create {}", options.data_dir.display()))?;
    let machine = Machine::look(&options.data_dir)?;
    let source = Client::with_uri_str(&options.source.url).await.context("connect to the source")?;
    let mut filled = Vec::new();
    for data in DATA.iter().filter(|data| options.has(data.name)) {
        filled.push((data, data::fill(&source, DATABASE, data).await?));
    }
    let ways = ways::all(options)?;
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        for target in &options.targets {
            for (data, filled) in &filled {
                eprintln!("round {round} of {}: {} to {}", options.rounds, data.name, target.name);
                // No way comes first each time.
                for turn in 0..ways.len() {
                    let way = &ways[(turn + round as usize) % ways.len()];
                    match once(options, way, target, data.name, *filled).await {
                        Ok(row) => rows.push(row),
                        Err(error) => {
                            failures.push(format!("{} of {} to {}: {error:#}", way.name(), data.name, target.name));
                        }
                    }
                }
            }
        }
    }
    Ok(Outcome { rows: row::medians(&rows), ways, machine, failures })
}

/// Moves a collection once.
async fn once(options: &Options, way: &Way, target: &Server, data: &str, filled: data::Filled) -> Result<Row> {
    let client = Client::with_uri_str(&target.url).await.context("connect to the target")?;
    if client.list_database_names().await?.iter().any(|name| name == DATABASE) {
        client.database(DATABASE).drop().await.context("empty the target")?;
    }
    let folder = options.data_dir.join("run");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    // What one way has written and not flushed must not slow down another.
    rustix::fs::sync();

    let commands = way.commands(options, target, &format!("{DATABASE}.{data}"), &folder);
    let servers = [options.source.pids.clone(), target.pids.clone()].concat();
    let used = tokio::task::spawn_blocking(move || metered::run(commands, &servers)).await??;

    let verified = data::count(&client, DATABASE, data).await?;
    ensure!(verified == filled.documents, "{verified} documents arrived of {}", filled.documents);
    Ok(Row::of(way.name(), &target.name, data, filled, &used))
}
