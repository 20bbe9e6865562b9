//! T1 and T2: whose a token is, and that tokens grow.

use super::life::{Key, Lives};
use super::{Promise, Verdict};
use crate::history::{ItemName, Micros};
use std::collections::HashMap;

pub fn check(lives: &Lives<'_>, verdict: &mut Verdict) {
    let mut owners: HashMap<u64, (Key, &ItemName, u32)> = HashMap::new();
    for handed in &lives.handed {
        let (token, item, client) = (handed.lease.token, &handed.lease.item, handed.call.client);
        let Some(key) = Key::of(handed.call) else { continue };
        let (first_key, first_item, first_client) = owners.entry(token).or_insert((key.clone(), item, client));
        if *first_item != item || *first_client != client || *first_key != key {
            let what = format!(
                "token {token} was granted to client-{first_client} for {first_item:?} under {first_key:?}, and to client-{client} under {key:?}"
            );
            verdict.accuse(Promise::T1, item, what);
        }
    }
    let mut grants: Vec<(Micros, Micros, u64, &ItemName)> = lives
        .items
        .iter()
        .flat_map(|(item, life)| life.leases.values().map(move |l| (l.asked, l.answered, l.token, item)))
        .collect();
    // Walk the grants by when they were asked for, beside those that had been answered by then.
    let mut answered = grants.clone();
    answered.sort_unstable_by_key(|(_, answered, ..)| *answered);
    grants.sort_unstable_by_key(|(asked, ..)| *asked);
    let mut before = answered.into_iter().peekable();
    let mut highest: Option<(u64, &ItemName)> = None;
    for (asked, _, token, item) in grants {
        while let Some((_, _, earlier, of)) = before.next_if(|(_, answered, ..)| *answered < asked) {
            highest = highest.max(Some((earlier, of)));
        }
        if let Some((earlier, of)) = highest.filter(|(earlier, _)| *earlier > token) {
            let what =
                format!("token {token} was granted after token {earlier} of {of:?} had been answered, and is lower");
            verdict.accuse(Promise::T2, item, what);
        }
    }
}
