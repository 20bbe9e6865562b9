//! A snapshot as it lies on the disk.
//!
//! ```text
//!  0  magic     "CAPSNAPS"
//!  8  version   u32   of the format
//! 12  length    u32   of this head
//! 16  position  u64   of the last event in it
//! 24  epoch     u64
//! 32  at        i64   wall time in microseconds
//! 40  stream    length u8, then the name
//!     checksum  u32   CRC-32C of the head so far
//!     rows, each: length u32, checksum u32, bytes
//!     end: 0xFFFFFFFF, checksum u32, number of rows u64; and nothing after it
//! ```
//!
//! Each checksum is begun with the one before it, so that a row is proved together with its place.

use crate::embedded::files::{File, Files};
use crate::embedded::frame::{u32_at, u64_at};
use crate::embedded::segment::failed;
use crate::{JournalError, SnapshotInfo};
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use std::sync::Arc;

pub(super) const SNAPSHOT_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"CAPSNAPS";
const END: u32 = u32::MAX;
const ROW_HEAD: usize = 8;
const READ_BYTES: usize = 1 << 20;

/// Adds the head of a snapshot to `into`; answers the checksum that the first row begins with.
pub(super) fn encode_head(into: &mut Vec<u8>, info: &SnapshotInfo) -> u32 {
    let start = into.len();
    let name = info.stream.as_str().as_bytes();
    let length = 41 + name.len() + 4;
    into.extend_from_slice(&MAGIC);
    into.extend_from_slice(&SNAPSHOT_VERSION.to_le_bytes());
    into.extend_from_slice(&(length as u32).to_le_bytes());
    into.extend_from_slice(&info.position.get().to_le_bytes());
    into.extend_from_slice(&info.epoch.get().to_le_bytes());
    into.extend_from_slice(&info.at.micros().to_le_bytes());
    into.push(name.len() as u8);
    into.extend_from_slice(name);
    let checksum = crc32c::crc32c(&into[start..]);
    into.extend_from_slice(&checksum.to_le_bytes());
    checksum
}

/// Adds a row; answers its checksum.
pub(super) fn encode_row(into: &mut Vec<u8>, chain: u32, row: &[u8]) -> u32 {
    let length = (row.len() as u32).to_le_bytes();
    let checksum = crc32c::crc32c_append(crc32c::crc32c_append(chain, &length), row);
    into.extend_from_slice(&length);
    into.extend_from_slice(&checksum.to_le_bytes());
    into.extend_from_slice(row);
    checksum
}

/// Adds the end of a snapshot of so many rows.
pub(super) fn encode_end(into: &mut Vec<u8>, chain: u32, rows: u64) {
    let rows = rows.to_le_bytes();
    into.extend_from_slice(&END.to_le_bytes());
    into.extend_from_slice(&crc32c::crc32c_append(chain, &rows).to_le_bytes());
    into.extend_from_slice(&rows);
}

/// Reads a snapshot row by row, and proves each.
#[derive(Debug)]
pub(super) struct SnapshotFile {
    file: Arc<dyn File>,
    info: SnapshotInfo,
    place: String,
    buffer: Vec<u8>,
    cursor: usize,
    filled: usize,
    base: u64,
    chain: u32,
    rows: u64,
    ended: bool,
}

impl SnapshotFile {
    pub fn open(files: &dyn Files, name: &str) -> Result<Self, JournalError> {
        let file = files.open(name).map_err(failed("open", files, name))?;
        let bytes = file.length().map_err(failed("measure", files, name))?;
        let stream = StreamName::new("unknown").expect("a plain word is a name");
        let info = SnapshotInfo { stream, position: Position::ZERO, epoch: Epoch::ZERO, at: WallTime(0), bytes };
        let place = files.place(name);
        let mut this = Self {
            file,
            info,
            place,
            buffer: Vec::new(),
            cursor: 0,
            filled: 0,
            base: 0,
            chain: 0,
            rows: 0,
            ended: false,
        };
        this.read_head()?;
        Ok(this)
    }

    pub fn info(&self) -> &SnapshotInfo {
        &self.info
    }

    /// The next row; none after the end record.
    pub fn row(&mut self) -> Result<Option<&[u8]>, JournalError> {
        if self.ended {
            return Ok(None);
        }
        let head = self.bytes(ROW_HEAD)?;
        let (length, checksum) = (u32_at(head, 0), u32_at(head, 4));
        if length == END {
            let rows = self.bytes(ROW_HEAD + 8)?[ROW_HEAD..].to_vec();
            if crc32c::crc32c_append(self.chain, &rows) != checksum {
                return Err(self.damaged("the end record's checksum does not match"));
            }
            if u64_at(&rows, 0) != self.rows {
                return Err(self.damaged("the end record counts other rows than there are"));
            }
            self.cursor += ROW_HEAD + 8;
            if self.base + self.cursor as u64 != self.info.bytes {
                return Err(self.damaged("the snapshot goes on behind its end"));
            }
            self.ended = true;
            return Ok(None);
        }
        let chain = crc32c::crc32c_append(self.chain, &length.to_le_bytes());
        let found = crc32c::crc32c_append(chain, &self.bytes(ROW_HEAD + length as usize)?[ROW_HEAD..]);
        if found != checksum {
            return Err(self.damaged("a row's checksum does not match"));
        }
        self.chain = checksum;
        self.rows += 1;
        let start = self.cursor + ROW_HEAD;
        self.cursor = start + length as usize;
        Ok(Some(&self.buffer[start..self.cursor]))
    }

    fn read_head(&mut self) -> Result<(), JournalError> {
        let start = self.bytes(16)?;
        if start[..8] != MAGIC {
            return Err(self.damaged("the snapshot does not begin with CAPSNAPS"));
        }
        let (version, length) = (u32_at(start, 8), u32_at(start, 12) as usize);
        if version > SNAPSHOT_VERSION {
            return Err(JournalError::Version { place: self.place.clone(), found: version, known: SNAPSHOT_VERSION });
        }
        if version != SNAPSHOT_VERSION || !(46..=41 + 255 + 4).contains(&length) {
            return Err(self.damaged("the snapshot's head is impossible"));
        }
        let head = self.bytes(length)?.to_vec();
        let (fields, checksum) = head.split_at(length - 4);
        if crc32c::crc32c(fields) != u32_at(checksum, 0) {
            return Err(self.damaged("the checksum of the snapshot's head does not match"));
        }
        let name = std::str::from_utf8(&fields[41..]).ok().and_then(|name| StreamName::new(name).ok());
        let Some(stream) = name else { return Err(self.damaged("the stream's name is not valid")) };
        self.info.stream = stream;
        self.info.position = Position::new(u64_at(fields, 16));
        self.info.epoch = Epoch::new(u64_at(fields, 24));
        self.info.at = WallTime(u64_at(fields, 32) as i64);
        self.chain = u32_at(checksum, 0);
        self.cursor += length;
        Ok(())
    }

    /// The next `wanted` bytes, without going past them.
    fn bytes(&mut self, wanted: usize) -> Result<&[u8], JournalError> {
        if self.filled - self.cursor < wanted {
            if self.base + (self.cursor + wanted) as u64 > self.info.bytes {
                return Err(self.damaged("the snapshot ends too early"));
            }
            self.buffer.copy_within(self.cursor..self.filled, 0);
            self.base += self.cursor as u64;
            self.filled -= self.cursor;
            self.cursor = 0;
            let room = (self.info.bytes - self.base).min(wanted.max(READ_BYTES) as u64) as usize;
            if self.buffer.len() < room {
                self.buffer.resize(room, 0);
            }
            let read = self.file.read_at(self.base + self.filled as u64, &mut self.buffer[self.filled..room]);
            self.filled += read.map_err(|source| JournalError::Store {
                operation: "read a snapshot",
                place: self.place.clone(),
                source,
            })?;
            if self.filled < wanted {
                return Err(self.damaged("the snapshot ends too early"));
            }
        }
        Ok(&self.buffer[self.cursor..self.cursor + wanted])
    }

    fn damaged(&self, what: &str) -> JournalError {
        JournalError::Damaged {
            position: self.info.position,
            place: self.place.clone(),
            offset: self.base + self.cursor as u64,
            what: what.to_owned(),
        }
    }
}

impl Iterator for SnapshotFile {
    type Item = Result<Vec<u8>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.row().map(|row| row.map(<[u8]>::to_vec));
        self.ended |= row.is_err();
        row.transpose()
    }
}
