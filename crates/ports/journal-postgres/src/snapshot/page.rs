//! Rows of a snapshot in pages: (length u32, row) one after the other, each page's sum begun with the one before it.

use crate::fault::Fault;
use crate::line::Line;
use crate::pages::{Shared, locked};
use crate::row::{damaged, table_of};
use capstan_ids::Position;
use capstan_journal::JournalError;
use std::collections::VecDeque;
use tokio_postgres::Row;

/// A page is full with so many bytes; a larger row is a page of its own.
pub(crate) const PAGE_BYTES: usize = 256 << 10;
/// So many bytes of pages are asked for at once.
const READ_BYTES: i64 = 4 << 20;

const READ: &str = "SELECT number, bytes, checksum FROM (SELECT *, \
    sum(octet_length(bytes)) OVER (ORDER BY number) AS weight FROM (SELECT * FROM snapshot_pages \
    WHERE snapshot = $1 AND number >= $2 ORDER BY number LIMIT 64) picked) weighed \
    WHERE weight <= $3::bigint ORDER BY number";

const WEIGH: &str = "SELECT octet_length(bytes)::bigint FROM snapshot_pages WHERE snapshot = $1 AND number = $2";

/// A page that is being filled.
#[derive(Default)]
pub(crate) struct Page {
    pub bytes: Vec<u8>,
    pub number: i64,
    /// Of the page before.
    pub chain: u32,
}

impl Page {
    pub fn add(&mut self, row: &[u8]) {
        let length = u32::try_from(row.len()).expect("rows are limited far below 4 GiB");
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(row);
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() >= PAGE_BYTES
    }

    pub fn checksum(&self, identity: i64, snapshot: i64) -> u32 {
        sum(identity, snapshot, self.number, self.chain, &self.bytes)
    }

    /// Goes on with the next page.
    pub fn turn(&mut self, checksum: u32) {
        self.bytes.clear();
        self.number += 1;
        self.chain = checksum;
    }
}

fn sum(identity: i64, snapshot: i64, number: i64, chain: u32, bytes: &[u8]) -> u32 {
    let head = [identity, snapshot, number, i64::from(chain)];
    let head = head.iter().fold(0, |sum, number| crc32c::crc32c_append(sum, &number.to_le_bytes()));
    crc32c::crc32c_append(head, bytes)
}

/// What a whole snapshot says of its rows.
pub(crate) struct Contents {
    pub snapshot: i64,
    pub position: Position,
    pub pages: i64,
    pub rows: i64,
    /// Of the last page.
    pub checksum: i64,
}

/// The rows of a snapshot, each page proved before its first row is given.
pub(crate) struct Pages {
    line: Shared,
    identity: i64,
    contents: Contents,
    ready: VecDeque<Row>,
    page: Vec<u8>,
    /// How much of the page was given.
    taken: usize,
    number: i64,
    chain: u32,
    rows: i64,
    over: bool,
}

impl Pages {
    pub fn new(line: Shared, identity: i64, contents: Contents) -> Self {
        let (ready, page) = (VecDeque::new(), Vec::new());
        Self { line, identity, contents, ready, page, taken: 0, number: 0, chain: 0, rows: 0, over: false }
    }

    fn row(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        while self.taken == self.page.len() {
            if self.number == self.contents.pages {
                return self.end();
            }
            self.turn()?;
        }
        let rest = &self.page[self.taken..];
        let row = rest.split_first_chunk().and_then(|(length, rest)| rest.get(..u32::from_le_bytes(*length) as usize));
        let Some(row) = row else { return Err(self.damaged("a row is longer than its page")) };
        self.taken += 4 + row.len();
        self.rows += 1;
        Ok(Some(row.to_vec()))
    }

    fn turn(&mut self) -> Result<(), JournalError> {
        if self.ready.is_empty() {
            let mut line = locked(&self.line);
            let place = line.server.place.clone();
            self.ready = self.fetch(&mut line).map_err(|fault| fault.told("read a snapshot", &place))?.into();
        }
        let page = self.ready.pop_front().filter(|page| page.get::<_, i64>(0) == self.number);
        let Some(page) = page else { return Err(self.damaged("a page is missing")) };
        self.page = page.get(1);
        self.taken = 0;
        let checksum = sum(self.identity, self.contents.snapshot, self.number, self.chain, &self.page);
        if i64::from(checksum) != page.get::<_, i64>(2) {
            return Err(self.damaged("a page's checksum is not that of what it holds"));
        }
        self.chain = checksum;
        self.number += 1;
        Ok(())
    }

    fn fetch(&self, line: &mut Line) -> Result<Vec<Row>, Fault> {
        let snapshot = &self.contents.snapshot;
        let rows = line.query(READ, &[snapshot, &self.number, &READ_BYTES])?;
        if !rows.is_empty() {
            return Ok(rows);
        }
        // It is missing, or a large row's: then it gets the time that it takes.
        let weight: i64 = line.query(WEIGH, &[snapshot, &self.number])?.first().map_or(READ_BYTES, |row| row.get(0));
        let bytes = usize::try_from(weight).expect("a row has less than 1 GiB");
        line.query_of(bytes, READ, &[snapshot, &self.number, &weight.max(READ_BYTES)])
    }

    fn end(&self) -> Result<Option<Vec<u8>>, JournalError> {
        if self.rows == self.contents.rows && i64::from(self.chain) == self.contents.checksum {
            return Ok(None);
        }
        let (rows, expected) = (self.rows, self.contents.rows);
        Err(self.damaged(&format!(
            "it has {rows} rows, not the {expected} that it was finished with, or not the same ones"
        )))
    }

    fn damaged(&self, what: &str) -> JournalError {
        let place = table_of(&locked(&self.line).server.place, "snapshot_pages");
        damaged(
            self.contents.position,
            place,
            format!("snapshot {}, page {}: {what}", self.contents.snapshot, self.number),
        )
    }
}

impl Iterator for Pages {
    type Item = Result<Vec<u8>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let row = self.row();
        self.over = !matches!(row, Ok(Some(_)));
        row.transpose()
    }
}
