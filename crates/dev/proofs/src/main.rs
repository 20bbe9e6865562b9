//! `cargo xtask prove NAME` runs these.

use capstan_proofs::kills;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

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
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let is_good = match Arguments::parse().proof {
        Proof::Kills(options) => {
            let report = kills::run(&options, true).await?;
            print!("{}", report.table());
            if !report.is_good() {
                print!("{}", report.stories());
            }
            report.is_good()
        }
    };
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
