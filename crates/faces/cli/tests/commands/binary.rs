//! Running it.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The binary.
pub const CAPSTAN: &str = env!("CARGO_BIN_EXE_capstan");

/// A server on free ports; killed when it is dropped.
pub struct Server {
    pub child: Child,
    pub http: String,
    pub grpc: String,
}

impl Server {
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same, with more words.
    pub fn start_with(folder: &Path, words: &[&str]) -> Self {
        let mut child = Command::new(CAPSTAN)
            .args(["server", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let part = |name| line.split_whitespace().find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
        assert!(line.starts_with("listening ") && line.ends_with('\n'), "{line:?}");
        Self { http: part("http="), grpc: part("grpc="), child }
    }

    /// Runs a command of the client against this server.
    pub fn run(&self, words: &[&str]) -> Ended {
        self.run_with(words, "")
    }

    /// The same, with something on stdin.
    pub fn run_with(&self, words: &[&str], stdin: &str) -> Ended {
        run_at(&format!("http://{}", self.http), words, stdin)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// What it printed as JSON; it must have ended well.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {:?}", self.stdout))
    }

    /// What it printed as JSON, a document a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs a command against a server at a URL.
pub fn run_at(url: &str, words: &[&str], stdin: &str) -> Ended {
    let mut child = Command::new(CAPSTAN)
        .args(words)
        .env("CAPSTAN_SERVER", url)
        .env_remove("CAPSTAN_WORKER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may have ended already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: status.code().unwrap(), stdout: text(stdout), stderr: text(stderr) }
}
