//! Backups of the embedded journal: any journal, any damage, any crash, and the format as it was first written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::backup::{self, BackupError, Look};
use capstan_journal::conformance::{audited, backup_of, lived, restored, seen};
use capstan_journal::embedded::faulty::FaultyDisk;
use capstan_journal::{Append, Commit, EmbeddedJournal, EmbeddedOptions, Journal, JournalError, SnapshotProgress};
use proptest::prelude::*;

const V1: &[u8] = include_bytes!("fixtures/v1/journal.backup");

fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 4 << 10,
        prepare_in_background: false,
        identity: Some(7),
        ..EmbeddedOptions::default()
    }
}

fn open(disk: &FaultyDisk) -> Result<EmbeddedJournal, JournalError> {
    EmbeddedJournal::open_in(disk.files(), options())
}

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn snapshot(journal: &mut EmbeddedJournal, epoch: Epoch, name: &str, rows: &[Vec<u8>]) {
    let next = journal.tail().unwrap().next;
    let mut writer = journal.begin_snapshot(epoch, &stream(name), Position::new(next.get() - 1)).unwrap();
    rows.iter().for_each(|row| writer.row(row.clone()));
    writer.finish();
    loop {
        match writer.progress() {
            SnapshotProgress::Done(_) => break,
            SnapshotProgress::Failed(error) => panic!("{error}"),
            SnapshotProgress::Writing => std::thread::yield_now(),
        }
    }
}

/// What may happen to a journal.
#[derive(Clone, Debug)]
enum Act {
    Append(Vec<(u8, Vec<u8>)>),
    Snapshot(u8, Vec<Vec<u8>>),
    NewLeader,
    Trim(u8),
    TrimArchive(u8),
    Leap,
    Open,
}

fn act() -> impl Strategy<Value = Act> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..600);
    prop_oneof![
        12 => prop::collection::vec((0..4_u8, bytes()), 1..6).prop_map(Act::Append),
        3 => (0..4_u8, prop::collection::vec(bytes(), 0..4)).prop_map(|(stream, rows)| Act::Snapshot(stream, rows)),
        1 => Just(Act::NewLeader),
        2 => any::<u8>().prop_map(Act::Trim),
        1 => any::<u8>().prop_map(Act::TrimArchive),
        1 => Just(Act::Leap),
        1 => Just(Act::Open),
    ]
}

/// Of the streams of a random journal the first has an archive.
fn numbered(number: u8) -> StreamName {
    if number == 0 { audited() } else { stream(&format!("work/s-{number}")) }
}

fn happen(disk: &FaultyDisk, acts: Vec<Act>) -> EmbeddedJournal {
    let (mut journal, mut epoch, mut at) = (open(disk).unwrap(), Epoch::new(1), 1_000);
    for act in acts {
        let tail = journal.tail().unwrap();
        // A share of the log's events, as it is now.
        let share = |part: u8| {
            let ends = journal.read(tail.first).unwrap().map(|r| r.unwrap().position);
            let ends: Vec<_> = ends.collect();
            ends.get(ends.len() * usize::from(part) / 256).copied().unwrap_or(tail.first)
        };
        match act {
            Act::Append(events) => {
                at += 1;
                let mut commit = Commit::new(WallTime(at));
                for (number, event) in events {
                    commit.push(&numbered(number), |bytes| bytes.extend_from_slice(&event));
                }
                assert!(matches!(journal.append(epoch, tail.next, &commit), Append::Committed));
            }
            Act::Snapshot(number, rows) => snapshot(&mut journal, epoch, numbered(number).as_str(), &rows),
            Act::NewLeader => epoch = epoch.next(),
            Act::Trim(part) => {
                let position = share(part);
                journal.trim(position, &[audited()]).unwrap();
            }
            Act::TrimArchive(part) => journal.trim_archive(&audited(), WallTime(1_000 + i64::from(part))).unwrap(),
            Act::Leap => drop(journal.leap().unwrap()),
            Act::Open => {
                drop(journal);
                journal = open(disk).unwrap();
            }
        }
    }
    journal
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_journal_is_restored_as_it_was(acts in prop::collection::vec(act(), 0..40)) {
        let mut journal = happen(&FaultyDisk::new(), acts);
        let was = seen(&mut journal, &audited());
        let (bytes, contents) = backup_of(&mut journal, &audited());
        prop_assert_eq!(contents.bytes, bytes.len() as u64);
        prop_assert_eq!(backup::verify(&mut &bytes[..]).unwrap(), contents);

        let disk = FaultyDisk::new();
        let mut target = open(&disk).unwrap();
        let next = restored(&bytes, &mut target);
        drop(target);

        prop_assert_eq!(next, was.leap());
        prop_assert_eq!(seen(&mut open(&disk).unwrap(), &audited()), was.going_on_at(next));
    }

    #[test]
    fn any_flipped_bit_and_any_missing_end_is_found(at: prop::sample::Index, bit in 0..8_u8) {
        let mut journal = happen(&FaultyDisk::new(), Vec::new());
        for _ in 0..3 {
            let next = journal.tail().unwrap().next;
            let mut commit = Commit::new(WallTime(5));
            commit.push(&stream("jobs"), |bytes| bytes.extend_from_slice(b"an event"));
            assert!(matches!(journal.append(Epoch::new(1), next, &commit), Append::Committed));
        }
        snapshot(&mut journal, Epoch::new(1), "jobs", &[b"a row".to_vec()]);
        let (bytes, _) = backup_of(&mut journal, &audited());
        let at = at.index(bytes.len());

        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        for damaged in [&flipped, &bytes[..at]] {
            let refused = backup::verify(&mut &damaged[..]);
            prop_assert!(matches!(refused, Err(BackupError::Damaged { .. })), "{:?}", refused);
        }
        prop_assert!(backup::verify(&mut &[&bytes[..], b"more"].concat()[..]).is_err());
    }
}

#[test]
fn a_power_cut_at_any_flush_of_a_restore_leaves_nothing_whole_or_what_is_refused() {
    let mut journal = open(&FaultyDisk::new()).unwrap();
    for position in 1..20 {
        let mut commit = Commit::new(WallTime(position));
        commit.push(&audited(), |bytes| bytes.resize(600, position as u8));
        assert!(matches!(journal.append(Epoch::new(2), Position::new(position as u64), &commit), Append::Committed));
    }
    snapshot(&mut journal, Epoch::new(2), "registry", &[b"a row".to_vec()]);
    journal.trim(Position::new(12), &[audited()]).unwrap();
    let was = seen(&mut journal, &audited());
    let (bytes, verified) = backup_of(&mut journal, &audited());
    let (mut refused, mut empty) = (0, 0);

    for flush in 0.. {
        let disk = FaultyDisk::new();
        let mut target = open(&disk).unwrap();
        disk.lose_power_at_flush(flush);
        let restored = backup::restore(&mut &bytes[..], &verified, &mut target, &mut |_| {});
        disk.cut_power(|_| 0);
        target.abandon();
        let mut left = match open(&disk) {
            Ok(left) => left,
            Err(JournalError::Unfit { what, .. }) => {
                assert!(restored.is_err() && what.contains("delete this directory"), "{what}");
                refused += 1;
                continue;
            }
            Err(error) => panic!("flush {flush}: {error}"),
        };
        if left.tail().unwrap().next == Position::new(1) {
            assert!(restored.is_err());
            empty += 1;
            continue;
        }
        let next = was.leap();
        assert_eq!(seen(&mut left, &audited()), was.going_on_at(next), "flush {flush}");
        assert!(refused > 10 && empty > 0, "{refused} refused, {empty} empty");
        return;
    }
}

#[test]
fn a_snapshot_that_retention_drops_meanwhile_asks_for_another_backup() {
    let mut journal = happen(&FaultyDisk::new(), vec![Act::Append(vec![(1, b"one".to_vec())])]);
    snapshot(&mut journal, Epoch::new(1), "work/s-1", &[b"a row".to_vec()]);
    let look = Look::at(&mut journal, &[audited()]).unwrap();
    let info = journal.snapshots().unwrap().remove(0);
    journal.drop_snapshot(&info).unwrap();

    let torn = backup::write(look, &mut |info| journal.read_snapshot(info), WallTime(0), &mut Vec::new());

    assert!(torn.as_ref().is_err_and(BackupError::was_overtaken), "{torn:?}");
}

#[test]
fn segments_that_retention_drops_meanwhile_ask_for_another_backup() {
    let mut journal = open(&FaultyDisk::new()).unwrap();
    lived(&mut journal);
    let look = Look::at(&mut journal, &[]).unwrap();
    let next = journal.tail().unwrap().next;
    journal.trim(next, &[]).unwrap();

    let torn = backup::write(look, &mut |info| journal.read_snapshot(info), WallTime(0), &mut Vec::new());

    assert!(torn.as_ref().is_err_and(BackupError::was_overtaken), "{torn:?}");
}

#[test]
fn another_version_is_named_and_not_called_damage() {
    let mut other = V1.to_vec();
    other[8] = 2;
    let checksum = crc32c::crc32c(&other[..12]);
    other[12..16].copy_from_slice(&checksum.to_le_bytes());

    let refused = backup::verify(&mut &other[..]);

    assert!(matches!(refused, Err(BackupError::Version { found: 2, known: 1 })), "{refused:?}");
}

/// The journal that the fixture is a backup of.
fn first_written() -> EmbeddedJournal {
    let mut journal = open(&FaultyDisk::new()).unwrap();
    for (epoch, at, events) in [
        (1, 1_790_000_000_000_001, &[("registry", "registered"), ("work/shop", "opened")][..]),
        (4, -1, &[("kv", ""), ("registry", "stopped")]),
    ] {
        let mut commit = Commit::new(WallTime(at));
        for (name, event) in events {
            commit.push(&stream(name), |bytes| bytes.extend_from_slice(event.as_bytes()));
        }
        let next = journal.tail().unwrap().next;
        assert!(matches!(journal.append(Epoch::new(epoch), next, &commit), Append::Committed));
    }
    snapshot(&mut journal, Epoch::new(4), "work/shop", &[b"one row".to_vec(), Vec::new()]);
    journal
}

#[test]
fn version_1_is_restored_as_it_was_written() {
    let was = seen(&mut first_written(), &audited());
    let mut target = open(&FaultyDisk::new()).unwrap();

    let next = restored(V1, &mut target);

    assert_eq!(seen(&mut target, &audited()), was.going_on_at(next));
}

#[test]
fn what_is_backed_up_today_is_version_1_byte_for_byte() {
    let (bytes, _) = backup_of(&mut first_written(), &audited());

    assert_eq!(bytes, V1);
}
