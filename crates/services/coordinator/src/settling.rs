//! Getting an answer out of a journal that has lost one.

use crate::failure::Failure;
use crate::message::Message;
use crate::owner::Owner;
use capstan_ids::{Epoch, Position};
use capstan_journal::{Append, Commit, Journal, JournalError, Refusal};
use crossbeam_channel::Receiver;
use std::time::{Duration, Instant};

/// How long a lost answer is asked for again before the server gives up leading.
const AWAY_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// What became of a commit, for certain.
#[derive(Debug)]
pub(crate) enum Settled {
    Committed,
    Fenced,
    Refused(Refusal),
    /// It was asked for long enough, and nobody knows: whether it stands, the next leader will read.
    Away(JournalError),
    Broken(JournalError),
}

/// Offers a commit until it is certain what became of it, or until `go_on`, asked before each time again, says no.
///
/// After an unknown outcome the same commit is offered again at its position: it stands there, another does, or it is
/// written now.
pub(crate) fn settle(
    journal: &mut dyn Journal,
    epoch: Epoch,
    position: Position,
    commit: &Commit,
    mut go_on: impl FnMut() -> bool,
) -> Settled {
    let began = Instant::now();
    let mut is_told = false;
    loop {
        match journal.append(epoch, position, commit) {
            Append::Committed => return Settled::Committed,
            Append::Fenced => return Settled::Fenced,
            Append::Refused(refusal) => return Settled::Refused(refusal),
            Append::Broken(error) => return Settled::Broken(error),
            Append::Unknown(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, %position, "the journal gave no answer; asking again until it does");
                }
                if began.elapsed() > AWAY_MAX || !go_on() {
                    return Settled::Away(error);
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// Tells whoever asks meanwhile that the journal is away; true if somebody asked for a stop.
fn turn_away(queue: &Receiver<Message>) -> bool {
    let away = Failure::Away { retry_after: PAUSE * 4 };
    // Every one of them is told, also those behind a stop.
    queue.try_iter().filter_map(|message| message.turn_away(&away).then_some(())).count() > 0
}

impl Owner {
    /// Settles what became of this flush. Whoever asks for something meanwhile is sent away.
    pub(crate) fn settle(&mut self) -> Settled {
        let Self { journal, commit, queue, stopping, epoch, next, leadership, clock, .. } = self;
        settle(journal.as_mut(), *epoch, *next, commit, || {
            *stopping |= turn_away(queue);
            !*stopping && leadership.holds(clock.now().monotonic)
        })
    }
}
