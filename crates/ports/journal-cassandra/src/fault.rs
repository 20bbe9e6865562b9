//! What can go wrong between us and the database, and what it means for a journal.

use capstan_journal::JournalError;
use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError,
    NewSessionError, PrepareError, RequestAttemptError,
};
use std::io;

/// A connection that could not be made.
pub(crate) fn not_connected(error: &NewSessionError, place: &str) -> JournalError {
    if let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
        last_connection_error: ConnectionError::ConnectionSetupRequestError(setup),
    })) = error
    {
        match &setup.error {
            ConnectionSetupRequestErrorKind::MissingAuthentication => {
                return unfit(place, "it asks who connects; name user and password in the address".to_owned());
            }
            ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, message) => {
                return unfit(place, format!("{message}; give the user's right name and password"));
            }
            _ => {}
        }
    }
    away(place, io::ErrorKind::NotConnected, error.to_string())
}

/// A statement that could not be prepared for `operation`.
pub(crate) fn not_prepared(error: PrepareError, operation: &'static str, place: &str) -> JournalError {
    match error {
        PrepareError::AllAttemptsFailed { first_attempt } => not_attempted(&first_attempt, operation, place),
        other => away(place, io::ErrorKind::NotConnected, other.to_string()),
    }
}

/// A statement of `operation` that has no result. What it would have changed may have changed.
pub(crate) fn not_executed(error: ExecutionError, operation: &'static str, place: &str) -> JournalError {
    match error {
        ExecutionError::LastAttemptError(error) => not_attempted(&error, operation, place),
        ExecutionError::PrepareError(error) => not_prepared(error, operation, place),
        ExecutionError::RequestTimeout(after) => {
            away(place, io::ErrorKind::TimedOut, format!("no answer within {} ms", after.as_millis()))
        }
        ExecutionError::ConnectionPoolError(_) | ExecutionError::EmptyPlan => {
            away(place, io::ErrorKind::NotConnected, error.to_string())
        }
        other => store(place, operation, other.to_string()),
    }
}

fn not_attempted(error: &RequestAttemptError, operation: &'static str, place: &str) -> JournalError {
    match error {
        RequestAttemptError::BrokenConnectionError(_) | RequestAttemptError::UnableToAllocStreamId => {
            away(place, io::ErrorKind::ConnectionAborted, error.to_string())
        }
        RequestAttemptError::DbError(kind, message) => denied(kind, message, operation, place),
        other => store(place, operation, other.to_string()),
    }
}

/// What the database's own refusal means.
fn denied(kind: &DbError, message: &str, operation: &'static str, place: &str) -> JournalError {
    match kind {
        DbError::Unauthorized => {
            let grant = grant(message);
            let grant =
                grant.as_deref().unwrap_or("GRANT SELECT, MODIFY and CREATE ON the journal's KEYSPACE to that role");
            unfit(place, format!("{message}; {grant}"))
        }
        DbError::AuthenticationError => unfit(place, format!("{message}; give the user's right name and password")),
        DbError::Unavailable { required, alive, .. } => away(
            place,
            io::ErrorKind::HostUnreachable,
            format!("{alive} of {required} replicas that are needed to {operation} answer"),
        ),
        DbError::ReadTimeout { .. } | DbError::WriteTimeout { .. } => away(
            place,
            io::ErrorKind::TimedOut,
            format!("the replicas did not answer in time to {operation}: {message}"),
        ),
        DbError::Overloaded | DbError::IsBootstrapping | DbError::RateLimitReached { .. } => {
            away(place, io::ErrorKind::ResourceBusy, format!("{kind}: {message}"))
        }
        other => store(place, operation, format!("{other}: {message}")),
    }
}

/// What gives the right that `User ada has no MODIFY permission on <table k.t> or any of its parents` lacks.
fn grant(message: &str) -> Option<String> {
    let (role, rest) = message.strip_prefix("User ")?.split_once(" has no ")?;
    let (right, rest) = rest.split_once(" permission on <")?;
    let (resource, _) = rest.split_once('>')?;
    let keyspace = |name: &str| format!("KEYSPACE {name}");
    let on = match resource.split(' ').collect::<Vec<_>>()[..] {
        ["table", table] => keyspace(table.split_once('.')?.0),
        ["keyspace", name] | ["all", "tables", "in", name] => keyspace(name),
        _ => "ALL KEYSPACES".to_owned(),
    };
    Some(format!("GRANT {right} ON {on} TO {role}"))
}

pub(crate) fn away(place: &str, kind: io::ErrorKind, text: String) -> JournalError {
    JournalError::Away { place: place.to_owned(), source: io::Error::new(kind, text) }
}

pub(crate) fn unfit(place: &str, what: String) -> JournalError {
    JournalError::Unfit { place: place.to_owned(), what }
}

pub(crate) fn store(place: &str, operation: &'static str, text: String) -> JournalError {
    JournalError::Store { operation, place: place.to_owned(), source: io::Error::other(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: DbError, message: &str) -> JournalError {
        let attempt = RequestAttemptError::DbError(kind, message.to_owned());
        not_executed(ExecutionError::LastAttemptError(attempt), "append", "cassandra://db")
    }

    #[test]
    fn a_missing_right_is_named_with_the_grant_that_gives_it() {
        for (right, resource, expected) in [
            ("MODIFY", "table capstan.commits", "GRANT MODIFY ON KEYSPACE capstan TO ada"),
            ("CREATE", "all tables in capstan", "GRANT CREATE ON KEYSPACE capstan TO ada"),
            ("CREATE", "keyspace capstan", "GRANT CREATE ON KEYSPACE capstan TO ada"),
            ("CREATE", "all keyspaces", "GRANT CREATE ON ALL KEYSPACES TO ada"),
        ] {
            let message = format!("User ada has no {right} permission on <{resource}> or any of its parents");
            let error = told(DbError::Unauthorized, &message);
            assert!(matches!(&error, JournalError::Unfit { what, .. } if what.ends_with(expected)), "{error}");
        }
        let error = told(DbError::Unauthorized, "no");
        assert!(matches!(&error, JournalError::Unfit { what, .. } if what.contains("GRANT SELECT, MODIFY")), "{error}");
    }

    #[test]
    fn what_may_pass_is_away() {
        for error in [
            told(DbError::Overloaded, "busy"),
            told(DbError::IsBootstrapping, "joining"),
            not_executed(ExecutionError::RequestTimeout(std::time::Duration::from_secs(1)), "append", "x"),
        ] {
            assert!(matches!(error, JournalError::Away { .. }), "{error:?}");
        }
        assert!(matches!(told(DbError::ServerError, "disk"), JournalError::Store { .. }));
    }
}
