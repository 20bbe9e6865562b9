//! One append as it lies in a segment.
//!
//! ```text
//!  0  checksum  u32   CRC-32C of everything after it, begun with the journal's identity
//!  4  magic     "CapF"
//!  8  length    u32   of the whole frame, a multiple of 8
//! 12  previous  u32   the checksum of the frame before
//! 16  position  u64   of its first event
//! 24  mark      u64   everything below this position was durable when this was written
//! 32  epoch     u64
//! 40  at        i64   wall time in microseconds
//! 48  kind      u8    1 commit, 2 mark, 3 seal; then three zeros
//! 52  events    u32
//! 56  the encoded commit, and zeros up to the length
//! ```
//!
//! All numbers are little-endian. A frame proves itself by its checksum, and its place by `previous`: so a whole frame
//! behind a broken one is recognised, and a whole frame behind a rewritten one is not taken for its successor.

use crate::commit::Commit;
use crate::encoding::{Names, Undecodable};
use capstan_ids::{Epoch, Position, WallTime};

pub(super) const FRAME_HEAD: usize = 56;
pub(super) const FRAME_ALIGNMENT: usize = 8;
pub(super) const FRAME_MAGIC: [u8; 4] = *b"CapF";

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// Holds a commit.
    Commit = 1,
    /// Says that everything before it is durable.
    Mark = 2,
    /// Ends a segment: another follows.
    Seal = 3,
}

/// What is known of a frame before its commit is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub kind: FrameKind,
    pub previous: u32,
    pub position: Position,
    pub mark: Position,
    pub epoch: Epoch,
    pub at: WallTime,
    pub events: u32,
}

/// A whole frame in a read buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub head: FrameHead,
    pub checksum: u32,
    bytes: &'a [u8],
}

/// What the checksums of a journal begin with, so that another journal's frames inside an event are never taken for
/// its own.
pub(super) fn seed(identity: u64) -> u32 {
    crc32c::crc32c(&identity.to_le_bytes())
}

/// Writes a frame into `buffer`, which is emptied first; answers its checksum.
pub(super) fn encode(buffer: &mut Vec<u8>, seed: u32, head: &FrameHead, commit: Option<&Commit>) -> u32 {
    buffer.clear();
    add(buffer, seed, head, commit)
}

/// Writes a frame behind those that are in `buffer` already; answers its checksum.
pub(super) fn add(buffer: &mut Vec<u8>, seed: u32, head: &FrameHead, commit: Option<&Commit>) -> u32 {
    let begins = buffer.len();
    buffer.resize(begins + FRAME_HEAD, 0);
    if let Some(commit) = commit {
        commit.encode(buffer);
    }
    buffer.resize(buffer.len().next_multiple_of(FRAME_ALIGNMENT), 0);
    let buffer = &mut buffer[begins..];
    let length = u32::try_from(buffer.len()).expect("commits are limited far below 4 GiB");
    buffer[4..8].copy_from_slice(&FRAME_MAGIC);
    buffer[8..12].copy_from_slice(&length.to_le_bytes());
    buffer[12..16].copy_from_slice(&head.previous.to_le_bytes());
    buffer[16..24].copy_from_slice(&head.position.get().to_le_bytes());
    buffer[24..32].copy_from_slice(&head.mark.get().to_le_bytes());
    buffer[32..40].copy_from_slice(&head.epoch.get().to_le_bytes());
    buffer[40..48].copy_from_slice(&head.at.micros().to_le_bytes());
    buffer[48] = head.kind as u8;
    buffer[52..56].copy_from_slice(&head.events.to_le_bytes());
    let checksum = crc32c::crc32c_append(seed, &buffer[4..]);
    buffer[..4].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// The length that the head of a frame claims, or why this is none.
pub(super) fn claimed_length(head: &[u8]) -> Result<usize, &'static str> {
    if head[4..8] != FRAME_MAGIC {
        return Err("no frame begins here");
    }
    let length = u32_at(head, 8) as usize;
    if length < FRAME_HEAD || !length.is_multiple_of(FRAME_ALIGNMENT) {
        return Err("a frame's length is impossible");
    }
    Ok(length)
}

impl<'a> Frame<'a> {
    /// Checks the bytes of one frame.
    pub fn check(bytes: &'a [u8], seed: u32) -> Result<Self, &'static str> {
        let checksum = u32_at(bytes, 0);
        if crc32c::crc32c_append(seed, &bytes[4..]) != checksum {
            return Err("a frame's checksum does not match");
        }
        let kind = match bytes[48] {
            1 => FrameKind::Commit,
            2 => FrameKind::Mark,
            3 => FrameKind::Seal,
            _ => return Err("a frame's kind is unknown"),
        };
        let head = FrameHead {
            kind,
            previous: u32_at(bytes, 12),
            position: Position::new(u64_at(bytes, 16)),
            mark: Position::new(u64_at(bytes, 24)),
            epoch: Epoch::new(u64_at(bytes, 32)),
            at: WallTime(u64_at(bytes, 40) as i64),
            events: u32_at(bytes, 52),
        };
        Ok(Self { head, checksum, bytes })
    }

    /// Its commit.
    pub fn commit(&self, names: &mut Names) -> Result<Commit, Undecodable> {
        Ok(Commit::decode(self.head.at, &self.bytes[FRAME_HEAD..], names)?.0)
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
