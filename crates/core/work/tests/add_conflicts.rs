//! Adding is idempotent by id; a batch is all or nothing unless asked otherwise; bad input is refused whole.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_ids::{LimitName, Millis};
use capstan_work::{
    Acquire, Added, Answer, Backoff, Command, Conflicts, LimitValue, NewItem, Policy, PolicyChange, Rejection,
    SessionState, WaitsFor,
};
use world::*;

#[test]
fn adding_again_leaves_what_is_there_as_it_is() {
    let mut world = World::with(Policy::default());
    assert_eq!(world.add(vec![item("a")]), Answer::Added(vec![Added::Created]));
    let grant = world.acquire("alice").unwrap();
    let journalled = world.journal.len();

    assert_eq!(world.add(vec![item("a")]), Answer::Added(vec![Added::Unchanged]));

    assert_eq!(world.journal.len(), journalled);
    world.complete(&grant).unwrap();
}

#[test]
fn another_content_under_an_id_is_a_conflict_that_names_the_field() {
    let mut world = World::with_items(&["a"]);
    let refused = world.perform(&adding(vec![item("b"), item_of("a", 5)])).unwrap_err();

    let field = "document_count";
    assert_eq!(refused, Rejection::ItemConflict { session: shop(), item: id("a"), field });
    assert!(world.work.item(&shop(), &id("b")).is_none(), "all or nothing");
}

#[test]
fn each_item_has_its_own_outcome_where_that_is_asked_for() {
    let mut world = World::with_items(&["a", "b"]);
    let command = Command::AddItems {
        session: shop(),
        items: vec![item("a"), item_of("b", 5), item("c"), item("c"), item_of("c", 1)],
        gates: vec![],
        conflicts: Conflicts::Report,
    };

    let answer = world.perform(&command).unwrap();

    let (unchanged, conflict) = (Added::Unchanged, Added::Conflict("document_count"));
    let expected = vec![unchanged.clone(), conflict.clone(), Added::Created, unchanged, conflict];
    assert_eq!(answer, Answer::Added(expected));
}

#[test]
fn one_id_twice_in_a_request_is_refused_if_it_differs() {
    let mut world = World::with(Policy::default());
    let refused = world.perform(&adding(vec![item("a"), item_of("a", 1)]));
    assert!(matches!(refused, Err(Rejection::ItemTwice { field: "document_count", .. })));
    assert_eq!(world.add(vec![item("a"), item("a")]), Answer::Added(vec![Added::Created, Added::Unchanged]));
}

#[test]
fn a_session_opens_with_its_items_or_not_at_all() {
    let mut world = World::new();
    let opening = |items| Command::OpenSession {
        session: shop(),
        policy: Policy::default(),
        notes: Some("{\"owner\":\"me\"}".into()),
        items,
        gates: vec![(group("g"), gate("ready"))],
    };

    assert!(world.perform(&opening(vec![waiting_for_item("a", "nowhere")])).is_err());
    assert!(!world.work.has_session(&shop()));
    world.perform(&opening(vec![item("a"), waiting_for_group("b", "g")])).unwrap();

    assert_eq!((world.state_of("a"), world.state_of("b")), ("pending", "waiting"));
    assert_eq!(world.perform(&opening(vec![])), Err(Rejection::SessionExists(shop())));
}

#[test]
fn every_bound_is_refused_with_its_field_and_its_limit() {
    let text = |bytes: usize| -> Box<str> { "x".repeat(bytes).into() };
    let groups = |count: u32| (0..count).map(|n| group(&format!("g{n}"))).collect();
    let cases: Vec<(&str, NewItem)> = vec![
        ("payload", NewItem { payload: Some(text(65_537)), ..item("a") }),
        ("index_name", NewItem { index_name: text(513), ..item("a") }),
        ("document_count", NewItem { document_count: 1 << 53, ..item("a") }),
        ("total_size_bytes", NewItem { total_size_bytes: 1 << 53, ..item("a") }),
        ("groups", NewItem { groups: groups(17), ..item("a") }),
        (
            "waits_for",
            NewItem { waits_for: (0..65).map(|n| WaitsFor::Item(id(&n.to_string()))).collect(), ..item("a") },
        ),
        ("limits", NewItem { limits: (0..9).map(|n| limit(&n.to_string())).collect(), ..item("a") }),
    ];
    let mut world = World::with(Policy::default());
    for (expected, bad) in cases {
        let refused = world.perform(&adding(vec![item("good"), bad])).unwrap_err();
        assert!(matches!(&refused, Rejection::OutOfRange { field, .. } if *field == expected), "{refused}");
    }
    let many = (0..10_001).map(|n| item(&n.to_string())).collect();
    assert!(matches!(world.perform(&adding(many)), Err(Rejection::LimitReached { limit: 10_000, .. })));
    assert_eq!(world.view().counts.total(), 0, "nothing half-applied");
}

#[test]
fn every_bound_of_a_policy_is_refused() {
    let limits = |count: u32| (0..count).map(|n| (LimitName::new(n.to_string()).unwrap(), LimitValue::new(1).unwrap()));
    let cases: Vec<(&str, Policy)> = vec![
        ("lease_min and lease_max", Policy { lease_min: Millis(9), ..Policy::default() }),
        ("lease_min and lease_max", Policy { lease_max: secs(8 * 86_400), ..Policy::default() }),
        ("lease_min and lease_max", Policy { lease_min: secs(9), lease_max: secs(8), ..Policy::default() }),
        ("lease", Policy { lease: secs(2 * 86_400), ..Policy::default() }),
        ("attempts", Policy { attempts: Some(0), ..Policy::default() }),
        ("weight", Policy { weight: 0, ..Policy::default() }),
        ("weight", Policy { weight: 1_001, ..Policy::default() }),
        ("backoff", Policy { backoff: Backoff::Exponential { initial: secs(9), cap: secs(8) }, ..Policy::default() }),
        ("limits", Policy { limits: limits(4_097).collect(), ..Policy::default() }),
    ];
    let mut world = World::new();
    for (expected, policy) in cases {
        let opening = Command::OpenSession { session: shop(), policy, notes: None, items: vec![], gates: vec![] };
        let refused = world.perform(&opening).unwrap_err();
        assert!(matches!(&refused, Rejection::OutOfRange { field, .. } if *field == expected), "{refused}");
    }
}

#[test]
fn an_acquire_asks_for_1_to_1000_of_at_most_1000_sessions_and_kinds() {
    let mut world = World::with_items(&["a"]);
    let kinds = (0..1_001).map(|n| kind(&format!("k{n}"))).collect();
    for (expected, bad) in [
        ("max", Acquire { max: 0, ..acquiring("alice") }),
        ("max", Acquire { max: 1_001, ..acquiring("alice") }),
        ("kinds", Acquire { kinds, ..acquiring("alice") }),
        ("sessions", Acquire { sessions: vec![shop(); 1_001], ..acquiring("alice") }),
        ("sessions", Acquire { sessions: vec![], ..acquiring_item("alice", "a") }),
    ] {
        let refused = world.perform(&Command::Acquire(bad)).unwrap_err();
        assert!(matches!(&refused, Rejection::OutOfRange { field, .. } if *field == expected), "{refused}");
    }
}

#[test]
fn a_group_takes_a_thousand_gates() {
    let mut world = World::with(Policy::default());
    let gates = |from: u32, to: u32| Command::AddItems {
        session: shop(),
        items: vec![],
        gates: (from..to).map(|n| (group("g"), gate(&n.to_string()))).collect(),
        conflicts: Conflicts::Refuse,
    };

    world.perform(&gates(0, 1_000)).unwrap();

    assert!(matches!(world.perform(&gates(1_000, 1_001)), Err(Rejection::LimitReached { limit: 1_000, .. })));
    assert!(matches!(world.perform(&holding_gate("g", "x")), Err(Rejection::LimitReached { .. })));
    world.perform(&gates(0, 10)).unwrap();
}

#[test]
fn only_what_is_named_of_a_policy_changes() {
    let mut world = World::with_items(&["a"]);
    let change = PolicyChange { lease: Some(secs(60)), ..PolicyChange::default() };
    world.perform(&Command::UpdateSession { session: shop(), change, notes: Some("{}".into()) }).unwrap();

    let view = world.view();
    assert_eq!(view.policy, Policy { lease: secs(60), ..Policy::default() });
    assert_eq!(view.notes.as_deref(), Some("{}"));
    assert_eq!(world.acquire("alice").unwrap().lease, secs(60));
    let change = PolicyChange { weight: Some(0), ..PolicyChange::default() };
    assert!(world.perform(&Command::UpdateSession { session: shop(), change, notes: None }).is_err());
}

#[test]
fn a_session_shows_how_far_it_is() {
    let mut world = World::with(Policy::default());
    assert_eq!(world.view().state, SessionState::Running, "an empty session is ready for work");
    world.add(vec![item("a")]);
    assert_eq!(world.view().state, SessionState::Running);
    assert_eq!(world.view().started, None);
    let grant = world.acquire("alice").unwrap();
    assert_eq!(world.view().started, Some(world.now.wall));
    world.complete(&grant).unwrap();
    assert_eq!(world.view().state, SessionState::Completed);
}

#[test]
fn items_are_listed_in_order_of_creation_from_any_of_them() {
    let mut world = World::with(Policy::default());
    world.add((0..700).map(|n| item(&format!("i{n}"))).collect());
    world.perform(&deleting_item("i300")).unwrap();

    let listed: Vec<String> =
        world.work.items_from(&shop(), 299).unwrap().map(|view| view.body.id().to_owned()).take(3).collect();

    assert_eq!(listed, ["i299", "i301", "i302"]);
}
