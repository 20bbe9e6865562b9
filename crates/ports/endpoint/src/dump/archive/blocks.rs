//! The stream of an archive, item by item.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use bson::RawDocument;

use crate::bson_frames::{DOCUMENT_BYTES_MAX, claimed_length};
use crate::bson_stream::unreadable;
use crate::dump::archive::TERMINATOR;
use crate::{EndpointError, Namespace, Result};

/// Bytes read at a time.
const BUFFER_BYTES: usize = 512 << 10;

/// What comes next in the blocks of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A block of this collection begins.
    Begin(Namespace),
    /// A document of the block was appended to the buffer.
    Document,
    /// A collection has ended; the CRC-64 of all its documents.
    Ended { namespace: Namespace, checksum: u64 },
    /// The archive ends between two blocks.
    End,
}

/// Reads an archive and knows where it is.
pub(crate) struct Blocks<R> {
    input: BufReader<R>,
    place: String,
    position: u64,
    in_block: bool,
    scratch: Vec<u8>,
}

/// One thing in the stream, below blocks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// Appended to the buffer.
    Document,
    Terminator,
    End,
}

impl<R: Read> Blocks<R> {
    /// Begins at a byte of the archive, in a block or between two.
    pub(crate) fn new(input: R, path: &Path, position: u64, in_block: bool) -> Self {
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Self { input, place: path.display().to_string(), position, in_block, scratch: Vec::new() }
    }

    /// The offset of what comes next.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// What comes next in the blocks. A document is appended to `buffer`.
    pub(crate) fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Event> {
        if self.in_block {
            match self.item(buffer)? {
                Item::Document => return Ok(Event::Document),
                Item::Terminator => self.in_block = false,
                Item::End => return Err(self.damaged("the archive is cut short: it ends inside a block")),
            }
        }
        let at = self.position;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let event = match self.item(&mut scratch)? {
            Item::End => return Ok(Event::End),
            Item::Terminator => return Err(EndpointError::damaged(&self.place, at, "a block ends that never began")),
            Item::Document => self.header(&scratch, at)?,
        };
        if let Event::Begin(_) = event {
            self.in_block = true;
        } else if self.item(&mut scratch)? != Item::Terminator {
            return Err(self.damaged("a terminator is expected after the end of a collection"));
        }
        self.scratch = scratch;
        Ok(event)
    }

    /// The next document, terminator or end.
    pub(crate) fn item(&mut self, buffer: &mut Vec<u8>) -> Result<Item> {
        let start = buffer.len();
        let at = self.position;
        self.append(buffer, 4)?;
        let Some(head) = buffer[start..].first_chunk::<4>() else {
            let found = buffer.len() - start;
            let reason = format!("the archive is cut short: {found} bytes are left where 4 are expected");
            return if found == 0 { Ok(Item::End) } else { Err(EndpointError::damaged(&self.place, at, reason)) };
        };
        if u32::from_le_bytes(*head) == TERMINATOR {
            buffer.truncate(start);
            return Ok(Item::Terminator);
        }
        let damaged = |reason: String| EndpointError::damaged(&self.place, at, reason);
        let length = claimed_length(head).map_err(|e| damaged(format!("neither a terminator nor a document: {e}")))?;
        let length = length.expect("four bytes are there");
        debug_assert!(length <= DOCUMENT_BYTES_MAX);
        self.append(buffer, length - 4)?;
        let found = buffer.len() - start;
        if found < length {
            let reason = format!("the archive is cut short: a document of {length} bytes ends after {found}");
            return Err(EndpointError::damaged(&self.place, at, reason));
        }
        if buffer[start + length - 1] != 0 {
            let reason = format!("a document of {length} bytes does not end with zero");
            return Err(EndpointError::damaged(&self.place, at, reason));
        }
        Ok(Item::Document)
    }

    /// Appends so many bytes, fewer only at the end of the input.
    fn append(&mut self, buffer: &mut Vec<u8>, mut wanted: usize) -> Result<()> {
        while wanted > 0 {
            let available = self.input.fill_buf().map_err(|e| unreadable(e, &self.place, self.position))?;
            if available.is_empty() {
                break;
            }
            let taken = available.len().min(wanted);
            buffer.extend_from_slice(&available[..taken]);
            self.input.consume(taken);
            self.position += taken as u64;
            wanted -= taken;
        }
        Ok(())
    }

    fn header(&self, bytes: &[u8], at: u64) -> Result<Event> {
        let damaged =
            |reason: String| EndpointError::damaged(&self.place, at, format!("not a namespace header: {reason}"));
        let document = valid_document(bytes).map_err(damaged)?;
        let text = |name| document.get_str(name).map_err(|e| damaged(e.to_string()));
        let namespace = Namespace::new(text("db")?, text("collection")?);
        let ended = document.get_bool("EOF").map_err(|e| damaged(e.to_string()))?;
        let checksum = document.get_i64("CRC").map_err(|e| damaged(e.to_string()))?;
        match ended {
            false => Ok(Event::Begin(namespace)),
            true => Ok(Event::Ended { namespace, checksum: checksum.cast_unsigned() }),
        }
    }

    fn damaged(&self, reason: &str) -> EndpointError {
        EndpointError::damaged(&self.place, self.position, reason)
    }
}

/// A document of which every element is valid: one whose length was damaged may swallow what follows and look right
/// at its beginning.
pub(crate) fn valid_document(bytes: &[u8]) -> Result<&RawDocument, String> {
    let document = RawDocument::from_bytes(bytes).map_err(|e| e.to_string())?;
    document.iter().try_for_each(|element| element.map(drop)).map_err(|e| e.to_string())?;
    Ok(document)
}
