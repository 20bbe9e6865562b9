//! What one append makes durable as a whole.

use capstan_ids::{Position, StreamName, WallTime};

/// A list of (stream, event), atomic as a whole, in one buffer: adding an event allocates nothing of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    at: WallTime,
    streams: Vec<StreamName>,
    /// For each event its stream's index and where its bytes end.
    marks: Vec<(u32, u32)>,
    bytes: Vec<u8>,
}

/// One event of a commit, as it is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The event's own position.
    pub position: Position,
    /// The stream it belongs to.
    pub stream: &'a StreamName,
    /// The event, as its core encoded it.
    pub event: &'a [u8],
}

/// How many of the names added last are looked at before a name is added again.
const STREAMS_LOOKED_BACK: usize = 16;

impl Commit {
    /// An empty commit, made at the wall time that its events will be shown with.
    pub fn new(at: WallTime) -> Self {
        Self { at, ..Self::default() }
    }

    /// When it was made.
    pub fn at(&self) -> WallTime {
        self.at
    }

    /// Empties it and sets when it was made; for a buffer that is used again.
    pub fn restart(&mut self, at: WallTime) {
        self.at = at;
        self.streams.clear();
        self.marks.clear();
        self.bytes.clear();
    }

    /// Adds an event of `stream`, which `encode` writes to the buffer's end.
    pub fn push(&mut self, stream: &StreamName, encode: impl FnOnce(&mut Vec<u8>)) {
        // The same stream mostly comes many times in a row. A name that comes again after many others is listed
        // twice: that costs its bytes, where a longer search would cost time on every event.
        let looked_at = self.streams.len().saturating_sub(STREAMS_LOOKED_BACK);
        let index = match self.streams[looked_at..].iter().rposition(|s| s == stream) {
            Some(index) => looked_at + index,
            None => {
                self.streams.push(stream.clone());
                self.streams.len() - 1
            }
        };
        encode(&mut self.bytes);
        let end = u32::try_from(self.bytes.len()).expect("adapters refuse commits far below 4 GiB");
        self.marks.push((index as u32, end));
    }

    /// How many events it holds; each takes one position.
    pub fn events(&self) -> u64 {
        self.marks.len() as u64
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// The size of its events in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Its events in order, the first standing at `first`.
    pub fn entries(&self, first: Position) -> impl Iterator<Item = Entry<'_>> {
        let mut start = 0;
        self.marks.iter().zip(first.get()..).map(move |(&(stream, end), position)| {
            let event = &self.bytes[start..end as usize];
            start = end as usize;
            Entry { position: Position::new(position), stream: &self.streams[stream as usize], event }
        })
    }

    pub(crate) fn parts(&self) -> (&[StreamName], &[(u32, u32)], &[u8]) {
        (&self.streams, &self.marks, &self.bytes)
    }

    /// The caller has checked that each mark names a stream, that the ends do not fall and that the last is the
    /// number of bytes.
    pub(crate) fn from_parts(at: WallTime, streams: Vec<StreamName>, marks: Vec<(u32, u32)>, bytes: Vec<u8>) -> Self {
        Self { at, streams, marks, bytes }
    }
}
