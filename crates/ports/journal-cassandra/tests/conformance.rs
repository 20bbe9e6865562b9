//! The suites that every journal and every register passes, on a real database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod live;

use capstan_journal::conformance::Store;
use capstan_journal::conformance::election::Register;
use capstan_journal_cassandra::{CassandraElection, CassandraJournal, CassandraOptions};
use live::LiveLog;

impl Store for LiveLog {
    type Journal = CassandraJournal;

    fn open(&mut self) -> CassandraJournal {
        LiveLog::open(self)
    }

    /// What a server had in its memory is gone; what the database has is not.
    fn crash(&mut self, journal: CassandraJournal) {
        drop(journal);
    }
}

impl Register for LiveLog {
    type Election = CassandraElection;

    fn open(&self) -> CassandraElection {
        CassandraElection::connect(&self.url(), &CassandraOptions::default()).unwrap()
    }
}

mod journal {
    use super::live;

    capstan_journal::conformance!(match live::new_log() {
        Some(log) => log,
        None => return,
    });
    capstan_journal::takeover_conformance!(match live::new_log() {
        Some(log) => log,
        None => return,
    });
    capstan_journal::shared_takeover_conformance!(match live::new_log() {
        Some(log) => log,
        None => return,
    });
}

mod election {
    use super::live;

    capstan_journal::election_conformance!(match live::new_log() {
        Some(log) => log,
        None => return,
    });
}
