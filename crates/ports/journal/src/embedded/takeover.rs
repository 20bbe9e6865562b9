//! Being filled by a restore.
//!
//! A file beside the segments says that a restore has begun and not ended. It is durable before anything else is
//! changed, and goes after everything else is durable.

use super::log::Halt;
use super::segment::{LOG_DIR, RESTORING, failed};
use super::{EmbeddedJournal, archive};
use crate::{Append, Beginning, Journal, JournalError, Recorded, SnapshotInfo, SnapshotWriter, Takeover};
use capstan_ids::{Epoch, Position, StreamName};

impl EmbeddedJournal {
    fn is_empty(&self) -> bool {
        let place = self.log.place();
        place.next == Position::new(1) && place.epoch == Epoch::ZERO && self.shelf.whole().is_empty()
    }

    fn flush_names(&self) -> Result<(), JournalError> {
        self.files.sync_dir(LOG_DIR).map_err(failed("flush", &*self.files, LOG_DIR))
    }
}

impl Takeover for EmbeddedJournal {
    fn begin(&mut self, beginning: &Beginning) -> Result<(), JournalError> {
        if !self.is_empty() {
            let next = self.log.place().next;
            let what = format!(
                "it is not empty (its next position is {next}), and a backup is restored into an empty one only; \
                 choose a new directory, or delete this one if nothing in it is wanted"
            );
            return Err(JournalError::Unfit { place: self.files.place(""), what });
        }
        let marked = self.files.create(RESTORING).and_then(|file| file.sync_data());
        marked.map_err(failed("mark that a restore has begun", &*self.files, RESTORING))?;
        self.flush_names()?;
        self.log.begin_again(beginning).map_err(|halt| self.halted(halt))
    }

    fn adopt_snapshot(&mut self, info: &SnapshotInfo) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        self.shelf.begin(info.clone(), None)
    }

    fn archive(&mut self, stream: &StreamName, runs: &[Recorded]) -> Result<(), JournalError> {
        archive::put(&*self.files, self.log.identity(), stream, runs)
    }

    fn put(&mut self, commits: &[Recorded]) -> Append {
        if let Some(error) = self.log.broken() {
            return Append::Broken(error);
        }
        let mut reached = self.log.place();
        if let Some(first) = commits.first().filter(|first| first.position < reached.next) {
            // It never answers *unknown*, and so they are offered again only by somebody who was not told.
            let stand = self.read(first.position).and_then(|stand| stand.collect::<Result<Vec<_>, _>>());
            return match stand {
                Ok(stand) if stand == commits => Append::Committed,
                Ok(_) => Append::Fenced,
                Err(error) => Append::Broken(error),
            };
        }
        for Recorded { position, epoch, commit } in commits {
            if *position < reached.next || *epoch < reached.epoch {
                return Append::Fenced;
            }
            (reached.next, reached.epoch) = (position.plus(commit.events()), *epoch);
        }
        match self.log.append_all(commits) {
            Ok(()) => Append::Committed,
            Err(Halt::Refused(refusal)) => Append::Refused(refusal),
            Err(Halt::Broken(error)) => Append::Broken(error),
        }
    }

    fn go_on_at(&mut self, position: Position) -> Result<(), JournalError> {
        let next = self.log.place().next;
        assert!(position >= next, "positions never go back");
        if position == next {
            return Ok(());
        }
        self.log.roll(0, position).map_err(|halt| self.halted(halt))
    }

    fn complete(&mut self) -> Result<Position, JournalError> {
        let next = self.leap()?;
        match self.files.remove(RESTORING) {
            // Nothing was restored, and there was nothing to end.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed.map_err(failed("mark that a restore has ended", &*self.files, RESTORING))?,
        }
        self.flush_names()?;
        Ok(next)
    }
}
