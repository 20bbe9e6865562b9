//! What frames hold, as bytes.

use super::frame::{Frames, Ink};
use super::{BackupError, Contents};
use crate::encoding::Names;
use crate::takeover::Beginning;
use crate::{Commit, Recorded, SnapshotInfo};
use capstan_ids::{Epoch, Position, StreamName, WallTime};

const BEGINNING: u32 = 1;
const SNAPSHOT: u32 = 2;
const ROW: u32 = 3;
const ARCHIVE: u32 = 4;
const RUN: u32 = 5;
const COMMIT: u32 = 6;
const END: u32 = 7;

/// A frame, understood.
pub(super) enum Piece {
    Beginning(Beginning, WallTime),
    Snapshot(SnapshotInfo),
    Row(Vec<u8>),
    Archive(StreamName),
    Run(Recorded),
    Commit(Recorded),
    End(Contents),
}

/// Writes pieces.
pub(super) struct Pen<'a> {
    ink: Ink<'a>,
    body: Vec<u8>,
}

impl<'a> Pen<'a> {
    pub fn begin(ink: Ink<'a>, beginning: &Beginning, taken: WallTime) -> Result<Self, BackupError> {
        let mut pen = Self { ink, body: Vec::new() };
        let Beginning { first, epoch, before } = beginning;
        pen.numbers(&[first.get(), epoch.get(), before.micros().cast_unsigned(), taken.micros().cast_unsigned()]);
        pen.put(BEGINNING)?;
        Ok(pen)
    }

    pub fn snapshot(&mut self, info: &SnapshotInfo) -> Result<(), BackupError> {
        self.numbers(&[info.position.get(), info.epoch.get(), info.at.micros().cast_unsigned()]);
        self.body.extend_from_slice(info.stream.as_str().as_bytes());
        self.put(SNAPSHOT)
    }

    pub fn row(&mut self, row: &[u8]) -> Result<(), BackupError> {
        self.ink.frame(ROW, row)
    }

    pub fn archive(&mut self, stream: &StreamName) -> Result<(), BackupError> {
        self.ink.frame(ARCHIVE, stream.as_str().as_bytes())
    }

    pub fn run(&mut self, run: &Recorded) -> Result<(), BackupError> {
        self.recorded(RUN, run)
    }

    pub fn commit(&mut self, commit: &Recorded) -> Result<(), BackupError> {
        self.recorded(COMMIT, commit)
    }

    /// Ends the backup; answers how large it is.
    pub fn end(mut self, contents: &Contents) -> Result<u64, BackupError> {
        let Contents { next, epoch, snapshots, rows, archived, commits, events, largest, .. } = *contents;
        self.numbers(&[next.get(), epoch.get(), snapshots, rows, archived, commits, events, largest]);
        self.put(END)?;
        self.ink.flush()?;
        Ok(self.ink.bytes)
    }

    fn recorded(&mut self, kind: u32, recorded: &Recorded) -> Result<(), BackupError> {
        let at = recorded.commit.at().micros().cast_unsigned();
        self.numbers(&[recorded.position.get(), recorded.epoch.get(), at]);
        recorded.commit.encode(&mut self.body);
        self.put(kind)
    }

    fn numbers(&mut self, numbers: &[u64]) {
        self.body.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    }

    fn put(&mut self, kind: u32) -> Result<(), BackupError> {
        let written = self.ink.frame(kind, &self.body);
        self.body.clear();
        written
    }
}

/// The next piece.
pub(super) fn next(frames: &mut Frames<'_>, names: &mut Names) -> Result<Piece, BackupError> {
    let offset = frames.offset;
    let (kind, body) = frames.next()?;
    // The frame has proved itself: a bug or a forgery.
    decode(kind, body, names)
        .ok_or_else(|| BackupError::Damaged { offset, what: format!("a frame of kind {kind} cannot be understood") })
}

fn decode(kind: u32, body: &[u8], names: &mut Names) -> Option<Piece> {
    let number = |index: usize| Some(u64::from_le_bytes(*body.get(8 * index..)?.first_chunk()?));
    let place = |index: usize| number(index).filter(|number| *number <= Position::MAX.get()).map(Position::new);
    let epoch = |index: usize| number(index).map(Epoch::new);
    let time = |index: usize| number(index).map(|number| WallTime(number.cast_signed()));
    let stream = |bytes: &[u8]| StreamName::new(std::str::from_utf8(bytes).ok()?).ok();
    let mut recorded = || {
        let bytes = body.get(24..)?;
        let (commit, taken) = Commit::decode(time(2)?, bytes, names).ok()?;
        let whole = taken == bytes.len() && !commit.is_empty();
        whole.then_some(Recorded { position: place(0)?, epoch: epoch(1)?, commit })
    };
    Some(match kind {
        BEGINNING if body.len() == 32 => {
            Piece::Beginning(Beginning { first: place(0)?, epoch: epoch(1)?, before: time(2)? }, time(3)?)
        }
        SNAPSHOT => {
            let stream = stream(body.get(24..)?)?;
            Piece::Snapshot(SnapshotInfo { stream, position: place(0)?, epoch: epoch(1)?, at: time(2)?, bytes: 0 })
        }
        ROW => Piece::Row(body.to_vec()),
        ARCHIVE => Piece::Archive(stream(body)?),
        RUN => Piece::Run(recorded()?),
        COMMIT => Piece::Commit(recorded()?),
        END if body.len() == 64 => Piece::End(Contents {
            next: place(0)?,
            epoch: epoch(1)?,
            snapshots: number(2)?,
            rows: number(3)?,
            archived: number(4)?,
            commits: number(5)?,
            events: number(6)?,
            largest: number(7)?,
            ..Contents::default()
        }),
        _ => return None,
    })
}
