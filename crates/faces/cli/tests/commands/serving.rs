//! `capstan server`, and what shows how it is.

use crate::binary::{CAPSTAN, Server, run_at};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_server_stops_when_it_is_told_to_and_comes_back_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    server.run(&["session", "create", "shop"]);
    server.run(&["work", "add", "shop", "a"]);

    let told = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));

    let server = Server::start(folder.path());
    let status = server.run(&["status", "-o", "json"]).json();
    assert_eq!((&status["server"]["role"], &status["server"]["epoch"]), (&"leader".into(), &2.into()));
    assert_eq!((&status["sessions"][0]["session"], &status["sessions"][0]["pending"]), (&"shop".into(), &1.into()));
}

/// A signal was heard only when the start was over, up to 20 s later.
#[test]
fn a_server_whose_database_does_not_answer_is_stopped_while_it_starts() {
    for scheme in ["postgres://capstan@", "cassandra://"] {
        let folder = tempfile::tempdir().unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let journal = format!("{scheme}{}/capstan", silent.local_addr().unwrap());
        let mut server = Command::new(CAPSTAN)
            .args(["server", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--journal", &journal, "--data-dir"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let _asked = silent.accept().unwrap();

        let began = Instant::now();
        assert!(Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap().success());

        assert_eq!(server.wait().unwrap().code(), Some(0), "{scheme}");
        // Its calls to the database would take longer.
        assert!(began.elapsed() < Duration::from_secs(4), "{scheme}: {:?}", began.elapsed());
    }
}

#[test]
fn both_ports_answer_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for address in [&server.http, &server.grpc] {
        let ended = run_at(&format!("http://{address}"), &["status", "-o", "json"], "");
        assert_eq!(ended.json()["server"]["http_address"], server.http.as_str());
    }
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Server::start(folder.path());

    let data = folder.path().to_str().unwrap();
    let words = ["server", "--data-dir", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
    let second = run_at("", &words, "");

    assert_eq!((second.code, second.stdout.as_str()), (1, ""), "{second:?}");
    assert!(second.stderr.contains("error: "), "{second:?}");
}

#[test]
fn a_server_of_several_says_where_it_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let nowhere = "postgres://capstan@127.0.0.1:9/capstan";
    let words = ["server", "--data-dir", data, "--http", "0.0.0.0:0", "--grpc", "127.0.0.1:0", "--journal", nowhere];
    let ended = run_at("", &[&words[..], &["--allow-remote-without-authentication"]].concat(), "");
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.stderr.contains("give --advertise http://HOST:PORT"), "{ended:?}");
}

#[test]
fn a_server_listens_to_strangers_only_when_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["server", "--data-dir", folder.path().to_str().unwrap(), "--http", "0.0.0.0:0"];
    let ended = run_at("", &words, "");
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("--allow-remote-without-authentication"), "{ended:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn documents_and_scripts_are_printed_without_a_server() {
    for (words, wanted) in [
        (&["openapi"][..], "\"openapi\""),
        (&["completions", "bash"], "_capstan"),
        (&["version", "-o", "json"], "\"version\""),
        (&["work", "add", "--help"], "Examples:"),
    ] {
        let ended = run_at("http://127.0.0.1:1", words, "");
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.stdout.contains(wanted), "{words:?} prints {:?}", ended.stdout);
    }
}
