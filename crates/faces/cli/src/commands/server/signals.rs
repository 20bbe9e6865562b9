//! When to stop.

use crate::failure::Failure;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by SIGTERM or SIGINT; a second one ends the process at once.
pub fn listen() -> Result<CancellationToken, Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if told.is_cancelled() {
                eprintln!("stopped at once by a second {name}; the journal is whole");
                std::process::exit(1);
            }
            tracing::info!(signal = name, "stopping");
            told.cancel();
        }
    });
    Ok(stop)
}
