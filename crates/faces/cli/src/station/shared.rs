//! One server of several on a journal: leads or passes on, and says which.

use super::{Addresses, Alerts, listen};
use crate::failure::Failure;
use anyhow::Context as _;
use axum::Router;
use capstan_api::grpc::{self, Listening};
use capstan_api::{AlertFigures, Door, Lines, ServerInfo, Standby};
use capstan_coordinator::{Cluster, Handle, Options, SharedStore, Term, Turn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A server that has not found its place by then says that it listens all the same.
const PLACE_MAX: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// A running server that shares its journal.
pub struct SharedStation {
    /// Where REST, and gRPC beside it, is served.
    pub http: SocketAddr,
    /// Where gRPC alone is served.
    pub grpc: SocketAddr,
    cluster: Cluster,
    /// The turns whose routes are served.
    turns: watch::Receiver<Turn>,
    closing: CancellationToken,
    serving: TaskTracker,
}

impl SharedStation {
    /// Listens, connects to the shared journal, and takes part in the election. Tells of health while it leads.
    pub async fn start(store: Arc<dyn SharedStore>, addresses: &Addresses, alerts: Alerts) -> Result<Self, Failure> {
        let http = listen(&addresses.http, "--http").await?;
        let grpc_listener = listen(&addresses.grpc, "--grpc").await?;
        let (http_address, grpc_address) = (http.local_addr()?, grpc_listener.local_addr()?);
        if addresses.advertise.is_none() && http_address.ip().is_unspecified() {
            let found = http_address;
            return Err(Failure::Usage(format!(
                "servers that share a journal tell one another where they are reached, and {found} is every address of \
                 this machine: give --advertise http://HOST:PORT, as the other servers reach this one"
            )));
        }
        let advertised = addresses.advertise.clone().unwrap_or_else(|| format!("http://{http_address}"));
        let options = Options { address: advertised.clone(), ..Options::default() };
        let started = tokio::task::spawn_blocking(move || {
            Cluster::start(store, options, Term::default()).map_err(anyhow::Error::from)
        });
        let cluster = started.await.context("the start panicked")??;
        let (closing, serving) = (CancellationToken::new(), TaskTracker::new());
        let listening = Listening { http: http_address.to_string(), grpc: grpc_address.to_string(), advertised };
        let stage = Stage {
            listening,
            alerts,
            figures: AlertFigures::default(),
            lines: Lines::default(),
            closing: closing.clone(),
            serving: serving.clone(),
        };
        let (turns, doors) = (cluster.turns(), Doors::new());
        serving.spawn(capstan_api::serve(http, doors.http.clone(), closing.clone()));
        serving.spawn(capstan_api::serve(grpc_listener, doors.grpc.clone(), closing.clone()));
        let (opened, served) = watch::channel(Turn::Standby { leader: None, epoch: 0, trouble: None });
        tokio::spawn(stage.follow(turns, doors, opened));
        let station = Self { http: http_address, grpc: grpc_address, cluster, turns: served, closing, serving };
        // Whoever reads that it listens asks at once.
        let _ = tokio::time::timeout(PLACE_MAX, station.has_a_place()).await;
        Ok(station)
    }

    /// Until it leads, or follows a leader that lives.
    async fn has_a_place(&self) {
        loop {
            let leader = match &*self.turns.borrow() {
                Turn::Leader(_) | Turn::Ended(_) => return,
                Turn::Standby { leader, .. } => leader.clone(),
            };
            let authority = leader.as_deref().and_then(|leader| leader.strip_prefix("http://"));
            if let Some(authority) = authority
                && TcpStream::connect(authority).await.is_ok()
            {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Resolves with the reason when it can never lead again: its journal is damaged.
    pub async fn ended(&mut self) -> String {
        let ended = self.turns.wait_for(|turn| matches!(turn, Turn::Ended(_))).await;
        match ended.as_deref() {
            Ok(Turn::Ended(Some(why))) => why.clone(),
            _ => "the threads of the cluster ended".into(),
        }
    }

    /// Leaves its place to another at once, lets requests end, and closes.
    pub async fn stop(self) {
        self.cluster.stop().await;
        self.closing.cancel();
        self.serving.close();
        self.serving.wait().await;
    }
}

/// What both listeners serve.
#[derive(Clone)]
struct Doors {
    http: Door,
    grpc: Door,
}

impl Doors {
    fn new() -> Self {
        Self { http: Door::new(Router::new()), grpc: Door::new(Router::new()) }
    }
}

/// What each turn's routes are made of.
struct Stage {
    listening: Listening,
    alerts: Alerts,
    /// Over all turns.
    figures: AlertFigures,
    lines: Lines,
    closing: CancellationToken,
    serving: TaskTracker,
}

impl Stage {
    /// Exchanges what is served with each turn, and says so once that is done.
    async fn follow(self, mut turns: watch::Receiver<Turn>, doors: Doors, opened: watch::Sender<Turn>) {
        let (mut before, mut followed) = (CancellationToken::new(), None);
        loop {
            let turn = turns.borrow_and_update().clone();
            let follows = match &turn {
                Turn::Standby { leader: Some(leader), epoch, .. } => Some((leader.clone(), *epoch)),
                _ => None,
            };
            // What else a standby learns ends nothing of what it passes on: the leader is the same.
            let goes_on = follows.is_some() && follows == followed;
            let over = if goes_on { before.clone() } else { self.closing.child_token() };
            followed = follows;
            match turn.clone() {
                Turn::Leader(handle) => self.lead(handle, &over, &doors),
                Turn::Standby { leader, epoch, trouble } => self.stand_by(leader, epoch, trouble, &over, &doors),
                Turn::Ended(why) => self.stand_by(None, 0, why.or(Some("this server stops".into())), &over, &doors),
            }
            opened.send_replace(turn);
            // What was begun in the turn before ends now: nobody waits for a server that leads no longer.
            let before = std::mem::replace(&mut before, over);
            if !goes_on {
                before.cancel();
            }
            if turns.changed().await.is_err() {
                return;
            }
        }
    }

    fn lead(&self, handle: Handle, over: &CancellationToken, doors: &Doors) {
        let info = ServerInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            advertise: self.listening.advertised.clone(),
            closing: over.clone(),
            alerts: self.figures.clone(),
        };
        self.alerts.begin(&handle, self.listening.advertised.clone(), &self.figures, over, &self.serving);
        let calls = grpc::routes(handle.clone(), self.listening.clone(), over.clone(), self.serving.clone());
        let everything = capstan_api::router(handle, info).merge(calls.clone());
        doors.http.exchange(capstan_api::with_fallback(everything));
        doors.grpc.exchange(grpc::with_fallback(calls));
    }

    fn stand_by(
        &self,
        leader: Option<String>,
        epoch: u64,
        trouble: Option<String>,
        over: &CancellationToken,
        doors: &Doors,
    ) {
        let standby = Standby {
            leader,
            epoch,
            trouble,
            version: env!("CARGO_PKG_VERSION").into(),
            over: over.clone(),
            lines: self.lines.clone(),
        };
        let routes = capstan_api::standby(standby);
        doors.http.exchange(routes.clone());
        doors.grpc.exchange(routes);
    }
}
