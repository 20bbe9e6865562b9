//! Benchmarks: builds what is measured, starts what it is measured with, and has `capstan-bench` measure.

mod migrate;
mod registry;
mod work;

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Result;
use clap::Subcommand;

use crate::workspace::{Workspace, succeed};

/// The program that measures, and the one that is measured.
const BENCH: &str = "capstan-bench";
const CAPSTAN: &str = "capstan";
/// The page whose generated sections `--save` writes again.
const PAGE: &str = "docs/benchmarks.md";

#[derive(Subcommand)]
pub enum Action {
    /// Enqueue, then acquire and complete: each system in turn, cell by cell, with its leanest client
    Work(work::Work),
    /// Pipelines: registrations, reports and reads beside rows in Redis and PostgreSQL, floods of heartbeats, a replay
    Registry(registry::Registry),
    /// One collection between MongoDB servers: Capstan, mongodump | mongorestore, and a plain loop, in turn
    Migrate(migrate::Migrate),
}

pub fn run(workspace: &Workspace, action: &Action) -> Result<()> {
    match action {
        Action::Work(work) => work::run(workspace, work),
        Action::Registry(registry) => registry::run(workspace, registry),
        Action::Migrate(migrate) => migrate::run(workspace, migrate),
    }
}

/// Builds what measures, and what is measured if it is wanted. Returns the folder of both.
fn build(workspace: &Workspace, with_capstan: bool) -> Result<PathBuf> {
    let mut arguments = vec!["build", "--release", "--package", BENCH];
    if with_capstan {
        arguments.extend(["--package", CAPSTAN]);
    }
    // Standard output is for the rows alone.
    succeed(workspace.cargo(arguments).stdout(Stdio::null()), "building the benchmark")?;
    Ok(workspace.scratch()?.with_file_name("release"))
}
