//! How long it took from each harm until something was acknowledged again.

use super::cluster::Harm;
use crate::history::{Asked, Call, Micros};
use std::collections::BTreeMap;

/// Something that was done.
#[derive(Clone, Copy, Debug)]
pub struct Occurrence {
    /// What.
    pub harm: Harm,
    /// When it began.
    pub at: Micros,
    /// From when on no answer can be that of the server that was harmed.
    pub gone: Micros,
}

/// Times by harm, sorted, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Times(BTreeMap<Harm, Vec<u64>>);

impl Times {
    /// From each harm to the first acknowledged change that was asked for when the harmed server could answer no more.
    pub fn measure<'c>(occurrences: &[Occurrence], calls: impl Iterator<Item = &'c Call>) -> Self {
        let mut changes: Vec<(Micros, Micros)> =
            calls.filter(|call| is_change(call)).map(|call| (call.ended, call.began)).collect();
        changes.sort_unstable();
        let mut times: BTreeMap<Harm, Vec<u64>> = BTreeMap::new();
        for Occurrence { harm, at, gone } in occurrences {
            let from = changes.partition_point(|(ended, _)| ended <= gone);
            let first = changes[from..].iter().find(|(_, began)| began >= gone);
            // Where there is none, the run ended before: then the drain at its end has failed too.
            if let Some((ended, _)) = first {
                times.entry(*harm).or_default().push((ended - at) / 1_000);
            }
        }
        times.values_mut().for_each(|times| times.sort_unstable());
        Self(times)
    }

    /// The longest time of a harm.
    pub fn longest(&self, harm: Harm) -> Option<u64> {
        self.0.get(&harm)?.last().copied()
    }

    /// A line a harm.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<32} {:>6} {:>8} {:>8} {:>8} {:>8}\n",
            "to the first acknowledged change", "times", "p50 ms", "p90 ms", "p99 ms", "max ms"
        );
        for (harm, times) in &self.0 {
            let of = |percent: usize| times[((times.len() * percent).div_ceil(100)).max(1) - 1];
            let (name, count) = (harm.told(), times.len());
            text += &format!("{name:<32} {count:>6} {:>8} {:>8} {:>8} {:>8}\n", of(50), of(90), of(99), of(100));
        }
        text
    }
}

/// An acknowledgement that says that something was written.
fn is_change(call: &Call) -> bool {
    call.is_ok() && (!matches!(call.asked, Asked::Acquire(_) | Asked::Renew { .. }) || !call.granted().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Answer, Outcome};

    fn added(began: Micros, ended: Micros, outcome: Outcome) -> Call {
        Call { client: 0, began, ended, asked: Asked::Add(vec![]), outcome }
    }

    #[test]
    fn a_time_ends_with_a_change_that_was_asked_for_after_the_harm() {
        let ok = || Outcome::Ok(Answer::Added(vec![]));
        let calls = [
            added(500, 1_500, ok()),
            added(1_100, 3_000, Outcome::Unknown),
            added(2_000, 9_000, ok()),
            added(2_500, 8_000, ok()),
        ];
        let harm = Occurrence { harm: Harm::Kill, at: 1_000, gone: 1_200 };

        let times = Times::measure(&[harm], calls.iter());

        assert_eq!(times.longest(Harm::Kill), Some(7));
        assert_eq!(times.longest(Harm::Cut), None);
    }
}
