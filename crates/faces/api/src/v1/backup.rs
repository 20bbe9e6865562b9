//! The journal as a file, while the server runs.

use crate::codes;
use crate::problem::Problem;
use crate::router::Api;
use crate::v1::Answered;
use crate::wire::time;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Response, header};
use capstan_coordinator::StartBackupError;
use futures::stream;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many backups may be taken at once: each reads as fast as it can.
const BACKUPS_MAX: usize = 2;
static FREE: Semaphore = Semaphore::const_new(BACKUPS_MAX);
/// When to ask again where that many are being taken.
const PAUSE: Duration = Duration::from_secs(5);

/// Streams a backup of everything that the server knows. A stream that breaks off is no backup.
pub async fn take(State(api): State<Api>) -> Answered {
    let Ok(permit) = FREE.try_acquire() else {
        let detail = format!("{BACKUPS_MAX} backups are being taken; try again in {} s", PAUSE.as_secs());
        return Err(Problem::new(&codes::SERVER_OVERLOADED, detail).retry_after(PAUSE));
    };
    let backup = api.handle.backup(time::now()).await?;
    let chunks = stream::unfold(Some((backup, api, permit)), |state| async move {
        let (mut backup, api, permit) = state?;
        let next = tokio::select! {
            next = backup.next() => next?,
            () = api.info.closing.cancelled() => Err(capstan_journal::backup::BackupError::Write(
                std::io::Error::new(std::io::ErrorKind::Interrupted, "the server is shutting down"),
            )),
        };
        match next {
            Ok(chunk) => Some((Ok(Bytes::from(chunk)), Some((backup, api, permit)))),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a backup was not finished");
                // The stream breaks off, and whoever reads it sees that its end is missing.
                Some((Err(error), None))
            }
        }
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl From<StartBackupError> for Problem {
    fn from(error: StartBackupError) -> Self {
        match error {
            StartBackupError::Failure(failure) => failure.into(),
            // What the journal says names files: it stays in the server's log.
            StartBackupError::Journal(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a backup could not be begun");
                let detail = "the journal could not be read; try again, and see the server's log";
                Self::new(&codes::JOURNAL_AWAY, detail).retry_after(Duration::from_secs(1))
            }
        }
    }
}
