//! The database that the servers share: one that the environment names, or one started for this run.

use anyhow::{Context, Result, bail, ensure};
use capstan_journal::Journal;
use capstan_journal_cassandra::{CassandraJournal, CassandraOptions};
use capstan_journal_postgres::{PostgresJournal, PostgresOptions};
use clap::ValueEnum;
use std::fmt;
use std::process::{Command, Stdio};

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// PostgreSQL; `CAPSTAN_TEST_POSTGRES_URL` names one.
    Postgres,
    /// Cassandra; `CAPSTAN_TEST_CASSANDRA_URL` names one.
    Cassandra,
}

impl Kind {
    /// The variable of the environment that names a server for tests.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "CAPSTAN_TEST_POSTGRES_URL",
            Self::Cassandra => "CAPSTAN_TEST_CASSANDRA_URL",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "postgres",
            Self::Cassandra => "cassandra",
        })
    }
}

/// A journal of its own in a database.
#[derive(Debug)]
pub struct Database {
    kind: Kind,
    /// `postgres://…` or `cassandra://…`, up to the host.
    before: String,
    /// `HOST:PORT` of the database.
    pub address: String,
    /// What names the journal in it.
    after: String,
    _started: Option<Started>,
}

impl Database {
    /// The one that the environment names; otherwise it is started, which takes a while.
    pub fn find(kind: Kind, seed: u64) -> Result<Self> {
        let (url, started) = match std::env::var(kind.variable()) {
            Ok(url) => (url, None),
            Err(_) => {
                let started = Started::start(kind)?;
                (started.url.clone(), Some(started))
            }
        };
        let (before, address, database) = taken_apart(&url)
            .with_context(|| format!("{} must be like {kind}://HOST:PORT/NAME, with one host", kind.variable()))?;
        let name = format!("failover_{seed:x}_{}", std::process::id());
        let after = match kind {
            Kind::Postgres => format!("/{}?schema={name}", if database.is_empty() { "postgres" } else { &database }),
            Kind::Cassandra => format!("/proofs?log={name}"),
        };
        Ok(Self { kind, before, address, after, _started: started })
    }

    /// The journal's URL for a server that reaches the database at `HOST:PORT`.
    pub fn url_by(&self, address: &str) -> String {
        format!("{}{address}{}", self.before, self.after)
    }

    /// A connection of one's own to the journal. Blocks.
    pub fn open(&self) -> Result<Box<dyn Journal>> {
        let url = self.url_by(&self.address);
        Ok(match self.kind {
            Kind::Postgres => Box::new(PostgresJournal::connect(&url, PostgresOptions::default())?),
            Kind::Cassandra => Box::new(CassandraJournal::connect(&url, CassandraOptions::default())?),
        })
    }
}

/// `scheme://user@`, `HOST:PORT`, `database`.
fn taken_apart(url: &str) -> Option<(String, String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split(['?']).next()?;
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, address) = authority.rsplit_once('@').map_or(("", authority), |(user, address)| (user, address));
    address.rsplit_once(':')?.1.parse::<u16>().ok()?;
    let user = if user.is_empty() { String::new() } else { format!("{user}@") };
    (!address.contains(',')).then(|| (format!("{scheme}://{user}"), address.to_owned(), database.to_owned()))
}

/// A database server that runs for this proof alone.
#[derive(Debug)]
struct Started {
    place: tempfile::TempDir,
    url: String,
}

impl Started {
    fn start(kind: Kind) -> Result<Self> {
        let place = tempfile::tempdir().context("make a directory")?;
        let output = xtask(["services", "start", &kind.to_string(), "--dir"], place.path())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("start {kind}"))?;
        ensure!(output.status.success(), "{kind} did not start; name one in {}", kind.variable());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some(url) = said.split_whitespace().find(|word| word.contains("://")) else {
            bail!("the start of {kind} named no address, but: {said}");
        };
        Ok(Self { url: url.to_owned(), place })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let stopped = xtask(["services", "stop"], self.place.path()).stdout(Stdio::null()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("the database in {} was not stopped", self.place.path().display());
        }
    }
}

fn xtask<const N: usize>(words: [&str; N], folder: &std::path::Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("xtask").args(words).arg(folder).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_at_its_host() {
        let parts = |url| taken_apart(url).map(|(before, address, database)| format!("{before} {address} {database}"));
        assert_eq!(parts("postgres://me:x@db:5432/shop?a=b").unwrap(), "postgres://me:x@ db:5432 shop");
        assert_eq!(parts("cassandra://127.0.0.1:9042").unwrap(), "cassandra:// 127.0.0.1:9042 ");
        assert_eq!(parts("postgres://a:1,b:2/x"), None);
        assert_eq!(parts("postgres://a/x"), None);
    }
}
