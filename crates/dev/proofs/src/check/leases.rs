//! L1 to L4: who may count on a lease, and who may not speak for one any more.

use super::life::{Key, Lease, Life, Lives};
use super::{Promise, Verdict};
use crate::history::{Asked, Call, ItemName, Micros, Outcome, Refusal};
use std::collections::HashMap;

pub fn check(item: &ItemName, life: &Life<'_>, verdict: &mut Verdict) {
    let leases: Vec<&Lease<'_>> = life.leases.values().collect();
    for (place, lease) in leases.iter().enumerate() {
        for earlier in &leases[..place] {
            if earlier.is_counted_on(lease.answered) {
                let what = format!(
                    "client-{} had token {} in hand at {} µs while client-{} still counted on token {} until {} µs",
                    lease.client,
                    lease.token,
                    lease.answered,
                    earlier.client,
                    earlier.token,
                    earlier.until(lease.answered)
                );
                verdict.accuse(Promise::L1, item, what);
            }
        }
        // The earliest time at which a later holder knew: from then on this token is stale.
        let stale = leases[place + 1..].iter().map(|later| (later.answered, later.token)).min();
        for act in &lease.acts {
            check_act(item, lease, act, stale, verdict);
        }
    }
    for act in life.strays.iter().filter(|act| act.is_ok()) {
        verdict.accuse(Promise::L3, item, format!("a token nobody was granted was accepted: {act}"));
    }
}

fn check_act(item: &ItemName, lease: &Lease<'_>, act: &Call, stale: Option<(Micros, u64)>, verdict: &mut Verdict) {
    match &act.outcome {
        Outcome::Ok(_) => {
            if let Some((since, token)) = stale.filter(|(since, _)| *since < act.began) {
                let what = format!("token {token} was in hand since {since} µs, and yet: {act}");
                verdict.accuse(Promise::L3, item, what);
            }
            let is_renewal = matches!(act.asked, Asked::Renew { .. });
            if let Some(ended) = lease.ended().filter(|ended| is_renewal && *ended < act.began) {
                let what = format!("token {} was given up by {ended} µs, and yet: {act}", lease.token);
                verdict.accuse(Promise::L3, item, what);
            }
        }
        Outcome::Refused(
            Refusal::NotHeld | Refusal::Expired | Refusal::Revoked | Refusal::Completed | Refusal::ItemUnknown,
        ) => {
            let given_up = lease.given_up().is_some_and(|given_up| given_up <= act.began);
            let until = lease.until(act.began.saturating_sub(1)).min(lease.until(act.ended));
            if !given_up && act.ended <= until {
                verdict.accuse(Promise::L2, item, format!("its holder counted on it until {until} µs, and yet: {act}"));
            }
        }
        Outcome::Refused(_) | Outcome::Unknown => {}
    }
}

/// A repeat must be answered with every lease of its key that still lives.
pub fn check_repeats(lives: &Lives<'_>, verdict: &mut Verdict) {
    let mut by_key: HashMap<Key, Vec<(&Call, u64)>> = HashMap::new();
    for handed in &lives.handed {
        if let Some(key) = Key::of(handed.call) {
            by_key.entry(key).or_default().push((handed.call, handed.lease.token));
        }
    }
    let leases: HashMap<u64, (&ItemName, &Lease<'_>)> = lives
        .items
        .iter()
        .flat_map(|(item, life)| life.leases.values().map(move |lease| (lease.token, (item, lease))))
        .collect();
    for (repeat, key) in &lives.wishes {
        for (first, token) in by_key.get(key).into_iter().flatten() {
            let Some((item, lease)) = leases.get(token) else { continue };
            let has_it = repeat.granted().iter().any(|granted| granted.token == *token);
            let lives_on = lease.until(repeat.began) >= repeat.ended
                && lease.given_up().is_none_or(|given_up| given_up > repeat.ended);
            if first.ended < repeat.began && lives_on && !has_it {
                let what = format!("token {token} of the same key lives, and yet: {repeat}");
                verdict.accuse(Promise::L4, item, what);
            }
        }
    }
}
