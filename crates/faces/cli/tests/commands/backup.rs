//! `capstan backup` and `capstan restore`.

use crate::binary::{Ended, Server, run_at};
use crate::databases::{cassandra, postgres};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const NOBODY: &str = "http://127.0.0.1:1";

/// What a server knows of a session and its items, in an order that is the same everywhere.
fn known(server: &Server) -> (Value, Vec<Value>) {
    let session = server.run(&["session", "get", "shop", "-o", "json"]).json();
    let items = server.run(&["work", "list", "shop", "-o", "json"]).json_lines();
    (session["created_at"].clone(), items)
}

fn restore(from: &Path, to: &[&str]) -> Ended {
    let mut words = vec!["restore", "--from", from.to_str().unwrap(), "-o", "json"];
    words.extend_from_slice(to);
    run_at(NOBODY, &words, "")
}

fn backup(server: &Server, to: &Path) -> Value {
    server.run(&["backup", "--to", to.to_str().unwrap(), "-o", "json"]).json()
}

/// Eight clients write while a backup is taken: whatever was acknowledged before is in it, and of what came meanwhile
/// it holds what each client had done up to one moment. It is restored by `restored`, which answers a server on it.
fn backed_up_while_eight_write(server: &Server, file: &Path) -> (Vec<usize>, Value) {
    server.run(&["session", "create", "shop", "--lease", "5m"]);
    let (over, added): (_, [AtomicUsize; 8]) = (AtomicBool::new(false), Default::default());
    let mut before = Vec::new();
    let mut taken = Value::Null;
    thread::scope(|scope| {
        for (client, added) in added.iter().enumerate() {
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let item = format!("{client}/{:05}", added.load(Ordering::Relaxed));
                    assert_eq!(server.run(&["work", "add", "shop", &item]).code, 0);
                    added.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while added.iter().any(|added| added.load(Ordering::Relaxed) < 3) {
            thread::yield_now();
        }
        before = added.iter().map(|added| added.load(Ordering::Relaxed)).collect();
        taken = backup(server, file);
        over.store(true, Ordering::Relaxed);
    });
    (before, taken)
}

fn holds_what_eight_wrote(server: &Server, before: &[usize]) {
    let (_, items) = known(server);
    for (client, before) in before.iter().enumerate() {
        let prefix = format!("{client}/");
        let ids = items.iter().filter_map(|item| item["id"].as_str()?.strip_prefix(&prefix).map(str::to_owned));
        let ids: Vec<String> = ids.collect();
        assert!(ids.len() >= *before, "client {client} had added {before}, found {}", ids.len());
        let expected: Vec<String> = (0..ids.len()).map(|number| format!("{number:05}")).collect();
        assert_eq!(ids, expected, "client {client}");
    }
}

#[test]
fn a_backup_taken_while_eight_clients_write_holds_everything_up_to_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("capstan.backup");
    let server = Server::start(&folder.path().join("one"));
    let (before, taken) = backed_up_while_eight_write(&server, &file);
    assert_eq!(taken["not_included"].as_array().map(Vec::len), Some(2), "{taken}");

    let other = folder.path().join("other");
    let restored = restore(&file, &["--data-dir", other.to_str().unwrap()]).json();

    assert_eq!((&restored["events"], &restored["next_position"]), (&taken["events"], &taken["next_position"]));
    assert_eq!(restored["goes_on_at"].as_u64().unwrap(), taken["next_position"].as_u64().unwrap() + (1 << 44));
    holds_what_eight_wrote(&Server::start(&other), &before);
}

#[test]
fn tokens_given_after_the_backup_stay_stale_and_those_before_live_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("capstan.backup");
    let server = Server::start(&folder.path().join("one"));
    server.run(&["session", "create", "shop", "--lease", "5m"]);
    server.run(&["work", "add", "shop", "a", "b"]);
    let token = |server: &Server| {
        let acquired = server.run(&["work", "acquire", "shop", "--worker", "alice", "-o", "json"]).json();
        acquired["leases"][0]["token"].to_string()
    };
    let before = token(&server);
    let was = known(&server);
    backup(&server, &file);
    let after = token(&server);
    drop(server);

    let other = folder.path().join("other");
    restore(&file, &["--data-dir", other.to_str().unwrap()]).json();
    let server = Server::start(&other);

    let now = known(&server);
    assert_eq!((&now.0, now.1.len()), (&was.0, was.1.len()));
    assert_eq!(now.1[0]["lease"]["token"].to_string(), before, "{:?}", now.1[0]);
    assert_eq!(server.run(&["work", "complete", "shop", "b", "--token", &after]).code, 5);
    let again = token(&server);
    assert!(again.parse::<u64>().unwrap() > after.parse::<u64>().unwrap() + (1 << 43), "{again} after {after}");
    assert_eq!(server.run(&["work", "complete", "shop", "b", "--token", &after]).code, 5);
    assert_eq!(server.run(&["work", "complete", "shop", "a", "--token", &before]).code, 0);
}

#[test]
fn one_grows_from_a_data_directory_to_postgresql_and_back() {
    let Some(url) = postgres("grows") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.backup"), folder.path().join("second.backup"));
    let server = Server::start(&folder.path().join("one"));
    let (before, taken) = backed_up_while_eight_write(&server, &first);
    drop(server);

    assert_eq!(restore(&first, &["--journal", &url]).json()["events"], taken["events"]);
    let refused = restore(&first, &["--journal", &url]);
    assert!(refused.code == 1 && refused.stderr.contains("not empty"), "{refused:?}");
    let shared = Server::start_with(&folder.path().join("two"), &["--journal", &url]);
    holds_what_eight_wrote(&shared, &before);

    // Back again, also while eight clients write, and once more beside the server.
    shared.run(&["session", "delete", "shop"]);
    let (before, _) = backed_up_while_eight_write(&shared, &second);
    let beside = folder.path().join("beside.backup");
    run_at(NOBODY, &["backup", "--journal", &url, "--to", beside.to_str().unwrap(), "-o", "json"], "").json();
    drop(shared);
    for (file, name) in [(&second, "three"), (&beside, "four")] {
        let other = folder.path().join(name);
        restore(file, &["--data-dir", other.to_str().unwrap()]).json();
        holds_what_eight_wrote(&Server::start(&other), &before);
    }
}

/// Work in every state that lasts, and pipelines with what they have said.
fn some_of_everything(server: &Server) {
    server.run(&["session", "create", "shop", "--lease", "5m"]);
    assert_eq!(server.run(&["work", "add", "shop", "a", "b", "c"]).code, 0);
    let acquired = server.run(&["work", "acquire", "shop", "--worker", "alice", "-o", "json"]).json();
    let (item, token) = (&acquired["leases"][0]["id"], acquired["leases"][0]["token"].to_string());
    assert_eq!(server.run(&["work", "complete", "shop", item.as_str().unwrap(), "--token", &token]).code, 0);
    assert_eq!(server.run(&["pipeline", "register", "p", "Orders", "--label", "team=web", "--group", "night"]).code, 0);
    let words = ["pipeline", "report", "p", "--status", "running", "--records", "70", "--failed", "2", "--bytes", "9"];
    assert_eq!(server.run(&words).code, 0);
    assert_eq!(server.run(&["pipeline", "reserve", "p", "--cpu", "7", "--for", "1h"]).code, 0);
}

/// What a server shows of work and of pipelines, but for when it was last heard of them.
fn shown(server: &Server) -> (Value, Vec<Value>, Value) {
    let (created, items) = known(server);
    let mut pipeline = server.run(&["pipeline", "get", "p", "-o", "json"]).json();
    let fields = pipeline.as_object_mut().unwrap();
    assert!(fields.remove("last_heartbeat").is_some(), "{fields:?}");
    (created, items, pipeline)
}

/// Backs a server up and restores it into an empty log of Cassandra, where another server shows the same and goes on.
fn grows_into_cassandra(server: Server, url: &str, folder: &Path) {
    some_of_everything(&server);
    let was = shown(&server);
    assert_eq!(was.1.len(), 3);
    let file = folder.join("capstan.backup");
    let taken = backup(&server, &file);
    drop(server);

    let restored = restore(&file, &["--journal", url]).json();
    assert_eq!((&restored["events"], &restored["next_position"]), (&taken["events"], &taken["next_position"]));
    let refused = restore(&file, &["--journal", url]);
    assert!(refused.code == 1 && refused.stderr.contains("not empty"), "{refused:?}");

    let server = Server::start_with(&folder.join("beside"), &["--journal", url]);
    assert_eq!(shown(&server), was);
    assert_eq!(server.run(&["work", "add", "shop", "d"]).code, 0);
    assert_eq!(known(&server).1.len(), 4);
}

#[test]
fn one_grows_from_a_data_directory_to_cassandra() {
    let Some(url) = cassandra("from_a_data_directory") else { return };
    let folder = tempfile::tempdir().unwrap();
    grows_into_cassandra(Server::start(&folder.path().join("one")), &url, folder.path());
}

#[test]
fn one_moves_from_postgresql_to_cassandra() {
    let Some(from) = postgres("to_cassandra") else { return };
    let Some(url) = cassandra("from_postgresql") else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(&folder.path().join("one"), &["--journal", &from]);
    grows_into_cassandra(server, &url, folder.path());
}

#[test]
fn a_backup_goes_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("one"));
    server.run(&["session", "create", "shop"]);
    let other = folder.path().join("other");

    let line = format!(
        "{capstan} backup --to - --server http://{} | {capstan} restore --from - --data-dir {} -o json",
        server.http,
        other.display(),
        capstan = env!("CARGO_BIN_EXE_capstan"),
    );
    let ended = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();

    assert!(ended.status.success(), "{ended:?}");
    let restored: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert!(restored["events"].as_u64().unwrap() > 0);
    assert_eq!(Server::start(&other).run(&["session", "get", "shop"]).code, 0);
}

#[test]
fn a_data_directory_in_use_is_neither_backed_up_nor_restored_into() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("one"), folder.path().join("capstan.backup"));
    let server = Server::start(&data);
    backup(&server, &file);
    let words = ["--data-dir", data.to_str().unwrap()];

    let to = folder.path().join("second.backup");
    let copied = run_at(NOBODY, &["backup", words[0], words[1], "--to", to.to_str().unwrap()], "");
    let restored = restore(&file, &words);

    for ended in [copied, restored] {
        assert!(ended.code == 1 && ended.stderr.contains("in use by another process"), "{ended:?}");
    }
    assert!(!to.exists());
    drop(server);
    let restored = restore(&file, &words);
    assert!(restored.code == 1 && restored.stderr.contains("not empty"), "{restored:?}");
    let copied = run_at(NOBODY, &["backup", words[0], words[1], "--to", to.to_str().unwrap(), "-o", "json"], "");
    assert_eq!(copied.json()["file"], json!(to.to_str().unwrap()));
    let again = run_at(NOBODY, &["backup", words[0], words[1], "--to", to.to_str().unwrap()], "");
    assert!(again.code == 2 && again.stderr.contains("there already"), "{again:?}");
}

#[test]
fn what_is_no_whole_backup_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("capstan.backup");
    backup(&Server::start(&folder.path().join("one")), &file);
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;

    for bytes in [&whole[..whole.len() - 1], &flipped, b"a text", b""] {
        std::fs::write(&file, bytes).unwrap();
        let other = folder.path().join("other");
        let refused = restore(&file, &["--data-dir", other.to_str().unwrap()]);
        assert!(refused.code == 1 && refused.stderr.contains("not whole"), "{refused:?}");
        assert!(!other.exists());
    }
}

#[test]
fn a_restore_that_was_cut_short_is_refused_until_it_is_emptied_as_the_error_says() {
    let folder = tempfile::tempdir().unwrap();
    let (other, file) = (folder.path().join("other"), folder.path().join("capstan.backup"));
    let server = Server::start(&folder.path().join("one"));
    server.run(&["session", "create", "shop"]);
    backup(&server, &file);
    let words = ["--data-dir", other.to_str().unwrap()];
    restore(&file, &words).json();
    // As a process that was killed before its last step left it.
    std::fs::write(other.join("journal/log/restore.unfinished"), "").unwrap();

    let serve = run_at("", &["server", words[0], words[1], "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"], "");
    let again = restore(&file, &words);

    for refused in [serve, again] {
        assert!(refused.code != 0 && refused.stderr.contains("delete this directory"), "{refused:?}");
    }
    std::fs::remove_dir_all(other.join("journal")).unwrap();
    restore(&file, &words).json();
    assert_eq!(Server::start(&other).run(&["session", "get", "shop"]).code, 0);
}
