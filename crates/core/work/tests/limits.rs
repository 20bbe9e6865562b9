//! Pools are limits on live leases: never above, nothing revoked, no slot lost (W7; soundness 12, 15).

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_work::{Acquire, Answer, Command, NewItem, NoWork, Policy, Rejection};
use world::*;

fn pool(value: u32) -> Policy {
    Policy { limits: vec![(limit("restore"), most(value))], ..skipping(4) }
}

fn restores(count: u32) -> Vec<NewItem> {
    (0..count).map(|n| of_kind(&format!("r{n}"), "restore")).collect()
}

#[test]
fn no_grant_brings_live_leases_above_a_limit() {
    let mut world = World::with(pool(3));
    world.add(restores(10));

    assert_eq!(world.acquire_many("alice", 10).len(), 3);
    assert_eq!(world.nothing_for("bob"), NoWork::AtLimit);
    assert_eq!(world.live("restore"), 3);
}

#[test]
fn no_slot_leaks_however_a_lease_ends() {
    let mut world = World::with(pool(1));
    world.add(restores(20));

    let ends: [fn(&mut World, &capstan_work::Grant); 8] = [
        |world, grant| drop(world.complete(grant).unwrap()),
        |world, grant| drop(world.fail(grant).unwrap()),
        |world, grant| drop(world.perform(&failing_for_good(grant)).unwrap()),
        |world, grant| drop(world.release(grant).unwrap()),
        |world, _| world.pass(secs(301)),
        |world, grant| {
            world.perform(&cancelling_item(grant.body.id())).unwrap();
            world.release(grant).unwrap();
        },
        |world, grant| {
            world.perform(&deleting_item(grant.body.id())).unwrap();
            world.pass(secs(301));
        },
        |world, grant| {
            world.perform(&deleting_item(grant.body.id())).unwrap();
            world.perform(&releasing(grant)).unwrap();
        },
    ];
    for (case, end) in ends.into_iter().enumerate() {
        let grant = world.acquire("alice").unwrap_or_else(|| panic!("case {case}: the slot is free"));
        assert_eq!(world.acquire("bob"), None);
        end(&mut world, &grant);
        world.settle();
        assert_eq!(world.live("restore"), 0, "case {case}");
    }
}

/// Soundness 15.
#[test]
fn shrinking_a_limit_revokes_nothing_and_grants_nothing_until_there_is_room() {
    let mut world = World::with(pool(3));
    world.add(restores(10));
    let grants = world.acquire_many("alice", 3);

    world.perform(&limiting("restore", Some(1))).unwrap();

    assert_eq!(world.live("restore"), 3, "above it for a while");
    for grant in &grants[..2] {
        assert!(world.item(grant.body.id()).revoked.is_none());
        world.complete(grant).unwrap();
        assert_eq!(world.acquire("bob"), None);
    }
    world.complete(&grants[2]).unwrap();
    assert!(world.acquire("bob").is_some());
    assert_eq!(world.acquire("bob"), None);
}

#[test]
fn raising_or_lifting_a_limit_puts_more_to_work_at_once() {
    let mut world = World::with(pool(1));
    world.add(restores(10));
    assert_eq!(world.acquire_many("alice", 10).len(), 1);

    world.perform(&limiting("restore", Some(4))).unwrap();
    assert_eq!(world.acquire_many("alice", 10).len(), 3);
    world.perform(&limiting("restore", None)).unwrap();
    assert_eq!(world.acquire_many("alice", 10).len(), 6);
}

#[test]
fn an_item_counts_against_every_limit_it_names() {
    let mut world = World::with(Policy::default());
    world.perform(&limiting("host:db1", Some(1))).unwrap();
    world.add(vec![limited_by("a", &["host:db1"]), limited_by("b", &["host:db1"]), limited_by("c", &["host:db2"])]);

    assert_eq!(ids(&world.acquire_many("alice", 10)), ["a", "c"], "b waits, and stops nobody behind it");
}

#[test]
fn global_limits_all_kinds_of_a_session() {
    let mut world = World::with(Policy::default());
    world.perform(&limiting("global", Some(2))).unwrap();
    world.add(vec![of_kind("a", "dump"), of_kind("b", "restore"), of_kind("c", "index")]);

    assert_eq!(world.acquire_many("alice", 10).len(), 2);
}

#[test]
fn a_limit_over_all_sessions_holds_for_their_sum() {
    let mut world = World::with(Policy::default());
    world.open("other", Policy::default());
    world.add(restores(5));
    world
        .perform(&Command::AddItems {
            session: session("other"),
            items: restores(5),
            gates: vec![],
            conflicts: capstan_work::Conflicts::Refuse,
        })
        .unwrap();
    world.perform(&limiting_all("restore", Some(3))).unwrap();

    let Answer::Granted(grants) = world.ask(Acquire { max: 10, ..Acquire::any(worker("alice")) }) else {
        panic!("there was work")
    };
    assert_eq!(grants.len(), 3);
    assert!(grants.iter().any(|grant| grant.session == shop()) && grants.iter().any(|grant| grant.session != shop()));
    assert_eq!(world.acquire("bob"), None);
    let shared = world.work.limits().into_iter().find(|view| view.name.as_str() == "restore").unwrap();
    assert_eq!((shared.live, shared.most.map(capstan_work::LimitValue::get)), (3, Some(3)));
}

#[test]
fn a_revoked_lease_counts_until_it_is_acknowledged() {
    let mut world = World::with(pool(1));
    world.add(restores(2));
    let grant = world.acquire("alice").unwrap();
    world.perform(&cancelling_item("r0")).unwrap();

    assert_eq!(world.acquire("bob"), None, "its holder may still be at it");
    world.release(&grant).unwrap();
    assert_eq!(world.acquire("bob").unwrap().body.id(), "r1");
}

#[test]
fn a_limit_stops_only_what_counts_against_it() {
    let mut world = World::with(pool(1));
    world.add(vec![of_kind("r1", "restore"), of_kind("r2", "restore"), of_kind("d1", "dump")]);
    assert_eq!(world.acquire("alice").unwrap().body.id(), "r1");

    assert_eq!(world.acquire("bob").unwrap().body.id(), "d1");
    let restores_only = Acquire { kinds: vec![kind("restore")], ..acquiring("carol") };
    assert_eq!(world.ask(restores_only), Answer::Nothing(NoWork::AtLimit));
}

#[test]
fn a_limit_is_1_to_4096() {
    use capstan_work::LimitValue;
    assert_eq!(LimitValue::new(0), None);
    assert_eq!(LimitValue::new(4_097), None);
    assert!(LimitValue::new(1).is_some() && LimitValue::new(4_096).is_some());
}

#[test]
fn setting_a_limit_to_what_it_is_journals_nothing() {
    let mut world = World::with(pool(3));
    let journalled = world.journal.len();
    world.perform(&limiting("restore", Some(3))).unwrap();
    world.perform(&limiting("never", None)).unwrap();
    assert_eq!(world.journal.len(), journalled);
}

#[test]
fn limits_survive_a_crash_with_what_counts_against_them() {
    let mut world = World::with(pool(3));
    world.add(restores(10));
    world.perform(&limiting("restore", Some(2))).unwrap();
    world.acquire("alice").unwrap();

    world.crash();

    assert_eq!(world.acquire_many("bob", 10).len(), 1);
}

#[test]
fn too_many_limit_names_are_refused() {
    let mut world = World::with(Policy::default());
    let mut refused = None;
    for n in 0..5_000 {
        if let Err(rejection) = world.work.decide(
            &limiting(&format!("host:{n}"), Some(1)),
            capstan_work::Context { moment: world.now, next: world.next, random: 0 },
        ) {
            refused = Some((n, rejection));
            break;
        }
        let stamp = capstan_work::Stamp { position: world.next, moment: world.now };
        let event = capstan_work::Event::LimitSet { name: limit(&format!("host:{n}")), value: Some(most(1)) };
        world.work.apply(stamp, Some(&shop()), &event);
    }
    assert!(matches!(refused, Some((4_096, Rejection::LimitReached { limit: 4_096, .. }))), "{refused:?}");
}
