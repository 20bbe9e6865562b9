//! One entry: what the journal says of it, and what only memory knows.

use crate::cost::Cost;
use crate::limits::REPORT_EVERY;
use crate::name::{Labels, PipelineGroup, PipelineName};
use crate::resources::Resources;
use crate::rules::Rules;
use crate::status::PipelineStatus;
use capstan_ids::{Monotonic, WallTime};
use minicbor::{Decode, Encode};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pipeline {
    pub facts: Facts,
    pub live: Live,
}

/// What events made of it: the same after every replay, and what a snapshot keeps.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Facts {
    #[n(0)]
    pub name: PipelineName,
    #[n(1)]
    pub group: Option<PipelineGroup>,
    #[n(2)]
    pub priority: i16,
    #[n(3)]
    pub labels: Labels,
    #[n(4)]
    pub registered: WallTime,
    #[n(5)]
    pub updated: WallTime,
    #[n(6)]
    pub report: Report,
    #[n(7)]
    pub used: Resources,
    #[n(8)]
    pub cost: Cost,
    /// Up to when that has been charged. Never goes back, so that no time is charged twice.
    #[n(9)]
    pub charged: WallTime,
    /// Since when it has been silent.
    #[n(10)]
    pub stale: Option<WallTime>,
    /// When it ended, or was last heard of as ended.
    #[n(11)]
    pub ended: Option<WallTime>,
}

/// What it said of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Report {
    #[n(0)]
    pub status: PipelineStatus,
    #[n(1)]
    pub total_records: u64,
    #[n(2)]
    pub failed_records: u64,
    #[n(3)]
    pub bytes_moved: u64,
}

impl Report {
    pub const NEW: Self =
        Self { status: PipelineStatus::Configured, total_records: 0, failed_records: 0, bytes_moved: 0 };
}

/// What only memory knows; a new leader begins it anew.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Live {
    /// What it uses; differs from the facts while that is not journalled.
    pub used: Resources,
    /// When it was last heard of, by the clock that decides and by the one that is shown.
    pub heard: Monotonic,
    pub heard_at: WallTime,
    /// When its status was last journalled.
    pub status_at: Option<Monotonic>,
    /// When its usage was last journalled, or first left out.
    pub usage_at: Option<Monotonic>,
    /// The last report that waits for its second to end, and when that is.
    pub held: Option<(Monotonic, Report)>,
}

impl Live {
    pub fn begin(used: Resources, now: Monotonic, heard_at: WallTime) -> Self {
        Self { used, heard: now, heard_at, status_at: None, usage_at: None, held: None }
    }

    /// When a status may be journalled again: the end of the second that began with the last one.
    pub fn status_from(&self) -> Monotonic {
        self.status_at.map_or(Monotonic(0), |at| at + REPORT_EVERY)
    }

    /// When its usage may be journalled again, if there is room for it.
    pub fn usage_from(&self) -> Monotonic {
        self.usage_at.map_or(Monotonic(0), |at| at + REPORT_EVERY)
    }
}

impl Pipeline {
    pub fn is_ended(&self) -> bool {
        self.facts.report.status.is_ended()
    }

    /// Whether its silence is a sign of anything.
    pub fn is_watched(&self) -> bool {
        !self.is_ended() && self.facts.stale.is_none()
    }

    pub fn has_unjournalled_usage(&self) -> bool {
        self.live.used != self.facts.used
    }

    /// When it is silent for too long, if it may be.
    pub fn silent_from(&self, rules: &Rules) -> Option<Monotonic> {
        self.is_watched().then(|| self.live.heard + rules.stale_after)
    }

    /// When it has been kept long enough, if it is kept for a time only.
    pub fn leaves(&self, rules: &Rules) -> Option<WallTime> {
        self.facts.ended.or(self.facts.stale).map(|since| since + rules.keep_ended)
    }

    /// What it has cost up to a time.
    pub fn cost_until(&self, at: WallTime) -> Cost {
        let mut cost = self.facts.cost;
        if self.is_watched() {
            cost.charge(self.facts.used, at.since(self.facts.charged));
        }
        cost
    }
}

impl Facts {
    /// Charges what was used until now, before something of it changes.
    pub fn charge_until(&mut self, at: WallTime) {
        let time = at.since(self.charged);
        if self.stale.is_none() && !self.report.status.is_ended() {
            self.cost.charge(self.used, time);
        }
        // By the time that was charged, and not to `at`: what a millisecond leaves over is charged next time.
        self.charged = self.charged + time;
    }
}
