//! What is shown of the registry: copies of plain data, for whoever asks.

use crate::cost::Cost;
use crate::health::Health;
use crate::limits::PAGE_MAX;
use crate::name::{Labels, PipelineGroup, PipelineId, PipelineName};
use crate::pipeline::Pipeline;
use crate::rejection::Rejection;
use crate::resources::Resources;
use crate::state::Registry;
use crate::status::PipelineStatus;
use capstan_ids::{Millis, WallTime};
use std::ops::Bound;

/// One pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineView {
    /// Its id.
    pub id: PipelineId,
    /// What people call it.
    pub name: PipelineName,
    /// What it is listed under.
    pub group: Option<PipelineGroup>,
    /// Its place in the queue for room.
    pub priority: i16,
    /// What else is known of it.
    pub labels: Labels,
    /// What it last said it is doing.
    pub status: PipelineStatus,
    /// Since when it has been silent for too long; none if it is not.
    pub stale_since: Option<WallTime>,
    /// Records so far.
    pub total_records: u64,
    /// Records that failed.
    pub failed_records: u64,
    /// What it uses.
    pub used: Resources,
    /// What it has reserved.
    pub reserved: Option<Resources>,
    /// What it has cost so far.
    pub cost: Cost,
    /// When it became known.
    pub registered_at: WallTime,
    /// When it was last heard of.
    pub last_heartbeat: WallTime,
    /// When something of it last changed.
    pub updated_at: WallTime,
    /// When it ended.
    pub ended_at: Option<WallTime>,
}

/// All pipelines together.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemView {
    /// How they are doing.
    pub health: Health,
    /// How many there are.
    pub pipelines: u64,
    /// How many of each status.
    pub by_status: [(PipelineStatus, u64); 5],
    /// How many are silent for too long.
    pub stale: u64,
    /// How many count as failed: failed, and stale ones if the rules say so.
    pub failed: u64,
    /// What they use, exactly the sum.
    pub used: Resources,
    /// What there is room for, and how much is taken.
    pub availability: Availability,
    /// How many reservations are held.
    pub reservations: u64,
    /// When something last changed.
    pub updated_at: WallTime,
}

impl SystemView {
    /// How many there are of a status.
    pub fn count(&self, status: PipelineStatus) -> u64 {
        self.by_status[status as usize].1
    }
}

/// Whether there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Availability {
    /// Whether what was asked for fits; for nothing, whether the limits are kept.
    pub available: bool,
    /// What is free.
    pub free: Resources,
    /// What is taken: of each pipeline the larger of what it reserved and what it uses.
    pub claimed: Resources,
    /// How much there may be.
    pub limits: Resources,
    /// How many wait for room, and go first.
    pub waiting: u64,
}

/// Room that somebody holds or waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct ReservationView {
    /// For which pipeline.
    pub id: PipelineId,
    /// How much.
    pub resources: Resources,
    /// How long it is held without being renewed.
    pub ttl: Millis,
    /// Higher goes first.
    pub priority: i16,
    /// Since when.
    pub since: WallTime,
    /// When it ends by itself, as shown to people.
    pub expires: WallTime,
    /// How many go before it; none if it is held.
    pub ahead: Option<u64>,
}

impl ReservationView {
    /// Whether the room is there.
    pub fn is_held(&self) -> bool {
        self.ahead.is_none()
    }
}

/// Which pipelines to list, and which page of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Of this status only.
    pub status: Option<PipelineStatus>,
    /// Of this group only.
    pub group: Option<PipelineGroup>,
    /// Those after this one.
    pub after: Option<PipelineId>,
    /// At most so many, 1 to 1,000; none means 100.
    pub most: Option<u32>,
}

/// A page of a list, in the order of ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// What is on it.
    pub pipelines: Vec<PipelineView>,
    /// What the next page comes after; none if this is the last.
    pub next: Option<PipelineId>,
}

impl Registry {
    /// All pipelines together.
    pub fn system(&self) -> SystemView {
        let sums = &self.sums;
        SystemView {
            health: self.health(),
            pipelines: sums.pipelines(),
            by_status: PipelineStatus::ALL.map(|status| (status, sums.by_status[status as usize])),
            stale: sums.stale,
            failed: self.failed(),
            used: sums.used,
            availability: self.room_for(Resources::ZERO),
            reservations: self.reservations.len() as u64,
            updated_at: self.updated,
        }
    }

    /// How all of them together are doing.
    pub fn health(&self) -> Health {
        Health::of(self.sums.pipelines(), self.failed())
    }

    /// How many count as failed.
    fn failed(&self) -> u64 {
        let stale = if self.rules.stale_counts_as_failed { self.sums.stale } else { 0 };
        self.sums.by_status[PipelineStatus::Failed as usize] + stale
    }

    /// One pipeline as it is `now`.
    pub fn pipeline(&self, id: &PipelineId, now: WallTime) -> Option<PipelineView> {
        self.pipelines.get(id).map(|pipeline| self.view(id, pipeline, now))
    }

    /// A page of pipelines in the order of their ids. What comes and goes between two pages moves no other entry.
    pub fn list(&self, listing: &Listing, now: WallTime) -> Result<Page, Rejection> {
        let most = listing.most.unwrap_or(100);
        if !(1..=PAGE_MAX).contains(&most) {
            return Err(Rejection::OutOfRange { field: "limit", expected: "1 to 1000", found: most.to_string() });
        }
        let from = listing.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let wanted = |pipeline: &Pipeline| {
            listing.status.is_none_or(|status| pipeline.facts.report.status == status)
                && listing.group.as_ref().is_none_or(|group| pipeline.facts.group.as_ref() == Some(group))
        };
        let mut found =
            self.pipelines.range::<PipelineId, _>((from, Bound::Unbounded)).filter(|(_, pipeline)| wanted(pipeline));
        let pipelines: Vec<_> =
            found.by_ref().take(most as usize).map(|(id, pipeline)| self.view(id, pipeline, now)).collect();
        let next = found.next().and_then(|_| pipelines.last().map(|last| last.id.clone()));
        Ok(Page { pipelines, next })
    }

    /// Whether this would fit beside everything that is reserved or used. Takes nothing: only a reservation does.
    pub fn check_availability(&self, cpu_percent: f64, memory_mb: i64) -> Result<Availability, Rejection> {
        Ok(self.room_for(Resources::of_a_pipeline(cpu_percent, memory_mb)?))
    }

    /// The room that a pipeline holds or waits for.
    pub fn reservation(&self, id: &PipelineId) -> Option<ReservationView> {
        let held = self.reservations.get(id).map(|held| ReservationView {
            id: id.clone(),
            resources: held.resources,
            ttl: held.ttl,
            priority: held.priority,
            since: held.since,
            expires: held.expires,
            ahead: None,
        });
        held.or_else(|| {
            let waiting = self.waiting.get(id)?;
            Some(ReservationView {
                id: id.clone(),
                resources: waiting.resources,
                ttl: waiting.ttl,
                priority: waiting.priority,
                since: waiting.since,
                expires: waiting.expires,
                ahead: Some(self.sums.queue.range(..waiting.place(id)).count() as u64),
            })
        })
    }

    /// Everybody who waits for room, in the order in which they get it.
    pub fn queue(&self) -> Vec<ReservationView> {
        self.sums.queue.iter().filter_map(|(.., id)| self.reservation(id)).collect()
    }

    pub(crate) fn room_for(&self, asked: Resources) -> Availability {
        let (claimed, limits) = (self.sums.claimed, self.rules.limits);
        Availability {
            available: claimed.plus(asked).fits_in(limits),
            free: limits.minus(claimed),
            claimed,
            limits,
            waiting: self.waiting.len() as u64,
        }
    }

    pub(crate) fn view(&self, id: &PipelineId, pipeline: &Pipeline, now: WallTime) -> PipelineView {
        let (facts, live) = (&pipeline.facts, &pipeline.live);
        PipelineView {
            id: id.clone(),
            name: facts.name.clone(),
            group: facts.group.clone(),
            priority: facts.priority,
            labels: facts.labels.clone(),
            status: facts.report.status,
            stale_since: facts.stale,
            total_records: facts.report.total_records,
            failed_records: facts.report.failed_records,
            used: live.used,
            reserved: self.reservations.get(id).map(|held| held.resources),
            cost: pipeline.cost_until(now),
            registered_at: facts.registered,
            last_heartbeat: live.heard_at,
            updated_at: facts.updated,
            ended_at: facts.ended,
        }
    }
}
