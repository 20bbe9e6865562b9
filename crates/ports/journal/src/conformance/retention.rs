//! Claims about letting go.

use super::{LEADER, Store, commit_of, committed, done, everything, fenced, next, stream};
use crate::{Commit, Journal, JournalError, Recorded};
use capstan_ids::{Position, StreamName, WallTime};

/// Commits of three events each, one of them audited, until the log has `events`.
fn filled(journal: &mut impl Journal, events: u64) {
    let (audited, plain) = (stream("registry"), stream("work/shop"));
    let mut position = next(journal);
    while position <= events {
        let mut commit = Commit::new(WallTime(position as i64));
        commit.push(&plain, |b| b.extend_from_slice(&position.to_le_bytes().repeat(20)));
        commit.push(&audited, |b| b.extend_from_slice(format!("audited {}", position + 1).as_bytes()));
        commit.push(&plain, |b| b.extend_from_slice(&position.to_le_bytes().repeat(20)));
        committed(journal, position, &commit);
        position += 3;
    }
}

fn archived(journal: &impl Journal, stream: &StreamName, from: u64) -> Vec<Recorded> {
    let archive = journal.read_archive(stream, Position::new(from)).expect("the archive is read");
    archive.map(|r| r.expect("the archive is whole")).collect()
}

/// J5: never the position itself or anything after it.
pub fn trimming_keeps_the_position_and_all_after_it(mut store: impl Store) {
    let mut journal = store.open();
    filled(&mut journal, 3_000);

    for position in [1_u64, 700, 1_501, 2_999] {
        journal.trim(Position::new(position), &[]).expect("the log is trimmed");

        let tail = journal.tail().expect("the store answers");
        assert!(tail.first <= Position::new(position), "asked for {position}, the log begins at {}", tail.first);
        let found = everything(&journal, position);
        assert!(found[0].position.get() <= position && position < found[0].position.get() + 3);
        assert_eq!(found.last().map(|r| r.position.get()), Some(2_998));
    }
    store.crash(journal);

    let found = everything(&store.open(), 2_999);
    assert_eq!(found.len(), 1);
}

/// A reader that asks for what is gone is told where the log begins.
pub fn a_dropped_position_is_answered_as_such(mut store: impl Store) {
    let mut journal = store.open();
    filled(&mut journal, 3_000);
    journal.trim(Position::new(2_500), &[]).expect("the log is trimmed");
    let first = journal.tail().expect("the store answers").first;
    assert!(first > Position::new(1), "expected something to be dropped");

    let refused = journal.read(Position::new(1)).err();

    assert!(
        matches!(refused, Some(JournalError::Dropped { asked, first: begins }) if asked == Position::new(1) && begins == first),
        "{refused:?}"
    );
}

/// Rule 1: a delayed append finds the position taken, although nothing stands there any more.
pub fn a_dropped_position_stays_taken(mut store: impl Store) {
    let mut journal = store.open();
    filled(&mut journal, 3_000);
    journal.trim(Position::new(2_500), &[]).expect("the log is trimmed");

    fenced(&mut journal, LEADER, 1, &commit_of("jobs", &["delayed"]));
    fenced(&mut journal, LEADER.next(), 4, &commit_of("jobs", &["delayed"]));

    assert_eq!(next(&mut journal), 3_001);
}

/// J5, rule 9: archive and log together hold every audited event once, in order, with its position and time.
pub fn audited_events_survive_a_trim(mut store: impl Store) {
    let audited = stream("registry");
    let mut journal = store.open();
    filled(&mut journal, 3_000);

    journal.trim(Position::new(1_200), std::slice::from_ref(&audited)).expect("the log is trimmed");
    journal.trim(Position::new(2_500), std::slice::from_ref(&audited)).expect("the log is trimmed");
    store.crash(journal);
    let mut journal = store.open();

    let first = journal.tail().expect("the store answers").first;
    assert!(first > Position::new(1), "expected something to be dropped");
    let mut found = Vec::new();
    for recorded in archived(&journal, &audited, 1).into_iter().chain(everything(&journal, first.get())) {
        for entry in recorded.commit.entries(recorded.position).filter(|e| e.stream == &audited) {
            assert_eq!(entry.event, format!("audited {}", entry.position).as_bytes());
            assert_eq!(recorded.commit.at(), WallTime(entry.position.get() as i64 - 1));
            found.push(entry.position.get());
        }
    }
    assert_eq!(found, (0..1_000).map(|n| n * 3 + 2).collect::<Vec<u64>>());
    let later = archived(&journal, &audited, 1_000);
    assert_eq!(later.first().map(|r| r.position.get()), Some(1_001));
    assert!(archived(&journal, &stream("work/shop"), 1).is_empty());
}

/// Only what was made before the given time may go.
pub fn an_archive_gives_up_what_is_old(mut store: impl Store) {
    let audited = stream("registry");
    let mut journal = store.open();
    filled(&mut journal, 3_000);
    journal.trim(Position::new(2_900), std::slice::from_ref(&audited)).expect("the log is trimmed");
    let before = archived(&journal, &audited, 1);

    journal.trim_archive(&audited, WallTime(1_500)).expect("the archive is trimmed");

    let after = archived(&journal, &audited, 1);
    assert!(after.len() < before.len(), "expected some of {} events to go", before.len());
    let kept: Vec<_> = before.iter().filter(|r| r.commit.at() >= WallTime(1_500)).collect();
    assert!(!kept.is_empty());
    assert!(after.iter().rev().zip(kept.iter().rev()).all(|(a, k)| a == *k) && after.len() >= kept.len());
}

/// J5: state at a snapshot plus the log behind it is the state, whatever was dropped.
pub fn a_snapshot_and_the_log_behind_it_hold_everything(mut store: impl Store) {
    let plain = stream("work/shop");
    let mut journal = store.open();
    filled(&mut journal, 2_000);
    let at = Position::new(next(&mut journal) - 1);
    let sum: u64 = (1..=at.get()).sum();
    let mut writer = journal.begin_snapshot(LEADER, &plain, at).expect("a snapshot begins");
    writer.row(sum.to_le_bytes().to_vec());
    let info = done(writer);
    filled(&mut journal, 3_000);
    journal.trim(info.position.plus(1), &[]).expect("the log is trimmed");
    store.crash(journal);

    let mut journal = store.open();

    let snapshots = journal.snapshots().expect("the store answers");
    let row = journal.read_snapshot(&snapshots[0]).expect("the snapshot is read").next().expect("there is a row");
    let mut state = u64::from_le_bytes(row.expect("the row is whole").try_into().expect("eight bytes"));
    for recorded in everything(&journal, info.position.plus(1).get()) {
        state += recorded.commit.entries(recorded.position).map(|e| e.position.get()).sum::<u64>();
    }
    assert_eq!(state, (1..next(&mut journal)).sum::<u64>());
}
