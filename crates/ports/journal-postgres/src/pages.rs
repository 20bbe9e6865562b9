//! Rows of commits a page at a time, over a line that others use between two pages.

use crate::fault::Fault;
use crate::line::Line;
use crate::row::{decode, number, table_of, unsigned};
use capstan_ids::Position;
use capstan_journal::{JournalError, Names, Recorded};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio_postgres::Row;

/// A page ends with the commit that brings it to so many bytes, or with so many commits.
const PAGE_BYTES: i64 = 4 << 20;
macro_rules! page {
    ($columns:literal, $table:literal, $which:literal) => {
        concat!(
            "SELECT position, epoch, at, events, bytes, checksum, ",
            $columns,
            " FROM (SELECT *, \
             sum(octet_length(bytes)) OVER (ORDER BY position) - octet_length(bytes) AS before \
             FROM (SELECT * FROM ",
            $table,
            " WHERE position >= $1 AND position < $2 ",
            $which,
            " ORDER BY position LIMIT 2000) picked) weighed WHERE before < $3::bigint ORDER BY position"
        )
    };
}

const LOG: &str = page!("follows", "commits", "");
const ARCHIVE: &str = page!("position", "archive", "AND stream = $4");

/// A line that readers share.
pub(crate) type Shared = Arc<Mutex<Line>>;

pub(crate) fn locked(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    // Whoever panicked while it held the line left it between two calls at worst: a late answer is never taken for
    // another's, for a line that was left within a call is given up with its connection.
    line.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The commits of a table from a position up to another.
pub(crate) struct Pages {
    line: Shared,
    place: String,
    identity: i64,
    /// Of the archive's streams this one; none for the log.
    stream: Option<String>,
    at: Position,
    until: Position,
    page: VecDeque<Row>,
    names: Names,
}

impl Pages {
    pub fn new(line: Shared, identity: i64, stream: Option<String>, at: Position, until: Position) -> Self {
        let place = locked(&line).server.place.clone();
        Self { line, place, identity, stream, at, until, page: VecDeque::new(), names: Names::default() }
    }

    /// The next commit, and where it says that the one before it ended.
    pub fn next(&mut self) -> Result<Option<(Recorded, Position)>, JournalError> {
        if self.page.is_empty() && self.at < self.until {
            self.turn()?;
        }
        let Some(row) = self.page.pop_front() else { return Ok(None) };
        let place = &self.place;
        let table = if self.stream.is_some() { "archive" } else { "commits" };
        let recorded = decode(&row, self.identity, &mut self.names, &|| table_of(place, table))?;
        self.at = recorded.position.plus(1);
        Ok(Some((recorded, Position::new(unsigned(row.get(6))))))
    }

    fn turn(&mut self) -> Result<(), JournalError> {
        let (at, until) = (number(self.at.get()), number(self.until.get()));
        let mut line = locked(&self.line);
        let rows = match &self.stream {
            None => line.query(LOG, &[&at, &until, &PAGE_BYTES]),
            Some(stream) => line.query(ARCHIVE, &[&at, &until, &PAGE_BYTES, stream]),
        };
        self.page = rows.map_err(|fault: Fault| fault.told("read", &self.place))?.into();
        Ok(())
    }
}
