//! Takes a backup.

use super::frame::Ink;
use super::piece::Pen;
use super::{BackupError, Contents};
use crate::takeover::Beginning;
use crate::{Journal, JournalError, Recorded, SnapshotInfo, SnapshotRows, Tail};
use capstan_ids::{Position, StreamName, WallTime};
use std::io::Write;

type Recordings = Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>;

/// A journal as it is at one moment, opened and not read yet.
pub struct Look {
    tail: Tail,
    snapshots: Vec<SnapshotInfo>,
    archives: Vec<(StreamName, Recordings)>,
    log: Recordings,
}

/// How often a look is begun again because retention moved the log's beginning meanwhile.
const LOOKS_MAX: usize = 10;

impl Look {
    /// Opens everything that a backup is made of; `audited` are the streams that have archives.
    ///
    /// A server may be writing to the journal: what it adds later is not seen.
    pub fn at(journal: &mut dyn Journal, audited: &[StreamName]) -> Result<Self, JournalError> {
        let mut before = journal.tail()?;
        for _ in 0..LOOKS_MAX {
            // Snapshots before the log: none is ahead of it then.
            let mut snapshots = journal.snapshots()?;
            let archives =
                audited.iter().map(|stream| Ok((stream.clone(), journal.read_archive(stream, Position::ZERO)?)));
            let archives = archives.collect::<Result<_, JournalError>>();
            let log: Result<Recordings, _> = match before.first < before.next {
                true => journal.read(before.first),
                false => Ok(Box::new(std::iter::empty())),
            };
            let tail = journal.tail()?;
            if tail.first == before.first {
                // The order that a restore writes them in.
                snapshots.sort_by_key(|info| (info.epoch, info.position));
                return Ok(Self { tail, snapshots, archives: archives?, log: log? });
            }
            before = tail;
        }
        Err(JournalError::Dropped { asked: before.first, first: before.first })
    }
}

/// Writes a backup of what `look` saw. `rows` opens one snapshot after the other; `taken` is what time it is.
///
/// An error of which [`BackupError::was_overtaken`] is true says that retention let go of something that was not yet
/// copied: what was written is worth nothing, and another look is worth a try.
pub fn write(
    look: Look,
    rows: &mut dyn FnMut(&SnapshotInfo) -> Result<SnapshotRows, JournalError>,
    taken: WallTime,
    into: &mut dyn Write,
) -> Result<Contents, BackupError> {
    let Look { tail, snapshots, archives, log } = look;
    let mut log = log.peekable();
    // A first commit that cannot be read is met again below.
    let epoch = log.peek().and_then(|first| first.as_ref().ok()).map_or(tail.epoch, |first| first.epoch);
    let older = snapshots.iter().filter(|info| info.position < tail.first);
    let before = older.map(|info| info.at).max().unwrap_or(WallTime(0));
    let mut contents = Contents { taken, first: tail.first, next: tail.next, epoch: tail.epoch, ..Contents::default() };
    let mut pen = Pen::begin(Ink::begin(into)?, &Beginning { first: tail.first, epoch, before }, taken)?;

    for info in &snapshots {
        pen.snapshot(info)?;
        contents.snapshots += 1;
        for row in rows(info)? {
            // One that retention is deleting has gaps: that is no damage, and it is not there any more.
            let row = row.map_err(|error| match rows(info).map_err(BackupError::from) {
                Err(gone) if gone.was_overtaken() => gone,
                _ => error.into(),
            })?;
            pen.row(&row)?;
            contents.rows += 1;
        }
    }
    for (stream, runs) in archives {
        pen.archive(&stream)?;
        for run in runs {
            pen.run(&run?)?;
            contents.archived += 1;
        }
    }
    for recorded in log {
        let recorded = recorded?;
        pen.commit(&recorded)?;
        contents.commits += 1;
        contents.events += recorded.commit.events();
        contents.largest = contents.largest.max(recorded.commit.size() as u64);
        // Where another process writes, the log was read a moment after its end was looked up.
        contents.next = contents.next.max(recorded.position.plus(recorded.commit.events()));
        contents.epoch = contents.epoch.max(recorded.epoch);
    }
    contents.bytes = pen.end(&contents)?;
    Ok(contents)
}
