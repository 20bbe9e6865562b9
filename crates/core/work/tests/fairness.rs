//! Order within a session, shares between sessions, and nobody in the way of others (W9, W10).

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_work::{Acquire, Answer, Command, Conflicts, NewItem, NoWork, Policy};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use world::*;

#[test]
fn the_highest_priority_goes_first_and_then_the_oldest() {
    let mut world = World::with(Policy::default());
    world.add(vec![item("a"), urgent("b", 5), item("c"), urgent("d", 5), urgent("e", -1), urgent("f", 9)]);

    let order: Vec<String> = (0..6).map(|_| world.acquire("alice").unwrap().body.id().to_owned()).collect();

    assert_eq!(order, ["f", "b", "d", "a", "c", "e"]);
}

#[test]
fn an_item_that_comes_back_queues_as_new() {
    let mut world = World::with_items(&["a", "b", "c"]);
    let grant = world.acquire("alice").unwrap();
    world.release(&grant).unwrap();

    assert_eq!(ids(&world.acquire_many("alice", 3)), ["b", "c", "a"]);
}

#[test]
fn a_changed_priority_moves_an_item_at_once() {
    let mut world = World::with_items(&["a", "b", "c"]);
    world.perform(&Command::SetPriority { session: shop(), item: id("c"), priority: 7 }).unwrap();
    world.perform(&Command::SetPriority { session: shop(), item: id("a"), priority: -7 }).unwrap();

    assert_eq!(ids(&world.acquire_many("alice", 3)), ["c", "b", "a"]);
}

#[test]
fn order_spans_kinds_and_limits() {
    let mut world = World::with(Policy::default());
    world.add(vec![
        of_kind("a", "dump"),
        of_kind("b", "restore"),
        limited_by("c", &["host:db1"]),
        of_kind("d", "dump"),
        urgent("e", 1),
    ]);

    assert_eq!(ids(&world.acquire_many("alice", 5)), ["e", "a", "b", "c", "d"]);
}

#[test]
fn an_acquirer_gets_only_kinds_it_can_do() {
    let mut world = World::with(Policy::default());
    world.add(vec![of_kind("a", "dump"), of_kind("b", "restore")]);
    let restores = Acquire { kinds: vec![kind("restore")], max: 5, ..acquiring("alice") };

    assert!(matches!(world.ask(restores.clone()), Answer::Granted(grants) if ids(&grants) == ["b"]));
    assert_eq!(world.ask(restores), Answer::Nothing(NoWork::OtherKinds));
}

fn fill(world: &mut World, name: &str, count: usize) {
    let items: Vec<NewItem> = (0..count).map(|n| item(&format!("{name}{n}"))).collect();
    let command = Command::AddItems { session: session(name), items, gates: vec![], conflicts: Conflicts::Refuse };
    world.perform(&command).unwrap();
}

#[test]
fn sessions_share_by_weight() {
    let mut world = World::new();
    for (name, weight) in [("light", 1), ("heavy", 3)] {
        world.open(name, Policy { weight, ..Policy::default() });
        fill(&mut world, name, 200);
    }

    let mut got: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..100 {
        let Answer::Granted(grants) = world.ask(Acquire::any(worker("alice"))) else { panic!("there was work") };
        *got.entry(grants[0].session.to_string()).or_default() += 1;
    }

    assert_eq!(got, BTreeMap::from([("heavy".into(), 75), ("light".into(), 25)]));
}

#[test]
fn one_large_acquire_shares_like_many_small_ones() {
    let mut world = World::new();
    for (name, weight) in [("light", 1), ("heavy", 3)] {
        world.open(name, Policy { weight, ..Policy::default() });
        fill(&mut world, name, 200);
    }

    let Answer::Granted(grants) = world.ask(Acquire { max: 100, ..Acquire::any(worker("alice")) }) else {
        panic!("there was work")
    };

    assert_eq!(grants.iter().filter(|grant| grant.session == session("light")).count(), 25);
}

#[test]
fn a_session_that_was_idle_has_no_claim_on_the_past() {
    let mut world = World::new();
    world.open("busy", Policy::default());
    world.open("idle", Policy::default());
    fill(&mut world, "busy", 300);
    for _ in 0..100 {
        world.ask(Acquire::any(worker("alice")));
    }
    fill(&mut world, "idle", 300);

    let mut busy = 0;
    for _ in 0..20 {
        let Answer::Granted(grants) = world.ask(Acquire::any(worker("alice"))) else { panic!("there was work") };
        busy += usize::from(grants[0].session == session("busy"));
    }

    assert_eq!(busy, 10, "they take turns from the first moment on");
}

#[test]
fn a_session_at_its_limit_starves_nobody() {
    let mut world = World::new();
    world.open("full", Policy { limits: vec![(limit("backfill"), most(1))], weight: 1_000, ..Policy::default() });
    world.open("other", Policy::default());
    fill(&mut world, "full", 10);
    fill(&mut world, "other", 10);

    let Answer::Granted(grants) = world.ask(Acquire { max: 11, ..Acquire::any(worker("alice")) }) else {
        panic!("there was work")
    };

    assert_eq!(grants.len(), 11);
}

/// W9: one poison item cannot stop a session whose policy is skip.
#[test]
fn a_poison_item_stops_nobody_where_the_policy_is_to_skip() {
    let mut world = World::with(skipping(2));
    world.add(vec![urgent("poison", 100)]);
    fill(&mut world, "shop", 20);

    let mut done = BTreeSet::new();
    while let Some(grant) = world.acquire("alice") {
        if grant.body.id() == "poison" {
            world.fail(&grant).unwrap();
        } else {
            world.complete(&grant).unwrap();
            done.insert(grant.body.id().to_owned());
        }
    }

    assert_eq!(done.len(), 20);
    assert_eq!(world.state_of("poison"), "failed");
}

#[test]
fn nothing_is_handed_out_before_its_time() {
    let mut world = World::with(Policy::default());
    let not_before = Some(world.now.wall + secs(60));
    world.add(vec![NewItem { not_before, ..item("later") }, item("now")]);

    assert_eq!(ids(&world.acquire_many("alice", 5)), ["now"]);
    assert_eq!(world.work.next_not_before(), not_before);
    world.pass(secs(60));
    assert_eq!(ids(&world.acquire_many("alice", 5)), ["later"]);
}

/// What a session would be with nothing but a list: where an item goes, and which is next.
#[derive(Debug, Default)]
struct Model {
    ready: BTreeSet<(Reverse<i16>, u64, String)>,
    held: Vec<(capstan_work::Grant, i16)>,
    queued: u64,
}

impl Model {
    fn queue(&mut self, name: &str, priority: i16) {
        self.ready.insert((Reverse(priority), self.queued, name.to_owned()));
        self.queued += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// W9 and W10 against a plain list: priority, then first queued first served, whatever comes back or moves.
    #[test]
    fn the_order_is_that_of_a_plain_list(steps in prop::collection::vec(any::<(u8, u8, u8)>(), 1..200)) {
        let mut world = World::with(skipping(1_000_000));
        let mut model = Model::default();
        let mut made = 0;
        for (what, a, b) in steps {
            let priority = i16::from(b % 4);
            match what % 8 {
                0..=2 => {
                    let name = format!("i{made}");
                    made += 1;
                    let sort = ["dump", "restore", "index"][a as usize % 3];
                    world.add(vec![NewItem { priority, ..of_kind(&name, sort) }]);
                    model.queue(&name, priority);
                }
                3 | 4 => {
                    let granted = world.acquire_many("alice", u32::from(a % 3) + 1);
                    for n in 0..usize::from(a % 3) + 1 {
                        let expected = model.ready.pop_first();
                        prop_assert_eq!(
                            granted.get(n).map(|grant| grant.body.id()),
                            expected.as_ref().map(|(.., name)| name.as_str())
                        );
                        if let Some((Reverse(priority), ..)) = expected {
                            model.held.push((granted[n].clone(), priority));
                        }
                    }
                }
                5 if !model.held.is_empty() => {
                    let (grant, priority) = model.held.swap_remove(a as usize % model.held.len());
                    if b % 2 == 0 { world.release(&grant).unwrap() } else { world.fail(&grant).unwrap() };
                    model.queue(grant.body.id(), priority);
                }
                6 if !model.ready.is_empty() => {
                    let chosen = model.ready.iter().nth(a as usize % model.ready.len()).unwrap().clone();
                    let item = id(&chosen.2);
                    world.perform(&Command::SetPriority { session: shop(), item, priority }).unwrap();
                    if chosen.0.0 != priority {
                        model.ready.remove(&chosen);
                        model.queue(&chosen.2, priority);
                    }
                }
                7 if !model.ready.is_empty() => {
                    let chosen = model.ready.iter().nth(a as usize % model.ready.len()).unwrap().clone();
                    let Answer::Granted(grants) = world.ask(acquiring_item("bob", &chosen.2)) else {
                        panic!("{chosen:?} was ready")
                    };
                    model.ready.remove(&chosen);
                    model.held.push((grants[0].clone(), chosen.0.0));
                }
                _ => {}
            }
        }
    }
}
