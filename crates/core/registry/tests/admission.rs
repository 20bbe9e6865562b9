//! Room: checked and taken in one step, waited for in order, given back however it ends.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_registry::*;
use world::*;

fn waiting(name: &str, cpu: f64, priority: i16) -> Reserve {
    Reserve { wait: Some(secs(600)), priority: Some(priority), ttl: secs(3_600), ..reserving(name, cpu, 0) }
}

fn holding(name: &str, cpu: f64) -> Reserve {
    Reserve { ttl: secs(3_600), ..reserving(name, cpu, 0) }
}

fn order(world: &World) -> String {
    world.registry.queue().iter().map(|waiting| waiting.id.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn two_that_both_saw_the_last_place_do_not_both_get_it() {
    let mut world = World::new();
    for name in ["alice", "bob"] {
        assert!(world.registry.check_availability(50.0, 50_000).unwrap().available, "{name} sees room");
    }

    assert!(world.reserve(reserving("alice", 50.0, 50_000)).unwrap().is_held());
    let refused = world.reserve(reserving("bob", 50.0, 50_000)).unwrap_err();

    let (asked, free) = (resources(50.0, 50_000), resources(30.0, 30_000));
    assert_eq!(refused, Rejection::NoRoom { asked, free, waiting: 0 });
}

#[test]
fn the_limits_are_inclusive() {
    let mut world = World::new();
    world.reserve(reserving("a", 79.999, 79_999)).unwrap();
    assert!(world.reserve(reserving("b", 0.002, 0)).is_err());
    assert!(world.reserve(reserving("b", 0.0, 2)).is_err());
    assert!(world.reserve(reserving("b", 0.001, 1)).unwrap().is_held());
    assert_eq!(world.system().availability.free, Resources::ZERO);
}

#[test]
fn a_pipeline_counts_with_the_larger_of_what_it_reserved_and_what_it_reports() {
    let mut world = World::running(&["p1"]);
    world.reserve(Reserve { ttl: secs(3_600), ..reserving("p1", 40.0, 1_000) }).unwrap();
    assert_eq!(world.system().availability.claimed, resources(40.0, 1_000));

    world.ask(using("p1", 10.0, 5_000));
    assert_eq!(world.system().availability.claimed, resources(40.0, 5_000));
    assert_eq!(world.system().used, resources(10.0, 5_000));

    world.pass(secs(1));
    world.ask(using("p1", 60.0, 500));
    assert_eq!(world.system().availability.claimed, resources(60.0, 1_000));

    world.ask(Command::Release { id: id("p1") });
    assert_eq!(world.system().availability.claimed, resources(60.0, 500));
}

#[test]
fn what_a_pipeline_uses_already_it_can_reserve_even_when_there_is_no_room() {
    let mut world = World::running(&["p1", "p2"]);
    world.ask(using("p1", 50.0, 0));
    world.ask(using("p2", 50.0, 0));
    assert!(world.reserve(reserving("p1", 45.0, 0)).unwrap().is_held());
    assert!(world.reserve(reserving("p2", 50.001, 0)).is_err());
}

#[test]
fn a_reservation_ends_by_itself_when_its_time_is_over() {
    let mut world = World::new();
    world.reserve(Reserve { ttl: secs(10), ..reserving("a", 80.0, 0) }).unwrap();

    world.pass(secs(9));
    assert!(world.reserve(reserving("b", 80.0, 0)).is_err());
    world.pass(secs(1));

    assert!(world.reserve(reserving("b", 80.0, 0)).unwrap().is_held());
    assert!(matches!(world.journal[1], Event::Released { cause: Ending::RanOut, .. }));
}

#[test]
fn a_jump_of_the_wall_clock_ends_no_reservation() {
    let mut world = World::new();
    world.reserve(Reserve { ttl: secs(10), ..reserving("a", 80.0, 0) }).unwrap();
    world.now.wall = world.now.wall + secs(86_400);
    world.settle();
    assert!(world.registry.reservation(&id("a")).unwrap().is_held());
}

#[test]
fn the_same_reservation_again_renews_it_and_is_no_event() {
    let mut world = World::new();
    for _ in 0..100 {
        world.reserve(Reserve { ttl: secs(10), ..reserving("a", 80.0, 0) }).unwrap();
        world.pass(secs(9));
    }
    assert_eq!(world.events_of("a"), ["Reserved"]);
}

#[test]
fn other_figures_replace_a_reservation_if_they_fit_and_leave_it_if_not() {
    let mut world = World::new();
    world.reserve(holding("a", 40.0)).unwrap();
    world.reserve(holding("b", 20.0)).unwrap();

    assert!(world.reserve(Reserve { wait: Some(secs(9)), ..holding("a", 61.0) }).is_err());
    assert_eq!(world.registry.reservation(&id("a")).unwrap().resources, resources(40.0, 0));
    assert!(world.reserve(holding("a", 60.0)).unwrap().is_held());
    assert!(world.reserve(holding("a", 10.0)).unwrap().is_held());
    assert_eq!(world.system().availability.claimed, resources(30.0, 0));
}

#[test]
fn what_is_larger_than_the_limits_is_refused_and_never_waits() {
    let mut world = World::new();
    let refused = world.reserve(waiting("a", 80.001, 0)).unwrap_err();
    assert!(matches!(refused, Rejection::LargerThanLimits { .. }), "{refused}");
    assert_eq!(world.registry.queue(), []);
}

#[test]
fn room_goes_by_priority_and_then_to_who_came_first() {
    let mut world = World::new();
    world.reserve(holding("a", 80.0)).unwrap();
    for (name, priority) in [("low", -1), ("first", 0), ("second", 0), ("urgent", 5)] {
        assert!(!world.reserve(waiting(name, 40.0, priority)).unwrap().is_held());
    }
    assert_eq!(order(&world), "urgent first second low");
    assert_eq!(world.registry.reservation(&id("second")).unwrap().ahead, Some(2));

    world.ask(Command::Release { id: id("a") });

    assert_eq!(order(&world), "second low");
    assert!(world.registry.reservation(&id("urgent")).unwrap().is_held());
    assert!(world.registry.reservation(&id("first")).unwrap().is_held());
}

#[test]
fn a_small_one_does_not_overtake_a_large_one_that_waits() {
    let mut world = World::new();
    world.reserve(holding("a", 50.0)).unwrap();
    world.reserve(waiting("large", 60.0, 0)).unwrap();

    let refused = world.reserve(holding("small", 1.0)).unwrap_err();
    assert!(matches!(refused, Rejection::NoRoom { waiting: 1, .. }), "{refused}");
    assert!(world.reserve(Reserve { priority: Some(1), ..holding("urgent", 1.0) }).unwrap().is_held());
    world.reserve(waiting("small", 1.0, 0)).unwrap();

    world.ask(Command::Release { id: id("a") });
    assert!(world.registry.reservation(&id("large")).unwrap().is_held());
    assert!(world.registry.reservation(&id("small")).unwrap().is_held());
}

#[test]
fn the_priority_is_the_pipelines_own_unless_the_request_says_otherwise() {
    let mut world = World::new();
    let name = PipelineName::new("urgent").unwrap();
    world.ask(Command::Register(Register { priority: 7, ..Register::new(id("urgent"), name) }));
    world.reserve(holding("a", 80.0)).unwrap();
    world.reserve(waiting("other", 10.0, 6)).unwrap();

    let place = world.reserve(Reserve { priority: None, ..waiting("urgent", 10.0, 0) }).unwrap();

    assert_eq!((place.priority, place.ahead), (7, Some(0)));
}

#[test]
fn room_that_frees_up_in_any_way_is_handed_on_in_the_same_step() {
    type Freeing = (&'static str, fn(&mut World));
    let freeing: [Freeing; 5] = [
        ("a release", |world| drop(world.ask(Command::Release { id: id("holder") }))),
        ("an end in the registry", |world| drop(world.ask(Command::Unregister { id: id("holder") }))),
        ("an end of the time", |world| world.pass(secs(60))),
        ("higher limits", |world| drop(world.ask(limiting(160.0, 80_000)))),
        ("a smaller reservation", |world| drop(world.reserve(reserving("holder", 0.0, 0)))),
    ];
    for (what, free) in freeing {
        let mut world = World::running(&["holder"]);
        world.reserve(reserving("holder", 80.0, 0)).unwrap();
        world.reserve(waiting("next", 80.0, 0)).unwrap();

        free(&mut world);

        assert!(world.registry.reservation(&id("next")).unwrap().is_held(), "after {what}");
    }
}

#[test]
fn a_pipeline_that_uses_less_or_ends_makes_room_for_who_waits() {
    for less in [using("user", 60.0, 0), saying("user", PipelineStatus::Failed, 0, 0)] {
        let mut world = World::running(&["user"]);
        world.ask(using("user", 70.0, 0));
        world.reserve(waiting("next", 20.0, 0)).unwrap();

        world.ask(less);

        assert!(world.registry.reservation(&id("next")).unwrap().is_held());
    }
}

#[test]
fn who_waits_in_vain_is_dropped_and_told_why() {
    let mut world = World::new();
    world.reserve(holding("a", 80.0)).unwrap();
    world.reserve(waiting("bored", 10.0, 0)).unwrap();
    world.reserve(waiting("leaver", 10.0, 0)).unwrap();
    world.reserve(waiting("large", 70.0, 0)).unwrap();

    world.ask(Command::Release { id: id("leaver") });
    world.ask(limiting(60.0, 80_000));
    world.pass(secs(600));

    let dropped: Vec<_> = world
        .journal
        .iter()
        .filter_map(|event| match event {
            Event::ReservationDropped { id, cause, .. } => Some((id.to_string(), *cause)),
            _ => None,
        })
        .collect();
    assert_eq!(
        dropped,
        [
            ("leaver".to_owned(), Ending::Asked),
            ("large".to_owned(), Ending::LargerThanLimits),
            ("bored".to_owned(), Ending::RanOut)
        ]
    );
    assert_eq!(order(&world), "");
}

#[test]
fn lower_limits_take_nothing_back_and_admit_nobody() {
    let mut world = World::new();
    world.reserve(holding("a", 50.0)).unwrap();
    world.ask(limiting(40.0, 80_000));
    assert!(world.registry.reservation(&id("a")).unwrap().is_held());
    assert!(!world.system().availability.available);
    assert_eq!(world.system().availability.free.cpu, Cpu::percent(0));
    assert!(world.reserve(holding("b", 1.0)).is_err());
}

#[test]
fn asking_again_while_waiting_keeps_the_place_and_is_no_event() {
    let mut world = World::new();
    world.reserve(holding("a", 80.0)).unwrap();
    world.reserve(waiting("b", 10.0, 0)).unwrap();
    world.reserve(waiting("c", 10.0, 0)).unwrap();
    let events = world.journal.len();

    assert_eq!(world.reserve(waiting("b", 10.0, 0)).unwrap().ahead, Some(0));
    assert_eq!(world.journal.len(), events);
    assert_eq!(world.reserve(waiting("b", 11.0, 0)).unwrap().ahead, Some(1), "another wish goes to the end");
}

#[test]
fn a_release_of_nothing_is_refused() {
    let mut world = World::new();
    let refused = world.perform(&Command::Release { id: id("a") }).unwrap_err();
    assert_eq!(refused, Rejection::ReservationUnknown(id("a")));
}

#[test]
fn a_new_leader_begins_reservations_and_waits_at_their_full_term() {
    let mut world = World::new();
    world.reserve(Reserve { ttl: secs(10), ..reserving("a", 80.0, 0) }).unwrap();
    world.reserve(Reserve { wait: Some(secs(11)), ..reserving("b", 80.0, 0) }).unwrap();
    world.pass(secs(9));

    world.crash();

    world.pass(secs(9));
    assert!(world.registry.reservation(&id("a")).unwrap().is_held());
    assert!(!world.registry.reservation(&id("b")).unwrap().is_held());
    world.pass(secs(1));
    assert!(world.registry.reservation(&id("b")).unwrap().is_held());
}

#[test]
fn an_unregistered_pipeline_gives_its_room_back_and_waits_no_more() {
    let mut world = World::running(&["p1", "p2"]);
    world.reserve(holding("p1", 80.0)).unwrap();
    world.reserve(waiting("p2", 80.0, 0)).unwrap();
    world.ask(Command::Unregister { id: id("p2") });
    world.ask(Command::Unregister { id: id("p1") });
    assert_eq!(world.events_of("p1").split_off(2), ["Reserved", "Released", "PipelineUnregistered"]);
    assert_eq!(world.events_of("p2").split_off(2), ["ReservationQueued", "ReservationDropped", "PipelineUnregistered"]);
    assert_eq!(world.system().availability.claimed, Resources::ZERO);
}

#[test]
fn times_out_of_range_are_refused() {
    let mut world = World::new();
    for (ttl, wait) in [(0, None), (86_401, None), (60, Some(0)), (60, Some(86_401))] {
        let reserve = Reserve { ttl: secs(ttl), wait: wait.map(secs), ..reserving("a", 1.0, 1) };
        assert!(matches!(world.reserve(reserve), Err(Rejection::OutOfRange { .. })), "{ttl} {wait:?}");
    }
    assert_eq!(world.journal, []);
}

#[test]
fn the_queue_has_an_end() {
    let mut world = World::new();
    world.reserve(holding("a", 80.0)).unwrap();
    for n in 0..limits::WAITING_MAX {
        let command = Command::Reserve(waiting(&format!("w{n}"), 1.0, 0));
        let World { registry, now, .. } = &mut world;
        registry.perform(&command, *now, &mut |_| {}).unwrap();
    }
    let refused = world.reserve(waiting("more", 1.0, 0)).unwrap_err();
    assert!(matches!(refused, Rejection::LimitReached { limit: 1_000, .. }), "{refused}");
}
