//! The guides do what they say: every block of theirs is run, in order, against a server of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const CAPSTAN: &str = env!("CARGO_BIN_EXE_capstan");

/// A server that ends with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(CAPSTAN)
            .args(["server", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir"])
            .arg(folder.join("server"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let http =
            line.split_whitespace().find_map(|part| part.strip_prefix("http=")).unwrap_or_else(|| panic!("{line:?}"));
        let url = format!("http://{http}");
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The blocks of a page in their order, with the language of each.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// Runs a page; `places` are variables with the addresses that it speaks of.
fn run_guide(name: &str, places: &[(&str, String)]) {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/guides").join(name)).unwrap();
    let blocks = blocks(&page);
    assert!(blocks.len() >= 4, "{name} has {} blocks", blocks.len());
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let programs = PathBuf::from(CAPSTAN).parent().unwrap().to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    for (number, (language, text)) in blocks.iter().enumerate() {
        let mut command = match language.as_str() {
            "sh" => Command::new("bash"),
            "python" => Command::new("python3"),
            other => panic!("{name}: a block in {other:?} cannot be run"),
        };
        let strict = format!("set -euo pipefail\n{text}");
        command.arg("-c").arg(if language == "sh" { &strict } else { text });
        // Commands that run a server of their own must not find this one.
        if text.contains("CAPSTAN_SERVER") || text.contains("capstan work") || text.contains("capstan session") {
            command.env("CAPSTAN_SERVER", &server.url);
        } else {
            command.env_remove("CAPSTAN_SERVER");
        }
        command.envs(places.iter().map(|(name, address)| (name, address)));
        let output = command.current_dir(folder.path()).env("PATH", &path).stdin(Stdio::null()).output().unwrap();
        assert!(
            output.status.success(),
            "block {} of {name} failed:\n{text}\n{}{}",
            number + 1,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn bringing_ones_own_worker_goes_as_the_guide_says() {
    run_guide("bring-your-own-worker.md", &[]);
}

#[test]
fn moving_data_goes_as_the_guide_says() {
    run_guide("move-data.md", &[]);
}

#[test]
fn registering_ones_own_pipeline_goes_as_the_guide_says() {
    run_guide("register-a-pipeline.md", &[]);
}

/// The address of a real server; without one the test is skipped, with the reason on record.
fn place(test: &str, variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        capstan_testkit::skipped(test, &format!("{variable} is not set"));
    }
    address
}

#[test]
fn moving_one_mongodb_to_another_goes_as_the_guide_says() {
    const NAME: &str = "moving_one_mongodb_to_another_goes_as_the_guide_says";
    let Some(source) = place(NAME, "CAPSTAN_TEST_MONGO_URL") else { return };
    let Some(target) = place(NAME, "CAPSTAN_TEST_FERRET_URL") else { return };
    run_guide("move-mongodb.md", &[("SOURCE", source), ("TARGET", target)]);
}

#[test]
fn keeping_dumps_in_a_bucket_goes_as_the_guide_says() {
    const NAME: &str = "keeping_dumps_in_a_bucket_goes_as_the_guide_says";
    let Some(source) = place(NAME, "CAPSTAN_TEST_MONGO_URL") else { return };
    let Some(bucket) = place(NAME, "CAPSTAN_TEST_S3_URL") else { return };
    // A prefix of its own, so that a run finds nothing of an earlier one.
    let (bucket, options) = bucket.split_once('?').unwrap();
    let spool = format!("{bucket}/guide-{}?{options}", std::process::id());
    let key = |name| (name, "test".to_owned());
    let credentials = [key("AWS_ACCESS_KEY_ID"), key("AWS_SECRET_ACCESS_KEY")];
    run_guide("keep-dumps-in-a-bucket.md", &[&[("SOURCE", source), ("SPOOL", spool)], &credentials[..]].concat());
}
