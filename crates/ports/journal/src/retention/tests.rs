use super::*;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000;

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn log(first: u64, next: u64) -> LogFacts {
    LogFacts {
        first: Position::new(first),
        next: Position::new(next),
        bytes: (next - first) * 100,
        held_back_max: 50_000,
        now: WallTime(1_000 * HOUR),
    }
}

/// A stream with an event at every position since its newest snapshot, of 100 bytes each.
fn facts(name: &str, next: u64, snapshots: &[(u64, i64)]) -> StreamFacts {
    let newest = snapshots.iter().map(|s| s.0).max().unwrap_or(0);
    let snapshot = |&(position, at)| SnapshotFacts {
        position: Position::new(position),
        at: WallTime(at),
        bytes: 1_000,
        first_after: Some(Position::new(position + 1)),
    };
    StreamFacts {
        stream: stream(name),
        policy: StreamPolicy { snapshot_every: 50, keep: 2, audit: None },
        first: Some(Position::new(1)),
        events_since: next - 1 - newest,
        bytes_since: (next - 1 - newest) * 100,
        snapshots: snapshots.iter().map(snapshot).collect(),
        writing: false,
    }
}

fn position(number: u64) -> Position {
    Position::new(number)
}

#[test]
fn a_snapshot_is_due_after_enough_events_that_outweigh_the_last_one() {
    let due = |events, bytes, last| {
        let mut facts = facts("registry", 101, &[(40, 0)]);
        (facts.events_since, facts.bytes_since, facts.snapshots[0].bytes) = (events, bytes, last);
        !plan(&log(1, 101), &[facts]).snapshot.is_empty()
    };

    assert!(due(50, 1_000, 1_000));
    assert!(!due(49, 1_000_000, 1_000), "too few events");
    assert!(!due(5_000, 999, 1_000), "they do not outweigh the last snapshot");
}

#[test]
fn nothing_is_due_while_one_is_being_written() {
    let mut facts = facts("registry", 101, &[]);
    facts.writing = true;

    assert_eq!(plan(&log(1, 101), &[facts]).snapshot, []);
}

#[test]
fn a_stream_without_a_snapshot_keeps_the_log_from_its_first_event_on() {
    let mut late = facts("work/late", 101, &[]);
    late.first = Some(position(70));
    late.events_since = 3;

    assert_eq!(plan(&log(1, 101), &[late]).trim, position(70));
}

#[test]
fn covered_means_by_the_oldest_kept_snapshot() {
    let plan = plan(&log(1, 101), &[facts("registry", 101, &[(30, 0), (60, 0), (90, 0)])]);

    assert_eq!(plan.drop, [(stream("registry"), position(30))]);
    assert_eq!(plan.trim, position(61));
}

#[test]
fn a_quiet_stream_that_holds_the_log_back_is_snapshotted_whatever_its_count() {
    let quiet = StreamFacts { events_since: 1, bytes_since: 1, ..facts("work/quiet", 2_001, &[(10, 0), (20, 0)]) };
    let busy = facts("work/busy", 2_001, &[(1_970, 0), (1_990, 0)]);

    let held = plan(&log(1, 2_001), &[busy.clone(), quiet.clone()]);
    let within = plan(&LogFacts { held_back_max: 1_000_000, ..log(1, 2_001) }, &[busy, quiet]);

    assert_eq!(held.snapshot, [stream("work/quiet")]);
    assert_eq!(held.trim, position(11));
    assert_eq!(within.snapshot, []);
}

#[test]
fn a_stream_without_events_since_its_snapshots_holds_nothing_back() {
    let mut silent = facts("work/silent", 101, &[(30, 0), (60, 0)]);
    silent.events_since = 0;
    for snapshot in &mut silent.snapshots {
        snapshot.first_after = None;
    }

    let plan = plan(&log(1, 101), &[silent]);

    assert_eq!((plan.trim, plan.snapshot), (position(101), vec![]));
}

#[test]
fn the_one_that_holds_the_log_back_furthest_is_snapshotted_first() {
    let streams = [facts("a", 2_001, &[(500, 0)]), facts("b", 2_001, &[(100, 0)]), facts("c", 2_001, &[(300, 0)])];

    assert_eq!(plan(&log(1, 2_001), &streams).snapshot, [stream("b"), stream("c"), stream("a")]);
}

#[test]
fn the_snapshot_at_the_edge_of_the_audit_retention_is_kept_and_those_before_it_go() {
    let now = 1_000 * HOUR;
    let mut registry =
        facts("registry", 101, &[(10, now - 90 * HOUR), (20, now - 81 * HOUR), (30, now - 1), (40, now)]);
    registry.policy.audit = Some(Millis::secs(80 * 3_600));

    let plan = plan(&log(1, 101), &[registry]);

    assert_eq!(plan.drop, [(stream("registry"), position(10))]);
    assert_eq!(plan.audited, [(stream("registry"), Some(WallTime(now - 81 * HOUR)))]);
    assert_eq!(plan.trim, position(31), "the archive has what comes before");
}

#[test]
fn while_no_snapshot_is_older_than_the_audit_retention_its_archive_is_kept_whole() {
    let now = 1_000 * HOUR;
    let mut registry = facts("registry", 101, &[(30, now - HOUR)]);
    registry.policy.audit = Some(Millis::secs(80 * 3_600));

    assert_eq!(plan(&log(1, 101), &[registry]).audited, [(stream("registry"), None)]);
}

#[test]
fn archives_do_not_grow_without_end_while_time_goes_on() {
    let audit = 80 * HOUR;
    let mut snapshots: Vec<(u64, i64)> = Vec::new();
    for hour in 0..1_000 {
        snapshots.push((hour as u64 + 1, hour * HOUR));
        let mut registry = facts("registry", hour as u64 + 10, &snapshots);
        registry.policy.audit = Some(Millis::secs(80 * 3_600));
        let plan = plan(&LogFacts { now: WallTime(hour * HOUR), ..log(1, hour as u64 + 10) }, &[registry]);

        snapshots.retain(|&(at, _)| !plan.drop.iter().any(|d| d.1 == position(at)));
        assert!(snapshots.len() <= 2 + 2 * AUDIT_STEPS as usize + 2, "{} snapshots", snapshots.len());
        if hour > 200 {
            let kept_from = plan.audited[0].1.unwrap().micros();
            assert!(kept_from <= hour * HOUR - audit, "inside the retention nothing goes");
            assert!(
                kept_from >= hour * HOUR - audit - audit / AUDIT_STEPS - HOUR,
                "the archive goes back to {kept_from}"
            );
        }
    }
}

prop_compose! {
    fn any_stream(next: u64)(
        positions in prop::collection::btree_set(1..next, 0..12),
        gaps in prop::collection::vec(prop::option::weighted(0.8, 1..50_u64), 12),
        first in prop::option::of(1..next),
        (every, keep, audit) in (0..100_u64, 0..4_usize, prop::option::of(0..2_000_u64)),
        (events, bytes, writing) in (0..200_u64, 0..5_000_u64, any::<bool>()),
        size in 0..5_000_u64,
    ) -> StreamFacts {
        StreamFacts {
            stream: stream("work/any"),
            policy: StreamPolicy { snapshot_every: every, keep, audit: audit.map(|h| Millis::secs(h * 3_600)) },
            first: first.map(Position::new),
            events_since: events,
            bytes_since: bytes,
            snapshots: positions.into_iter().zip(gaps).map(|(at, gap)| SnapshotFacts {
                position: Position::new(at),
                at: WallTime(at as i64 * HOUR),
                bytes: size,
                first_after: gap.map(|gap| Position::new(at + gap)).filter(|p| p.get() < next),
            }).collect(),
            writing,
        }
    }
}

proptest! {
    #[test]
    fn what_recovery_and_audit_need_is_never_let_go(streams in prop::collection::vec(any_stream(1_000), 0..6)) {
        let named: Vec<StreamFacts> = streams.into_iter().enumerate()
            .map(|(n, facts)| StreamFacts { stream: stream(&format!("work/{n}")), ..facts })
            .collect();
        let log = log(1, 1_000);

        let plan = plan(&log, &named);

        prop_assert!(plan.trim <= log.next);
        for facts in &named {
            let keep = facts.policy.keep.max(1);
            let all = newest_first(&facts.snapshots);
            let dropped: Vec<_> = plan.drop.iter().filter(|d| d.0 == facts.stream).map(|d| d.1).collect();
            prop_assert!(all.iter().take(keep).all(|s| !dropped.contains(&s.position)), "R2");
            let needed = all.iter().take(keep).next_back().map_or(facts.first, |oldest| oldest.first_after);
            prop_assert!(needed.is_none_or(|position| plan.trim <= position), "R1");
            match facts.policy.audit {
                None => prop_assert_eq!(dropped.len(), all.len().saturating_sub(keep)),
                Some(audit) => {
                    let reaches = all.iter().find(|s| s.at <= edge(log.now, audit));
                    prop_assert!(reaches.is_none_or(|s| !dropped.contains(&s.position)), "R2");
                    let archive = plan.audited.iter().find(|a| a.0 == facts.stream).expect("it is audited").1;
                    prop_assert_eq!(archive, reaches.map(|s| s.at));
                }
            }
            if plan.snapshot.contains(&facts.stream) {
                prop_assert!(!facts.writing);
                prop_assert!(all.first().is_none_or(|s| s.position.plus(1) < log.next));
            }
        }
    }
}
