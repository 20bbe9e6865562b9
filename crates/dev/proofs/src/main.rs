//! `cargo xtask prove NAME` runs these.

use capstan_proofs::{churn, failover, kills, million, server, worker_lost};
use clap::{Parser, Subcommand};
use serde::Serialize;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "Long proofs: real processes, real kills, and a judge of what the clients saw.")]
struct Arguments {
    #[command(subcommand)]
    proof: Proof,
}

#[derive(Subcommand)]
enum Proof {
    /// Clients of every sort on a server that is killed, frozen and told to end
    Kills(kills::Options),
    /// Clients on three servers that share a database, whose leader is killed, frozen, told to end and cut off
    Failover(failover::Options),
    /// A million items, a kill, and the seconds until the first is handed out again
    Million(million::Options),
    /// The rate with very much behind against that with nothing, and the longest wait for a status
    Churn(churn::Options),
    /// A migration whose workers and server are killed on the way
    WorkerLost(worker_lost::Options),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    server::build_program()?;
    let mut terminated = signal(SignalKind::terminate())?;
    // Dropping a proof kills what it has started.
    let is_good = tokio::select! {
        is_good = prove(arguments.proof) => is_good?,
        _ = terminated.recv() => anyhow::bail!("told to end"),
        interrupted = tokio::signal::ctrl_c() => anyhow::bail!("interrupted{}", interrupted.map_or_else(|error| format!(": {error}"), |()| String::new())),
    };
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a proof; whether it holds.
async fn prove(proof: Proof) -> anyhow::Result<bool> {
    Ok(match proof {
        Proof::Kills(options) => {
            let report = kills::run(&options, true).await?;
            print!("{}", report.table());
            if !report.is_good() {
                print!("{}", report.stories());
            }
            report.is_good()
        }
        Proof::Failover(options) => {
            let report = failover::run(&options, true).await?;
            print!("{}", report.table());
            if !report.is_good() {
                print!("{}", report.stories());
            }
            report.is_good()
        }
        Proof::Million(options) => {
            let figures = million::run(&options).await?;
            tell(options.json, &figures, &figures.table())?
        }
        Proof::Churn(options) => {
            let figures = churn::run(&options).await?;
            tell(options.json, &figures, &figures.table())?
        }
        Proof::WorkerLost(options) => {
            let figures = worker_lost::run(&options).await?;
            tell(options.json, &figures, &figures.table())?
        }
    })
}

/// Prints figures; a measurement that ended is a good one.
fn tell(json: bool, figures: &impl Serialize, table: &str) -> anyhow::Result<bool> {
    if json {
        println!("{}", serde_json::to_string(figures)?);
    } else {
        print!("{table}");
    }
    Ok(true)
}
