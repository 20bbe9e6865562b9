//! `capstan pipeline` and `capstan replay`: the seed's examples, as they are typed.

use crate::binary::{Server, run_at};
use crate::databases::{cassandra, postgres};

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

/// Of a journal that servers share, the registry is seen as it was through a server on it.
fn the_registry_is_replayed_on(journal: &str) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &["--journal", journal]);
    let words = ["pipeline", "register", "a", "Orders", "--label", "team=web"];
    assert_eq!(server.run(&words).code, 0);
    let before = server.run(&["pipeline", "history", "-o", "json"]).json_lines();
    assert_eq!(server.run(&["pipeline", "report", "a", "--cpu", "15.5", "--memory", "2048"]).code, 0);
    let after = server.run(&["pipeline", "history", "-o", "json"]).json_lines();
    assert_eq!(server.run(&["pipeline", "unregister", "a"]).code, 0);
    assert_eq!(server.run(&["pipeline", "register", "b"]).code, 0);

    for (story, memory_mb) in [(&before, 0), (&after, 2_048)] {
        let at = story.last().unwrap()["at"].as_str().unwrap();
        let then = server.run(&["replay", "--at", at, "-o", "json"]).json();
        assert_eq!(then["pipelines"].as_array().unwrap().len(), 1, "{then}");
        assert_eq!(
            (&then["pipelines"][0]["id"], &then["pipelines"][0]["labels"]["team"]),
            (&"a".into(), &"web".into())
        );
        assert_eq!(then["system"]["total_memory_mb"], memory_mb, "{then}");
    }
    let now = server.run(&["pipeline", "list", "-o", "json"]).json();
    assert_eq!((now["pipelines"].as_array().unwrap().len(), &now["pipelines"][0]["id"]), (1, &"b".into()));
}

#[test]
fn the_registry_is_replayed_on_postgresql() {
    let Some(journal) = postgres("replayed") else { return };
    the_registry_is_replayed_on(&journal);
}

#[test]
fn the_registry_is_replayed_on_cassandra() {
    let Some(journal) = cassandra("replayed") else { return };
    the_registry_is_replayed_on(&journal);
}

#[test]
fn a_pipeline_may_be_called_almost_anything() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for id in ["a/b", "50%25", "with space", "ünï漢", "?x=1&y=2#z", "...", "it's \"quoted\"", "-x"] {
        let one = |verb: &str, more: &[&str]| {
            let mut words = vec!["pipeline", verb, "-o", "json"];
            words.extend(more);
            words.extend(["--", id]);
            server.run(&words)
        };
        assert_eq!(one("register", &["--group", "odd"]).json()["id"], id);
        assert_eq!(one("get", &[]).json()["name"], id);
        assert_eq!(one("report", &["--status", "running", "--records", "1"]).code, 0);
        assert_eq!(one("reserve", &["--cpu", "1"]).json()["pipeline"], id);
        assert_eq!(one("reservation", &[]).json()["state"], "held");
        assert_eq!(one("history", &[]).json_lines().len(), 3);
        assert_eq!(server.run(&["pipeline", "list", "--group", "odd", "-o", "json"]).json()["pipelines"][0]["id"], id);
        assert_eq!(one("unregister", &[]).json()["total_records"], 1);
    }
    for id in [".", "..", "", " "] {
        let refused = server.run(&["pipeline", "register", id, "x"]);
        assert_eq!((refused.code, refused.stderr.contains("value.invalid")), (3, true), "{refused:?}");
    }
}

#[test]
fn what_a_report_does_not_say_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.run(&["pipeline", "register", "a"]);
    let words = ["pipeline", "report", "a", "--status", "running", "--records", "7", "--failed", "2", "--bytes", "9"];
    assert_eq!(server.run(&words).code, 0);

    assert_eq!(server.run(&["pipeline", "report", "a", "--status", "paused"]).code, 0);

    // Held for its second, and then in force.
    let paused = (0..100).find_map(|_| {
        let seen = server.run(&["pipeline", "get", "a", "-o", "json"]).json();
        (seen["status"] == "paused").then_some(seen)
    });
    let seen = paused.expect("a status is held for a second at most");
    assert_eq!((&seen["total_records"], &seen["failed_records"]), (&7.into(), &2.into()));
    assert_eq!(seen["cost"]["bytes_moved"], 9);
}

#[test]
fn people_read_whole_words() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let idle = server.run(&["status"]).stdout;
    assert!(idle.contains("HEALTH") && idle.contains("idle"), "{idle}");

    let sheet = server.run(&["pipeline", "register", "a", "User Events", "--label", "team=web", "--priority", "-5"]);
    for line in ["name        User Events", "labels      team=web", "priority    -5", "status      configured"] {
        assert!(sheet.stdout.lines().any(|told| told == line), "{line:?} in {}", sheet.stdout);
    }
    let story = server.run(&["pipeline", "history", "a"]).stdout;
    assert!(story.contains("  name=\"User Events\"  priority=-5\n"), "{story}");
    let limits = server.run(&["pipeline", "limits", "--stale-after", "2m"]).stdout;
    for line in ["CPU of all together       80 %", "silence that makes stale  2m", "ended ones are kept for   7d"] {
        assert!(limits.lines().any(|told| told == line), "{line:?} in {limits}");
    }
    let held = server.run(&["pipeline", "reserve", "a", "--cpu", "1", "--for", "10m"]).stdout;
    assert!(held.contains("in 10m"), "{held}");

    let fits = server.run(&["pipeline", "check", "--cpu", "10", "--memory", "4096"]);
    assert_eq!((fits.code, fits.stderr.as_str()), (0, "there is room for 10 % CPU and 4096 MB\n"));
    let full = server.run(&["pipeline", "check", "--cpu", "90"]);
    assert_eq!((full.code, full.stderr.as_str()), (9, "there is no room for 90 % CPU and 0 MB\n"));
    let negative = server.run(&["pipeline", "check", "--cpu", "-1"]);
    assert_eq!((negative.code, negative.stderr.contains("cpu_percent must be 0 to 100")), (3, true), "{negative:?}");
}

#[test]
fn a_history_is_asked_for_by_time_and_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for id in ["a", "b", "c"] {
        server.run(&["pipeline", "register", id]);
    }
    let told = |more: &[&str]| server.run(&[&["pipeline", "history", "-o", "json"], more].concat()).json_lines();

    assert_eq!(told(&[]).len(), 3);
    assert_eq!(told(&["--limit", "2"]).len(), 2);
    assert_eq!((told(&["--from", "1h"]).len(), told(&["--until", "1h"]).len()), (3, 0));
    assert_eq!((told(&["--from", "2026-01-31"]).len(), told(&["--from", "2999-01-31T00:00:00Z"]).len()), (3, 0));
    let second = told(&["--limit", "2"])[1]["at"].as_str().unwrap().to_owned();
    assert_eq!(told(&["--from", &second]).len(), 2);

    let nothing = server.run(&["pipeline", "history", "x"]);
    assert_eq!((nothing.code, nothing.stdout.as_str(), nothing.stderr.as_str()), (0, "", "nothing is kept of that\n"));
    assert_eq!(server.run(&["pipeline", "history", "--from", "yesterday"]).code, 2);
    assert_eq!(server.run(&["pipeline", "history", "--limit", "0"]).code, 2);
    assert_eq!(server.run(&["replay", "--at", "1h", "-o", "json"]).json()["system"]["health"], "idle");
}
