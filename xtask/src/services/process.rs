//! Processes that were started here, and the record that lets a later command stop exactly them.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const RECORD: &str = "server.json";
const LOG: &str = "server.log";
/// How often a starting or stopping process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Which process serves from a folder.
pub struct Record {
    pub name: String,
    pub url: String,
    pub pid: u32,
    /// When the process began, in the kernel's ticks: a number used again is another process.
    began: Option<u64>,
}

impl Record {
    pub fn write(folder: &Path, name: &str, url: &str, pid: u32) -> Result<()> {
        let record = json!({ "name": name, "url": url, "pid": pid, "began": began(pid) });
        let path = folder.join(RECORD);
        fs::write(&path, format!("{record}\n")).with_context(|| format!("write {}", path.display()))
    }

    /// The record of a folder, if something was started there.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RECORD);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let value: Value = serde_json::from_str(&text).with_context(|| format!("understand {}", path.display()))?;
        let word = |name: &str| value[name].as_str().map(str::to_owned);
        let pid = value["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let record = word("name").zip(word("url")).zip(pid);
        let ((name, url), pid) = record.with_context(|| format!("{} lacks name, url or pid", path.display()))?;
        Ok(Some(Self { name, url, pid, began: value["began"].as_u64() }))
    }

    /// Whether the process that was started still runs.
    pub fn is_alive(&self) -> bool {
        self.began.is_some() && began(self.pid) == self.began
    }

    /// Ends the process and waits until it has gone.
    pub fn stop(&self, patience: Duration) -> Result<()> {
        signal(self.pid, Signal::INT)?;
        let deadline = Instant::now() + patience;
        while self.is_alive() {
            if Instant::now() > deadline {
                bail!("process {} did not end within {} s", self.pid, patience.as_secs());
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

/// Starts a server with its output in its folder's log.
pub fn spawn(command: &mut Command, folder: &Path, detached: bool) -> Result<Child> {
    let path = folder.join(LOG);
    let log = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    command.stdin(Stdio::null()).stdout(log.try_clone().context("share the log")?).stderr(log);
    if detached {
        command.process_group(0);
    }
    command.spawn().with_context(|| format!("start {}", command.get_program().display()))
}

/// Waits until `ready` says so; fails when the process ends or `patience` does.
pub fn wait_until(child: &mut Child, patience: Duration, ready: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + patience;
    while !ready() {
        if let Some(status) = child.try_wait()? {
            bail!("it ended before it was ready ({status})");
        }
        if Instant::now() > deadline {
            bail!("it did not answer within {} s", patience.as_secs());
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Asks a process of ours to end, and kills it when it does not.
pub fn stop(child: &mut Child, patience: Duration) -> Result<()> {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    // For PostgreSQL this is the fast way down: it ends sessions instead of waiting for them.
    signal(child.id(), Signal::INT)?;
    let deadline = Instant::now() + patience;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("it did not end within {} s and was killed", patience.as_secs());
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// A connection to loopback that gives up soon.
pub fn connect(port: u16) -> Option<TcpStream> {
    let stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    Some(stream)
}

/// The end of a server's log.
pub fn last_lines(folder: &Path, count: usize) -> String {
    let log = fs::read_to_string(folder.join(LOG)).unwrap_or_default();
    let lines = log.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process id is out of range")?;
    kill_process(pid, signal).with_context(|| format!("signal process {}", pid.as_raw_nonzero()))
}

/// The 22nd field of /proc/PID/stat, counted after the name, which may itself hold spaces and parentheses. A process
/// that has ended and waits for its parent counts as gone.
fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace().collect::<Vec<_>>();
    if fields.first() == Some(&"Z") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Child {
        spawn(Command::new("sleep").arg("60"), folder, false).unwrap()
    }

    #[test]
    fn a_process_is_stopped_by_its_record() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = sleeper(folder.path());
        Record::write(folder.path(), "sleep", "none://", child.id()).unwrap();

        let record = Record::read(folder.path()).unwrap().unwrap();
        assert!(record.is_alive());
        record.stop(Duration::from_secs(10)).unwrap();

        assert!(!record.is_alive());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_record_of_an_earlier_process_with_the_same_number_is_not_alive() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = sleeper(folder.path());
        let text = json!({ "name": "sleep", "url": "none://", "pid": child.id(), "began": 1 }).to_string();
        fs::write(folder.path().join(RECORD), text).unwrap();

        assert!(!Record::read(folder.path()).unwrap().unwrap().is_alive());

        stop(&mut child, Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn waiting_for_a_process_that_ended_fails_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = spawn(Command::new("sh").args(["-c", "echo broken; exit 3"]), folder.path(), false).unwrap();

        let error = wait_until(&mut child, Duration::from_secs(60), || false).unwrap_err();

        assert!(error.to_string().contains("exit status: 3"), "{error}");
        assert_eq!(last_lines(folder.path(), 5), "broken");
    }
}
