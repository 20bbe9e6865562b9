//! Health, silence, and how long what is over is kept.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_registry::*;
use world::*;

fn health_of(statuses: &[PipelineStatus]) -> Health {
    let mut world = World::new();
    for (at, status) in statuses.iter().enumerate() {
        world.ask(registering(&format!("p{at}")));
        world.ask(saying(&format!("p{at}"), *status, 1, 0));
    }
    world.system().health
}

#[test]
fn health_is_by_the_failed_among_all_and_critical_from_half_on() {
    use PipelineStatus::*;
    for (statuses, health) in [
        (&[][..], Health::Idle),
        (&[Configured], Health::Healthy),
        (&[Running, Paused, Stopped], Health::Healthy),
        (&[Failed], Health::Critical),
        (&[Running, Failed], Health::Critical),
        (&[Running, Running, Failed], Health::Degraded),
        (&[Stopped, Stopped, Stopped, Failed], Health::Degraded),
        (&[Running, Stopped, Failed, Failed], Health::Critical),
    ] {
        assert_eq!(health_of(statuses), health, "{statuses:?}");
    }
}

#[test]
fn a_pipeline_that_is_silent_for_ninety_seconds_is_marked_stale_once_and_counts_as_failed() {
    let mut world = World::new();
    for name in ["p1", "p2", "p3"] {
        world.ask(registering(name));
    }
    for _ in 0..3 {
        world.pass(secs(30));
        world.ask(beating("p2"));
        world.ask(beating("p3"));
    }

    assert_eq!(world.pipeline("p1").stale_since, Some(DAWN + secs(90)));
    assert_eq!((world.system().stale, world.system().failed), (1, 1));
    assert_eq!(world.system().health, Health::Degraded);
    assert_eq!(world.events_of("p1"), ["PipelineRegistered", "MarkedStale"]);
    world.pass(secs(80));
    assert_eq!(world.events_of("p1"), ["PipelineRegistered", "MarkedStale"]);
}

#[test]
fn a_stale_pipeline_that_is_heard_of_is_live_again() {
    for report in [beating("p1"), using("p1", 0.0, 0), saying("p1", PipelineStatus::Running, 0, 0)] {
        let mut world = World::running(&["p1"]);
        world.pass(secs(100));
        assert!(world.pipeline("p1").stale_since.is_some());

        assert_eq!(world.report(report.clone()), Reported::Recorded, "{report:?}");

        assert_eq!(world.pipeline("p1").stale_since, None);
        assert_eq!(world.events_of("p1").last(), Some(&"MarkedLive"));
        assert_eq!(world.system().health, Health::Healthy);
    }
}

#[test]
fn what_has_ended_need_not_send_heartbeats() {
    let mut world = World::running(&["p1", "p2"]);
    world.ask(saying("p1", PipelineStatus::Stopped, 1, 0));
    world.ask(saying("p2", PipelineStatus::Failed, 1, 1));
    world.pass(secs(3_600));
    assert_eq!(world.system().stale, 0);
}

#[test]
fn stale_pipelines_count_as_failed_only_if_the_rules_say_so() {
    let mut world = World::running(&["p1"]);
    world.pass(secs(120));
    assert_eq!(world.system().health, Health::Critical);

    world.ask(Command::ChangeRules(RulesChange { stale_counts_as_failed: Some(false), ..RulesChange::default() }));

    assert_eq!((world.system().health, world.system().stale), (Health::Healthy, 1));
}

#[test]
fn a_shorter_silence_holds_at_once_for_everybody() {
    let mut world = World::running(&["p1"]);
    world.pass(secs(20));

    world.ask(Command::ChangeRules(RulesChange { stale_after: Some(secs(10)), ..RulesChange::default() }));
    world.settle();

    assert!(world.pipeline("p1").stale_since.is_some());
}

#[test]
fn a_new_leader_counts_its_start_as_everyones_heartbeat() {
    let mut world = World::running(&["p1", "p2"]);
    world.pass(secs(85));

    world.crash();

    assert_eq!(world.pipeline("p1").last_heartbeat, world.now.wall);
    world.pass(secs(89));
    assert_eq!(world.system().stale, 0, "nothing was taken from anyone by the change of leader");
    world.pass(secs(1));
    assert_eq!(world.system().stale, 2);
}

#[test]
fn what_has_ended_stays_in_the_health_until_it_was_kept_long_enough() {
    let mut world = World::running(&["p1", "p2", "p3"]);
    world.ask(Command::ChangeRules(RulesChange { keep_ended: Some(secs(3_600)), ..RulesChange::default() }));
    world.ask(saying("p1", PipelineStatus::Failed, 9, 9));
    let alive = |world: &mut World, minutes| {
        for _ in 0..minutes {
            world.pass(secs(60));
            world.ask(beating("p2"));
            world.ask(beating("p3"));
        }
    };

    alive(&mut world, 59);
    assert_eq!((world.system().pipelines, world.system().health), (3, Health::Degraded));
    alive(&mut world, 1);

    assert_eq!((world.system().pipelines, world.system().health), (2, Health::Healthy));
    let last = world.journal.iter().rfind(|event| event.pipeline() == Some(&id("p1")));
    assert!(matches!(last, Some(Event::PipelineUnregistered { cause: Leaving::KeptLongEnough, .. })), "{last:?}");
}

#[test]
fn a_stale_pipeline_leaves_too_when_it_was_kept_long_enough() {
    let mut world = World::running(&["p1"]);
    world.ask(Command::ChangeRules(RulesChange { keep_ended: Some(secs(600)), ..RulesChange::default() }));
    world.pass(secs(89 + 599));
    assert_eq!(world.system().pipelines, 1);
    world.pass(secs(2));
    assert_eq!(world.system().health, Health::Idle);
}

#[test]
fn a_pipeline_that_runs_again_is_kept() {
    let mut world = World::running(&["p1"]);
    world.ask(Command::ChangeRules(RulesChange { keep_ended: Some(secs(60)), ..RulesChange::default() }));
    world.ask(saying("p1", PipelineStatus::Stopped, 1, 0));
    world.pass(secs(59));
    world.ask(saying("p1", PipelineStatus::Running, 1, 0));
    world.pass(secs(60));
    assert_eq!((world.pipeline("p1").status, world.pipeline("p1").ended_at), (PipelineStatus::Running, None));
}

#[test]
fn what_has_ended_uses_nothing() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 50.0, 70_000));

    world.ask(saying("p1", PipelineStatus::Failed, 1, 1));

    assert_eq!((world.system().used, world.pipeline("p1").used), (Resources::ZERO, Resources::ZERO));
    assert!(world.registry.check_availability(80.0, 80_000).unwrap().available);
}

#[test]
fn usage_that_is_told_after_the_end_holds_no_room() {
    for status in [PipelineStatus::Stopped, PipelineStatus::Failed] {
        let mut world = World::running(&["p1"]);
        world.ask(saying("p1", status, 1, 0));

        assert_eq!(world.report(using("p1", 60.0, 60_000)), Reported::Noted);

        assert_eq!((world.system().used, world.pipeline("p1").used), (Resources::ZERO, Resources::ZERO));
        assert!(world.registry.check_availability(80.0, 80_000).unwrap().available);
        world.pass(secs(120));
        assert_eq!(world.events_of("p1").last(), Some(&"PipelineStatusUpdated"));
    }
}

#[test]
fn usage_that_was_journalled_after_the_end_holds_no_room_when_it_is_read_back() {
    let mut world = World::running(&["p1"]);
    world.ask(saying("p1", PipelineStatus::Stopped, 1, 0));
    let late = Event::ResourceUsageReported { id: id("p1"), at: world.now.wall, used: resources(60.0, 60_000) };
    world.journal.push(late);

    world.crash();

    assert_eq!(world.system().used, Resources::ZERO);
}

#[test]
fn rules_out_of_range_are_refused_whole() {
    let mut world = World::new();
    for change in [
        RulesChange { cpu_percent_max: Some(f64::NAN), ..RulesChange::default() },
        RulesChange { cpu_percent_max: Some(-1.0), ..RulesChange::default() },
        RulesChange { memory_mb_max: Some(-1), cpu_percent_max: Some(50.0), ..RulesChange::default() },
        RulesChange { stale_after: Some(secs(1)), ..RulesChange::default() },
        RulesChange { keep_ended: Some(secs(0)), cpu_percent_max: Some(50.0), ..RulesChange::default() },
    ] {
        let refused = world.perform(&Command::ChangeRules(change.clone()));
        assert!(matches!(refused, Err(Rejection::OutOfRange { .. })), "{change:?}");
        assert_eq!(world.registry.rules(), &Rules::default());
    }
}

#[test]
fn a_late_tick_does_not_mark_as_stale_what_has_just_ended() {
    let mut world = World::running(&["p1"]);
    world.ask(saying("p1", PipelineStatus::Running, 1, 0));
    world.ask(saying("p1", PipelineStatus::Stopped, 2, 0));
    let before = world.events_of("p1").len();

    world.now.monotonic = world.now.monotonic + secs(500);
    world.settle();

    assert_eq!(world.events_of("p1")[before..], ["PipelineStatusUpdated"]);
    assert_eq!((world.pipeline("p1").status, world.system().stale), (PipelineStatus::Stopped, 0));
}

#[test]
fn a_late_tick_releases_once_what_has_run_out_and_leaves() {
    let mut world = World::running(&["p1"]);
    world.ask(Command::ChangeRules(RulesChange { keep_ended: Some(secs(30)), ..RulesChange::default() }));
    world.reserve(Reserve { ttl: secs(10), ..reserving("p1", 10.0, 10) }).unwrap();
    world.ask(saying("p1", PipelineStatus::Stopped, 2, 0));
    let before = world.events_of("p1").len();

    world.now.monotonic = world.now.monotonic + secs(500);
    world.now.wall = world.now.wall + secs(500);
    world.settle();

    assert_eq!(world.events_of("p1")[before..], ["Released", "PipelineUnregistered"]);
}
