//! Claims about appending and reading.

use super::{LEADER, Store, commit_of, committed, everything, fenced, next, stream};
use crate::{Append, Commit, Journal};
use capstan_ids::{Epoch, Position, WallTime};

/// J1: what was answered *committed* is read back with all it was given.
pub fn a_commit_is_read_back_whole(mut store: impl Store) {
    let mut journal = store.open();
    let mut commit = Commit::new(WallTime(-5));
    commit.push(&stream("registry"), |b| b.extend_from_slice(b"admitted"));
    commit.push(&stream("work/shop"), |_| {});
    commit.push(&stream("registry"), |b| b.extend_from_slice(&[0, 255, 0]));

    committed(&mut journal, 1, &commit);

    let found = everything(&journal, 1);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].position, found[0].epoch), (Position::new(1), LEADER));
    assert_eq!(found[0].commit, commit);
}

/// J1: after any crash.
pub fn a_commit_is_there_after_a_crash(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a", "b"]));
    committed(&mut journal, 3, &commit_of("jobs", &["c"]));
    store.crash(journal);

    let mut journal = store.open();

    let tail = journal.tail().expect("the store answers");
    assert_eq!((tail.next, tail.first, tail.epoch), (Position::new(4), Position::new(1), LEADER));
    let found = everything(&journal, 1);
    assert_eq!(found.iter().map(|r| r.position.get()).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(found[0].commit, commit_of("jobs", &["a", "b"]));
    assert_eq!(found[1].commit, commit_of("jobs", &["c"]));
}

/// Every event has its own position, and none is left out.
pub fn positions_are_contiguous(mut store: impl Store) {
    let mut journal = store.open();
    let mut position = 1;
    for size in [1, 5, 2, 17, 1, 100] {
        committed(&mut journal, position, &commit_of("jobs", &vec!["event"; size]));
        position += size as u64;
        assert_eq!(next(&mut journal), position);
    }

    let positions: Vec<u64> = everything(&journal, 1)
        .iter()
        .flat_map(|r| r.commit.entries(r.position).map(|e| e.position.get()).collect::<Vec<_>>())
        .collect();

    assert_eq!(positions, (1..position).collect::<Vec<_>>());
}

/// An empty log has position 1 next, and no epoch.
pub fn an_empty_log_begins_at_one(mut store: impl Store) {
    let mut journal = store.open();

    let tail = journal.tail().expect("the store answers");

    assert_eq!((tail.next, tail.first, tail.epoch), (Position::new(1), Position::new(1), Epoch::ZERO));
    assert!(everything(&journal, 1).is_empty());
    assert!(journal.snapshots().expect("the store answers").is_empty());
}

/// J2: an epoch below the highest seen changes nothing, before and after a restart.
pub fn a_deposed_epoch_adds_nothing(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["new leader"]));

    fenced(&mut journal, Epoch::new(2), 2, &commit_of("jobs", &["old leader"]));
    store.crash(journal);
    let mut journal = store.open();
    fenced(&mut journal, Epoch::new(2), 2, &commit_of("jobs", &["old leader"]));

    assert_eq!(next(&mut journal), 2);
    assert_eq!(everything(&journal, 1).len(), 1);
    committed(&mut journal, 2, &commit_of("jobs", &["still the leader"]));
}

/// J2: one commit holds a position.
pub fn a_taken_position_is_fenced(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a", "b"]));

    fenced(&mut journal, LEADER, 1, &commit_of("jobs", &["another"]));
    fenced(&mut journal, LEADER, 1, &commit_of("jobs", &["a", "c"]));
    fenced(&mut journal, LEADER, 1, &commit_of("work/b", &["a", "b"]));
    fenced(&mut journal, LEADER, 2, &commit_of("jobs", &["b"]));
    fenced(&mut journal, LEADER.next(), 1, &commit_of("jobs", &["a", "b"]));

    assert_eq!(next(&mut journal), 3);
    assert_eq!(everything(&journal, 1)[0].commit, commit_of("jobs", &["a", "b"]));
}

/// No hole is left in the log.
pub fn a_position_beyond_the_next_is_fenced(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a"]));

    fenced(&mut journal, LEADER, 3, &commit_of("jobs", &["b"]));

    assert_eq!(next(&mut journal), 2);
}

/// A commit that stands already is answered *committed* when it is offered again, and stands once.
pub fn an_unknown_commit_settles_by_offering_it_again(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a", "b"]));
    committed(&mut journal, 3, &commit_of("jobs", &["c"]));

    committed(&mut journal, 3, &commit_of("jobs", &["c"]));
    store.crash(journal);
    let mut journal = store.open();
    committed(&mut journal, 3, &commit_of("jobs", &["c"]));
    committed(&mut journal, 1, &commit_of("jobs", &["a", "b"]));

    assert_eq!(next(&mut journal), 4);
    assert_eq!(everything(&journal, 1).len(), 2);
}

/// Streams are tags: the order of the log is the order of all of them together.
pub fn events_of_many_streams_keep_their_order(mut store: impl Store) {
    let mut journal = store.open();
    let mut expected = Vec::new();
    let mut position = 1;
    for round in 0..20_u32 {
        let mut commit = Commit::new(WallTime(i64::from(round)));
        for number in 0..50_u32 {
            let name = stream(&format!("work/s{}", (number * 7 + round) % 40));
            let event = (round * 50 + number).to_le_bytes();
            commit.push(&name, |b| b.extend_from_slice(&event));
            expected.push((position + u64::from(number), name, event.to_vec()));
        }
        committed(&mut journal, position, &commit);
        position += 50;
    }

    let mut found = Vec::new();
    for recorded in everything(&journal, 1) {
        let entries = recorded.commit.entries(recorded.position);
        found.extend(entries.map(|e| (e.position.get(), e.stream.clone(), e.event.to_vec())));
    }

    assert_eq!(found, expected);
}

/// Whatever is refused leaves the log as it was, and the next commit goes on.
pub fn a_refused_commit_changes_nothing(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a"]));
    // No adapter takes 2 GiB at once; reserving takes no memory.
    assert!(journal.reserve(2 << 30).is_err(), "expected 2 GiB to be refused");
    assert!(journal.reserve(100).is_ok(), "expected 100 bytes to be taken");

    committed(&mut journal, 2, &commit_of("jobs", &["b"]));

    assert_eq!(everything(&journal, 1).len(), 2);
}

/// A reader ends where the log ended when it was made, and does not hold the writer up.
pub fn a_reader_does_not_see_what_came_after_it(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a"]));
    let reader = journal.read(Position::new(1)).expect("the position can be read");

    let answer = journal.append(LEADER, Position::new(2), &commit_of("jobs", &["b"]));

    assert!(matches!(answer, Append::Committed), "{answer:?}");
    let seen =
        std::thread::spawn(move || reader.map(|r| r.expect("the log is whole").position.get()).collect::<Vec<_>>());
    assert_eq!(seen.join().expect("the reader does not panic"), [1]);
}

/// A position within a commit is answered with the whole commit; one at the end with nothing.
pub fn reading_begins_with_the_commit_that_holds_the_position(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a", "b", "c"]));
    committed(&mut journal, 4, &commit_of("jobs", &["d", "e"]));
    committed(&mut journal, 6, &commit_of("jobs", &["f"]));

    for (from, expected) in
        [(1, vec![1, 4, 6]), (3, vec![1, 4, 6]), (4, vec![4, 6]), (5, vec![4, 6]), (6, vec![6]), (7, vec![])]
    {
        let found: Vec<u64> = everything(&journal, from).iter().map(|r| r.position.get()).collect();
        assert_eq!(found, expected, "from {from}");
    }
}
