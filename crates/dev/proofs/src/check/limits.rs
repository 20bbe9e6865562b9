//! L5: live leases of a kind stay within its limit.

use super::life::Lives;
use super::{Promise, Verdict};
use crate::history::{Micros, Rules};

pub fn check(lives: &Lives<'_>, rules: &Rules, verdict: &mut Verdict) {
    for (kind, most) in &rules.limits {
        // A lease counts for certain from the answer until its holder no longer counts on it.
        let mut steps: Vec<(Micros, i64)> = Vec::new();
        for lease in lives.items.values().flat_map(|life| life.leases.values()) {
            if &*lease.grant.kind != *kind {
                continue;
            }
            let end = lease.first_doubt();
            if lease.answered < end {
                steps.extend([(lease.answered, 1), (end, -1)]);
            }
        }
        steps.sort_unstable();
        let mut live = 0;
        for (at, step) in steps {
            live += step;
            if live > *most as i64 {
                verdict.accuse_all(
                    Promise::L5,
                    format!("{live} leases of kind {kind} were live at {at} µs, limit {most}"),
                );
                break;
            }
        }
    }
}
