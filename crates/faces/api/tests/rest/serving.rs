//! The listener: both protocols, health, figures, and a graceful end.

use crate::world::{ITEMS, V1, World};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

async fn listening(world: &World) -> (std::net::SocketAddr, JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(capstan_api::serve(listener, world.router.clone(), world.closing.clone())))
}

/// Sends a request and reads one answer of a known length.
async fn converse(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4_096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the server hung up after {text:?}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
}

#[tokio::test]
async fn many_requests_go_over_one_connection() {
    let world = World::with_shop().await;
    let (address, _) = listening(&world).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for number in 0..50 {
        let body = json!({ "id": format!("i{number}") }).to_string();
        let head = format!(
            "POST {V1}/items HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = converse(&mut stream, &format!("{head}{body}")).await;
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    }
    assert_eq!(world.get(&format!("{V1}/status")).await.with(200)["pending"], json!(50));
}

#[tokio::test]
async fn http_2_is_spoken_without_tls() {
    let world = World::with_shop().await;
    let (address, _) = listening(&world).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The preface and an empty SETTINGS frame; the server's own SETTINGS come back.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "a SETTINGS frame: {head:?}");
}

#[tokio::test]
async fn a_stop_lets_go_of_idle_connections_and_of_the_port() {
    let world = World::with_shop().await;
    let (address, serving) = listening(&world).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    converse(&mut idle, "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await;

    world.closing.cancel();

    serving.await.unwrap().unwrap();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_those_who_wait_for_work() {
    let world = World::with_shop().await;
    let (address, serving) = listening(&world).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = json!({ "worker_id": "w", "wait_ms": 60_000 }).to_string();
    let head = format!("POST {V1}/acquire HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    while world.handle.status().waiting.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        world.handle.read(|_| ()).await.unwrap();
        tokio::task::yield_now().await;
    }

    world.closing.cancel();

    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("server.stopping"), "{text}");
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_leader_is_live_and_ready_and_says_where() {
    let world = World::with_shop().await;
    assert_eq!(world.get("/health/live").await.with(200), json!({ "status": "live" }));
    let ready = world.get("/health/ready").await.with(200);
    assert_eq!(ready, json!({ "status": "ready", "role": "leader", "leader": "http://127.0.0.1:8000", "epoch": 1 }));
    assert_eq!(world.get("/system/version").await.with(200), json!({ "version": "1.2.3" }));
    let health = world.get("/system/health").await.with(200);
    assert_eq!(health, json!({ "checks": { "coordinator": "ok", "role": "leader" }, "status": "ok" }));
}

#[tokio::test]
async fn a_server_whose_coordinator_has_stopped_is_not_ready_and_says_why() {
    let world = World::with_shop().await;
    let router = world.router.clone();
    let world = world.stop().await;
    let ask = |path: &'static str| {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        tower::ServiceExt::oneshot(router.clone(), request)
    };
    for path in ["/health/ready", "/system/health"] {
        let response = ask(path).await.unwrap();
        assert_eq!(response.status(), 503, "{path}");
    }
    let response = ask(V1).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    drop(world);
}

#[tokio::test]
async fn the_figures_have_these_names() {
    let world = World::with_items(&["a", "b"]).await;
    world.acquire("w").await;
    world.get(&format!("{ITEMS}/none")).await.with(404);
    let figures = world.get("/metrics").await;
    assert!(figures.headers["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = figures.text();
    let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    insta::assert_snapshot!(names.join("\n"));
    for line in [
        "capstan_work_items{state=\"pending\"} 1",
        "capstan_work_items{state=\"assigned\"} 1",
        "capstan_work_sessions{state=\"running\"} 1",
        "capstan_coordinator_leader 1",
        "capstan_build_info{version=\"1.2.3\"} 1",
        "capstan_http_requests_total{route=\"/sessions/{session}/backfill/work-items\",method=\"POST\",status=\"2xx\"} 2",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
    assert!(!text.contains("shop"), "no session is a label");
}
