//! How a part lies in its bytes. All numbers are little-endian.
//!
//! ```text
//! header   "CAPSPART"  version u16  compression u8  0 u8  name length u16  0 u16  name …  crc32c u32
//! block    "BLCK"  index u32  documents u32  raw length u32  stored length u32  xxh3 of the payload u64  crc32c u32
//!          payload …
//! end      "DONE"  blocks u32  documents u64  raw bytes u64  offset of this record u64  crc32c u32
//! ```
//!
//! Each record proves itself by a CRC before any of its lengths is believed, each payload by an XXH3-64. The name in the
//! header tells an exchanged part, the index a repeated or lost block. Nothing follows the end record. A payload as long
//! as its raw length is stored as it is.

use crate::name::PartName;

/// How much a block gathers before it is compressed.
pub const BLOCK_BYTES: usize = 1 << 20;
/// The most one batch, and so one block, may hold: three documents of MongoDB's limit of 16 MiB, and what lies around them.
pub const BATCH_BYTES_MAX: usize = 64 << 20;
/// The most one part may hold in raw documents; any object store takes that much in one put.
pub const PART_BYTES_MAX: u64 = 4 << 30;

pub(crate) const MAGIC: [u8; 8] = *b"CAPSPART";
pub(crate) const VERSION: u16 = 1;
pub(crate) const PRELUDE_BYTES: usize = 16;
pub(crate) const BLOCK_KIND: [u8; 4] = *b"BLCK";
pub(crate) const BLOCK_HEAD_BYTES: usize = 32;
pub(crate) const END_KIND: [u8; 4] = *b"DONE";
pub(crate) const END_BYTES: usize = 36;

/// How a part's blocks are compressed.
///
/// Level 1 of Zstandard is the default because it is faster than none: of real collections (restaurants, countries,
/// profiles, grades; 257 MB a part, 2 cores, one disk, 2026-11-23) it wrote 480 to 495 MB/s against 277 to 374, read
/// 1,250 to 1,300 MB/s against 331 to 356, and took a sixth of the room. Level 3 saved 5 % more room at 390 to 420 MB/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// Zstandard at a level from 1 to 19.
    Zstd(u8),
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd(1)
    }
}

impl Compression {
    /// What the header says; the level is the writer's own business.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Zstd(_) => 1,
        }
    }
}

/// What stands in front of a block's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub index: u32,
    pub documents: u32,
    pub raw: u32,
    pub stored: u32,
    pub payload_sum: u64,
}

/// What stands at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub blocks: u32,
    pub documents: u64,
    pub raw: u64,
    pub offset: u64,
}

pub(crate) fn header(compression: Compression, name: &PartName) -> Vec<u8> {
    let name = name.to_string();
    let mut out = Vec::with_capacity(PRELUDE_BYTES + name.len() + 4);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[compression.code(), 0]);
    out.extend_from_slice(&(name.len() as u16).to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(name.as_bytes());
    seal(&mut out);
    out
}

impl BlockHead {
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_HEAD_BYTES);
        out.extend_from_slice(&BLOCK_KIND);
        for number in [self.index, self.documents, self.raw, self.stored] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.payload_sum.to_le_bytes());
        seal(&mut out);
        out
    }

    /// Reads a head whose CRC was proved.
    pub fn from_bytes(bytes: &[u8; BLOCK_HEAD_BYTES]) -> Self {
        Self {
            index: u32_at(bytes, 4),
            documents: u32_at(bytes, 8),
            raw: u32_at(bytes, 12),
            stored: u32_at(bytes, 16),
            payload_sum: u64_at(bytes, 20),
        }
    }
}

impl End {
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(END_BYTES);
        out.extend_from_slice(&END_KIND);
        out.extend_from_slice(&self.blocks.to_le_bytes());
        for number in [self.documents, self.raw, self.offset] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        seal(&mut out);
        out
    }

    /// Reads an end whose CRC was proved.
    pub fn from_bytes(bytes: &[u8; END_BYTES]) -> Self {
        Self {
            blocks: u32_at(bytes, 4),
            documents: u64_at(bytes, 8),
            raw: u64_at(bytes, 16),
            offset: u64_at(bytes, 24),
        }
    }
}

/// Puts the CRC of a record behind it.
fn seal(record: &mut Vec<u8>) {
    let crc = crc32c::crc32c(record);
    record.extend_from_slice(&crc.to_le_bytes());
}

/// Whether a record ends in the CRC of what is before it.
pub(crate) fn is_sealed(record: &[u8]) -> bool {
    record.split_last_chunk().is_some_and(|(body, crc)| crc32c::crc32c(body) == u32::from_le_bytes(*crc))
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
