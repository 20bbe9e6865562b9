//! Long lists of records, for snapshots and archives: cut into pages, each a row whose sum is chained to the one before.
//!
//! Records do not care where a page ends. A list counts for nothing by itself: what counts is the row that names it,
//! its number of pages and its last sum.

use crate::store::{Mode, Query, Store};
use capstan_ids::Position;
use capstan_journal::JournalError;
use std::collections::VecDeque;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// A list's name.
pub(crate) type Id = [u8; 16];

const PAGE_BYTES: usize = 256 << 10;
/// So many pages are one partition.
const SHELF_PAGES: i32 = 64;
const PAGES_A_READ: i32 = 8;

const WRITE: Query = Query {
    operation: "write a page",
    text: "INSERT INTO pages (log, id, shelf, page, sum, body) VALUES (?, ?, ?, ?, ?, ?)",
    mode: Mode::Write,
};
const READ: Query = Query {
    operation: "read pages",
    text: "SELECT page, sum, body FROM pages WHERE log = ? AND id = ? AND shelf = ? AND page >= ? LIMIT ?",
    mode: Mode::Read,
};
const FIRST: Query = Query {
    operation: "look for pages",
    text: "SELECT page FROM pages WHERE log = ? AND id = ? AND shelf = ? LIMIT 1",
    mode: Mode::Read,
};
const DELETE: Query = Query {
    operation: "delete pages",
    text: "DELETE FROM pages WHERE log = ? AND id = ? AND shelf = ?",
    mode: Mode::Write,
};

/// What a row has to say of a list to find and prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub id: Id,
    pub pages: i32,
    pub sum: [u8; 16],
}

/// Writes a list.
pub(crate) struct Writer<'a> {
    store: &'a Store,
    binding: Binding,
    buffer: Vec<u8>,
    /// How long the list is so far.
    pub bytes: u64,
}

impl<'a> Writer<'a> {
    pub fn new(store: &'a Store, id: Id) -> Self {
        let binding = Binding { id, pages: 0, sum: id };
        Self { store, binding, buffer: Vec::with_capacity(PAGE_BYTES), bytes: 0 }
    }

    pub async fn add(&mut self, record: &[u8]) -> Result<(), JournalError> {
        let length = u32::try_from(record.len()).expect("records are limited far below 4 GiB");
        self.put(&length.to_le_bytes()).await?;
        self.put(record).await
    }

    /// Ends the list; everything in it is on a quorum then.
    pub async fn finish(mut self) -> Result<(Binding, u64), JournalError> {
        if !self.buffer.is_empty() {
            self.turn().await?;
        }
        Ok((self.binding, self.bytes))
    }

    async fn put(&mut self, mut bytes: &[u8]) -> Result<(), JournalError> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = PAGE_BYTES - self.buffer.len();
            let (fits, rest) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(fits);
            bytes = rest;
            if self.buffer.len() == PAGE_BYTES {
                self.turn().await?;
            }
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), JournalError> {
        let Binding { id, pages, sum } = &mut self.binding;
        *sum = chained(sum, *pages, &self.buffer);
        let values = (&self.store.log, &id[..], *pages / SHELF_PAGES, *pages, &sum[..], &self.buffer);
        self.store.run(&WRITE, values).await?;
        *pages += 1;
        self.buffer.clear();
        Ok(())
    }
}

fn chained(before: &[u8; 16], page: i32, body: &[u8]) -> [u8; 16] {
    let mut sum = Xxh3::new();
    sum.update(before);
    sum.update(&page.to_le_bytes());
    sum.update(body);
    sum.digest128().to_le_bytes()
}

type Page = (i32, Option<Vec<u8>>, Option<Vec<u8>>);

/// Reads a list, each page proved before anything in it is answered.
pub(crate) struct Reader {
    store: Arc<Store>,
    binding: Binding,
    /// Whose damage it would be.
    position: Position,
    page: i32,
    sum: [u8; 16],
    read: VecDeque<Page>,
    buffer: Vec<u8>,
    taken: usize,
    failed: bool,
}

impl Reader {
    pub fn new(store: Arc<Store>, binding: Binding, position: Position) -> Self {
        let sum = binding.id;
        Self {
            store,
            binding,
            position,
            page: 0,
            sum,
            read: VecDeque::new(),
            buffer: Vec::new(),
            taken: 0,
            failed: false,
        }
    }

    /// The next record; none after the last.
    pub async fn record(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let Some(length) = self.take(4).await? else { return Ok(None) };
        let length = u32::from_le_bytes(length.try_into().expect("four bytes were asked for")) as usize;
        match self.take(length).await? {
            Some(record) => Ok(Some(record)),
            None => Err(self.damaged("it ends within a record")),
        }
    }

    /// So many bytes; none where the list has ended.
    async fn take(&mut self, count: usize) -> Result<Option<Vec<u8>>, JournalError> {
        while self.buffer.len() - self.taken < count {
            if self.page == self.binding.pages {
                return if self.buffer.len() > self.taken {
                    Err(self.damaged("it ends within a record"))
                } else if self.sum != self.binding.sum {
                    Err(self.damaged("its pages are not those that it was made of"))
                } else {
                    Ok(None)
                };
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            self.turn().await?;
        }
        let taken = self.buffer[self.taken..self.taken + count].to_vec();
        self.taken += count;
        Ok(Some(taken))
    }

    async fn turn(&mut self) -> Result<(), JournalError> {
        if self.read.is_empty() {
            let values = (&self.store.log, &self.binding.id[..], self.page / SHELF_PAGES, self.page, PAGES_A_READ);
            self.read = self.store.rows(&READ, values).await?.into();
        }
        let (page, sum, body) = self.read.pop_front().unwrap_or((-1, None, None));
        let body = body.unwrap_or_default();
        let proved = chained(&self.sum, self.page, &body);
        if page != self.page || sum.as_deref() != Some(&proved[..]) {
            return Err(self.damaged("it is missing or not what was written"));
        }
        (self.sum, self.page) = (proved, page + 1);
        self.buffer.extend_from_slice(&body);
        Ok(())
    }

    pub fn damaged(&self, what: &str) -> JournalError {
        JournalError::Damaged {
            position: self.position,
            place: format!("table pages, id 0x{}, of {}", hex(&self.binding.id), self.store.place),
            offset: self.page as u64 * PAGE_BYTES as u64,
            what: format!("page {}: {what}", self.page),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Vec<u8>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let store = Arc::clone(&self.store);
        let read = store.wait(self.record());
        self.failed = read.is_err();
        read.transpose()
    }
}

/// Deletes a list, also one whose length nobody knows: its pages were written in their order.
pub(crate) async fn delete(store: &Store, id: &[u8]) -> Result<(), JournalError> {
    let mut shelves = 0;
    while store.row::<(i32,)>(&FIRST, (&store.log, id, shelves)).await?.is_some() {
        shelves += 1;
    }
    // The last first: what an interrupted deletion leaves is still found from the beginning.
    for shelf in (0..shelves).rev() {
        store.run(&DELETE, (&store.log, id, shelf)).await?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
