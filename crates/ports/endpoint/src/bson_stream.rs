//! Documents from a stream of bytes, in slices of whole documents.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;

use crate::bson_frames::{FrameError, claimed_length, first_document};
use crate::{BATCH_BYTES, BATCH_DOCUMENTS, EndpointError, Result};

/// Whole documents, back to back, and where they end in the stream.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub bytes: Bytes,
    pub documents: u32,
    /// The offset in the stream right after the last document.
    pub end: u64,
}

/// Cuts a stream into runs of documents, checking every length and every terminator.
///
/// Reads ahead by one buffer and copies only the piece of a document that a buffer ends with. A stream that ends
/// inside a document is an error, never a shorter answer.
pub(crate) struct DocumentStream<R> {
    input: R,
    place: String,
    /// Whole documents already found in a buffer that held more than one run.
    ready: Bytes,
    /// The beginning of the next document.
    carry: Vec<u8>,
    /// Offset in the stream of the first byte of `ready`, or of `carry` when nothing is ready.
    offset: u64,
    /// Documents in a run at most.
    pub documents_max: u32,
}

impl<R: Read> DocumentStream<R> {
    /// A stream whose first byte is the first of a document and lies at `offset` of the place.
    pub(crate) fn new(input: R, place: &Path, offset: u64) -> Self {
        let place = place.display().to_string();
        Self { input, place, ready: Bytes::new(), carry: Vec::new(), offset, documents_max: BATCH_DOCUMENTS }
    }

    /// What the stream reads from.
    pub(crate) fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// The next run, or `None` where the stream ends between two documents.
    pub(crate) fn next_run(&mut self) -> Result<Option<Run>> {
        if self.ready.is_empty() && !self.fill()? {
            return Ok(None);
        }
        let (mut length, mut documents) = (0, 0);
        while documents < self.documents_max && length < self.ready.len() {
            let document = first_document(&self.ready[length..]).expect("ready holds only documents that were checked");
            length += document.len();
            documents += 1;
        }
        let bytes = self.ready.split_to(length);
        self.offset += length as u64;
        Ok(Some(Run { bytes, documents, end: self.offset }))
    }

    /// Reads a buffer and keeps its whole documents ready. False at the end of the stream.
    fn fill(&mut self) -> Result<bool> {
        let mut buffer = std::mem::take(&mut self.carry);
        let mut wanted = BATCH_BYTES.max(claimed_length(&buffer).map_err(|e| self.damaged(0, e))?.unwrap_or(0));
        loop {
            buffer.reserve_exact(wanted - buffer.len());
            let missing = (wanted - buffer.len()) as u64;
            let read = (&mut self.input).take(missing).read_to_end(&mut buffer).map_err(|e| self.unreadable(e))?;
            let ended = (read as u64) < missing;
            let whole = self.whole_documents(&buffer)?;
            if whole > 0 {
                self.carry = buffer[whole..].to_vec();
                buffer.truncate(whole);
                self.ready = buffer.into();
                return Ok(true);
            }
            if ended {
                return if buffer.is_empty() { Ok(false) } else { Err(self.cut_short(&buffer)) };
            }
            // One document larger than the buffer.
            wanted = claimed_length(&buffer).map_err(|e| self.damaged(0, e))?.unwrap_or(wanted).max(wanted);
        }
    }

    /// How many bytes from the beginning are whole documents.
    fn whole_documents(&self, buffer: &[u8]) -> Result<usize> {
        let mut length = 0;
        loop {
            match first_document(&buffer[length..]) {
                Ok(document) => length += document.len(),
                Err(FrameError::Short { .. }) => return Ok(length),
                Err(broken) => return Err(self.damaged(length, broken)),
            }
        }
    }

    fn cut_short(&self, buffer: &[u8]) -> EndpointError {
        match first_document(buffer) {
            Err(FrameError::Short { expected, found }) if found < 4 => self.damaged(
                0,
                format!(
                    "{found} bytes are left where a document of at least {expected} bytes begins: the file is cut short"
                ),
            ),
            Err(FrameError::Short { expected, found }) => {
                self.damaged(0, format!("a document of {expected} bytes ends after {found}: the file is cut short"))
            }
            _ => self.damaged(0, "the file ends inside a document"),
        }
    }

    fn damaged(&self, ahead: usize, reason: impl ToString) -> EndpointError {
        EndpointError::damaged(&self.place, self.offset + ahead as u64, reason.to_string())
    }

    fn unreadable(&self, source: std::io::Error) -> EndpointError {
        unreadable(source, &self.place, self.offset)
    }
}

/// Sorts a failure of reading: compressed data that are cut short or broken are damage and not a passing failure.
pub(crate) fn unreadable(source: std::io::Error, place: &str, offset: u64) -> EndpointError {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match source.kind() {
        InvalidData | InvalidInput => {
            EndpointError::damaged(place, offset, format!("compressed data are broken: {source}"))
        }
        UnexpectedEof => EndpointError::damaged(place, offset, "compressed data are cut short"),
        _ => EndpointError::from_io(source, "reading", Path::new(place)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson_frames::{DOCUMENT_BYTES_MAX, walk};

    fn document(length: usize) -> Vec<u8> {
        let mut bytes = vec![1; length];
        bytes[..4].copy_from_slice(&i32::try_from(length).unwrap().to_le_bytes());
        bytes[length - 1] = 0;
        bytes
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<Run>> {
        let mut stream = DocumentStream::new(bytes, Path::new("a.bson"), 0);
        std::iter::from_fn(|| stream.next_run().transpose()).collect()
    }

    #[test]
    fn runs_hold_whole_documents_of_any_size_and_give_every_byte_once() {
        let bytes: Vec<u8> = [5, 100, BATCH_BYTES - 1, 7, BATCH_BYTES, BATCH_BYTES + 1, 5, DOCUMENT_BYTES_MAX, 9]
            .into_iter()
            .flat_map(document)
            .collect();

        let runs = read_all(&bytes).unwrap();

        assert_eq!(runs.iter().flat_map(|run| run.bytes.to_vec()).collect::<Vec<_>>(), bytes);
        assert_eq!(runs.iter().map(|run| run.documents).sum::<u32>(), 9);
        assert!(runs.iter().all(|run| walk(&run.bytes).map(<[u8]>::len).sum::<usize>() == run.bytes.len()));
        assert_eq!(runs.last().unwrap().end, bytes.len() as u64);
    }

    #[test]
    fn small_documents_are_counted_into_runs_of_at_most_a_thousand() {
        let bytes: Vec<u8> = (0..2_500).flat_map(|_| document(5)).collect();
        let runs = read_all(&bytes).unwrap();
        assert_eq!(runs.iter().map(|run| run.documents).collect::<Vec<_>>(), [1_000, 1_000, 500]);
    }

    #[test]
    fn a_stream_cut_at_any_byte_ends_at_a_boundary_or_is_refused_with_its_place() {
        let bytes: Vec<u8> = [10, 5, 30].into_iter().flat_map(document).collect();
        for cut in 0..bytes.len() {
            let answer = read_all(&bytes[..cut]);
            let boundary = [0, 10, 15].into_iter().rfind(|&at| at <= cut).unwrap();
            match answer {
                Ok(runs) => assert_eq!((cut, runs.iter().map(|run| run.bytes.len()).sum::<usize>()), (boundary, cut)),
                Err(EndpointError::Damaged { offset, .. }) => assert!(cut > boundary && offset <= boundary as u64),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_broken_length_is_refused_at_its_offset() {
        let mut bytes = [document(10), document(10)].concat();
        bytes[10] = 4;
        let EndpointError::Damaged { offset: 10, reason, .. } = read_all(&bytes).unwrap_err() else { panic!() };
        assert_eq!(reason, "a document length of 4 is outside 5 to 16793600");
    }
}
