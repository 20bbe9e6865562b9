//! Watching over sessions under `/api/v1`: pages, limits, gates, pauses, ends.

use crate::world::{V1, World};
use serde_json::{Value, json};

async fn with(items: Value) -> World {
    let world = World::empty();
    world.post("/api/v1/sessions", json!({ "name": "shop", "items": items })).await.with(201);
    world
}

#[tokio::test]
async fn items_are_paged_and_filtered() {
    let items: Vec<_> = (0..25)
        .map(|n| json!({ "id": format!("i{n}"), "kind": if n % 5 == 0 { "dump" } else { "restore" } }))
        .collect();
    let world = with(json!(items)).await;
    world.lease("w").await;

    let mut ids = Vec::new();
    let mut path = format!("{V1}/items?limit=10");
    loop {
        let page = world.get(&path).await.with(200);
        ids.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{V1}/items?limit=10&cursor={cursor}");
    }
    assert_eq!(ids, (0..25).map(|n| format!("i{n}")).collect::<Vec<_>>());

    let count = |page: Value| page["items"].as_array().unwrap().len();
    assert_eq!(count(world.get(&format!("{V1}/items?kind=dump")).await.with(200)), 5);
    assert_eq!(count(world.get(&format!("{V1}/items?state=assigned")).await.with(200)), 1);
    assert_eq!(count(world.get(&format!("{V1}/items?state=pending&kind=dump")).await.with(200)), 4);
    assert_eq!(count(world.get(&format!("{V1}/items?worker_id=w")).await.with(200)), 1);
    assert_eq!(world.get("/api/v1/sessions/none/items").await.code(), "session.unknown");
}

#[tokio::test]
async fn limits_hold_in_one_session_and_over_all() {
    let world = with(json!([{ "id": "a", "kind": "dump" }, { "id": "b", "kind": "dump" }, { "id": "c" }])).await;
    let ask = |kind: &'static str| {
        world.post("/api/v1/sessions/shop/acquire", json!({ "worker_id": "w", "kinds": [kind], "max": 10 }))
    };
    world.put(&format!("{V1}/limits/dump"), json!({ "most": 1 })).await.with(200);
    assert_eq!(ask("dump").await.with(200)["leases"].as_array().unwrap().len(), 1);
    assert_eq!(ask("dump").await.with(200)["nothing"]["reason"], json!("at_limit"));
    let limits = world.get(&format!("{V1}/limits")).await.with(200);
    let dump = limits["items"].as_array().unwrap().iter().find(|limit| limit["name"] == "dump").unwrap().clone();
    assert_eq!(dump, json!({ "name": "dump", "most": 1, "live": 1, "ready": 1 }));
    world.delete(&format!("{V1}/limits/dump")).await.with(200);

    world.put("/api/v1/limits/global", json!({ "most": 1 })).await.with(200);
    assert_eq!(ask("dump").await.with(200)["nothing"]["reason"], json!("at_limit"));
    let shared = world.get("/api/v1/limits").await.with(200);
    assert!(shared["items"].as_array().unwrap().iter().any(|limit| limit["name"] == "global" && limit["most"] == 1));
    world.delete("/api/v1/limits/global").await.with(200);
    assert_eq!(ask("dump").await.with(200)["leases"][0]["id"], json!("b"));
    world.put(&format!("{V1}/limits/host%3Adb%2F1"), json!({ "most": 7 })).await.with(200);
}

#[tokio::test]
async fn a_gate_holds_back_what_waits_for_its_group() {
    let world = with(json!([{ "id": "a", "waits_for": [{ "group": "g" }] }])).await;
    let gate = json!({ "group": "g", "gate": "ring" });
    world.post(&format!("{V1}/gates"), gate.clone()).await.with(200);
    let status = world.get(&format!("{V1}/status")).await.with(200);
    assert_eq!((&status["waiting"], &status["state"]), (&json!(1), &json!("running")));
    assert!(status["reason"].as_str().unwrap().contains("ring"), "{status}");

    world.post(&format!("{V1}/gates:open"), gate.clone()).await.with(200);
    assert_eq!(world.get(&format!("{V1}/status")).await.with(200)["pending"], json!(1));
    world.post(&format!("{V1}/gates:open"), gate).await.with(200);
    let other = json!({ "group": "g", "gate": "other" });
    assert_eq!(world.post(&format!("{V1}/gates:open"), other).await.code(), "gate.unknown");
}

#[tokio::test]
async fn pause_resume_cancel_and_close_answer_with_the_state() {
    let world = with(json!([{ "id": "a" }, { "id": "b" }, { "id": "undo", "undo": true }])).await;
    let lease = world.lease("w").await;
    let steer = |act: &'static str, body: Value| world.post(Box::leak(format!("{V1}/{act}").into_boxed_str()), body);

    let paused = steer("pause", json!({ "reason": "lunch" })).await.with(200);
    assert_eq!((&paused["state"], &paused["reason"]), (&json!("pausing"), &json!("lunch")));
    let revoked = steer("pause", json!({ "immediate": true, "reason": "fire" })).await.with(200);
    assert_eq!(revoked["state"], json!("pausing"));
    let told = world.post(&format!("{V1}/items/a/renew"), json!({ "token": lease["token"] })).await;
    assert_eq!((told.status.as_u16(), told.code().as_str()), (410, "lease.revoked"));
    world.post(&format!("{V1}/items/a/release"), json!({ "token": lease["token"] })).await.with(200);
    assert_eq!(world.get(&format!("{V1}/status")).await.with(200)["state"], json!("paused"));
    assert_eq!(world.ask("POST", &format!("{V1}/resume"), "").await.with(200)["state"], json!("running"));

    let cancelled = steer("cancel", json!({ "reason": "enough" })).await.with(200);
    assert_eq!((&cancelled["state"], &cancelled["cancelled"]), (&json!("cancelled"), &json!(2)));
    assert_eq!(world.post(&format!("{V1}/items"), json!({ "id": "new" })).await.code(), "session.ended");
    let undo = world.lease("w").await;
    assert_eq!(undo["id"], json!("undo"));
    assert_eq!(steer("close", json!({})).await.code(), "session.state");
    world.post(&format!("{V1}/items/undo/complete"), json!({ "token": undo["token"] })).await.with(200);
    assert_eq!(steer("close", json!({})).await.with(200)["state"], json!("closed"));
    assert_eq!(steer("resume", json!({})).await.code(), "session.ended");
    assert_eq!(steer("pause", json!({ "later": true })).await.code(), "request.unknown_field");
}

#[tokio::test]
async fn one_item_is_cancelled_retried_and_moved() {
    let world = with(json!([{ "id": "a" }, { "id": "b" }, { "id": "c" }])).await;
    world.post(&format!("{V1}/items/b/priority"), json!({ "priority": 5 })).await.with(200);
    let lease = world.lease("w").await;
    assert_eq!(lease["id"], json!("b"));
    let body = json!({ "token": lease["token"], "error": "no", "permanent": true });
    assert_eq!(world.post(&format!("{V1}/items/b/fail"), body).await.with(200)["state"], json!("failed"));
    assert_eq!(world.get(&format!("{V1}/status")).await.with(200)["failed"], json!(1));

    assert_eq!(world.post(&format!("{V1}/items/b/retry"), json!({})).await.with(200), json!({ "count": 1 }));
    assert_eq!(world.post(&format!("{V1}/items/b/retry"), json!({})).await.code(), "item.state");
    assert_eq!(world.post(&format!("{V1}/retry"), json!({})).await.with(200), json!({ "count": 0 }));
    assert_eq!(world.post(&format!("{V1}/retry"), json!({ "item_ids": ["none"] })).await.code(), "item.unknown");

    world.post(&format!("{V1}/items/a/cancel"), json!({})).await.with(200);
    assert_eq!(world.get(&format!("{V1}/items/a")).await.with(200)["state"], json!("cancelled"));
    assert_eq!(world.post(&format!("{V1}/items/a/priority"), json!({ "priority": 1 })).await.code(), "item.state");
    assert_eq!(world.delete(&format!("{V1}/items?all=true")).await.with(200), json!({ "count": 3 }));
}

#[tokio::test]
async fn workers_are_seen_with_what_they_hold() {
    let world = with(json!([{ "id": "a" }, { "id": "b" }])).await;
    let lease = world.lease("w").await;
    let workers = world.get(&format!("{V1}/workers")).await.with(200);
    let worker = &workers["items"][0];
    assert_eq!((&worker["worker_id"], &worker["done"], &worker["failed"]), (&json!("w"), &json!(0), &json!(0)));
    assert_eq!((&worker["holds"][0]["id"], &worker["holds"][0]["token"]), (&lease["id"], &lease["token"]));
    assert_eq!(world.get("/api/v1/workers").await.with(200), workers);
    assert_eq!(world.get("/api/v1/sessions/none/workers").await.code(), "session.unknown");
}
