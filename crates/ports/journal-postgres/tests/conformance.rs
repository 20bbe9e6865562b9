//! The port's own suites, on a real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod live;

use capstan_journal::conformance::Store;
use capstan_journal::conformance::election::Register;
use capstan_journal_postgres::{PostgresElection, PostgresJournal, PostgresOptions};
use live::Database;

struct Schema(Database);

impl Store for Schema {
    type Journal = PostgresJournal;

    fn open(&mut self) -> PostgresJournal {
        self.0.open()
    }

    fn crash(&mut self, journal: PostgresJournal) {
        self.0.terminate();
        drop(journal);
    }
}

impl Register for Schema {
    type Election = PostgresElection;

    fn open(&self) -> PostgresElection {
        PostgresElection::connect(&self.0.address(), PostgresOptions::default()).unwrap()
    }
}

/// A schema for the test that asks; where there is no server the test returns, and is on record as skipped.
macro_rules! schema {
    () => {{
        let test = std::thread::current().name().unwrap_or("conformance").to_owned();
        match crate::Database::new(&format!("journal-postgres::{test}")) {
            Some(database) => crate::Schema(database),
            None => return,
        }
    }};
}

mod journal {
    capstan_journal::conformance!(schema!());
    capstan_journal::takeover_conformance!(schema!());
    capstan_journal::shared_takeover_conformance!(schema!());
}

mod election {
    capstan_journal::election_conformance!(schema!());
}
