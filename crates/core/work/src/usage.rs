//! What workers use of their machines, told on of the sessions they work for.

use crate::session::Mode;
use crate::state::WorkState;
use capstan_ids::{SessionName, WorkerId};
use minicbor::{Decode, Encode};
use std::collections::{BTreeMap, HashMap};

/// The most memory that one worker can say it uses, in MB.
const MEMORY_MB_MAX: u64 = 100_000_000;

/// What a worker uses: whole numbers, so that shares of it add up to it exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Usage {
    /// CPU in thousandths of a percent of its machine.
    #[n(0)]
    cpu: u64,
    /// Memory in MB.
    #[n(1)]
    memory_mb: u64,
}

/// A figure that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}, found {found}")]
pub struct UsageError {
    /// Which.
    pub field: &'static str,
    /// What it may be.
    pub expected: &'static str,
    /// What came.
    pub found: String,
}

impl Usage {
    /// What was measured: CPU in percent of the whole machine, 0 to 100, and memory in MB, 0 to 100,000,000. What is no
    /// number, negative or larger is refused.
    pub fn new(cpu_percent: f64, memory_mb: u64) -> Result<Self, UsageError> {
        if !(0.0..=100.0).contains(&cpu_percent) {
            let (field, expected) = ("cpu_percent", "0 to 100");
            return Err(UsageError { field, expected, found: cpu_percent.to_string() });
        }
        if memory_mb > MEMORY_MB_MAX {
            let (field, expected) = ("memory_mb", "0 to 100,000,000");
            return Err(UsageError { field, expected, found: memory_mb.to_string() });
        }
        Ok(Self { cpu: (cpu_percent * 1_000.0).round() as u64, memory_mb })
    }

    /// CPU in percent; of several workers together it may be more than 100.
    pub fn cpu_percent(self) -> f64 {
        self.cpu as f64 / 1_000.0
    }

    /// Memory in MB.
    pub fn memory_mb(self) -> u64 {
        self.memory_mb
    }

    /// The share of so many leases of all, those before them having had theirs: however it is cut, nothing is lost.
    fn share(self, before: u64, leases: u64, all: u64) -> Self {
        let part = |figure: u64| figure * (before + leases) / all - figure * before / all;
        Self { cpu: part(self.cpu), memory_mb: part(self.memory_mb) }
    }

    fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, memory_mb: self.memory_mb + other.memory_mb }
    }
}

impl WorkState {
    /// What the workers of each session use for it: what each of them uses, divided by the leases it holds. Sessions
    /// that nobody who says it works for are left out. Takes time in proportion to the workers of all sessions.
    pub fn usage_by_session(&self) -> BTreeMap<SessionName, Usage> {
        let slots = &self.shared.slots;
        let mut holders: HashMap<&WorkerId, (Usage, u64)> = HashMap::new();
        let mut held = Vec::new();
        for session in self.sessions.values().filter(|session| session.mode != Mode::Deleted) {
            for (worker, record) in session.workers.iter().filter(|(_, record)| record.held > 0) {
                let Some(usage) = slots.usage_of(worker) else { continue };
                let leases = u64::from(record.held);
                holders.entry(worker).or_insert((usage, 0)).1 += leases;
                held.push((&session.name, worker, leases));
            }
        }
        let mut given: HashMap<&WorkerId, u64> = HashMap::new();
        let mut shares: BTreeMap<SessionName, Usage> = BTreeMap::new();
        for (session, worker, leases) in held {
            let (usage, all) = holders[worker];
            let before = given.entry(worker).or_default();
            let share = usage.share(*before, leases, all);
            *before += leases;
            let sum = shares.entry(session.clone()).or_default();
            *sum = sum.plus(share);
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_figure_is_refused() {
        for cpu in [f64::NAN, f64::INFINITY, -0.1, 100.1] {
            assert_eq!(Usage::new(cpu, 1).unwrap_err().field, "cpu_percent", "{cpu}");
        }
        assert_eq!(Usage::new(1.0, u64::MAX).unwrap_err().field, "memory_mb");
        assert_eq!(Usage::new(12.3456, 7).map(|usage| (usage.cpu_percent(), usage.memory_mb())), Ok((12.346, 7)));
    }

    #[test]
    fn shares_add_up_to_the_whole() {
        let usage = Usage::new(100.0, 1_001).unwrap();
        let (mut sum, mut before) = (Usage::default(), 0);
        for leases in [1, 3, 2, 1] {
            sum = sum.plus(usage.share(before, leases, 7));
            before += leases;
        }
        assert_eq!(sum, usage);
    }
}
