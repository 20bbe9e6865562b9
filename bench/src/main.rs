//! Measures Capstan and its peers side by side on this machine.
//!
//! Every system is driven by the leanest client there is for it, acknowledges only what is on its disk, and takes its
//! turn in every cell, so that a machine that slows down slows all of them. A probe of the disk frames each round: where
//! it moves, the machine moved. Nothing is printed that was not measured in this run.
//!
//! `cargo xtask bench work`, `bench registry` and `bench migrate` start the servers and call this.

mod capstan;
mod closed_loop;
mod connection;
mod machine;
mod migrate;
mod options;
mod page;
mod peers;
mod probe;
mod registry;
mod rounds;
mod row;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use options::{Cli, Command, Options, Output};

// One thread: the systems under test share the machine's cores with their client, and more threads than cores cost.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Work(options) => work(&options).await,
        Command::Registry(options) => registry::run(&options).await,
        Command::Migrate(options) => migrate::run(&options).await,
        Command::Copy(copy) => migrate::plain_loop::run(&copy).await.map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn work(options: &Options) -> Result<ExitCode> {
    let outcome = rounds::run(options).await?;
    match options.output {
        Output::Json => {
            for row in &outcome.rows {
                println!("{}", serde_json::to_string(row)?);
            }
        }
        Output::Table => print!("{}", table::render(&outcome.rows)),
    }
    if let Some(file) = &options.save {
        page::save(file, "work", &page::render(options, &outcome))?;
        eprintln!("saved to {}", file.display());
    }
    for failure in &outcome.failures {
        eprintln!("error: {failure}");
    }
    Ok(if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
