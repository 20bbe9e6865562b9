//! A whole server inside this process: journal, coordinator, REST and gRPC on loopback or elsewhere.

mod alerts;
mod shared;

pub use alerts::Alerts;
pub use shared::SharedStation;

use crate::failure::Failure;
use anyhow::Context as _;
use capstan_api::grpc::{self, Listening};
use capstan_api::{AlertFigures, ServerInfo};
use capstan_coordinator::{Coordinator, EndError, Handle, Options};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where a station listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// REST, and gRPC beside it.
    pub http: String,
    /// gRPC alone.
    pub grpc: String,
    /// What others are told to ask; what it really listens on where nothing is said.
    pub advertise: Option<String>,
}

impl Addresses {
    /// Free ports on loopback.
    pub fn free() -> Self {
        Self { http: "127.0.0.1:0".into(), grpc: "127.0.0.1:0".into(), advertise: None }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Station {
    /// Asks it without a network.
    pub handle: Handle,
    /// Where REST, and gRPC beside it, is served.
    pub http: SocketAddr,
    /// Where gRPC alone is served.
    pub grpc: SocketAddr,
    /// Where others are told to ask.
    advertised: String,
    figures: AlertFigures,
    coordinator: Coordinator,
    closing: CancellationToken,
    serving: TaskTracker,
}

impl Station {
    /// Listens, reads the state back, takes the lead, serves. `kept` says how the journal lies on disk.
    ///
    /// The ports are taken before anything is written, so that a second server on them changes nothing.
    pub async fn start(data_dir: &Path, addresses: &Addresses, kept: EmbeddedOptions) -> Result<Self, Failure> {
        let http = listen(&addresses.http, "--http").await?;
        let grpc_listener = listen(&addresses.grpc, "--grpc").await?;
        let (http_address, grpc_address) = (http.local_addr()?, grpc_listener.local_addr()?);
        let advertised = addresses.advertise.clone().unwrap_or_else(|| format!("http://{http_address}"));
        let folder = data_dir.join("journal");
        let options = Options { address: advertised.clone(), ..Options::default() };
        let started = tokio::task::spawn_blocking(move || -> anyhow::Result<_> {
            std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
            let journal = EmbeddedJournal::open(&folder, kept)?;
            Ok(Coordinator::start(Box::new(journal), options)?)
        });
        let (coordinator, handle) = started.await.context("the start panicked")??;
        let closing = CancellationToken::new();
        let serving = TaskTracker::new();
        let figures = AlertFigures::default();
        let info = ServerInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            advertise: advertised.clone(),
            closing: closing.clone(),
            alerts: figures.clone(),
        };
        let listening = Listening {
            http: http_address.to_string(),
            grpc: grpc_address.to_string(),
            advertised: advertised.clone(),
        };
        let calls = grpc::routes(handle.clone(), listening, closing.clone(), serving.clone());
        let everything = capstan_api::with_fallback(capstan_api::router(handle.clone(), info).merge(calls.clone()));
        serving.spawn(capstan_api::serve(http, everything, closing.clone()));
        serving.spawn(capstan_api::serve(grpc_listener, grpc::with_fallback(calls), closing.clone()));
        let (http, grpc) = (http_address, grpc_address);
        Ok(Self { handle, http, grpc, advertised, figures, coordinator, closing, serving })
    }

    /// Tells of health from now on, until it closes.
    pub fn tell_of_health(&self, alerts: &Alerts) {
        alerts.begin(&self.handle, self.advertised.clone(), &self.figures, &self.closing, &self.serving);
    }

    /// Its URL for clients in this process or beside it.
    pub fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Resolves when it has ended by itself, which is never well.
    pub async fn ended(&mut self) -> Result<(), EndError> {
        self.coordinator.ended().await
    }

    /// Takes no more connections, and lets requests end.
    pub async fn close(&self) {
        self.closing.cancel();
        self.serving.close();
        self.serving.wait().await;
    }

    /// Takes no more connections, lets requests end, and writes the durable mark.
    pub async fn stop(self) -> Result<(), EndError> {
        self.close().await;
        self.coordinator.stop().await
    }
}

async fn listen(address: &str, flag: &'static str) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    Ok(listener
        .with_context(|| format!("{flag} {address} cannot be listened on; choose another, or port 0 for a free one"))?)
}
