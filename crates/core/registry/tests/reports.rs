//! What of a flood of reports reaches the journal, and what it costs.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_ids::{Millis, Moment};
use capstan_registry::*;
use world::*;

fn count(world: &World, name: &str) -> usize {
    world.journal.iter().filter(|event| event.name() == name).count()
}

#[test]
fn heartbeats_are_never_journalled() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 10.0, 100));
    let before = world.journal.len();

    for _ in 0..1_000 {
        world.pass(secs(1));
        assert_eq!(world.report(beating("p1")), Reported::Noted);
        assert_eq!(world.report(using("p1", 10.0, 100)), Reported::Noted);
        assert_eq!(world.report(saying("p1", PipelineStatus::Running, 0, 0)), Reported::Noted);
    }

    assert_eq!(world.journal.len(), before);
    assert_eq!(world.pipeline("p1").last_heartbeat, world.now.wall);
    assert_eq!(world.system().stale, 0);
}

#[test]
fn of_the_statuses_within_a_second_the_last_one_wins() {
    let mut world = World::running(&["p1"]);
    assert_eq!(world.report(saying("p1", PipelineStatus::Running, 1, 0)), Reported::Recorded);
    let until = world.now.monotonic + secs(1);

    for total in 2..100 {
        world.pass(Millis(10));
        assert_eq!(world.report(saying("p1", PipelineStatus::Running, total, 1)), Reported::Held { until });
    }
    assert_eq!(world.pipeline("p1").total_records, 1, "what is held is not in force yet");
    world.pass(Millis(20));

    assert_eq!((world.pipeline("p1").total_records, world.pipeline("p1").failed_records), (99, 1));
    assert_eq!(count(&world, "PipelineStatusUpdated"), 3);
}

#[test]
fn a_failure_within_the_second_is_told_when_it_is_over_and_no_later() {
    let mut world = World::running(&["p1", "p2", "p3"]);
    world.ask(saying("p1", PipelineStatus::Running, 1, 0));
    world.ask(saying("p1", PipelineStatus::Failed, 1, 1));
    assert_eq!(world.system().health, Health::Healthy);
    world.pass(Millis(999));
    assert_eq!(world.system().health, Health::Healthy);
    world.pass(Millis(1));
    assert_eq!(world.system().health, Health::Degraded);
}

#[test]
fn a_held_report_keeps_the_bytes_of_the_one_it_replaces() {
    let mut world = World::running(&["p1"]);
    let moved = |total_records, bytes_moved| {
        Command::UpdateStatus(StatusReport {
            id: id("p1"),
            status: PipelineStatus::Running,
            total_records,
            failed_records: 0,
            bytes_moved,
        })
    };
    world.ask(moved(1, Some(100)));
    world.ask(moved(2, Some(250)));
    world.ask(moved(3, None));
    world.pass(secs(1));
    assert_eq!((world.pipeline("p1").total_records, world.pipeline("p1").cost.bytes_moved()), (3, 250));
}

#[test]
fn usage_counts_at_once_and_is_journalled_at_most_once_a_second() {
    let mut world = World::running(&["p1"]);
    assert_eq!(world.report(using("p1", 10.0, 1)), Reported::Recorded);

    for n in 2..=50 {
        assert_eq!(world.report(using("p1", 10.0, n)), Reported::Noted);
        assert_eq!(world.system().used.memory_mb, n as u64);
    }
    world.pass(secs(1));

    let reported: Vec<_> = world
        .journal
        .iter()
        .filter_map(|event| match event {
            Event::ResourceUsageReported { used, .. } => Some(used.memory_mb),
            _ => None,
        })
        .collect();
    assert_eq!(reported, [1, 50]);
}

#[test]
fn a_figure_that_comes_and_goes_within_a_second_is_no_event() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 10.0, 1));
    world.ask(using("p1", 90.0, 1));
    world.ask(using("p1", 10.0, 1));
    world.pass(secs(10));
    assert_eq!(count(&world, "ResourceUsageReported"), 1);
}

#[test]
fn beyond_a_hundred_events_a_second_usage_is_journalled_once_a_minute_a_pipeline() {
    const PIPELINES: u64 = 7_000;
    let mut world = World::new();
    let names: Vec<String> = (0..PIPELINES).map(|n| format!("p{n:05}")).collect();
    let World { registry, now, .. } = &mut world;
    for name in &names {
        registry.perform(&registering(name), *now, &mut |_| {}).unwrap();
    }
    let mut journalled = Vec::new();
    for second in 0..180_u64 {
        let mut this_second = 0;
        let mut record = |event: &Event| this_second += u64::from(matches!(event, Event::ResourceUsageReported { .. }));
        while registry.is_due(*now) {
            registry.perform(&Command::Tick, *now, &mut record).unwrap();
        }
        if second % 10 == 0 {
            for name in &names {
                registry.perform(&using(name, 0.0, second as i64 + 1), *now, &mut record).unwrap();
            }
        }
        journalled.push(this_second);
        *now = Moment { monotonic: now.monotonic + secs(1), wall: now.wall + secs(1) };
    }
    registry.check().unwrap();

    assert_eq!(journalled[..60].iter().max(), Some(&100));
    let last_minute: u64 = journalled[120..].iter().sum();
    assert!((PIPELINES..=2 * PIPELINES).contains(&last_minute), "{last_minute} events in the last minute");
    assert_eq!(registry.system().used.memory_mb, PIPELINES * 171, "every figure counts at once, journalled or not");
}

#[test]
fn a_crash_loses_usage_that_was_not_journalled_and_the_next_report_mends_it() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 10.0, 1));
    world.ask(using("p1", 20.0, 2));

    world.crash();
    assert_eq!(world.system().used, resources(10.0, 1));

    assert_eq!(world.report(using("p1", 20.0, 2)), Reported::Recorded);
    assert_eq!(world.system().used, resources(20.0, 2));
}

#[test]
fn a_crash_loses_no_status_that_was_recorded() {
    let mut world = World::running(&["p1"]);
    assert_eq!(world.report(saying("p1", PipelineStatus::Paused, 7, 2)), Reported::Recorded);
    world.crash();
    let pipeline = world.pipeline("p1");
    assert_eq!((pipeline.status, pipeline.total_records, pipeline.failed_records), (PipelineStatus::Paused, 7, 2));
}

#[test]
fn a_leader_that_ends_records_the_reports_it_holds() {
    let mut world = World::running(&["p1", "p2"]);
    for name in ["p1", "p2"] {
        world.report(saying(name, PipelineStatus::Running, 1, 0));
    }
    let held = world.report(saying("p1", PipelineStatus::Failed, 5, 5));
    assert!(matches!(held, Reported::Held { .. }), "{held:?}");
    assert!(world.registry.holds_reports());

    world.ask(Command::Settle);

    assert!(!world.registry.holds_reports());
    world.crash();
    assert_eq!(world.pipeline("p1").status, PipelineStatus::Failed);
    assert_eq!(world.pipeline("p1").failed_records, 5);
    let told = |name| world.events_of(name).iter().filter(|event| **event == "PipelineStatusUpdated").count();
    assert_eq!((told("p1"), told("p2")), (3, 2), "what was not held is not told again");
}

#[test]
fn a_report_that_is_held_is_part_of_the_end_of_its_pipeline() {
    let mut world = World::running(&["p1"]);
    world.report(saying("p1", PipelineStatus::Running, 1_000, 0));
    world.report(saying("p1", PipelineStatus::Stopped, 1_050, 0));

    let answer = world.ask(Command::Unregister { id: id("p1") });

    let Answer::Unregistered { pipeline, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((pipeline.status, pipeline.total_records), (PipelineStatus::Stopped, 1_050));
    let told = world.events_of("p1");
    assert_eq!(told[told.len() - 2..], ["PipelineStatusUpdated", "PipelineUnregistered"]);
}

#[test]
fn figures_that_a_double_cannot_hold_are_refused() {
    let mut world = World::running(&["p1"]);
    for (total, failed, bytes) in [(1 << 53, 0, 0), (0, 1 << 53, 0), (0, 0, u64::MAX)] {
        let report = StatusReport {
            id: id("p1"),
            status: PipelineStatus::Running,
            total_records: total,
            failed_records: failed,
            bytes_moved: Some(bytes),
        };
        let refused = world.perform(&Command::UpdateStatus(report));
        assert!(matches!(refused, Err(Rejection::OutOfRange { .. })), "{total} {failed} {bytes}");
    }
}

#[test]
fn a_pipeline_costs_what_it_reported_for_as_long_as_it_did() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 50.0, 1_000));
    world.pass(secs(60));
    world.ask(using("p1", 25.0, 2_000));
    world.pass(secs(40));

    let cost = world.pipeline("p1").cost;

    assert_eq!((cost.cpu_seconds(), cost.memory_mb_seconds()), (30.0 + 10.0, 60_000.0 + 80_000.0));
}

#[test]
fn the_end_of_a_pipeline_and_its_silence_end_its_cost() {
    let mut world = World::running(&["ended", "silent"]);
    world.ask(using("ended", 100.0, 0));
    world.ask(using("silent", 100.0, 0));
    world.pass(secs(10));
    world.ask(saying("ended", PipelineStatus::Stopped, 0, 0));
    world.pass(secs(500));

    assert_eq!(world.pipeline("ended").cost.cpu_seconds(), 10.0);
    assert_eq!(world.pipeline("silent").cost.cpu_seconds(), 90.0);
    world.ask(beating("silent"));
    world.pass(secs(10));
    assert_eq!(world.pipeline("silent").cost.cpu_seconds(), 100.0);
}

#[test]
fn the_cost_survives_a_crash_and_goes_on() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 50.0, 0));
    world.pass(secs(60));

    world.crash();

    assert_eq!(world.pipeline("p1").cost.cpu_seconds(), 30.0);
}

#[test]
fn a_wall_clock_that_goes_back_charges_no_time_twice() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 100.0, 0));
    world.pass(secs(60));
    world.ask(using("p1", 100.0, 1));

    world.now.wall.0 -= 30_000_000;
    world.now.monotonic = world.now.monotonic + secs(1);
    assert_eq!(world.report(using("p1", 100.0, 2)), Reported::Recorded);
    world.pass(secs(40));
    world.ask(using("p1", 100.0, 3));

    assert_eq!(world.pipeline("p1").cost.cpu_seconds(), 70.0, "by the wall clock, 70 seconds have been seen");
}

#[test]
fn parts_of_a_millisecond_are_charged_in_the_end() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 100.0, 0));
    for n in 1..=10 {
        world.now.monotonic = world.now.monotonic + secs(1);
        world.now.wall.0 += 1_000_900;
        assert_eq!(world.report(using("p1", 100.0, n)), Reported::Recorded);
    }
    assert_eq!(world.pipeline("p1").cost.cpu_seconds(), 10.009);
}

#[test]
fn usage_that_waits_to_be_journalled_does_not_outlive_the_end_of_its_pipeline() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 10.0, 1));
    world.ask(using("p1", 20.0, 2));
    world.ask(saying("p1", PipelineStatus::Running, 1, 0));
    world.ask(saying("p1", PipelineStatus::Stopped, 1, 0));

    world.pass(secs(1));

    assert_eq!((world.pipeline("p1").status, world.system().used), (PipelineStatus::Stopped, Resources::ZERO));
    assert_eq!(count(&world, "ResourceUsageReported"), 1);
}
