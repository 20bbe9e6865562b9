//! What a pipeline has cost, from what it reported.

use crate::resources::Resources;
use capstan_ids::Millis;
use minicbor::{Decode, Encode};

/// What a pipeline has cost so far, in whole numbers that only grow.
///
/// Time is charged with what was journalled for it: from one usage event to the next, to the pipeline's end, or to its
/// being marked stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Cost {
    /// Thousandths of a percent of CPU, times milliseconds.
    #[n(0)]
    cpu_ms: u64,
    /// MB, times milliseconds.
    #[n(1)]
    memory_mb_ms: u64,
    /// Bytes moved by every run of it.
    #[n(2)]
    bytes_moved: u64,
}

impl Cost {
    /// Seconds of everything its machines have: 50 % for 10 s are 5.
    pub fn cpu_seconds(&self) -> f64 {
        // A thousandth of a percent is 1/100,000; a millisecond 1/1,000.
        self.cpu_ms as f64 / 100_000_000.0
    }

    /// MB held, times seconds.
    pub fn memory_mb_seconds(&self) -> f64 {
        self.memory_mb_ms as f64 / 1_000.0
    }

    /// Bytes moved, by every run of it.
    pub fn bytes_moved(&self) -> u64 {
        self.bytes_moved
    }

    pub(crate) fn charge(&mut self, used: Resources, time: Millis) {
        self.cpu_ms = self.cpu_ms.saturating_add(used.cpu.thousandths().saturating_mul(time.get()));
        self.memory_mb_ms = self.memory_mb_ms.saturating_add(used.memory_mb.saturating_mul(time.get()));
    }

    /// Takes the step from one reported figure to the next. A lower one is that of a pipeline started again.
    pub(crate) fn move_bytes(&mut self, before: u64, now: u64) {
        let moved = if now >= before { now - before } else { now };
        self.bytes_moved = self.bytes_moved.saturating_add(moved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Cpu;

    #[test]
    fn half_of_the_machines_for_ten_seconds_are_five_cpu_seconds() {
        let mut cost = Cost::default();
        cost.charge(Resources { cpu: Cpu::percent(50), memory_mb: 2_048 }, Millis::secs(10));
        assert_eq!((cost.cpu_seconds(), cost.memory_mb_seconds()), (5.0, 20_480.0));
    }

    #[test]
    fn bytes_of_a_pipeline_started_again_are_added_to_those_before() {
        let mut cost = Cost::default();
        for (before, now) in [(0, 100), (100, 250), (250, 30), (30, 30)] {
            cost.move_bytes(before, now);
        }
        assert_eq!(cost.bytes_moved(), 280);
    }
}
