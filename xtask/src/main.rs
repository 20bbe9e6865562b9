//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! Everything a contributor or a CI machine does goes through here, so that there is one way to do it: set-up,
//! the whole test run, real servers on loopback, the checks of the architecture, generated files, benchmarks and
//! long proofs. Nothing of this is part of what users run.

mod bench;
mod generate;
mod promtool;
mod prove;
mod services;
mod setup;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use workspace::Workspace;

/// Set-up, tests, services, checks, generated files and benchmarks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what tests and benchmarks need, from package registries; quick when everything is there
    Setup(setup::Options),
    /// Real servers on loopback: list, start, stop
    #[command(subcommand)]
    Services(services::Action),
    /// Check layer directions, pure cores, lints, leftovers, file lengths, links and error pages
    Tidy,
    /// Write the checked-in generated files again
    Generate(generate::Options),
    /// Run every check and every test, and end with one line that counts them
    Test(test::Options),
    /// Measure Capstan beside its peers on this machine
    #[command(subcommand)]
    Bench(bench::Action),
    /// Run one long proof by name; without a name, list them
    Prove(prove::Options),
}

fn main() -> ExitCode {
    // One line, whatever the environment says of backtraces: what fails here is a command, and its output is above.
    run(Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match command {
        Command::Setup(options) => setup::run(&options)?,
        Command::Services(action) => services::run(&action)?,
        Command::Tidy => tidy::run(&workspace)?,
        Command::Generate(options) => generate::run(&workspace, &options)?,
        Command::Test(options) => return test::run(&workspace, &options),
        Command::Bench(action) => bench::run(&workspace, &action)?,
        Command::Prove(options) => prove::run(&workspace, &options)?,
    }
    Ok(ExitCode::SUCCESS)
}
