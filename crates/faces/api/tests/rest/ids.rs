//! Ids of every kind, through every route that carries one.

use crate::world::{ITEMS, V1, World, item};
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
