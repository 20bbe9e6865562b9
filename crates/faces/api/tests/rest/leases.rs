//! What workers do under `/api/v1`.

use crate::world::{V1, World};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

async fn with(ids: &[&str]) -> World {
    let world = World::with_shop().await;
    let items: Vec<_> =
        ids.iter().map(|id| json!({ "id": id, "document_count": 10, "payload": { "id": id } })).collect();
    world.post(&format!("{V1}/items:batch"), json!({ "items": items })).await.with(200);
    world
}

#[tokio::test]
async fn adding_says_created_unchanged_or_conflict() {
    let world = World::with_shop().await;
    let path = format!("{V1}/items");
    let first = json!({ "id": "a", "document_count": 1 });

    assert_eq!(world.post(&path, first.clone()).await.with(201), json!({ "outcome": "created" }));
    assert_eq!(world.post(&path, first.clone()).await.with(200), json!({ "outcome": "unchanged" }));
    let refused = world.post(&path, json!({ "id": "a", "document_count": 2 })).await.with(409);
    assert_eq!((&refused["code"], &refused["field"]), (&json!("item.conflict"), &json!("document_count")));

    let batch = json!({ "items": [first, { "id": "a" }, { "id": "b" }], "conflicts": "report" });
    assert_eq!(
        world.post(&format!("{V1}/items:batch"), batch).await.with(200),
        json!({
            "created": 1, "unchanged": 1, "conflicts": 1,
            "results": [{ "outcome": "unchanged" }, { "outcome": "conflict", "field": "document_count" }, { "outcome": "created" }],
        })
    );
}

#[tokio::test]
async fn a_lease_carries_all_that_a_worker_needs() {
    let world = with(&["a"]).await;
    let acquired = world.post(&format!("{V1}/acquire"), json!({ "worker_id": "w", "lease_ms": 20_000 })).await;
    assert_eq!(acquired.headers["cache-control"], "no-store");
    let acquired = acquired.with(200);
    let lease = &acquired["leases"][0];

    assert_eq!((&lease["session"], &lease["id"], &lease["kind"]), (&json!("shop"), &json!("a"), &json!("backfill")));
    assert_eq!(
        (&lease["lease_ms"], &lease["attempt"], &lease["checkpoint"]),
        (&json!(20_000), &json!(1), &Value::Null)
    );
    assert_eq!((&lease["payload"], &lease["document_count"]), (&json!({ "id": "a" }), &json!(10)));
    assert!(lease["token"].is_u64() && lease["lease_expires_at"].is_string() && acquired["waited_ms"].is_u64());
    assert!(acquired.get("nothing").is_none());
}

#[tokio::test]
async fn no_work_is_an_answer_with_its_reason() {
    let world = World::with_shop().await;
    let ask = || world.post("/api/v1/sessions/shop/acquire", json!({ "worker_id": "w" }));
    let answer = ask().await.with(200);
    assert_eq!((&answer["leases"], &answer["nothing"]["reason"]), (&json!([]), &json!("empty")));

    world.post(&format!("{V1}/items"), json!({ "id": "a", "kind": "dump" })).await.with(201);
    let other = world.post(&format!("{V1}/acquire"), json!({ "worker_id": "w", "kinds": ["restore"] })).await.with(200);
    assert_eq!(other["nothing"]["reason"], json!("other_kinds"));
    let named = world.post(&format!("{V1}/acquire"), json!({ "worker_id": "w", "item_id": "a" })).await.with(200);
    assert_eq!(named["leases"][0]["id"], json!("a"));
    let named = world.post(&format!("{V1}/acquire"), json!({ "worker_id": "v", "item_id": "a" })).await.with(200);
    assert_eq!(named["nothing"]["reason"], json!("item_not_pending"));
    assert_eq!(ask().await.with(200)["nothing"]["reason"], json!("held_by_others"));
}

#[tokio::test]
async fn work_of_several_sessions_is_acquired_at_once() {
    let world = with(&["a"]).await;
    world.post("/api/v1/sessions", json!({ "name": "two", "items": [{ "id": "b" }] })).await.with(201);
    world.post("/api/v1/sessions", json!({ "name": "three", "items": [{ "id": "c" }] })).await.with(201);

    let some = json!({ "worker_id": "w", "sessions": ["shop", "two"], "max": 10 });
    let some = world.post("/api/v1/acquire", some).await.with(200);
    assert_eq!(some["leases"].as_array().unwrap().len(), 2);
    let any = world.post("/api/v1/acquire", json!({ "worker_id": "w", "max": 10 })).await.with(200);
    assert_eq!(any["leases"][0]["id"], json!("c"));
    assert_eq!(
        world.post("/api/v1/acquire", json!({ "worker_id": "w", "sessions": ["none"] })).await.code(),
        "session.unknown"
    );
}

#[tokio::test]
async fn a_repeat_under_an_idempotency_key_answers_with_the_same_leases() {
    let world = with(&["a", "b", "c"]).await;
    let ask = |worker: &'static str| {
        let request = Request::post(format!("{V1}/acquire")).header("idempotency-key", "k1");
        world.send(request.body(Body::from(json!({ "worker_id": worker, "max": 2 }).to_string())).unwrap())
    };
    let tokens =
        |answer: Value| answer["leases"].as_array().unwrap().iter().map(|l| l["token"].clone()).collect::<Vec<_>>();

    let first = tokens(ask("w").await.with(200));
    assert_eq!(tokens(ask("w").await.with(200)), first);
    assert_eq!(tokens(ask("v").await.with(200)).len(), 1, "keys belong to a worker");
}

#[tokio::test]
async fn a_checkpoint_and_progress_outlive_the_lease() {
    let world = with(&["a"]).await;
    let lease = world.lease("w").await;
    let renewal = json!({ "token": lease["token"], "progress": { "documents": 4, "bytes": 40 }, "checkpoint": "doc 4", "lease_ms": 60_000 });
    let renewed = world.post(&format!("{V1}/items/a/renew"), renewal).await.with(200);
    assert_eq!(renewed["lease_ms"], json!(60_000));
    world.pass(61);

    let next = world.lease("v").await;

    assert_eq!((&next["checkpoint"], &next["progress"]), (&json!("doc 4"), &json!({ "documents": 4, "bytes": 40 })));
    let late = world.post(&format!("{V1}/items/a/renew"), json!({ "token": lease["token"] })).await.with(409);
    assert_eq!(late["code"], json!("lease.not_held"));
}

#[tokio::test]
async fn completing_makes_successors_and_repeats_alike() {
    let world = with(&["a"]).await;
    let lease = world.lease("w").await;
    let body = json!({
        "token": lease["token"],
        "result": { "parts": 2 },
        "done": { "documents": 6, "bytes": 0 },
        "successors": [{ "id": "a#2", "document_count": 4 }],
    });
    let done = world.post(&format!("{V1}/items/a/complete"), body.clone()).await.with(200);
    assert_eq!(done["state"], json!("completed"));
    assert_eq!(world.post(&format!("{V1}/items/a/complete"), body).await.with(200), done);

    let item = world.get(&format!("{V1}/items/a")).await.with(200);
    assert_eq!((&item["result"], &item["worker_id"]), (&json!({ "parts": 2 }), &json!("w")));
    let status = world.get(&format!("{V1}/status")).await.with(200);
    assert_eq!((&status["completed"], &status["pending"], &status["total"]), (&json!(1), &json!(1), &json!(2)));
    assert_eq!((&status["expected"]["documents"], &status["done"]["documents"]), (&json!(10), &json!(6)));
    let other = json!({ "token": lease["token"], "successors": [{ "id": "a#3" }] });
    assert_eq!(world.post(&format!("{V1}/items/a/complete"), other).await.code(), "successors.differ");
}

#[tokio::test]
async fn complete_and_acquire_is_one_step_and_repeats_alike() {
    let world = with(&["a", "b", "c"]).await;
    let lease = world.lease("w").await;
    let body = json!({ "complete": { "token": lease["token"] }, "acquire": { "worker_id": "w" } });
    let path = format!("{V1}/items/a/complete-and-acquire");

    let first = world.post(&path, body.clone()).await.with(200);
    assert_eq!((&first["state"], &first["leases"][0]["id"]), (&json!("completed"), &json!("b")));
    let repeat = world.post(&path, body).await.with(200);
    assert_eq!(repeat["leases"][0]["token"], first["leases"][0]["token"]);
    assert_eq!(world.get(&format!("{V1}/status")).await.with(200)["assigned"], json!(1));
}

#[tokio::test]
async fn failing_and_releasing_give_the_item_back() {
    let world = with(&["a"]).await;
    let lease = world.lease("w").await;
    let body = json!({ "token": lease["token"], "checkpoint": "here" });
    assert_eq!(
        world.post(&format!("{V1}/items/a/release"), body).await.with(200),
        json!({ "state": "pending", "attempts": 0 })
    );

    let lease = world.lease("w").await;
    assert_eq!(lease["checkpoint"], json!("here"));
    let body = json!({ "token": lease["token"], "error": "throttled", "retry_after_ms": 60_000 });
    assert_eq!(
        world.post(&format!("{V1}/items/a/fail"), body).await.with(200),
        json!({ "state": "pending", "attempts": 1 })
    );
    let ask = || world.post("/api/v1/sessions/shop/acquire", json!({ "worker_id": "w" }));
    assert_eq!(ask().await.with(200)["nothing"]["reason"], json!("not_yet"));
    world.pass(61);
    assert_eq!(ask().await.with(200)["leases"][0]["attempt"], json!(2));
}

#[tokio::test]
async fn several_leases_are_kept_and_ended_in_one_request_each_by_itself() {
    let world = with(&["a", "b"]).await;
    let (first, second) = (world.lease("w").await, world.lease("w").await);
    let body = json!({ "leases": [
        { "id": "a", "renew": { "token": first["token"] } },
        { "id": "b", "renew": { "token": 1 } },
    ] });
    let renewed = world.post(&format!("{V1}/leases:renew"), body).await.with(200);
    assert_eq!(renewed["results"][0]["lease_ms"], json!(300_000));
    assert_eq!(renewed["results"][1]["problem"]["code"], json!("lease.not_held"));

    let body = json!({ "items": [
        { "id": "none", "complete": { "token": first["token"] } },
        { "id": "a", "complete": { "token": first["token"] } },
        { "id": "b", "complete": { "token": second["token"] } },
    ] });
    let done = world.post(&format!("{V1}/leases:complete"), body).await.with(200);
    assert_eq!(done["results"][0]["problem"]["code"], json!("item.unknown"));
    assert_eq!([&done["results"][1]["state"], &done["results"][2]["state"]], [&json!("completed"); 2]);
    assert_eq!(world.get(&format!("{V1}/status")).await.with(200)["state"], json!("completed"));
    assert_eq!(
        world.post(&format!("{V1}/leases:renew"), json!({ "leases": [] })).await.with(200),
        json!({ "results": [] })
    );
}

#[tokio::test]
async fn an_item_deleted_under_its_lease_is_acknowledged_as_such() {
    let world = with(&["a"]).await;
    let lease = world.lease("w").await;
    world.delete(&format!("{V1}/items/a")).await.with(200);
    let renewed = world.post(&format!("{V1}/items/a/renew"), json!({ "token": lease["token"] })).await;
    assert!(renewed.status.is_client_error(), "{}", renewed.text());
    let done = world.post(&format!("{V1}/items/a/complete"), json!({ "token": lease["token"] })).await.with(200);
    assert_eq!(done["state"], json!("deleted"));
}

#[tokio::test]
async fn a_wait_ends_when_the_asker_goes_away() {
    let world = World::with_shop().await;
    let asking = tokio::spawn({
        let router = world.router.clone();
        async move {
            let body = json!({ "worker_id": "gone", "wait_ms": 60_000 }).to_string();
            let request = Request::post(format!("{V1}/acquire")).body(Body::from(body)).unwrap();
            tower::ServiceExt::oneshot(router, request).await.unwrap()
        }
    });
    let waiting = || world.handle.status().waiting.load(std::sync::atomic::Ordering::Relaxed);
    while waiting() == 0 {
        // Each read is a turn of the owner.
        world.handle.read(|_| ()).await.unwrap();
        tokio::task::yield_now().await;
    }
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());

    world.post(&format!("{V1}/items"), json!({ "id": "a" })).await.with(201);
    assert_eq!(world.lease("there").await["id"], json!("a"), "nothing was granted to who is gone");
}

/// What the session's workers say they use: CPU in percent, and MB.
async fn used(world: &World) -> Option<(f64, u64)> {
    let shares = world.handle.read(|state| state.work.usage_by_session()).await.unwrap();
    let share = shares.iter().find(|(session, _)| session.as_str() == "shop");
    share.map(|(_, usage)| (usage.cpu_percent(), usage.memory_mb()))
}

#[tokio::test]
async fn a_worker_says_with_its_requests_for_work_what_it_uses_and_how_much_it_can_do() {
    let world = with(&["a", "b"]).await;
    let usage = json!({ "cpu_percent": 12.5, "memory_mb": 300 });
    let ask = json!({ "worker_id": "w", "slots": 4, "usage": usage });
    let lease = world.post(&format!("{V1}/acquire"), ask).await.with(200)["leases"][0].clone();
    assert_eq!(used(&world).await, Some((12.5, 300)));

    let next = json!({ "worker_id": "w", "usage": { "cpu_percent": 50, "memory_mb": 1 } });
    let body = json!({ "complete": { "token": lease["token"] }, "acquire": next });
    world.post(&format!("{V1}/items/a/complete-and-acquire"), body).await.with(200);
    assert_eq!(used(&world).await, Some((50.0, 1)));

    world.post(&format!("{V1}/acquire"), json!({ "worker_id": "w" })).await.with(200);
    assert_eq!(used(&world).await, Some((50.0, 1)), "what is not said stays as it was");
    let slots = world
        .handle
        .read(|state| state.work.connected_slots(&"shop".parse().unwrap(), capstan_ids::WallTime(0)))
        .await
        .unwrap();
    assert_eq!(slots, Some(4));
}

#[tokio::test]
async fn what_a_worker_cannot_use_is_refused_with_its_field_and_nothing_is_granted() {
    let world = with(&["a"]).await;
    let refused = |usage: Value| {
        let world = &world;
        async move {
            let reply = world.post(&format!("{V1}/acquire"), json!({ "worker_id": "w", "usage": usage })).await;
            let body = reply.with(422);
            (body["code"].clone(), body["field"].clone())
        }
    };
    let range = |field: &str| (json!("value.out_of_range"), json!(field));
    assert_eq!(refused(json!({ "cpu_percent": 100.1, "memory_mb": 1 })).await, range("usage.cpu_percent"));
    assert_eq!(refused(json!({ "cpu_percent": -1, "memory_mb": 1 })).await, range("usage.cpu_percent"));
    assert_eq!(refused(json!({ "cpu_percent": 1, "memory_mb": 100_000_001 })).await, range("usage.memory_mb"));
    assert_eq!(refused(json!({ "cpu_percent": 1 })).await.0, "request.missing_field");
    assert_eq!(refused(json!({ "cpu": 1, "memory_mb": 1 })).await.0, "request.unknown_field");
    assert_eq!(refused(json!([1, 1])).await.0, "request.wrong_type");
    let next = json!({ "worker_id": "w", "usage": { "cpu_percent": 101, "memory_mb": 1 } });
    let body = json!({ "complete": { "token": 1 }, "acquire": next });
    let reply = world.post(&format!("{V1}/items/a/complete-and-acquire"), body).await.with(422);
    assert_eq!(reply["field"], "acquire.usage.cpu_percent");

    assert_eq!(world.lease("w").await["attempt"], 1, "it is still there for whoever asks rightly");
}
