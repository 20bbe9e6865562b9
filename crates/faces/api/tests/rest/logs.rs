//! The seed's log lines: word for word, at its levels.

use crate::world::World;
use serde_json::json;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// What was logged by this thread, as `LEVEL message`.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

/// While there is one subscriber only, whether a line interests it is asked of the thread that comes to the line first: of
/// another test's, which has none. So there are two.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Lines::default()));

impl Lines {
    /// Takes what this thread logs, until the guard goes.
    fn listen(&self) -> DefaultGuard {
        LazyLock::force(&ANOTHER);
        tracing::subscriber::set_default(self.clone())
    }

    /// What was logged of the registry since this was asked last.
    fn told(&self) -> Vec<String> {
        let mut lines = self.0.lock().unwrap();
        std::mem::take(&mut *lines).into_iter().filter(|line| line.contains(" msg=")).collect()
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(format!("{} {}", event.metadata().level(), message.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn usage(cpu_percent: f64, memory_mb: u64) -> serde_json::Value {
    json!({ "cpu_percent": cpu_percent, "memory_mb": memory_mb })
}

#[tokio::test]
async fn requests_are_logged_in_the_seeds_words_at_its_levels() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let world = World::empty();
    let place = "/api/v1/pipelines/pipeline-123";

    world.post("/api/v1/pipelines", json!({ "id": "pipeline-123", "name": "User Events" })).await.with(201);
    assert_eq!(lines.told(), ["INFO msg=Register pipeline pipelineId=pipeline-123 name=User Events"]);

    let running = json!({ "status": "running", "total_records": 1_000_000, "failed_records": 5 });
    world.put(&format!("{place}/status"), running).await.with(200);
    let told = "DEBUG msg=Update pipeline status pipelineId=pipeline-123 status=running records=1000000";
    assert_eq!(lines.told(), [told]);

    world.put(&format!("{place}/usage"), usage(15.5, 2_048)).await.with(200);
    let told = "DEBUG msg=Report resource usage pipelineId=pipeline-123 cpu=15.5% memory=2048MB";
    assert_eq!(lines.told(), [told]);

    world.delete(place).await.with(200);
    assert_eq!(lines.told(), ["INFO msg=Unregister pipeline pipelineId=pipeline-123"]);
}

#[tokio::test]
async fn room_that_is_not_there_is_a_warning_however_it_was_asked_for() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let world = World::empty();
    world.post("/api/v1/pipelines", json!({ "id": "p1", "name": "p1" })).await.with(201);
    world.put("/api/v1/pipelines/p1/usage", usage(72.0, 78_000)).await.with(200);
    lines.told();
    let told = "WARN msg=Resources unavailable cpu=10% (current=72%) memory=4096MB (current=78000)";

    let asked = "/api/v1/system/availability?cpu_percent=10&memory_mb=4096";
    assert_eq!(world.get(asked).await.with(200)["available"], false);
    assert_eq!(lines.told(), [told]);

    let refused = world.put("/api/v1/pipelines/p2/reservation", usage(10.0, 4_096)).await;
    assert_eq!(refused.code(), "pipeline.no_room");
    assert_eq!(lines.told(), [told]);

    world.get("/api/v1/system/availability?cpu_percent=8&memory_mb=2000").await.with(200);
    assert!(lines.told().is_empty(), "what fits is no warning");
}

#[tokio::test]
async fn what_is_said_of_an_unknown_pipeline_is_a_warning() {
    let lines = Lines::default();
    let _listening = lines.listen();
    let world = World::empty();

    world.put("/api/v1/pipelines/ghost/usage", usage(1.0, 1)).await.with(404);
    let report = "DEBUG msg=Report resource usage pipelineId=ghost cpu=1% memory=1MB";
    assert_eq!(lines.told(), [report, "WARN msg=Report of an unknown pipeline pipelineId=ghost"]);

    world.post("/api/v1/pipelines:heartbeat", json!({ "pipelines": ["ghost", "spectre"] })).await.with(200);
    assert_eq!(lines.told(), ["WARN msg=Heartbeats of unknown pipelines count=2 pipelineId=ghost"]);
}
