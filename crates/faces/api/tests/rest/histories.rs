//! What happened, over REST: history, audit, the registry as it was, and watching it.

use crate::world::World;
use axum::body::Body;
use axum::http::Request;
use futures::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

async fn told() -> World {
    let world = World::empty();
    for id in ["a", "b"] {
        world.post("/api/v1/pipelines", json!({ "id": id, "name": id, "labels": { "team": "x=y" } })).await.with(201);
    }
    world.put("/api/v1/pipelines/a/usage", json!({ "cpu_percent": 15.5, "memory_mb": 2_048 })).await.with(200);
    world
}

fn events(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|fact| fact["event"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_event_can_be_read_page_by_page() {
    let world = told().await;

    let first = world.get("/api/v1/audit?limit=2").await.with(200);
    assert_eq!(events(&first), ["PipelineRegistered", "PipelineRegistered"]);
    assert_eq!(first["items"][0]["details"]["label.team"], "x=y");
    let after = first["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("/api/v1/audit?limit=2&after={after}")).await.with(200);
    assert_eq!(world.get(&format!("/api/v1/audit?limit=2&cursor={after}")).await.with(200), rest);
    assert_eq!((events(&rest), &rest["next_cursor"]), (vec!["ResourceUsageReported".to_owned()], &Value::Null));
    assert_eq!(rest["items"][0]["details"], json!({ "cpu_percent": "15.5", "memory_mb": "2048" }));

    let mine = world.get("/api/v1/pipelines/a/history").await.with(200);
    assert_eq!(events(&mine), ["PipelineRegistered", "ResourceUsageReported"]);
    assert_eq!(events(&world.get("/api/v1/audit?pipeline=b").await.with(200)).len(), 1);
    assert_eq!(events(&world.get("/api/v1/audit?from=2999-01-01T00:00:00Z").await.with(200)).len(), 0);
    assert_eq!(events(&world.get("/api/v1/audit?until=2999-01-01T00:00:00Z").await.with(200)).len(), 3);
    for bad in ["from=yesterday", "limit=0", "after=-1", "pipeline=", "who=me", "cursor=x", "cursor=2&after=2"] {
        assert_eq!(world.get(&format!("/api/v1/audit?{bad}")).await.status.as_u16(), 422, "{bad}");
    }
}

#[tokio::test]
async fn the_registry_is_shown_as_it_was() {
    let world = told().await;
    let facts = world.get("/api/v1/audit").await.with(200);
    let then = facts["items"][1]["at"].as_str().unwrap().to_owned();
    world.delete("/api/v1/pipelines/a").await.with(200);

    let was = world.get(&format!("/api/v1/registry?at={then}&limit=1")).await.with(200);

    assert_eq!((&was["system"]["pipelines"], &was["system"]["total_cpu_percent"]), (&json!(2), &json!(0.0)));
    assert_eq!((&was["pipelines"][0]["id"], &was["next_cursor"]), (&json!("a"), &json!("a")));
    assert_eq!(was["limits"]["memory_mb_max"], 80_000);
    assert_eq!(world.get("/api/v1/registry").await.status.as_u16(), 422);
    let before = world.get("/api/v1/registry?at=2001-01-01T00:00:00Z").await.with(200);
    assert_eq!(before["system"]["health"], "idle");
}

#[tokio::test]
async fn a_watcher_is_told_what_is_journalled_and_nothing_of_work() {
    let world = told().await;
    let request = Request::get("/api/v1/pipelines:watch?from=1").body(Body::empty()).unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body().into_data_stream();
    world.post("/sessions/", json!({ "name": "shop" })).await.with(201);
    world.delete("/api/v1/pipelines/b").await.with(200);

    let mut text = String::new();
    while text.matches("event: ").count() < 4 {
        text.push_str(std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap());
    }

    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["PipelineRegistered", "PipelineRegistered", "ResourceUsageReported", "PipelineUnregistered"]);
    let last = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(last).unwrap()["pipeline"], "b");
    world.closing.cancel();
    assert!(body.next().await.is_none(), "the stream ends with the server");
}

#[tokio::test]
async fn the_figures_have_the_seeds_names() {
    let world = told().await;
    world
        .put("/api/v1/pipelines/b/status", json!({ "status": "failed", "total_records": 1, "failed_records": 1 }))
        .await
        .with(200);
    let text = world.get("/metrics").await.text();
    for wanted in [
        "coordinator_pipelines_total{status=\"configured\"} 1",
        "coordinator_pipelines_total{status=\"running\"} 0",
        "coordinator_pipelines_total{status=\"failed\"} 1",
        "coordinator_cpu_percent_total 15.5",
        "coordinator_memory_mb_total 2048",
        "coordinator_registrations_total 2",
        "coordinator_unregistrations_total 0",
        "coordinator_status_updates_total 1",
        "coordinator_health 3",
    ] {
        assert!(text.lines().any(|line| line == wanted), "{wanted}\n{text}");
    }
}
