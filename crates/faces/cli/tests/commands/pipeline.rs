//! `capstan pipeline` and `capstan replay`: the seed's examples, as they are typed.

use crate::binary::{Server, run_at};

#[test]
fn a_pipeline_is_registered_reported_listed_and_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());

    let words = ["pipeline", "register", "pipeline-123", "User Events Pipeline", "--group", "web", "--label", "a=b=c"];
    let made = server.run(&[&words[..], &["-o", "json"]].concat()).json();
    assert_eq!((&made["status"], &made["labels"]["a"]), (&"configured".into(), &"b=c".into()));
    let again = server.run(&["pipeline", "register", "pipeline-123"]);
    assert_eq!(again.code, 5, "{again:?}");
    assert!(again.stderr.contains("pipeline.exists"), "{again:?}");

    let words = ["pipeline", "report", "pipeline-123", "--status", "running", "--records", "1000000", "--failed", "5"];
    let told = server.run(&[&words[..], &["--cpu", "15.5", "--memory", "2048", "-o", "json"]].concat()).json_lines();
    assert_eq!((&told[0]["done"], &told[1]["done"]), (&"status recorded".into(), &"usage recorded".into()));
    let listed = server.run(&["pipeline", "list", "--status", "running", "-o", "json"]).json();
    assert_eq!(
        (&listed["pipelines"][0]["cpu_percent"], &listed["pipelines"][0]["failed_records"]),
        (&15.5.into(), &5.into())
    );
    let status = server.run(&["status", "-o", "json"]).json();
    assert_eq!((&status["system"]["health"], &status["system"]["total_memory_mb"]), (&"healthy".into(), &2048.into()));
    assert!(server.run(&["status"]).stdout.contains("healthy"));

    let gone = server.run(&["pipeline", "unregister", "pipeline-123", "-o", "json"]).json();
    assert_eq!(gone["total_records"], 1_000_000);
    assert_eq!(server.run(&["pipeline", "get", "pipeline-123"]).code, 4);
    assert_eq!(server.run(&["pipeline", "heartbeat", "pipeline-123"]).code, 4);
    let story = server.run(&["pipeline", "history", "pipeline-123", "-o", "json"]).json_lines();
    let events: Vec<_> = story.iter().map(|fact| fact["event"].as_str().unwrap()).collect();
    assert_eq!(
        events,
        ["PipelineRegistered", "PipelineStatusUpdated", "ResourceUsageReported", "PipelineUnregistered"]
    );
}

#[test]
fn room_is_checked_reserved_and_given_back_and_limits_change() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());

    let held = server.run(&["pipeline", "reserve", "a", "--cpu", "60", "--memory", "1", "-o", "json"]).json();
    assert_eq!(held["state"], "held");
    assert_eq!(server.run(&["pipeline", "check", "--cpu", "10", "--memory", "4096"]).code, 0);
    assert_eq!(server.run(&["pipeline", "check", "--cpu", "21"]).code, 9);
    assert_eq!(server.run(&["pipeline", "reserve", "b", "--cpu", "60"]).code, 9);
    let queued = server.run(&["pipeline", "reserve", "b", "--cpu", "60", "--wait", "1h", "-o", "json"]).json();
    assert_eq!((&queued["state"], &queued["ahead"]), (&"queued".into(), &0.into()));
    assert_eq!(server.run(&["pipeline", "queue", "-o", "json"]).json()["queue"][0]["pipeline"], "b");

    let limits = server.run(&["pipeline", "limits", "--cpu", "120", "-o", "json"]).json();
    assert_eq!((&limits["cpu_percent_max"], &limits["memory_mb_max"]), (&120.0.into(), &80_000.into()));
    assert_eq!(server.run(&["pipeline", "reservation", "b", "-o", "json"]).json()["state"], "held");
    assert_eq!(server.run(&["pipeline", "release", "a"]).code, 0);
    assert_eq!(server.run(&["pipeline", "release", "a"]).code, 4);
    assert_eq!(server.run(&["pipeline", "limits", "--cpu", "NaN"]).code, 3);
}

#[test]
fn the_registry_is_replayed_from_a_server_and_from_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.run(&["pipeline", "register", "a"]);
    let story = server.run(&["pipeline", "history", "-o", "json"]).json_lines();
    let at = story[0]["at"].as_str().unwrap().to_owned();
    server.run(&["pipeline", "unregister", "a"]);

    let then = server.run(&["replay", "--at", &at, "-o", "json"]).json();
    assert_eq!(then["pipelines"][0]["id"], "a");
    assert_eq!(server.run(&["pipeline", "list", "-o", "json"]).json()["pipelines"].as_array().unwrap().len(), 0);

    let data = folder.path().to_str().unwrap().to_owned();
    drop(server);
    let words = ["replay", "--at", &at, "--data-dir", &data, "-o", "json"];
    assert_eq!(run_at("http://127.0.0.1:1", &words, "").json()["pipelines"], then["pipelines"]);
}
