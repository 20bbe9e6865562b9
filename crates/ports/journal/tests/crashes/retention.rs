//! A crash while the log is trimmed, and a journal that was restored.

use super::*;
use capstan_journal::Recorded;

fn audited() -> StreamName {
    StreamName::new("work/shop").unwrap()
}

fn filled(commits: u64) -> FaultyDisk {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    for position in 1..=commits {
        append(&mut journal, position);
    }
    drop(journal);
    disk
}

/// What the archive holds, then what the log holds.
fn archive_and_log(journal: &mut EmbeddedJournal) -> Vec<u64> {
    let first = journal.tail().unwrap().first;
    let archive = journal.read_archive(&audited(), Position::new(1)).unwrap();
    let log = journal.read(first).unwrap();
    archive.chain(log).map(|r: Result<Recorded, _>| r.unwrap().position.get()).collect()
}

#[test]
fn whenever_the_power_goes_during_a_trim_every_audited_event_is_there_once() {
    let disk = filled(200);
    let mut finished = false;
    for flush in 0..200 {
        for surviving in [0, usize::MAX] {
            let disk = disk.copy();
            let mut journal = open(&disk).unwrap();
            disk.lose_power_at_flush(flush);
            finished = journal.trim(Position::new(180), &[audited()]).is_ok();
            disk.cut_power(|length| length.min(surviving));
            drop(journal);

            let mut journal = open(&disk).unwrap();
            assert_eq!(archive_and_log(&mut journal), (1..=200).collect::<Vec<_>>(), "flush {flush}");
            journal.trim(Position::new(180), &[audited()]).unwrap();
            assert_eq!(archive_and_log(&mut journal), (1..=200).collect::<Vec<_>>(), "flush {flush}, trimmed again");
            assert!(!disk.names().iter().any(|n| n.ends_with(".unfinished")), "{:?}", disk.names());
        }
        if finished {
            break;
        }
    }
    assert!(finished, "the trim was never left to finish");
}

#[test]
fn a_restored_journal_goes_on_so_much_higher_that_no_token_is_given_again() {
    let disk = filled(30);
    let mut journal = open(&disk).unwrap();

    let first = journal.leap().unwrap();

    assert_eq!(first, Position::new(31 + Position::RESTORE_LEAP));
    append(&mut journal, first.get());
    disk.cut_power(|_| 0);
    drop(journal);
    let mut journal = open(&disk).unwrap();
    assert_eq!(journal.tail().unwrap().next, first.plus(1));
    let found: Vec<_> = journal.read(Position::new(29)).unwrap().map(|r| r.unwrap().position.get()).collect();
    assert_eq!(found, [29, 30, first.get()]);
    assert!(matches!(journal.append(LEADER, Position::new(31), &commit(31, 20)), Append::Fenced));
}

#[test]
fn an_empty_journal_that_was_restored_leaps_too_and_positions_never_exceed_the_limit() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    let mut leaps = 0;
    while journal.leap().is_ok() {
        leaps += 1;
        disk.kill();
        drop(journal);
        journal = open(&disk).unwrap();
    }

    assert!(leaps > 500, "{leaps}");
    let last = journal.tail().unwrap().next;
    assert!(last <= Position::MAX);
    append(&mut journal, last.get());
}

#[test]
fn a_reader_that_a_trim_has_overtaken_says_where_the_log_goes_on() {
    let disk = filled(200);
    let mut journal = open(&disk).unwrap();
    let mut reader = journal.read(Position::new(1)).unwrap();

    journal.trim(Position::new(180), &[]).unwrap();

    let found = reader.next().unwrap();
    assert!(matches!(found, Err(JournalError::Dropped { asked, .. }) if asked == Position::new(1)), "{found:?}");
    assert!(reader.next().is_none());
}

#[test]
fn a_snapshot_whose_log_is_gone_is_refused() {
    let disk = filled(200);
    let mut journal = open(&disk).unwrap();
    journal.trim(Position::new(180), &[]).unwrap();

    let refused = journal.begin_snapshot(LEADER, &audited(), Position::new(5)).err();

    assert!(matches!(refused, Some(JournalError::Dropped { .. })), "{refused:?}");
}
