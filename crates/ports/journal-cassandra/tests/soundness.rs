//! The cases that break a shared log where its rules are not kept, on a real database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod live;

use capstan_ids::{Epoch, Position};
use capstan_journal::{Append, Durability, Election, Journal, JournalError, SnapshotProgress, SnapshotWriter};
use capstan_journal_cassandra::{CassandraElection, CassandraJournal, CassandraOptions};
use live::proxy::{Lose, Proxy};
use live::{LiveLog, commit, committed, everything, fenced, large_commit, new_log, stream};
use std::time::{Duration, Instant};

fn impatient() -> CassandraOptions {
    CassandraOptions { timeout: Duration::from_millis(700), ..CassandraOptions::default() }
}

fn positions(journal: &CassandraJournal, from: u64) -> Vec<u64> {
    everything(journal, from).iter().map(|recorded| recorded.position.get()).collect()
}

/// Offers a commit until it is known what became of it.
fn settled(journal: &mut CassandraJournal, epoch: u64, position: u64, text: &str) -> Append {
    let began = Instant::now();
    loop {
        match journal.append(Epoch::new(epoch), Position::new(position), &commit(text)) {
            Append::Unknown(error) => assert!(began.elapsed() < Duration::from_secs(20), "still {error}"),
            settled => return settled,
        }
    }
}

/// Fills buckets of 16 KiB until some are sealed; answers the next position.
fn filled(journal: &mut CassandraJournal, epoch: u64, from: u64) -> u64 {
    let size = 4 << 10;
    for position in from..from + 20 {
        committed(journal, epoch, position, &large_commit(size));
    }
    from + 20
}

/// Rule 1, the first case.
#[test]
fn a_leader_that_has_written_nothing_loses_a_position_and_then_fences_the_old_one() {
    let Some(log) = new_log() else { return };
    let (mut old, mut new) = (log.open(), log.open());
    committed(&mut old, 1, 1, &commit("by the old leader"));
    assert_eq!(new.tail().unwrap().next, Position::new(2));

    // It wakes before the new one has written: the position is free, and its epoch is the highest seen.
    committed(&mut old, 1, 2, &commit("still by the old leader"));
    fenced(&mut new, 2, 2, &commit("accession"));
    let next = new.tail().unwrap().next;
    committed(&mut new, 2, next.get(), &commit("accession"));

    fenced(&mut old, 1, 4, &commit("too late"));
    fenced(&mut old, 1, 3, &commit("too late"));
    assert_eq!(positions(&new, 1), [1, 2, 3]);
}

/// The database compares the epoch itself: what a server remembers of it may be old.
#[test]
fn an_epoch_that_has_risen_behind_a_leaders_back_fences_it() {
    let Some(log) = new_log() else { return };
    let mut old = log.open();
    committed(&mut old, 1, 1, &commit("by the old leader"));
    assert!(log.raw().applied("UPDATE commits SET epoch = 5 WHERE log = ? AND bucket = 1 IF next = 2", (&log.log,)));

    fenced(&mut old, 1, 2, &commit("its position is still the next"));

    assert_eq!(positions(&old, 1), [1]);
    committed(&mut old, 5, 2, &commit("by the new one"));
}

/// Rule 1, the second case: the old server has not heard of anything, so what it sends is what a request that was held
/// up for days would be.
#[test]
fn an_append_that_comes_late_finds_the_position_taken_that_retention_has_emptied() {
    let Some(log) = new_log() else { return };
    let (mut old, mut new) = (log.open(), log.open());
    committed(&mut old, 1, 1, &commit("by the old leader"));
    let next = filled(&mut new, 2, 2);
    new.trim(Position::new(next), &[]).unwrap();
    let first = new.tail().unwrap().first;
    assert!(first > Position::new(2), "expected something to be dropped");

    fenced(&mut old, 1, 2, &commit("delayed"));
    fenced(&mut log.open(), 9, 2, &commit("delayed"));

    let raw = log.raw();
    let opening = "INSERT INTO commits (log, bucket, next, epoch, bytes) VALUES (?, 1, 1, 1, 0) IF NOT EXISTS";
    assert!(!raw.applied(opening, (&log.log,)), "a delayed opening found its bucket gone");
    let rows: Vec<(i64,)> =
        raw.rows("SELECT position FROM commits WHERE log = ? AND bucket = 1 AND position >= 0", (&log.log,));
    assert!(rows.is_empty(), "a delayed append has left {rows:?}");
    assert_eq!(new.tail().unwrap().next, Position::new(next));
}

/// Rule 2: the reply is lost, the commit stands.
#[test]
fn a_commit_whose_reply_was_lost_finds_itself() {
    let Some(log) = new_log() else { return };
    let proxy = Proxy::before(&log.host);
    let mut journal = LiveLog { host: proxy.url.clone(), ..log.clone() }.open_with(impatient());
    committed(&mut journal, 1, 1, &commit("heard"));

    proxy.lose(Lose::Replies);
    let answer = journal.append(Epoch::new(1), Position::new(2), &commit("unheard"));
    assert!(matches!(answer, Append::Unknown(JournalError::Away { .. })), "{answer:?}");
    proxy.lose(Lose::Nothing);

    let answer = settled(&mut journal, 1, 2, "unheard");
    assert!(matches!(answer, Append::Committed), "{answer:?}");
    assert_eq!(positions(&journal, 1), [1, 2]);
    committed(&mut journal, 1, 3, &commit("and on"));
}

/// Rule 2: the request is lost, and another server takes the position.
#[test]
fn a_commit_that_never_arrived_finds_another_in_its_place() {
    let Some(log) = new_log() else { return };
    let proxy = Proxy::before(&log.host);
    let mut journal = LiveLog { host: proxy.url.clone(), ..log.clone() }.open_with(impatient());
    committed(&mut journal, 1, 1, &commit("heard"));

    proxy.lose(Lose::Requests);
    let answer = journal.append(Epoch::new(1), Position::new(2), &commit("unheard"));
    assert!(matches!(answer, Append::Unknown(_)), "{answer:?}");
    committed(&mut log.open(), 2, 2, &commit("by the new leader"));
    proxy.lose(Lose::Nothing);

    let answer = settled(&mut journal, 1, 2, "unheard");
    assert!(matches!(answer, Append::Fenced), "{answer:?}");
    assert_eq!(everything(&log.open(), 2)[0].commit, commit("by the new leader"));
}

/// Rule 7.
#[test]
fn a_large_commit_torn_between_its_parts_and_its_row_is_invisible_and_swept() {
    let Some(log) = new_log() else { return };
    let (raw, mut journal) = (log.raw(), log.open());
    committed(&mut journal, 1, 1, &commit("small"));
    let part = "INSERT INTO parts (log, bucket, position, id, part, body) VALUES (?, 1, 2, ?, ?, ?)";
    let torn = vec![7_u8; 16];
    raw.run(part, (&log.log, &torn, 0, vec![1_u8; 1000]));
    raw.run(part, (&log.log, &torn, 1, vec![2_u8; 1000]));
    let left = || {
        let rows = raw.rows("SELECT id FROM parts WHERE log = ? AND bucket = 1 AND position = 2", (&log.log,));
        rows.into_iter().map(|(id,): (Vec<u8>,)| id).collect::<Vec<_>>()
    };

    assert_eq!(positions(&journal, 1), [1]);
    assert_eq!(journal.tail().unwrap().next, Position::new(2));
    // Nobody knows yet that its commit does not come: its leader may be about to offer it.
    log.open().idle().unwrap();
    assert_eq!(left(), [torn.clone(), torn.clone()]);

    committed(&mut journal, 1, 2, &large_commit(2_000_000));
    let mut next = log.open();
    next.idle().unwrap();

    assert!(!left().is_empty() && !left().contains(&torn), "{:?}", left());
    assert_eq!(everything(&next, 2)[0].commit, large_commit(2_000_000));
}

/// J3.
#[test]
fn damage_in_a_row_is_found_and_its_position_named() {
    let Some(log) = new_log() else { return };
    let (raw, mut journal) = (log.raw(), log.open_with(CassandraOptions::default()));
    let mut position = 1;
    for _ in 0..4 {
        committed(&mut journal, 1, position, &commit("small"));
        committed(&mut journal, 1, position + 1, &large_commit(1_200_000));
        position += 2;
    }
    let damage = |journal: &CassandraJournal| {
        let found: Vec<_> = journal.read(Position::new(1)).unwrap().collect();
        match found.last() {
            Some(Err(JournalError::Damaged { position, .. })) => position.get(),
            other => panic!("expected damage, found {other:?}"),
        }
    };
    assert_eq!(everything(&journal, 1).len(), 8);

    raw.run("DELETE FROM parts WHERE log = ? AND bucket = 1 AND position = 8", (&log.log,));
    assert_eq!(damage(&journal), 8);
    raw.run("DELETE FROM commits WHERE log = ? AND bucket = 1 AND position = 7", (&log.log,));
    assert_eq!(damage(&journal), 7);
    raw.run("UPDATE commits SET at = 5 WHERE log = ? AND bucket = 1 AND position = 5", (&log.log,));
    assert_eq!(damage(&journal), 5);
    let body = "UPDATE commits SET body = ? WHERE log = ? AND bucket = 1 AND position = 3";
    raw.run(body, (b"another".to_vec(), &log.log));
    assert_eq!(damage(&journal), 3);
    raw.run("DELETE id FROM commits WHERE log = ? AND bucket = 1 AND position = 1", (&log.log,));
    assert_eq!(damage(&journal), 1);
}

#[test]
fn a_bucket_that_was_sealed_or_opened_by_a_server_that_died_is_gone_on_from() {
    let Some(log) = new_log() else { return };
    let raw = log.raw();
    committed(&mut log.open(), 1, 1, &commit("first"));

    let seal = "UPDATE commits SET successor = 2 WHERE log = ? AND bucket = 1 IF next = 2";
    assert!(raw.applied(seal, (&log.log,)));
    let mut journal = log.open();
    assert_eq!(journal.tail().unwrap().next, Position::new(2));
    assert_eq!(positions(&journal, 1), [1]);
    fenced(&mut journal, 0, 2, &commit("by an old leader"));
    let opening = "INSERT INTO commits (log, bucket, next, epoch, bytes) VALUES (?, 2, 2, 1, 0) IF NOT EXISTS";
    assert!(raw.applied(opening, (&log.log,)));
    let mut journal = log.open();
    committed(&mut journal, 2, 2, &commit("second"));
    raw.run("DELETE FROM buckets WHERE log = ?", (&log.log,));

    assert_eq!(positions(&log.open(), 1), [1, 2]);
    assert_eq!(positions(&log.open(), 2), [2]);
    fenced(&mut log.open(), 1, 3, &commit("by an old leader"));
}

/// Rule 5.
#[test]
fn a_deposed_leader_does_not_finish_its_snapshot() {
    let Some(log) = new_log() else { return };
    let (mut old, mut new) = (log.open(), log.open());
    committed(&mut old, 1, 1, &commit("by the old leader"));
    let mut late = old.begin_snapshot(Epoch::new(1), &stream("jobs"), Position::new(1)).unwrap();
    late.row(vec![1; 300_000]);
    committed(&mut new, 2, 2, &commit("accession"));
    let mut writer = new.begin_snapshot(Epoch::new(2), &stream("kv"), Position::new(2)).unwrap();
    writer.row(b"state".to_vec());
    let done = ended(&mut *writer);
    assert!(matches!(done, SnapshotProgress::Done(_)), "{done:?}");

    let failed = ended(&mut *late);

    assert!(matches!(failed, SnapshotProgress::Failed(JournalError::Deposed { .. })), "{failed:?}");
    assert_eq!(new.snapshots().unwrap().len(), 1);
    // What it has left is swept under the next leadership.
    let mut next = log.open();
    let mut writer = next.begin_snapshot(Epoch::new(3), &stream("kv"), Position::new(2)).unwrap();
    assert!(matches!(ended(&mut *writer), SnapshotProgress::Done(_)));
    type Left = (Option<Vec<(Vec<u8>, i64)>>,);
    let left: Vec<Left> = log.raw().rows("SELECT unswept FROM snapshots WHERE log = ?", (&log.log,));
    assert!(left.iter().all(|(unswept,)| unswept.is_none()), "{left:?}");
}

fn ended(writer: &mut dyn SnapshotWriter) -> SnapshotProgress {
    writer.finish();
    loop {
        match writer.progress() {
            SnapshotProgress::Writing => std::thread::yield_now(),
            ended => return ended,
        }
    }
}

/// J4.
#[test]
fn a_damaged_snapshot_is_passed_over_only_where_the_log_stands_in_for_it() {
    let Some(log) = new_log() else { return };
    let (raw, mut journal) = (log.raw(), log.open());
    let next = filled(&mut journal, 1, 1);
    let mut writer = journal.begin_snapshot(Epoch::new(1), &stream("kv"), Position::new(next - 1)).unwrap();
    writer.row(vec![1; 1_000]);
    assert!(matches!(ended(&mut *writer), SnapshotProgress::Done(_)));
    type Kept = (i64, i64, i64, i64, Vec<u8>, i32, Vec<u8>);
    let kept: Vec<(Vec<Kept>,)> = raw.rows("SELECT kept FROM snapshots WHERE log = ? AND stream = 'kv'", (&log.log,));
    let page = "UPDATE pages SET body = ? WHERE log = ? AND id = ? AND shelf = 0 AND page = 0";
    raw.run(page, (vec![2_u8; 1_004], &log.log, &kept[0].0[0].4));

    assert!(log.open().snapshots().unwrap().is_empty());
    journal.trim(Position::new(next), &[]).unwrap();
    let damaged = log.open().snapshots();

    assert!(matches!(damaged, Err(JournalError::Damaged { .. })), "{damaged:?}");
}

#[test]
fn a_reader_whose_log_was_dropped_under_it_is_told_so() {
    let Some(log) = new_log() else { return };
    let mut journal = log.open();
    let next = filled(&mut journal, 1, 1);
    let reader = journal.read(Position::new(1)).unwrap();
    journal.trim(Position::new(next), &[]).unwrap();

    let found: Vec<_> = reader.collect();

    assert!(matches!(found.last(), Some(Err(JournalError::Dropped { .. }))), "{:?}", found.last());
}

/// Rule 8.
#[test]
fn a_restored_log_goes_on_so_much_higher_and_what_was_below_stays_taken() {
    let Some(log) = new_log() else { return };
    let mut journal = log.open();
    committed(&mut journal, 1, 1, &commit("before the backup"));

    let first = journal.leap().unwrap();

    assert_eq!(first, Position::new(2 + Position::RESTORE_LEAP));
    assert_eq!(log.open().tail().unwrap().next, first);
    fenced(&mut journal, 2, 2, &commit("a token given again"));
    committed(&mut journal, 2, first.get(), &commit("after it"));
    assert_eq!(positions(&log.open(), 1), [1, first.get()]);
    assert_eq!(positions(&log.open(), 3), [first.get()]);
    let second = journal.leap().unwrap();
    assert_eq!(second, first.plus(1 + Position::RESTORE_LEAP));
}

/// A standby must notice within its term.
#[test]
fn a_call_to_the_register_ends_in_time_when_the_database_is_silent() {
    let Some(log) = new_log() else { return };
    let proxy = Proxy::before(&log.host);
    let through = LiveLog { host: proxy.url.clone(), ..log };
    let mut election = CassandraElection::connect(&through.url(), &CassandraOptions::default()).unwrap();
    let standing = election.standing().unwrap();

    proxy.lose(Lose::Requests);
    for _ in 0..2 {
        let began = Instant::now();
        let silent = election.replace(&standing, &capstan_journal::Standing { beat: 1, ..standing.clone() });
        assert!(matches!(silent, Err(JournalError::Away { .. })), "{silent:?}");
        assert!(began.elapsed() < Duration::from_millis(1800), "{:?}", began.elapsed());
    }
}

#[test]
fn what_the_database_acknowledges_is_on_its_disk() {
    let Some(log) = new_log() else { return };
    assert_eq!(log.open().durability(), Durability::BeforeAck);
}
