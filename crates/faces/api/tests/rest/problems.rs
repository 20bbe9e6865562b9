//! Problem bodies as people see them.

use crate::world::{ITEMS, V1, World};
use serde_json::{Value, json};

/// Times differ from run to run.
fn settled(mut body: Value) -> Value {
    if let Some(time) = body["expired_at"].as_str().map(str::to_owned) {
        body["expired_at"] = json!("TIME");
        body["detail"] = json!(body["detail"].as_str().unwrap().replace(&time, "TIME"));
    }
    body
}

#[tokio::test]
async fn bodies_of_problems_stay_as_they_are() {
    let world = World::with_items(&["a"]).await;
    let lease = world.lease("w").await;
    let token = lease["token"].as_u64().unwrap();
    let mut seen = Vec::new();
    for (method, path, body) in [
        ("GET", "/api/v1/sessions/none".to_owned(), String::new()),
        ("GET", format!("{V1}/items/none"), String::new()),
        ("POST", format!("{V1}/items"), "{\"id\":\"a\",\"shard_number\":1}".to_owned()),
        ("POST", format!("{V1}/items"), "{\"id\":\"b\",\"shrad\":1}".to_owned()),
        (
            "POST",
            format!("{V1}/items:batch"),
            "{\"items\":[{\"id\":\"b\"},{\"id\":\"c\",\"shard_number\":\"7\"}]}".to_owned(),
        ),
        ("POST", format!("{V1}/items"), "{\"id\":\"b\"\n,}".to_owned()),
        ("POST", format!("{V1}/acquire"), "{\"max\":1}".to_owned()),
        ("POST", format!("{V1}/acquire"), "{\"worker_id\":\"w\",\"max\":5000}".to_owned()),
        ("POST", format!("{V1}/items/a/renew"), "{\"token\":1}".to_owned()),
        ("GET", format!("{V1}/items?limit=many"), String::new()),
        ("GET", "/api/v2/sessions".to_owned(), String::new()),
        ("PUT", V1.to_owned(), "{}".to_owned()),
    ] {
        seen.push(
            json!({ "asked": format!("{method} {path} {body}"), "told": world.ask(method, &path, body).await.json() }),
        );
    }
    world.pass(301);
    let late = world.post(&format!("{V1}/items/a/renew"), json!({ "token": token })).await.json();
    seen.push(json!({ "asked": "a renewal too late", "told": settled(late) }));
    for (method, path, body) in [
        ("GET", format!("{ITEMS}/none"), String::new()),
        ("POST", ITEMS.to_owned(), "{\"work_item_id\":\"x\"}".to_owned()),
        ("PUT", format!("{ITEMS}/a/complete"), "7".to_owned()),
        ("GET", format!("{ITEMS}/acquire"), String::new()),
    ] {
        seen.push(
            json!({ "asked": format!("{method} {path} {body}"), "told": world.ask(method, &path, body).await.json() }),
        );
    }
    insta::assert_json_snapshot!(seen);
}

#[tokio::test]
async fn the_type_of_a_problem_is_where_its_page_lies() {
    let world = World::with_shop().await;
    let problem = world.get(&format!("{V1}/items/none")).await.json();
    let page = world.get(problem["type"].as_str().unwrap()).await;
    assert_eq!(page.headers["content-type"], "text/markdown; charset=utf-8");
    assert!(page.text().starts_with("# item.unknown\n"));
    assert_eq!(world.get("/api/v1/errors/item.odd").await.code(), "route.unknown");
}
