//! The embedded journal on a real directory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{Append, Commit, EmbeddedJournal, EmbeddedOptions, Journal, JournalError, SnapshotProgress};

fn small() -> EmbeddedOptions {
    EmbeddedOptions { segment_bytes: 8 << 10, ..EmbeddedOptions::default() }
}

fn commit(text: &str) -> Commit {
    let mut commit = Commit::new(WallTime(1_000));
    commit.push(&StreamName::new("work/shop").unwrap(), |b| b.extend_from_slice(text.as_bytes()));
    commit
}

#[test]
fn what_was_committed_is_there_after_it_was_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = EmbeddedJournal::open(dir.path(), small()).unwrap();
    for number in 1..=500 {
        let committed = journal.append(Epoch::new(1), Position::new(number), &commit(&format!("event {number}")));
        assert!(matches!(committed, Append::Committed), "{committed:?}");
    }
    drop(journal);

    let mut journal = EmbeddedJournal::open(dir.path(), small()).unwrap();

    assert_eq!(journal.tail().unwrap().next, Position::new(501));
    let found: Vec<_> = journal.read(Position::new(1)).unwrap().map(Result::unwrap).collect();
    assert_eq!(found.len(), 500);
    for (number, recorded) in (1..).zip(&found) {
        assert_eq!(recorded.position, Position::new(number));
        assert_eq!(recorded.commit, commit(&format!("event {number}")));
    }
}

#[test]
fn a_second_opening_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let _first = EmbeddedJournal::open(dir.path(), small()).unwrap();

    let second = EmbeddedJournal::open(dir.path(), small());

    match second {
        Err(JournalError::Locked { holder, .. }) => assert_eq!(holder, format!("process {}", std::process::id())),
        other => panic!("expected it to be locked, found {other:?}"),
    }
}

#[test]
fn a_snapshot_is_read_back_row_by_row() {
    let dir = tempfile::tempdir().unwrap();
    let stream = StreamName::new("work/shop").unwrap();
    let mut journal = EmbeddedJournal::open(dir.path(), small()).unwrap();
    assert!(matches!(journal.append(Epoch::new(1), Position::new(1), &commit("one")), Append::Committed));
    let rows: Vec<Vec<u8>> = (0..10_000_u32).map(|n| n.to_le_bytes().repeat(n as usize % 40)).collect();

    let mut writer = journal.begin_snapshot(Epoch::new(1), &stream, Position::new(1)).unwrap();
    for row in &rows {
        writer.row(row.clone());
    }
    writer.finish();
    drop(journal);
    let progress = writer.progress();

    assert!(matches!(progress, SnapshotProgress::Done(_)), "{progress:?}");
    let journal = EmbeddedJournal::open(dir.path(), small()).unwrap();
    let found = journal.snapshots().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].stream, found[0].position), (&stream, Position::new(1)));
    let read: Vec<_> = journal.read_snapshot(&found[0]).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, rows);
}
