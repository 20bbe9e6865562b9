//! The seed's own examples and tests, and its table of commands.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_registry::*;
use world::*;

#[test]
fn a_pipeline_registers_and_the_answer_is_its_state_and_the_totals() {
    let mut world = World::new();

    let answer = world.ask(registering("p1"));

    let Answer::Registered { pipeline, system } = answer else { panic!("{answer:?}") };
    assert_eq!((pipeline.id.as_str(), pipeline.name.as_str()), ("p1", "Pipeline p1"));
    assert_eq!((pipeline.status, pipeline.total_records, pipeline.failed_records), (PipelineStatus::Configured, 0, 0));
    assert_eq!((pipeline.used, pipeline.registered_at, pipeline.last_heartbeat), (Resources::ZERO, DAWN, DAWN));
    assert_eq!((system.pipelines, system.health), (1, Health::Healthy));
    assert_eq!(world.events_of("p1"), ["PipelineRegistered"]);
}

#[test]
fn a_second_registration_under_one_id_is_refused() {
    let mut world = World::new();
    world.ask(registering("p1"));

    let refused = world.perform(&registering("p1")).unwrap_err();

    assert_eq!(refused, Rejection::PipelineExists(id("p1")));
    assert!(refused.to_string().starts_with("pipeline p1 is registered already"));
    assert_eq!(world.journal.len(), 1);
}

#[test]
fn reported_usage_is_in_the_totals() {
    let mut world = World::new();
    world.ask(registering("p1"));

    world.ask(using("p1", 10.0, 1_024));

    let system = world.system();
    assert_eq!((system.used.cpu.as_percent(), system.used.memory_mb), (10.0, 1_024));
}

#[test]
fn a_new_figure_takes_the_place_of_the_old_one() {
    let mut world = World::running(&["p1", "p2"]);
    world.ask(using("p1", 15.5, 2_048));
    world.ask(using("p2", 20.25, 1_000));
    world.pass(secs(1));

    world.ask(using("p1", 5.5, 100));

    assert_eq!(world.system().used, resources(25.75, 1_100));
}

#[test]
fn a_pipeline_unregisters_with_its_resources() {
    let mut world = World::running(&["pipeline-123", "other"]);
    world.ask(using("pipeline-123", 15.5, 2_048));
    world.ask(using("other", 1.0, 10));

    let answer = world.ask(Command::Unregister { id: id("pipeline-123") });

    let Answer::Unregistered { pipeline, system } = answer else { panic!("{answer:?}") };
    assert_eq!((pipeline.status, pipeline.used), (PipelineStatus::Running, resources(15.5, 2_048)));
    assert_eq!((system.pipelines, system.used), (1, resources(1.0, 10)));
    assert_eq!(world.registry.pipeline(&id("pipeline-123"), world.now.wall), None);
    let again = world.perform(&Command::Unregister { id: id("pipeline-123") }).unwrap_err();
    assert_eq!(again, Rejection::PipelineUnknown(id("pipeline-123")));
}

#[test]
fn a_status_update_sets_the_counters_and_the_last_heartbeat() {
    let mut world = World::new();
    world.ask(registering("pipeline-123"));
    world.pass(secs(30));

    let reported = world.report(saying("pipeline-123", PipelineStatus::Running, 1_000_000, 5));

    let pipeline = world.pipeline("pipeline-123");
    assert_eq!(reported, Reported::Recorded);
    assert_eq!((pipeline.total_records, pipeline.failed_records), (1_000_000, 5));
    assert_eq!((pipeline.status, pipeline.last_heartbeat), (PipelineStatus::Running, DAWN + secs(30)));
}

#[test]
fn what_an_unknown_pipeline_reports_is_no_event() {
    let mut world = World::new();
    for command in [saying("ghost", PipelineStatus::Running, 1, 0), using("ghost", 1.0, 1), beating("ghost")] {
        assert_eq!(world.report(command), Reported::Unknown);
    }
    assert_eq!((world.journal.len(), world.system().health), (0, Health::Idle));
}

#[test]
fn room_is_available_up_to_the_limits_and_with_them() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 72.0, 78_000));
    let check = |world: &World, cpu, memory| world.registry.check_availability(cpu, memory).unwrap();

    assert!(check(&world, 8.0, 2_000).available, "exactly the limits");
    assert!(!check(&world, 8.001, 2_000).available);
    assert!(!check(&world, 8.0, 2_001).available);
    assert!(!check(&world, 10.0, 4_096).available);
    assert_eq!(check(&world, 10.0, 4_096).free, resources(8.0, 2_000));

    world.ask(limiting(90.0, 100_000));

    assert!(check(&world, 10.0, 4_096).available, "the limits changed while running");
}

#[test]
fn estimates_that_are_no_sizes_are_refused() {
    let world = World::new();
    for (cpu, memory) in [(f64::NAN, 0), (-1.0, 0), (100.5, 0), (1.0, -1)] {
        assert!(matches!(world.registry.check_availability(cpu, memory), Err(Rejection::OutOfRange { .. })));
    }
}

#[test]
fn a_usage_report_that_is_no_size_changes_nothing() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 10.0, 1_024));
    let before = world.journal.len();

    for (cpu, memory) in [(f64::NAN, 1), (f64::INFINITY, 1), (-0.5, 1), (100.001, 1), (1.0, -5), (1.0, i64::MAX)] {
        assert!(
            matches!(world.perform(&using("p1", cpu, memory)), Err(Rejection::OutOfRange { .. })),
            "{cpu} {memory}"
        );
    }

    assert_eq!((world.journal.len(), world.system().used), (before, resources(10.0, 1_024)));
}

#[test]
fn a_hundred_percent_and_nothing_at_all_are_sizes() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 100.0, 0));
    assert_eq!(world.system().used, resources(100.0, 0));
    world.pass(secs(1));
    world.ask(using("p1", 0.0, 0));
    assert_eq!(world.system().used, Resources::ZERO);
}

#[test]
fn a_tenth_of_a_percent_ten_thousand_times_there_and_back_leaves_nothing() {
    let mut world = World::new();
    let names: Vec<String> = (0..100).map(|n| format!("p{n}")).collect();
    for name in &names {
        world.ask(registering(name));
    }
    for round in 0..20 {
        for name in &names {
            world.ask(using(name, if round % 2 == 0 { 0.1 } else { 0.3 }, 1));
        }
        let each = if round % 2 == 0 { 0.1 } else { 0.3 };
        assert_eq!(world.system().used.cpu.as_percent(), each * 100.0, "a sum of doubles would have drifted");
        world.pass(secs(1));
    }
}

#[test]
fn pipelines_are_listed_in_the_order_of_their_ids_by_status_and_by_group() {
    let mut world = World::new();
    for name in ["c", "a", "e", "b", "d"] {
        let group = if name < "c" { "shop" } else { "search" };
        let register = Register {
            group: Some(PipelineGroup::new(group).unwrap()),
            ..Register::new(id(name), PipelineName::new(name).unwrap())
        };
        world.ask(Command::Register(register));
    }
    world.ask(saying("b", PipelineStatus::Failed, 0, 0));
    world.ask(saying("e", PipelineStatus::Failed, 0, 0));
    let list = |listing: Listing| {
        let page = world.registry.list(&listing, world.now.wall).unwrap();
        page.pipelines.iter().map(|pipeline| pipeline.id.to_string()).collect::<Vec<_>>().join(" ")
    };

    let (failed, search) = (Some(PipelineStatus::Failed), Some(PipelineGroup::new("search").unwrap()));
    assert_eq!(list(Listing::default()), "a b c d e");
    assert_eq!(list(Listing { status: failed, ..Listing::default() }), "b e");
    assert_eq!(list(Listing { group: search.clone(), ..Listing::default() }), "c d e");
    assert_eq!(list(Listing { status: failed, group: search, ..Listing::default() }), "e");
}

#[test]
fn pages_follow_each_other_without_gaps_whatever_comes_and_goes() {
    let mut world = World::new();
    for name in ["a", "b", "c", "d", "e"] {
        world.ask(registering(name));
    }
    let page = |world: &World, after: Option<PipelineId>| {
        world.registry.list(&Listing { after, most: Some(2), ..Listing::default() }, world.now.wall).unwrap()
    };

    let first = page(&world, None);
    world.ask(Command::Unregister { id: id("b") });
    world.ask(registering("aa"));
    let second = page(&world, first.next.clone());
    let third = page(&world, second.next.clone());

    let ids = |page: &Page| page.pipelines.iter().map(|pipeline| pipeline.id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (ids(&first), ids(&second), ids(&third)),
        (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned(), "d".to_owned()], vec!["e".to_owned()])
    );
    assert_eq!(third.next, None);
    assert!(world.registry.list(&Listing { most: Some(0), ..Listing::default() }, DAWN).is_err());
    assert!(world.registry.list(&Listing { most: Some(1_001), ..Listing::default() }, DAWN).is_err());
}

#[test]
fn a_pipeline_is_found_by_its_id_or_not_at_all() {
    let world = World::running(&["p1"]);
    assert_eq!(world.registry.pipeline(&id("p1"), DAWN).map(|p| p.status), Some(PipelineStatus::Running));
    assert_eq!(world.registry.pipeline(&id("p2"), DAWN), None);
}

#[test]
fn every_event_of_the_journal_is_a_fact_of_the_history() {
    let mut world = World::running(&["p1"]);
    world.ask(using("p1", 15.5, 2_048));
    world.ask(beating("p1"));
    world.ask(Command::Unregister { id: id("p1") });

    let facts: Vec<Fact> = world.journal.iter().filter_map(Fact::of).collect();

    let named: Vec<_> = facts.iter().map(|fact| fact.what).collect();
    assert_eq!(named, ["PipelineRegistered", "PipelineStatusUpdated", "ResourceUsageReported", "PipelineUnregistered"]);
    assert_eq!(facts[2].details, [("cpu_percent", "15.5".to_owned()), ("memory_mb", "2048".to_owned())]);
    assert_eq!(facts[2].at, DAWN + secs(1));
    assert_eq!(Fact::of(&Event::HeartbeatSeen { id: id("p1"), at: DAWN }), None);
}

#[test]
fn the_system_status_has_the_health_and_the_counts_and_totals_behind_it() {
    let mut world = World::new();
    assert_eq!(world.system().health, Health::Idle);
    for name in ["a", "b", "c", "d", "e"] {
        world.ask(registering(name));
    }
    for (name, status) in [
        ("a", PipelineStatus::Running),
        ("b", PipelineStatus::Running),
        ("c", PipelineStatus::Paused),
        ("d", PipelineStatus::Failed),
    ] {
        world.ask(saying(name, status, 10, 1));
        world.ask(using(name, 1.5, 100));
    }

    let system = world.system();

    let count = |status| system.by_status.iter().find(|(known, _)| *known == status).map(|(_, count)| *count);
    use PipelineStatus::*;
    assert_eq!([Configured, Running, Paused, Stopped, Failed].map(count), [1, 2, 1, 0, 1].map(Some));
    assert_eq!((system.health, system.pipelines, system.failed), (Health::Degraded, 5, 1));
    assert_eq!(system.used, resources(4.5, 300), "what has failed uses nothing");
    assert_eq!(system.updated_at, world.now.wall);
}
