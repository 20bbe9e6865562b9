//! The `capstan` binary: every role of the system, and the client of all of them.
//!
//! Nouns, then verbs. What was asked for goes to stdout, talk goes to stderr. docs/cli.md lists every command with its
//! shape of output, and the exit codes.

mod commands;
mod context;
mod endpoints;
mod failure;
mod home;
mod input;
mod journals;
mod migration;
mod output;
mod render;
mod secrets;
mod station;
mod yaml;

use clap::Parser;
use std::process::ExitCode;

// The server allocates and frees small things all day, from several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
