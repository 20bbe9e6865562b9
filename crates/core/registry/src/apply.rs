//! What an event does to the state. Cannot fail: what stands in the journal has happened.

use crate::cost::Cost;
use crate::event::Event;
use crate::name::PipelineId;
use crate::pipeline::{Facts, Live, Pipeline, Report};
use crate::reservation::{Reservation, Waiting};
use crate::resources::Resources;
use crate::rules::Rules;
use crate::state::{Registry, Sums};
use capstan_ids::{Moment, Monotonic, WallTime};

impl Registry {
    /// Makes an event true. On replay `now` is the time of the replay, for deadlines alone: when something happened is
    /// in the event.
    pub fn apply(&mut self, now: Moment, event: &Event) {
        if event.is_durable() {
            self.updated = self.updated.max(event.at().unwrap_or_default());
            if let Some(id) = event.pipeline() {
                self.keep_for_snapshot(id);
            }
        }
        match event.pipeline() {
            Some(id) => {
                self.withdraw(id);
                self.change(now, id, event);
                self.enlist(id);
            }
            None => {
                if let Event::LimitsChanged { rules, .. } = event {
                    self.change_rules(rules);
                }
            }
        }
        if let Some(at) = event.at() {
            let health = self.health();
            self.course.follow(health, at);
        }
    }

    /// When silence is too long and who leaves is by the rules: where those change, all alarms are set anew.
    fn change_rules(&mut self, rules: &Rules) {
        let times = |rules: &Rules| (rules.stale_after, rules.keep_ended);
        let before = std::mem::replace(&mut self.rules, rules.clone());
        if times(&before) != times(rules) {
            self.sum_up();
        }
    }

    /// Counts everything from nothing.
    pub(crate) fn sum_up(&mut self) {
        self.sums = Sums::default();
        for id in self.ids() {
            self.enlist(&id);
        }
    }

    fn change(&mut self, now: Moment, id: &PipelineId, event: &Event) {
        match event {
            Event::PipelineRegistered { at, name, group, priority, labels, .. } => {
                let facts = Facts {
                    name: name.clone(),
                    group: group.clone(),
                    priority: *priority,
                    labels: labels.clone(),
                    registered: *at,
                    updated: *at,
                    report: Report::NEW,
                    used: Resources::ZERO,
                    cost: Cost::default(),
                    charged: *at,
                    stale: None,
                    ended: None,
                };
                let live = Live::begin(Resources::ZERO, now.monotonic, *at);
                self.pipelines.insert(id.clone(), Box::new(Pipeline { facts, live }));
            }
            Event::PipelineUnregistered { .. } => drop(self.pipelines.remove(id)),
            Event::Reserved { at, resources, ttl, priority, .. } => {
                self.waiting.remove(id);
                let reservation = Reservation {
                    resources: *resources,
                    ttl: *ttl,
                    priority: *priority,
                    since: *at,
                    deadline: now.monotonic + *ttl,
                    expires: now.wall + *ttl,
                };
                self.reservations.insert(id.clone(), reservation);
            }
            Event::Released { .. } => drop(self.reservations.remove(id)),
            Event::ReservationQueued { at, resources, ttl, priority, patience, .. } => {
                self.reservations.remove(id);
                let waiting = Waiting {
                    resources: *resources,
                    ttl: *ttl,
                    priority: *priority,
                    patience: *patience,
                    since: *at,
                    number: self.queued,
                    deadline: now.monotonic + *patience,
                    expires: now.wall + *patience,
                };
                self.queued += 1;
                self.waiting.insert(id.clone(), waiting);
            }
            Event::ReservationDropped { .. } => drop(self.waiting.remove(id)),
            Event::ReservationRenewed { .. } => {
                if let Some(held) = self.reservations.get_mut(id) {
                    held.deadline = now.monotonic + held.ttl;
                    held.expires = now.wall + held.ttl;
                }
            }
            _ => self.report(now, id, event),
        }
    }

    /// What a pipeline's own reports do, if it is known.
    fn report(&mut self, now: Moment, id: &PipelineId, event: &Event) {
        let Some(pipeline) = self.pipelines.get_mut(id) else { return };
        let (facts, live) = (&mut pipeline.facts, &mut pipeline.live);
        match event {
            Event::PipelineStatusUpdated { at, status, total_records, failed_records, bytes_moved, .. } => {
                let report = Report {
                    status: *status,
                    total_records: *total_records,
                    failed_records: *failed_records,
                    bytes_moved: *bytes_moved,
                };
                pipeline.take(report, *at, now.monotonic);
            }
            // Before its end was looked at, usage was journalled after it.
            Event::ResourceUsageReported { .. } | Event::UsageSeen { .. } if facts.report.status.is_ended() => {}
            Event::ResourceUsageReported { at, used, .. } => {
                facts.charge_until(*at);
                facts.used = *used;
                facts.updated = *at;
                live.used = *used;
                live.usage_at = Some(now.monotonic);
                live.heard_at = live.heard_at.max(*at);
                self.window.count(now.monotonic);
            }
            Event::MarkedStale { at, .. } if !facts.report.status.is_ended() => {
                facts.charge_until(*at);
                facts.stale = Some(*at);
                facts.updated = *at;
            }
            Event::MarkedLive { at, .. } => {
                // Charged while stale: nothing.
                facts.charge_until(*at);
                facts.stale = None;
                facts.updated = *at;
            }
            Event::HeartbeatSeen { at, .. } => {
                live.heard = now.monotonic;
                live.heard_at = *at;
            }
            Event::StatusHeld { status, total_records, failed_records, bytes_moved, .. } => {
                let report = Report {
                    status: *status,
                    total_records: *total_records,
                    failed_records: *failed_records,
                    bytes_moved: *bytes_moved,
                };
                live.held = Some((live.status_from(), report));
            }
            Event::UsageSeen { used, .. } => {
                live.used = *used;
                live.usage_at.get_or_insert(now.monotonic);
            }
            _ => {}
        }
    }
}

impl Pipeline {
    /// Its newest report becomes a fact.
    pub(crate) fn take(&mut self, report: Report, at: WallTime, now: Monotonic) {
        self.facts.take(report, at);
        let live = &mut self.live;
        if report.status.is_ended() {
            // What has ended uses nothing, whatever it said last.
            live.used = Resources::ZERO;
        }
        live.status_at = Some(now);
        live.held = None;
        live.heard_at = live.heard_at.max(at);
    }
}

impl Facts {
    fn take(&mut self, report: Report, at: WallTime) {
        self.charge_until(at);
        self.cost.move_bytes(self.report.bytes_moved, report.bytes_moved);
        self.report = report;
        self.updated = at;
        self.ended = report.status.is_ended().then_some(at);
        if self.ended.is_some() {
            self.used = Resources::ZERO;
            self.stale = None;
        }
    }
}
