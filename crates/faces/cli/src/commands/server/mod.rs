//! The control plane: one journal, one coordinator, REST and gRPC over it.

mod alerts;
mod settings;
mod signals;

pub use self::alerts::AlertOptions;
pub use self::settings::ServerOptions;
use self::settings::Settings;
use crate::failure::Failure;
use crate::station::{Addresses, SharedStation, Station};
use capstan_coordinator::EndError;
use capstan_journal::EmbeddedOptions;
use capstan_worker::Secrets;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// The journal failed: nobody guesses what is durable.
const JOURNAL_BROKEN: u8 = 20;
/// Another server leads this journal.
const FENCED: u8 = 21;

/// The journal's database has not answered for too long.
const JOURNAL_AWAY: u8 = 22;

/// Serves until it is told to stop.
pub fn run(options: ServerOptions) -> Result<(), Failure> {
    let settings = Settings::from(options)?;
    log_to_stderr(&settings.log, settings.log_json)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(run_until_stopped(settings));
    // A start that was given up may still wait for a database that does not answer: the process does not.
    runtime.shutdown_background();
    ended
}

/// Whether a configuration file is sound.
pub fn check(file: &Path) -> Result<(), Failure> {
    Settings::check(file)
}

/// Resolves when the process is told to stop.
pub fn stop_signals() -> Result<CancellationToken, Failure> {
    signals::listen()
}

/// Logs what the filter lets through.
pub fn log_to_stderr(filter: &str, json: bool) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| Failure::Usage(format!("log filter: {error}")))?;
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Somebody who embeds this has installed another already.
    let _ = if json { logs.json().try_init() } else { logs.try_init() };
    Ok(())
}

async fn run_until_stopped(settings: Settings) -> Result<(), Failure> {
    let stop = signals::listen()?;
    let addresses =
        Addresses { http: settings.http.to_string(), grpc: settings.grpc.to_string(), advertise: settings.advertise };
    let secrets = Secrets { folder: Some(crate::secrets::folder(&settings.data_dir)) };
    let alerts = settings.alerts.open(&secrets)?;
    if let Some(store) = settings.journal.store(&secrets)? {
        let started = tokio::select! {
            started = SharedStation::start(store, &addresses, alerts) => started?,
            () = stop.cancelled() => {
                tracing::info!("stopped before it had a place among the servers of its journal");
                return Ok(());
            }
        };
        return share(started, stop).await;
    }
    let mut station = Station::start(&settings.data_dir, &addresses, EmbeddedOptions::default()).await?;
    station.tell_of_health(&alerts);
    announce(station.http, station.grpc)?;

    let ended = tokio::select! {
        ended = station.ended() => {
            station.close().await;
            ended
        }
        () = stop.cancelled() => station.stop().await,
    };
    tracing::info!("stopped");
    told(ended)
}

/// Serves as one of several, until it is told to stop or its journal is damaged.
async fn share(mut station: SharedStation, stop: CancellationToken) -> Result<(), Failure> {
    announce(station.http, station.grpc)?;
    let ended = tokio::select! {
        why = station.ended() => Err(EndError::Broken(why)),
        () = stop.cancelled() => Ok(()),
    };
    station.stop().await;
    tracing::info!("stopped");
    told(ended)
}

/// How a station ended, with an exit code for each way that is not well.
pub fn told(ended: Result<(), EndError>) -> Result<(), Failure> {
    ended.map_err(|error| {
        eprintln!("error: {error}");
        Failure::Said(match error {
            EndError::Broken(_) => JOURNAL_BROKEN,
            EndError::Fenced => FENCED,
            EndError::Away(_) => JOURNAL_AWAY,
        })
    })
}

/// The one line on stdout: scripts read the ports from it.
pub fn announce(http: SocketAddr, grpc: SocketAddr) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening http={http} grpc={grpc}")?;
    stdout.flush()?;
    tracing::info!(%http, %grpc, "serving");
    Ok(())
}
