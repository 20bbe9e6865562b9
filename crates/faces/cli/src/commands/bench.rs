//! Putting a server under load.

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Table;
use crate::station::{Addresses, Station};
use anyhow::Context as _;
use capstan_journal::EmbeddedOptions;
use capstan_load::{Case, Plan, Row, Transport};
use clap::{Args, Subcommand};

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Enqueue, acquire, complete, renew: by HTTP, unary gRPC and one stream
    #[command(after_help = "Examples:
  capstan bench work                       (on a server of its own, in a temporary directory)
  capstan bench work --server http://127.0.0.1:8000 --transport stream --clients 64 --output json")]
    Work(WorkOptions),
}

/// How work coordination is measured.
#[derive(Args, Debug)]
pub struct WorkOptions {
    /// How many closed loops
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    clients: u16,
    /// How long each measurement is
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How it is asked; every way where nothing is said
    #[arg(long, value_name = "http|grpc|stream")]
    transport: Vec<Transport>,
    /// Requests outstanding on the stream; as many as there are clients where nothing is said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16384))]
    in_flight: Option<u16>,
    /// Which cases; all where nothing is said
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    cases: Vec<Case>,
}

/// Measures.
pub fn run(command: BenchCommand, context: &Context) -> Result<(), Failure> {
    let BenchCommand::Work(options) = command;
    match context.chosen_server() {
        Some(server) => generate(&options, server, context),
        None => {
            // The server has its own threads, as it would in a process of its own; the generator has one.
            let folder = tempfile::tempdir()?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let station =
                runtime.block_on(Station::start(folder.path(), &Addresses::free(), EmbeddedOptions::default()))?;
            let measured = generate(&options, &station.url(), context);
            runtime.block_on(station.stop()).context("the server did not stop well")?;
            measured
        }
    }
}

fn generate(options: &WorkOptions, server: &str, context: &Context) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let transports = if options.transport.is_empty() { Transport::ALL.to_vec() } else { options.transport.clone() };
    let mut rows = Vec::new();
    for transport in transports {
        let plan = Plan {
            server: server.to_owned(),
            cases: if options.cases.is_empty() { Case::ALL.to_vec() } else { options.cases.clone() },
            transport,
            clients: usize::from(options.clients),
            in_flight: usize::from(options.in_flight.unwrap_or(options.clients)),
            seconds: options.seconds,
        };
        let json = context.out.is_data();
        let shown = runtime.block_on(capstan_load::run(&plan, |row| {
            if json {
                // A reader that has gone away ends the run with the next row.
                let _ = context.out.stream(|| serde_json::to_value(&row).unwrap_or_default(), String::new);
            } else {
                eprintln!("{} over {}: {:.0}/s", row.case, row.transport, row.per_second);
                rows.push(row);
            }
        }));
        shown.context("measure")?;
    }
    if context.out.is_data() { Ok(()) } else { context.out.show(|| serde_json::Value::Null, || table(&rows)) }
}

fn table(rows: &[Row]) -> Table {
    let mut table =
        Table::new(["CASE", "TRANSPORT", "CLIENTS", "IN FLIGHT", "PER SECOND", "P50 MS", "P99 MS", "ERRORS"]);
    for row in rows {
        table.row([
            row.case.into(),
            row.transport.into(),
            row.clients.to_string(),
            row.in_flight.to_string(),
            format!("{:.0}", row.per_second),
            format!("{:.3}", row.p50_ms),
            format!("{:.3}", row.p99_ms),
            row.errors.to_string(),
        ]);
    }
    table
}
