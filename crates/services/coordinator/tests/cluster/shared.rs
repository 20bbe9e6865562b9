//! A journal and a register in memory, which several servers share and any of them can be cut off from.

use capstan_coordinator::{SharedStore, StoreError};
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{
    Append, Commit, Durability, Election, Journal, JournalError, Recorded, Refusal, Replaced, SnapshotInfo,
    SnapshotProgress, SnapshotRows, SnapshotWriter, Standing, Tail,
};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// What all share.
#[derive(Default)]
pub struct Database {
    log: Mutex<Log>,
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Log {
    commits: Vec<Recorded>,
    dropped: u64,
    epoch: Epoch,
    snapshots: Vec<(SnapshotInfo, Vec<Vec<u8>>)>,
    /// A commit on its way for a long time: it arrives just before the first of the next epoch.
    late: Option<Commit>,
}

impl Log {
    fn next(&self) -> Position {
        self.commits.last().map_or(Position::new(1), |last| last.position.plus(last.commit.events()))
    }

    fn append(&mut self, epoch: Epoch, position: Position, commit: &Commit) -> Append {
        if epoch > self.epoch
            && let Some(late) = self.late.take()
        {
            let late = Recorded { position: self.next(), epoch: self.epoch, commit: late };
            self.commits.push(late);
        }
        let same = |stands: &Recorded| stands.position == position && stands.epoch == epoch && stands.commit == *commit;
        if self.commits.iter().any(same) {
            return Append::Committed;
        }
        if epoch < self.epoch || position != self.next() {
            return Append::Fenced;
        }
        self.epoch = epoch;
        self.commits.push(Recorded { position, epoch, commit: commit.clone() });
        Append::Committed
    }
}

impl Database {
    /// Everything that stands, with its epoch.
    pub fn commits(&self) -> Vec<Recorded> {
        self.log.lock().unwrap().commits.clone()
    }

    /// Lets go of everything below the newest snapshots, as a leader would.
    pub fn drop_below(&self, position: Position) {
        let mut log = self.log.lock().unwrap();
        log.dropped = log.dropped.max(position.get());
    }

    /// The database becomes what it was before this position stood, as a replica that was behind is.
    pub fn set_back(&self, position: Position) {
        self.log.lock().unwrap().commits.retain(|recorded| recorded.position < position);
    }

    /// A commit of the leader of now arrives just before the first one of the next leader.
    pub fn arrives_late(&self, commit: Commit) {
        self.log.lock().unwrap().late = Some(commit);
    }
}

/// One server's way to the database.
#[derive(Clone)]
pub struct Wire {
    pub database: Arc<Database>,
    /// Nothing comes through.
    pub cut: Arc<AtomicBool>,
    /// The register answers, and the log does not.
    pub log_cut: Arc<AtomicBool>,
    /// The log takes its time with what is appended.
    pub slow: Arc<Slow>,
    /// What was appended stands, and the answer takes its time.
    pub slow_to_answer: Arc<Slow>,
}

/// A disk that takes nothing for a while.
#[derive(Default)]
pub struct Slow {
    held: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Slow {
    /// From now on appends wait.
    pub fn hold(&self) {
        *self.held.lock().unwrap() = (true, false);
    }

    /// Waits until an append waits.
    pub fn holds_one(&self) {
        drop(self.changed.wait_while(self.held.lock().unwrap(), |(_, waits)| !*waits).unwrap());
    }

    pub fn let_go(&self) {
        *self.held.lock().unwrap() = (false, false);
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut held = self.held.lock().unwrap();
        held.1 = held.0;
        self.changed.notify_all();
        drop(self.changed.wait_while(held, |(held, _)| *held).unwrap());
    }
}

impl Wire {
    pub fn to(database: &Arc<Database>) -> Self {
        Self {
            database: Arc::clone(database),
            cut: Arc::default(),
            log_cut: Arc::default(),
            slow: Arc::default(),
            slow_to_answer: Arc::default(),
        }
    }

    fn check(&self) -> Result<(), JournalError> {
        if self.cut.load(Ordering::SeqCst) {
            let source = io::Error::new(io::ErrorKind::TimedOut, "the wire is cut");
            return Err(JournalError::Store { operation: "ask", place: "memory".into(), source });
        }
        Ok(())
    }
}

impl SharedStore for Wire {
    fn journal(&self) -> Result<Box<dyn Journal>, StoreError> {
        self.check()?;
        Ok(Box::new(self.clone()))
    }

    fn election(&self) -> Result<Box<dyn Election>, StoreError> {
        self.check()?;
        Ok(Box::new(self.clone()))
    }
}

impl Election for Wire {
    fn standing(&mut self) -> Result<Standing, JournalError> {
        self.check()?;
        Ok(self.database.standing.lock().unwrap().clone())
    }

    fn replace(&mut self, seen: &Standing, next: &Standing) -> Result<Replaced, JournalError> {
        self.check()?;
        let mut stands = self.database.standing.lock().unwrap();
        if *stands != *seen {
            return Ok(Replaced::No(stands.clone()));
        }
        *stands = next.clone();
        Ok(Replaced::Yes)
    }
}

impl Journal for Wire {
    fn tail(&mut self) -> Result<Tail, JournalError> {
        self.check()?;
        if self.log_cut.load(Ordering::SeqCst) {
            return Err(JournalError::Store {
                operation: "ask",
                place: "memory".into(),
                source: io::Error::new(io::ErrorKind::TimedOut, "the log does not answer"),
            });
        }
        let log = self.database.log.lock().unwrap();
        Ok(Tail { next: log.next(), first: Position::new(log.dropped.max(1)), epoch: log.epoch })
    }

    fn durability(&self) -> Durability {
        Durability::BeforeAck
    }

    fn reserve(&mut self, _: usize) -> Result<(), Refusal> {
        Ok(())
    }

    fn append(&mut self, epoch: Epoch, position: Position, commit: &Commit) -> Append {
        if let Err(error) = self.check() {
            return Append::Unknown(error);
        }
        self.slow.pass();
        let answer = self.database.log.lock().unwrap().append(epoch, position, commit);
        self.slow_to_answer.pass();
        answer
    }

    fn read(
        &self,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        self.check()?;
        let log = self.database.log.lock().unwrap();
        let first = Position::new(log.dropped.max(1));
        if from < first {
            return Err(JournalError::Dropped { asked: from, first });
        }
        let holds = |recorded: &&Recorded| recorded.position.plus(recorded.commit.events()) > from;
        let there: Vec<_> = log.commits.iter().filter(holds).cloned().map(Ok).collect();
        Ok(Box::new(there.into_iter()))
    }

    fn begin_snapshot(
        &mut self,
        epoch: Epoch,
        stream: &StreamName,
        at: Position,
    ) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        self.check()?;
        let info = SnapshotInfo { stream: stream.clone(), position: at, epoch, at: WallTime(0), bytes: 0 };
        Ok(Box::new(Writer { wire: self.clone(), info, rows: Vec::new(), done: false }))
    }

    fn snapshots(&self) -> Result<Vec<SnapshotInfo>, JournalError> {
        self.check()?;
        let log = self.database.log.lock().unwrap();
        let mut infos: Vec<_> = log.snapshots.iter().map(|(info, _)| info.clone()).collect();
        infos.sort_by_key(|info| (info.stream.clone(), std::cmp::Reverse(info.position)));
        Ok(infos)
    }

    fn read_snapshot(&self, snapshot: &SnapshotInfo) -> Result<SnapshotRows, JournalError> {
        self.check()?;
        let log = self.database.log.lock().unwrap();
        let rows = log.snapshots.iter().find(|(info, _)| info == snapshot).map(|(_, rows)| rows.clone());
        Ok(Box::new(rows.unwrap_or_default().into_iter().map(Ok)))
    }

    fn drop_snapshot(&mut self, snapshot: &SnapshotInfo) -> Result<(), JournalError> {
        self.check()?;
        self.database.log.lock().unwrap().snapshots.retain(|(info, _)| info != snapshot);
        Ok(())
    }

    fn trim(&mut self, position: Position, _: &[StreamName]) -> Result<(), JournalError> {
        self.check()?;
        self.database.drop_below(position);
        Ok(())
    }

    fn read_archive(
        &self,
        _: &StreamName,
        _: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        Ok(Box::new(std::iter::empty()))
    }

    fn trim_archive(&mut self, _: &StreamName, _: WallTime) -> Result<(), JournalError> {
        Ok(())
    }

    fn idle(&mut self) -> Result<(), JournalError> {
        self.check()
    }
}

struct Writer {
    wire: Wire,
    info: SnapshotInfo,
    rows: Vec<Vec<u8>>,
    done: bool,
}

impl SnapshotWriter for Writer {
    fn row(&mut self, row: Vec<u8>) {
        self.info.bytes += row.len() as u64;
        self.rows.push(row);
    }

    fn backlog(&self) -> usize {
        0
    }

    fn finish(&mut self) {
        self.done = true;
    }

    fn progress(&mut self) -> SnapshotProgress {
        if !self.done {
            return SnapshotProgress::Writing;
        }
        let whole = (self.info.clone(), std::mem::take(&mut self.rows));
        self.wire.database.log.lock().unwrap().snapshots.push(whole);
        SnapshotProgress::Done(self.info.clone())
    }
}
