//! What an operator can set, also while everything runs.

use crate::limits::{KEEP_ENDED_MAX, KEEP_ENDED_MIN, STALE_AFTER_MAX, STALE_AFTER_MIN};
use crate::rejection::Rejection;
use crate::resources::{Cpu, Resources};
use capstan_ids::Millis;
use minicbor::{Decode, Encode};

/// The registry's rules.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Rules {
    /// How much all pipelines together may claim; what is equal still fits.
    #[n(0)]
    pub limits: Resources,
    /// How long a pipeline that has not ended may be silent.
    #[n(1)]
    pub stale_after: Millis,
    /// Whether a stale pipeline counts as failed in the health of the whole.
    #[n(2)]
    pub stale_counts_as_failed: bool,
    /// How long a stopped, failed or stale pipeline is kept, from its last change on, by the wall clock.
    #[n(3)]
    pub keep_ended: Millis,
}

impl Default for Rules {
    /// The seed's limits of 80 % CPU and 80,000 MB, 90 s of silence, a week for what has ended.
    fn default() -> Self {
        Self {
            limits: Resources { cpu: Cpu::percent(80), memory_mb: 80_000 },
            stale_after: Millis::secs(90),
            stale_counts_as_failed: true,
            keep_ended: Millis::secs(7 * 86_400),
        }
    }
}

/// Changes to the rules: only what is named.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesChange {
    /// The most CPU of all pipelines, in percent.
    pub cpu_percent_max: Option<f64>,
    /// The most memory of all pipelines, in MB.
    pub memory_mb_max: Option<i64>,
    /// See [`Rules::stale_after`].
    pub stale_after: Option<Millis>,
    /// See [`Rules::stale_counts_as_failed`].
    pub stale_counts_as_failed: Option<bool>,
    /// See [`Rules::keep_ended`].
    pub keep_ended: Option<Millis>,
    /// Only while the rules are these: of two who change them at once, one is told so.
    pub only_if: Option<Rules>,
}

impl RulesChange {
    /// The rules after this change; refused whole if any part of it is out of range.
    pub(crate) fn applied_to(&self, rules: &Rules) -> Result<Rules, Rejection> {
        if self.only_if.as_ref().is_some_and(|expected| expected != rules) {
            return Err(Rejection::RulesDiffer);
        }
        let mut changed = rules.clone();
        if let Some(percent) = self.cpu_percent_max {
            changed.limits.cpu = Resources::cpu_limit(percent)?;
        }
        if let Some(memory_mb) = self.memory_mb_max {
            changed.limits.memory_mb = Resources::memory_limit(memory_mb)?;
        }
        if let Some(silence) = self.stale_after {
            changed.stale_after = within(silence, STALE_AFTER_MIN, STALE_AFTER_MAX, "stale_after", "2 s to 7 days")?;
        }
        if let Some(counts) = self.stale_counts_as_failed {
            changed.stale_counts_as_failed = counts;
        }
        if let Some(keep) = self.keep_ended {
            changed.keep_ended = within(keep, KEEP_ENDED_MIN, KEEP_ENDED_MAX, "keep_ended", "1 s to 10 years")?;
        }
        Ok(changed)
    }
}

/// Refuses a length of time that is out of its range.
pub(crate) fn within(
    length: Millis,
    least: Millis,
    most: Millis,
    field: &'static str,
    expected: &'static str,
) -> Result<Millis, Rejection> {
    if (least..=most).contains(&length) {
        return Ok(length);
    }
    Err(Rejection::OutOfRange { field, expected, found: format!("{} ms", length.get()) })
}
