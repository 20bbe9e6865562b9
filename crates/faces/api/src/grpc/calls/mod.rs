//! What each call does: convert, ask the coordinator, convert back.

pub mod items;
mod leases;
mod sessions;

use crate::problem::Problem;
use capstan_coordinator::{Failure, Handle};
use capstan_work::{Answer, Command};
use tokio_util::sync::CancellationToken;

/// Asks the coordinator on behalf of the wire.
#[derive(Clone, Debug)]
pub struct Calls {
    pub handle: Handle,
    /// Ends what waits: long polls and streams.
    pub closing: CancellationToken,
}

impl Calls {
    /// A command whose answer says nothing but that it was done.
    async fn done(&self, command: Command) -> Result<(), Problem> {
        self.handle.submit(command).await?;
        Ok(())
    }

    /// A command that is answered with a number.
    async fn counted(&self, command: Command) -> Result<u64, Problem> {
        match self.handle.submit(command).await? {
            Answer::Counted(number) => Ok(number),
            other => unreachable!("a number was the only possible answer, not {other:?}"),
        }
    }

    /// Waits, but not past the server's end.
    pub(super) async fn unless_closing<T>(
        &self,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            answer = answer => answer,
            () = self.closing.cancelled() => Err(Failure::Stopped),
        }
    }
}
