//! Malformed, huge and hostile requests are refused with nothing changed.

use crate::world::{ITEMS, V1, World};
use axum::body::{Body, Bytes};
use axum::http::Request;
use serde_json::{Value, json};

async fn busy() -> World {
    let world = World::with_items(&["a", "b", "c"]).await;
    world.lease("w").await;
    world
}

#[tokio::test]
async fn what_cannot_be_read_changes_nothing() {
    let world = busy().await;
    let before = world.seen().await;
    let token = before[1]["items"][0]["token"].as_u64().unwrap();
    let long = "x".repeat(70_000);
    let nested = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let table: Vec<(&str, String, Bytes, &str)> = vec![
        ("POST", format!("{V1}/items"), "{".into(), "request.malformed"),
        ("POST", format!("{V1}/items"), "".into(), "request.malformed"),
        ("POST", format!("{V1}/items"), vec![0xFF, 0xFE, 0x00].into(), "request.malformed"),
        ("POST", format!("{V1}/items"), "{\"id\":\"x\"} {}".into(), "request.malformed"),
        ("POST", format!("{V1}/items"), "[\"x\"]".into(), "request.wrong_type"),
        ("POST", format!("{V1}/items"), "null".into(), "request.wrong_type"),
        ("POST", format!("{V1}/items"), "{\"id\":\"x\",\"idd\":1}".into(), "request.unknown_field"),
        ("POST", format!("{V1}/items"), "{\"id\":\"x\",\"id\":\"y\"}".into(), "request.duplicate_field"),
        ("POST", format!("{V1}/items"), "{\"kind\":\"x\"}".into(), "request.missing_field"),
        ("POST", format!("{V1}/items"), "{\"id\":7}".into(), "request.wrong_type"),
        ("POST", format!("{V1}/items"), "{\"id\":\"x\",\"kind\":\"A B\"}".into(), "value.invalid"),
        ("POST", format!("{V1}/items"), "{\"id\":\"x\",\"document_count\":-1}".into(), "value.invalid"),
        ("POST", format!("{V1}/items"), "{\"id\":\"x\",\"document_count\":1e3}".into(), "request.wrong_type"),
        (
            "POST",
            format!("{V1}/items"),
            format!("{{\"id\":\"x\",\"document_count\":{}}}", u64::MAX).into(),
            "value.out_of_range",
        ),
        ("POST", format!("{V1}/items"), "{\"id\":\"x\",\"priority\":99999}".into(), "value.invalid"),
        ("POST", format!("{V1}/items"), "{\"id\":\"x\",\"not_before\":\"soon\"}".into(), "value.invalid"),
        ("POST", format!("{V1}/items"), "{\"id\":\"x\",\"waits_for\":[{\"item\":\"none\"}]}".into(), "item.unknown"),
        ("POST", format!("{V1}/items"), "{\"id\":\"x\",\"waits_for\":[{\"tree\":\"y\"}]}".into(), "value.invalid"),
        (
            "POST",
            format!("{V1}/items"),
            format!("{{\"id\":\"x\",\"payload\":\"{long}\"}}").into(),
            "value.out_of_range",
        ),
        ("POST", format!("{V1}/items"), format!("{{\"id\":\"x\",\"payload\":{nested}}}").into(), "value.out_of_range"),
        (
            "POST",
            format!("{V1}/items:batch"),
            "{\"items\":[{\"id\":\"x\"},{\"id\":\"a\",\"shard_number\":9}]}".into(),
            "item.conflict",
        ),
        (
            "POST",
            format!("{V1}/items:batch"),
            "{\"items\":[{\"id\":\"x\"},{\"id\":\"x\",\"shard_number\":9}]}".into(),
            "item.twice",
        ),
        ("POST", format!("{V1}/items:batch"), "{\"items\":[{\"id\":\"x\"},[\"y\"]]}".into(), "request.wrong_type"),
        ("POST", format!("{V1}/items:batch"), "{\"items\":[],\"conflicts\":\"ignore\"}".into(), "value.invalid"),
        ("POST", format!("{V1}/acquire"), "{\"worker_id\":\"w\",\"max\":5000}".into(), "value.out_of_range"),
        ("POST", format!("{V1}/acquire"), "{\"worker_id\":\"w\",\"max\":0}".into(), "value.out_of_range"),
        ("POST", format!("{V1}/acquire"), "{\"worker_id\":\"w\",\"wait_ms\":3600000}".into(), "value.out_of_range"),
        ("POST", format!("{V1}/acquire"), "{\"worker_id\":\"w\\u0000\"}".into(), "value.invalid"),
        (
            "POST",
            format!("{V1}/acquire"),
            "{\"worker_id\":\"w\",\"sessions\":[\"other\"]}".into(),
            "value.out_of_range",
        ),
        (
            "POST",
            format!("{V1}/items/a/renew"),
            format!("{{\"token\":{token},\"checkpoint\":\"{long}\"}}").into(),
            "value.out_of_range",
        ),
        ("POST", format!("{V1}/items/a/renew"), "{\"token\":1}".into(), "lease.not_held"),
        ("POST", format!("{V1}/items/a/renew"), "{\"token\":-1}".into(), "value.invalid"),
        (
            "POST",
            format!("{V1}/items/a/complete"),
            format!("{{\"token\":{token},\"successors\":[{{\"id\":\"a\"}}]}}").into(),
            "successors.invalid",
        ),
        (
            "POST",
            format!("{V1}/items/a/complete"),
            format!("{{\"token\":{token},\"result\":\"{long}\"}}").into(),
            "value.out_of_range",
        ),
        (
            "POST",
            format!("{V1}/items/a/fail"),
            format!("{{\"token\":{token},\"error\":\"{long}\"}}").into(),
            "value.out_of_range",
        ),
        ("POST", format!("{V1}/items/a/juggle?id=a"), "{}".into(), "route.unknown"),
        ("POST", format!("{V1}/items/juggle?id=a"), "{}".into(), "route.method"),
        ("PUT", format!("{V1}/limits/dump"), "{\"most\":0}".into(), "value.out_of_range"),
        ("PUT", format!("{V1}/limits/dump"), "{\"most\":5000}".into(), "value.out_of_range"),
        ("POST", "/api/v1/sessions".into(), "{\"name\":\"a b\"}".into(), "value.invalid"),
        (
            "POST",
            "/api/v1/sessions".into(),
            "{\"name\":\"s\",\"policy\":{\"lease_ms\":1}}".into(),
            "value.out_of_range",
        ),
        (
            "POST",
            "/api/v1/sessions".into(),
            "{\"name\":\"s\",\"policy\":{\"attempts\":\"many\"}}".into(),
            "value.invalid",
        ),
        (
            "POST",
            "/api/v1/sessions".into(),
            "{\"name\":\"s\",\"items\":[{\"id\":\"x\"},{\"id\":\"\"}]}".into(),
            "value.invalid",
        ),
        ("PATCH", V1.into(), "{\"policy\":{\"lease_min_ms\":1}}".into(), "request.unknown_field"),
        ("GET", format!("{V1}/items?limit=0"), "".into(), "request.parameter"),
        ("GET", format!("{V1}/items?limit=1&limit=2"), "".into(), "request.parameter"),
        ("GET", format!("{V1}/items?state=odd"), "".into(), "request.parameter"),
        ("GET", format!("{V1}/items?cursor=x"), "".into(), "request.parameter"),
        ("GET", format!("{V1}/items?stat=pending"), "".into(), "request.parameter"),
        ("DELETE", format!("{V1}/items"), "".into(), "request.parameter"),
        ("DELETE", format!("{V1}/items?all=yes"), "".into(), "request.parameter"),
        ("GET", format!("{V1}/nothing"), "".into(), "route.unknown"),
        ("PUT", format!("{V1}/status"), "{}".into(), "route.method"),
    ];
    for (method, path, body, code) in table {
        let shown = String::from_utf8_lossy(&body).chars().take(80).collect::<String>();
        let reply = world.ask(method, &path, body).await;
        assert_eq!(reply.code(), code, "{method} {path} {shown}: {} {}", reply.status, reply.text());
        assert_eq!(reply.headers["content-type"], "application/problem+json");
        assert_eq!(reply.json()["status"], json!(reply.status.as_u16()));
    }
    assert_eq!(world.seen().await, before);
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_name_and_limit() {
    let world = busy().await;
    let before = world.seen().await;
    let too_many: Vec<_> = (0..10_001).map(|number| json!({ "id": format!("n{number}") })).collect();

    let reply = world.post(&format!("{V1}/items:batch"), json!({ "items": too_many })).await;
    assert_eq!((reply.code().as_str(), &reply.json()["limit"]), ("request.too_large", &json!(10_000)));
    let reply = world.post("/api/v1/sessions", json!({ "name": "s", "items": too_many })).await;
    assert_eq!(reply.code(), "request.too_large");
    let console: Vec<_> = (0..10_001).map(|number| crate::world::item(&format!("n{number}"))).collect();
    world.post(&format!("{ITEMS}/batch"), json!(console)).await.with(413);

    let huge = Bytes::from(vec![b' '; (16 << 20) + 1]);
    for path in [format!("{V1}/items"), format!("{V1}/acquire")] {
        let reply = world.ask("POST", &path, huge.clone()).await;
        assert_eq!((reply.code().as_str(), &reply.json()["limit"]), ("request.too_large", &json!(16_777_216)));
    }
    world.ask("POST", ITEMS, huge.clone()).await.with(413);
    let chunks = (0..17).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20])));
    let unannounced = Body::from_stream(futures::stream::iter(chunks));
    assert_eq!(world.ask("POST", &format!("{V1}/items"), unannounced).await.code(), "request.too_large");

    assert_eq!(world.seen().await, before);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_half_done() {
    let world = busy().await;
    let before = world.seen().await;
    let parts = [Ok(Bytes::from("{\"id\":\"x\"}")), Err(std::io::Error::other("gone"))];
    let reply = world.ask("POST", &format!("{V1}/items"), Body::from_stream(futures::stream::iter(parts))).await;
    assert_eq!(reply.code(), "request.broken_off");
    assert_eq!(world.seen().await, before);
}

#[tokio::test]
async fn what_is_not_declared_as_json_is_refused() {
    let world = busy().await;
    let ask = |form: Option<&'static str>| {
        let mut request = Request::post(format!("{V1}/items"));
        if let Some(form) = form {
            request = request.header("content-type", form);
        }
        world.send(request.body(Body::from("{\"id\":\"x\"}")).unwrap())
    };
    let before = world.seen().await;
    for form in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "", "multipart/form-data"] {
        let reply = ask(Some(form)).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (415, "request.media_type"), "{form}");
    }
    assert_eq!(world.seen().await, before);
    for (path, body) in [(ITEMS, "{}"), ("/sessions/", "{\"name\":\"evil\"}")] {
        let request = Request::post(path).header("content-type", "text/plain").body(Body::from(body)).unwrap();
        assert!(world.send(request).await.with(422)["detail"].is_array(), "{path}");
    }
    assert_eq!(world.seen().await, before);
    ask(Some("application/json; charset=utf-8")).await.with(201);
    ask(Some("application/vnd.capstan+json")).await.with(200);
    ask(None).await.with(200);
}

#[tokio::test]
async fn a_bad_idempotency_key_is_refused() {
    let world = busy().await;
    let before = world.seen().await;
    for key in ["", &"k".repeat(129)] {
        let request = Request::post(format!("{V1}/acquire")).header("idempotency-key", key);
        let reply = world.send(request.body(Body::from("{\"worker_id\":\"w\"}")).unwrap()).await;
        assert_eq!((reply.code().as_str(), &reply.json()["in"]), ("request.parameter", &json!("header")));
    }
    assert_eq!(world.seen().await, before);
}

#[tokio::test]
async fn a_payload_comes_back_as_it_was_sent() {
    let world = World::with_shop().await;
    let payloads = [
        "null",
        "true",
        "0",
        "\"text \\u00e9 \\n\"",
        "[1, 2,\t3]",
        "{\"b\":1,\"a\":{\"$x\":[]}}",
        "123456789012345678901234567890.5e-7",
    ];
    for (number, payload) in payloads.iter().enumerate() {
        let body = format!("{{\"id\":\"i{number}\",\"payload\":{payload}}}");
        world.ask("POST", &format!("{V1}/items"), body).await.with(201);
        let text = world.get(&format!("{V1}/items/i{number}")).await.text();
        assert!(text.contains(&format!("\"payload\":{payload}")), "{payload}: {text}");
        let lease = world.post(&format!("{V1}/acquire"), json!({ "worker_id": "w" })).await.text();
        assert!(lease.contains(&format!("\"payload\":{payload}")), "{payload}: {lease}");
    }
}

#[tokio::test]
async fn a_request_id_comes_back_and_a_long_one_does_not() {
    let world = busy().await;
    let ask = |id: String| {
        let request = Request::get(format!("{V1}/items/none")).header("x-request-id", id);
        world.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(ask("abc-1".into()).await.headers["x-request-id"], "abc-1");
    assert!(!ask("x".repeat(300)).await.headers.contains_key("x-request-id"));
    assert_eq!(world.get("/nowhere").await.with(404)["code"], Value::from("route.unknown"));
}
