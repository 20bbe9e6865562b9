//! Claims about snapshots.

use super::{LEADER, Store, commit_of, committed, done, stream};
use crate::{Journal, JournalError};
use capstan_ids::{Epoch, Position};

fn rows(count: u32) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|n| n.to_le_bytes().repeat(n as usize % 50))
}

/// J4: rows come back as they were handed over, the empty ones too.
pub fn a_snapshot_is_read_back_row_by_row(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("work/shop", &["a", "b"]));

    let mut writer = journal.begin_snapshot(LEADER, &stream("work/shop"), Position::new(2)).expect("a snapshot begins");
    for row in rows(5_000) {
        writer.row(row);
    }
    let info = done(writer);

    assert_eq!((&info.stream, info.position, info.epoch), (&stream("work/shop"), Position::new(2), LEADER));
    assert_eq!(info.at, commit_of("work/shop", &[]).at());
    assert_eq!(journal.snapshots().expect("the store answers"), std::slice::from_ref(&info));
    let read = journal.read_snapshot(&info).expect("the snapshot is read");
    let read: Vec<Vec<u8>> = read.map(|row| row.expect("the row is whole")).collect();
    assert_eq!(read, rows(5_000).collect::<Vec<_>>());
}

/// J4: neither while it is written nor after a crash in the middle of it.
pub fn a_snapshot_counts_only_when_finished(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a"]));
    let mut writer = journal.begin_snapshot(LEADER, &stream("jobs"), Position::new(1)).expect("a snapshot begins");
    for row in rows(5_000) {
        writer.row(row);
    }

    assert!(journal.snapshots().expect("the store answers").is_empty());
    store.crash(journal);
    drop(writer);

    assert!(store.open().snapshots().expect("the store answers").is_empty());
}

/// Dropping a writer gives the snapshot up; the same one can be begun again.
pub fn an_abandoned_snapshot_leaves_nothing(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a"]));
    let mut writer = journal.begin_snapshot(LEADER, &stream("jobs"), Position::new(1)).expect("a snapshot begins");
    writer.row(b"half of it".to_vec());
    drop(writer);

    assert!(journal.snapshots().expect("the store answers").is_empty());
    drop(journal);
    let mut journal = store.open();
    assert!(journal.snapshots().expect("the store answers").is_empty());
    let mut writer = journal.begin_snapshot(LEADER, &stream("jobs"), Position::new(1)).expect("a snapshot begins");
    writer.row(b"all of it".to_vec());
    let info = done(writer);
    let mut read = journal.read_snapshot(&info).expect("the snapshot is read");
    assert_eq!(read.next().expect("there is a row").expect("the row is whole"), b"all of it");
    assert!(read.next().is_none());
}

/// J4: once done, it outlives the process and the machine's power.
pub fn a_snapshot_is_there_after_a_crash(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("kv", &["a"]));
    let mut writer = journal.begin_snapshot(LEADER, &stream("kv"), Position::new(1)).expect("a snapshot begins");
    writer.row(b"state".to_vec());
    let info = done(writer);
    store.crash(journal);

    let journal = store.open();

    assert_eq!(journal.snapshots().expect("the store answers"), std::slice::from_ref(&info));
    let read: Vec<_> = journal.read_snapshot(&info).expect("the snapshot is read").collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].as_ref().expect("the row is whole"), b"state");
}

/// Streams do not mix, whatever their names have in common, and each lists its newest first.
pub fn snapshots_are_listed_newest_first(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a", "b", "c"]));
    for (name, at) in [("work/a", 1), ("work/a-b", 2), ("work/a", 3), ("work/a/b", 1), ("work/a", 2)] {
        let mut writer = journal.begin_snapshot(LEADER, &stream(name), Position::new(at)).expect("a snapshot begins");
        writer.row(format!("{name} {at}").into_bytes());
        done(writer);
    }

    let listed = journal.snapshots().expect("the store answers");

    for (name, expected) in [("work/a", vec![3, 2, 1]), ("work/a-b", vec![2]), ("work/a/b", vec![1])] {
        let found: Vec<_> = listed.iter().filter(|s| s.stream == stream(name)).collect();
        assert_eq!(found.iter().map(|s| s.position.get()).collect::<Vec<_>>(), expected, "{name}");
        for info in found {
            let row = journal.read_snapshot(info).expect("the snapshot is read").next().expect("there is a row");
            assert_eq!(row.expect("the row is whole"), format!("{name} {}", info.position).into_bytes());
        }
    }
}

/// A dropped snapshot is gone for good, and dropping it again is no error.
pub fn a_dropped_snapshot_is_gone(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a", "b"]));
    let older = done(journal.begin_snapshot(LEADER, &stream("jobs"), Position::new(1)).expect("a snapshot begins"));
    let newer = done(journal.begin_snapshot(LEADER, &stream("jobs"), Position::new(2)).expect("a snapshot begins"));

    journal.drop_snapshot(&older).expect("the snapshot is dropped");
    journal.drop_snapshot(&older).expect("dropping it again changes nothing");
    store.crash(journal);

    assert_eq!(store.open().snapshots().expect("the store answers"), [newer]);
}

/// Rule 5: snapshots are the leader's.
pub fn a_deposed_epoch_writes_no_snapshot(mut store: impl Store) {
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["a"]));

    let refused = journal.begin_snapshot(Epoch::new(2), &stream("jobs"), Position::new(1)).err();

    assert!(matches!(refused, Some(JournalError::Deposed { seen, .. }) if seen == LEADER), "{refused:?}");
    assert!(journal.snapshots().expect("the store answers").is_empty());
}
