//! From the journal to a state: the newest readable snapshot of each stream, then the events after it.

use crate::state::{State, StateEvent};
use crate::streams::{self, Streams};
use capstan_ids::{Moment, Position, StreamName, WallTime};
use capstan_journal::{Journal, JournalError, SnapshotInfo};
use capstan_work::RestoreError;
use std::collections::BTreeMap;
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
pub(crate) struct Recovered {
    pub state: State,
    pub streams: Streams,
    pub next: Position,
    pub epoch: capstan_ids::Epoch,
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

/// Reads everything back; leases begin their full term `now`.
pub(crate) fn recover(journal: &mut dyn Journal, now: Moment) -> Result<Recovered, RecoveryError> {
    let began = Instant::now();
    let tail = journal.tail()?;
    let mut state = State::default();
    let mut streams = Streams::default();
    let mut facts = Facts::default();
    let mut covered: BTreeMap<StreamName, Position> = BTreeMap::new();
    let mut by_stream: BTreeMap<StreamName, Vec<SnapshotInfo>> = BTreeMap::new();
    for info in journal.snapshots()? {
        by_stream.entry(info.stream.clone()).or_default().push(info);
    }
    for (stream, mut infos) in by_stream {
        infos.sort_unstable_by_key(|info| std::cmp::Reverse(info.position));
        for info in &infos {
            match restore(journal, info, &mut state, now) {
                Ok(rows) => {
                    facts.snapshots += 1;
                    facts.rows += rows;
                    covered.insert(stream.clone(), info.position);
                    break;
                }
                // An older one and the events since then make the same state.
                Err(error) => tracing::warn!(%stream, position = %info.position, %error, "snapshot passed over"),
            }
        }
        if !covered.contains_key(&stream) && tail.first > Position::new(1) {
            let what = format!("no snapshot of {stream} can be read, and the log before position {} is gone", tail.first);
            return Err(RecoveryError::Unsound(what));
        }
        for info in infos.iter().rev() {
            streams.finish(info, None);
        }
    }
    if tail.next > tail.first {
        for recorded in journal.read(tail.first)? {
            let recorded = recorded?;
            for entry in recorded.commit.entries(recorded.position) {
                if covered.get(entry.stream).is_none_or(|position| entry.position > *position) {
                    let moment = Moment { monotonic: now.monotonic, wall: recorded.commit.at() };
                    apply(&mut state, entry, moment)?;
                    facts.events += 1;
                }
            }
            streams.count(recorded.position, &recorded.commit);
        }
    }
    if cfg!(debug_assertions) {
        state.check().map_err(RecoveryError::Unsound)?;
    }
    facts.took = began.elapsed();
    Ok(Recovered { state, streams, next: tail.next, epoch: tail.epoch, facts })
}

fn apply(state: &mut State, entry: capstan_journal::Entry<'_>, moment: Moment) -> Result<(), RecoveryError> {
    let event = StateEvent::decode(entry.stream, entry.event).map_err(|what| RecoveryError::Event {
        position: entry.position,
        stream: entry.stream.clone(),
        what,
    })?;
    state.apply(entry.position, moment, &event);
    Ok(())
}

fn restore(journal: &dyn Journal, info: &SnapshotInfo, state: &mut State, now: Moment) -> Result<u64, RecoveryError> {
    let unreadable = |e: RestoreError| RecoveryError::Unsound(e.to_string());
    let mut rows = journal.read_snapshot(info)?;
    let Some(header) = rows.next().transpose()? else {
        return Err(RecoveryError::Unsound(format!("the snapshot of {} has no rows", info.stream)));
    };
    let mut count = 1;
    match info.stream.as_str() {
        streams::WORK => state.work.restore_shared(&header).map_err(unreadable)?,
        streams::JOBS => {
            let mut all = vec![header];
            for row in rows {
                all.push(row?);
            }
            count = all.len() as u64;
            state.jobs = capstan_migration::Jobs::restore(all).map_err(|e| RecoveryError::Unsound(e.to_string()))?;
        }
        _ => {
            let mut session = state.work.restore_session(&header, now.monotonic).map_err(unreadable)?;
            for row in rows {
                session.row(&row?).map_err(unreadable)?;
                count += 1;
            }
            session.finish();
        }
    }
    Ok(count)
}

/// The wall clock never goes back behind what stands in the log.
pub(crate) fn not_before(now: WallTime, log: WallTime) -> WallTime {
    now.max(log)
}
