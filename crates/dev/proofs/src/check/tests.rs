//! Histories with one thing wrong, and the judge that must see it; and histories that only look wrong.

use super::{Promise, check, check_calls};
use crate::history::{
    Answer, Asked, Call, EndItem, Ending, Granted, Held, History, NewItem, Outcome, Refusal, Rules, State, Wish,
};
use std::sync::Arc;

const ALICE: u32 = 1;
const BOB: u32 = 2;

/// Builds a history: every request takes a millisecond, at times that the tests name in milliseconds.
#[derive(Default)]
struct Told(History);

impl Told {
    fn call(mut self, client: u32, at_ms: u64, asked: Asked, outcome: Outcome) -> Self {
        let (began, ended) = (at_ms * 1_000, (at_ms + 1) * 1_000);
        self.0.calls.push(Call { client, began, ended, asked, outcome });
        self
    }

    fn added(self, at_ms: u64, ids: &[&str]) -> Self {
        let outcome = Outcome::Ok(Answer::Added(vec![true; ids.len()]));
        self.call(0, at_ms, Asked::Add(ids.iter().map(|id| new(id)).collect()), outcome)
    }

    fn granted(self, client: u32, at_ms: u64, lease: Granted) -> Self {
        let key = format!("key-{client}-{at_ms}");
        self.granted_under(&key, client, at_ms, lease)
    }

    fn granted_under(self, key: &str, client: u32, at_ms: u64, lease: Granted) -> Self {
        let outcome = Outcome::Ok(Answer::Leases { leases: vec![lease], waited_ms: 0 });
        self.call(client, at_ms, Asked::Acquire(wish(key)), outcome)
    }

    fn completed(self, client: u32, at_ms: u64, token: u64) -> Self {
        self.call(client, at_ms, complete(token, &[]), Outcome::Ok(Answer::Completed(vec![])))
    }

    fn accused(&self) -> Vec<Promise> {
        sorted(check_calls(&self.0).into_iter().map(|violation| violation.promise))
    }

    fn accused_at(&self, ending: &Ending) -> Vec<Promise> {
        sorted(check(&self.0, ending).into_iter().map(|violation| violation.promise))
    }
}

fn sorted(promises: impl Iterator<Item = Promise>) -> Vec<Promise> {
    let mut promises: Vec<Promise> = promises.collect();
    promises.sort_unstable();
    promises.dedup();
    promises
}

fn new(id: &str) -> NewItem {
    NewItem { id: id.into(), kind: "alpha", priority: 0, waits_for: None }
}

fn wish(key: &str) -> Wish {
    Wish { key: key.into(), max: 1, kind: None, lease_ms: 1_000, wait_ms: 0 }
}

/// A lease of the item "a" for a second.
fn lease(token: u64) -> Granted {
    Granted {
        item: "a".into(),
        kind: "alpha".into(),
        token,
        lease_ms: 1_000,
        attempt: 1,
        checkpoint: None,
        progress: 0,
    }
}

fn held(token: u64) -> Held {
    Held { item: "a".into(), token }
}

fn complete(token: u64, successors: &[&str]) -> Asked {
    Asked::Complete { held: held(token), successors: successors.iter().map(|id| new(id)).collect(), next: None }
}

fn renew(token: u64, lease_ms: Option<u64>, checkpoint: Option<&str>) -> Asked {
    Asked::Renew { held: held(token), lease_ms, progress: None, checkpoint: checkpoint.map(Arc::from) }
}

fn release(token: u64, checkpoint: Option<&str>) -> Asked {
    Asked::Release { held: held(token), checkpoint: checkpoint.map(Arc::from) }
}

fn renewed(lease_ms: u64) -> Outcome {
    Outcome::Ok(Answer::Renewed(lease_ms))
}

fn returned() -> Outcome {
    Outcome::Ok(Answer::Returned)
}

fn ending(items: &[(&str, State)]) -> Ending {
    let items: Vec<EndItem> = items
        .iter()
        .map(|(id, state)| EndItem { id: (*id).into(), state: *state, attempts: 0, checkpoint: None, worker: None })
        .collect();
    let count = |state| items.iter().filter(|item| item.state == state).count() as u64;
    Ending { counted: State::ALL.map(|state| (state, count(state))).to_vec(), total: items.len() as u64, items }
}

/// An item, added, held by Alice from 10 ms under token 5 and completed by her at 20 ms.
fn told() -> Told {
    Told::default().added(0, &["a"]).granted(ALICE, 10, lease(5))
}

#[test]
fn a_history_in_which_all_is_well_is_not_accused() {
    let told = told()
        .call(ALICE, 100, renew(5, None, Some("c1")), renewed(1_000))
        .call(ALICE, 200, release(5, None), returned())
        .granted(BOB, 300, Granted { checkpoint: Some("c1".into()), ..lease(9) })
        .completed(BOB, 400, 9)
        .call(BOB, 500, complete(9, &[]), Outcome::Ok(Answer::Completed(vec![])));

    assert_eq!(told.accused_at(&ending(&[("a", State::Completed)])), []);
}

#[test]
fn a_lost_completion_is_seen() {
    let told = told().completed(ALICE, 20, 5);

    assert_eq!(told.accused_at(&ending(&[("a", State::Pending)])), [Promise::E1]);
}

#[test]
fn an_unknown_completion_may_be_either() {
    let told = told().call(ALICE, 20, complete(5, &[]), Outcome::Unknown);

    assert_eq!(told.accused_at(&ending(&[("a", State::Pending)])), []);
    assert_eq!(told.accused_at(&ending(&[("a", State::Completed)])), []);
}

#[test]
fn a_resurrected_item_is_seen() {
    let told = told().completed(ALICE, 20, 5).granted(BOB, 30, lease(9));

    assert_eq!(told.accused(), [Promise::E1]);
}

#[test]
fn an_item_completed_by_nobody_is_seen() {
    assert_eq!(told().accused_at(&ending(&[("a", State::Completed)])), [Promise::E1]);
}

#[test]
fn a_missing_acknowledged_addition_and_one_nobody_made_are_seen() {
    let told = Told::default().added(0, &["a"]);

    assert_eq!(told.accused_at(&ending(&[])), [Promise::A1]);
    assert_eq!(told.accused_at(&ending(&[("a", State::Pending), ("ghost", State::Pending)])), [Promise::A1]);
}

#[test]
fn half_a_batch_is_seen_also_where_its_outcome_is_unknown() {
    let batch = Asked::Add(vec![new("a"), new("b")]);
    let told = Told::default().call(0, 0, batch, Outcome::Unknown);

    assert_eq!(told.accused_at(&ending(&[("a", State::Pending)])), [Promise::A2]);
    assert_eq!(told.accused_at(&ending(&[("a", State::Pending), ("b", State::Pending)])), []);
    assert_eq!(told.accused_at(&ending(&[])), []);
}

#[test]
fn an_item_made_anew_after_it_was_acknowledged_is_seen() {
    let told = Told::default().added(0, &["a"]).added(10, &["a"]);

    assert_eq!(told.accused(), [Promise::A1]);
}

#[test]
fn successors_without_their_parents_completion_are_seen() {
    let told = told().call(ALICE, 20, complete(5, &["a/1"]), Outcome::Unknown);

    assert_eq!(told.accused_at(&ending(&[("a", State::Pending), ("a/1", State::Pending)])), [Promise::A2]);
}

#[test]
fn a_lost_successor_is_seen() {
    let told = told().call(ALICE, 20, complete(5, &["a/1"]), Outcome::Ok(Answer::Completed(vec![])));

    assert_eq!(told.accused_at(&ending(&[("a", State::Completed)])), [Promise::A1]);
}

#[test]
fn a_token_granted_twice_is_seen() {
    let other = Granted { item: "b".into(), ..lease(5) };
    let told = told().added(1, &["b"]).granted(BOB, 30, other);

    assert_eq!(told.accused(), [Promise::T1]);
}

#[test]
fn a_repeat_under_the_same_key_gets_the_same_token() {
    let told = Told::default()
        .added(0, &["a"])
        .call(ALICE, 10, Asked::Acquire(wish("k")), Outcome::Unknown)
        .granted_under("k", ALICE, 20, Granted { lease_ms: 990, ..lease(5) })
        .granted_under("k", ALICE, 30, Granted { lease_ms: 980, ..lease(5) });

    assert_eq!(told.accused(), []);
}

#[test]
fn a_repeat_that_is_not_given_its_live_lease_is_seen() {
    let nothing = Outcome::Ok(Answer::Leases { leases: vec![], waited_ms: 0 });
    let told = Told::default().added(0, &["a"]).granted_under("k", ALICE, 10, lease(5)).call(
        ALICE,
        20,
        Asked::Acquire(wish("k")),
        nothing,
    );

    assert_eq!(told.accused(), [Promise::L4]);
}

#[test]
fn a_token_lower_than_one_answered_before_is_seen() {
    let told = told().added(1, &["b"]).granted(BOB, 30, Granted { item: "b".into(), ..lease(4) });

    assert_eq!(told.accused(), [Promise::T2]);
}

#[test]
fn an_item_held_by_two_at_once_is_seen() {
    assert_eq!(told().granted(BOB, 1_008, lease(9)).accused(), [Promise::L1]);
    assert_eq!(told().granted(BOB, 1_010, lease(9)).accused(), [], "the lease had run out");
}

#[test]
fn a_lease_lasts_as_long_as_its_last_renewal_says() {
    let renewed_at_900 = || told().call(ALICE, 900, renew(5, None, None), renewed(1_000));
    assert_eq!(renewed_at_900().granted(BOB, 1_800, lease(9)).accused(), [Promise::L1]);
    assert_eq!(renewed_at_900().granted(BOB, 1_901, lease(9)).accused(), []);

    let shortened = || told().call(ALICE, 100, renew(5, Some(200), None), renewed(200));
    assert_eq!(shortened().granted(BOB, 250, lease(9)).accused(), [Promise::L1]);
    assert_eq!(shortened().granted(BOB, 301, lease(9)).accused(), []);
}

#[test]
fn a_shortening_that_may_still_arrive_leaves_nothing_to_count_on() {
    let told = told()
        .call(ALICE, 100, renew(5, Some(200), None), Outcome::Unknown)
        .call(ALICE, 200, renew(5, Some(1_000), None), renewed(1_000))
        .granted(BOB, 500, lease(9));

    assert_eq!(told.accused(), []);
}

#[test]
fn a_repeat_after_a_shortening_renewal_tells_what_is_left_and_no_more() {
    let told = |at_ms| {
        told()
            .call(ALICE, 100, renew(5, Some(200), None), renewed(200))
            .granted_under("key-1-10", ALICE, 150, Granted { lease_ms: 149, ..lease(5) })
            .granted(BOB, at_ms, lease(9))
    };

    assert_eq!(told(290).accused(), [Promise::L1]);
    assert_eq!(told(301).accused(), []);
}

#[test]
fn whoever_may_have_given_a_lease_up_no_longer_counts_on_it() {
    let told = told().call(ALICE, 20, release(5, None), Outcome::Unknown).granted(BOB, 30, lease(9));

    assert_eq!(told.accused(), []);
}

#[test]
fn a_wait_lengthens_what_the_worker_counts_on() {
    let outcome = Outcome::Ok(Answer::Leases { leases: vec![lease(5)], waited_ms: 500 });
    let told = Told::default().added(0, &["a"]).call(ALICE, 10, Asked::Acquire(wish("k")), outcome).granted(
        BOB,
        1_400,
        lease(9),
    );

    assert_eq!(told.accused(), [Promise::L1]);
}

#[test]
fn a_holder_that_loses_a_live_lease_is_seen() {
    let refused = |at_ms| told().call(ALICE, at_ms, renew(5, None, None), Outcome::Refused(Refusal::Expired));

    assert_eq!(refused(500).accused(), [Promise::L2]);
    assert_eq!(refused(1_010).accused(), [], "it had run out");
}

#[test]
fn a_stale_token_that_is_accepted_is_seen() {
    let passed_on = || told().granted(BOB, 1_100, lease(9));

    assert_eq!(passed_on().call(ALICE, 1_200, renew(5, None, None), renewed(1_000)).accused(), [Promise::L3]);
    assert_eq!(passed_on().call(ALICE, 1_200, release(5, None), returned()).accused(), [Promise::L3]);
    let completed = passed_on().completed(ALICE, 1_200, 5).accused();
    assert_eq!(completed, [Promise::L3, Promise::E1]);
    let refused = passed_on().call(ALICE, 1_200, renew(5, None, None), Outcome::Refused(Refusal::NotHeld));
    assert_eq!(refused.accused(), []);
}

#[test]
fn a_lost_release_is_seen_by_a_lease_that_lives_on() {
    let told =
        told().call(ALICE, 20, release(5, None), returned()).call(ALICE, 30, renew(5, None, None), renewed(1_000));

    assert_eq!(told.accused(), [Promise::L3]);
}

#[test]
fn a_token_nobody_was_granted_is_seen_when_it_is_accepted() {
    assert_eq!(Told::default().added(0, &["a"]).completed(ALICE, 20, 5).accused(), [Promise::L3]);
}

#[test]
fn a_lost_checkpoint_is_seen() {
    let told = || {
        told()
            .call(ALICE, 100, renew(5, None, Some("c1")), renewed(1_000))
            .call(ALICE, 200, renew(5, None, Some("c2")), renewed(1_000))
            .call(ALICE, 300, release(5, None), returned())
    };
    let with = |checkpoint: Option<&str>| Granted { checkpoint: checkpoint.map(Arc::from), ..lease(9) };

    assert_eq!(told().granted(BOB, 400, with(None)).accused(), [Promise::C1]);
    assert_eq!(told().granted(BOB, 400, with(Some("c1"))).accused(), [Promise::C1]);
    assert_eq!(told().granted(BOB, 400, with(Some("made up"))).accused(), [Promise::C1]);
    assert_eq!(told().granted(BOB, 400, with(Some("c2"))).accused(), []);
}

#[test]
fn a_checkpoint_whose_outcome_is_unknown_may_be_there_or_not() {
    let told = || {
        told().call(ALICE, 100, renew(5, None, Some("c1")), renewed(1_000)).call(
            ALICE,
            200,
            renew(5, None, Some("c2")),
            Outcome::Unknown,
        )
    };
    let with = |checkpoint: &str| Granted { checkpoint: Some(checkpoint.into()), ..lease(9) };

    assert_eq!(told().granted(BOB, 2_000, with("c1")).accused(), []);
    assert_eq!(told().granted(BOB, 2_000, with("c2")).accused(), []);
}

#[test]
fn an_uncounted_failure_is_seen() {
    let fail = Asked::Fail { held: held(5), permanent: false, checkpoint: None };
    let told = || told().call(ALICE, 20, fail.clone(), returned());

    assert_eq!(told().granted(BOB, 30, lease(9)).accused_at(&ending(&[("a", State::Assigned)])), [Promise::E2]);
    let second = Granted { attempt: 2, ..lease(9) };
    let mut counted = ending(&[("a", State::Assigned)]);
    counted.items[0].attempts = 1;
    assert_eq!(told().granted(BOB, 30, second).accused_at(&counted), []);
}

#[test]
fn an_item_that_failed_before_its_attempts_were_used_up_is_seen() {
    let mut told = told();
    told.0.rules.attempts = 3;
    let mut ending = ending(&[("a", State::Failed)]);
    ending.items[0].attempts = 1;

    assert_eq!(told.accused_at(&ending), [Promise::E1]);
}

#[test]
fn more_leases_than_a_limit_allows_are_seen() {
    let mut told = told().added(1, &["b"]).granted(BOB, 30, Granted { item: "b".into(), ..lease(9) });
    told.0.rules = Rules { attempts: 0, limits: vec![("alpha", 1)] };
    assert_eq!(told.accused(), [Promise::L5]);

    told.0.rules.limits = vec![("alpha", 2), ("beta", 0)];
    assert_eq!(told.accused(), []);
}

#[test]
fn a_dependent_handed_out_before_all_that_it_waits_for_is_seen() {
    let waiting = NewItem { waits_for: Some("a".into()), ..new("b") };
    let told = |successors: &[&str]| {
        let done = Outcome::Ok(Answer::Completed(vec![]));
        told()
            .call(0, 1, Asked::Add(vec![waiting.clone()]), Outcome::Ok(Answer::Added(vec![true])))
            .call(ALICE, 20, complete(5, successors), done)
            .granted(BOB, 30, Granted { item: "b".into(), ..lease(9) })
    };

    assert_eq!(told(&[]).accused(), []);
    assert_eq!(told(&["a/1"]).accused(), [Promise::G1]);
}

#[test]
fn counters_that_do_not_add_up_are_seen() {
    let told = Told::default().added(0, &["a"]);
    let mut wrong = ending(&[("a", State::Pending)]);
    wrong.counted.iter_mut().find(|(state, _)| *state == State::Completed).unwrap().1 = 1;
    assert_eq!(told.accused_at(&wrong), [Promise::S1]);

    let mut wrong = ending(&[("a", State::Pending)]);
    wrong.total = 2;
    assert_eq!(told.accused_at(&wrong), [Promise::S1]);
}
