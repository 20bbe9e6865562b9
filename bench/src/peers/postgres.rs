//! PostgreSQL as a queue, driven by pgbench with prepared statements.
//!
//! Enqueue is one `INSERT`. Acquire is one `UPDATE` of the oldest row that nobody holds, found with `FOR UPDATE SKIP
//! LOCKED`; complete is a `DELETE` that names the attempt, so that a late worker deletes nothing. Each is its own
//! transaction, and each is committed synchronously. Payloads are parameters: they travel with every request.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::{Cell, payload};
use crate::closed_loop::Measured;
use crate::row::{BATCH, BULK, Case};

pub const DESCRIBED: &str =
    "`synchronous_commit=on`; INSERT, UPDATE with SKIP LOCKED, fenced DELETE, a commit each; pgbench, prepared";

/// Every transaction is counted, one in five is timed: writing the log would take time from the clients.
const SAMPLED: &str = "0.2";
/// Threads of pgbench; the machine's other cores are the server's.
const THREADS_MAX: usize = 2;

const TABLE: &str = "
    DROP TABLE IF EXISTS jobs;
    CREATE TABLE jobs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        payload text NOT NULL,
        attempt int NOT NULL DEFAULT 0,
        worker int,
        expires timestamptz
    );
    CREATE INDEX jobs_free ON jobs (id) WHERE worker IS NULL;";

const ENQUEUE: &str = "INSERT INTO jobs (payload) VALUES (:payload);\n";
const BULK_INSERT: &str = "INSERT INTO jobs (payload) SELECT unnest(:payloads ::text[]);\n";
const ACQUIRE_COMPLETE: &str = "\
UPDATE jobs SET worker = :client_id, attempt = attempt + 1, expires = now() + interval '300 s' \
WHERE id = (SELECT id FROM jobs WHERE worker IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) \
RETURNING id, attempt \\gset
DELETE FROM jobs WHERE id = :id AND attempt = :attempt;
";

/// Claims a batch and completes it, as arrays of ids and attempts. A batch that is not whole divides by zero: it must not
/// count as one.
fn batch() -> String {
    format!(
        "\
WITH taken AS (UPDATE jobs SET worker = :client_id, attempt = attempt + 1, expires = now() + interval '300 s' \
WHERE id IN (SELECT id FROM jobs WHERE worker IS NULL ORDER BY id LIMIT {BATCH} FOR UPDATE SKIP LOCKED) \
RETURNING id, attempt) SELECT array_agg(id) AS ids, array_agg(attempt) AS attempts, 1 / (count(*) / {BATCH}) AS whole FROM taken \\gset
DELETE FROM jobs USING unnest(:ids ::bigint[], :attempts ::int[]) AS done (id, attempt) \
WHERE jobs.id = done.id AND jobs.attempt = done.attempt;
"
    )
}

pub async fn version(address: SocketAddr) -> Result<String> {
    let output = psql(address, "SHOW server_version").await?;
    Ok(output.split_whitespace().next().unwrap_or("of unknown version").to_owned())
}

pub async fn reset(address: SocketAddr) -> Result<()> {
    psql(address, TABLE).await?;
    // Now, and not while another system is measured.
    psql(address, "CHECKPOINT").await?;
    Ok(())
}

pub async fn fill(address: SocketAddr, items: u64) -> Result<()> {
    let payload = payload();
    psql(address, &format!("INSERT INTO jobs (payload) SELECT '{payload}' FROM generate_series(1, {items})")).await?;
    Ok(())
}

pub async fn measure(address: SocketAddr, cell: &Cell<'_>) -> Result<Measured> {
    if cell.case.takes() {
        // The planner should know the table it has, and not the empty one it saw last.
        psql(address, "VACUUM ANALYZE jobs").await?;
    }
    let (text, items, define) = match cell.case {
        Case::Enqueue => (ENQUEUE.to_owned(), 1, Some(format!("payload={}", payload()))),
        Case::Bulk => (BULK_INSERT.to_owned(), BULK, Some(format!("payloads={{{}}}", vec![payload(); BULK].join(",")))),
        Case::AcquireComplete => (ACQUIRE_COMPLETE.to_owned(), 1, None),
        Case::Batch50 => (batch(), BATCH, None),
    };
    let script = Script { text, items: items as u64, define, clients: cell.clients, scratch: cell.scratch };
    script.measure(address, cell.warm_up, cell.window).await
}

/// What each of so many clients does again and again.
pub struct Script<'a> {
    pub text: String,
    /// What one run of it moves.
    pub items: u64,
    /// A variable of it, as NAME=VALUE.
    pub define: Option<String>,
    pub clients: usize,
    /// A folder for what pgbench reads and writes.
    pub scratch: &'a Path,
}

impl Script<'_> {
    pub async fn measure(&self, address: SocketAddr, warm_up: Duration, window: Duration) -> Result<Measured> {
        let file = self.scratch.join("script.sql");
        fs::write(&file, &self.text).with_context(|| format!("write {}", file.display()))?;
        if !warm_up.is_zero() {
            pgbench(address, self, warm_up, &file, None).await?;
        }
        let log = self.scratch.join("latency");
        let report = pgbench(address, self, window, &file, Some(&log)).await?;
        let measured = read_report(&report, self.items, window);
        collect_latencies(measured?, self.scratch)
    }
}

async fn pgbench(
    address: SocketAddr,
    script: &Script<'_>,
    time: Duration,
    file: &Path,
    log: Option<&Path>,
) -> Result<String> {
    let threads = script.clients.min(THREADS_MAX).to_string();
    let mut command = Command::new("pgbench");
    command.args(["-h", &address.ip().to_string(), "-p", &address.port().to_string(), "-U", "postgres", "-n"]);
    command.args(["-M", "prepared", "-c", &script.clients.to_string(), "-j", &threads]);
    command.args(["-T", &time.as_secs().max(1).to_string(), "-f"]).arg(file);
    command.args(script.define.iter().flat_map(|define| ["-D", define]));
    if let Some(log) = log {
        command.args(["-l", "--sampling-rate", SAMPLED, "--log-prefix"]).arg(log);
    }
    let output = run(command.arg("postgres")).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    // It goes on with the clients that are left, so its status alone does not tell.
    if !output.status.success() || said.contains("aborted") {
        bail!("pgbench {}: {}", output.status, said.lines().find(|line| line.contains("rror")).unwrap_or(&said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read_report(report: &str, items: u64, window: Duration) -> Result<Measured> {
    let line = |name: &str| report.lines().find_map(|line| line.strip_prefix(name));
    let rate = line("tps = ").and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
    let rate = rate.with_context(|| format!("pgbench reported no rate:\n{report}"))?;
    let failed = line("number of failed transactions: ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    let mut measured = Measured::new(window)?;
    measured.items = (rate * items as f64 * window.as_secs_f64()).round() as u64;
    measured.errors = failed.unwrap_or(0);
    Ok(measured)
}

/// Reads and removes the logs: `client transaction microseconds script epoch microseconds`.
fn collect_latencies(mut measured: Measured, scratch: &Path) -> Result<Measured> {
    for entry in fs::read_dir(scratch).context("list the logs of pgbench")? {
        let path = entry?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("latency.")) {
            continue;
        }
        for line in fs::read_to_string(&path).context("read a log of pgbench")?.lines() {
            if let Some(latency) = line.split(' ').nth(2).and_then(|field| field.parse::<u64>().ok()) {
                measured.latency_us.saturating_record(latency.max(1));
            }
        }
        fs::remove_file(&path).context("remove a log of pgbench")?;
    }
    Ok(measured)
}

pub async fn psql(address: SocketAddr, statements: &str) -> Result<String> {
    let mut command = Command::new("psql");
    command.args(["-h", &address.ip().to_string(), "-p", &address.port().to_string(), "-U", "postgres"]);
    command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", statements, "postgres"]);
    let output = run(&mut command).await?;
    if !output.status.success() {
        bail!("psql {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

async fn run(command: &mut Command) -> Result<Output> {
    let name = command.as_std().get_program().display().to_string();
    command.stdin(Stdio::null()).output().await.with_context(|| format!("start {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_gives_items_and_failures() {
        let report = "number of failed transactions: 2 (0.010%)\nlatency average = 0.5 ms\ntps = 2000.500000 (without initial connection time)\n";

        let measured = read_report(report, 50, Duration::from_secs(2)).unwrap();

        assert_eq!((measured.items, measured.errors), (200_050, 2));
        assert!(read_report("nothing", 1, Duration::from_secs(1)).is_err());
    }

    #[test]
    fn latencies_are_read_from_the_logs_and_the_logs_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("latency.12"), "0 1 2000 0 1700000000 1\n0 2 4000 0 1700000000 2\n").unwrap();
        fs::write(folder.path().join("latency.12.1"), "1 1 6000 0 1700000000 1\n").unwrap();

        let measured = collect_latencies(Measured::new(Duration::from_secs(1)).unwrap(), folder.path()).unwrap();

        assert_eq!(measured.latency_us.len(), 3);
        assert!((measured.quantile_ms(0.5) - 4.0).abs() < 0.01);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
