//! The registry as rows: a header, then its pipelines, a slice at a time while it goes on.

use crate::course::Course;
use crate::limits::COUNT_MAX;
use crate::name::PipelineId;
use crate::pipeline::{Facts, Live, Pipeline};
use crate::reservation::{Reservation, Waiting};
use crate::resources::Resources;
use crate::rules::Rules;
use crate::state::Registry;
use capstan_ids::{Millis, Moment, WallTime};
use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Encode};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What is in no pipeline's row.
#[derive(Encode, Decode)]
struct Header {
    #[n(0)]
    rules: Rules,
    #[n(1)]
    queued: u64,
    #[n(2)]
    updated: WallTime,
    /// How many rows follow.
    #[n(3)]
    pipelines: u64,
    #[n(4)]
    reservations: Vec<HeldRow>,
    #[n(5)]
    waiting: Vec<WaitingRow>,
    /// Not in snapshots of the first version.
    #[n(6)]
    course: Option<Course>,
}

#[derive(Encode, Decode)]
struct HeldRow {
    #[n(0)]
    id: PipelineId,
    #[n(1)]
    resources: Resources,
    #[n(2)]
    ttl: Millis,
    #[n(3)]
    priority: i16,
    #[n(4)]
    since: WallTime,
}

#[derive(Encode, Decode)]
struct WaitingRow {
    #[n(0)]
    id: PipelineId,
    #[n(1)]
    resources: Resources,
    #[n(2)]
    ttl: Millis,
    #[n(3)]
    priority: i16,
    #[n(4)]
    patience: Millis,
    #[n(5)]
    since: WallTime,
    #[n(6)]
    number: u64,
}

#[derive(Encode, Decode)]
struct Row {
    #[n(0)]
    id: PipelineId,
    #[n(1)]
    facts: Facts,
}

/// A snapshot under way.
#[derive(Debug, Default)]
pub(crate) struct Snapshotting {
    /// The last pipeline whose row was given out.
    reached: Option<PipelineId>,
    /// Rows of pipelines beyond it that have changed since, as they were; none for those that were not there.
    kept: BTreeMap<PipelineId, Option<Vec<u8>>>,
}

/// What comes next of a snapshot.
#[derive(Debug, PartialEq, Eq)]
pub enum Slice {
    /// More rows.
    Rows(Vec<Vec<u8>>),
    /// That was all.
    Whole,
    /// There is none under way.
    Abandoned,
}

/// Rows that do not make a registry.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A row does not decode.
    #[error("row {row} of the registry's snapshot cannot be read")]
    Unreadable {
        /// Which, counted from 0.
        row: u64,
        /// Why not.
        source: DecodeError,
    },
    /// A row says what cannot be.
    #[error("row {row} of the registry's snapshot cannot be: {problem}")]
    Impossible {
        /// Which, counted from 0.
        row: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There are more rows or fewer than the header says.
    #[error("the registry's snapshot has {found} pipelines where its header says {expected}")]
    Incomplete {
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
}

impl Registry {
    /// Starts a snapshot of the registry as it is now, and answers its first row. Only one at a time: a second begins
    /// anew.
    pub fn begin_snapshot(&mut self) -> Vec<u8> {
        self.snapshotting = Some(Snapshotting::default());
        let reservations = self.reservations.iter().map(|(id, held)| HeldRow {
            id: id.clone(),
            resources: held.resources,
            ttl: held.ttl,
            priority: held.priority,
            since: held.since,
        });
        let waiting = self.waiting.iter().map(|(id, waiting)| WaitingRow {
            id: id.clone(),
            resources: waiting.resources,
            ttl: waiting.ttl,
            priority: waiting.priority,
            patience: waiting.patience,
            since: waiting.since,
            number: waiting.number,
        });
        let header = Header {
            rules: self.rules.clone(),
            queued: self.queued,
            updated: self.updated,
            pipelines: self.pipelines.len() as u64,
            reservations: reservations.collect(),
            waiting: waiting.collect(),
            course: Some(self.course),
        };
        minicbor::to_vec(header).expect("writing to a vector cannot fail")
    }

    /// The next rows of the snapshot, of at most `most` pipelines, as they were when it began.
    pub fn snapshot_slice(&mut self, most: usize) -> Slice {
        let Some(under_way) = &mut self.snapshotting else { return Slice::Abandoned };
        let from = under_way.reached.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.pipelines.range::<PipelineId, _>((from, Bound::Unbounded)).take(most.max(1));
        let mut rows = Vec::new();
        let mut reached = None;
        for (id, pipeline) in next {
            match under_way.kept.remove(id) {
                Some(as_it_was) => rows.extend(as_it_was),
                None => rows.push(row(id, &pipeline.facts)),
            }
            reached = Some(id);
        }
        if let Some(id) = reached {
            under_way.reached = Some(id.clone());
            return Slice::Rows(rows);
        }
        // What is left of those that have gone since.
        let gone: Vec<_> = std::mem::take(&mut under_way.kept).into_values().flatten().collect();
        if gone.is_empty() {
            self.snapshotting = None;
            return Slice::Whole;
        }
        Slice::Rows(gone)
    }

    /// Gives a snapshot up.
    pub fn abandon_snapshot(&mut self) {
        self.snapshotting = None;
    }

    /// Before a pipeline changes: its row as it is, if the snapshot has yet to come to it.
    pub(crate) fn keep_for_snapshot(&mut self, id: &PipelineId) {
        let Some(under_way) = &mut self.snapshotting else { return };
        let passed = under_way.reached.as_ref().is_some_and(|reached| id <= reached);
        if !passed && !under_way.kept.contains_key(id) {
            let as_it_is = self.pipelines.get(id).map(|pipeline| row(id, &pipeline.facts));
            under_way.kept.insert(id.clone(), as_it_is);
        }
    }

    /// Begins to read a registry back; its reservations begin their full term, and everybody was heard of `now`.
    pub fn restore(header: &[u8], now: Moment) -> Result<RegistryRestore, RestoreError> {
        let header: Header = minicbor::decode(header).map_err(|source| RestoreError::Unreadable { row: 0, source })?;
        header.check()?;
        let mut registry = Registry {
            rules: header.rules,
            queued: header.queued,
            updated: header.updated,
            course: header.course.unwrap_or_default(),
            ..Self::default()
        };
        for held in header.reservations {
            let reservation = Reservation {
                resources: held.resources,
                ttl: held.ttl,
                priority: held.priority,
                since: held.since,
                deadline: now.monotonic + held.ttl,
                expires: now.wall + held.ttl,
            };
            registry.reservations.insert(held.id, reservation);
        }
        for row in header.waiting {
            let waiting = Waiting {
                resources: row.resources,
                ttl: row.ttl,
                priority: row.priority,
                patience: row.patience,
                since: row.since,
                number: row.number,
                deadline: now.monotonic + row.patience,
                expires: now.wall + row.patience,
            };
            registry.waiting.insert(row.id, waiting);
        }
        Ok(RegistryRestore { registry, now, expected: header.pipelines, rows: 0 })
    }
}

fn row(id: &PipelineId, facts: &Facts) -> Vec<u8> {
    let row = Row { id: id.clone(), facts: facts.clone() };
    minicbor::to_vec(row).expect("writing to a vector cannot fail")
}

impl Header {
    fn check(&self) -> Result<(), RestoreError> {
        let impossible = |problem| Err(RestoreError::Impossible { row: 0, problem });
        // In the order of their ids, as they were written: so no id comes twice.
        if !self.reservations.is_sorted_by(|a, b| a.id < b.id) || !self.waiting.is_sorted_by(|a, b| a.id < b.id) {
            return impossible("its reservations are not in order");
        }
        let held = |id: &PipelineId| self.reservations.binary_search_by(|row| row.id.cmp(id)).is_ok();
        if self.waiting.iter().any(|row| row.number >= self.queued || held(&row.id)) {
            return impossible("somebody waits who holds room, or came before nobody");
        }
        if self.queued > COUNT_MAX {
            return impossible("more have waited than ever can");
        }
        Ok(())
    }
}

/// A registry being read back, row by row.
#[derive(Debug)]
pub struct RegistryRestore {
    registry: Registry,
    now: Moment,
    expected: u64,
    rows: u64,
}

impl RegistryRestore {
    /// Takes one pipeline's row.
    pub fn row(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.rows += 1;
        let row = self.rows;
        let impossible = |problem| Err(RestoreError::Impossible { row, problem });
        let Row { id, mut facts } =
            minicbor::decode(bytes).map_err(|source| RestoreError::Unreadable { row, source })?;
        if facts.ended.is_some() != facts.report.status.is_ended() {
            return impossible("its end and its status differ");
        }
        if facts.ended.is_some() && facts.stale.is_some() {
            return impossible("it has ended and is stale");
        }
        if facts.ended.is_some() {
            // Before its end was looked at, usage was taken from one that had ended.
            facts.used = Resources::ZERO;
        }
        let live = Live::begin(facts.used, self.now.monotonic, facts.updated);
        let before = self.registry.pipelines.insert(id, Box::new(Pipeline { facts, live }));
        if before.is_some() {
            return impossible("its pipeline had a row before");
        }
        Ok(())
    }

    /// All rows are there: everything is counted, and the registry stands.
    pub fn finish(mut self) -> Result<Registry, RestoreError> {
        let found = self.registry.pipelines.len() as u64;
        if found != self.expected {
            return Err(RestoreError::Incomplete { expected: self.expected, found });
        }
        self.registry.sum_up();
        // Where the snapshot does not say, since the last thing that it knows of.
        let (health, updated) = (self.registry.health(), self.registry.updated);
        self.registry.course.follow(health, updated);
        Ok(self.registry)
    }
}
