//! How large a pool should be, by what its size has brought so far.
//!
//! Larger by half while that makes the job faster by more than a twentieth; back to what was as fast where it did not;
//! half of it as soon as an endpoint throttles or fails. It climbs anew after a while, because endpoints change.

use crate::change::ADAPTIVE_POOLS;
use crate::name::JobName;
use crate::state::Jobs;
use capstan_ids::Kind;

/// How often a pool is looked at, in milliseconds.
pub const ADAPT_EVERY_MS: u64 = 5_000;
/// A pool without a size of its own grows up to this.
const MOST: u32 = 64;
/// What a pool begins with, however large it may become.
const FIRST: u32 = 4;
/// By how many percent it must have become faster for a larger pool to be worth it.
const GAIN_PERCENT: u64 = 5;
/// Looks at one size before it is tried again whether a larger one is faster.
const PATIENCE: u32 = 12;

/// What was seen of a pool since the look before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Bytes that were moved.
    pub bytes: u64,
    /// Attempts that failed, throttled ones among them.
    pub failed: u64,
    /// Leases that live now.
    pub live: u32,
}

/// The size of one pool, as it is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller {
    most: u32,
    size: u32,
    /// The size before the last growth, and how much was moved at it; none where the last step was no growth.
    before: Option<(u32, u64)>,
    /// Looks since the size last changed.
    held: u32,
}

impl Controller {
    /// For a pool that may have so many places.
    pub fn new(most: Option<u32>) -> Self {
        let most = most.unwrap_or(MOST).max(1);
        Self { most, size: FIRST.min(most), before: None, held: 0 }
    }

    /// The size that holds now.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Looks at what was moved at this size; the size from now on.
    pub fn look(&mut self, sample: Sample) -> u32 {
        if sample.failed > 0 {
            // Growing again is for when it has been quiet for a while.
            return self.step_to((self.size / 2).max(1), None);
        }
        // A pool that is not full says nothing about its size.
        if sample.live < self.size {
            self.before = None;
            return self.size;
        }
        match self.before.take() {
            Some((smaller, moved)) if !is_faster(sample.bytes, moved) => self.step_to(smaller, None),
            Some(_) => self.grow(sample.bytes),
            // The first look is at work that has only begun.
            None if self.held == 0 => self.hold(),
            None if self.is_fresh() || self.held >= PATIENCE => self.grow(sample.bytes),
            None => self.hold(),
        }
    }

    /// Nothing has been tried yet at this or any other size.
    fn is_fresh(&self) -> bool {
        self.held == 1 && self.size == FIRST.min(self.most)
    }

    fn grow(&mut self, moved: u64) -> u32 {
        let larger = self.size.saturating_mul(3).div_ceil(2).min(self.most);
        if larger == self.size { self.hold() } else { self.step_to(larger, Some((self.size, moved))) }
    }

    fn hold(&mut self) -> u32 {
        self.held = self.held.saturating_add(1);
        self.size
    }

    fn step_to(&mut self, size: u32, before: Option<(u32, u64)>) -> u32 {
        // A size that was left for a smaller one is not tried again at once.
        (self.size, self.before, self.held) = (size, before, u32::from(before.is_none()) * 2);
        size
    }
}

fn is_faster(now: u64, before: u64) -> bool {
    u128::from(now) * 100 > u128::from(before) * u128::from(100 + GAIN_PERCENT)
}

impl Jobs {
    /// The pools that adapt by themselves, with the most that each may be: of jobs that are going on and ask for it, but
    /// those that somebody has sized since.
    pub fn adaptive_pools(&self) -> impl Iterator<Item = (&JobName, Kind, Option<u32>)> {
        let going = self.jobs.iter().filter(|(_, job)| job.head.ended.is_none() && job.head.spec.pools.adaptive);
        going.flat_map(|(name, job)| {
            let pools = &job.head.spec.pools;
            ADAPTIVE_POOLS.into_iter().zip([pools.dump, pools.restore]).filter_map(move |(kind, most)| {
                let kind = Kind::new(kind).expect("a plain word");
                job.adapts(&kind).then_some((name, kind, most))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An endpoint that is as fast as so many workers and no faster.
    fn throughput(size: u32, fastest: u32) -> Sample {
        Sample { bytes: u64::from(size.min(fastest)) * 1_000, failed: 0, live: size }
    }

    fn run(controller: &mut Controller, looks: usize, fastest: u32) -> Vec<u32> {
        (0..looks).map(|_| controller.look(throughput(controller.size(), fastest))).collect()
    }

    #[test]
    fn it_grows_while_that_is_faster_and_stays_where_more_is_not() {
        let mut controller = Controller::new(None);
        assert_eq!(run(&mut controller, 9, 20), [4, 6, 9, 14, 21, 32, 21, 21, 21]);
    }

    #[test]
    fn it_never_grows_beyond_what_it_was_given() {
        assert_eq!(run(&mut Controller::new(Some(10)), 8, 100), [4, 6, 9, 10, 10, 10, 10, 10]);
        assert_eq!(run(&mut Controller::new(Some(1)), 3, 100), [1, 1, 1]);
        assert_eq!(run(&mut Controller::new(None), 30, 1_000).pop(), Some(64));
    }

    #[test]
    fn throttling_and_failures_halve_it_at_once() {
        let mut controller = Controller::new(None);
        run(&mut controller, 4, 100);
        let throttled = |controller: &mut Controller| controller.look(Sample { failed: 1, ..throughput(14, 100) });
        assert_eq!([throttled(&mut controller), throttled(&mut controller), throttled(&mut controller)], [7, 3, 1]);
        assert_eq!(throttled(&mut controller), 1, "one is the least");
    }

    #[test]
    fn it_tries_again_after_a_while() {
        let mut controller = Controller::new(None);
        run(&mut controller, 9, 20);
        assert!(run(&mut controller, PATIENCE as usize, 200).contains(&32));
    }

    #[test]
    fn a_pool_that_is_not_full_is_left_alone() {
        let mut controller = Controller::new(None);
        for _ in 0..20 {
            assert_eq!(controller.look(Sample { bytes: 1 << 30, failed: 0, live: 3 }), 4);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_seen_it_stays_between_one_and_the_most(
            most in 1_u32..4_097,
            samples in prop::collection::vec((any::<u64>(), 0_u64..3, 0_u32..5_000), 0..200),
        ) {
            let mut controller = Controller::new(Some(most));
            for (bytes, failed, live) in samples {
                let size = controller.look(Sample { bytes, failed, live });
                prop_assert!((1..=most).contains(&size), "{size} of {most}");
                prop_assert_eq!(size, controller.size());
            }
        }
    }
}
