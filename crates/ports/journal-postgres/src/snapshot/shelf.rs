//! Which snapshots there are, and which are being written.

use super::page::{Contents, Pages};
use super::writer::{self, Title, Writing};
use crate::fault::Fault;
use crate::line::{Line, Server};
use crate::pages::{Shared, locked};
use crate::row::{damaged, number, table_of, unsigned};
use crate::schema::drawn;
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{JournalError, SnapshotInfo, SnapshotWriter};
use std::io;
use std::sync::Arc;

// One that is ahead of the log belongs to commits that are no more.
const WHOLE: &str = "SELECT DISTINCT ON (stream COLLATE \"C\", position) stream, position, epoch, at, bytes FROM snapshots \
    WHERE state = 1 AND position < (SELECT next FROM head) ORDER BY stream COLLATE \"C\", position DESC, id";
const CONTENTS: &str =
    "SELECT id, pages, rows, checksum FROM snapshots WHERE stream = $1 AND position = $2 AND state = 1 ORDER BY id";
const DROP: &str = "UPDATE snapshots SET state = 2 WHERE stream = $1 AND position = $2 AND state = 1 \
    AND EXISTS (SELECT 1 FROM head WHERE head.epoch <= $3)";

/// All snapshots of a journal.
pub(crate) struct Shelf {
    server: Arc<Server>,
    identity: i64,
    writing: Vec<Writing>,
    backlog_max: usize,
}

impl Shelf {
    pub fn new(server: Arc<Server>, identity: i64, backlog_max: usize) -> Self {
        Self { server, identity, writing: Vec::new(), backlog_max }
    }

    /// From now on everything is summed under another identity.
    pub fn become_another(&mut self, identity: i64) {
        self.identity = identity;
    }

    /// Begins to write a snapshot; whoever begins one must lead.
    pub fn begin(&mut self, info: SnapshotInfo) -> io::Result<Box<dyn SnapshotWriter>> {
        self.write(info, false)
    }

    /// Begins to write one that a restore brings, whatever the head says.
    pub fn adopt(&mut self, info: SnapshotInfo) -> io::Result<Box<dyn SnapshotWriter>> {
        self.write(info, true)
    }

    fn write(&mut self, info: SnapshotInfo, is_adopted: bool) -> io::Result<Box<dyn SnapshotWriter>> {
        self.writing.retain(Writing::is_running);
        let id = drawn();
        let beside = self.writing.iter().map(|writing| writing.id).collect();
        let title = Title { id, identity: self.identity, info, is_adopted, beside };
        let (pen, writing) = writer::begin(Arc::clone(&self.server), title, self.backlog_max)?;
        self.writing.push(writing);
        Ok(Box::new(pen))
    }

    /// The rows of one snapshot.
    pub fn rows(&self, line: &Shared, info: &SnapshotInfo) -> Result<Pages, JournalError> {
        let found = locked(line).query(CONTENTS, &[&info.stream.as_str(), &number(info.position.get())]);
        let found = found.map_err(|fault| fault.told("read a snapshot", &self.server.place))?;
        let Some(row) = found.first() else {
            let text = format!("there is no snapshot of {} at position {} any more", info.stream, info.position);
            let source = io::Error::new(io::ErrorKind::NotFound, text);
            let place = table_of(&self.server.place, "snapshots");
            return Err(JournalError::Store { operation: "read a snapshot", place, source });
        };
        let contents = Contents {
            snapshot: row.get(0),
            position: info.position,
            pages: row.get(1),
            rows: row.get(2),
            checksum: row.get(3),
        };
        Ok(Pages::new(line.clone(), self.identity, contents))
    }

    /// Drops one snapshot; its rows go when the next one is written.
    pub fn remove(&self, line: &mut Line, info: &SnapshotInfo, epoch: Option<Epoch>) -> Result<(), Fault> {
        let epoch = epoch.map_or(i64::MAX, |epoch| number(epoch.get()));
        line.execute(0, DROP, &[&info.stream.as_str(), &number(info.position.get()), &epoch]).map(drop)
    }
}

/// Every whole snapshot, newest first within a stream.
pub(crate) fn whole(line: &Shared) -> Result<Vec<SnapshotInfo>, JournalError> {
    let mut line = locked(line);
    let place = line.server.place.clone();
    let rows = line.query(WHOLE, &[]).map_err(|fault| fault.told("list the snapshots", &place))?;
    let info = |row: &tokio_postgres::Row| {
        let position = Position::new(unsigned(row.get(1)));
        let stream = StreamName::new(row.get::<_, &str>(0))
            .map_err(|error| damaged(position, table_of(&place, "snapshots"), error.to_string()))?;
        let (epoch, at) = (Epoch::new(unsigned(row.get(2))), WallTime(row.get(3)));
        Ok(SnapshotInfo { stream, position, epoch, at, bytes: unsigned(row.get(4)) })
    };
    rows.iter().map(info).collect()
}

impl Drop for Shelf {
    fn drop(&mut self) {
        // Finished ones are waited for, the others given up.
        for writing in &mut self.writing {
            writing.end();
        }
    }
}
