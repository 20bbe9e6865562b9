//! Migrations by the real binary: killed at any moment, paused, and gone on with by the same command.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

const CAPSTAN: &str = env!("CARGO_BIN_EXE_capstan");

fn migrate(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(CAPSTAN);
    command.current_dir(folder).args([
        "migrate",
        "--from",
        "dump:source",
        "--to",
        "dump:target",
        "--data-dir",
        "state",
    ]);
    command
        .args(["--chunk-documents", "2000", "--output", "json"])
        .args(more)
        .env_remove("CAPSTAN_SERVER")
        .stdin(Stdio::null());
    command
}

fn shop(folder: &Path, documents: u64) {
    capstan_testkit::shop::generate(&folder.join("source"), documents, 11).unwrap();
}

fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(last).unwrap()
}

/// Both folders hold the same documents, byte for byte.
fn assert_same(folder: &Path) {
    let mut compared = 0;
    for entry in std::fs::read_dir(folder.join("source/shop")).unwrap() {
        let name = entry.unwrap().file_name();
        if name.to_string_lossy().ends_with(".bson") {
            let read = |side: &str| std::fs::read(folder.join(side).join("shop").join(&name)).unwrap();
            assert!(read("source") == read("target"), "{name:?} differs");
            compared += 1;
        }
    }
    assert!(compared > 10, "only {compared} files");
}

/// Starts a migration and lets it come some way.
fn start_and_wait_for_chunks(folder: &Path) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = migrate(folder, &[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.by_ref() {
        let seen: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if seen["chunks_dumped"].as_u64().unwrap_or(0) > 0 || seen["event"] == "report" {
            break;
        }
    }
    (child, lines)
}

#[test]
fn a_killed_migration_goes_on_by_the_same_command_and_does_not_wait_for_the_dead() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path(), 60_000);
    let (mut killed, _lines) = start_and_wait_for_chunks(folder.path());
    killed.kill().unwrap();
    killed.wait().unwrap();

    let began = Instant::now();
    let output = migrate(folder.path(), &[]).output().unwrap();

    assert_eq!(report(&output)["state"], "completed", "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
    // Its leases have 30 s: whoever waited for them would take longer.
    assert!(began.elapsed() < Duration::from_secs(28), "{:?}", began.elapsed());
    assert_same(folder.path());
}

#[test]
fn an_interrupted_migration_pauses_and_goes_on_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path(), 60_000);
    let (mut child, lines) = start_and_wait_for_chunks(folder.path());
    // It may have ended on its own just now.
    let _ = kill_process(Pid::from_raw(child.id() as i32).unwrap(), Signal::INT);
    let last = lines.map(Result::unwrap).last();
    let interrupted = child.wait().unwrap();

    let output = migrate(folder.path(), &[]).output().unwrap();

    assert!(interrupted.code() == Some(1) || interrupted.success(), "{interrupted:?} {last:?}");
    let report = report(&output);
    assert_eq!(report["state"], "completed", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(report["verified"]["mode"], "hash");
    assert_eq!(
        (&report["verified"]["missing"], &report["verified"]["extra"], &report["verified"]["different"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert_same(folder.path());
}

#[test]
fn a_target_that_holds_something_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    shop(folder.path(), 500);
    std::fs::create_dir_all(folder.path().join("target/shop")).unwrap();
    std::fs::write(folder.path().join("target/shop/orders.bson"), b"\x05\0\0\0\0").unwrap();

    let output = migrate(folder.path(), &[]).output().unwrap();

    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report(&output)["state"], "failed");
    assert!(report(&output)["refused"].to_string().contains("shop.orders"), "{}", report(&output));
    assert_eq!(std::fs::read_dir(folder.path().join("target/shop")).unwrap().count(), 1, "nothing was written");
}

#[test]
fn a_source_that_is_not_there_is_said_so() {
    let folder = tempfile::tempdir().unwrap();

    let output = migrate(folder.path(), &[]).output().unwrap();

    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("source"), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Everything below a folder, with its path.
fn all_files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

#[test]
fn a_password_is_in_its_own_file_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing listens there: every error on the way is told, and none may tell the password.
    let from = "mongodb://ann:hunter2%40%3A%2F@127.0.0.1:9/?serverSelectionTimeoutMS=100&connectTimeoutMS=100";
    let ended = Command::new(CAPSTAN)
        .current_dir(folder.path())
        .args(["migrate", "--from", from, "--to", "dump:target", "--data-dir", "state", "--output", "json"])
        .args(["--attempts", "1", "--on-exhausted", "fail", "--report", "report.html"])
        .env_remove("CAPSTAN_SERVER")
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .output()
        .unwrap();

    assert_eq!(ended.status.code(), Some(1), "{}", String::from_utf8_lossy(&ended.stderr));
    let mut kept = Vec::new();
    let mut told = all_files(folder.path());
    told.push(("stdout".into(), ended.stdout));
    told.push(("stderr".into(), ended.stderr));
    for (path, bytes) in told {
        for password in ["hunter2@:/", "hunter2%40", "hunter2"] {
            if bytes.windows(password.len()).any(|window| window == password.as_bytes()) {
                kept.push(path.clone());
            }
        }
    }
    kept.dedup();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].starts_with(folder.path().join("state/secrets")), "{kept:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&kept[0]).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
