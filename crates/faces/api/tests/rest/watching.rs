//! Following what happens as server-sent events.

use crate::world::{V1, World};
use axum::body::Body;
use axum::http::{Request, Response};
use futures::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

/// One event: its id, its name, its data.
type Event = (Option<u64>, String, Value);

struct Events {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Events {
    fn of(response: Response<Body>) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                let id = field("id: ").map(|id| id.parse().unwrap());
                let told = field("data: ").map(|data| serde_json::from_str(data).unwrap());
                let event = (id, field("event: ").unwrap_or_default().to_owned(), told.unwrap_or_default());
                self.text = rest.to_owned();
                return Some(event);
            }
            let chunk = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next().await.unwrap());
        }
        events
    }
}

async fn watch(world: &World, path: &str, seen: Option<u64>) -> Response<Body> {
    let mut request = Request::get(path);
    if let Some(seen) = seen {
        request = request.header("last-event-id", seen);
    }
    world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_happens_is_told_in_order_with_names_and_tokens() {
    let world = World::with_shop().await;
    let mut events = Events::of(watch(&world, &format!("{V1}/watch"), None).await);

    world.post(&format!("{V1}/items"), json!({ "id": "a/1" })).await.with(201);
    let lease = world.lease("w").await;
    world.post(&format!("{V1}/items/a%2F1/complete"), json!({ "token": lease["token"] })).await.with(200);

    let told = events.take(3).await;
    let names: Vec<_> = told.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["item_added", "item_granted", "item_completed"]);
    assert!(told.iter().all(|(id, name, data)| data["position"] == json!(id) && data["event"] == json!(name)));
    assert!(told.iter().all(|(_, _, data)| data["item_id"] == json!("a/1") && data["session"] == json!("shop")));
    assert_eq!((&told[1].2["token"], &told[1].2["worker_id"]), (&lease["token"], &json!("w")));
}

#[tokio::test]
async fn a_stream_that_broke_off_goes_on_without_gaps_and_without_repeats() {
    let world = World::with_shop().await;
    for id in ["a", "b", "c"] {
        world.post(&format!("{V1}/items"), json!({ "id": id })).await.with(201);
    }
    let all = Events::of(watch(&world, "/api/v1/watch?from=1", None).await).take(4).await;
    assert_eq!(all[0].1, "session_opened");

    let rest = Events::of(watch(&world, &format!("{V1}/watch"), all[1].0).await).take(2).await;

    assert_eq!(rest, all[2..]);
}

#[tokio::test]
async fn another_session_is_not_told_of() {
    let world = World::with_shop().await;
    world.post("/api/v1/sessions", json!({ "name": "two" })).await.with(201);
    let mut events = Events::of(watch(&world, "/api/v1/sessions/two/watch", None).await);
    world.post(&format!("{V1}/items"), json!({ "id": "a" })).await.with(201);
    world.post("/api/v1/sessions/two/items", json!({ "id": "b" })).await.with(201);
    assert_eq!(events.next().await.unwrap().2["item_id"], json!("b"));
}

#[tokio::test]
async fn a_position_that_has_not_come_yet_is_refused_with_where_to_begin() {
    let world = World::with_shop().await;
    let problem = world.get(&format!("{V1}/watch?from=1000000")).await.with(422);
    assert_eq!(problem["code"], json!("value.out_of_range"));
    assert_eq!(problem["begin_at"], json!(world.handle.status().durable().get() + 1));
    assert_eq!(world.get(&format!("{V1}/watch?from=x")).await.code(), "request.parameter");
    assert_eq!(world.get("/api/v1/sessions/none/watch").await.code(), "session.unknown");
}

#[tokio::test]
async fn streams_end_when_the_server_closes() {
    let world = World::with_shop().await;
    let mut events = Events::of(watch(&world, "/api/v1/watch", None).await);
    world.closing.cancel();
    assert_eq!(events.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_a_heartbeat_that_moves_the_id_on() {
    let world = World::with_shop().await;
    world.post("/api/v1/sessions", json!({ "name": "two" })).await.with(201);
    let mut events = Events::of(watch(&world, "/api/v1/sessions/two/watch", None).await);
    let (id, name, data) = events.next().await.unwrap();
    assert_eq!((id, name.as_str(), data), (Some(world.handle.status().durable().get()), "", Value::Null));
}
