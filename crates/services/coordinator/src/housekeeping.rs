//! Snapshots, a slice between two flushes, and letting go of what they cover.

use crate::state::State;
use crate::status::Status;
use crate::streams::{self, Streams, session_of};
use capstan_ids::{Epoch, Millis, Moment, Monotonic, Position, SessionName, StreamName, WallTime};
use capstan_journal::retention::{self, LogFacts, StreamPolicy};
use capstan_journal::{Journal, JournalError, SnapshotProgress, SnapshotWriter};
use capstan_work::Slice;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::Ordering;

/// Items of one slice: about a quarter of a millisecond.
const SLICE: u64 = 256;
/// Rows that may wait for the disk before slicing pauses.
const BACKLOG_MAX: usize = 8 << 20;
/// So much log may gather while a backup is taken; beyond that it is let go of, and the backup is overtaken.
const BACKED_UP_MAX: u64 = 4 << 30;
/// How often it is asked whether anything is due.
const EVERY: Millis = Millis(1_000);

/// What is kept of the log, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// A session is snapshotted after so many events, when they outweigh its last snapshot.
    pub session_every: u64,
    /// How many snapshots of each stream are kept.
    pub keep: usize,
    /// The registry is snapshotted after so many events, when they outweigh its last snapshot.
    pub registry_every: u64,
    /// How many snapshots of the registry are kept, beside one at the edge of its audit retention.
    pub registry_keep: usize,
    /// How long every event of the registry is kept to be read.
    pub registry_audit: Millis,
    /// Bytes of log that one stream may hold back before it is snapshotted whatever its count.
    pub held_back_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            session_every: 100_000,
            keep: 2,
            registry_every: 50,
            registry_keep: 2,
            registry_audit: Millis::secs(30 * 86_400),
            held_back_max: 256 << 20,
        }
    }
}

/// A snapshot under way.
struct Snapshot {
    stream: StreamName,
    session: Option<SessionName>,
    position: Position,
    writer: Box<dyn SnapshotWriter>,
    /// Rows that were made at once and wait for the writer to keep up.
    rows: VecDeque<Vec<u8>>,
    sliced: bool,
}

/// How late it is for what is let go of by age.
///
/// No later than the log says, and the time that has passed since: a machine whose clock is days ahead must not destroy
/// what is kept for days. What a server was down for is waited for once more.
#[derive(Clone, Copy, Debug)]
struct Age {
    newest: WallTime,
    since: Monotonic,
}

impl Age {
    /// `newest` is the latest time in the log that this leadership began with.
    fn begin(newest: WallTime, now: Moment) -> Self {
        // An empty log keeps nothing yet.
        let newest = if newest == WallTime::default() { now.wall } else { newest };
        Self { newest, since: now.monotonic }
    }

    fn at(self, now: Moment) -> WallTime {
        now.wall.min(self.newest + now.monotonic.since(self.since))
    }
}

/// Keeps the log short while the owner goes on with its work.
pub(crate) struct Housekeeping {
    retention: Retention,
    age: Age,
    next_look: Monotonic,
    due: VecDeque<StreamName>,
    now: Option<Snapshot>,
    /// How far the log is being trimmed, and how far it is.
    trimming: Option<(Position, Position)>,
    /// What the log had when it was last looked at.
    log_bytes: u64,
    /// The streams whose events go to their archives as the log is trimmed.
    audited: Vec<StreamName>,
    /// Something was finished that may allow more.
    look_again: bool,
    /// Removed items are being freed, a little at a time.
    freeing: bool,
}

/// What it may touch, between two batches.
pub(crate) struct House<'a> {
    pub state: &'a mut State,
    pub journal: &'a mut dyn Journal,
    pub streams: &'a mut Streams,
    pub status: &'a Status,
    pub epoch: Epoch,
    pub durable: Position,
    pub now: Moment,
}

impl Housekeeping {
    /// For a leadership that began with a log whose latest time is `newest`.
    pub fn new(retention: Retention, newest: WallTime, now: Moment) -> Self {
        Self {
            retention,
            age: Age::begin(newest, now),
            next_look: Monotonic(0),
            due: VecDeque::new(),
            now: None,
            trimming: None,
            log_bytes: 0,
            audited: Vec::new(),
            look_again: false,
            freeing: false,
        }
    }

    /// Whether a backup still has to read what could be let go of.
    fn is_held(&self, status: &Status) -> bool {
        status.is_backed_up() && self.log_bytes < BACKED_UP_MAX
    }

    /// What is older may no longer be kept to be read.
    pub fn audit_edge(&self, now: Moment) -> WallTime {
        retention::edge(self.age.at(now), self.retention.registry_audit)
    }

    /// Whether there is a step to take at once.
    pub fn is_busy(&self) -> bool {
        self.now.is_some() || !self.due.is_empty() || self.trimming.is_some() || self.look_again || self.freeing
    }

    /// The state was read again: what was being saved of the old one is void, unless all of it was saved.
    pub fn abandon(&mut self) {
        self.now = self.now.take().filter(|snapshot| snapshot.sliced);
        self.due.clear();
        self.trimming = None;
    }

    /// One small step.
    pub fn step(&mut self, mut house: House<'_>) {
        self.freeing = house.state.work.free_removed();
        if let Some(snapshot) = self.now.take() {
            self.now = self.advance(snapshot, &mut house);
        } else if self.is_held(house.status) && self.trimming.is_some() {
            // It goes on where the next look finds that the log begins.
            self.trimming = None;
        } else if let Some((from, to)) = self.trimming.take() {
            self.trimming = trim(from, to, &self.audited, &mut house);
        } else if let Some(stream) = self.due.pop_front() {
            self.now = begin(&stream, &mut house);
        } else if self.look_again || house.now.monotonic >= self.next_look {
            self.look_again = false;
            self.next_look = house.now.monotonic + EVERY;
            self.look(&mut house);
        }
    }

    fn advance(&mut self, mut snapshot: Snapshot, house: &mut House<'_>) -> Option<Snapshot> {
        if !snapshot.sliced {
            while let Some(row) = snapshot.rows.pop_front() {
                snapshot.writer.row(row);
                if snapshot.writer.backlog() > BACKLOG_MAX {
                    break;
                }
            }
            if snapshot.writer.backlog() > BACKLOG_MAX {
                return Some(snapshot);
            }
            let slice = match &snapshot.session {
                Some(session) => house.state.work.snapshot_slice(session, SLICE),
                None if snapshot.stream == house.streams.registry => {
                    match house.state.registry.snapshot_slice(SLICE as usize) {
                        capstan_registry::Slice::Rows(rows) => Slice::Rows(rows),
                        capstan_registry::Slice::Whole => Slice::Whole,
                        capstan_registry::Slice::Abandoned => Slice::Abandoned,
                    }
                }
                None => Slice::Whole,
            };
            match slice {
                Slice::Rows(rows) => rows.into_iter().for_each(|row| snapshot.writer.row(row)),
                Slice::Whole => {
                    snapshot.writer.finish();
                    snapshot.sliced = true;
                }
                // What was being saved is gone; dropping the writer leaves nothing behind.
                Slice::Abandoned => {
                    house.streams.give_up(&snapshot.stream);
                    return None;
                }
            }
        }
        match snapshot.writer.progress() {
            SnapshotProgress::Writing => Some(snapshot),
            SnapshotProgress::Done(info) => {
                // The first event after it: anything the stream got since it began, at the earliest the next position.
                let after = house.streams.any_since_begin(&snapshot.stream).then(|| snapshot.position.plus(1));
                house.streams.finish(&info, after);
                house.status.snapshots.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(stream = %info.stream, position = %info.position, bytes = info.bytes, "snapshot finished");
                self.look_again = true;
                None
            }
            SnapshotProgress::Failed(error) => {
                tracing::warn!(stream = %snapshot.stream, %error, "snapshot failed; the older ones stand");
                house.status.snapshots_failed.fetch_add(1, Ordering::Relaxed);
                house.streams.give_up(&snapshot.stream);
                abandon(&snapshot.stream, house);
                None
            }
        }
    }

    /// Asks what is due, and lets go of what is no longer needed.
    fn look(&mut self, house: &mut House<'_>) {
        let tail = match house.journal.tail() {
            Ok(tail) => tail,
            Err(error) => return tracing::warn!(%error, "the journal does not say where it ends"),
        };
        self.log_bytes = house.streams.log_bytes(tail.first);
        let held = self.is_held(house.status);
        if !held {
            self.forget_gone_sessions(house);
        }
        let retention = self.retention;
        let registry = house.streams.registry.clone();
        let facts = house.streams.facts(|stream| match *stream == registry {
            true => StreamPolicy {
                snapshot_every: retention.registry_every,
                keep: retention.registry_keep,
                audit: Some(retention.registry_audit),
            },
            false => StreamPolicy { snapshot_every: retention.session_every, keep: retention.keep, audit: None },
        });
        let log = LogFacts {
            first: tail.first,
            next: tail.next,
            bytes: self.log_bytes,
            held_back_max: retention.held_back_max,
            now: self.age.at(house.now),
        };
        let plan = retention::plan(&log, &facts);
        self.due = plan.snapshot.into();
        if held {
            return;
        }
        for (stream, position) in plan.drop {
            drop_snapshots(house, &stream, |at| at == position);
        }
        for (stream, before) in plan.audited.iter().filter_map(|(stream, before)| Some((stream, (*before)?))) {
            if let Err(error) = house.journal.trim_archive(stream, before) {
                tracing::warn!(%stream, %error, "the archive could not be trimmed; it will be tried again");
            }
        }
        self.audited = plan.audited.into_iter().map(|(stream, _)| stream).collect();
        self.trimming = (plan.trim > tail.first).then_some((tail.first, plan.trim));
    }

    /// Snapshots of sessions that are no more must be gone before the log lets go of their end.
    fn forget_gone_sessions(&mut self, house: &mut House<'_>) {
        let work = &house.state.work;
        let is_known = |stream: &&StreamName| session_of(stream).is_none_or(|session| work.has_session(&session));
        let mut gone: Vec<StreamName> = house.streams.names().filter(|stream| !is_known(stream)).cloned().collect();
        if gone.is_empty() {
            return;
        }
        // One that is deleted is there for as long as leases of it count.
        let there: BTreeSet<StreamName> = work.session_names().iter().map(StreamName::session).collect();
        gone.retain(|stream| !there.contains(stream));
        for stream in gone {
            if drop_snapshots(house, &stream, |_| true) {
                house.streams.forget(&stream);
            }
        }
    }
}

/// Trims the log a step of the way, for a file takes its time to go; how far it is and has to go.
fn trim(from: Position, to: Position, audited: &[StreamName], house: &mut House<'_>) -> Option<(Position, Position)> {
    let step = house.streams.next_mark(from).unwrap_or(to).min(to);
    match house.journal.trim(step, audited).and_then(|()| house.journal.tail()) {
        Ok(tail) => house.streams.trimmed(tail.first),
        Err(error) => {
            tracing::warn!(%error, "the log could not be trimmed; it will be tried again");
            return None;
        }
    }
    (step < to).then_some((step, to))
}

fn begin(stream: &StreamName, house: &mut House<'_>) -> Option<Snapshot> {
    let session = session_of(stream);
    let rows = match &session {
        Some(session) => vec![house.state.work.begin_snapshot(session)?],
        None if stream.as_str() == streams::WORK => vec![house.state.work.shared_row()],
        None if stream.as_str() == streams::JOBS => house.state.jobs.snapshot(),
        None if stream.as_str() == streams::REGISTRY => vec![house.state.registry.begin_snapshot()],
        None => return None,
    };
    let position = house.durable;
    match house.journal.begin_snapshot(house.epoch, stream, position) {
        Ok(writer) => {
            house.streams.begin(stream);
            Some(Snapshot { stream: stream.clone(), session, position, writer, rows: rows.into(), sliced: false })
        }
        Err(error) => {
            tracing::warn!(%stream, %error, "snapshot could not begin");
            abandon(stream, house);
            None
        }
    }
}

/// The state need not keep apart any longer what a snapshot would have saved.
fn abandon(stream: &StreamName, house: &mut House<'_>) {
    match session_of(stream) {
        Some(session) => house.state.work.abandon_snapshot(&session),
        None if *stream == house.streams.registry => house.state.registry.abandon_snapshot(),
        None => {}
    }
}

/// Drops a stream's snapshots at some positions; true if all of them went.
fn drop_snapshots(house: &mut House<'_>, stream: &StreamName, which: impl Fn(Position) -> bool) -> bool {
    let drop_all = |journal: &mut dyn Journal| -> Result<Vec<Position>, JournalError> {
        let mut infos = journal.snapshots()?;
        infos.retain(|info| info.stream == *stream && which(info.position));
        // The newest goes last: the log goes on from it, whenever this is cut short.
        infos.sort_unstable_by_key(|info| info.position);
        let mut dropped = Vec::new();
        for info in &infos {
            journal.drop_snapshot(info)?;
            dropped.push(info.position);
        }
        Ok(dropped)
    };
    match drop_all(house.journal) {
        Ok(dropped) => {
            dropped.into_iter().for_each(|position| house.streams.dropped(stream, position));
            true
        }
        Err(error) => {
            tracing::warn!(%stream, %error, "a snapshot could not be dropped; it will be tried again");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Millis = Millis::secs(86_400);
    const NOW: WallTime = WallTime(1_790_000_000_000_000);

    fn after(time: Millis, wall: WallTime) -> Moment {
        Moment { monotonic: Monotonic(7_000) + time, wall }
    }

    #[test]
    fn a_clock_that_is_days_ahead_makes_nothing_old() {
        let ahead = NOW + Millis(31 * DAY.get());
        let age = Age::begin(NOW, after(Millis(0), ahead));
        assert_eq!(age.at(after(Millis(0), ahead)), NOW);
        // It jumps while the server runs.
        let age = Age::begin(NOW, after(Millis(0), NOW));
        assert_eq!(age.at(after(Millis::secs(5), ahead)), NOW + Millis::secs(5));
    }

    #[test]
    fn things_grow_old_with_the_time_that_passes() {
        let age = Age::begin(NOW, after(Millis(0), NOW));
        let later = Millis(31 * DAY.get());
        assert_eq!(age.at(after(later, NOW + later)), NOW + later);
        // The times in the log were ahead, and this machine knows better.
        let age = Age::begin(NOW + later, after(Millis(0), NOW));
        assert_eq!(age.at(after(Millis::secs(5), NOW + Millis::secs(5))), NOW + Millis::secs(5));
    }

    #[test]
    fn an_empty_log_begins_with_the_time_of_the_machine() {
        let age = Age::begin(WallTime::default(), after(Millis(0), NOW));
        assert_eq!(age.at(after(DAY, NOW + DAY)), NOW + DAY);
    }
}
