//! The control plane: one journal, one coordinator, REST and gRPC over it.

mod settings;
mod signals;

pub use self::settings::ServerOptions;
use self::settings::Settings;
use crate::failure::Failure;
use anyhow::Context;
use capstan_api::grpc::{self, Listening};
use capstan_api::{ServerInfo, router, serve, with_fallback};
use capstan_coordinator::{Coordinator, EndError, Handle, Options};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

/// The journal failed: nobody guesses what is durable.
const JOURNAL_BROKEN: u8 = 20;
/// Another server leads this journal.
const FENCED: u8 = 21;

/// Serves until it is told to stop.
pub fn run(options: ServerOptions) -> Result<(), Failure> {
    let settings = Settings::from(options)?;
    log_to_stderr(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run_until_stopped(settings))
}

fn log_to_stderr(settings: &Settings) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| Failure::Usage(format!("log filter: {error}")))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(false);
    // Somebody who embeds this has installed another already.
    let _ = if settings.log_json { logs.json().try_init() } else { logs.try_init() };
    Ok(())
}

async fn run_until_stopped(settings: Settings) -> Result<(), Failure> {
    let stop = signals::listen()?;
    let http = listen("http", settings.http).await?;
    let grpc = listen("grpc", settings.grpc).await?;
    let listening = Listening {
        http: http.local_addr()?.to_string(),
        grpc: grpc.local_addr()?.to_string(),
        advertised: settings.advertised(http.local_addr()?),
    };
    let (mut coordinator, handle) = start(&settings, &listening).await?;

    let closing = CancellationToken::new();
    let tasks = TaskTracker::new();
    let (on_http, on_grpc) = routes(&handle, &listening, &closing, &tasks);
    let http = tokio::spawn(serve(http, on_http, closing.clone()));
    let grpc = tokio::spawn(serve(grpc, on_grpc, closing.clone()));
    announce(&listening)?;

    let ended = tokio::select! {
        ended = coordinator.ended() => Some(ended),
        () = stop.cancelled() => None,
    };
    // First nothing new comes in and what waits is let go, then the coordinator finishes what it has.
    closing.cancel();
    http.await.context("serve http")?.context("serve http")?;
    grpc.await.context("serve grpc")?.context("serve grpc")?;
    tasks.close();
    tasks.wait().await;
    let ended = match ended {
        Some(ended) => ended,
        None => coordinator.stop().await,
    };
    tracing::info!("stopped");
    ended.map_err(|error| {
        eprintln!("error: {error}");
        Failure::Said(match error {
            EndError::Broken(_) => JOURNAL_BROKEN,
            EndError::Fenced => FENCED,
        })
    })
}

async fn listen(name: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    Ok(TcpListener::bind(address).await.with_context(|| format!("listen for {name} on {address}"))?)
}

/// Reads the state back, which may take a while and blocks.
async fn start(settings: &Settings, listening: &Listening) -> Result<(Coordinator, Handle), Failure> {
    let folder = settings.data_dir.join("journal");
    let options = Options { address: listening.advertised.clone(), ..Options::default() };
    let started = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let journal = EmbeddedJournal::open(&folder, EmbeddedOptions::default())
            .with_context(|| format!("open the journal in {}", folder.display()))?;
        Coordinator::start(Box::new(journal), options).context("start the coordinator")
    });
    Ok(started.await.context("start the coordinator")??)
}

/// REST and gRPC on the one listener, gRPC alone on the other.
fn routes(
    handle: &Handle,
    listening: &Listening,
    closing: &CancellationToken,
    tasks: &TaskTracker,
) -> (axum::Router, axum::Router) {
    let info = ServerInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        advertise: listening.advertised.clone(),
        closing: closing.clone(),
    };
    let rpc = grpc::routes(handle.clone(), listening.clone(), closing.clone(), tasks.clone());
    let all = with_fallback(router(handle.clone(), info).merge(rpc.clone()));
    (all, grpc::with_fallback(rpc))
}

/// The one line on stdout: scripts read the ports from it.
fn announce(listening: &Listening) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening http={} grpc={}", listening.http, listening.grpc)?;
    stdout.flush()?;
    tracing::info!(http = listening.http, grpc = listening.grpc, advertised = listening.advertised, "serving");
    Ok(())
}
