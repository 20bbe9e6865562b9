//! The whole registry, and what is counted of it.

use crate::course::Course;
use crate::limits::{REPORT_EVERY, THINNED_USAGE_EVERY, USAGE_EVENTS_MAX};
use crate::name::PipelineId;
use crate::pipeline::{Live, Pipeline};
use crate::reservation::{Place, Reservation, Waiting};
use crate::resources::Resources;
use crate::rules::Rules;
use crate::snapshot::Snapshotting;
use capstan_ids::{Moment, Monotonic, WallTime};
use std::collections::{BTreeMap, BTreeSet};

/// The whole state of the registry: what [`Registry::decide`] reads and [`Registry::apply`] writes.
#[derive(Debug, Default)]
pub struct Registry {
    pub(crate) rules: Rules,
    pub(crate) pipelines: BTreeMap<PipelineId, Box<Pipeline>>,
    pub(crate) reservations: BTreeMap<PipelineId, Reservation>,
    pub(crate) waiting: BTreeMap<PipelineId, Waiting>,
    /// How many have ever waited.
    pub(crate) queued: u64,
    pub(crate) updated: WallTime,
    pub(crate) course: Course,
    pub(crate) sums: Sums,
    pub(crate) window: UsageWindow,
    pub(crate) snapshotting: Option<Snapshotting>,
}

/// What follows from the entries: kept beside them, so that nothing is searched for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    /// Pipelines by status, in the order of [`crate::PipelineStatus::ALL`].
    pub by_status: [u64; 5],
    pub stale: u64,
    /// What all pipelines use.
    pub used: Resources,
    /// What counts in admission: of each pipeline the larger of what it reserved and what it uses.
    pub claimed: Resources,
    /// What is due by the monotonic clock.
    pub alarms: BTreeSet<(Monotonic, Due)>,
    /// Pipelines that are kept until a time by the wall clock.
    pub leaving: BTreeSet<(WallTime, PipelineId)>,
    /// Pipelines whose usage only memory has, by when it was last journalled.
    pub unjournalled: BTreeSet<(Monotonic, PipelineId)>,
    pub queue: BTreeSet<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A report that was held is to be journalled.
    Held(PipelineId),
    /// A pipeline has been silent for too long.
    Silence(PipelineId),
    /// A reservation runs out.
    Lapse(PipelineId),
    /// A wait for room ends.
    Patience(PipelineId),
}

/// How many usage events there were in the second that began with the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct UsageWindow {
    start: Monotonic,
    events: u32,
}

impl UsageWindow {
    /// How many more it takes.
    pub fn room(self, now: Monotonic) -> u32 {
        if now.since(self.start) >= REPORT_EVERY {
            USAGE_EVENTS_MAX
        } else {
            USAGE_EVENTS_MAX.saturating_sub(self.events)
        }
    }

    pub fn count(&mut self, now: Monotonic) {
        if now.since(self.start) >= REPORT_EVERY {
            *self = Self { start: now, events: 0 };
        }
        self.events = self.events.saturating_add(1);
    }

    fn takes_more_from(self) -> Monotonic {
        if self.events < USAGE_EVENTS_MAX { Monotonic(0) } else { self.start + REPORT_EVERY }
    }
}

impl Registry {
    /// No pipelines, and the default rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rules as they are.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How health has come to be what it is.
    pub fn course(&self) -> Course {
        self.course
    }

    /// When [`crate::Command::Tick`] has something to do next, by the monotonic clock.
    pub fn next_alarm(&self) -> Option<Monotonic> {
        if self.next_admitted().is_some() {
            return Some(Monotonic(0));
        }
        let alarm = self.sums.alarms.first().map(|(at, _)| *at);
        let usage = self.sums.unjournalled.first().map(|(at, _)| {
            let in_turn = (*at + REPORT_EVERY).max(self.window.takes_more_from());
            in_turn.min(*at + THINNED_USAGE_EVERY)
        });
        alarm.into_iter().chain(usage).min()
    }

    /// When it has something to do next, by the wall clock.
    pub fn next_leaving(&self) -> Option<WallTime> {
        self.sums.leaving.first().map(|(at, _)| *at)
    }

    /// Whether reports are held for their second, which [`crate::Command::Settle`] records.
    pub fn holds_reports(&self) -> bool {
        self.sums.alarms.iter().any(|(_, due)| matches!(due, Due::Held(_)))
    }

    /// Whether anything is due.
    pub fn is_due(&self, now: Moment) -> bool {
        self.next_alarm().is_some_and(|at| at <= now.monotonic) || self.next_leaving().is_some_and(|at| at <= now.wall)
    }

    /// Counts `now` as everybody's heartbeat and begins every reservation and every wait at its full term.
    ///
    /// What a new leader does once it has read the journal: it does not know how much of them had passed, and a change
    /// of leader takes nothing from anyone. A pipeline that is marked stale stays so until it is heard of.
    pub fn restart_liveness(&mut self, now: Moment) {
        for id in self.ids() {
            self.withdraw(&id);
            if let Some(pipeline) = self.pipelines.get_mut(&id) {
                let heard_at = if pipeline.is_watched() { now.wall } else { pipeline.live.heard_at };
                pipeline.live = Live::begin(pipeline.facts.used, now.monotonic, heard_at);
            }
            if let Some(held) = self.reservations.get_mut(&id) {
                held.deadline = now.monotonic + held.ttl;
                held.expires = now.wall + held.ttl;
            }
            if let Some(waiting) = self.waiting.get_mut(&id) {
                waiting.deadline = now.monotonic + waiting.patience;
                waiting.expires = now.wall + waiting.patience;
            }
            self.enlist(&id);
        }
        self.window = UsageWindow::default();
    }

    /// Every id that anything is known of.
    pub(crate) fn ids(&self) -> Vec<PipelineId> {
        let ids: BTreeSet<_> =
            self.pipelines.keys().chain(self.reservations.keys()).chain(self.waiting.keys()).collect();
        ids.into_iter().cloned().collect()
    }

    pub(crate) fn used_by(&self, id: &PipelineId) -> Resources {
        self.pipelines.get(id).map_or(Resources::ZERO, |pipeline| pipeline.live.used)
    }

    /// What a pipeline counts in admission: the larger of what it reserved and what it uses.
    pub(crate) fn claim_of(&self, id: &PipelineId) -> Resources {
        let reserved = self.reservations.get(id).map_or(Resources::ZERO, |held| held.resources);
        reserved.larger(self.used_by(id))
    }

    /// Takes everything that is counted of an id out of the sums. Whatever changes it does so between this and
    /// [`enlist`](Self::enlist), so that no change can forget a sum.
    pub(crate) fn withdraw(&mut self, id: &PipelineId) {
        let part = self.part_of(id);
        let sums = &mut self.sums;
        for (sum, part) in sums.by_status.iter_mut().zip(part.by_status) {
            *sum -= part;
        }
        sums.stale -= part.stale;
        sums.used = sums.used.minus(part.used);
        sums.claimed = sums.claimed.minus(part.claimed);
        part.alarms.iter().for_each(|alarm| _ = sums.alarms.remove(alarm));
        part.leaving.iter().for_each(|leaving| _ = sums.leaving.remove(leaving));
        part.unjournalled.iter().for_each(|usage| _ = sums.unjournalled.remove(usage));
        part.queue.iter().for_each(|place| _ = sums.queue.remove(place));
    }

    /// Puts everything that is counted of an id into the sums.
    pub(crate) fn enlist(&mut self, id: &PipelineId) {
        let part = self.part_of(id);
        self.sums.add(part);
    }

    /// What an id adds to the sums.
    pub(crate) fn part_of(&self, id: &PipelineId) -> Sums {
        let mut part = Sums { claimed: self.claim_of(id), used: self.used_by(id), ..Sums::default() };
        if let Some(pipeline) = self.pipelines.get(id) {
            part.by_status[pipeline.facts.report.status as usize] = 1;
            part.stale = u64::from(pipeline.facts.stale.is_some());
            part.alarms.extend(pipeline.silent_from(&self.rules).map(|at| (at, Due::Silence(id.clone()))));
            part.alarms.extend(pipeline.live.held.map(|(until, _)| (until, Due::Held(id.clone()))));
            part.leaving.extend(pipeline.leaves(&self.rules).map(|at| (at, id.clone())));
            if pipeline.has_unjournalled_usage() {
                part.unjournalled.insert((pipeline.live.usage_at.unwrap_or_default(), id.clone()));
            }
        }
        part.alarms.extend(self.reservations.get(id).map(|held| (held.deadline, Due::Lapse(id.clone()))));
        if let Some(waiting) = self.waiting.get(id) {
            part.alarms.insert((waiting.deadline, Due::Patience(id.clone())));
            part.queue.insert(waiting.place(id));
        }
        part
    }
}

impl Sums {
    pub fn add(&mut self, part: Self) {
        for (sum, part) in self.by_status.iter_mut().zip(part.by_status) {
            *sum += part;
        }
        self.stale += part.stale;
        self.used = self.used.plus(part.used);
        self.claimed = self.claimed.plus(part.claimed);
        self.alarms.extend(part.alarms);
        self.leaving.extend(part.leaving);
        self.unjournalled.extend(part.unjournalled);
        self.queue.extend(part.queue);
    }

    pub fn pipelines(&self) -> u64 {
        self.by_status.iter().sum()
    }
}
