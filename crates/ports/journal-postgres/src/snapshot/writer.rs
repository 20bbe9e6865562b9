//! Writes a snapshot in a thread of its own over a connection of its own, so that the owner of the state never waits
//! for the database.

use super::page::Page;
use crate::fault::Fault;
use crate::line::{Line, Server};
use crate::row::number;
use capstan_journal::{JournalError, SnapshotInfo, SnapshotProgress, SnapshotWriter};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Rows are handed over in batches: a message for each would cost more than the row.
const BATCH_BYTES: usize = 64 << 10;

// Nobody finishes what was left by a leadership that is over, and of this one's only those named are being written.
const SWEEP: &str = "UPDATE snapshots SET state = 2 \
    WHERE state = 0 AND (epoch < $1::bigint OR epoch = $1::bigint AND id <> ALL ($2::bigint[]))";
const DROPPED: &str = "SELECT id FROM snapshots WHERE state = 2 LIMIT 100";
const WIPE: &str = "DELETE FROM snapshot_pages WHERE snapshot = $1 AND number IN \
    (SELECT number FROM snapshot_pages WHERE snapshot = $1 ORDER BY number LIMIT 64)";
const FORGET: &str = "DELETE FROM snapshots WHERE id = $1 AND state = 2";
const BEGIN: &str = "INSERT INTO snapshots (id, stream, position, epoch, at) VALUES ($1, $2, $3, $4, $5)";
const WRITE: &str = "INSERT INTO snapshot_pages (snapshot, number, bytes, checksum) VALUES ($1, $2, $3, $4)";
const GIVE_UP: &str = "UPDATE snapshots SET state = 2 WHERE id = $1 AND state = 0";
// It counts, and an older one of the same moment no longer does, if the leadership that wrote it is not over and what
// it holds is durable.
const FINISH: &str = "WITH leader AS (SELECT 1 FROM head WHERE epoch <= $2::bigint AND next > $3::bigint FOR SHARE), \
    replaced AS (UPDATE snapshots SET state = 2 FROM leader \
        WHERE stream = $4 AND position = $3::bigint AND state = 1 AND id <> $1::bigint) \
    UPDATE snapshots SET state = 1, bytes = $5, rows = $6, pages = $7, checksum = $8 FROM leader \
    WHERE id = $1::bigint AND state = 0";
// The log that it belongs to comes after it.
const ADOPT: &str = "UPDATE snapshots SET state = 1, bytes = $2, rows = $3, pages = $4, checksum = $5 \
    WHERE id = $1 AND state = 0 AND EXISTS (SELECT 1 FROM snapshots WHERE state = 3)";
const SEEN: &str = "SELECT epoch FROM head";

/// What a writing thread is told, in this order.
enum Message {
    Rows(Vec<Vec<u8>>),
    Finish,
    GiveUp,
}

/// What both threads look at.
#[derive(Default)]
struct Desk {
    /// Of rows that were handed over and are not written.
    backlog: AtomicUsize,
    finished: AtomicBool,
    given_up: AtomicBool,
    outcome: Mutex<Option<Result<SnapshotInfo, JournalError>>>,
}

/// The owner's end.
pub(super) struct Pen {
    desk: Arc<Desk>,
    messages: Sender<Message>,
    batch: Vec<Vec<u8>>,
    batch_bytes: usize,
    backlog_max: usize,
    place: String,
}

/// A writing thread.
pub(super) struct Writing {
    pub id: i64,
    desk: Arc<Desk>,
    messages: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

/// What a snapshot is of, and whose.
pub(super) struct Title {
    pub id: i64,
    pub identity: i64,
    pub info: SnapshotInfo,
    /// Whether a restore brings it.
    pub is_adopted: bool,
    /// The others that are being written under the same leadership.
    pub beside: Vec<i64>,
}

pub(super) fn begin(server: Arc<Server>, title: Title, backlog_max: usize) -> io::Result<(Pen, Writing)> {
    let (desk, (messages, told)) = (Arc::<Desk>::default(), mpsc::channel());
    let (id, place) = (title.id, server.place.clone());
    let line = Line::new(server)?;
    let sheet = Sheet { line, title, desk: Arc::clone(&desk), told };
    let thread = thread::Builder::new().name("journal-snapshot".to_owned()).spawn(move || sheet.fill())?;
    let writing = Writing { id, desk: Arc::clone(&desk), messages: messages.clone(), thread: Some(thread) };
    let batch = Vec::new();
    Ok((Pen { desk, messages, batch, batch_bytes: 0, backlog_max, place }, writing))
}

impl Pen {
    fn hand_over(&mut self) {
        let waiting = self.desk.backlog.fetch_add(self.batch_bytes, Ordering::Relaxed) + self.batch_bytes;
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if waiting > self.backlog_max && !self.desk.given_up.swap(true, Ordering::Relaxed) {
            let text = format!("{waiting} bytes wait for the database, the limit is {}", self.backlog_max);
            self.desk.settle(Err(JournalError::Store {
                operation: "keep up with a snapshot's rows; hand them over more slowly",
                place: self.place.clone(),
                source: io::Error::new(io::ErrorKind::OutOfMemory, text),
            }));
        }
        // A thread that has ended has said why.
        let _ = self.messages.send(Message::Rows(batch));
    }
}

impl SnapshotWriter for Pen {
    fn row(&mut self, row: Vec<u8>) {
        self.batch_bytes += row.len() + size_of::<Vec<u8>>();
        self.batch.push(row);
        if self.batch_bytes >= BATCH_BYTES {
            self.hand_over();
        }
    }

    fn backlog(&self) -> usize {
        self.batch_bytes + self.desk.backlog.load(Ordering::Relaxed)
    }

    fn finish(&mut self) {
        self.hand_over();
        self.desk.finished.store(true, Ordering::Relaxed);
        let _ = self.messages.send(Message::Finish);
    }

    fn progress(&mut self) -> SnapshotProgress {
        let mut outcome = self.desk.outcome.lock().expect("nothing panics while it holds this lock");
        match outcome.take() {
            None => SnapshotProgress::Writing,
            Some(Ok(info)) => {
                *outcome = Some(Ok(info.clone()));
                SnapshotProgress::Done(info)
            }
            Some(Err(error)) => {
                *outcome = Some(Err(given_up(&self.place, "it failed, and why was told before")));
                SnapshotProgress::Failed(error)
            }
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.desk.give_up_unless_finished(&self.messages);
    }
}

impl Writing {
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Gives up what was not finished, and waits for the thread.
    pub fn end(&mut self) {
        self.desk.give_up_unless_finished(&self.messages);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn give_up_unless_finished(&self, messages: &Sender<Message>) {
        if !self.finished.load(Ordering::Relaxed) {
            self.given_up.store(true, Ordering::Relaxed);
            // A thread that has ended needs no word.
            let _ = messages.send(Message::GiveUp);
        }
    }

    fn settle(&self, result: Result<SnapshotInfo, JournalError>) {
        self.outcome.lock().expect("nothing panics while it holds this lock").get_or_insert(result);
    }
}

fn given_up(place: &str, what: &str) -> JournalError {
    let source = io::Error::new(io::ErrorKind::Interrupted, what);
    JournalError::Store { operation: "write a snapshot", place: place.to_owned(), source }
}

enum Unwritten {
    GivenUp,
    Failed(Fault),
}

impl From<Fault> for Unwritten {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// The thread's end.
struct Sheet {
    line: Line,
    title: Title,
    desk: Arc<Desk>,
    told: Receiver<Message>,
}

impl Sheet {
    fn fill(mut self) {
        let place = self.line.server.place.clone();
        let outcome = match self.write() {
            Ok(info) => Ok(info),
            Err(unwritten) => {
                // Where this fails too, the next snapshot sweeps it.
                let _ = self.line.execute(0, GIVE_UP, &[&self.title.id]);
                let _ = self.wipe();
                Err(match unwritten {
                    Unwritten::GivenUp => given_up(&place, "it was given up before it was finished"),
                    Unwritten::Failed(fault) => fault.told("write a snapshot", &place),
                })
            }
        };
        self.desk.settle(outcome);
    }

    fn write(&mut self) -> Result<SnapshotInfo, Unwritten> {
        let (id, identity, info) = (self.title.id, self.title.identity, self.title.info.clone());
        let (epoch, position) = (number(info.epoch.get()), number(info.position.get()));
        self.line.execute(0, SWEEP, &[&epoch, &self.title.beside])?;
        self.wipe()?;
        self.line.execute(0, BEGIN, &[&id, &info.stream.as_str(), &position, &epoch, &info.at.micros()])?;
        let (mut page, mut rows, mut bytes) = (Page::default(), 0_i64, 0_i64);
        while let Some(batch) = self.rows()? {
            for row in batch {
                page.add(&row);
                rows += 1;
                if page.is_full() {
                    bytes += self.put(&mut page, identity)?;
                }
                self.desk.backlog.fetch_sub(row.len() + size_of::<Vec<u8>>(), Ordering::Relaxed);
            }
        }
        if !page.bytes.is_empty() {
            bytes += self.put(&mut page, identity)?;
        }
        let (pages, checksum) = (page.number, i64::from(page.chain));
        let finished = match self.title.is_adopted {
            true => self.line.execute(0, ADOPT, &[&id, &bytes, &rows, &pages, &checksum])?,
            false => self.line.execute(
                0,
                FINISH,
                &[&id, &epoch, &position, &info.stream.as_str(), &bytes, &rows, &pages, &checksum],
            )?,
        };
        if finished == 0 {
            let seen = self.line.query(SEEN, &[])?.first().map_or(0, |row| row.get(0));
            let seen = capstan_ids::Epoch::new(crate::row::unsigned(seen));
            let error = JournalError::Deposed { epoch: info.epoch, seen };
            return Err(Unwritten::Failed(Fault::Unusable(error)));
        }
        Ok(SnapshotInfo { bytes: bytes.unsigned_abs(), ..info })
    }

    /// Waits for rows; none after the last.
    fn rows(&self) -> Result<Option<Vec<Vec<u8>>>, Unwritten> {
        let message = self.told.recv().unwrap_or(Message::GiveUp);
        match message {
            _ if self.desk.given_up.load(Ordering::Relaxed) => Err(Unwritten::GivenUp),
            Message::GiveUp => Err(Unwritten::GivenUp),
            Message::Rows(rows) => Ok(Some(rows)),
            Message::Finish => Ok(None),
        }
    }

    fn put(&mut self, page: &mut Page, identity: i64) -> Result<i64, Fault> {
        let checksum = page.checksum(identity, self.title.id);
        let values = (&self.title.id, &page.number, &page.bytes, &i64::from(checksum));
        self.line.execute(page.bytes.len(), WRITE, &[values.0, values.1, values.2, values.3])?;
        let bytes = page.bytes.len() as i64;
        page.turn(checksum);
        Ok(bytes)
    }

    /// Frees what dropped snapshots take, a few pages at a time.
    fn wipe(&mut self) -> Result<(), Fault> {
        for row in self.line.query(DROPPED, &[])? {
            let id: i64 = row.get(0);
            while self.line.execute(0, WIPE, &[&id])? > 0 {}
            self.line.execute(0, FORGET, &[&id])?;
        }
        Ok(())
    }
}
