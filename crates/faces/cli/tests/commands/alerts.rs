//! Alerts by webhook: the binary against receivers on loopback.

use crate::binary::{Server, run_at};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

/// What came: the key and the document.
type Message = (String, Value);

/// A receiver that takes everything; where it is, and what came.
fn receiver() -> (String, Receiver<Message>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Some(message) = take(stream.unwrap()) else { continue };
            if tell.send(message).is_err() {
                return;
            }
        }
    });
    (place, told)
}

fn take(mut stream: TcpStream) -> Option<Message> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut key) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
            Some((name, value)) if name.eq_ignore_ascii_case("idempotency-key") => key = value.to_owned(),
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    Some((key, serde_json::from_slice(&body).unwrap()))
}

fn say(server: &Server, pipeline: &str, status: &str) {
    assert_eq!(server.run(&["pipeline", "report", pipeline, "--status", status]).code, 0);
}

#[test]
fn what_fails_is_told_to_a_webhook_and_what_is_mended_is_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let (place, told) = receiver();
    let url = format!("http://{place}/hook");
    let server = Server::start_with(
        folder.path(),
        &["--alert-webhook", &url, "--alert-allow", "127.0.0.1", "--alert-for", "0s"],
    );
    server.run(&["pipeline", "register", "a", "A"]);
    server.run(&["pipeline", "register", "b", "B", "--group", "shop"]);

    say(&server, "b", "failed");

    let (key, alert) = told.recv_timeout(SOON).unwrap();
    assert_eq!(
        (&alert["severity"], &alert["health"], &alert["previous"]),
        (&"alert".into(), &"critical".into(), &"healthy".into())
    );
    assert_eq!(alert["id"], key.as_str());
    assert_eq!((&alert["system"]["failed"], &alert["system"]["pipelines"]), (&1.into(), &2.into()));
    assert_eq!(alert["pipelines"][0]["id"], "b");
    assert_eq!(alert["server"], format!("http://{}", server.http));
    assert!(alert["text"].as_str().unwrap().contains("critical"), "{alert}");

    say(&server, "b", "running");

    let (_, resolved) = told.recv_timeout(SOON).unwrap();
    assert_eq!((&resolved["severity"], &resolved["health"]), (&"resolved".into(), &"healthy".into()));
    assert_eq!(resolved["trouble_since"], alert["trouble_since"]);
    assert_eq!(resolved["pipelines"], serde_json::json!([]));
    let figures = wait_for_figures(&server, "coordinator_alerts_sent_total{severity=\"resolved\"} 1");
    assert!(figures.contains("coordinator_alerts_sent_total{severity=\"alert\"} 1\n"), "{figures}");
    assert!(figures.contains("coordinator_alerts_pending 0\n"), "{figures}");
}

/// The figures, once they have a line.
fn wait_for_figures(server: &Server, line: &str) -> String {
    let begun = Instant::now();
    loop {
        let mut stream = TcpStream::connect(&server.http).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        if text.lines().any(|found| found == line) {
            return text;
        }
        assert!(begun.elapsed() < SOON, "{line} does not come: {text}");
    }
}

#[test]
fn a_receiver_that_hangs_holds_up_neither_the_server_nor_another_receiver() {
    let folder = tempfile::tempdir().unwrap();
    // Takes connections, and says nothing.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = format!("http://{}/", hanging.local_addr().unwrap());
    let (place, told) = receiver();
    let url = format!("http://{place}/");
    let webhooks = ["--alert-webhook", &there, "--alert-webhook", &url, "--alert-allow", "127.0.0.1"];
    let server = Server::start_with(folder.path(), &[&webhooks[..], &["--alert-for", "0s"]].concat());
    server.run(&["pipeline", "register", "a", "A"]);
    say(&server, "a", "failed");
    let (connection, _) = hanging.accept().unwrap();

    told.recv_timeout(SOON).unwrap();
    let status = server.run(&["status", "-o", "json"]).json();
    assert_eq!(status["system"]["health"], "critical");
    say(&server, "a", "running");
    assert_eq!(told.recv_timeout(SOON).unwrap().1["severity"], "resolved");
    drop(connection);
}

#[test]
fn a_host_that_is_not_allowed_is_refused_with_the_flag_to_give_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let webhook = "https://ann:hunter2@hooks.example.com/hunter2?hunter2";
    let words = ["server", "--data-dir", data.to_str().unwrap(), "--alert-webhook", webhook];
    let ended = run_at("", &words, "");
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.stderr.contains("--alert-allow hooks.example.com"), "{ended:?}");
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    assert!(!data.exists(), "nothing was written");
}

#[test]
fn an_address_is_in_no_log_however_much_is_logged_and_may_come_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let (place, told) = receiver();
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap();
    let away = refusing.local_addr().unwrap();
    drop(refusing);
    let webhooks = format!("[\"secret:whole\", \"http://ann:hunter2@{away}/hunter2?token=hunter2\"]");
    let mut child = Command::new(env!("CARGO_BIN_EXE_capstan"))
        .args(["server", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--log", "trace", "--data-dir"])
        .arg(folder.path())
        .env("CAPSTAN_SECRET_WHOLE", format!("http://ann:hunter2@{place}/hunter2?token=hunter2"))
        .env("CAPSTAN__ALERTS__WEBHOOKS", webhooks)
        .env("CAPSTAN__ALERTS__ALLOW", "127.0.0.1")
        .env("CAPSTAN__ALERTS__FOR", "0s")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        log
    });
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let http = line.split_whitespace().find_map(|part| part.strip_prefix("http=")).unwrap().to_owned();
    let server = Server { http, grpc: String::new(), child };
    server.run(&["pipeline", "register", "a", "A"]);
    say(&server, "a", "failed");
    told.recv_timeout(SOON).unwrap();
    let figures = wait_for_figures(&server, "coordinator_alerts_pending 1");
    assert!(!figures.contains("hunter2"));
    drop(server);

    let log = log.join().unwrap();
    assert!(log.contains(&format!("http://{place}")) && log.contains("not delivered to a webhook yet"), "{log}");
    for line in log.lines() {
        assert!(!line.contains("hunter2") && !line.contains("YW5uOmh1bnRlcjI"), "{line}");
    }
}
