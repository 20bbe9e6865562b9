//! Registrations, reports and reads a second: every system in turn, case by case, in rounds.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::case::{Case, REPORTED, Turns};
use super::grpc::{self, GrpcClient};
use super::options::Options;
use super::peers;
use super::rest::RestClient;
use super::servers::Server;
use crate::closed_loop::{Measured, run, run_through};
use crate::options::Options as WorkOptions;
use crate::peers::Peer;
use crate::probe;
use crate::row::Row;
use crate::table::CAPSTAN;

/// How Capstan is asked.
const TRANSPORTS: [&str; 2] = ["http", "grpc"];
/// Clients that register what is reported of.
const FILLERS: usize = 64;
/// How long that may take.
const FILLING_MAX: Duration = Duration::from_secs(300);

pub struct Rates<'a> {
    pub options: &'a Options,
    pub rows: Vec<Row>,
    pub failures: Vec<String>,
}

impl Rates<'_> {
    /// Measures everything as often as it was asked for.
    pub async fn measure(&mut self) -> Result<()> {
        let options = self.options;
        for repeat in 1..=options.repeats {
            // Reports and reads share the pipelines of a round; registrations begin with none.
            let filled = filled(options).await?;
            for clients in &options.clients {
                eprintln!("rates: round {repeat} of {}, {clients} clients", options.repeats);
                self.rows.push(probe::run(&options.data_dir)?);
                for case in &options.cases {
                    self.case(*case, *clients, &filled).await;
                }
                self.rows.push(probe::run(&options.data_dir)?);
            }
            filled.discard().await?;
        }
        Ok(())
    }

    /// Goes on where one cell cannot be measured: the rest of the run is still worth having.
    async fn case(&mut self, case: Case, clients: usize, filled: &Server) {
        for peer in self.options.peers.iter().filter(|_| peers::has(case)) {
            let measured = self.of_peer(*peer, case, clients).await;
            self.keep(peer.name(), case, peer.transport(), clients, measured);
        }
        for transport in TRANSPORTS {
            let measured = match case {
                Case::Register => registrations(self.options, transport, clients).await,
                _ => settled(of(filled, case, transport, clients, self.options.window())).await,
            };
            self.keep(CAPSTAN, case, transport, clients, measured);
        }
    }

    async fn of_peer(&self, peer: Peer, case: Case, clients: usize) -> Result<Measured> {
        let scratch = self.options.data_dir.join("client");
        fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
        let times = (WorkOptions::WARM_UP, self.options.window());
        settled(peers::measure(peer, case, clients, times, &scratch)).await
    }

    fn keep(&mut self, system: &str, case: Case, transport: &str, clients: usize, measured: Result<Measured>) {
        match measured {
            Ok(measured) => {
                if let Some(error) = &measured.first_error {
                    eprintln!("{system} {}: {} errors, the first: {error}", case.name(), measured.errors);
                }
                self.rows.push(row(system, case, transport, clients, &measured));
            }
            Err(error) => {
                let name = case.name();
                self.failures.push(format!("{system} {name} over {transport}, {clients} clients: {error:#}"));
            }
        }
    }
}

/// Measures with everything flushed before and after: no system pays for what another has written.
async fn settled(measuring: impl Future<Output = Result<Measured>>) -> Result<Measured> {
    rustix::fs::sync();
    let measured = measuring.await;
    rustix::fs::sync();
    measured
}

/// A server that has as many pipelines as are reported of, none of which becomes stale.
pub async fn filled(options: &Options) -> Result<Server> {
    let server = Server::start(options).await?;
    fill(&server, REPORTED).await?;
    let mut registry = grpc::open(&server.capstan.grpc, 1).await?.remove(0);
    grpc::allow_silence(&mut registry).await?;
    Ok(server)
}

/// Registers so many pipelines, as fast as they are taken.
pub async fn fill(server: &Server, pipelines: u64) -> Result<()> {
    let turns = Arc::new(Turns::new(pipelines));
    let registries = grpc::open(&server.capstan.grpc, FILLERS).await?;
    let client = |registry| GrpcClient { registry, case: Case::Register, turns: Arc::clone(&turns) };
    let filled = run_through(registries.into_iter().map(client).collect(), FILLING_MAX).await?;
    let error = filled.first_error.unwrap_or_default();
    ensure!(filled.items == pipelines, "{} pipelines of {pipelines} were registered: {error}", filled.items);
    Ok(())
}

/// On a server of its own: there is a limit to how many pipelines one has.
async fn registrations(options: &Options, transport: &str, clients: usize) -> Result<Measured> {
    let server = Server::start(options).await?;
    let measured = settled(of(&server, Case::Register, transport, clients, options.window())).await;
    server.discard().await?;
    measured
}

async fn of(server: &Server, case: Case, transport: &str, clients: usize, window: Duration) -> Result<Measured> {
    let turns = &server.turns;
    if transport == "http" {
        let mut opened = Vec::new();
        for _ in 0..clients {
            opened.push(RestClient { rest: server.rest().await?, case, turns: Arc::clone(turns) });
        }
        return drive(opened, case, window).await;
    }
    let registries = grpc::open(&server.capstan.grpc, clients).await?;
    let client = |registry| GrpcClient { registry, case, turns: Arc::clone(turns) };
    drive(registries.into_iter().map(client).collect(), case, window).await
}

async fn drive<C: crate::closed_loop::Client>(clients: Vec<C>, case: Case, window: Duration) -> Result<Measured> {
    match case {
        Case::Register => run_through(clients, window).await,
        _ => run(clients, WorkOptions::WARM_UP, window).await,
    }
}

fn row(system: &str, case: Case, transport: &str, clients: usize, measured: &Measured) -> Row {
    let per_second = measured.per_second();
    // A peer flushes every report; of ours, usage may wait.
    let durability = match case.durability() {
        "later" if system != CAPSTAN => "before_ack",
        durability => durability,
    };
    Row {
        system: system.to_owned(),
        case: case.name().to_owned(),
        transport: transport.to_owned(),
        clients,
        in_flight: clients,
        durability: durability.to_owned(),
        per_second,
        p50_ms: measured.quantile_ms(0.5),
        p99_ms: measured.quantile_ms(0.99),
        errors: measured.errors,
        repeats: 1,
        per_second_min: per_second,
        per_second_max: per_second,
    }
}
