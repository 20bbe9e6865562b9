//! A disk that fails, and one that is full.

use super::*;
use capstan_journal::Refusal;

/// Appends until something else than *committed* is answered; answers that, and the last committed position.
fn append_until_it_fails(journal: &mut EmbeddedJournal, from: u64) -> (u64, Append) {
    for position in from..from + 10_000 {
        match journal.append(LEADER, Position::new(position), &commit(position, 20)) {
            Append::Committed => {}
            other => return (position - 1, other),
        }
    }
    panic!("expected an append to fail");
}

#[test]
fn after_a_failed_flush_the_journal_stays_broken_until_it_is_opened_again() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, 1);
    disk.fail_flush(0);

    for _ in 0..3 {
        let answer = journal.append(LEADER, Position::new(2), &commit(2, 20));
        assert!(matches!(answer, Append::Broken(JournalError::Store { .. })), "{answer:?}");
    }
    assert!(journal.idle().is_err());
    disk.cut_power(|_| 0);
    drop(journal);

    let mut journal = open(&disk).unwrap();
    holds_up_to(&journal, 1);
    append(&mut journal, 2);
}

#[test]
fn whichever_flush_fails_what_was_committed_is_there() {
    for flush in 0..60 {
        let disk = FaultyDisk::new();
        let mut journal = open(&disk).unwrap();
        disk.fail_flush(flush);
        let (last, answer) = append_until_it_fails(&mut journal, 1);
        assert!(matches!(answer, Append::Broken(_)), "flush {flush}: {answer:?}");
        disk.cut_power(|_| 0);
        drop(journal);

        let mut journal = open(&disk).unwrap();
        assert_eq!(next(&mut journal), last + 1, "flush {flush}");
        holds_up_to(&journal, last);
    }
}

#[test]
fn whichever_flush_fails_what_a_new_process_finds_outlives_a_power_cut() {
    for flush in 0..60 {
        let disk = FaultyDisk::new();
        let mut journal = open(&disk).unwrap();
        disk.fail_flush(flush);
        append_until_it_fails(&mut journal, 1);
        // The kernel still shows what the failed flush has lost.
        disk.kill();
        drop(journal);

        let mut journal = open(&disk).unwrap();
        let found = next(&mut journal);
        for position in found..found + 3 {
            append(&mut journal, position);
        }
        disk.cut_power(|_| 0);
        drop(journal);

        holds_up_to(&open(&disk).unwrap(), found + 2);
    }
}

#[test]
fn a_full_disk_refuses_appends_goes_on_reading_and_resumes_when_there_is_room() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    disk.limit(Some(9_000));

    let (last, answer) = append_until_it_fails(&mut journal, 1);
    assert!(matches!(answer, Append::Refused(Refusal::Full { .. })), "{answer:?}");
    assert!(matches!(journal.reserve(1_000), Err(Refusal::Full { .. })));
    holds_up_to(&journal, last);
    assert_eq!(next(&mut journal), last + 1);

    disk.limit(None);
    journal.reserve(1_000).unwrap();
    for position in last + 1..last + 200 {
        append(&mut journal, position);
    }
    disk.cut_power(|_| 0);
    drop(journal);
    holds_up_to(&open(&disk).unwrap(), last + 199);
}

#[test]
fn what_was_reserved_finds_room_although_the_disk_has_filled_since() {
    let stream = StreamName::new("work/shop").unwrap();
    for (events, bytes) in [(1, 6_000), (600, 10), (2_000, 0), (300, 4)] {
        // Wherever in a segment that happens.
        for before in 1..80 {
            let disk = FaultyDisk::new();
            let mut journal = open(&disk).unwrap();
            for position in 1..=before {
                append(&mut journal, position);
            }
            let mut large = Commit::new(WallTime(1));
            for _ in 0..events {
                large.push(&stream, |b| b.resize(b.len() + bytes, 7));
            }

            journal.reserve(large.size()).unwrap();
            disk.limit(Some(0));

            let answer = journal.append(LEADER, Position::new(before + 1), &large);
            assert!(
                matches!(answer, Append::Committed),
                "{events} events of {bytes} bytes behind {before}: {answer:?}"
            );
        }
    }
}

#[test]
fn what_a_refused_write_left_behind_is_gone_with_the_next_one() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, 1);
    let end = end_of(&disk);
    disk.refuse_next_write_after(900);
    let answer = journal.append(LEADER, Position::new(2), &commit(2, 1_000));
    assert!(matches!(answer, Append::Refused(Refusal::Full { .. })), "{answer:?}");
    assert_ne!(disk.contents(FIRST_SEGMENT).unwrap()[end + 800], 0);

    append(&mut journal, 2);
    disk.kill();
    drop(journal);

    let bytes = disk.contents(FIRST_SEGMENT).unwrap();
    assert!(bytes[end_of(&disk)..].iter().all(|&b| b == 0));
    let mut journal = open(&disk).unwrap();
    assert_eq!(next(&mut journal), 3);
    holds_up_to(&journal, 2);
}

#[test]
fn a_refused_commit_is_not_found_by_the_next_process() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, 1);
    // All of it is written but its last bytes, which are zeros and were zeros before.
    let frame = end_of(&disk) - 64;
    disk.refuse_next_write_after(frame - 2);
    let answer = journal.append(LEADER, Position::new(2), &commit(2, 20));
    assert!(matches!(answer, Append::Refused(Refusal::Full { .. })), "{answer:?}");
    disk.kill();
    drop(journal);

    let mut journal = open(&disk).unwrap();

    assert_eq!(next(&mut journal), 2);
    holds_up_to(&journal, 1);
}

#[test]
fn a_full_disk_can_still_be_opened_and_read() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    disk.limit(Some(9_000));
    let (last, _) = append_until_it_fails(&mut journal, 1);
    disk.kill();
    drop(journal);

    let mut journal = open(&disk).unwrap();

    holds_up_to(&journal, last);
    // A smaller commit may still find room; one as large as a segment does not.
    let answer = journal.append(LEADER, Position::new(last + 1), &commit(last + 1, 5_000));
    assert!(matches!(answer, Append::Refused(Refusal::Full { .. })), "{answer:?}");
}

#[test]
fn a_commit_above_the_limit_is_refused_and_changes_nothing() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, 1);

    let answer = journal.append(LEADER, Position::new(2), &commit(2, 70_000));
    assert!(matches!(answer, Append::Refused(Refusal::TooLarge { limit: 65_536, .. })), "{answer:?}");

    append(&mut journal, 2);
    holds_up_to(&journal, 2);
}

#[test]
fn a_snapshot_that_finds_no_room_fails_alone() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, 1);
    disk.limit(Some(1_000));

    let mut writer = journal.begin_snapshot(LEADER, &StreamName::new("work/shop").unwrap(), Position::new(1)).unwrap();
    writer.row(vec![1; 5_000]);
    writer.finish();
    let failed = loop {
        match writer.progress() {
            capstan_journal::SnapshotProgress::Writing => std::thread::yield_now(),
            other => break other,
        }
    };

    assert!(matches!(failed, capstan_journal::SnapshotProgress::Failed(_)), "{failed:?}");
    assert!(!disk.names().iter().any(|n| n.starts_with("snapshots/")), "{:?}", disk.names());
    append(&mut journal, 2);
    holds_up_to(&journal, 2);
}
