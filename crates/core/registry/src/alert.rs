//! Whom health wakes, and when: what there is to tell, as a decision over facts and time.
//!
//! | told last | health now | what is told |
//! |---|---|---|
//! | nothing wrong | degraded | warning |
//! | nothing wrong, degraded | critical | alert |
//! | critical | degraded | warning |
//! | degraded, critical | idle, healthy | resolved |
//! | critical | critical, still | alert again, every [`AlertPolicy::repeat`] |
//!
//! The rest is silence: idle and healthy are the same here, and degraded is not repeated.

use crate::course::Course;
use crate::health::Health;
use crate::limits::{ALERT_HOLD_MAX, ALERT_PIPELINES_MAX, ALERT_REPEAT_MAX, ALERT_REPEAT_MIN, ALERT_RESOLVED_FOR};
use crate::pipeline::Pipeline;
use crate::state::Registry;
use crate::status::PipelineStatus;
use crate::view::{PipelineView, SystemView};
use capstan_ids::{Millis, Moment, Monotonic, WallTime};
use std::fmt;

/// How urgent a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is wrong any more.
    Resolved,
    /// Health is degraded.
    Warning,
    /// Health is critical.
    Alert,
}

impl Severity {
    /// All of them, the least urgent first.
    pub const ALL: [Self; 3] = [Self::Resolved, Self::Warning, Self::Alert];

    /// How urgent it is to know of this health.
    pub const fn of(health: Health) -> Self {
        match health {
            Health::Idle | Health::Healthy => Self::Resolved,
            Health::Degraded => Self::Warning,
            Health::Critical => Self::Alert,
        }
    }

    /// As people and programs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Warning => "warning",
            Self::Alert => "alert",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// When health is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertPolicy {
    /// How long health must have been other than what was told last, without a break; 0 tells at once.
    pub hold: Millis,
    /// How often an alert is told again while health stays critical; none is never.
    pub repeat: Option<Millis>,
}

impl Default for AlertPolicy {
    /// Five seconds, so that a pipeline which is started again wakes nobody; every four hours.
    fn default() -> Self {
        Self { hold: Millis::secs(5), repeat: Some(Millis::secs(4 * 3_600)) }
    }
}

/// A policy that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Too long to be of use.
    #[error("health may be watched for at most {} s before it is told of, found {} s", most.get() / 1_000, found.get() / 1_000)]
    Hold {
        /// What was asked for.
        found: Millis,
        /// The most.
        most: Millis,
    },
    /// Too often, or too seldom to be of use.
    #[error("an alert is repeated every {} s to {} s, or never with 0, found {} s", least.get() / 1_000, most.get() / 1_000, found.get() / 1_000)]
    Repeat {
        /// What was asked for.
        found: Millis,
        /// The least.
        least: Millis,
        /// The most.
        most: Millis,
    },
}

impl AlertPolicy {
    /// A policy; `repeat` of 0 is never.
    pub fn new(hold: Millis, repeat: Millis) -> Result<Self, PolicyError> {
        if hold > ALERT_HOLD_MAX {
            return Err(PolicyError::Hold { found: hold, most: ALERT_HOLD_MAX });
        }
        if repeat == Millis::ZERO {
            return Ok(Self { hold, repeat: None });
        }
        if !(ALERT_REPEAT_MIN..=ALERT_REPEAT_MAX).contains(&repeat) {
            return Err(PolicyError::Repeat { found: repeat, least: ALERT_REPEAT_MIN, most: ALERT_REPEAT_MAX });
        }
        Ok(Self { hold, repeat: Some(repeat) })
    }
}

/// Something to tell: what health is, and what is behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The same under every leader, so that who is told twice can drop the second.
    pub id: String,
    /// How urgent it is.
    pub severity: Severity,
    /// Which reminder of the same this is; 0 for the first word.
    pub reminder: u64,
    /// Where health stands, since when, and where it stood before.
    pub course: Course,
    /// When this was decided.
    pub at: WallTime,
    /// All pipelines together.
    pub system: SystemView,
    /// The first of those that have failed or are stale, by id: at most [`ALERT_PIPELINES_MAX`].
    pub troubled: Vec<PipelineView>,
    /// How many there are of them.
    pub troubled_total: u64,
}

/// Decides when to tell. Plain data: a leader begins with one, and shows it the registry now and then.
#[derive(Clone, Copy, Debug)]
pub struct Alerting {
    policy: AlertPolicy,
    told: Told,
    /// Since when health is other than what was told, by the clock that never goes back.
    differs: Option<Monotonic>,
}

/// What was told last.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// None where the leader before may have told of trouble and not of its end: whatever health is, it is news.
    severity: Option<Severity>,
    at: Monotonic,
    reminder: u64,
}

/// What there is to tell, without what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Notice {
    severity: Severity,
    reminder: u64,
}

impl Alerting {
    /// Nothing was told by this leader yet. Trouble that lasts is told of anew, and so is the end of trouble that lasts or
    /// ended less than a day ago: nobody knows what the leader before got to say.
    pub fn begin(policy: AlertPolicy, course: &Course, now: Moment) -> Self {
        let over = course.health.is_well()
            && (course.trouble_since.is_none() || now.wall.since(course.since) >= ALERT_RESOLVED_FOR);
        let severity = over.then_some(Severity::Resolved);
        Self { policy, told: Told { severity, at: now.monotonic, reminder: 0 }, differs: None }
    }

    /// Looks at the registry; what is told from now on, if there is anything to tell.
    ///
    /// Costs next to nothing unless there is; then it looks through the pipelines until it has found enough of those
    /// that are in trouble.
    pub fn look(&mut self, registry: &Registry, now: Moment) -> Option<Alert> {
        let course = registry.course();
        let Notice { severity, reminder } = self.decide(&course, now)?;
        let system = registry.system();
        let troubled_total = system.count(PipelineStatus::Failed) + system.stale;
        let most = ALERT_PIPELINES_MAX.min(usize::try_from(troubled_total).unwrap_or(usize::MAX));
        let troubled = registry.pipelines.iter().filter(|(_, pipeline)| is_troubled(pipeline)).take(most);
        Some(Alert {
            id: id(severity, course.since, reminder),
            severity,
            reminder,
            course,
            at: now.wall,
            troubled: troubled.map(|(id, pipeline)| registry.view(id, pipeline, now.wall)).collect(),
            troubled_total,
            system,
        })
    }

    fn decide(&mut self, course: &Course, now: Moment) -> Option<Notice> {
        let severity = Severity::of(course.health);
        let first = if self.told.severity == Some(severity) {
            self.differs = None;
            let every = self.policy.repeat.filter(|_| severity == Severity::Alert)?;
            if now.monotonic.since(self.told.at) < every {
                return None;
            }
            self.told.reminder + 1
        } else {
            let since = *self.differs.get_or_insert(now.monotonic);
            if now.monotonic.since(since) < self.policy.hold {
                return None;
            }
            0
        };
        // Counted from when it began, so that the reminders of one leader go on where those of another ended.
        let passed = match self.policy.repeat {
            Some(every) if severity == Severity::Alert => now.wall.since(course.since).get() / every.get(),
            _ => 0,
        };
        let reminder = first.max(passed);
        self.told = Told { severity: Some(severity), at: now.monotonic, reminder };
        self.differs = None;
        Some(Notice { severity, reminder })
    }
}

fn is_troubled(pipeline: &Pipeline) -> bool {
    pipeline.facts.report.status == PipelineStatus::Failed || pipeline.facts.stale.is_some()
}

/// Made of facts alone: how urgent, since which event, which reminder.
fn id(severity: Severity, since: WallTime, reminder: u64) -> String {
    match reminder {
        0 => format!("{severity}-{}", since.micros()),
        _ => format!("{severity}-{}-{reminder}", since.micros()),
    }
}
