//! Work that blocks a thread, done on threads that may be blocked.

use crate::error::SpoolError;
use std::io;
use tokio::task::JoinError;

/// Runs `act` where blocking harms nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    act: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, SpoolError> {
    tokio::task::spawn_blocking(act).await.unwrap_or_else(|error| Err(stopped(operation, error)))
}

/// What a blocking task that did not end by itself means: a bug goes on as the panic it was, a shutdown is an error.
pub(crate) fn stopped(operation: &'static str, error: JoinError) -> SpoolError {
    match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => {
            let source = io::Error::new(io::ErrorKind::Interrupted, "the process is shutting down");
            SpoolError::Store { operation, place: String::from("of a process that stops"), source }
        }
    }
}
