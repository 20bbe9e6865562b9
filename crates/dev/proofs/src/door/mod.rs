//! Ways to ask a server: in the same process, one gRPC call at a time, or many on a stream.

pub mod grpc;
pub mod inside;
pub mod several;
pub mod stream;
mod wire;

use crate::history::{Asked, Ending, Outcome, Rules};
use std::future::Future;

/// The session that all proofs work in.
pub const SESSION: &str = "proof";

/// What one client asks through.
pub trait Door: Send + 'static {
    /// The most requests of one frame.
    const FRAME_MAX: usize;

    /// Asks, all at once, as worker `client`; one outcome for each, in their order. Ends within seconds, whatever the
    /// server does.
    fn ask(&mut self, client: u32, asks: &[Asked]) -> impl Future<Output = Vec<Outcome>> + Send;
}

/// What the proof itself asks of a server that is up.
pub trait Desk {
    /// Opens the session with these rules.
    fn open(&mut self, rules: &Rules) -> impl Future<Output = anyhow::Result<()>> + Send;
    /// How many items are still to be done.
    fn unfinished(&mut self) -> impl Future<Output = anyhow::Result<u64>> + Send;
    /// The whole state.
    fn ending(&mut self) -> impl Future<Output = anyhow::Result<Ending>> + Send;
}

/// The id of a client as a worker.
fn worker_id(client: u32) -> String {
    format!("client-{client}")
}

/// The client behind a worker's id.
fn client_of(worker: &str) -> Option<u32> {
    worker.strip_prefix("client-")?.parse().ok()
}
