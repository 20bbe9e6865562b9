//! A server in a process of its own: started, killed, stopped, told to end.

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A server that is not up after so long does not come up.
const STARTUP: Duration = Duration::from_secs(60);

/// Finds the `capstan` binary: `CAPSTAN_BIN`, or the one beside this program, which is built where it is missing.
pub fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CAPSTAN_BIN") {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "CAPSTAN_BIN names {}, which is no file", path.display());
        return Ok(path);
    }
    let path = folder()?.join("capstan");
    if !path.is_file() {
        build_program()?;
    }
    ensure!(
        path.is_file(),
        "there is no {}; build it with `cargo build -p capstan`, or set CAPSTAN_BIN",
        path.display()
    );
    Ok(path)
}

/// Builds the `capstan` binary as this program was built, so that what is proved is what the sources say; nothing to do
/// where `CAPSTAN_BIN` names one.
pub fn build_program() -> Result<()> {
    if std::env::var_os("CAPSTAN_BIN").is_some() {
        return Ok(());
    }
    let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "-p", "capstan"]).current_dir(env!("CARGO_MANIFEST_DIR")).stdout(Stdio::null());
    if folder()?.ends_with("release") {
        cargo.arg("--release");
    }
    ensure!(cargo.status().context("start cargo to build capstan")?.success(), "`cargo build -p capstan` failed");
    Ok(())
}

/// target/PROFILE, where this program is `capstan-proofs` in it, or a test in `deps`.
fn folder() -> Result<PathBuf> {
    let this = std::env::current_exe().context("find this program")?;
    let folder = this.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    Ok(folder.context("find the target folder")?.to_owned())
}

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pid: Pid,
    /// `HOST:PORT` of the REST API.
    pub http: String,
    /// `HOST:PORT` of the gRPC API.
    pub grpc: String,
    /// How long it took until it said that it listens.
    pub startup: Duration,
}

impl Server {
    /// Starts one on a data directory, on free ports.
    pub async fn start(program: &Path, dir: &Path) -> Result<Self> {
        Self::start_at(program, dir, "127.0.0.1:0", "127.0.0.1:0").await
    }

    /// Starts one on a data directory at given addresses.
    pub async fn start_at(program: &Path, dir: &Path, http: &str, grpc: &str) -> Result<Self> {
        Self::start_with(program, dir, http, grpc, &[]).await
    }

    /// Starts one on a data directory at given addresses, with further arguments.
    pub async fn start_with(program: &Path, dir: &Path, http: &str, grpc: &str, more: &[String]) -> Result<Self> {
        let log_path = dir.with_extension("log");
        let log = OpenOptions::new().create(true).append(true).open(&log_path);
        let log = log.with_context(|| format!("open {}", log_path.display()))?;
        let began = Instant::now();
        let mut child = Command::new(program)
            .arg("server")
            .arg("--data-dir")
            .arg(dir)
            .args(["--http", http, "--grpc", grpc])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("the process has no id")?;
        let output = child.stdout.take().context("its output is piped")?;
        let mut lines = BufReader::new(output).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(addresses) = addresses(&line) {
                    return Ok(addresses);
                }
            }
            bail!("the server ended before it listened; its log is {}", log_path.display())
        };
        let (http, grpc) = tokio::time::timeout(STARTUP, listening)
            .await
            .with_context(|| format!("no server after {} s; its log is {}", STARTUP.as_secs(), log_path.display()))??;
        // Read on, so that whatever it may say does not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { child, pid, http, grpc, startup: began.elapsed() })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Kills it at once, as `kill -9` does, and waits until it is gone.
    pub async fn kill(mut self) -> Result<()> {
        kill_process(self.pid, Signal::KILL).context("kill the server")?;
        self.child.wait().await.context("wait for the killed server")?;
        Ok(())
    }

    /// Freezes it.
    pub fn freeze(&self) -> Result<()> {
        kill_process(self.pid, Signal::STOP).context("stop the server")
    }

    /// Lets it go on.
    pub fn thaw(&self) -> Result<()> {
        kill_process(self.pid, Signal::CONT).context("let the server go on")
    }

    /// Asks it to end, and answers how it did and after how long.
    pub async fn terminate(mut self, patience: Duration) -> Result<(ExitStatus, Duration)> {
        let began = Instant::now();
        kill_process(self.pid, Signal::TERM).context("tell the server to end")?;
        let ended = tokio::time::timeout(patience, self.child.wait()).await;
        let status = ended.with_context(|| format!("the server goes on {} s after SIGTERM", patience.as_secs()))??;
        Ok((status, began.elapsed()))
    }

    /// Bytes of memory it has in use.
    pub fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS there")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse().context("VmRSS is a number")?;
        Ok(kibibytes * 1024)
    }
}

/// `listening http=HOST:PORT grpc=HOST:PORT`
fn addresses(line: &str) -> Option<(String, String)> {
    let (http, grpc) = line.strip_prefix("listening http=")?.split_once(" grpc=")?;
    Some((http.to_owned(), grpc.split_whitespace().next()?.to_owned()))
}

/// Bytes that the files of a directory take on the disk.
pub fn disk(dir: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { disk(&entry.path())? } else { about.blocks() * 512 };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_are_read_from_the_line_a_server_prints() {
        let read = addresses("listening http=127.0.0.1:8000 grpc=127.0.0.1:50050");
        assert_eq!(read, Some(("127.0.0.1:8000".into(), "127.0.0.1:50050".into())));
        assert_eq!(addresses("starting"), None);
    }
}
