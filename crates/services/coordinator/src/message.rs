//! What the owner is asked, and answers that wait for a flush.

use crate::backup::WithJournal;
use crate::failure::Failure;
use crate::handle::{Acquired, Outcome, PipelineOutcome};
use crate::history::{History, HistoryLook};
use crate::state::State;
use capstan_ids::Position;
use capstan_journal::{JournalError, Recorded};
use capstan_migration::{JobCommand, JobName};
use capstan_registry::Command as PipelineCommand;
use capstan_work::{Acquire, Command, Complete, NewItem};
use std::time::Duration;
use tokio::sync::oneshot;

/// A look at the state, and what to do with what was seen once it is durable.
pub(crate) type Look = Box<dyn FnOnce(Result<&State, Failure>) -> Release + Send>;
/// Gives an answer away: what was seen, or why it may not be told.
pub(crate) type Release = Box<dyn FnOnce(Result<(), Failure>) + Send>;
/// A part of the log, read beside the owner.
pub(crate) type Log = Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>;

/// What the owner is asked.
pub(crate) enum Message {
    Commands { commands: Vec<Command>, reply: oneshot::Sender<Result<Vec<Outcome>, Failure>> },
    Acquire { acquire: Acquire, wait: Duration, reply: oneshot::Sender<Result<Acquired, Failure>> },
    Job { command: Box<JobCommand>, reply: oneshot::Sender<Result<JobName, Failure>> },
    Pipelines { commands: Vec<PipelineCommand>, reply: oneshot::Sender<Result<Vec<PipelineOutcome>, Failure>> },
    Read(Look),
    ReadLog { from: Position, reply: oneshot::Sender<Result<Result<Log, JournalError>, Failure>> },
    ReadHistory { look: HistoryLook, reply: oneshot::Sender<Result<Result<History, JournalError>, Failure>> },
    WithJournal(WithJournal),
    Stop,
}

/// An answer that waits for the flush.
pub(crate) enum Pending {
    Outcomes(oneshot::Sender<Result<Vec<Outcome>, Failure>>, Result<Vec<Outcome>, Failure>),
    Acquired(oneshot::Sender<Result<Acquired, Failure>>, Result<Acquired, Failure>),
    Job(oneshot::Sender<Result<JobName, Failure>>, Result<JobName, Failure>),
    Pipelines(oneshot::Sender<Result<Vec<PipelineOutcome>, Failure>>, Result<Vec<PipelineOutcome>, Failure>),
    Seen(Release),
}

impl Pending {
    /// Gives it: what was found out, or why it may not be told.
    pub fn give(self, durable: Result<(), Failure>) {
        // Whoever has gone away needs no answer.
        match self {
            Self::Outcomes(reply, outcome) => drop(reply.send(durable.and(outcome))),
            Self::Acquired(reply, outcome) => drop(reply.send(durable.and(outcome))),
            Self::Job(reply, outcome) => drop(reply.send(durable.and(outcome))),
            Self::Pipelines(reply, outcome) => drop(reply.send(durable.and(outcome))),
            Self::Seen(release) => release(durable),
        }
    }
}

impl Message {
    /// Answers that it was not taken; true if it asked the owner to stop, which needs no answer.
    pub fn turn_away(self, why: &Failure) -> bool {
        match self {
            Self::Commands { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::Acquire { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::Job { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::Read(look) => look(Err(why.clone()))(Err(why.clone())),
            Self::Pipelines { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::ReadLog { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::ReadHistory { reply, .. } => drop(reply.send(Err(why.clone()))),
            Self::WithJournal(act) => act(Err(why.clone())),
            Self::Stop => return true,
        }
        false
    }
}

/// About how many bytes of events a command makes at the most, as far as it says so itself.
///
/// Close to the truth on purpose: what is reserved far too amply is refused, or makes the journal prepare huge files.
pub(crate) fn weight(command: &Command) -> usize {
    const EVENT: usize = 256;
    let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
    let items = |items: &[NewItem]| items.iter().map(|item| EVENT + item_weight(item)).sum::<usize>();
    let completion = |complete: &Complete| {
        // A job makes items and facts of a result, each some times larger than its line in it.
        items(&complete.successors) + 4 * length(&complete.result)
    };
    let more = match command {
        Command::OpenSession { items: new, notes, .. } => items(new) + length(notes),
        Command::AddItems { items: new, .. } => items(new),
        Command::Acquire(acquire) => acquire.max as usize * EVENT,
        Command::Complete(complete) => completion(complete),
        Command::CompleteAndAcquire { complete, acquire } => completion(complete) + acquire.max as usize * EVENT,
        Command::UpdateSession { notes, .. } => length(notes),
        Command::Renew { checkpoint, .. } | Command::Release { checkpoint, .. } => length(checkpoint),
        Command::Fail { checkpoint, error, .. } => error.len() + length(checkpoint),
        _ => 0,
    };
    EVENT + more
}

fn item_weight(item: &NewItem) -> usize {
    const NAME: usize = 64;
    let names = item.groups.len() + item.waits_for.len() + item.limits.len();
    item.id.as_str().len() + item.index_name.len() + item.payload.as_ref().map_or(0, |text| text.len()) + NAME * names
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_ids::{ItemId, SessionName, Token, WorkerId};
    use capstan_work::Holder;

    #[test]
    fn the_largest_submission_of_completions_needs_no_more_room_than_it_takes() {
        let session = SessionName::new("shop").unwrap();
        let holder = Holder::Token(Token::granted_at(Position::new(1)));
        let complete = Complete::new(session.clone(), ItemId::new("orders/1").unwrap(), holder);
        let acquire = Acquire::from(session, WorkerId::new("alice").unwrap());
        let command = Command::CompleteAndAcquire { complete, acquire };

        assert!(weight(&command) * crate::handle::COMMANDS_MAX < 16 << 20);
    }
}
