//! E1: what is final stays final. A1: what is made is made once.

use super::life::Life;
use super::{Promise, Verdict};
use crate::history::{Answer, Asked, Call, ItemName, Outcome};

pub fn check(item: &ItemName, life: &Life<'_>, verdict: &mut Verdict) {
    let finals =
        life.leases.values().filter_map(|lease| Some((lease.token, lease.acts.iter().find(|act| is_final(act))?)));
    if let Some((token, end)) = finals.min_by_key(|(token, _)| *token) {
        // A token above the one it ended with was granted after the end.
        if let Some(later) = life.leases.values().find(|lease| lease.token > token) {
            let what = format!("it was handed out again, token {}, although: {end}", later.token);
            verdict.accuse(Promise::E1, item, what);
        }
    }
    let made = life.making.iter().filter(|(call, new)| makes_it(call, &new.id)).count();
    if made > 1 {
        verdict.accuse(Promise::A1, item, format!("it was answered {made} times that it is new"));
    }
    for (call, new) in &life.making {
        let Outcome::Ok(Answer::Added(results)) = &call.outcome else { continue };
        let Some(place) = call.makes().iter().position(|made| made.id == new.id) else { continue };
        let was_there = life
            .making
            .iter()
            .any(|(other, _)| !std::ptr::eq(*other, *call) && other.may_have_happened() && other.began < call.ended);
        let was_known = life.making.iter().any(|(other, _)| other.is_ok() && other.ended < call.began);
        match results.get(place) {
            Some(true) if was_known => {
                verdict.accuse(Promise::A1, item, format!("it had been acknowledged before, and yet was new: {call}"));
            }
            Some(false) if !was_there => {
                verdict.accuse(Promise::A1, item, format!("nobody had made it, and yet it was there: {call}"));
            }
            Some(_) => {}
            None => verdict.accuse(Promise::A1, item, format!("its answer is missing: {call}")),
        }
    }
}

/// Whether an acknowledged request ended its item for good.
pub fn is_final(call: &Call) -> bool {
    call.is_ok() && matches!(call.asked, Asked::Complete { .. } | Asked::Fail { permanent: true, .. })
}

/// Whether this very request was answered that it made the item.
fn makes_it(call: &Call, id: &ItemName) -> bool {
    let Outcome::Ok(Answer::Added(results)) = &call.outcome else { return false };
    call.makes().iter().position(|new| new.id == *id).is_some_and(|place| results.get(place) == Some(&true))
}
