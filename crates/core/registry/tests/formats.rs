//! What is written today is read forever: every event and a snapshot, as bytes that are checked in.
//!
//! A fixture is never changed. A new field is optional and comes last; a new event takes the next number; both get a
//! new fixture beside the old one. `WRITE_FIXTURES=1` writes the files that are not there yet.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_ids::WallTime;
use capstan_registry::*;
use std::collections::BTreeMap;
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

/// One of each, with every field filled in, and one more where a field may be left out.
fn events() -> Vec<(&'static str, Event)> {
    let (id, at) = (id("orders/7 ü"), WallTime(1_790_000_000_123_456));
    let name = PipelineName::new("Orders → search").expect("a name");
    let group = Some(PipelineGroup::new("shop").expect("a group"));
    let label = |key, value| (LabelKey::new(key).expect("a key"), LabelValue::new(value).expect("a value"));
    let labels = Labels::from([label("team", "search"), label("empty", "")]);
    let status = PipelineStatus::Failed;
    let (total_records, failed_records, bytes_moved) = (1_000_000, 5, (1 << 53) - 1);
    let used = resources(15.501, 2_048);
    let rules = Rules {
        limits: Resources { cpu: Cpu::percent(160), memory_mb: 100_000 },
        stale_after: secs(45),
        stale_counts_as_failed: false,
        keep_ended: secs(3_600),
    };
    let (resources, ttl, priority, patience) = (used, secs(60), -3, secs(600));
    let plain = Event::PipelineRegistered {
        id: id.clone(),
        at,
        name: name.clone(),
        group: None,
        priority,
        labels: Labels::new(),
    };
    vec![
        ("pipeline_registered", Event::PipelineRegistered { id: id.clone(), at, name, group, priority, labels }),
        ("pipeline_registered_plain", plain),
        ("pipeline_unregistered", Event::PipelineUnregistered { id: id.clone(), at, cause: Leaving::KeptLongEnough }),
        (
            "pipeline_status_updated",
            Event::PipelineStatusUpdated { id: id.clone(), at, status, total_records, failed_records, bytes_moved },
        ),
        ("resource_usage_reported", Event::ResourceUsageReported { id: id.clone(), at, used }),
        ("reserved", Event::Reserved { id: id.clone(), at, resources, ttl, priority }),
        ("released", Event::Released { id: id.clone(), at, cause: Ending::RanOut }),
        ("limits_changed", Event::LimitsChanged { at, rules }),
        ("marked_stale", Event::MarkedStale { id: id.clone(), at }),
        ("marked_live", Event::MarkedLive { id: id.clone(), at }),
        ("reservation_queued", Event::ReservationQueued { id: id.clone(), at, resources, ttl, priority, patience }),
        ("reservation_dropped", Event::ReservationDropped { id: id.clone(), at, cause: Ending::LargerThanLimits }),
        ("heartbeat_seen", Event::HeartbeatSeen { id: id.clone(), at }),
        ("status_held", Event::StatusHeld { id: id.clone(), status, total_records, failed_records, bytes_moved }),
        ("usage_seen", Event::UsageSeen { id: id.clone(), used }),
        ("reservation_renewed", Event::ReservationRenewed { id }),
    ]
}

/// Fails to compile when a variant is added: it needs a line in [`events`], and a fixture.
fn has_a_fixture(event: &Event) -> bool {
    use Event::*;
    match event {
        PipelineRegistered { .. } | PipelineUnregistered { .. } | PipelineStatusUpdated { .. } => true,
        ResourceUsageReported { .. } | Reserved { .. } | Released { .. } | LimitsChanged { .. } => true,
        MarkedStale { .. } | MarkedLive { .. } | ReservationQueued { .. } | ReservationDropped { .. } => true,
        HeartbeatSeen { .. } | StatusHeld { .. } | UsageSeen { .. } | ReservationRenewed { .. } => true,
    }
}

#[test]
fn events_of_the_first_version_read_and_are_still_written_the_same() {
    let mut current = String::new();
    for (name, event) in events() {
        assert!(has_a_fixture(&event));
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        writeln!(current, "{name} {}", hex(&bytes)).unwrap();
    }
    let stored = fixture("events-v1.hex", &current);

    let expected: BTreeMap<_, _> = events().into_iter().collect();
    assert_eq!(stored.lines().count(), expected.len());
    for line in stored.lines() {
        let (name, bytes) = line.split_once(' ').unwrap();
        assert_eq!(&Event::decode(&unhex(bytes)).unwrap(), &expected[name], "{name}");
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

/// A registry with everything in it: every status, a stale pipeline, costs, labels, held and waiting reservations.
fn full_world() -> World {
    let mut world = World::running(&["failed", "paused", "running", "stale", "stopped"]);
    let labels = Labels::from([(LabelKey::new("team").expect("a key"), LabelValue::new("search").expect("a value"))]);
    let group = Some(PipelineGroup::new("shop").expect("a group"));
    let name = PipelineName::new("Configured").expect("a name");
    world.ask(Command::ChangeRules(RulesChange { stale_after: Some(secs(30)), ..RulesChange::default() }));
    world.ask(using("running", 15.5, 2_048));
    world.ask(Command::UpdateStatus(StatusReport {
        id: id("failed"),
        status: PipelineStatus::Failed,
        total_records: 10,
        failed_records: 3,
        bytes_moved: Some(1 << 40),
    }));
    world.ask(saying("paused", PipelineStatus::Paused, 5, 0));
    world.ask(saying("stopped", PipelineStatus::Stopped, 5, 0));
    world.pass(secs(20));
    let register = Register { group, labels, priority: 3, ..Register::new(id("configured"), name) };
    world.ask(Command::Register(register));
    world.ask(beating("running"));
    world.ask(beating("paused"));
    world.pass(secs(15));
    world.ask(using("running", 25.0, 4_096));
    world.reserve(Reserve { ttl: secs(600), ..reserving("running", 30.0, 1_000) }).expect("there is room");
    world.reserve(Reserve { ttl: secs(600), ..reserving("later", 50.0, 1_000) }).expect("there is room");
    let wait = Some(secs(600));
    world.reserve(Reserve { wait, ..reserving("first", 10.0, 0) }).expect("there is a queue");
    world.reserve(Reserve { wait, priority: Some(9), ..reserving("urgent", 11.0, 0) }).expect("there is a queue");
    world
}

fn rows_of(stored: &str) -> Vec<Vec<u8>> {
    stored.lines().map(unhex).collect()
}

#[test]
fn a_snapshot_of_the_first_version_reads_and_begins_the_course_of_health_with_its_last_change() {
    let mut world = full_world();
    let rows = rows_of(&fixture("snapshot-v1.hex", ""));

    let mut registry = restored(&rows, world.now).unwrap();
    registry.check().unwrap();

    let system = world.system();
    assert_eq!(registry.system(), system);
    assert_eq!(portrait(&mut registry)[1..], portrait(&mut world.registry)[1..]);
    let since = system.updated_at;
    let expected = Course { health: system.health, since, before: Health::Idle, trouble_since: Some(since) };
    assert_eq!((registry.course(), system.health.is_well()), (expected, false));
}

#[test]
fn a_snapshot_of_the_second_version_reads_and_is_still_written_the_same() {
    let mut world = full_world();
    let rows = portrait(&mut world.registry);
    let current: String = rows.iter().map(|row| hex(row) + "\n").collect();
    let stored = fixture("snapshot-v2.hex", &current);

    let rows = rows_of(&stored);
    let mut registry = restored(&rows, world.now).unwrap();
    registry.check().unwrap();

    assert_eq!((registry.system(), registry.course()), (world.system(), world.registry.course()));
    assert_eq!(portrait(&mut registry), rows);
    assert_eq!(current, stored);
}

#[test]
fn rows_that_do_not_make_a_registry_are_refused() {
    let mut world = full_world();
    let rows = portrait(&mut world.registry);
    let refused = |rows: &[Vec<u8>]| restored(rows, world.now).expect_err("these are not its rows").to_string();

    let (missing, twice) = (&rows[..rows.len() - 1], [&rows[..], &rows[1..2]].concat());
    assert_eq!(refused(missing), "the registry's snapshot has 5 pipelines where its header says 6");
    assert_eq!(refused(&twice), "row 7 of the registry's snapshot cannot be: its pipeline had a row before");
    for at in 0..rows.len() {
        for cut in 0..rows[at].len() {
            let mut rows = rows.clone();
            rows[at].truncate(cut);
            assert!(refused(&rows).contains("cannot be read"), "row {at} cut at {cut}");
        }
    }
}
