//! The port, on the database's tables.

use crate::address::Address;
use crate::fault::Fault;
use crate::head::{self, Head};
use crate::line::{Line, Server};
use crate::pages::{Shared, locked};
use crate::reader::Reader;
use crate::row::{Encoded, damaged, table_of};
use crate::snapshot::{self, Shelf};
use crate::{OpenError, PostgresOptions, archive, retention, schema, takeover};
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{
    Append, Commit, Durability, Journal, JournalError, Recorded, Refusal, SnapshotInfo, SnapshotRows, SnapshotWriter,
    Tail,
};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

/// How many steps of letting go of an archive one call takes; the next one goes on.
const ARCHIVE_STEPS_MAX: usize = 20;

/// A journal in a PostgreSQL database, which several servers may have open: the one with the highest epoch writes.
///
/// Calls block, each for a bounded time. Whatever breaks a connection, the next call makes a new one. Holds one
/// connection that writes, one that all readers share, and one for each snapshot that is being written.
pub struct PostgresJournal {
    // Dropped first: snapshots that were finished are waited for.
    pub(crate) shelf: Shelf,
    pub(crate) line: Line,
    reading: Shared,
    pub(crate) place: String,
    pub(crate) identity: i64,
    durability: Durability,
    pub(crate) commit_bytes_max: u64,
    /// The highest epoch that was written under from here.
    led: Option<Epoch>,
    /// The end of the log as it was last seen: it never comes back from there.
    pub(crate) reached: Position,
    /// What was offered and not answered.
    unsettled: Option<Position>,
    /// The database had no room when it was last asked.
    full: bool,
    buffer: Vec<u8>,
}

impl PostgresJournal {
    /// Opens the journal at `url`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=capstan`, and makes its tables
    /// where there are none.
    ///
    /// [`OpenError::Address`] if that is no address. [`JournalError::Away`] while the database cannot be reached,
    /// [`JournalError::Unfit`] if it is too old, takes no changes or lacks a right, with the `GRANT` that is missing,
    /// [`JournalError::Version`] if a newer program has changed the tables. Nothing is changed then.
    pub fn connect(url: &str, options: PostgresOptions) -> Result<Self, OpenError> {
        let options = options.within_limits();
        let address = Address::parse(url, options.password.as_deref())?;
        let mut line = crate::line_to(Server::new(address, options.timeout, false))?;
        let server = Arc::clone(&line.server);
        let place = server.place.clone();
        let told = |fault: Fault| fault.told("open the journal", &place);
        let facts = schema::prepare(&mut line).map_err(told)?;
        let identity = head::identity(&mut line).map_err(told)?;
        takeover::see_finished(&mut line).map_err(told)?;
        let reading = Line::new(Arc::clone(&server)).map_err(|source| crate::no_line(&server.place, source))?;
        if let Durability::Later(reason) = &facts.durability {
            tracing::warn!(place, reason, "the database acknowledges commits before they are durable");
        }
        let mut journal = Self {
            shelf: Shelf::new(server, identity, options.snapshot_backlog_max),
            line,
            reading: Arc::new(Mutex::new(reading)),
            place: place.clone(),
            identity,
            durability: facts.durability,
            commit_bytes_max: options.commit_bytes_max,
            led: None,
            reached: Position::ZERO,
            unsettled: None,
            full: false,
            buffer: Vec::new(),
        };
        journal.tail()?;
        Ok(journal)
    }

    /// Goes on so much higher that no token given after a backup was taken can be given again; once, right after the
    /// backup was restored. Answers the position that the next event takes.
    pub fn leap(&mut self) -> Result<Position, JournalError> {
        // As far again must be left for the next time.
        let most = Position::new(Position::MAX.get() - Position::RESTORE_LEAP);
        let leapt = head::leap(&mut self.line, self.identity, Position::RESTORE_LEAP, most);
        match leapt.map_err(|fault| fault.told("leap", &self.place))? {
            Some(next) => {
                self.reached = next;
                Ok(next)
            }
            None => Err(self.no_positions_left()),
        }
    }

    /// From now on this is the journal with another identity; nothing was written to it under its own.
    pub(crate) fn become_another(&mut self, identity: i64) {
        self.identity = identity;
        self.shelf.become_another(identity);
    }

    pub(crate) fn no_positions_left(&self) -> JournalError {
        let what = "the positions below 2^53 are used up; start a new journal".to_owned();
        JournalError::Unfit { place: self.place.clone(), what }
    }

    /// Looks at the head, and sees that nothing which was there before is gone.
    fn look(&mut self, position: Position) -> Result<Head, Fault> {
        let head = head::look(&mut self.line, self.identity, position)?;
        if head.next < self.reached {
            let what = format!(
                "the log ends before position {}, and {} was seen to be next: the database was set back, by a backup or a replica that had missed commits",
                head.next, self.reached
            );
            return Err(Fault::Unusable(damaged(head.next, table_of(&self.place, "head"), what)));
        }
        self.reached = head.next;
        Ok(head)
    }

    /// What became of a commit whose position was not free.
    fn settle(&mut self, commit: &Encoded) -> Result<bool, Fault> {
        if head::settle(&mut self.line, self.identity, commit)? {
            return Ok(true);
        }
        self.look(Position::ZERO).map(|_| false)
    }

    fn offer(&mut self, commit: &Encoded) -> Result<bool, Fault> {
        Ok(head::append(&mut self.line, self.identity, commit)? || self.settle(commit)?)
    }

    /// Whether the database has room for so many bytes, by taking it and giving it back.
    fn try_room(&mut self, bytes: u64) -> Result<(), Fault> {
        let probe = format!(
            "BEGIN; INSERT INTO snapshot_pages (snapshot, number, bytes, checksum) \
             VALUES (-1, 0, convert_to(repeat('0', {bytes}), 'SQL_ASCII'), 0); ROLLBACK"
        );
        let tried = self.line.batch(&probe);
        if tried.is_err() {
            // Where this fails the connection is gone, and the transaction with it.
            let _ = self.line.batch("ROLLBACK");
        }
        tried
    }

    fn no_room(&self, needed: u64) -> Refusal {
        Refusal::Full { needed, free: 0, place: self.place.clone() }
    }
}

impl Journal for PostgresJournal {
    fn tail(&mut self) -> Result<Tail, JournalError> {
        let head = self.look(Position::ZERO).map_err(|fault| fault.told("look for the end", &self.place))?;
        Ok(Tail { next: head.next, first: head.first, epoch: head.epoch })
    }

    fn durability(&self) -> Durability {
        self.durability.clone()
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        let size = bytes as u64;
        if size > self.commit_bytes_max {
            return Err(Refusal::TooLarge { size, limit: self.commit_bytes_max });
        }
        if self.full {
            // Anything but a lack of room is told by the append, which has the words for it.
            if self.try_room(size).is_err_and(|fault| fault.is_full()) {
                return Err(self.no_room(size));
            }
            self.full = false;
        }
        Ok(())
    }

    fn append(&mut self, epoch: Epoch, position: Position, commit: &Commit) -> Append {
        assert!(!commit.is_empty(), "an empty commit takes no position");
        let size = commit.size() as u64;
        if size > self.commit_bytes_max {
            return Append::Refused(Refusal::TooLarge { size, limit: self.commit_bytes_max });
        }
        let encoded = Encoded::within(std::mem::take(&mut self.buffer), self.identity, epoch, position, commit);
        let offered = self.offer(&encoded);
        self.buffer = encoded.bytes;
        match offered {
            Ok(true) => {
                self.led = self.led.max(Some(epoch));
                self.reached = self.reached.max(position.plus(commit.events()));
                self.unsettled = None;
                Append::Committed
            }
            Ok(false) => {
                self.unsettled = None;
                Append::Fenced
            }
            // While an offer before this one is unanswered it may still be carried out, room or not.
            Err(fault) if fault.is_full() && self.unsettled != Some(position) => {
                self.full = true;
                Append::Refused(self.no_room(size))
            }
            Err(fault) if fault.is_damage() => Append::Broken(fault.told("append", &self.place)),
            Err(fault) => {
                self.unsettled = Some(position);
                Append::Unknown(fault.told("append", &self.place))
            }
        }
    }

    fn read(
        &self,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        let from = from.max(Position::new(1));
        let head = head::look(&mut locked(&self.reading), self.identity, from);
        let head = head.map_err(|fault| fault.told("read", &self.place))?;
        if from < head.first {
            return Err(JournalError::Dropped { asked: from, first: head.first });
        }
        Ok(Box::new(Reader::new(Arc::clone(&self.reading), self.identity, from, &head)))
    }

    fn begin_snapshot(
        &mut self,
        epoch: Epoch,
        stream: &StreamName,
        at: Position,
    ) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        let head = self.look(at).map_err(|fault| fault.told("begin a snapshot", &self.place))?;
        assert!(at < head.next, "a snapshot of events that are not durable");
        if epoch < head.epoch {
            return Err(JournalError::Deposed { epoch, seen: head.epoch });
        }
        if at.plus(1) < head.first {
            // What comes after it is gone: nothing could be made of such a snapshot.
            return Err(JournalError::Dropped { asked: at, first: head.first });
        }
        self.led = self.led.max(Some(epoch));
        let made_at = head.held_at.unwrap_or(head.first_at);
        let info = SnapshotInfo { stream: stream.clone(), position: at, epoch, at: made_at, bytes: 0 };
        self.shelf.begin(info).map_err(|source| crate::no_line(&self.place, source))
    }

    fn snapshots(&self) -> Result<Vec<SnapshotInfo>, JournalError> {
        snapshot::whole(&self.reading)
    }

    fn read_snapshot(&self, snapshot: &SnapshotInfo) -> Result<SnapshotRows, JournalError> {
        Ok(Box::new(self.shelf.rows(&self.reading, snapshot)?))
    }

    fn drop_snapshot(&mut self, snapshot: &SnapshotInfo) -> Result<(), JournalError> {
        let dropped = self.shelf.remove(&mut self.line, snapshot, self.led);
        dropped.map_err(|fault| fault.told("drop a snapshot", &self.place))
    }

    fn trim(&mut self, position: Position, audited: &[StreamName]) -> Result<(), JournalError> {
        let trimmed = retention::trim(&mut self.line, &self.reading, self.identity, self.led, position, audited);
        trimmed.map_err(|fault| fault.told("trim the log", &self.place))
    }

    fn read_archive(
        &self,
        stream: &StreamName,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        let archived = archive::read(&self.reading, self.identity, stream, from);
        Ok(Box::new(archived.map_err(|fault| fault.told("read the archive", &self.place))?))
    }

    fn trim_archive(&mut self, stream: &StreamName, before: WallTime) -> Result<(), JournalError> {
        for _ in 0..ARCHIVE_STEPS_MAX {
            let more = archive::let_go(&mut self.line, stream, before);
            if !more.map_err(|fault| fault.told("trim an archive", &self.place))? {
                break;
            }
        }
        Ok(())
    }

    /// Nothing to do: the database marks what is durable itself.
    fn idle(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}

impl fmt::Debug for PostgresJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresJournal")
            .field("place", &self.place)
            .field("reached", &self.reached)
            .finish_non_exhaustive()
    }
}

/// What keeps the system from giving a connection its event queue or its thread.
pub(crate) fn no_line(place: &str, source: io::Error) -> JournalError {
    JournalError::Store { operation: "prepare a connection", place: place.to_owned(), source }
}
