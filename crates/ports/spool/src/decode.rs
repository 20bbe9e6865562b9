//! Reads the bytes of a part back, and believes nothing that is not proved.

use crate::error::SpoolError;
use crate::facts::PartFacts;
use crate::format::{
    BATCH_BYTES_MAX, BLOCK_HEAD_BYTES, BLOCK_KIND, BlockHead, END_BYTES, END_KIND, End, MAGIC, PRELUDE_BYTES, VERSION,
    is_sealed, u16_at,
};
use crate::port::Block;
use bytes::Bytes;
use std::io::{self, Read};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Reads one part from `R`, block by block.
pub(crate) struct Decoder<R> {
    read: R,
    place: String,
    facts: PartFacts,
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
    sum: Xxh3,
    offset: u64,
    blocks: u32,
    documents: u64,
    bytes: u64,
    packed: Vec<u8>,
    done: bool,
}

impl<R: Read> Decoder<R> {
    /// Proves the header.
    pub fn begin(read: R, place: String, facts: PartFacts) -> Result<Self, SpoolError> {
        let mut part = Self {
            read,
            place,
            facts,
            decompressor: None,
            sum: Xxh3::new(),
            offset: 0,
            blocks: 0,
            documents: 0,
            bytes: 0,
            packed: Vec::new(),
            done: false,
        };
        part.header()?;
        Ok(part)
    }

    fn header(&mut self) -> Result<(), SpoolError> {
        let mut header = vec![0; PRELUDE_BYTES];
        self.fill(&mut header)?;
        if header[..8] != MAGIC {
            return Err(self.damaged(0, "a part's first bytes expected, others found"));
        }
        let name_bytes = usize::from(u16_at(&header, 12));
        header.resize(PRELUDE_BYTES + name_bytes + 4, 0);
        self.fill(&mut header[PRELUDE_BYTES..])?;
        if !is_sealed(&header) {
            return Err(self.damaged(0, "the header does not match its checksum"));
        }
        let version = u16_at(&header, 8);
        if version != VERSION {
            let (part, place) = (self.facts.name.clone(), self.place.clone());
            return Err(SpoolError::Version { part, place, found: version, known: VERSION });
        }
        let name = &header[PRELUDE_BYTES..PRELUDE_BYTES + name_bytes];
        if name != self.facts.name.to_string().as_bytes() {
            let what = format!("it calls itself {}", String::from_utf8_lossy(name));
            return Err(self.damaged(PRELUDE_BYTES as u64, what));
        }
        self.decompressor = match header[10] {
            0 => None,
            1 => Some(
                zstd::bulk::Decompressor::new()
                    .map_err(|e| SpoolError::io("start decompressing", self.place.clone(), e))?,
            ),
            other => return Err(self.damaged(10, format!("compression 0 or 1 expected, {other} found"))),
        };
        Ok(())
    }

    /// The next block, or `None` once the whole part was proved.
    pub fn next(&mut self) -> Result<Option<Block>, SpoolError> {
        if self.done {
            return Ok(None);
        }
        let at = self.offset;
        let mut kind = [0; 4];
        self.fill(&mut kind)?;
        match kind {
            BLOCK_KIND => self.block(at).map(Some),
            END_KIND => {
                self.end(at)?;
                self.done = true;
                Ok(None)
            }
            other => Err(self.damaged(at, format!("a block or the end expected, {other:02x?} found"))),
        }
    }

    fn block(&mut self, at: u64) -> Result<Block, SpoolError> {
        let head = BlockHead::from_bytes(&self.record(at, BLOCK_KIND)?);
        if head.index != self.blocks {
            return Err(self.damaged(at, format!("block {} expected, block {} found", self.blocks, head.index)));
        }
        if head.raw as usize > BATCH_BYTES_MAX || head.stored > head.raw {
            return Err(self.damaged(at, format!("a block of {} bytes stored as {}", head.raw, head.stored)));
        }
        let mut packed = std::mem::take(&mut self.packed);
        packed.resize(head.stored as usize, 0);
        self.fill(&mut packed)?;
        if xxh3_64(&packed) != head.payload_sum {
            return Err(self.damaged(at, format!("block {} does not match its checksum", head.index)));
        }
        let bytes = if head.stored == head.raw {
            Bytes::from(packed)
        } else {
            let raw = self.unpack(at, &packed, head)?;
            self.packed = packed;
            raw
        };
        self.blocks += 1;
        self.documents += u64::from(head.documents);
        self.bytes += u64::from(head.raw);
        Ok(Block { documents: head.documents, bytes })
    }

    fn unpack(&mut self, at: u64, packed: &[u8], head: BlockHead) -> Result<Bytes, SpoolError> {
        let Some(decompressor) = &mut self.decompressor else {
            return Err(self.damaged(at, format!("block {} is compressed in a part that is not", head.index)));
        };
        let mut raw = Vec::with_capacity(head.raw as usize);
        match decompressor.decompress_to_buffer(packed, &mut raw) {
            Ok(length) if length == head.raw as usize => Ok(Bytes::from(raw)),
            Ok(length) => {
                Err(self.damaged(at, format!("block {} unpacks to {length} bytes, not {}", head.index, head.raw)))
            }
            Err(error) => Err(self.damaged(at, format!("block {} does not unpack: {error}", head.index))),
        }
    }

    fn end(&mut self, at: u64) -> Result<(), SpoolError> {
        let end = End::from_bytes(&self.record(at, END_KIND)?);
        let seen = End { blocks: self.blocks, documents: self.documents, raw: self.bytes, offset: at };
        if end != seen {
            return Err(self.damaged(at, format!("the end record says {end:?}, the part has {seen:?}")));
        }
        let mut more = [0];
        let behind = self.read.read(&mut more).map_err(|e| SpoolError::io("read a part", self.place.clone(), e))?;
        if behind != 0 {
            return Err(self.damaged(self.offset, "the end expected, more bytes found"));
        }
        let facts = &self.facts;
        let expected = (facts.documents, facts.bytes, facts.blocks, facts.stored_bytes, facts.checksum.0);
        let found = (self.documents, self.bytes, self.blocks, self.offset, self.sum.digest());
        if found != expected {
            let what =
                format!("documents, bytes, blocks, stored bytes and checksum {expected:x?} expected, {found:x?} found");
            return Err(self.damaged(0, what));
        }
        Ok(())
    }

    /// The record at `at`, whose kind was read, once its CRC is proved.
    fn record<const N: usize>(&mut self, at: u64, kind: [u8; 4]) -> Result<[u8; N], SpoolError> {
        let mut record = [0; N];
        record[..4].copy_from_slice(&kind);
        self.fill(&mut record[4..])?;
        if is_sealed(&record) { Ok(record) } else { Err(self.damaged(at, "a record does not match its checksum")) }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), SpoolError> {
        self.read.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                self.damaged(self.offset, format!("{} more bytes expected, the end found", bytes.len()))
            }
            _ => SpoolError::io("read a part", self.place.clone(), error),
        })?;
        self.sum.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn damaged(&self, offset: u64, what: impl Into<String>) -> SpoolError {
        SpoolError::Damaged { part: self.facts.name.clone(), place: self.place.clone(), offset, what: what.into() }
    }
}

const _: () = assert!(BLOCK_HEAD_BYTES == 32 && END_BYTES == 36, "the records' sizes are part of the format");
