//! `capstan session`.

use crate::binary::Server;
use serde_json::json;

#[test]
fn a_session_is_opened_shown_steered_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());

    let words = ["session", "create", "shop", "--lease", "30s", "--attempts", "unlimited", "--limit", "dump=4"];
    let created = server.run(&words);
    assert_eq!((created.code, created.stdout.as_str()), (0, "session shop: created\n"));
    let again = server.run(&words);
    assert_eq!((again.code, again.stdout.as_str()), (5, ""));
    assert!(again.stderr.contains("session.exists"), "{}", again.stderr);

    let shown = server.run(&["session", "get", "shop", "-o", "json"]).json();
    assert_eq!(shown["policy"]["lease_ms"], 30_000);
    assert_eq!(shown["policy"]["attempts"], "unlimited");
    assert_eq!(shown["status"]["state"], "running");

    assert_eq!(server.run(&["session", "update", "shop", "--weight", "9", "--notes", "{\"a\":1}"]).code, 0);
    assert_eq!(
        server.run(&["session", "limit", "shop", "dump=none", "restore=2", "-o", "json"]).json()["limits"],
        json!({ "dump": null, "restore": 2 })
    );
    assert_eq!(server.run(&["session", "pause", "shop", "--immediate", "--reason", "lunch"]).code, 0);
    let shown = server.run(&["session", "get", "shop", "-o", "json"]).json();
    assert_eq!(
        (&shown["policy"]["weight"], &shown["notes"], &shown["status"]["reason"]),
        (&json!(9), &json!({ "a": 1 }), &json!("lunch"))
    );
    assert_eq!(server.run(&["session", "resume", "shop"]).code, 0);

    let listed = server.run(&["session", "list", "-o", "json"]).json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    assert!(server.run(&["session", "ls"]).stdout.starts_with("NAME  STATE    DONE  PENDING"));
    assert_eq!(server.run(&["session", "cancel", "shop"]).code, 0);
    assert_eq!(server.run(&["session", "close", "shop"]).code, 0);
    assert_eq!(server.run(&["session", "delete", "shop"]).code, 0);
    assert_eq!(server.run(&["session", "get", "shop"]).code, 4);
}

#[test]
fn what_makes_no_sense_is_usage_and_reaches_no_server() {
    let nowhere = "http://127.0.0.1:1";
    let table: [&[&str]; 8] = [
        &["session", "create"],
        &["session", "create", "shop", "--lease", "30"],
        &["session", "create", "shop", "--limit", "dump"],
        &["session", "create", "shop", "--notes", "{"],
        &["work", "add", "shop"],
        &["work", "acquire", "shop"],
        &["work", "complete", "shop", "a"],
        &["nosuch"],
    ];
    for words in table {
        let ended = crate::binary::run_at(nowhere, words, "");
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{words:?}: {ended:?}");
    }
    let ended = crate::binary::run_at(nowhere, &["session", "list", "--retry-for", "0s"], "");
    assert_eq!(ended.code, 11, "{ended:?}");
}
