//! Servers of ours, each on a journal that nobody else has used.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{sleep, timeout};

use super::case::{REPORTED, Turns};
use super::options::Options;
use super::rest::Rest;
use crate::capstan::Capstan;

/// How long a server may take until it leads, and how often it is asked.
const LEADS_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What makes journals in one database different.
static JOURNALS: AtomicU64 = AtomicU64::new(1);

/// A server and where its data lies.
pub struct Server {
    pub capstan: Capstan,
    pub folder: PathBuf,
    /// Which of its pipelines comes next, from one measurement to the next: a figure that it was told already would be
    /// no report, and one too soon after another is held back.
    pub turns: Arc<Turns>,
    journal: Option<String>,
}

impl Server {
    /// One that knows of nothing.
    pub async fn start(options: &Options) -> Result<Self> {
        let number = JOURNALS.fetch_add(1, Ordering::Relaxed);
        let folder = options.data_dir.join(format!("server-{number}"));
        let journal = options.journal.as_deref().map(|url| unused(url, number)).transpose()?;
        Self::start_on(options, folder, journal).await
    }

    /// One with its data in this folder.
    pub async fn start_on(options: &Options, folder: PathBuf, journal: Option<String>) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let capstan = Capstan::start(&options.capstan, &folder, journal.as_deref()).await?;
        let leads = leads(&capstan.http);
        timeout(LEADS_MAX, leads).await.context("the server did not lead in time")??;
        Ok(Self { capstan, folder, turns: Arc::new(Turns::new(REPORTED)), journal })
    }

    pub async fn rest(&self) -> Result<Rest> {
        Rest::open(&self.capstan.http).await
    }

    /// Kills it and starts another one on what is left.
    pub async fn restart(self, options: &Options) -> Result<Self> {
        let Self { capstan, folder, journal, .. } = self;
        capstan.stop().await?;
        Self::start_on(options, folder, journal).await
    }

    /// Kills it and throws away its folder; a database is thrown away by whoever started it.
    pub async fn discard(self) -> Result<()> {
        self.capstan.stop().await?;
        fs::remove_dir_all(&self.folder).with_context(|| format!("remove {}", self.folder.display()))
    }

    /// One of its figures, as it tells Prometheus.
    pub async fn figure(&self, name: &str) -> Result<f64> {
        let (status, text) = self.rest().await?.ask("GET", "/metrics", "").await?;
        ensure!(status == 200, "the figures were answered with {status}: {text}");
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        found.with_context(|| format!("there is no figure named {name}"))
    }
}

/// Waits until the server leads: one that shares a journal listens before.
async fn leads(server: &str) -> Result<()> {
    let mut rest = Rest::open(server).await?;
    loop {
        let (status, body) = rest.ask("GET", "/health/ready", "").await?;
        if status == 200 && body.contains("\"role\":\"leader\"") {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A journal of the database that nobody has used: a schema in PostgreSQL, a log in Cassandra.
fn unused(url: &str, number: u64) -> Result<String> {
    let parameter = match url.split_once("://") {
        Some(("postgres" | "postgresql", _)) => "schema",
        Some(("cassandra", _)) => "log",
        _ => anyhow::bail!("a journal is kept in postgres:// or cassandra://, found {url}"),
    };
    Ok(format!("{url}?{parameter}=bench{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_journal_in_a_database_is_another_one() {
        assert_eq!(unused("postgres://a/b", 2).unwrap(), "postgres://a/b?schema=bench2");
        assert_eq!(unused("cassandra://a/b", 3).unwrap(), "cassandra://a/b?log=bench3");
        assert!(unused("redis://a", 1).is_err());
    }
}
