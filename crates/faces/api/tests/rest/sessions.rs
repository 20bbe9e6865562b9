//! Sessions, by the contract and by `/api/v1`.

use crate::world::{V1, World};
use axum::body::Body;
use serde_json::{Value, json};

#[tokio::test]
async fn the_contracts_sessions_are_made_shown_kept_and_deleted() {
    let world = World::empty();
    assert_eq!(world.get("/sessions/").await.with(200), json!([]));

    let made = world.post("/sessions/", json!({ "name": "shop", "ignored": 1 })).await.with(201);
    assert_eq!((&made["name"], &made["env"]), (&json!("shop"), &Value::Null));
    assert!(made["created"].as_str().unwrap().ends_with('Z') && made["updated"] == made["created"]);
    assert_eq!(world.post("/sessions", json!({ "name": "shop" })).await.with(409)["code"], json!("session.exists"));
    for name in ["", "a b", "a/b", "é", &"x".repeat(51)] {
        assert!(world.post("/sessions/", json!({ "name": name })).await.with(400)["detail"].is_string(), "{name}");
    }
    assert_eq!(world.post("/sessions/", json!({})).await.with(422)["detail"][0]["loc"], json!(["body", "name"]));
    world.post("/sessions/", json!({ "name": 1 })).await.with(422);
    world.ask("POST", "/sessions/", Body::empty()).await.with(422);

    assert_eq!(world.get("/sessions/shop").await.with(200), made);
    assert_eq!(world.get("/sessions/shop/").await.with(200), made);
    assert_eq!(
        world.get("/sessions/none").await.with(404),
        json!({ "detail": "Session not found.", "code": "session.unknown" })
    );
    assert_eq!(world.get("/sessions").await.with(200), json!([made]));

    let env = json!({ "source_cluster": { "endpoint": "http://x" }, "backfill": null });
    world.pass(1);
    let kept = world
        .put("/sessions/shop", json!({ "name": "other", "created": "1970-01-01T00:00:00Z", "env": env, "more": [1] }))
        .await
        .with(200);
    assert_eq!((&kept["name"], &kept["created"], &kept["env"]), (&json!("shop"), &made["created"], &env));
    assert!(kept["updated"].as_str() > made["updated"].as_str());
    assert_eq!(world.put("/sessions/shop/", json!({})).await.with(200)["env"], env);
    world.put("/sessions/shop", json!({ "env": [1] })).await.with(400);
    world.put("/sessions/shop", json!({ "env": { "x": "y".repeat(300_000) } })).await.with(400);
    world.put("/sessions/shop", json!([])).await.with(422);
    world.put("/sessions/none", json!({})).await.with(404);

    assert!(world.delete("/sessions/shop").await.with(200)["detail"].is_string());
    world.delete("/sessions/shop").await.with(404);
    world.delete("/sessions/a%20b").await.with(404);
}

#[tokio::test]
async fn a_session_of_the_contract_never_gives_up_on_an_item() {
    let world = World::with_shop().await;
    let policy = world.get(V1).await.with(200)["policy"].clone();
    assert_eq!(
        (&policy["lease_ms"], &policy["lease_growth"], &policy["attempts"], &policy["keep_completed"]),
        (&json!(300_000), &json!("fixed"), &json!("unlimited"), &json!("unlimited"))
    );
}

#[tokio::test]
async fn more_sessions_than_one_look_takes_are_all_listed() {
    let world = World::empty();
    for number in 0..450 {
        world.post("/sessions/", json!({ "name": format!("s{number:03}") })).await.with(201);
    }
    assert_eq!(world.get("/sessions/").await.with(200).as_array().unwrap().len(), 450);

    let mut names = Vec::new();
    let mut path = "/api/v1/sessions?limit=200".to_owned();
    loop {
        let page = world.get(&path).await.with(200);
        names.extend(page["items"].as_array().unwrap().iter().map(|session| session["name"].clone()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/sessions?limit=200&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(names, (0..450).map(|number| json!(format!("s{number:03}"))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_session_is_opened_with_policy_notes_items_and_gates_in_one_step() {
    let world = World::empty();
    let spec = json!({
        "name": "job-1",
        "policy": {
            "lease_ms": 30_000,
            "lease_growth": "doubling",
            "attempts": 2,
            "backoff": { "exponential": { "initial_ms": 100, "cap_ms": 5_000 } },
            "on_exhausted": "skip",
            "weight": 10,
            "limits": { "dump": 4, "host:db1": 2 },
            "keep_completed": 50,
        },
        "notes": { "owner": "ops" },
        "items": [{ "id": "x", "kind": "dump", "groups": ["unit"] }, { "id": "y", "waits_for": [{ "group": "unit" }] }],
        "gates": [{ "group": "unit", "gate": "ring" }],
    });

    let reply = world.post("/api/v1/sessions", spec).await;
    assert_eq!(reply.headers["location"], "/api/v1/sessions/job-1");
    let session = reply.with(201);

    assert_eq!(session["notes"], json!({ "owner": "ops" }));
    assert_eq!(session["policy"]["backoff"], json!({ "exponential": { "initial_ms": 100, "cap_ms": 5_000 } }));
    assert_eq!(session["policy"]["attempts"], json!(2));
    let status = &session["status"];
    assert_eq!((&status["pending"], &status["waiting"], &status["total"]), (&json!(1), &json!(1), &json!(2)));
    let limits = world.get("/api/v1/sessions/job-1/limits").await.with(200);
    let dump = limits["items"].as_array().unwrap().iter().find(|limit| limit["name"] == "dump").unwrap().clone();
    assert_eq!((&dump["most"], &dump["live"], &dump["ready"]), (&json!(4), &json!(0), &json!(1)));

    assert_eq!(world.post("/api/v1/sessions", json!({ "name": "job-1" })).await.code(), "session.exists");
    let changed = world
        .ask(
            "PATCH",
            "/api/v1/sessions/job-1",
            json!({ "policy": { "attempts": "unlimited", "backoff": "none" } }).to_string(),
        )
        .await
        .with(200);
    assert_eq!((&changed["policy"]["attempts"], &changed["policy"]["backoff"]), (&json!("unlimited"), &json!("none")));
    assert_eq!((&changed["policy"]["weight"], &changed["notes"]), (&json!(10), &json!({ "owner": "ops" })));
    world.delete("/api/v1/sessions/job-1").await.with(200);
    assert_eq!(world.get("/api/v1/sessions/job-1").await.code(), "session.unknown");
}
