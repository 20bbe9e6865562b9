//! Capstan itself: a server of its own, and its own load generator as a client process.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::row::Row;

/// How long the server may take until it listens, or until it has stopped.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the generator may take beyond what it measures, for each case that it may have.
const GENERATOR_PATIENCE: Duration = Duration::from_secs(60);
const CASES_MAX: u64 = 10;

/// A server that listens.
pub struct Capstan {
    program: std::path::PathBuf,
    server: Child,
    address: String,
    pub version: String,
}

impl Capstan {
    pub async fn start(program: &Path, folder: &Path) -> Result<Self> {
        let version = Command::new(program).arg("--version").stdin(Stdio::null()).output().await;
        let version = version.with_context(|| format!("start {}", program.display()))?;
        let mut command = Command::new(program);
        command.arg("server").arg("--data-dir").arg(folder.join("data"));
        command.args(["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut server = command.spawn().with_context(|| format!("start {}", program.display()))?;
        let mut lines = BufReader::new(server.stdout.take().expect("its output is piped")).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = http_address(&line) {
                    return Ok(address);
                }
            }
            bail!("the server ended before it listened")
        };
        let address = timeout(PATIENCE, listening).await.context("the server did not listen in time")??;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        Ok(Self { program: program.to_owned(), server, address, version })
    }

    /// Has the generator measure every case that it has, and returns its rows.
    pub async fn measure(&self, clients: usize, seconds: u64, transport: &str) -> Result<Vec<Row>> {
        let mut command = Command::new(&self.program);
        command.args(["bench", "work", "--output", "json", "--server", &format!("http://{}", self.address)]);
        command.args(["--clients", &clients.to_string(), "--seconds", &seconds.to_string(), "--transport", transport]);
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
        let patience = GENERATOR_PATIENCE + Duration::from_secs(seconds * CASES_MAX);
        let output = timeout(patience, command.output()).await.context("the generator did not end in time")??;
        if !output.status.success() {
            bail!("the generator failed ({})", output.status);
        }
        rows(&String::from_utf8_lossy(&output.stdout))
    }

    /// Stops the server; what it holds is thrown away with its folder.
    pub async fn stop(mut self) -> Result<()> {
        self.server.start_kill().context("stop the server")?;
        timeout(PATIENCE, self.server.wait()).await.context("the server did not end in time")??;
        Ok(())
    }
}

/// `listening http=127.0.0.1:8000 grpc=127.0.0.1:50050`
fn http_address(line: &str) -> Option<String> {
    line.strip_prefix("listening ")?.split(' ').find_map(|part| part.strip_prefix("http=")).map(str::to_owned)
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
    fn the_address_is_read_from_the_line_that_says_it_listens() {
        assert_eq!(
            http_address("listening http=127.0.0.1:8000 grpc=127.0.0.1:50050").as_deref(),
            Some("127.0.0.1:8000")
        );
        assert_eq!(http_address("starting"), None);
    }

    #[test]
    fn a_generator_that_prints_no_rows_or_other_lines_is_a_failure() {
        let row = r#"{"system":"capstan","case":"enqueue","transport":"http","clients":8,"in_flight":8,"durability":"before_ack","per_second":1.0,"p50_ms":1.0,"p99_ms":2.0,"errors":0}"#;

        assert_eq!(rows(&format!("{row}\n{row}\n")).unwrap().len(), 2);
        assert!(rows("").is_err());
        assert!(rows("hello").is_err());
    }
}
