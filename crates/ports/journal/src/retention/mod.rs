//! What to snapshot, what to drop, and how far the log may be trimmed: decided from facts, done by the owner.
//!
//! # Invariants
//! - R1 The log keeps every event that comes after the oldest of the snapshots a stream is recovered from, and every
//!   event of a stream that has none.
//! - R2 Of every stream the newest snapshots are kept, as many as its policy says. Where there is an audit retention,
//!   the newest that is older than it is kept too, so that any moment inside it can be replayed.
//! - R3 A snapshot is due after so many events *and* when they outweigh the last one. A stream that holds the log back
//!   by more than the limit is due whatever its count, unless its newest snapshot stands at the end already.
//!
//! Knows neither clocks nor files: times and sizes come in with the facts.

use capstan_ids::{Millis, Position, StreamName, WallTime};

#[cfg(test)]
mod tests;

/// What is wanted of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPolicy {
    /// A snapshot may be due after so many events; 0 counts as 1.
    pub snapshot_every: u64,
    /// From how many snapshots it can be recovered; 0 counts as 1.
    pub keep: usize,
    /// How far back past states can be replayed; none if that is not wanted.
    pub audit: Option<Millis>,
}

/// A whole snapshot of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotFacts {
    /// The last position in it.
    pub position: Position,
    /// When the commit at that position was made.
    pub at: WallTime,
    /// Its size.
    pub bytes: u64,
    /// The stream's first event after it, if there is one.
    pub first_after: Option<Position>,
}

/// What is known of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFacts {
    /// Which one.
    pub stream: StreamName,
    /// What is wanted of it.
    pub policy: StreamPolicy,
    /// Its first event that the log holds, if there is one.
    pub first: Option<Position>,
    /// How many events came since its newest snapshot.
    pub events_since: u64,
    /// How many bytes those have.
    pub bytes_since: u64,
    /// Its whole snapshots, in any order.
    pub snapshots: Vec<SnapshotFacts>,
    /// Whether one more is being written.
    pub writing: bool,
}

/// What is known of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFacts {
    /// The first position that can be read.
    pub first: Position,
    /// The position that the next event takes.
    pub next: Position,
    /// The size of the log in bytes.
    pub bytes: u64,
    /// How many bytes of it one stream may hold back before it is snapshotted whatever its count. What lies behind a
    /// position is estimated from its share of the positions.
    pub held_back_max: u64,
    /// Now, on the clock that stamps commits.
    pub now: WallTime,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The streams to snapshot now; the one that holds the log back furthest comes first.
    pub snapshot: Vec<StreamName>,
    /// The snapshots that are no longer needed.
    pub drop: Vec<(StreamName, Position)>,
    /// The log may be trimmed up to here.
    pub trim: Position,
    /// The streams whose events go to their archives then, and before what time those need not be kept.
    pub audited: Vec<(StreamName, Option<WallTime>)>,
}

/// An audit retention keeps a snapshot for each such part of it. With the one at its edge alone, there would be none
/// to take that one's place as time goes on, and archives would grow without end.
const AUDIT_STEPS: i64 = 8;

/// Decides what retention does now. Every stream with events or snapshots must be among `streams`.
pub fn plan(log: &LogFacts, streams: &[StreamFacts]) -> Plan {
    let mut plan = Plan { snapshot: Vec::new(), drop: Vec::new(), trim: log.next, audited: Vec::new() };
    let mut due = Vec::new();
    for facts in streams {
        let newest_first = newest_first(&facts.snapshots);
        let keep = facts.policy.keep.max(1);
        let needed = needed_from(facts, newest_first.iter().take(keep)).unwrap_or(log.next);
        if is_due(log, facts, newest_first.first(), needed) {
            due.push((needed, &facts.stream));
        }
        plan.trim = plan.trim.min(needed);

        let edge = facts.policy.audit.map(|audit| edge(log.now, audit));
        let at_the_edge = edge.and_then(|edge| newest_first.iter().position(|s| s.at <= edge));
        let older = newest_first.get(keep..).unwrap_or_default();
        let stones = edge.map_or_else(Vec::new, |edge| stepping_stones(&newest_first, edge, at_the_edge, log.now));
        for snapshot in older.iter().filter(|s| !stones.contains(&s.position)) {
            plan.drop.push((facts.stream.clone(), snapshot.position));
        }
        if edge.is_some() {
            plan.audited.push((facts.stream.clone(), at_the_edge.map(|index| newest_first[index].at)));
        }
    }
    due.sort();
    plan.snapshot = due.into_iter().map(|(_, stream)| stream.clone()).collect();
    plan
}

fn newest_first(snapshots: &[SnapshotFacts]) -> Vec<SnapshotFacts> {
    let mut sorted = snapshots.to_vec();
    sorted.sort_by_key(|s| std::cmp::Reverse(s.position));
    sorted
}

/// R1: the first event that recovering a stream from any of `kept` reads.
fn needed_from<'a>(facts: &StreamFacts, kept: impl Iterator<Item = &'a SnapshotFacts>) -> Option<Position> {
    match kept.last() {
        Some(oldest) => oldest.first_after,
        None => facts.first,
    }
}

/// R3.
fn is_due(log: &LogFacts, facts: &StreamFacts, newest: Option<&SnapshotFacts>, needed: Position) -> bool {
    if facts.writing || newest.is_some_and(|s| s.position.plus(1) >= log.next) {
        return false;
    }
    let many = facts.events_since >= facts.policy.snapshot_every.max(1);
    let heavy = facts.bytes_since >= newest.map_or(0, |s| s.bytes);
    (many && heavy) || bytes_from(log, needed) > log.held_back_max
}

/// About how much of the log lies at and behind `position`.
fn bytes_from(log: &LogFacts, position: Position) -> u64 {
    let positions = log.next.get().saturating_sub(log.first.get()).max(1);
    let behind = log.next.get().saturating_sub(position.get()).min(positions);
    (u128::from(log.bytes) * u128::from(behind) / u128::from(positions)) as u64
}

/// The moment that an audit retention reaches back to.
pub fn edge(now: WallTime, audit: Millis) -> WallTime {
    let micros = i64::try_from(audit.get().saturating_mul(1_000)).unwrap_or(i64::MAX);
    WallTime(now.micros().saturating_sub(micros))
}

/// R2: the snapshot at the edge, and from there on those without which a step would be longer than its part.
fn stepping_stones(
    newest_first: &[SnapshotFacts],
    edge: WallTime,
    at_the_edge: Option<usize>,
    now: WallTime,
) -> Vec<Position> {
    let step = now.micros().saturating_sub(edge.micros()) / AUDIT_STEPS;
    let mut stones: Vec<Position> = at_the_edge.map(|index| newest_first[index].position).into_iter().collect();
    let mut stands_at = at_the_edge.map_or(edge, |index| newest_first[index].at);
    let inside = &newest_first[..at_the_edge.unwrap_or(newest_first.len())];
    for pair in inside.windows(2).rev() {
        let (newer, this) = (&pair[0], &pair[1]);
        if newer.at.micros().saturating_sub(stands_at.micros()) > step {
            stones.push(this.position);
            stands_at = this.at;
        }
    }
    stones
}
