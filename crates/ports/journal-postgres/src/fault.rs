//! What can go wrong between us and the database, and what it means for a journal.

use capstan_journal::JournalError;
use std::error::Error as _;
use std::io;
use std::time::Duration;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// Why a call had no result.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection could not be made, or broke.
    Lost(io::Error),
    /// There was no answer in time; the connection was given up.
    Late(Duration),
    /// Who answers and what the address asks for do not fit: a certificate, encryption at all, a password.
    Mistrusted(String),
    /// The database said no: what the call would have changed is as it was.
    Denied(Box<DbError>),
    /// The database is not, or no longer, one that this journal may use.
    Unusable(JournalError),
}

impl Fault {
    pub fn of(error: tokio_postgres::Error) -> Self {
        if let Some(denied) = error.as_db_error() {
            return Self::Denied(Box::new(denied.clone()));
        }
        let text = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let broken = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        // The driver tells these apart by their words only. A handshake that the network cut short has an error of
        // the network's; one that somebody refused has none, or one of rustls within.
        let refused = broken.is_none_or(|error| error.kind() == io::ErrorKind::InvalidData);
        let asked_for = ["error performing TLS handshake", "authentication error", "invalid configuration"];
        if refused && asked_for.iter().any(|words| text.starts_with(words)) {
            return Self::Mistrusted(text);
        }
        Self::Lost(io::Error::new(broken.map_or(io::ErrorKind::ConnectionAborted, io::Error::kind), text))
    }

    /// Whether the connection is of no more use.
    pub fn ends_connection(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Late(_) | Self::Mistrusted(_) => true,
            Self::Denied(denied) => matches!(denied.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
            Self::Unusable(_) => false,
        }
    }

    /// Whether the database has no room. Nothing was written then, and nothing is wrong with what stands.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Denied(denied) if *denied.code() == SqlState::DISK_FULL)
    }

    /// Whether it says that what stands is not what was written: nobody may go on.
    pub fn is_damage(&self) -> bool {
        let codes =
            [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED, SqlState::IO_ERROR, SqlState::UNIQUE_VIOLATION];
        match self {
            Self::Denied(denied) => codes.contains(denied.code()),
            Self::Unusable(error) => matches!(error, JournalError::Damaged { .. }),
            Self::Lost(_) | Self::Late(_) | Self::Mistrusted(_) => false,
        }
    }

    /// What it is for somebody who waits for `operation` in `place`.
    pub fn told(self, operation: &'static str, place: &str) -> JournalError {
        let place = place.to_owned();
        match self {
            Self::Lost(source) => JournalError::Away { place, source },
            Self::Late(after) => {
                let text = format!("no answer within {} ms", after.as_millis());
                JournalError::Away { place, source: io::Error::new(io::ErrorKind::TimedOut, text) }
            }
            Self::Mistrusted(text) => {
                let what = format!("{text}; see sslmode, sslrootcert, the user and the password of the address");
                JournalError::Unfit { place, what }
            }
            Self::Denied(denied) => refused(&denied, operation, place),
            Self::Unusable(error) => error,
        }
    }
}

/// What the database's own refusal means.
fn refused(denied: &DbError, operation: &'static str, place: String) -> JournalError {
    let code = denied.code();
    let passes = [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    if passes.contains(code) {
        return JournalError::Away {
            place,
            source: io::Error::new(io::ErrorKind::ConnectionRefused, denied.message()),
        };
    }
    let advice = [
        (SqlState::INVALID_CATALOG_NAME, "make it with CREATE DATABASE, or name another in the address"),
        (SqlState::INVALID_PASSWORD, "give the user's right password"),
        (SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "see the user's name, its right to log in, and pg_hba.conf"),
        (SqlState::INSUFFICIENT_PRIVILEGE, "start the server again, and it says which GRANT is missing"),
        (SqlState::READ_ONLY_SQL_TRANSACTION, "it takes no changes; name the primary server in the address"),
        (SqlState::UNDEFINED_TABLE, "the journal's tables are gone; restore a backup"),
        (SqlState::INVALID_SCHEMA_NAME, "the journal's schema is gone; restore a backup"),
    ];
    let known = advice.iter().find(|(state, _)| state == code);
    match known {
        Some((_, advice)) => JournalError::Unfit { place, what: format!("{}; {advice}", denied.message()) },
        None => {
            let text = format!("{} (SQLSTATE {})", denied.message(), code.code());
            JournalError::Store { operation, place, source: io::Error::other(text) }
        }
    }
}
