//! What is written today is read forever: every event, and a session's snapshot, as bytes that are checked in.
//!
//! A fixture is never changed. A new field is optional and comes last; a new event takes the next number; both get a
//! new fixture beside the old one. `WRITE_FIXTURES=1` writes the files that are not there yet.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_ids::{Millis, Monotonic, Token, WallTime};
use capstan_work::{
    Backoff, Event, GrantKey, ItemBody, LeaseGrowth, NewItem, OnExhausted, Policy, Progress, Slice, WaitsFor, WorkState,
};
use std::fmt::Write;
use std::path::PathBuf;
use world::*;

fn fixture(name: &str, current: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    if !path.exists() && std::env::var_os("WRITE_FIXTURES").is_some() {
        std::fs::write(&path, current).expect("the folder is there");
    }
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("fixture {} cannot be read: {e}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("two hex digits")).collect()
}

fn full_policy() -> Policy {
    Policy {
        lease: secs(30),
        lease_min: secs(5),
        lease_max: secs(3_600),
        growth: LeaseGrowth::Doubling,
        attempts: Some(4),
        backoff: Backoff::Exponential { initial: Millis(500), cap: secs(60) },
        on_exhausted: OnExhausted::Skip,
        weight: 7,
        limits: vec![(limit("restore"), most(8)), (limit("host:db1"), most(2))],
        keep_completed: Some(1_000),
        ..Policy::default()
    }
}

fn full_item() -> NewItem {
    NewItem {
        kind: kind("restore"),
        index_name: "orders".into(),
        shard_number: 3,
        document_count: 1_000_000,
        total_size_bytes: 5_000_000_000,
        priority: -3,
        not_before: Some(WallTime(1_790_000_000_123_456)),
        groups: vec![group("unit/orders")],
        waits_for: vec![WaitsFor::Group(group("dumps")), WaitsFor::Item(id("plan"))],
        limits: vec![limit("host:db1")],
        undo: false,
        payload: Some("{\"ü\":[1,2]}".into()),
        ..item("orders/$chunk 7")
    }
}

/// One of each, with every field filled in, and one more where a field may be left out.
fn events() -> Vec<(&'static str, Event)> {
    let number = 300;
    let progress = Progress { documents: 70_000, bytes: 1 << 40 };
    let (text, checkpoint): (Box<str>, Option<Box<str>>) = ("it broke".into(), Some("{\"at\":7}".into()));
    let error = text.clone();
    let granted = |key| Event::ItemGranted { number, worker: worker("host-1/alice"), length: secs(30), key };
    vec![
        ("session_opened", Event::SessionOpened { policy: full_policy(), notes: Some("{}".into()) }),
        ("session_opened_console", Event::SessionOpened { policy: Policy::console(), notes: None }),
        ("session_updated", Event::SessionUpdated { policy: full_policy(), notes: Some("{}".into()) }),
        ("session_deleted", Event::SessionDeleted),
        ("item_added", Event::ItemAdded { body: ItemBody::pack(&full_item()), parent: Some(299) }),
        ("item_added_plain", Event::ItemAdded { body: ItemBody::pack(&item("a")), parent: None }),
        ("item_added_undo", Event::ItemAdded { body: ItemBody::pack(&undo("u")), parent: None }),
        ("item_granted", granted(Some(GrantKey::Given(key("k1"))))),
        ("item_granted_after", granted(Some(GrantKey::After(Token::from_wire(1 << 44))))),
        ("item_granted_plain", granted(None)),
        ("lease_renewed", Event::LeaseRenewed { number, length: secs(60), progress, checkpoint: checkpoint.clone() }),
        ("lease_touched", Event::LeaseTouched { number, length: secs(60), progress }),
        ("progress_noted", Event::ProgressNoted { number, progress }),
        (
            "item_completed",
            Event::ItemCompleted { number, result: Some("{}".into()), done: progress, successors: Some(u64::MAX) },
        ),
        ("item_completed_plain", Event::ItemCompleted { number, result: None, done: progress, successors: None }),
        (
            "attempt_failed",
            Event::AttemptFailed {
                number,
                error: error.clone(),
                delay: Millis(750),
                progress,
                checkpoint: checkpoint.clone(),
            },
        ),
        ("item_failed", Event::ItemFailed { number, error, progress, checkpoint: checkpoint.clone(), ran_out: false }),
        ("lease_released", Event::LeaseReleased { number, progress, checkpoint }),
        ("lease_expired", Event::LeaseExpired { number, counted: true, progress }),
        ("lease_revoked", Event::LeaseRevoked { number, reason: text.clone(), cancel: true, counted: false }),
        ("item_cancelled", Event::ItemCancelled { number }),
        ("item_retried", Event::ItemRetried { number }),
        ("item_queued", Event::ItemQueued { number }),
        ("priority_set", Event::PrioritySet { number, priority: -5 }),
        ("item_deleted", Event::ItemDeleted { number }),
        ("items_deleted", Event::ItemsDeleted),
        ("ghost_ended", Event::GhostEnded { token: Token::from_wire((1 << 53) - 1) }),
        ("limit_set", Event::LimitSet { name: limit("restore"), value: Some(most(4_096)) }),
        ("limit_lifted", Event::LimitSet { name: limit("restore"), value: None }),
        ("gate_held", Event::GateHeld { group: group("g"), gate: gate("ring7") }),
        ("gate_opened", Event::GateOpened { group: group("g"), gate: gate("ring7") }),
        ("session_paused", Event::SessionPaused { immediate: true, reason: text.clone() }),
        ("session_resumed", Event::SessionResumed),
        ("session_cancelled", Event::SessionCancelled { reason: text }),
        ("session_closed", Event::SessionClosed),
        ("expiries_seen", Event::ExpiriesSeen),
    ]
}

/// Fails to compile when a variant is added: it needs a line in [`events`], and a fixture.
fn has_a_fixture(event: &Event) -> bool {
    use Event::*;
    match event {
        SessionOpened { .. } | SessionUpdated { .. } | SessionDeleted | ItemAdded { .. } | ItemGranted { .. } => true,
        LeaseRenewed { .. } | LeaseTouched { .. } | ProgressNoted { .. } | ItemCompleted { .. } => true,
        AttemptFailed { .. } | ItemFailed { .. } | LeaseReleased { .. } | LeaseExpired { .. } => true,
        LeaseRevoked { .. } | ItemCancelled { .. } | ItemRetried { .. } | ItemQueued { .. } => true,
        PrioritySet { .. } | ItemDeleted { .. } | ItemsDeleted | GhostEnded { .. } | LimitSet { .. } => true,
        GateHeld { .. } | GateOpened { .. } | SessionPaused { .. } | SessionResumed => true,
        SessionCancelled { .. } | SessionClosed | ExpiriesSeen => true,
        // Never journalled, and so never read.
        LeaseStuck { .. } | LeasesLooked | WorkerSeen { .. } => !event.is_durable(),
    }
}

/// What came with the second version: workers that get no further.
fn events_of_the_second_version() -> Vec<(&'static str, Event)> {
    let policy = Policy { stuck_after: Some(secs(300)), revoke_stuck: true, ..full_policy() };
    let reason: Box<str> = "alice got no further".into();
    vec![
        ("session_opened_stuck", Event::SessionOpened { policy: policy.clone(), notes: None }),
        ("session_updated_stuck", Event::SessionUpdated { policy, notes: None }),
        ("lease_revoked_counted", Event::LeaseRevoked { number: 300, reason, cancel: false, counted: true }),
    ]
}

#[test]
fn events_of_the_first_version_read_and_are_still_written_the_same() {
    read_and_written_the_same("events-v1.hex", events());
}

#[test]
fn events_of_the_second_version_read_and_are_still_written_the_same() {
    read_and_written_the_same("events-v2.hex", events_of_the_second_version());
}

fn read_and_written_the_same(file: &str, events: Vec<(&'static str, Event)>) {
    let mut current = String::new();
    for (name, event) in &events {
        assert!(has_a_fixture(event));
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        writeln!(current, "{name} {}", hex(&bytes)).expect("writing to a string cannot fail");
    }
    let stored = fixture(file, &current);

    let expected: std::collections::BTreeMap<_, _> = events.into_iter().collect();
    assert_eq!(stored.lines().count(), expected.len());
    for line in stored.lines() {
        let (name, bytes) = line.split_once(' ').expect("a name and its bytes");
        assert_eq!(&Event::decode(&unhex(bytes)).expect("it reads"), &expected[name], "{name}");
    }
    assert_eq!(current, stored);
}

#[test]
fn an_event_cut_short_is_refused() {
    for (name, event) in events() {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        for cut in 0..bytes.len() {
            assert!(Event::decode(&bytes[..cut]).is_err(), "{name} cut at {cut}");
        }
    }
}

/// A session with everything in it: all states, groups, gates, ghosts, keys, limits, forgotten items.
fn full_world() -> World {
    let mut world = World::with(Policy { keep_completed: Some(2), attempts: Some(1), ..full_policy() });
    world.perform(&holding_gate("gated", "held")).unwrap();
    world.perform(&holding_gate("gated", "opened")).unwrap();
    world.perform(&opening_gate("gated", "opened")).unwrap();
    let dated = NewItem { not_before: Some(WallTime(1_900_000_000_000_000)), ..item("dated") };
    world.add(vec![
        item_in("done1", &["g"]),
        item("done2"),
        item("done3"),
        item("failed"),
        item("held"),
        item("ghost"),
    ]);
    world.add(vec![limited_by("more", &["host:db1"]), dated, undo("u"), waiting_for_item("blocked", "failed")]);
    world.add(vec![waiting_for_group("after-g", "g"), waiting_for_group("waiting", "gated"), urgent("first", 9)]);
    let first = world.ask(capstan_work::Acquire { key: Some(key("k")), max: 7, ..acquiring("alice") });
    let capstan_work::Answer::Granted(grants) = first else { panic!("there was work") };
    for grant in &grants {
        match grant.body.id() {
            "done1" => drop(world.complete_with(grant, vec![item("done1/rest")]).unwrap()),
            "done2" | "done3" => drop(world.complete(grant).unwrap()),
            "failed" => drop(world.fail(grant).unwrap()),
            "held" => drop(world.perform(&renewing(grant, Some(7), Some("here"))).unwrap()),
            "ghost" => drop(world.perform(&deleting_item("ghost")).unwrap()),
            _ => {}
        }
    }
    world.perform(&cancelling_item("first")).unwrap();
    world
}

#[test]
fn a_session_snapshot_of_the_first_version_reads_and_is_still_written_the_same() {
    let mut world = full_world();
    let mut rows = vec![world.work.begin_snapshot(&shop()).unwrap()];
    while let Slice::Rows(more) = world.work.snapshot_slice(&shop(), 5) {
        rows.extend(more);
    }
    let current: String = rows.iter().map(|row| hex(row) + "\n").collect();
    let stored = fixture("session-snapshot-v1.hex", &current);

    let mut lines = stored.lines().map(unhex);
    let mut work = WorkState::new();
    let mut restore = work.restore_session(&lines.next().expect("a header"), Monotonic(0)).expect("it reads");
    for row in lines {
        restore.row(&row).expect("it reads");
    }
    restore.finish();
    work.check().unwrap();
    assert_eq!(portrait(&work), portrait(&world.work));
    assert_eq!(current, stored);
}
