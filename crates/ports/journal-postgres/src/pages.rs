//! Rows of commits a page at a time, over a line that others use between two pages.

use crate::fault::Fault;
use crate::line::Line;
use crate::row::{decode, number, table_of, unsigned};
use capstan_ids::Position;
use capstan_journal::{JournalError, Names, Recorded};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio_postgres::Row;

/// A page has at most so many bytes and 2,000 commits; a larger commit is a page of its own.
const PAGE_BYTES: i64 = 4 << 20;

macro_rules! page {
    ($last:literal, $table:literal, $which:literal) => {
        concat!(
            "SELECT position, epoch, at, events, bytes, checksum, ",
            $last,
            " FROM (SELECT *, sum(octet_length(bytes)) OVER (ORDER BY position) AS weight FROM (SELECT * FROM ",
            $table,
            " WHERE position >= $1 AND position < $2 ",
            $which,
            " ORDER BY position LIMIT 2000) picked) weighed WHERE weight <= $3::bigint ORDER BY position"
        )
    };
}

macro_rules! weigh {
    ($table:literal, $which:literal) => {
        concat!(
            "SELECT octet_length(bytes)::bigint FROM ",
            $table,
            " WHERE position >= $1 AND position < $2 ",
            $which,
            " ORDER BY position LIMIT 1"
        )
    };
}

const LOG: &str = page!("follows", "commits", "");
const LOG_NEXT: &str = weigh!("commits", "");
const ARCHIVE: &str = page!("position", "archive", "AND stream = $4");
const ARCHIVE_NEXT: &str = weigh!("archive", "AND stream = $3");

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
        self.at = recorded.position.plus(recorded.commit.events());
        Ok(Some((recorded, Position::new(unsigned(row.get(6))))))
    }

    fn turn(&mut self) -> Result<(), JournalError> {
        let mut line = locked(&self.line);
        let fetched = match self.fetch(&mut line, PAGE_BYTES) {
            // There is none, or it is larger than a page: then it gets the time that it takes.
            Ok(rows) if rows.is_empty() => self.weigh(&mut line).and_then(|weight| match weight {
                Some(weight) => self.fetch(&mut line, weight.max(PAGE_BYTES)),
                None => Ok(rows),
            }),
            fetched => fetched,
        };
        self.page = fetched.map_err(|fault| fault.told("read", &self.place))?.into();
        Ok(())
    }

    fn fetch(&self, line: &mut Line, weight: i64) -> Result<Vec<Row>, Fault> {
        let (at, until) = (number(self.at.get()), number(self.until.get()));
        let bytes = usize::try_from(weight).expect("a row has less than 1 GiB");
        match &self.stream {
            None => line.query_of(bytes, LOG, &[&at, &until, &weight]),
            Some(stream) => line.query_of(bytes, ARCHIVE, &[&at, &until, &weight, stream]),
        }
    }

    fn weigh(&self, line: &mut Line) -> Result<Option<i64>, Fault> {
        let (at, until) = (number(self.at.get()), number(self.until.get()));
        let next = match &self.stream {
            None => line.query(LOG_NEXT, &[&at, &until]),
            Some(stream) => line.query(ARCHIVE_NEXT, &[&at, &until, stream]),
        };
        Ok(next?.first().map(|row| row.get(0)))
    }
}
