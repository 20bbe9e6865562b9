//! What the owner is asked, and answers that wait for a flush.

use crate::failure::Failure;
use crate::handle::{Acquired, Outcome};
use crate::state::State;
use capstan_ids::Position;
use capstan_journal::{JournalError, Recorded};
use capstan_migration::{JobCommand, JobName};
use capstan_work::{Acquire, Command};
use std::time::Duration;
use tokio::sync::oneshot;

/// A look at the state, and what to do with what was seen once it is durable.
pub(crate) type Look = Box<dyn FnOnce(Result<&State, Failure>) -> Release + Send>;
/// Gives an answer away: what was seen, or why it may not be told.
pub(crate) type Release = Box<dyn FnOnce(Result<(), Failure>) + Send>;
type Log = Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>;

/// What the owner is asked.
pub(crate) enum Message {
    Commands { commands: Vec<Command>, reply: oneshot::Sender<Result<Vec<Outcome>, Failure>> },
    Acquire { acquire: Acquire, wait: Duration, reply: oneshot::Sender<Result<Acquired, Failure>> },
    Job { command: Box<JobCommand>, reply: oneshot::Sender<Result<JobName, Failure>> },
    Read(Look),
    ReadLog { from: Position, reply: oneshot::Sender<Result<Log, JournalError>> },
    Stop { reply: oneshot::Sender<()> },
}

/// An answer that waits for the flush.
pub(crate) enum Pending {
    Outcomes(oneshot::Sender<Result<Vec<Outcome>, Failure>>, Result<Vec<Outcome>, Failure>),
    Acquired(oneshot::Sender<Result<Acquired, Failure>>, Result<Acquired, Failure>),
    Job(oneshot::Sender<Result<JobName, Failure>>, Result<JobName, Failure>),
    Seen(Release),
    Stopped(oneshot::Sender<()>),
}

impl Pending {
    /// Gives it: what was found out, or why it may not be told.
    pub fn give(self, durable: Result<(), Failure>) {
        // Whoever has gone away needs no answer.
        match self {
            Self::Outcomes(reply, outcome) => drop(reply.send(durable.and(outcome))),
            Self::Acquired(reply, outcome) => drop(reply.send(durable.and(outcome))),
            Self::Job(reply, outcome) => drop(reply.send(durable.and(outcome))),
            Self::Seen(release) => release(durable),
            Self::Stopped(reply) => drop(reply.send(())),
        }
    }
}

impl Message {
    /// Answers that it was not taken; what asked the owner to stop is handed back.
    pub fn turn_away(self, why: &Failure) -> Option<oneshot::Sender<()>> {
        match self {
            Self::Commands { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::Acquire { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::Job { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::Read(look) => look(Err(why.clone()))(Err(why.clone())),
            // Its sender is dropped: whoever watches is told that the server does not answer.
            Self::ReadLog { .. } => {}
            Self::Stop { reply } => return Some(reply),
        }
        None
    }
}

/// About how many bytes of events a command makes at the most.
pub(crate) fn weight(command: &Command) -> usize {
    const FIXED: usize = 256;
    let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    let items = match command {
        Command::OpenSession { items, .. } | Command::AddItems { items, .. } => items,
        Command::Complete(complete) | Command::CompleteAndAcquire { complete, .. } => &complete.successors,
        Command::Renew { checkpoint, .. } | Command::Release { checkpoint, .. } => return FIXED + length(checkpoint),
        Command::Fail { checkpoint, error, .. } => return FIXED + error.len() + length(checkpoint),
        _ => return FIXED,
    };
    items.iter().map(|item| FIXED + item.id.as_str().len() + length(&item.payload)).sum::<usize>() + 64 * 1024
}
