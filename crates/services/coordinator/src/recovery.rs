//! From the journal to a state: the newest readable snapshot of each stream, then the events after it.

use crate::state::{State, StateEvent};
use crate::streams::{self, Streams, session_of};
use capstan_ids::{Epoch, Moment, Position, StreamName, WallTime};
use capstan_journal::{Entry, Journal, JournalError, SnapshotInfo, SnapshotRows, Tail};
use capstan_registry::Registry;
use capstan_work::{Event, RestoreError};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// Why a state could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An event is not one this version knows.
    #[error(
        "event at position {position} of stream {stream} cannot be read: {what}; it was written by another version, or is damaged"
    )]
    Event {
        /// Where it stands.
        position: Position,
        /// Whose it is.
        stream: StreamName,
        /// What is wrong with it.
        what: String,
    },
    /// What was read back breaks a promise.
    #[error("the state read back is not sound: {0}")]
    Unsound(String),
}

/// What was read back.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub state: State,
    pub streams: Streams,
    pub next: Position,
    pub epoch: Epoch,
    pub facts: Facts,
}

/// How it went, for the log.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub snapshots: u64,
    pub rows: u64,
    pub events: u64,
    pub took: Duration,
}

impl Facts {
    pub fn tell(&self, next: Position) {
        tracing::info!(
            snapshots = self.snapshots,
            rows = self.rows,
            events = self.events,
            milliseconds = self.took.as_millis() as u64,
            position = %next,
            "state read back"
        );
    }
}

/// A snapshot that could not be read, known by what it is of and where it stands.
type Unreadable = BTreeSet<(StreamName, Position)>;

/// Reads everything back; leases begin their full term `now`.
pub(crate) fn recover(journal: &mut dyn Journal, now: Moment) -> Result<Recovered, RecoveryError> {
    let began = Instant::now();
    let mut reading = Reading::begin(journal, now)?;
    reading.advance(journal, now)?;
    let mut recovered = reading.end(journal, now)?;
    recovered.facts.took = began.elapsed();
    Ok(recovered)
}

/// Whether the store is away for a moment: that says nothing of what it holds.
pub(crate) fn may_pass(error: &JournalError) -> bool {
    use std::io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected, TimedOut,
    };
    match error {
        JournalError::Away { .. } => true,
        JournalError::Store { source, .. } => matches!(
            source.kind(),
            TimedOut | ConnectionReset | ConnectionAborted | ConnectionRefused | NotConnected | BrokenPipe
        ),
        _ => false,
    }
}

/// The newest snapshot that can be read and that the log goes on from.
fn choose<'a>(
    stream: &StreamName,
    infos: &'a [SnapshotInfo],
    unreadable: &Unreadable,
    tail: Tail,
) -> Result<Option<&'a SnapshotInfo>, RecoveryError> {
    let newest = infos.last().map(|info| info.position);
    let readable = infos.iter().rev().find(|info| !unreadable.contains(&(stream.clone(), info.position)));
    // Behind the newest one nothing was dropped that it does not hold. Behind an older one something may have been.
    match readable {
        Some(info) if Some(info.position) == newest || info.position.plus(1) >= tail.first => Ok(Some(info)),
        None if session_of(stream).is_some() || tail.first == Position::new(1) => Ok(None),
        _ => {
            let what =
                format!("no snapshot of {stream} can be read that the log goes on from, at position {}", tail.first);
            Err(RecoveryError::Unsound(what))
        }
    }
}

/// A state being read back, by a server that starts or by a standby that follows the log.
#[derive(Default)]
pub(crate) struct Reading {
    state: State,
    streams: Streams,
    now: Moment,
    facts: Facts,
    /// The position that is read next.
    next: Position,
    epoch: Epoch,
    /// The first position of the log, when the reading began.
    first: Position,
    /// Up to where snapshots hold the events of their streams.
    covered: HashMap<StreamName, Position>,
    /// Sessions that were opened in the log.
    opened: HashSet<StreamName>,
    /// Sessions whose beginning the log no longer has, and whether the last event seen of each was of its end.
    ///
    /// When a session is gone, its snapshots go first, and the end of its events leaves the log some time later.
    headless: BTreeMap<StreamName, bool>,
    /// Sessions with no readable snapshot, and no beginning in the log so far.
    lost: BTreeSet<StreamName>,
}

impl Reading {
    /// Reads the snapshots.
    pub fn begin(journal: &mut dyn Journal, now: Moment) -> Result<Self, RecoveryError> {
        let mut unreadable = Unreadable::new();
        loop {
            // What was read of a snapshot before it failed is in the state already: that one is thrown away.
            if let Some(reading) = Self::snapshots(journal, now, &mut unreadable)? {
                return Ok(reading);
            }
        }
    }

    /// Reads the snapshots, unless one more of them turns out to be unreadable.
    fn snapshots(
        journal: &mut dyn Journal,
        now: Moment,
        unreadable: &mut Unreadable,
    ) -> Result<Option<Self>, RecoveryError> {
        let tail = journal.tail()?;
        let mut reading = Self { now, next: tail.first, first: tail.first, epoch: tail.epoch, ..Self::default() };
        for (stream, mut infos) in by_stream(journal)? {
            infos.sort_unstable_by_key(|info| info.position);
            if let Some(info) = choose(&stream, &infos, unreadable, tail)? {
                match restore(journal, info, &mut reading.state, now) {
                    Ok(rows) => {
                        reading.facts.snapshots += 1;
                        reading.facts.rows += rows;
                        reading.covered.insert(stream, info.position);
                    }
                    Err(RecoveryError::Journal(error)) if may_pass(&error) => return Err(error.into()),
                    Err(error) => {
                        // An older one, and the events since then, make the same state.
                        tracing::warn!(%stream, position = %info.position, %error, "snapshot passed over");
                        unreadable.insert((stream, info.position));
                        return Ok(None);
                    }
                }
            } else if tail.first > Position::new(1) {
                reading.lost.insert(stream);
            }
            for info in &infos {
                reading.streams.finish(info, None);
            }
        }
        Ok(Some(reading))
    }

    /// Reads on up to the end of the log as it is now, and says where that is.
    pub fn advance(&mut self, journal: &mut dyn Journal, now: Moment) -> Result<Position, RecoveryError> {
        self.now = now;
        let tail = journal.tail()?;
        self.epoch = self.epoch.max(tail.epoch);
        if tail.next <= self.next {
            return Ok(tail.next);
        }
        for recorded in journal.read(self.next)? {
            let recorded = recorded?;
            for entry in recorded.commit.entries(recorded.position) {
                self.entry(&entry, recorded.commit.at())?;
            }
            self.streams.count(recorded.position, &recorded.commit);
            self.next = recorded.position.plus(recorded.commit.events());
            self.epoch = self.epoch.max(recorded.epoch);
        }
        // After a restore the log ends far behind its last commit.
        self.next = self.next.max(tail.next);
        Ok(self.next)
    }

    /// The highest epoch that the log has seen.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The position that is read next.
    pub fn next(&self) -> Position {
        self.next
    }

    /// The latest time in what was read.
    pub fn newest_wall(&self) -> WallTime {
        self.streams.newest_wall()
    }

    /// What was read becomes a state to go on with; leases begin their full term `now`.
    pub fn end(mut self, journal: &dyn Journal, now: Moment) -> Result<Recovered, RecoveryError> {
        // A standby has seen none of the snapshots that the leader took meanwhile, nor which of them went.
        self.streams.snapshots_are(&by_stream(journal)?);
        self.now = now;
        self.finish()
    }

    fn entry(&mut self, entry: &Entry<'_>, at: WallTime) -> Result<(), RecoveryError> {
        let covered = self.covered.get(entry.stream);
        if covered.is_some_and(|position| entry.position <= *position) {
            return Ok(());
        }
        let has_beginning = covered.is_some() || self.opened.contains(entry.stream);
        let event = StateEvent::decode(entry.stream, entry.event).map_err(|what| RecoveryError::Event {
            position: entry.position,
            stream: entry.stream.clone(),
            what,
        })?;
        if let StateEvent::Work(Some(_), event) = &event
            && !has_beginning
        {
            if !matches!(event, Event::SessionOpened { .. }) {
                let ends = matches!(event, Event::SessionDeleted | Event::GhostEnded { .. });
                self.headless.insert(entry.stream.clone(), ends);
                return Ok(());
            }
            if self.headless.get(entry.stream) != Some(&false) {
                self.headless.remove(entry.stream);
            }
            self.lost.remove(entry.stream);
            self.opened.insert(entry.stream.clone());
        }
        self.state.apply(entry.position, Moment { monotonic: self.now.monotonic, wall: at }, &event);
        self.facts.events += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<Recovered, RecoveryError> {
        let headless = self.headless.iter().find(|(_, ended)| !**ended).map(|(stream, _)| stream);
        let ended = |stream: &&StreamName| !self.headless.contains_key(*stream);
        if let Some(stream) = headless.or_else(|| self.lost.iter().find(ended)) {
            let what = format!(
                "{stream} goes on in a log that begins at position {}, and no snapshot of it can be read",
                self.first
            );
            return Err(RecoveryError::Unsound(what));
        }
        // The last journalled renewal may have shortened a lease that one in memory made long again.
        self.state.work.restart_terms(self.now.monotonic);
        self.state.registry.restart_liveness(self.now);
        if cfg!(debug_assertions) {
            self.state.check().map_err(RecoveryError::Unsound)?;
        }
        let Self { state, streams, facts, next, epoch, .. } = self;
        Ok(Recovered { state, streams, next, epoch, facts })
    }
}

fn by_stream(journal: &dyn Journal) -> Result<BTreeMap<StreamName, Vec<SnapshotInfo>>, JournalError> {
    let mut by_stream: BTreeMap<StreamName, Vec<SnapshotInfo>> = BTreeMap::new();
    for info in journal.snapshots()? {
        by_stream.entry(info.stream.clone()).or_default().push(info);
    }
    Ok(by_stream)
}

fn restore(journal: &dyn Journal, info: &SnapshotInfo, state: &mut State, now: Moment) -> Result<u64, RecoveryError> {
    let unreadable = |e: RestoreError| RecoveryError::Unsound(e.to_string());
    let mut rows = journal.read_snapshot(info)?;
    if info.stream.as_str() == streams::JOBS {
        // Without a job there is no row.
        let all = rows.collect::<Result<Vec<_>, _>>()?;
        let count = all.len() as u64;
        state.jobs = capstan_migration::Jobs::restore(all).map_err(|e| RecoveryError::Unsound(e.to_string()))?;
        return Ok(count);
    }
    if info.stream.as_str() == streams::REGISTRY {
        return restore_registry(rows, state, now);
    }
    let Some(header) = rows.next().transpose()? else {
        return Err(RecoveryError::Unsound(format!("the snapshot of {} has no rows", info.stream)));
    };
    if info.stream.as_str() == streams::WORK {
        state.work.restore_shared(&header).map_err(unreadable)?;
        return Ok(1);
    }
    let mut session = state.work.restore_session(&header, now.monotonic).map_err(unreadable)?;
    let mut count = 1;
    for row in rows {
        session.row(&row?).map_err(unreadable)?;
        count += 1;
    }
    session.finish();
    Ok(count)
}

fn restore_registry(mut rows: SnapshotRows, state: &mut State, now: Moment) -> Result<u64, RecoveryError> {
    let unreadable = |e: capstan_registry::RestoreError| RecoveryError::Unsound(e.to_string());
    let Some(header) = rows.next().transpose()? else {
        return Err(RecoveryError::Unsound("the snapshot of the registry has no rows".into()));
    };
    let mut registry = Registry::restore(&header, now).map_err(unreadable)?;
    let mut count = 1;
    for row in rows {
        registry.row(&row?).map_err(unreadable)?;
        count += 1;
    }
    state.registry = registry.finish().map_err(unreadable)?;
    Ok(count)
}

/// The wall clock never goes back behind what stands in the log.
pub(crate) fn not_before(now: WallTime, log: WallTime) -> WallTime {
    now.max(log)
}
