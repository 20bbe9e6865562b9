//! Format version 1, as the first release wrote it: read forever.
//!
//! The files under `fixtures/v1` are never written again. A newer version adds a directory beside them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::embedded::faulty::FaultyDisk;
use capstan_journal::{Append, Commit, EmbeddedJournal, EmbeddedOptions, Journal};

const SEGMENT: &str = "log/00000000000000000001.segment";
const SNAPSHOT: &str = "snapshots/work.shop@00000000000000000003.snapshot";
const V1_SEGMENT: &[u8] = include_bytes!("fixtures/v1/log.segment");
const V1_SNAPSHOT: &[u8] = include_bytes!("fixtures/v1/shop.snapshot");

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 4 << 10,
        prepare_in_background: false,
        identity: Some(0xC0FF_EE00_C0FF_EE00),
        ..EmbeddedOptions::default()
    }
}

fn commits() -> [(Epoch, Commit); 3] {
    let mut first = Commit::new(WallTime(1_790_000_000_000_001));
    first.push(&stream("registry"), |b| b.extend_from_slice(b"registered"));
    first.push(&stream("work/shop"), |b| b.extend_from_slice(b"opened"));
    let mut second = Commit::new(WallTime(1_790_000_000_000_002));
    second.push(&stream("work/shop"), |_| {});
    let mut third = Commit::new(WallTime(-1));
    third.push(&stream("kv"), |b| b.extend((0..=255).cycle().take(1_000)));
    third.push(&stream("registry"), |b| b.extend_from_slice(b"stopped"));
    [(Epoch::new(1), first), (Epoch::new(1), second), (Epoch::new(4), third)]
}

/// What this program writes when it does what the fixtures were made by.
fn written() -> FaultyDisk {
    let disk = FaultyDisk::new();
    let mut journal = EmbeddedJournal::open_in(disk.files(), options()).unwrap();
    let mut position = Position::new(1);
    for (epoch, commit) in commits() {
        assert!(matches!(journal.append(epoch, position, &commit), Append::Committed));
        position = position.plus(commit.events());
    }
    let mut writer = journal.begin_snapshot(Epoch::new(4), &stream("work/shop"), Position::new(3)).unwrap();
    for row in [&b"one row"[..], b"", &[9; 300]] {
        writer.row(row.to_vec());
    }
    writer.finish();
    drop(journal);
    disk
}

#[test]
fn version_1_is_read_as_it_was_written() {
    let disk = FaultyDisk::new();
    disk.put(SEGMENT, V1_SEGMENT.to_vec());
    disk.put(SNAPSHOT, V1_SNAPSHOT.to_vec());

    let mut journal = EmbeddedJournal::open_in(disk.files(), options()).unwrap();

    let tail = journal.tail().unwrap();
    assert_eq!((tail.next, tail.first, tail.epoch), (Position::new(6), Position::new(1), Epoch::new(4)));
    let found: Vec<_> = journal.read(Position::new(1)).unwrap().map(Result::unwrap).collect();
    assert_eq!(found.iter().map(|r| r.position.get()).collect::<Vec<_>>(), [1, 3, 4]);
    for (recorded, (epoch, commit)) in found.iter().zip(commits()) {
        assert_eq!((recorded.epoch, &recorded.commit), (epoch, &commit));
    }
    let snapshots = journal.snapshots().unwrap();
    assert_eq!(snapshots.len(), 1);
    assert_eq!((&snapshots[0].stream, snapshots[0].position), (&stream("work/shop"), Position::new(3)));
    assert_eq!((snapshots[0].epoch, snapshots[0].at), (Epoch::new(4), WallTime(1_790_000_000_000_002)));
    let rows: Vec<_> = journal.read_snapshot(&snapshots[0]).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows, [b"one row".to_vec(), Vec::new(), vec![9; 300]]);
}

#[test]
fn what_is_written_today_is_version_1_byte_for_byte() {
    let disk = written();

    assert_eq!(disk.contents(SEGMENT).as_deref(), Some(V1_SEGMENT));
    assert_eq!(disk.contents(SNAPSHOT).as_deref(), Some(V1_SNAPSHOT));
}
