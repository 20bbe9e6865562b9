//! A segment: one file of the log, or of a stream's archive.
//!
//! ```text
//!  0  magic     "CAPSTANJ"
//!  8  version   u32   of the format
//! 12  kind      u32   1 log, 2 archive
//! 16  identity  u64   of the journal; every checksum begins with it
//! 24  first     u64   the first position in it
//! 32  follows   u64   the position the log had reached before: the same, but after a restore's leap
//! 40  epoch     u64   the highest seen so far
//! 48  at        i64   the latest time of any commit: log, before it; archive, up to its last
//! 56  previous  u32   the checksum of the last frame before it
//! 60  checksum  u32   CRC-32C of the sixty bytes before
//! 64  frames
//! ```

use super::files::{File, Files};
use super::frame::{u32_at, u64_at};
use crate::JournalError;
use capstan_ids::{Epoch, Position, WallTime};
use std::io;
use std::sync::Arc;

pub(super) const SEGMENT_HEAD: usize = 64;
pub(super) const FORMAT_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"CAPSTANJ";

/// The directory of the log's segments.
pub(super) const LOG_DIR: &str = "log";
/// The file that becomes the next segment.
pub(super) const PREPARED: &str = "log/next.prepared";
/// Is there from the beginning of a restore to its end.
pub(super) const RESTORING: &str = "log/restore.unfinished";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentKind {
    Log = 1,
    Archive = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub kind: SegmentKind,
    pub identity: u64,
    pub first: Position,
    pub follows: Position,
    pub epoch: Epoch,
    pub at: WallTime,
    pub previous: u32,
}

/// A closed segment of the log, or the part of the live one that a reader may see.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub name: String,
    /// Its first position.
    pub first: Position,
    /// The position after its last.
    pub end: Position,
    /// Where its frames end in the file.
    pub end_offset: u64,
    /// The latest time of any commit before it.
    pub before: WallTime,
}

impl SegmentHead {
    pub fn encode(&self) -> [u8; SEGMENT_HEAD] {
        let mut bytes = [0; SEGMENT_HEAD];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.kind as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.identity.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.get().to_le_bytes());
        bytes[32..40].copy_from_slice(&self.follows.get().to_le_bytes());
        bytes[40..48].copy_from_slice(&self.epoch.get().to_le_bytes());
        bytes[48..56].copy_from_slice(&self.at.micros().to_le_bytes());
        bytes[56..60].copy_from_slice(&self.previous.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the head of the segment that should begin at `first`.
    pub fn read(
        files: &dyn Files,
        name: &str,
        file: &dyn File,
        kind: SegmentKind,
        first: Position,
    ) -> Result<Self, JournalError> {
        let damaged = |offset, what: &str| JournalError::Damaged {
            position: first,
            place: files.place(name),
            offset,
            what: what.to_owned(),
        };
        let mut bytes = [0; SEGMENT_HEAD];
        let read = file.read_at(0, &mut bytes).map_err(failed("read a segment's head", files, name))?;
        if read < SEGMENT_HEAD {
            return Err(damaged(read as u64, "the segment ends within its head"));
        }
        // The version comes before the checksum: a newer format may have another head.
        if bytes[..8] != MAGIC {
            return Err(damaged(0, "the segment does not begin with CAPSTANJ"));
        }
        let checksum_matches = crc32c::crc32c(&bytes[..60]) == u32_at(&bytes, 60);
        let found = u32_at(&bytes, 8);
        if found != FORMAT_VERSION {
            // A flipped bit in the number must not send anybody looking for a newer program.
            let was_ours = {
                let mut ours = bytes;
                ours[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
                crc32c::crc32c(&ours[..60]) == u32_at(&ours, 60)
            };
            if found > FORMAT_VERSION && !was_ours {
                return Err(JournalError::Version { place: files.place(name), found, known: FORMAT_VERSION });
            }
            return Err(damaged(8, "the segment's format version is not what was written"));
        }
        if !checksum_matches {
            return Err(damaged(0, "the checksum of the segment's head does not match"));
        }
        let head = Self {
            kind,
            identity: u64_at(&bytes, 16),
            first: Position::new(u64_at(&bytes, 24)),
            follows: Position::new(u64_at(&bytes, 32)),
            epoch: Epoch::new(u64_at(&bytes, 40)),
            at: WallTime(u64_at(&bytes, 48) as i64),
            previous: u32_at(&bytes, 56),
        };
        if u32_at(&bytes, 12) != kind as u32 {
            return Err(damaged(12, "the segment is of another kind than its directory"));
        }
        if head.first != first {
            return Err(damaged(24, "the segment's first position is not the one it is named after"));
        }
        Ok(head)
    }
}

/// The file of the log's segment that begins at `first`.
pub(super) fn segment_name(first: Position) -> String {
    format!("{LOG_DIR}/{:020}.segment", first.get())
}

/// The position a file is named after, in a directory of files with this ending.
pub(super) fn named_position(file: &str, ending: &str) -> Option<Position> {
    let digits = file.strip_suffix(ending)?;
    (digits.len() == 20).then(|| digits.parse().ok().map(Position::new))?
}

/// Opens a file, or says which one failed.
pub(super) fn open(files: &dyn Files, name: &str) -> Result<Arc<dyn File>, JournalError> {
    files.open(name).map_err(failed("open", files, name))
}

/// What a failed operation on a file becomes.
pub(super) fn failed(
    operation: &'static str,
    files: &dyn Files,
    name: &str,
) -> impl FnOnce(io::Error) -> JournalError + use<> {
    let place = files.place(name);
    move |source| JournalError::Store { operation, place, source }
}
