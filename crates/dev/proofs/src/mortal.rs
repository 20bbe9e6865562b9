//! A coordinator in this process that can be killed: its journal stops between two writes, and leaves its files as a
//! killed process would.

use capstan_coordinator::{Coordinator, Handle, Options, Retention};
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{
    Append, Commit, Durability, EmbeddedJournal, EmbeddedOptions, Journal, JournalError, Recorded, Refusal,
    SnapshotInfo, SnapshotRows, SnapshotWriter, Tail,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const ALIVE: u8 = 0;
/// It dies before its next write.
const DIES_BEFORE: u8 = 1;
/// It dies after its next write, before anybody is told.
const DIES_AFTER: u8 = 2;

/// How to kill one.
#[derive(Clone, Debug, Default)]
pub struct Fate(Arc<AtomicU8>);

impl Fate {
    /// From now on nothing is written; or one last commit, of which nobody is told.
    pub fn seal(&self, after_a_last_write: bool) {
        self.0.store(if after_a_last_write { DIES_AFTER } else { DIES_BEFORE }, Ordering::SeqCst);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Starts a coordinator on a directory, with snapshots so often that kills hit them.
pub fn start(dir: &Path) -> anyhow::Result<(Coordinator, Handle, Fate)> {
    let fate = Fate::default();
    let options = EmbeddedOptions { segment_bytes: 1 << 20, ..EmbeddedOptions::default() };
    let journal = Mortal { inner: Some(EmbeddedJournal::open(dir, options)?), fate: fate.clone() };
    let retention = Retention { session_every: 2_000, keep: 1, held_back_max: 4 << 20, ..Retention::default() };
    let (coordinator, handle) = Coordinator::start(Box::new(journal), Options { retention, ..Options::default() })?;
    Ok((coordinator, handle, fate))
}

struct Mortal {
    inner: Option<EmbeddedJournal>,
    fate: Fate,
}

impl Mortal {
    fn inner(&self) -> &EmbeddedJournal {
        self.inner.as_ref().expect("only dropping takes it")
    }

    fn inner_mut(&mut self) -> &mut EmbeddedJournal {
        self.inner.as_mut().expect("only dropping takes it")
    }
}

fn dead() -> JournalError {
    let source = std::io::Error::other("the process was killed");
    JournalError::Store { operation: "write", place: "a killed process".into(), source }
}

impl Journal for Mortal {
    fn tail(&mut self) -> Result<Tail, JournalError> {
        self.inner_mut().tail()
    }

    fn durability(&self) -> Durability {
        self.inner().durability()
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.inner_mut().reserve(bytes)
    }

    fn append(&mut self, epoch: Epoch, position: Position, commit: &Commit) -> Append {
        match self.fate.get() {
            ALIVE => {
                let appended = self.inner_mut().append(epoch, position, commit);
                // Killed while it wrote: written, and nobody is told.
                if self.fate.get() == ALIVE { appended } else { Append::Broken(dead()) }
            }
            DIES_AFTER => {
                drop(self.inner_mut().append(epoch, position, commit));
                Append::Broken(dead())
            }
            _ => Append::Broken(dead()),
        }
    }

    fn read(
        &self,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        self.inner().read(from)
    }

    fn begin_snapshot(
        &mut self,
        epoch: Epoch,
        stream: &StreamName,
        at: Position,
    ) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        self.inner_mut().begin_snapshot(epoch, stream, at)
    }

    fn snapshots(&self) -> Result<Vec<SnapshotInfo>, JournalError> {
        self.inner().snapshots()
    }

    fn read_snapshot(&self, snapshot: &SnapshotInfo) -> Result<SnapshotRows, JournalError> {
        self.inner().read_snapshot(snapshot)
    }

    fn drop_snapshot(&mut self, snapshot: &SnapshotInfo) -> Result<(), JournalError> {
        self.inner_mut().drop_snapshot(snapshot)
    }

    fn trim(&mut self, position: Position, audited: &[StreamName]) -> Result<(), JournalError> {
        self.inner_mut().trim(position, audited)
    }

    fn read_archive(
        &self,
        stream: &StreamName,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        self.inner().read_archive(stream, from)
    }

    fn trim_archive(&mut self, stream: &StreamName, before: WallTime) -> Result<(), JournalError> {
        self.inner_mut().trim_archive(stream, before)
    }

    fn idle(&mut self) -> Result<(), JournalError> {
        if self.fate.get() == ALIVE { self.inner_mut().idle() } else { Err(dead()) }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        if let Some(journal) = self.inner.take() {
            // Alive, it was stopped: that writes the mark.
            if self.fate.get() != ALIVE {
                journal.abandon();
            }
        }
    }
}
