//! Getting an answer out of a journal that has lost one.

use crate::owner::Owner;
use capstan_journal::{Append, JournalError, Refusal};
use std::time::{Duration, Instant};

/// How long a lost answer is asked for again before the server gives up leading.
const AWAY_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// What became of a commit, for certain.
pub(crate) enum Settled {
    Committed,
    Fenced,
    Refused(Refusal),
    Broken(JournalError),
}

impl Owner {
    /// Offers the commit until it is certain what became of it.
    ///
    /// After an unknown outcome the same commit is offered again at its position: it stands there, another does, or it
    /// is written now. Whoever asks for something meanwhile is sent away.
    pub(crate) fn settle(&mut self) -> Settled {
        let began = Instant::now();
        loop {
            match self.journal.append(self.epoch, self.next, &self.commit) {
                Append::Committed => return Settled::Committed,
                Append::Fenced => return Settled::Fenced,
                Append::Refused(refusal) => return Settled::Refused(refusal),
                Append::Broken(error) => return Settled::Broken(error),
                Append::Unknown(error) => {
                    tracing::warn!(%error, position = %self.next, "the journal lost an answer; asking again");
                    if began.elapsed() > AWAY_MAX || self.is_stopping() {
                        // Whether it stands, the next leader will read.
                        return Settled::Broken(error);
                    }
                    self.turn_away(PAUSE * 4);
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }
}
