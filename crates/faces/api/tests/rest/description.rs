//! The OpenAPI document: true, checked in, and shown.

use crate::world::World;
use serde_json::{Value, json};

#[test]
fn the_document_that_is_checked_in_is_the_one_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/openapi.json");
    let made = capstan_api::openapi();
    if std::env::var_os("CAPSTAN_WRITE_OPENAPI").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == made, "docs/openapi.json is out of date: run this test with CAPSTAN_WRITE_OPENAPI=1");
}

fn document() -> Value {
    serde_json::from_str(&capstan_api::openapi()).unwrap()
}

#[tokio::test]
async fn every_operation_in_the_document_is_there() {
    let world = World::with_items(&["a"]).await;
    // A backup breaks off where the server closes: it is asked for before.
    let backup = "/api/v1/backup";
    assert_eq!(world.get(backup).await.status, 200);
    world.closing.cancel();
    for (path, methods) in document()["paths"].as_object().unwrap() {
        if path == backup {
            continue;
        }
        let real = path
            .replace("{session}", "shop")
            .replace("{id}", "a")
            .replace("{limit}", "dump")
            .replace("{job}", "shop")
            .replace("{pipeline}", "p1")
            .replace("{unit}", "shop.orders")
            .replace("{code}", "item.unknown");
        for method in methods.as_object().unwrap().keys() {
            let reply = world.ask(&method.to_uppercase(), &real, "not json").await;
            assert_ne!(reply.status, 405, "{method} {path}");
            assert_ne!(reply.code(), "route.unknown", "{method} {path}");
            assert_ne!(reply.json()["detail"], json!("Not Found"), "{method} {path}");
            let told = document()["paths"][path][method]["responses"].clone();
            assert!(
                told.get(reply.status.as_str()).is_some() || told.get("default").is_some(),
                "{method} {path} answered {}, which is not described",
                reply.status
            );
        }
        if path.contains("{session}") && world.get("/sessions/shop").await.status == 404 {
            world.post("/sessions/", json!({ "name": "shop" })).await.with(201);
        }
    }
}

#[tokio::test]
async fn every_route_is_in_the_document() {
    let described = document();
    for path in capstan_api::route_paths() {
        // The two ways to say one path, and the one that takes paths apart by itself, are described once.
        let shown = path.strip_suffix("/{*rest}").unwrap_or(path).trim_end_matches('/');
        let known = described["paths"].as_object().unwrap().keys().any(|key| key.trim_end_matches('/') == shown);
        assert!(known, "{path}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_ids_are_given_once() {
    let document = document();
    let mut references = Vec::new();
    gather(&document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let mut ids = std::collections::HashSet::new();
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{}", operation["operationId"]);
        }
    }
}

fn gather(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                references.push(reference.to_owned());
            }
            fields.values().for_each(|field| gather(field, references));
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, references)),
        _ => {}
    }
}

#[tokio::test]
async fn what_is_answered_has_the_fields_that_are_described() {
    let world = World::with_items(&["a", "b"]).await;
    let lease = world.post("/api/v1/sessions/shop/acquire", json!({ "worker_id": "w" })).await.with(200);
    let document = document();
    let schemas = &document["components"]["schemas"];
    for (name, answer) in [
        ("Session", world.get("/api/v1/sessions/shop").await.with(200)),
        ("SessionStatus", world.get("/api/v1/sessions/shop/status").await.with(200)),
        ("Item", world.get("/api/v1/sessions/shop/items/a").await.with(200)),
        ("Acquired", lease.clone()),
        ("Lease", lease["leases"][0].clone()),
        ("Worker", world.get("/api/v1/workers").await.with(200)["items"][0].clone()),
        ("Readiness", world.get("/health/ready").await.with(200)),
        ("BackfillWorkItem", world.get("/sessions/shop/backfill/work-items/a").await.with(200)),
        ("QueueStatus", world.get("/sessions/shop/backfill/work-items/status").await.with(200)),
        ("ConsoleAcquired", world.acquire("w").await),
        ("ConsoleSession", world.get("/sessions/shop").await.with(200)),
        ("Problem", world.get("/api/v1/sessions/none").await.with(404)),
    ] {
        let (properties, required) = described(&schemas[name], schemas);
        for field in answer.as_object().unwrap().keys() {
            let free = schemas[name]["additionalProperties"] == json!(true);
            assert!(properties.contains(field) || free, "{name}.{field} is not described: {properties:?}");
        }
        for field in required {
            assert!(answer.get(&field).is_some(), "{name}.{field} is required and not there: {answer}");
        }
    }
}

/// Fields of a schema, and those that are required.
fn described(schema: &Value, schemas: &Value) -> (Vec<String>, Vec<String>) {
    let mut fields = (Vec::new(), Vec::new());
    let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    for mut part in parts {
        if let Some(reference) = part["$ref"].as_str() {
            part = schemas[reference.rsplit('/').next().unwrap()].clone();
        }
        fields.0.extend(part["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned()));
        let required = part["required"].as_array().cloned().unwrap_or_default();
        fields.1.extend(required.iter().map(|field| field.as_str().unwrap().to_owned()));
    }
    fields
}

#[tokio::test]
async fn the_viewer_asks_nobody_outside() {
    let world = World::empty();
    let page = world.get("/api/v1/docs").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let text = page.text();
    assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("src="), "{text}");
    assert_eq!(world.get("/api/v1/openapi.json").await.text(), capstan_api::openapi());
}
