//! Writes a snapshot in a thread of its own, so that the owner of the state never waits for the disk.

use super::file::{encode_end, encode_head, encode_row};
use super::shelf::{DIR, locked};
use crate::embedded::files::{File, Files};
use crate::embedded::reader::Reader;
use crate::embedded::segment::failed;
use crate::{JournalError, SnapshotInfo, SnapshotProgress, SnapshotWriter};
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

const WRITE_BYTES: usize = 256 << 10;
/// Rows are handed over in batches: a lock for each would cost more than the row.
const BATCH_BYTES: usize = 64 << 10;
/// Flushing often keeps each flush short: an append that comes meanwhile waits for one of them at most.
const FLUSH_BYTES: u64 = 8 << 20;

/// The owner's end.
#[derive(Debug)]
pub(super) struct Pen {
    desk: Arc<Desk>,
    batch: Vec<Vec<u8>>,
    batch_bytes: usize,
    backlog_max: usize,
    place: String,
}

/// A writing thread.
#[derive(Debug)]
pub(super) struct Writing {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// What both threads look at.
#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rows: Vec<Vec<u8>>,
    /// Of rows that were handed over and are not written.
    bytes: usize,
    finished: bool,
    given_up: bool,
    outcome: Option<Result<SnapshotInfo, Failure>>,
}

/// An error that can be told more than once.
#[derive(Debug)]
struct Failure {
    operation: &'static str,
    place: String,
    kind: io::ErrorKind,
    source: String,
}

impl Pen {
    pub fn begin(
        sheet: Sheet,
        info: SnapshotInfo,
        log: Option<Reader>,
        backlog_max: usize,
    ) -> Result<(Self, Writing), JournalError> {
        let desk = Arc::clone(&sheet.desk);
        let place = sheet.files.place(&sheet.name);
        let spawned = thread::Builder::new().name("journal-snapshot".to_owned()).spawn(move || sheet.fill(info, log));
        let thread = spawned.map_err(|source| JournalError::Store {
            operation: "start a thread that writes a snapshot",
            place: place.clone(),
            source,
        })?;
        let pen = Self { desk: Arc::clone(&desk), batch: Vec::new(), batch_bytes: 0, backlog_max, place };
        Ok((pen, Writing { desk, thread: Some(thread) }))
    }

    fn hand_over(&mut self) {
        let mut state = locked(&self.desk.state);
        let waiting = state.bytes + self.batch_bytes;
        if waiting > self.backlog_max && !state.given_up {
            state.given_up = true;
            state.outcome.get_or_insert(Err(Failure {
                operation: "keep up with a snapshot's rows; hand them over more slowly",
                place: self.place.clone(),
                kind: io::ErrorKind::OutOfMemory,
                source: format!("{waiting} bytes wait for the disk, the limit is {}", self.backlog_max),
            }));
        }
        if state.given_up {
            self.batch.clear();
        } else {
            state.bytes += self.batch_bytes;
            state.rows.append(&mut self.batch);
        }
        self.batch_bytes = 0;
        self.desk.changed.notify_all();
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
        self.batch_bytes + locked(&self.desk.state).bytes
    }

    fn finish(&mut self) {
        self.hand_over();
        locked(&self.desk.state).finished = true;
        self.desk.changed.notify_all();
    }

    fn progress(&mut self) -> SnapshotProgress {
        match &locked(&self.desk.state).outcome {
            None => SnapshotProgress::Writing,
            Some(Ok(info)) => SnapshotProgress::Done(info.clone()),
            Some(Err(failure)) => SnapshotProgress::Failed(failure.error()),
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.desk.give_up_unless_finished();
    }
}

impl Writing {
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }

    /// Gives up what was not finished, and waits for the thread.
    pub fn end(&mut self) {
        self.desk.give_up_unless_finished();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn give_up_unless_finished(&self) {
        let mut state = locked(&self.state);
        state.given_up |= !state.finished;
        self.changed.notify_all();
    }

    /// Waits for rows; none after the last.
    fn rows(&self) -> Result<Option<Vec<Vec<u8>>>, GivenUp> {
        let mut state = locked(&self.state);
        loop {
            if state.given_up {
                return Err(GivenUp);
            }
            if !state.rows.is_empty() {
                return Ok(Some(std::mem::take(&mut state.rows)));
            }
            if state.finished {
                return Ok(None);
            }
            state = self.changed.wait(state).expect("nothing panics while it holds this lock");
        }
    }

    fn written(&self, bytes: usize) {
        let mut state = locked(&self.state);
        state.bytes = state.bytes.saturating_sub(bytes);
    }
}

struct GivenUp;

/// The thread's end.
pub(super) struct Sheet {
    files: Arc<dyn Files>,
    desk: Arc<Desk>,
    name: String,
    temporary: String,
    whole: Arc<Mutex<Vec<SnapshotInfo>>>,
}

enum Unwritten {
    GivenUp,
    Failed(JournalError),
}

impl From<GivenUp> for Unwritten {
    fn from(_: GivenUp) -> Self {
        Self::GivenUp
    }
}

impl Sheet {
    pub fn new(files: Arc<dyn Files>, name: String, temporary: String, whole: Arc<Mutex<Vec<SnapshotInfo>>>) -> Self {
        Self { files, desk: Arc::default(), name, temporary, whole }
    }

    fn fill(self, mut info: SnapshotInfo, log: Option<Reader>) {
        let outcome = match self.write(&mut info, log) {
            Ok(()) => {
                let mut whole = locked(&self.whole);
                whole.retain(|s| s.stream != info.stream || s.position != info.position);
                whole.push(info.clone());
                Ok(info)
            }
            Err(unwritten) => {
                let _ = self.files.remove(&self.temporary);
                let error = match unwritten {
                    Unwritten::Failed(error) => error,
                    Unwritten::GivenUp => JournalError::Store {
                        operation: "write a snapshot",
                        place: self.files.place(&self.name),
                        source: io::Error::new(io::ErrorKind::Interrupted, "it was given up before it was finished"),
                    },
                };
                Err(Failure::of(error))
            }
        };
        locked(&self.desk.state).outcome.get_or_insert(outcome);
    }

    fn write(&self, info: &mut SnapshotInfo, log: Option<Reader>) -> Result<(), Unwritten> {
        let files = &*self.files;
        // Looked up here and not by the owner: it may be far back in a segment.
        if let Some(recorded) = log.and_then(|mut log| log.next()) {
            info.at = recorded.map_err(Unwritten::Failed)?.commit.at();
        }
        let fails = |operation| {
            let error = failed(operation, files, &self.name);
            move |source| Unwritten::Failed(error(source))
        };
        let file = files.create(&self.temporary).map_err(fails("create a snapshot"))?;
        let mut ink = Ink { file: &*file, buffer: Vec::with_capacity(WRITE_BYTES), offset: 0, flushed: 0 };
        let mut chain = encode_head(&mut ink.buffer, info);
        let mut rows = 0;
        while let Some(batch) = self.desk.rows()? {
            for row in batch {
                chain = encode_row(&mut ink.buffer, chain, &row);
                rows += 1;
                if ink.buffer.len() >= WRITE_BYTES {
                    ink.flow().map_err(fails("write a snapshot"))?;
                }
                self.desk.written(row.len() + size_of::<Vec<u8>>());
            }
        }
        encode_end(&mut ink.buffer, chain, rows);
        ink.flow().and_then(|()| file.sync_data()).map_err(fails("write a snapshot"))?;
        info.bytes = ink.offset;
        files.rename(&self.temporary, &self.name).map_err(fails("name a snapshot"))?;
        files.sync_dir(DIR).map_err(fails("flush the snapshots' directory"))
    }
}

/// What was encoded and is not written yet.
struct Ink<'a> {
    file: &'a dyn File,
    buffer: Vec<u8>,
    offset: u64,
    flushed: u64,
}

impl Ink<'_> {
    fn flow(&mut self) -> io::Result<()> {
        self.file.write_at(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        if self.offset - self.flushed >= FLUSH_BYTES {
            self.file.sync_data()?;
            self.flushed = self.offset;
        }
        Ok(())
    }
}

impl Failure {
    fn of(error: JournalError) -> Self {
        match error {
            JournalError::Store { operation, place, source } => {
                Self { operation, place, kind: source.kind(), source: source.to_string() }
            }
            other => Self {
                operation: "write a snapshot",
                place: String::new(),
                kind: io::ErrorKind::Other,
                source: other.to_string(),
            },
        }
    }

    fn error(&self) -> JournalError {
        JournalError::Store {
            operation: self.operation,
            place: self.place.clone(),
            source: io::Error::new(self.kind, self.source.clone()),
        }
    }
}
