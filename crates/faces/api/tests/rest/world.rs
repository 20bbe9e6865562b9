//! A server in this process, a clock that tests turn, and short ways to ask.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use capstan_api::{ServerInfo, router, with_fallback};
use capstan_coordinator::{Clock, Coordinator, Handle, Options, SystemClock};
use capstan_ids::{Millis, Moment};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub const ITEMS: &str = "/sessions/shop/backfill/work-items";
pub const V1: &str = "/api/v1/sessions/shop";

pub struct World {
    _dir: tempfile::TempDir,
    coordinator: Option<Coordinator>,
    pub handle: Handle,
    pub router: Router,
    pub closing: CancellationToken,
    clock: Arc<TurnedClock>,
}

/// The machine's clocks, moved on by tests.
#[derive(Default)]
struct TurnedClock(AtomicU64);

impl Clock for TurnedClock {
    fn now(&self) -> Moment {
        let (now, on) = (SystemClock.now(), Millis(self.0.load(Ordering::SeqCst)));
        Moment { monotonic: now.monotonic + on, wall: now.wall + on }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| Value::String(self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Its body, if it has this status.
    #[track_caller]
    pub fn with(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.json()
    }

    /// The code of a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl World {
    /// A server without sessions.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TurnedClock::default());
        let journal = EmbeddedJournal::open(dir.path(), EmbeddedOptions::default()).unwrap();
        let options = Options { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Options::default() };
        let (coordinator, handle) = Coordinator::start(Box::new(journal), options).unwrap();
        let closing = CancellationToken::new();
        let info = ServerInfo {
            version: "1.2.3".into(),
            advertise: "http://127.0.0.1:8000".into(),
            closing: closing.clone(),
            alerts: Default::default(),
        };
        let router = with_fallback(router(handle.clone(), info));
        Self { _dir: dir, coordinator: Some(coordinator), handle, router, closing, clock }
    }

    /// A server with the session `shop`, made by the console.
    pub async fn with_shop() -> Self {
        let world = Self::empty();
        world.post("/sessions/", json!({ "name": "shop" })).await.with(201);
        world
    }

    /// The same, with items of these ids, in this order.
    pub async fn with_items(ids: &[&str]) -> Self {
        let world = Self::with_shop().await;
        for id in ids {
            world.post(ITEMS, item(id)).await.with(201);
        }
        world
    }

    /// The coordinator stops; the routes stay.
    pub async fn stop(mut self) -> Self {
        self.coordinator.take().unwrap().stop().await.unwrap();
        self
    }

    /// Time passes.
    pub fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    pub async fn send(&self, request: Request<Body>) -> Reply {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: parts.status, headers: parts.headers, bytes }
    }

    pub async fn ask(&self, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        self.send(request.body(body.into()).unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, Body::empty()).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, Body::empty()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask("POST", path, body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.ask("PUT", path, body.to_string()).await
    }

    /// What anybody could see of the state; times of the calls themselves left out.
    pub async fn seen(&self) -> Value {
        let sessions = self.get("/api/v1/sessions").await.json();
        let items = self.get(&format!("{V1}/items?limit=1000")).await.json();
        let workers = self.get("/api/v1/workers").await.json();
        let limits = self.get("/api/v1/limits").await.json();
        let durable = self.handle.status().durable().get();
        json!([sessions, items, workers, limits, durable])
    }

    /// A lease by the console.
    pub async fn acquire(&self, worker: &str) -> Value {
        self.get(&format!("{ITEMS}/acquire?worker_id={worker}")).await.with(200)
    }

    /// A lease by `/api/v1`.
    pub async fn lease(&self, worker: &str) -> Value {
        let acquired = self.post(&format!("{V1}/acquire"), json!({ "worker_id": worker })).await.with(200);
        assert_eq!(acquired["leases"].as_array().unwrap().len(), 1, "{acquired}");
        acquired["leases"][0].clone()
    }
}

/// A work item of the contract.
pub fn item(id: &str) -> Value {
    json!({
        "work_item_id": id,
        "index_name": "orders",
        "shard_number": 3,
        "document_count": 1_000,
        "total_size_bytes": 5_000_000_000_u64,
    })
}
