//! A journal that does what the script says, and what a real one does where it says nothing.

use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{
    Append, Commit, Durability, EmbeddedJournal, Journal, JournalError, Recorded, Refusal, SnapshotInfo, SnapshotRows,
    SnapshotWriter, Tail,
};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use tokio::sync::watch;

/// What an append is answered with.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// The answer is lost; the commit stands.
    LostAfterWriting,
    /// The answer is lost; nothing was written.
    LostBeforeWriting,
    Fenced,
    Full,
    Broken,
    /// The journal breaks, and the commit stands all the same.
    BrokenAfterWriting,
}

/// Shared by a test and the journal it directs.
#[derive(Clone)]
pub struct Script(Arc<Stage>);

struct Stage {
    lines: Mutex<Lines>,
    changed: Condvar,
    /// How many appends have come.
    offered: watch::Sender<usize>,
}

#[derive(Default)]
struct Lines {
    replies: VecDeque<Reply>,
    away: bool,
    held: bool,
    /// How many of the held appends may go on.
    passes: usize,
    full: bool,
    damaged: Vec<Position>,
    reserved: usize,
    /// Where histories were begun.
    histories: Vec<Position>,
    offers: Vec<(Position, Commit)>,
    stands: Vec<(Position, Commit)>,
}

impl Script {
    pub fn new() -> Self {
        let lines = Mutex::default();
        Self(Arc::new(Stage { lines, changed: Condvar::new(), offered: watch::Sender::new(0) }))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap()
    }

    /// The next append that nothing was said about is answered with this.
    pub fn answer(&self, reply: Reply) {
        self.lines().replies.push_back(reply);
    }

    /// Appends are not answered until they are let go.
    pub fn hold(&self) {
        self.lines().held = true;
    }

    pub fn let_one_go(&self) {
        self.lines().passes += 1;
        self.0.changed.notify_all();
    }

    pub fn let_go(&self) {
        self.lines().held = false;
        self.0.changed.notify_all();
    }

    /// Every answer is lost until the journal is back.
    pub fn away(&self, away: bool) {
        self.lines().away = away;
    }

    /// There is no room until there is.
    pub fn full(&self, full: bool) {
        self.lines().full = full;
    }

    /// The snapshots at a position can be read only up to their last row.
    pub fn damage_snapshots(&self, at: Position) {
        self.lines().damaged.push(at);
    }

    /// Where histories were begun since this was asked last.
    pub fn histories(&self) -> Vec<Position> {
        std::mem::take(&mut self.lines().histories)
    }

    pub fn reserved(&self) -> usize {
        self.lines().reserved
    }

    /// Waits until so many appends have come since the beginning.
    pub async fn offered(&self, count: usize) {
        self.0.offered.subscribe().wait_for(|offered| *offered >= count).await.unwrap();
    }

    /// Notes that a commit is durable.
    pub fn stands(&self, position: Position, commit: Commit) {
        self.lines().stands.push((position, commit));
    }

    /// Everything that was ever made durable, whatever the log has let go of.
    pub fn history(&self) -> Vec<(Position, Commit)> {
        self.lines().stands.clone()
    }

    /// Every append so far.
    pub fn offers(&self) -> Vec<(Position, Commit)> {
        self.lines().offers.clone()
    }
}

pub struct ScriptedJournal {
    pub journal: EmbeddedJournal,
    pub script: Script,
}

impl ScriptedJournal {
    fn lost() -> Append {
        Append::Unknown(error("hear from the database"))
    }
}

fn error(operation: &'static str) -> JournalError {
    JournalError::Store { operation, place: "the script".into(), source: io::ErrorKind::TimedOut.into() }
}

fn full() -> Refusal {
    Refusal::Full { needed: 1, free: 0, place: "the script".into() }
}

impl Journal for ScriptedJournal {
    fn append(&mut self, epoch: Epoch, position: Position, commit: &Commit) -> Append {
        let mut lines = self.script.lines();
        lines.offers.push((position, commit.clone()));
        self.script.0.offered.send_modify(|offered| *offered += 1);
        while lines.held && lines.passes == 0 {
            lines = self.script.0.changed.wait(lines).unwrap();
        }
        lines.passes = lines.passes.saturating_sub(1);
        if lines.away {
            return Self::lost();
        }
        let reply = lines.replies.pop_front();
        drop(lines);
        match reply {
            None => {
                let answer = self.journal.append(epoch, position, commit);
                if matches!(answer, Append::Committed) {
                    self.script.stands(position, commit.clone());
                }
                answer
            }
            Some(Reply::LostAfterWriting) => {
                self.journal.append(epoch, position, commit);
                Self::lost()
            }
            Some(Reply::LostBeforeWriting) => Self::lost(),
            Some(Reply::Fenced) => Append::Fenced,
            Some(Reply::Full) => Append::Refused(full()),
            Some(Reply::Broken) => Append::Broken(error("flush")),
            Some(Reply::BrokenAfterWriting) => {
                self.journal.append(epoch, position, commit);
                Append::Broken(error("flush"))
            }
        }
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        let mut lines = self.script.lines();
        lines.reserved += 1;
        if lines.full { Err(full()) } else { self.journal.reserve(bytes) }
    }

    fn read_snapshot(&self, snapshot: &SnapshotInfo) -> Result<SnapshotRows, JournalError> {
        let rows = self.journal.read_snapshot(snapshot)?;
        if !self.script.lines().damaged.contains(&snapshot.position) {
            return Ok(rows);
        }
        let mut rows: Vec<_> = rows.collect();
        rows.pop();
        rows.push(Err(JournalError::Damaged {
            position: snapshot.position,
            place: "the script".into(),
            offset: 0,
            what: "a row's checksum".into(),
        }));
        Ok(Box::new(rows.into_iter()))
    }

    fn tail(&mut self) -> Result<Tail, JournalError> {
        self.journal.tail()
    }

    fn durability(&self) -> Durability {
        self.journal.durability()
    }

    fn read(
        &self,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        self.journal.read(from)
    }

    fn begin_snapshot(
        &mut self,
        epoch: Epoch,
        stream: &StreamName,
        at: Position,
    ) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        self.journal.begin_snapshot(epoch, stream, at)
    }

    fn snapshots(&self) -> Result<Vec<SnapshotInfo>, JournalError> {
        self.journal.snapshots()
    }

    fn drop_snapshot(&mut self, snapshot: &SnapshotInfo) -> Result<(), JournalError> {
        self.journal.drop_snapshot(snapshot)
    }

    fn trim(&mut self, position: Position, audited: &[StreamName]) -> Result<(), JournalError> {
        self.journal.trim(position, audited)
    }

    fn read_archive(
        &self,
        stream: &StreamName,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        self.script.lines().histories.push(from);
        self.journal.read_archive(stream, from)
    }

    fn trim_archive(&mut self, stream: &StreamName, before: WallTime) -> Result<(), JournalError> {
        self.journal.trim_archive(stream, before)
    }

    fn idle(&mut self) -> Result<(), JournalError> {
        self.journal.idle()
    }
}
