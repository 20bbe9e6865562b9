//! `capstan work`.

use crate::binary::Server;
use serde_json::json;

#[test]
fn work_is_added_taken_kept_and_finished() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.run(&["session", "create", "shop"]);

    let added =
        server.run(&["work", "add", "shop", "a/1", "b", "--kind", "dump", "--payload", "{\"n\":1}", "-o", "json"]);
    assert_eq!(added.json(), json!({ "created": 2, "unchanged": 0, "conflicts": [] }));
    let acquired = server.run(&["work", "acquire", "shop", "--worker", "alice", "--lease", "10s", "-o", "json"]).json();
    let lease = &acquired["leases"][0];
    assert_eq!((&lease["id"], &lease["lease_ms"], &lease["attempt"]), (&json!("a/1"), &json!(10_000), &json!(1)));
    assert_eq!((&lease["payload"], &lease["checkpoint"]), (&json!({ "n": 1 }), &json!(null)));
    assert!(lease["lease_expires_at"].as_str().unwrap().ends_with('Z'));
    let token = lease["token"].to_string();

    let renewed =
        server.run(&["work", "renew", "shop", "a/1", "--token", &token, "--checkpoint", "half", "-o", "json"]);
    assert_eq!(renewed.json()["id"], "a/1");
    assert_eq!(server.run(&["work", "renew", "shop", "a/1", "--token", "999999"]).code, 5);
    let item = server.run(&["work", "get", "shop", "a/1", "-o", "json"]).json();
    assert_eq!(
        (&item["state"], &item["checkpoint"], &item["lease"]["worker_id"]),
        (&json!("assigned"), &json!("half"), &json!("alice"))
    );
    let workers = server.run(&["work", "workers", "shop", "-o", "json"]).json();
    assert_eq!(workers["workers"][0]["holds"][0]["id"], "a/1");

    let words =
        ["work", "complete", "shop", "a/1", "--token", &token, "--result", "7", "--next", "alice", "-o", "json"];
    let next = server.run(&words).json();
    assert_eq!((&next["state"], &next["leases"][0]["id"]), (&json!("completed"), &json!("b")));
    let token = next["leases"][0]["token"].to_string();
    let words = ["work", "fail", "shop", "b", "--token", &token, "--error", "no luck", "--permanent", "-o", "json"];
    assert_eq!(server.run(&words).json()["state"], "failed");
    assert_eq!(server.run(&["work", "retry", "shop", "-o", "json"]).json()["retried"], 1);
    server.run(&["session", "resume", "shop"]);
    let again = server.run(&["work", "acquire", "shop", "--worker", "bob", "-o", "json"]).json();
    let token = again["leases"][0]["token"].to_string();
    assert_eq!(
        server.run(&["work", "release", "shop", "b", "--token", &token, "-o", "json"]).json()["state"],
        "pending"
    );

    let status = server.run(&["work", "status", "shop", "-o", "json"]).json();
    assert_eq!((&status["pending"], &status["completed"], &status["total"]), (&json!(1), &json!(1), &json!(2)));
    assert_eq!(server.run(&["work", "cancel", "shop", "b"]).code, 0);
    let nothing = server.run(&["work", "acquire", "shop", "--worker", "bob", "-o", "json"]);
    assert_eq!(nothing.code, 4, "{nothing:?}");
    assert!(nothing.stdout.contains("\"reason\"") && nothing.stderr.starts_with("no work"), "{nothing:?}");
}

#[test]
fn items_come_from_a_file_or_from_stdin_and_lists_are_lines() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    server.run(&["session", "create", "shop"]);
    let file = folder.path().join("items.json");
    std::fs::write(&file, r#"[{"id":"x","kind":"dump"},{"id":"y"}]"#).unwrap();

    let lines: String = (0..2_500).map(|n| format!("{{\"id\":\"i{n}\"}}\n")).collect();
    let added = server.run_with(&["work", "add", "shop", "--file", "-", "-o", "json"], &lines).json();
    assert_eq!(added["created"], 2_500);
    let added = server.run(&["work", "add", "shop", "-f", file.to_str().unwrap(), "-o", "json"]).json();
    assert_eq!(added["created"], 2);
    let other = server.run_with(&["work", "add", "shop", "--each", "-f", "-", "-o", "json"], r#"{"id":"x"}"#);
    assert_eq!(other.json()["conflicts"], json!([{ "id": "x", "field": "kind" }]));
    let wrong = server.run_with(&["work", "add", "shop", "--file", "-"], "{\"id\":\"z\"}\n{\"di\":1}\n");
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("line 2"), "{wrong:?}");

    let listed = server.run(&["work", "list", "shop", "-o", "json"]).json_lines();
    assert_eq!(listed.len(), 2_502);
    assert_eq!((&listed[0]["id"], &listed[2_500]["id"]), (&json!("i0"), &json!("x")));
    let dumps = server.run(&["work", "list", "shop", "--kind", "dump", "-o", "json"]).json_lines();
    assert_eq!(dumps.len(), 1);
    let few = server.run(&["work", "list", "shop", "--state", "pending", "--limit", "3"]);
    assert_eq!(few.stdout.lines().count(), 4, "{}", few.stdout);
    assert_eq!(server.run(&["work", "delete", "shop", "--all", "-o", "json"]).json()["deleted"], 2_502);
}
