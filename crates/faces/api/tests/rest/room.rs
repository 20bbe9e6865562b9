//! Room over REST: checks, reservations, limits, the queue, and how many workers are wanted.

use crate::world::World;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

fn place(id: &str) -> String {
    format!("/api/v1/pipelines/{id}/reservation")
}

fn room(cpu: f64, memory: u64) -> Value {
    json!({ "cpu_percent": cpu, "memory_mb": memory, "ttl_seconds": 60 })
}

#[tokio::test]
async fn what_is_exactly_free_still_fits() {
    let world = World::empty();
    let check = async |query: &str| world.get(&format!("/api/v1/system/availability?{query}")).await.with(200);
    assert_eq!(check("cpu_percent=80&memory_mb=80000").await["available"], true);
    assert_eq!(check("cpu_percent=80.001&memory_mb=0").await["available"], false);
    assert_eq!(check("memory_mb=80001").await["available"], false);
    for bad in ["cpu_percent=NaN", "cpu_percent=101", "memory_mb=-1", "memory_mb=1.5", "memory_mb=inf", "cpu=1"] {
        assert_eq!(world.get(&format!("/api/v1/system/availability?{bad}")).await.status.as_u16(), 422, "{bad}");
    }
}

#[tokio::test]
async fn two_that_ask_for_the_last_place_do_not_both_get_it() {
    let world = World::empty();
    assert_eq!(world.put(&place("a"), room(60.0, 1_000)).await.with(200)["state"], "held");

    let refused = world.put(&place("b"), room(60.0, 1_000)).await;

    assert_eq!(refused.headers["retry-after"], "5");
    assert_eq!(refused.code(), "pipeline.no_room");
    assert_eq!(refused.with(429)["free_memory_mb"], 79_000);
    assert_eq!(world.get(&place("b")).await.code(), "reservation.unknown");
    assert_eq!(world.put(&place("b"), room(81.0, 0)).await.code(), "pipeline.too_large");
}

#[tokio::test]
async fn who_waits_for_room_gets_it_by_priority_when_it_is_given_back() {
    let world = World::empty();
    world.put(&place("a"), room(80.0, 0)).await.with(200);
    let wait = |priority: i16| json!({ "cpu_percent": 50.0, "memory_mb": 1, "ttl_seconds": 60, "wait_seconds": 600, "priority": priority });
    let queued = world.put(&place("b"), wait(1)).await.with(202);
    assert_eq!((&queued["state"], &queued["ahead"]), (&json!("queued"), &json!(0)));
    world.put(&place("c"), wait(2)).await.with(202);
    let queue = world.get("/api/v1/system/queue").await.with(200);
    let order: Vec<_> = queue["items"].as_array().unwrap().iter().map(|each| each["pipeline"].clone()).collect();
    assert_eq!(order, ["c", "b"]);

    assert_eq!(world.delete(&place("a")).await.with(200), json!({ "done": true }));

    assert_eq!(world.get(&place("c")).await.with(200)["state"], "held");
    assert_eq!(world.get(&place("b")).await.with(200)["ahead"], 0);
    assert_eq!(world.delete(&place("x")).await.code(), "reservation.unknown");
}

#[tokio::test]
async fn reservations_out_of_their_ranges_are_refused() {
    let world = World::empty();
    for bad in [
        json!({ "cpu_percent": 1, "memory_mb": 1, "ttl_seconds": 0 }),
        json!({ "cpu_percent": 1, "memory_mb": 1, "ttl_seconds": 86_401 }),
        json!({ "cpu_percent": 1, "memory_mb": 1, "ttl_seconds": u64::MAX }),
        json!({ "cpu_percent": 1, "memory_mb": 1, "wait_seconds": u64::MAX }),
        json!({ "cpu_percent": -1, "memory_mb": 1 }),
        json!({ "cpu_percent": 1 }),
        json!([1, 2]),
    ] {
        assert_eq!(world.put(&place("a"), bad.clone()).await.status.as_u16(), 422, "{bad}");
    }
    assert_eq!(world.handle.status().durable().get(), 1, "nothing but the leader's first word was journalled");
}

async fn patch(world: &World, body: Value, tag: Option<&str>) -> crate::world::Reply {
    let mut request = Request::patch("/api/v1/system/limits").header("content-type", "application/json");
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    world.send(request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn of_two_who_change_the_limits_at_once_one_is_told() {
    let world = World::empty();
    let read = world.get("/api/v1/system/limits").await;
    let tag = read.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(read.with(200)["cpu_percent_max"], 80.0);

    let changed = patch(&world, json!({ "cpu_percent_max": 90 }), Some(&tag)).await;
    let next = changed.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(changed.with(200)["cpu_percent_max"], 90.0);
    let refused = patch(&world, json!({ "cpu_percent_max": 70 }), Some(&tag)).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (412, "limits.changed".to_owned()));
    assert_eq!(world.get("/api/v1/system/limits").await.with(200)["cpu_percent_max"], 90.0, "nothing has changed");

    assert_eq!(
        patch(&world, json!({ "stale_after_seconds": 30 }), Some(&next)).await.with(200)["cpu_percent_max"],
        90.0
    );
    assert_eq!(patch(&world, json!({ "memory_mb_max": 5 }), None).await.with(200)["memory_mb_max"], 5);
    for bad in [json!({ "cpu_percent_max": -1 }), json!({ "stale_after_seconds": 1 }), json!({ "cpu": 1 })] {
        assert_eq!(patch(&world, bad.clone(), None).await.status.as_u16(), 422, "{bad}");
    }
}

#[tokio::test]
async fn a_change_of_the_limits_may_name_any_of_several_tags() {
    let world = World::empty();
    let tag = world.get("/api/v1/system/limits").await.headers["etag"].to_str().unwrap().to_owned();
    let change = json!({ "stale_after_seconds": 90 });
    for good in [tag.clone(), "*".to_owned(), format!("\"x\", {tag}"), format!("W/\"x\" ,{tag}")] {
        assert_eq!(patch(&world, change.clone(), Some(&good)).await.status.as_u16(), 200, "{good}");
    }
    for other in ["\"x\"".to_owned(), "\"\"".to_owned(), format!("W/{tag}"), "\"x\", \"y\"".to_owned()] {
        let refused = patch(&world, change.clone(), Some(&other)).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (412, "limits.changed".to_owned()), "{other}");
    }
    for malformed in ["x", "", "\"x", "\"x\"y\"", "\"x\", y", "*, *"] {
        let refused = patch(&world, change.clone(), Some(malformed)).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (422, "request.parameter".to_owned()), "{malformed}");
    }
}

#[tokio::test]
async fn an_autoscaler_is_told_how_many_workers_are_wanted() {
    let world = World::with_shop().await;
    for id in ["a", "b", "c", "d", "e"] {
        world.post("/api/v1/sessions/shop/items", json!({ "id": id, "kind": "dump" })).await.with(201);
    }
    assert_eq!(world.get("/api/v1/scale?kind=dump&slots=2").await.with(200)["value"], 3);
    assert_eq!(world.get("/api/v1/scale?kind=restore").await.with(200)["value"], 0);
    let all = world.get("/api/v1/scale?slots=1").await.with(200);
    assert_eq!((&all["value"], &all["room"], &all["kinds"][0]["ready"]), (&json!(5), &json!(true), &json!(5)), "{all}");
    assert_eq!(world.get("/api/v1/scale?slots=0").await.status.as_u16(), 422);

    patch(&world, json!({ "cpu_percent_max": 10 }), None).await.with(200);
    world.post("/api/v1/pipelines", json!({ "id": "p", "name": "p" })).await.with(201);
    world.put("/api/v1/pipelines/p/usage", json!({ "cpu_percent": 11, "memory_mb": 1 })).await.with(200);
    let full = world.get("/api/v1/scale?kind=dump").await.with(200);
    assert_eq!((&full["value"], &full["ready"]), (&json!(0), &json!(5)), "no room: no more workers");
}
