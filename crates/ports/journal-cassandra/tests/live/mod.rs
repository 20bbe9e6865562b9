//! The real database that `CAPSTAN_TEST_CASSANDRA_URL` names, and a log of one's own in it.

#![allow(dead_code, reason = "not every test file needs all of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod proxy;
pub mod raw;

use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{Append, Commit, Journal, Recorded};
use capstan_journal_cassandra::{CassandraJournal, CassandraOptions};
use std::hash::{BuildHasher, Hasher, RandomState};

/// Making a keyspace takes seconds, so all tests share one.
const KEYSPACE: &str = "capstan_test";

/// A new log; none, and the test is noted as skipped, where there is no database.
pub fn new_log() -> Option<LiveLog> {
    let Ok(url) = std::env::var("CAPSTAN_TEST_CASSANDRA_URL") else {
        let thread = std::thread::current();
        let name = format!("{}::{}", env!("CARGO_CRATE_NAME"), thread.name().unwrap_or("a test"));
        capstan_testkit::skipped(&name, "CAPSTAN_TEST_CASSANDRA_URL is not set");
        return None;
    };
    let drawn = RandomState::new().build_hasher().finish();
    Some(LiveLog { host: url, log: format!("log_{drawn:016x}") })
}

/// A log that only one test knows of.
#[derive(Clone)]
pub struct LiveLog {
    pub host: String,
    pub log: String,
}

impl LiveLog {
    pub fn url(&self) -> String {
        format!("{}/{KEYSPACE}?log={}", self.host, self.log)
    }

    /// The database itself.
    pub fn raw(&self) -> raw::Raw {
        raw::Raw::connect(&self.host, Some(KEYSPACE))
    }

    /// A journal with small buckets, so that every case goes over their borders.
    pub fn open(&self) -> CassandraJournal {
        self.open_with(CassandraOptions { bucket_bytes: 16 << 10, ..CassandraOptions::default() })
    }

    pub fn open_with(&self, options: CassandraOptions) -> CassandraJournal {
        CassandraJournal::connect(&self.url(), options).expect("the database takes a journal")
    }
}

pub fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("the name is valid")
}

pub fn commit(text: &str) -> Commit {
    let mut commit = Commit::new(WallTime(1_000));
    commit.push(&stream("work/shop"), |bytes| bytes.extend_from_slice(text.as_bytes()));
    commit
}

pub fn large_commit(bytes: usize) -> Commit {
    let mut commit = Commit::new(WallTime(1_000));
    commit.push(&stream("work/shop"), |buffer| buffer.extend((0..bytes).map(|at| at as u8)));
    commit
}

#[track_caller]
pub fn committed(journal: &mut CassandraJournal, epoch: u64, position: u64, commit: &Commit) {
    let answer = journal.append(Epoch::new(epoch), Position::new(position), commit);
    assert!(matches!(answer, Append::Committed), "expected position {position} to be committed, found {answer:?}");
}

#[track_caller]
pub fn fenced(journal: &mut CassandraJournal, epoch: u64, position: u64, commit: &Commit) {
    let answer = journal.append(Epoch::new(epoch), Position::new(position), commit);
    assert!(matches!(answer, Append::Fenced), "expected position {position} to be fenced, found {answer:?}");
}

#[track_caller]
pub fn everything(journal: &CassandraJournal, from: u64) -> Vec<Recorded> {
    let reader = journal.read(Position::new(from)).expect("the position can be read");
    reader.map(|recorded| recorded.expect("the log is whole")).collect()
}
