//! Capstan itself: a server of its own, and its own load generator as a client process.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::row::Row;

/// How long the server may take until it listens, or until it has stopped.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the generator may take beyond what it measures, for each case that it may have.
const GENERATOR_PATIENCE: Duration = Duration::from_secs(60);
const CASES_MAX: u64 = 10;

/// A server that listens.
pub struct Capstan {
    program: std::path::PathBuf,
    server: Child,
    /// Where it serves HTTP, and where gRPC: `HOST:PORT`.
    pub http: String,
    pub grpc: String,
    pub version: String,
}

impl Capstan {
    /// With its data in `folder`, on a journal of its own or on the one that is named.
    pub async fn start(program: &Path, folder: &Path, journal: Option<&str>) -> Result<Self> {
        let version = Command::new(program).arg("--version").stdin(Stdio::null()).output().await;
        let version = version.with_context(|| format!("start {}", program.display()))?;
        let mut command = Command::new(program);
        command.arg("server").arg("--data-dir").arg(folder.join("data"));
        command.args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
        command.args(journal.iter().flat_map(|url| ["--journal", url]));
        // At its default level, into a file: what it says costs it what it costs anybody.
        let log = folder.join("server.log");
        let log = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut server = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let mut lines = BufReader::new(server.stdout.take().expect("its output is piped")).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(addresses) = address(&line, "http=").zip(address(&line, "grpc=")) {
                    return Ok(addresses);
                }
            }
            bail!("the server ended before it listened: {}", last_lines(folder))
        };
        let (http, grpc) = timeout(PATIENCE, listening).await.context("the server did not listen in time")??;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        Ok(Self { program: program.to_owned(), server, http, grpc, version })
    }

    /// The number of its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.id()
    }

    /// Has the generator measure every case that it has, and returns its rows.
    pub async fn measure(&self, clients: usize, seconds: u64, transport: &str) -> Result<Vec<Row>> {
        let mut command = Command::new(&self.program);
        command.args(["bench", "work", "--output", "json", "--server", &format!("http://{}", self.http)]);
        command.args(["--clients", &clients.to_string(), "--seconds", &seconds.to_string(), "--transport", transport]);
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
        let patience = GENERATOR_PATIENCE + Duration::from_secs(seconds * CASES_MAX);
        let output = timeout(patience, command.output()).await.context("the generator did not end in time")??;
        if !output.status.success() {
            bail!("the generator failed ({})", output.status);
        }
        rows(&String::from_utf8_lossy(&output.stdout))
    }

    /// Kills the server; what it holds stays in its folder.
    pub async fn stop(mut self) -> Result<()> {
        self.server.start_kill().context("stop the server")?;
        timeout(PATIENCE, self.server.wait()).await.context("the server did not end in time")??;
        Ok(())
    }
}

/// `listening http=127.0.0.1:8000 grpc=127.0.0.1:50050`
fn address(line: &str, protocol: &str) -> Option<String> {
    line.strip_prefix("listening ")?.split(' ').find_map(|part| part.strip_prefix(protocol)).map(str::to_owned)
}

/// The end of what a server said.
fn last_lines(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join("server.log")).unwrap_or_default();
    let lines = log.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

fn rows(output: &str) -> Result<Vec<Row>> {
    let lines = output.lines().filter(|line| !line.trim().is_empty());
    let rows = lines.map(|line| serde_json::from_str(line).with_context(|| format!("not a row of results: {line}")));
    let rows = rows.collect::<Result<Vec<Row>>>()?;
    if rows.is_empty() {
        bail!("the generator measured nothing");
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_line_that_says_it_listens() {
        let line = "listening http=127.0.0.1:8000 grpc=127.0.0.1:50050";
        assert_eq!(address(line, "http=").as_deref(), Some("127.0.0.1:8000"));
        assert_eq!(address(line, "grpc=").as_deref(), Some("127.0.0.1:50050"));
        assert_eq!(address("starting", "http="), None);
    }

    #[test]
    fn a_generator_that_prints_no_rows_or_other_lines_is_a_failure() {
        let row = r#"{"system":"capstan","case":"enqueue","transport":"http","clients":8,"in_flight":8,"durability":"before_ack","per_second":1.0,"p50_ms":1.0,"p99_ms":2.0,"errors":0}"#;

        assert_eq!(rows(&format!("{row}\n{row}\n")).unwrap().len(), 2);
        assert!(rows("").is_err());
        assert!(rows("hello").is_err());
    }
}
