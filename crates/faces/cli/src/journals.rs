//! Which journals this binary opens.

use crate::failure::Failure;
use capstan_coordinator::{SharedStore, StoreError};
use capstan_journal::{Election, Journal, JournalError, Takeover};
use capstan_journal_cassandra::{CassandraElection, CassandraJournal, CassandraOptions};
use capstan_journal_postgres::{PostgresElection, PostgresJournal, PostgresOptions};
use capstan_worker::Secrets;
use std::sync::Arc;
use std::time::Duration;

/// A beat of the leader takes no longer than this: the next one must still come in its term.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a journal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the data directory: for one server alone.
    Embedded,
    /// In a PostgreSQL database that servers share.
    Postgres(String),
    /// In a Cassandra keyspace that servers share.
    Cassandra(String),
}

impl Place {
    /// What was said, if it is one. The error repeats nothing of it but the scheme: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':').map(|(scheme, _)| scheme) {
            None if text == "embedded" => Ok(Self::Embedded),
            Some("postgres" | "postgresql") => Ok(Self::Postgres(text.to_owned())),
            Some("cassandra") => Ok(Self::Cassandra(text.to_owned())),
            found => Err(format!(
                "--journal must be embedded, postgres://… or cassandra://…, found {}",
                found.map_or_else(|| "something else".to_owned(), |scheme| format!("{scheme}:…"))
            )),
        }
    }

    /// The store of a shared journal; none for an embedded one.
    pub fn store(&self, secrets: &Secrets) -> Result<Option<Arc<dyn SharedStore>>, Failure> {
        let filled = |url: &str| secrets.fill(url).map_err(|error| Failure::Usage(format!("--journal: {error}")));
        Ok(match self {
            Self::Embedded => None,
            Self::Postgres(url) => Some(Arc::new(InPostgres(filled(url)?))),
            Self::Cassandra(url) => Some(Arc::new(InCassandra(filled(url)?))),
        })
    }

    /// A shared journal, beside its servers if there are any.
    pub fn open(&self, secrets: &Secrets) -> Result<Box<dyn Takeover>, JournalError> {
        let unfit = |what: String| JournalError::Unfit { place: "--journal".to_owned(), what };
        let filled = |url: &str| secrets.fill(url).map_err(|error| unfit(error.to_string()));
        match self {
            Self::Embedded => Err(unfit("it is no address of a shared journal".to_owned())),
            Self::Postgres(url) => {
                use capstan_journal_postgres::OpenError;
                let opened = PostgresJournal::connect(&filled(url)?, PostgresOptions::default());
                Ok(Box::new(opened.map_err(|error| match error {
                    OpenError::Journal(error) => error,
                    address @ OpenError::Address { .. } => unfit(address.to_string()),
                })?))
            }
            Self::Cassandra(url) => {
                use capstan_journal_cassandra::OpenError;
                let opened = CassandraJournal::connect(&filled(url)?, CassandraOptions::default());
                Ok(Box::new(opened.map_err(|error| match error {
                    OpenError::Journal(error) => error,
                    address @ OpenError::Address { .. } => unfit(address.to_string()),
                })?))
            }
        }
    }
}

/// The address with its password in it: nothing of this is ever shown.
struct InPostgres(String);

impl SharedStore for InPostgres {
    fn journal(&self) -> Result<Box<dyn Journal>, StoreError> {
        Ok(Box::new(PostgresJournal::connect(&self.0, PostgresOptions::default())?))
    }

    fn election(&self) -> Result<Box<dyn Election>, StoreError> {
        let options = PostgresOptions { timeout: ELECTION_TIMEOUT, ..PostgresOptions::default() };
        Ok(Box::new(PostgresElection::connect(&self.0, options)?))
    }
}

struct InCassandra(String);

impl SharedStore for InCassandra {
    fn journal(&self) -> Result<Box<dyn Journal>, StoreError> {
        Ok(Box::new(CassandraJournal::connect(&self.0, CassandraOptions::default())?))
    }

    fn election(&self) -> Result<Box<dyn Election>, StoreError> {
        let options = CassandraOptions { timeout: ELECTION_TIMEOUT, ..CassandraOptions::default() };
        Ok(Box::new(CassandraElection::connect(&self.0, &options)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_by_its_scheme_and_nothing_else_of_it_is_repeated() {
        assert_eq!(Place::parse("embedded"), Ok(Place::Embedded));
        assert!(matches!(Place::parse("postgres://u@db/x"), Ok(Place::Postgres(_))));
        assert!(matches!(Place::parse("postgresql://u@db/x"), Ok(Place::Postgres(_))));
        assert!(matches!(Place::parse("cassandra://db/x"), Ok(Place::Cassandra(_))));
        let error = Place::parse("mysql://me:hunter2@db/x").unwrap_err();
        assert!(error.contains("mysql") && !error.contains("hunter2"), "{error}");
        assert!(Place::parse("hunter2").is_err_and(|error| !error.contains("hunter2")));
    }
}
