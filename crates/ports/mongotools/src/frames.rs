//! Documents from a program's output, in slices of whole documents.

use bytes::{Bytes, BytesMut};
use capstan_endpoint::bson_frames::{FrameError, claimed_length, first_document};
use capstan_endpoint::{BATCH_BYTES, BATCH_DOCUMENTS};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Whole documents, back to back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub bytes: Bytes,
    pub documents: u32,
}

/// Why a stream gives no more documents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("its output ends inside a document, {left} bytes after the last whole one at byte {offset}")]
    CutShort { offset: u64, left: usize },
    #[error("its output is no BSON at byte {offset}: {reason}")]
    NoBson { offset: u64, reason: FrameError },
    #[error("its output cannot be read: {0}")]
    Unreadable(String),
}

/// Cuts a stream into runs of documents, checking every length and every terminator. Holds one run and a document.
pub(crate) struct Frames<R> {
    input: R,
    buffer: BytesMut,
    /// How much of the buffer is whole documents, and how many.
    whole: usize,
    documents: u32,
    ended: bool,
    offset: u64,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub fn new(input: R) -> Self {
        Self { input, buffer: BytesMut::new(), whole: 0, documents: 0, ended: false, offset: 0 }
    }

    /// Reads once. `Some` as soon as there is a run or the end; may be abandoned while it waits.
    pub async fn advance(&mut self) -> Result<Option<Option<Run>>, Broken> {
        self.walk()?;
        if self.is_full() || self.ended && self.documents > 0 {
            return Ok(Some(Some(self.take())));
        }
        if self.ended {
            let left = self.buffer.len();
            return if left == 0 { Ok(Some(None)) } else { Err(Broken::CutShort { offset: self.offset, left }) };
        }
        let next = claimed_length(&self.buffer[self.whole..]).ok().flatten().unwrap_or(0);
        self.buffer.reserve((self.whole + next).max(BATCH_BYTES) + 1 - self.buffer.len().min(self.whole + next));
        let read = self.input.read_buf(&mut self.buffer).await;
        self.ended = read.map_err(|error| Broken::Unreadable(error.to_string()))? == 0;
        Ok(None)
    }

    fn is_full(&self) -> bool {
        self.documents >= BATCH_DOCUMENTS || self.whole >= BATCH_BYTES
    }

    fn walk(&mut self) -> Result<(), Broken> {
        while !self.is_full() {
            match first_document(&self.buffer[self.whole..]) {
                Ok(document) => {
                    self.whole += document.len();
                    self.documents += 1;
                }
                Err(FrameError::Short { .. }) => break,
                Err(reason) => return Err(Broken::NoBson { offset: self.offset + self.whole as u64, reason }),
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Run {
        let documents = std::mem::take(&mut self.documents);
        let length = std::mem::take(&mut self.whole);
        self.offset += length as u64;
        Run { bytes: self.buffer.split_to(length).freeze(), documents }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_endpoint::conformance::fixtures;

    async fn runs(bytes: &[u8]) -> Result<Vec<Run>, Broken> {
        let (mut frames, mut runs) = (Frames::new(bytes), Vec::new());
        loop {
            match frames.advance().await? {
                None => {}
                Some(Some(run)) => runs.push(run),
                Some(None) => return Ok(runs),
            }
        }
    }

    #[tokio::test]
    async fn runs_hold_whole_documents_of_any_size_and_give_every_byte_once() {
        let mut documents = fixtures::numbered(2_500);
        documents.insert(1_200, fixtures::largest());
        let bytes = documents.concat();

        let runs = runs(&bytes).await.unwrap();

        assert_eq!(runs.iter().flat_map(|run| run.bytes.to_vec()).collect::<Vec<_>>(), bytes);
        assert_eq!(runs.iter().map(|run| run.documents).sum::<u32>(), 2_501);
        assert!(runs.iter().all(|run| run.documents <= BATCH_DOCUMENTS));
    }

    #[tokio::test]
    async fn a_stream_cut_inside_a_document_is_never_a_shorter_answer() {
        let bytes = fixtures::numbered(3).concat();
        let borders: Vec<usize> = fixtures::numbered(3)
            .iter()
            .scan(0, |at, document| {
                *at += document.len();
                Some(*at)
            })
            .collect();
        for cut in 0..bytes.len() {
            let answer = runs(&bytes[..cut]).await;
            assert_eq!(answer.is_ok(), cut == 0 || borders.contains(&cut), "cut at {cut}");
        }
        assert!(matches!(runs(&[4, 0, 0, 0, 0]).await, Err(Broken::NoBson { offset: 0, .. })));
    }
}
