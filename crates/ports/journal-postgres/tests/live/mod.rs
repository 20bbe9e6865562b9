//! A real server for tests, and a schema of one's own on it.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod way;

pub use way::Way;

use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{Append, Commit, Journal, Recorded};
use capstan_journal_postgres::{PostgresJournal, PostgresOptions};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, Config, NoTls};

/// Where the real server is; without one the test is skipped, with the reason on record.
pub fn server(test: &str) -> Option<String> {
    const VARIABLE: &str = "CAPSTAN_TEST_POSTGRES_URL";
    let url = std::env::var(VARIABLE).ok();
    if url.is_none() {
        capstan_testkit::skipped(test, &format!("{VARIABLE} is not set"));
    }
    url
}

/// A schema of one test's own, dropped with it, and somebody who may do anything there.
pub struct Database {
    pub url: String,
    pub schema: String,
    admin: Client,
    runtime: Runtime,
}

static MADE: AtomicU32 = AtomicU32::new(0);

impl Database {
    /// None where there is no server.
    pub fn new(test: &str) -> Option<Self> {
        let url = server(test)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config: Config = url.parse().unwrap();
        let (admin, connection) = runtime.block_on(config.connect(NoTls)).unwrap();
        runtime.spawn(connection);
        let schema = format!("test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let database = Self { url, schema, admin, runtime };
        database.run(&format!("DROP SCHEMA IF EXISTS {} CASCADE", database.schema));
        Some(database)
    }

    /// The database's name.
    pub fn name(&self) -> String {
        self.url.parse::<Config>().unwrap().get_dbname().unwrap().to_owned()
    }

    /// Where a journal in this schema is.
    pub fn address(&self) -> String {
        let and = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{and}schema={}&application_name={}", self.url, self.schema, self.schema)
    }

    /// The same for another user, and by another way than the server's own port.
    pub fn address_of(&self, credentials: &str, port: Option<u16>) -> String {
        let config: Config = self.url.parse().unwrap();
        let database = config.get_dbname().unwrap();
        let host = match &config.get_hosts()[0] {
            tokio_postgres::config::Host::Tcp(name) => name.clone(),
            tokio_postgres::config::Host::Unix(path) => path.to_str().unwrap().replace('/', "%2F"),
        };
        let port = port.unwrap_or(config.get_ports()[0]);
        let schema = &self.schema;
        format!("postgres://{credentials}@{host}:{port}/{database}?schema={schema}&application_name={schema}")
    }

    /// A way to the server that can be broken, and where a journal is that goes by it.
    pub fn way(&self) -> (Way, String) {
        let config: Config = self.url.parse().unwrap();
        let tokio_postgres::config::Host::Tcp(host) = &config.get_hosts()[0] else {
            panic!("expected the server's address to be TCP")
        };
        let way = Way::to((host.clone(), config.get_ports()[0]));
        let address = self.address_of(config.get_user().unwrap(), Some(way.port));
        (way, address)
    }

    pub fn open(&self) -> PostgresJournal {
        PostgresJournal::connect(&self.address(), PostgresOptions::default()).unwrap()
    }

    pub fn run(&self, sql: &str) {
        self.runtime.block_on(self.admin.batch_execute(sql)).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub fn ask<T: FromSqlOwned>(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> T {
        let row = self.runtime.block_on(self.admin.query_one(sql, values));
        row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// The same within the journal's tables.
    pub fn run_here(&self, sql: &str) {
        self.run(&format!("SET search_path = {}; {sql}", self.schema));
    }

    /// Ends every connection that journals of this schema have.
    pub fn terminate(&self) -> i64 {
        self.ask(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1",
            &[&self.schema],
        )
    }

    /// Waits until so many appends wait for a lock.
    pub fn until_blocked(&self, appends: i64) {
        until(|| {
            // A transaction keeps the first look at what others do.
            self.run("SELECT pg_stat_clear_snapshot()");
            let waiting: i64 = self.ask(
                "SELECT count(*) FROM pg_stat_activity \
                 WHERE application_name = $1 AND wait_event_type = 'Lock' AND query LIKE 'WITH taken%'",
                &[&self.schema],
            );
            waiting == appends
        });
    }

    pub fn count(&self, table: &str) -> i64 {
        self.ask(&format!("SELECT count(*) FROM {}.{table}", self.schema), &[])
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.terminate();
        let dropped =
            self.runtime.block_on(self.admin.batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema)));
        if !std::thread::panicking() {
            dropped.unwrap();
        }
    }
}

pub fn impatient() -> PostgresOptions {
    PostgresOptions { timeout: Duration::from_millis(500), ..PostgresOptions::default() }
}

/// Waits for something that must come to be.
#[track_caller]
pub fn until(mut is: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(10), "it has not come to be within 10 s");
        std::thread::yield_now();
    }
}

pub fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

pub fn commit(events: &[&str]) -> Commit {
    let mut commit = Commit::new(WallTime(1_700_000_000_000_000));
    for event in events {
        commit.push(&stream("jobs"), |bytes| bytes.extend_from_slice(event.as_bytes()));
    }
    commit
}

pub fn offer(journal: &mut PostgresJournal, epoch: u64, position: u64, commit: &Commit) -> Append {
    journal.append(Epoch::new(epoch), Position::new(position), commit)
}

#[track_caller]
pub fn committed(journal: &mut PostgresJournal, epoch: u64, position: u64, commit: &Commit) {
    let answer = offer(journal, epoch, position, commit);
    assert!(matches!(answer, Append::Committed), "{answer:?}");
}

#[track_caller]
pub fn fenced(journal: &mut PostgresJournal, epoch: u64, position: u64, commit: &Commit) {
    let answer = offer(journal, epoch, position, commit);
    assert!(matches!(answer, Append::Fenced), "{answer:?}");
}

#[track_caller]
pub fn everything(journal: &PostgresJournal, from: u64) -> Vec<Recorded> {
    journal.read(Position::new(from)).unwrap().map(|recorded| recorded.unwrap()).collect()
}

/// Makes a test that runs on a database of its own.
#[macro_export]
macro_rules! on_a_database {
    ($($(#[$about:meta])* fn $name:ident($database:ident) $body:block)*) => {$(
        $(#[$about])*
        #[test]
        fn $name() {
            let name = concat!(module_path!(), "::", stringify!($name));
            let Some($database) = $crate::live::Database::new(name) else { return };
            $body
        }
    )*};
}
