//! Reads the database's own log while it grows, by a connection of its own.
//!
//! # What it judges
//! - D1 Positions follow one another: none is missing, none is there twice.
//! - D2 Epochs never go back.
//! - D3 An epoch begins with its accession, which names the leader, and has no other.

use super::database::Database;
use anyhow::{Context, Result, ensure};
use capstan_ids::{Epoch, Position};
use capstan_journal::{Journal, JournalError, Recorded};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often the log is read on: retention lets go of what nobody needs.
const LOOK: Duration = Duration::from_millis(100);
/// A database that gives the auditor no answer for so long is a fault of the run.
const AWAY_MAX: Duration = Duration::from_secs(30);
/// The stream of accessions.
const LEADER: &str = "leader";

/// Reads in a thread of its own, as the journal's calls block.
#[derive(Debug)]
pub struct Auditor {
    asked: SyncSender<Question>,
}

/// What does the log say so far?
type Question = oneshot::Sender<Result<Audit>>;

impl Auditor {
    /// Opens the journal, and reads from now on.
    pub async fn start(database: Arc<Database>) -> Result<Self> {
        let (asked, questions) = sync_channel(1);
        let (opened, open) = oneshot::channel();
        thread::spawn(move || {
            let journal = database.open();
            let (journal, told) = match journal {
                Ok(journal) => (Some(journal), Ok(())),
                Err(error) => (None, Err(error)),
            };
            let _ = opened.send(told);
            if let Some(mut journal) = journal {
                read_along(journal.as_mut(), &questions);
            }
        });
        open.await.context("the auditor's thread ended")??;
        Ok(Self { asked })
    }

    /// Reads on to the end of the log; what it says so far, or which rule it breaks.
    pub async fn advance(&self) -> Result<Audit> {
        let (question, told) = oneshot::channel();
        self.asked.send(question).context("the auditor's thread ended")?;
        told.await.context("the auditor's thread ended")?
    }
}

/// Reads until nobody can ask any more; a broken rule is the answer to the next question.
fn read_along(journal: &mut dyn Journal, questions: &Receiver<Question>) {
    let mut audit = Audit::default();
    let mut broken = None;
    loop {
        let question = match questions.recv_timeout(LOOK) {
            Ok(question) => Some(question),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if broken.is_none() {
            broken = read_on(&mut audit, journal).err();
        }
        if let Some(question) = question {
            let _ = question.send(broken.take().map_or(Ok(audit.clone()), Err));
        }
    }
}

/// Reads on to the end; a busy database that lets a read wait too long is asked again.
fn read_on(audit: &mut Audit, journal: &mut dyn Journal) -> Result<()> {
    let began = Instant::now();
    loop {
        match audit.advance(journal) {
            Err(error) if is_away(&error) && began.elapsed() < AWAY_MAX => thread::sleep(LOOK),
            advanced => return advanced,
        }
    }
}

fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(JournalError::Away { .. }))
}

/// What the log says so far.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    next: Option<Position>,
    epoch: Option<Epoch>,
    /// Commits read.
    pub commits: u64,
    /// Events in them.
    pub events: u64,
    /// Leaderships that began.
    pub accessions: u64,
}

impl Audit {
    /// Reads on to the end; an error where the log breaks a rule.
    pub fn advance(&mut self, journal: &mut dyn Journal) -> Result<()> {
        let from = match self.next {
            Some(next) => next,
            None => journal.tail()?.first,
        };
        for recorded in journal.read(from)? {
            self.take(&recorded?)?;
        }
        Ok(())
    }

    fn take(&mut self, recorded: &Recorded) -> Result<()> {
        let Recorded { position, epoch, commit } = recorded;
        if let Some(next) = self.next {
            ensure!(*position == next, "D1: position {next} comes next, the log goes on at {position}");
        }
        let accessions = commit.entries(*position).filter(|entry| entry.stream.as_str() == LEADER).count();
        // Of a log that was cut before it was first read, the beginning of one leadership may be missing.
        let is_new = self.epoch.map_or(accessions > 0 || position.get() == 1, |before| *epoch != before);
        if let Some(before) = self.epoch {
            ensure!(*epoch >= before, "D2: epoch {epoch} at position {position} comes after epoch {before}");
        }
        let expected = usize::from(is_new);
        ensure!(
            accessions == expected,
            "D3: the commit at position {position} under epoch {epoch} has {accessions} accessions, not {expected}"
        );
        self.next = Some(position.plus(commit.events()));
        self.epoch = Some(*epoch);
        self.commits += 1;
        self.events += commit.events();
        self.accessions += accessions as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_ids::{StreamName, WallTime};
    use capstan_journal::Commit;

    fn commit(position: u64, epoch: u64, stream: &str) -> Recorded {
        let mut commit = Commit::new(WallTime(1));
        commit.push(&StreamName::new(stream).unwrap(), |bytes| bytes.push(0));
        Recorded { position: Position::new(position), epoch: Epoch::new(epoch), commit }
    }

    fn judged(log: &[(u64, u64, &str)]) -> Result<(), String> {
        let mut audit = Audit::default();
        let mut commits = log.iter().map(|(position, epoch, stream)| commit(*position, *epoch, stream));
        commits.try_for_each(|commit| audit.take(&commit)).map_err(|error| error.to_string()[..2].to_owned())
    }

    #[test]
    fn a_log_is_judged_by_its_positions_epochs_and_accessions() {
        let sound = [(1, 1, "leader"), (2, 1, "work/x"), (3, 4, "leader"), (4, 4, "work/x")];
        assert_eq!(judged(&sound), Ok(()));
        let broken = |rule: &str, log: &[(u64, u64, &str)]| assert_eq!(judged(log), Err(rule.to_owned()));
        assert_eq!(judged(&[(7, 1, "work/x"), (8, 1, "work/x"), (9, 2, "leader")]), Ok(()), "the beginning was cut");
        broken("D3", &[(1, 1, "work/x")]);
        broken("D1", &[(1, 1, "leader"), (3, 1, "work/x")]);
        broken("D1", &[(1, 1, "leader"), (1, 1, "work/x")]);
        broken("D2", &[(1, 2, "leader"), (2, 1, "leader")]);
        broken("D3", &[(1, 1, "leader"), (2, 2, "work/x")]);
        broken("D3", &[(1, 1, "leader"), (2, 1, "leader")]);
    }
}
