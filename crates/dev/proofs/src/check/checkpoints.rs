//! C1: a grant carries the last checkpoint that was acknowledged, or one whose outcome nobody knows.

use super::life::{Lease, Life};
use super::{Promise, Verdict};
use crate::history::{Call, ItemName};
use std::sync::Arc;

pub fn check(item: &ItemName, life: &Life<'_>, verdict: &mut Verdict) {
    for lease in life.leases.values() {
        let found = lease.grant.checkpoint.as_ref();
        if let Err(expected) = judge(life, lease.token, found) {
            let what = format!("token {} came with checkpoint {found:?}, not with {expected}", lease.token);
            verdict.accuse(Promise::C1, item, what);
        }
    }
}

/// Whether `found` may be what stands before a token was granted; otherwise what may.
pub fn judge(life: &Life<'_>, before: u64, found: Option<&Arc<str>>) -> Result<(), String> {
    let writes: Vec<(&Lease<'_>, &Call)> = life
        .leases
        .range(..before)
        .flat_map(|(_, lease)| lease.acts.iter().map(move |act| (lease, *act)))
        .filter(|(_, act)| act.checkpoint().is_some() && act.may_have_happened())
        .collect();
    // A write is past once an acknowledged one certainly came after it: under a later token, or sent after its end. What
    // has no known end may still arrive while its token lives.
    let is_past = |lease: &Lease<'_>, act: &Call| {
        writes.iter().any(|(other_lease, other)| {
            other_lease.is_certain(other)
                && (other_lease.token > lease.token
                    || (other_lease.token == lease.token && act.is_ok() && act.ended < other.began))
        })
    };
    let possible: Vec<_> = writes.iter().filter(|(lease, act)| !is_past(lease, act)).collect();
    let matches = match found {
        Some(found) => possible.iter().any(|(_, act)| act.checkpoint() == Some(found)),
        None => !writes.iter().any(|(lease, act)| lease.is_certain(act)),
    };
    if matches {
        return Ok(());
    }
    let names: Vec<String> =
        possible.iter().filter_map(|(_, act)| act.checkpoint().map(|c| format!("{c:?}"))).collect();
    Err(if names.is_empty() { "none".to_owned() } else { names.join(" or ") })
}
