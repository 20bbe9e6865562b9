//! Makes an empty journal what a backup says.

use super::piece::Piece;
use super::read::Pieces;
use super::{BackupError, Contents};
use crate::{Append, Recorded, SnapshotProgress, SnapshotWriter, Takeover};
use capstan_ids::{Position, StreamName};
use std::io::Read;
use std::time::Duration;

/// Commits and archived events are handed over in batches of about this size.
const BATCH_BYTES: usize = 4 << 20;
/// And of at most so many.
const BATCH_MAX: usize = 4_096;
/// How many bytes of a snapshot's rows may wait for the store.
const BACKLOG_MAX: usize = 8 << 20;
const PAUSE: Duration = Duration::from_millis(1);
/// How often commits are offered of which the store could not say whether they stand.
const OFFERS_MAX: usize = 10;
const OFFER_PAUSE: Duration = Duration::from_millis(500);

/// Fills an empty journal from a backup that [`super::verify`] has read through, and lets it leap; answers the position
/// that the next event takes. `progress` is told now and then what has been restored.
///
/// Whatever goes wrong after it has begun leaves a target that is refused by everybody who opens it: empty it as the
/// refusal says. What is refused before, a target that is not empty among it, changes nothing.
pub fn restore(
    from: &mut dyn Read,
    verified: &Contents,
    target: &mut dyn Takeover,
    progress: &mut dyn FnMut(&Contents),
) -> Result<Position, BackupError> {
    let mut pieces = Pieces::begin(from)?;
    // Said before anything is written, and with some room for what a commit weighs besides its events.
    let largest = usize::try_from(verified.largest).unwrap_or(usize::MAX);
    target.reserve(largest).map_err(BackupError::Refused)?;
    target.begin(&pieces.beginning)?;

    let mut restoring = Restoring { target, snapshot: None, batch: Batch::default() };
    while let Some(piece) = pieces.next()? {
        restoring.take(piece)?;
        progress(&pieces.counted);
    }
    restoring.turn()?;
    if pieces.counted != *verified {
        return Err(BackupError::Changed);
    }
    restoring.target.go_on_at(verified.next)?;
    Ok(restoring.target.complete()?)
}

struct Restoring<'a> {
    target: &'a mut dyn Takeover,
    snapshot: Option<Box<dyn SnapshotWriter>>,
    batch: Batch,
}

/// What is handed over together.
#[derive(Default)]
struct Batch {
    /// The stream whose archive it goes to; none for the log.
    archive: Option<StreamName>,
    recorded: Vec<Recorded>,
    bytes: usize,
}

impl Restoring<'_> {
    fn take(&mut self, piece: Piece) -> Result<(), BackupError> {
        match piece {
            Piece::Snapshot(info) => {
                self.turn()?;
                self.snapshot = Some(self.target.adopt_snapshot(&info)?);
            }
            Piece::Row(row) => {
                let writer = self.snapshot.as_mut().expect("rows come after their snapshot");
                writer.row(row);
                while writer.backlog() > BACKLOG_MAX && matches!(writer.progress(), SnapshotProgress::Writing) {
                    std::thread::sleep(PAUSE);
                }
            }
            Piece::Archive(stream) => {
                self.turn()?;
                self.batch.archive = Some(stream);
            }
            Piece::Run(run) => self.add(run)?,
            Piece::Commit(recorded) => {
                if self.snapshot.is_some() || self.batch.archive.is_some() {
                    self.turn()?;
                }
                self.add(recorded)?;
            }
            Piece::Beginning(..) | Piece::End(_) => unreachable!("pieces are what lies between"),
        }
        Ok(())
    }

    fn add(&mut self, recorded: Recorded) -> Result<(), BackupError> {
        self.batch.bytes += recorded.commit.size();
        self.batch.recorded.push(recorded);
        if self.batch.bytes >= BATCH_BYTES || self.batch.recorded.len() >= BATCH_MAX { self.flow() } else { Ok(()) }
    }

    /// Ends what was being written.
    fn turn(&mut self) -> Result<(), BackupError> {
        self.flow()?;
        self.batch.archive = None;
        let Some(mut writer) = self.snapshot.take() else { return Ok(()) };
        writer.finish();
        loop {
            match writer.progress() {
                SnapshotProgress::Writing => std::thread::sleep(PAUSE),
                SnapshotProgress::Done(_) => return Ok(()),
                SnapshotProgress::Failed(error) => return Err(error.into()),
            }
        }
    }

    /// Hands over what was gathered.
    fn flow(&mut self) -> Result<(), BackupError> {
        let Some(first) = self.batch.recorded.first() else { return Ok(()) };
        let stopped = |what: String| BackupError::Stopped { position: first.position, what };
        let mut offers = 0;
        loop {
            let put = match &self.batch.archive {
                Some(stream) => self.target.archive(stream, &self.batch.recorded).map(|()| Append::Committed),
                None => Ok(self.target.put(&self.batch.recorded)),
            };
            match put? {
                Append::Committed => break,
                Append::Unknown(error) if offers < OFFERS_MAX => {
                    tracing::warn!(%error, "the target did not answer; offering the commits again");
                    offers += 1;
                    std::thread::sleep(OFFER_PAUSE);
                }
                Append::Unknown(error) | Append::Broken(error) => return Err(error.into()),
                Append::Refused(refusal) => return Err(stopped(refusal.to_string())),
                Append::Fenced => {
                    return Err(stopped("another process writes to the target; stop every server there".to_owned()));
                }
            }
        }
        self.batch.recorded.clear();
        self.batch.bytes = 0;
        Ok(())
    }
}
