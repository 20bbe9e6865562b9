//! Pipelines over REST: the seed's tests and examples, and what is refused.

use crate::world::World;
use serde_json::{Value, json};

const PIPELINES: &str = "/api/v1/pipelines";

fn one(id: &str) -> String {
    format!("{PIPELINES}/{id}")
}

async fn with(ids: &[&str]) -> World {
    let world = World::empty();
    for id in ids {
        world.post(PIPELINES, json!({ "id": id, "name": format!("Pipeline {id}") })).await.with(201);
    }
    world
}

#[tokio::test]
async fn a_pipeline_is_registered_and_its_state_and_the_totals_are_answered() {
    let world = World::empty();

    let reply = world.post(PIPELINES, json!({ "id": "pipeline-123", "name": "User Events Pipeline" })).await;

    assert_eq!(reply.headers["location"], "/api/v1/pipelines/pipeline%2D123");
    let body = reply.with(201);
    assert_eq!((&body["pipeline"]["status"], &body["pipeline"]["total_records"]), (&json!("configured"), &json!(0)));
    assert_eq!((&body["system"]["pipelines"], &body["system"]["health"]), (&json!(1), &json!("healthy")));
    let found = world.get("/api/v1/pipelines/pipeline%2D123").await.with(200);
    assert_eq!(found["name"], "User Events Pipeline");
}

#[tokio::test]
async fn a_second_registration_of_an_id_is_refused() {
    let world = with(&["p1"]).await;

    let refused = world.post(PIPELINES, json!({ "id": "p1", "name": "Pipeline 1" })).await;

    assert_eq!(refused.code(), "pipeline.exists");
    assert_eq!(refused.with(409)["pipeline"], "p1");
    assert_eq!(world.get("/api/v1/system").await.with(200)["pipelines"], 1);
}

#[tokio::test]
async fn resource_usage_is_tracked_in_the_totals() {
    let world = with(&["p1", "p2"]).await;

    let told = world.put(&format!("{}/usage", one("p1")), json!({ "cpu_percent": 10.0, "memory_mb": 1024 })).await;
    assert_eq!(told.with(200)["outcome"], "recorded");
    world.put(&format!("{}/usage", one("p2")), json!({ "cpu_percent": 15.5, "memory_mb": 2048 })).await.with(200);

    let system = world.get("/api/v1/system").await.with(200);
    assert_eq!((&system["total_cpu_percent"], &system["total_memory_mb"]), (&json!(25.5), &json!(3072)));
    world.delete(&one("p1")).await.with(200);
    let system = world.get("/api/v1/system").await.with(200);
    assert_eq!((&system["total_cpu_percent"], &system["total_memory_mb"]), (&json!(15.5), &json!(2048)));
}

#[tokio::test]
async fn a_status_and_its_failures_decide_the_health() {
    let world = with(&["a", "b", "c"]).await;
    let failed = json!({ "status": "failed", "total_records": 1_000_000, "failed_records": 5 });

    let told = world.put(&format!("{}/status", one("a")), failed.clone()).await.with(200);
    assert_eq!(told["outcome"], "recorded");
    assert_eq!(world.get("/api/v1/system").await.with(200)["health"], "degraded");
    world.put(&format!("{}/status", one("b")), failed).await.with(200);

    let system = world.get("/api/v1/system").await.with(200);
    assert_eq!((&system["health"], &system["failed"]), (&json!("critical"), &json!(2)));
    assert_eq!(system["by_status"], json!({ "configured": 1, "running": 0, "paused": 0, "stopped": 0, "failed": 2 }));
    let listed = world.get(&format!("{PIPELINES}?status=failed")).await.with(200);
    assert_eq!(listed["items"][0]["total_records"], 1_000_000);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_second_status_within_a_second_is_held_and_the_last_one_wins() {
    let world = with(&["a"]).await;
    let at = |records: u64| json!({ "status": "running", "total_records": records, "failed_records": 0 });
    let path = format!("{}/status", one("a"));

    world.put(&path, at(1)).await.with(200);
    assert_eq!(world.put(&path, at(2)).await.with(202)["outcome"], "held");
    assert_eq!(world.put(&path, at(3)).await.with(202)["outcome"], "held");
    assert_eq!(world.get(&one("a")).await.with(200)["total_records"], 1);

    world.pass(2);
    world.post(&format!("{}/heartbeat", one("a")), Value::Null).await.with(200);
    assert_eq!(world.get(&one("a")).await.with(200)["total_records"], 3);
}

#[tokio::test]
async fn pages_are_in_the_order_of_ids_and_by_group() {
    let world = World::empty();
    for (id, group) in [("c", "blue"), ("a", "red"), ("b", "red"), ("d", "red")] {
        let spec = json!({ "id": id, "name": id, "group": group, "priority": 3, "labels": { "team/owner": "x" } });
        world.post(PIPELINES, spec).await.with(201);
    }
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };

    let first = world.get(&format!("{PIPELINES}?group=red&limit=2")).await.with(200);
    assert_eq!((ids(&first), first["next_cursor"].as_str()), (vec!["a".into(), "b".into()], Some("b")));
    let last = world.get(&format!("{PIPELINES}?group=red&limit=2&cursor=b")).await.with(200);
    assert_eq!((ids(&last), &last["next_cursor"]), (vec!["d".to_owned()], &Value::Null));
    assert_eq!(last["items"][0]["labels"]["team/owner"], "x");
}

#[tokio::test]
async fn heartbeats_of_many_are_one_request_and_unknown_ones_are_named() {
    let world = with(&["a", "b"]).await;
    let before = world.handle.status().durable();

    let body = world.post("/api/v1/pipelines:heartbeat", json!({ "pipelines": ["a", "b", "x"] })).await.with(200);

    assert_eq!(body, json!({ "noted": 2, "unknown": ["x"] }));
    assert_eq!(world.handle.status().durable(), before, "a heartbeat is not journalled");
    assert_eq!(world.post(&format!("{}/heartbeat", one("x")), Value::Null).await.code(), "pipeline.unknown");
}

#[tokio::test]
async fn a_silent_pipeline_is_stale_and_live_again_with_its_next_heartbeat() {
    let world = with(&["a"]).await;
    world.pass(100);
    world.handle.submit_pipeline(capstan_registry::Command::Tick).await.unwrap();

    let stale = world.get(&one("a")).await.with(200);
    assert_eq!((&stale["stale"], stale["stale_since"].is_string()), (&json!(true), true));
    assert_eq!(world.get("/api/v1/system").await.with(200)["health"], "critical");

    world.post(&format!("{}/heartbeat", one("a")), Value::Null).await.with(200);
    assert_eq!(world.get("/api/v1/system").await.with(200)["health"], "healthy");
}

#[tokio::test]
async fn hostile_input_is_refused_and_changes_nothing() {
    let world = with(&["a"]).await;
    let before = world.handle.status().durable();
    let long = "x".repeat(101);
    let many: serde_json::Map<_, _> = (0..33).map(|each| (format!("k{each}"), json!("v"))).collect();
    for (method, path, body, status) in [
        ("POST", PIPELINES.to_owned(), json!({ "id": "b", "name": " " }).to_string(), 422),
        ("POST", PIPELINES.to_owned(), json!({ "id": "b", "name": long }).to_string(), 422),
        ("POST", PIPELINES.to_owned(), json!({ "id": "", "name": "b" }).to_string(), 422),
        ("POST", PIPELINES.to_owned(), json!({ "id": "b\n", "name": "b" }).to_string(), 422),
        ("POST", PIPELINES.to_owned(), json!({ "id": "b", "name": "b", "prio": 1 }).to_string(), 422),
        ("POST", PIPELINES.to_owned(), json!({ "id": "b", "name": "b", "priority": 40_000 }).to_string(), 422),
        ("POST", PIPELINES.to_owned(), json!({ "id": "b", "name": "b", "labels": many }).to_string(), 422),
        ("POST", PIPELINES.to_owned(), json!({ "id": "b", "name": "b", "labels": { "a b": "" } }).to_string(), 422),
        ("PUT", format!("{}/usage", one("a")), r#"{"cpu_percent": NaN, "memory_mb": 1}"#.to_owned(), 400),
        ("PUT", format!("{}/usage", one("a")), r#"{"cpu_percent": 1e999, "memory_mb": 1}"#.to_owned(), 400),
        ("PUT", format!("{}/usage", one("a")), r#"{"cpu_percent": 100.1, "memory_mb": 1}"#.to_owned(), 422),
        ("PUT", format!("{}/usage", one("a")), r#"{"cpu_percent": -0.1, "memory_mb": 1}"#.to_owned(), 422),
        ("PUT", format!("{}/usage", one("a")), r#"{"cpu_percent": 1, "memory_mb": -1}"#.to_owned(), 422),
        ("PUT", format!("{}/usage", one("x")), r#"{"cpu_percent": 1, "memory_mb": 1}"#.to_owned(), 404),
        (
            "PUT",
            format!("{}/status", one("a")),
            r#"{"status": "Running", "total_records": 1, "failed_records": 0}"#.to_owned(),
            422,
        ),
        (
            "PUT",
            format!("{}/status", one("a")),
            r#"{"status": "running", "total_records": 9007199254740992, "failed_records": 0}"#.to_owned(),
            422,
        ),
        (
            "PUT",
            format!("{}/status", one("x")),
            r#"{"status": "running", "total_records": 1, "failed_records": 0}"#.to_owned(),
            404,
        ),
        ("GET", format!("{PIPELINES}?status=busy"), String::new(), 422),
        ("GET", format!("{PIPELINES}?limit=1001"), String::new(), 422),
        ("GET", one("%ff"), String::new(), 422),
        ("DELETE", one("x"), String::new(), 404),
    ] {
        let reply = world.ask(method, &path, body.clone()).await;
        assert_eq!(reply.status.as_u16(), status, "{method} {path} {body}: {}", reply.text());
        assert!(!reply.code().is_empty(), "{method} {path}: {}", reply.text());
    }
    let flood: Vec<String> = (0..10_001).map(|each| each.to_string()).collect();
    let refused = world.post("/api/v1/pipelines:heartbeat", json!({ "pipelines": flood })).await;
    assert_eq!(refused.status.as_u16(), 413);
    assert_eq!(world.handle.status().durable(), before);
}

#[tokio::test]
async fn an_id_of_any_characters_is_reached_in_its_path() {
    let id = "orders / 50 % → \"x\"?#";
    let world = with(&[id]).await;
    let path = one(&percent_encode(id));
    assert_eq!(world.get(&path).await.with(200)["id"], id);
    world.delete(&path).await.with(200);
}

fn percent_encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn ten_thousand_pipelines_that_say_they_are_there_leave_the_journal_as_it_is() {
    let world = World::empty();
    let ids: Vec<String> = (0..10_000).map(|each| format!("pipeline-{each}")).collect();
    let commands = ids.iter().map(|id| {
        let name = capstan_registry::PipelineName::new(id).unwrap();
        capstan_registry::Command::Register(capstan_registry::Register::new(
            capstan_registry::PipelineId::new(id).unwrap(),
            name,
        ))
    });
    let registered = world.handle.submit_pipelines(commands.collect()).await.unwrap();
    assert!(registered.iter().all(Result::is_ok));
    let (before, bytes) = (world.handle.status().durable(), written(&world));

    for _ in 0..10 {
        let body = world.post("/api/v1/pipelines:heartbeat", json!({ "pipelines": ids })).await.with(200);
        assert_eq!(body, json!({ "noted": 10_000, "unknown": [] }));
    }

    assert_eq!((world.handle.status().durable(), written(&world)), (before, bytes));
    let system = world.get("/api/v1/system").await.with(200);
    assert_eq!((&system["pipelines"], &system["health"]), (&json!(10_000), &json!("healthy")));
}

fn written(world: &World) -> u64 {
    world.handle.status().bytes.load(std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test]
async fn usage_of_ten_thousand_pipelines_at_once_is_a_hundred_events_a_second() {
    let world = World::empty();
    let id = |each: usize| capstan_registry::PipelineId::new(format!("pipeline-{each}")).unwrap();
    let name = capstan_registry::PipelineName::new("x").unwrap();
    let register = |each| capstan_registry::Command::Register(capstan_registry::Register::new(id(each), name.clone()));
    world.handle.submit_pipelines((0..10_000).map(register).collect()).await.unwrap();
    let before = world.handle.status().durable().get();

    let usage = |each| capstan_registry::Command::ReportUsage { id: id(each), cpu_percent: 0.001, memory_mb: 1 };
    world.handle.submit_pipelines((0..10_000).map(usage).collect()).await.unwrap();

    let system = world.get("/api/v1/system").await.with(200);
    assert_eq!((&system["total_cpu_percent"], &system["total_memory_mb"]), (&json!(10.0), &json!(10_000)));
    // The test may take some seconds; each lets a hundred more through.
    let events = world.handle.status().durable().get() - before;
    assert!((100..=2_000).contains(&events), "{events} events");
}
