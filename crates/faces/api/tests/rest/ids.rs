//! Ids of every kind, through every route that carries one.

use crate::world::{ITEMS, V1, World, item};
use proptest::prelude::*;
use serde_json::json;

const IDS: [&str; 14] = [
    "plain",
    "a/b",
    "a/lease",
    "lease",
    "with space",
    "$all",
    "status",
    "acquire",
    "batch",
    "ünï/cödé 漢",
    "50%25",
    "a+b",
    "?x=1&y=2#z",
    "..",
];

/// Every byte that is not a letter or digit, escaped.
fn escaped(id: &str) -> String {
    id.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[tokio::test]
async fn any_id_goes_through_the_console_routes() {
    let world = World::with_items(&IDS).await;
    for id in IDS {
        let (path, query) = (escaped(id), escaped(id));
        assert_eq!(world.acquire("w").await["work_item"]["work_item_id"], json!(id));

        if !["status", "acquire", "batch"].contains(&id) {
            assert_eq!(world.get(&format!("{ITEMS}/{path}")).await.with(200)["work_item_id"], json!(id));
        }
        assert_eq!(world.get(&format!("{ITEMS}?id={query}")).await.with(200)["work_item_id"], json!(id));
        let renewed = world.put(&format!("{ITEMS}/{path}/lease"), json!({ "worker_id": "w" })).await.with(200);
        assert_eq!(renewed["work_item_id"], json!(id));
        let renewed = world.put(&format!("{ITEMS}/lease?id={query}"), json!({ "worker_id": "w" })).await.with(200);
        assert_eq!(renewed["work_item_id"], json!(id));
        let done = world.put(&format!("{ITEMS}/{path}/complete"), json!("w")).await.with(200);
        assert_eq!((&done["work_item_id"], &done["status"]), (&json!(id), &json!("completed")));
    }
}

#[tokio::test]
async fn a_reserved_name_with_one_letter_escaped_is_an_item() {
    let world = World::with_items(&["status", "acquire"]).await;
    assert_eq!(world.get(&format!("{ITEMS}/%73tatus")).await.with(200)["work_item_id"], json!("status"));
    assert_eq!(world.get(&format!("{ITEMS}/acquir%65")).await.with(200)["work_item_id"], json!("acquire"));
    assert_eq!(world.get(&format!("{ITEMS}/status")).await.with(200)["total_work_items"], json!(2));
}

#[tokio::test]
async fn the_contracts_own_client_escapes_nothing_and_is_understood() {
    let world = World::with_items(&["a/b$c", "x/lease"]).await;
    world.acquire("w").await;
    world.acquire("w").await;
    let renewed = world.put(&format!("{ITEMS}/a/b$c/lease"), json!({ "worker_id": "w" })).await.with(200);
    assert_eq!(renewed["work_item_id"], json!("a/b$c"));
    assert_eq!(world.get(&format!("{ITEMS}/a/b$c")).await.with(200)["work_item_id"], json!("a/b$c"));
    let done = world.put(&format!("{ITEMS}/x/lease/complete"), json!("w")).await.with(200);
    assert_eq!(done["work_item_id"], json!("x/lease"));
}

#[tokio::test]
async fn any_id_goes_through_the_v1_routes() {
    let world = World::with_shop().await;
    for id in IDS {
        world.post(&format!("{V1}/items"), json!({ "id": id })).await.with(201);
        let path = format!("{V1}/items/{}", escaped(id));
        let by_query = |act: &str| format!("{V1}/items/{act}?id={}", escaped(id));

        assert_eq!(world.get(&path).await.with(200)["id"], json!(id));
        assert_eq!(world.get(&format!("{V1}/items?id={}", escaped(id))).await.with(200)["id"], json!(id));
        let lease = world.lease("w").await;
        assert_eq!(lease["id"], json!(id));
        let token = json!({ "token": lease["token"] });
        world.post(&format!("{path}/renew"), token.clone()).await.with(200);
        world.post(&by_query("renew"), token.clone()).await.with(200);
        world.post(&by_query("complete"), token).await.with(200);
        assert_eq!(world.get(&path).await.with(200)["state"], json!("completed"));
    }
    world.delete(&format!("{V1}/items/{}", escaped("a/b"))).await.with(200);
    world.delete(&format!("{V1}/items?id=..")).await.with(200);
    assert_eq!(world.get(&format!("{V1}/items?id=a/b")).await.code(), "item.unknown");
}

#[tokio::test]
async fn an_id_that_cannot_be_is_refused_or_not_there() {
    let world = World::with_shop().await;
    let long = "x".repeat(513);
    for id in ["", &long] {
        let mut bad = item("x");
        bad["work_item_id"] = json!(id);
        world.post(ITEMS, bad).await.with(422);
        assert_eq!(world.post(&format!("{V1}/items"), json!({ "id": id })).await.code(), "value.invalid");
    }
    world.get(&format!("{ITEMS}/{long}")).await.with(404);
    assert_eq!(world.get(&format!("{V1}/items/{long}")).await.code(), "value.invalid");
    world.get(&format!("{ITEMS}/%FF")).await.with(404);
    assert_eq!(world.get(&format!("{V1}/items/%FF")).await.code(), "request.parameter");
}

/// Walks one pipeline through every route that names it.
async fn a_pipeline_goes_around(world: &World, id: &str) {
    let place = format!("/api/v1/pipelines/{}", escaped(id));
    let made = world.post("/api/v1/pipelines", json!({ "id": id, "name": "x" })).await;
    let location = made.headers["location"].to_str().unwrap().to_owned();
    made.with(201);

    assert_eq!(world.get(&location).await.with(200)["id"], json!(id));
    assert_eq!(world.get(&place).await.with(200)["id"], json!(id));
    let usage = json!({ "cpu_percent": 1, "memory_mb": 1 });
    world.put(&format!("{place}/usage"), usage.clone()).await.with(200);
    world
        .put(&format!("{place}/status"), json!({ "status": "running", "total_records": 1, "failed_records": 0 }))
        .await
        .with(200);
    world.post(&format!("{place}/heartbeat"), json!({})).await.with(200);
    let heard = world.post("/api/v1/pipelines:heartbeat", json!({ "pipelines": [id] })).await.with(200);
    assert_eq!(heard["unknown"], json!([]));
    world.put(&format!("{place}/reservation"), usage).await.with(200);
    assert_eq!(world.get(&format!("{place}/reservation")).await.with(200)["pipeline"], json!(id));
    world.delete(&format!("{place}/reservation")).await.with(200);
    let story = world.get(&format!("{place}/history")).await.with(200);
    assert_eq!(story["items"].as_array().unwrap().len(), 5, "{story}");
    let audit = world.get(&format!("/api/v1/audit?pipeline={}", escaped(id))).await.with(200);
    assert_eq!(audit["items"], story["items"]);
    let listed = world.get("/api/v1/pipelines?limit=1").await.with(200);
    assert_eq!(listed["items"][0]["id"], json!(id));
    let after = world.get(&format!("/api/v1/pipelines?cursor={}", escaped(id))).await.with(200);
    assert_eq!(after["items"], json!([]));

    assert_eq!(world.delete(&place).await.with(200)["pipeline"]["id"], json!(id));
    assert_eq!(world.get(&place).await.code(), "pipeline.unknown");
}

#[tokio::test]
async fn a_pipeline_of_any_id_goes_through_every_route_that_names_it() {
    let world = World::empty();
    let awkward = ["...", ".x", "a:b", "a%2Fb", "%", "%2E%2E", "pipelines:watch", "reservation", "\u{202e}x"];
    for id in IDS.into_iter().chain(awkward).filter(|id| *id != "..") {
        a_pipeline_goes_around(&world, id).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_pipeline_is_called_its_paths_lead_to_it(id in "[\\PC]{1,40}") {
        prop_assume!(!id.trim().is_empty() && id.len() <= 256 && id != "." && id != "..");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { a_pipeline_goes_around(&World::empty(), &id).await });
    }
}

#[tokio::test]
async fn a_pipeline_that_no_path_leads_to_is_refused_before_anything_happens() {
    let world = World::empty();
    for id in [".", ".."] {
        let place = format!("/api/v1/pipelines/{}", escaped(id));
        let refused = world.post("/api/v1/pipelines", json!({ "id": id, "name": "x" })).await;
        assert_eq!(refused.code(), "value.invalid");
        let refused = refused.with(422);
        assert!(refused["detail"].as_str().unwrap().ends_with(&format!("found {id}")), "{refused}");
        let reserved = world.put(&format!("{place}/reservation"), json!({ "cpu_percent": 1, "memory_mb": 1 })).await;
        assert_eq!(reserved.code(), "value.invalid");
        assert_eq!(world.get(&place).await.code(), "pipeline.unknown");
    }
    assert_eq!(world.get("/api/v1/audit").await.with(200)["items"], json!([]));
}
