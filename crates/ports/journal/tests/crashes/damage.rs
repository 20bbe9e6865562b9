//! Something durable is not what was written.

use super::*;
use std::ops::Range;

const COMMITS: u64 = 5;

/// Flips every bit of `bytes`, one at a time, and shows what opening makes of it.
fn each_flip(disk: &FaultyDisk, bytes: Range<usize>, check: impl Fn(usize, Result<EmbeddedJournal, JournalError>)) {
    for byte in bytes {
        for bit in 0..8 {
            let disk = disk.copy();
            disk.flip(FIRST_SEGMENT, byte, bit);
            check(byte, open(&disk));
        }
    }
}

#[track_caller]
fn is_damage_at(position: u64, offset: usize, found: Result<EmbeddedJournal, JournalError>) {
    match found {
        Err(JournalError::Damaged { position: p, place, offset: o, .. }) => {
            assert_eq!((p.get(), place.as_str(), o), (position, FIRST_SEGMENT, offset as u64));
        }
        other => panic!("expected damage at position {position}, found {other:?}"),
    }
}

#[test]
fn a_flipped_bit_below_the_mark_is_named_with_its_position_file_and_byte() {
    let (disk, borders) = log_of(COMMITS, false);

    // The last commit's frame carries the mark of those before it.
    for (position, frame) in (1..COMMITS).zip(borders.windows(2)) {
        each_flip(&disk, frame[0]..frame[1], |_, found| is_damage_at(position, frame[0], found));
    }
}

#[test]
fn a_flipped_bit_in_the_last_flush_cannot_be_told_from_a_torn_write() {
    let (disk, borders) = log_of(COMMITS, false);
    let last = borders[COMMITS as usize - 1]..borders[COMMITS as usize];

    each_flip(&disk, last, |_, found| {
        let mut journal = found.unwrap();
        assert_eq!(next(&mut journal), COMMITS);
        holds_up_to(&journal, COMMITS - 1);
    });
}

#[test]
fn after_a_clean_close_a_flipped_bit_in_the_last_commit_is_damage_too() {
    let (disk, borders) = log_of(COMMITS, true);
    let last = borders[COMMITS as usize - 1]..borders[COMMITS as usize];
    let mark = borders[COMMITS as usize]..borders[COMMITS as usize + 1];
    assert!(!mark.is_empty(), "a clean close writes the mark");

    each_flip(&disk, last.clone(), |_, found| is_damage_at(COMMITS, last.start, found));
    // The mark itself holds nothing that anybody acknowledged.
    each_flip(&disk, mark, |_, found| holds_up_to(&found.unwrap(), COMMITS));
}

#[test]
fn an_idle_moment_writes_the_mark_once() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, 1);
    let frame = 64..end_of(&disk);

    journal.idle().unwrap();
    let flushes = disk.flushes();
    journal.idle().unwrap();

    assert_eq!(disk.flushes(), flushes);
    journal.abandon();
    each_flip(&disk.copy(), frame, |_, found| is_damage_at(1, 64, found));
}

#[test]
fn a_flipped_bit_in_a_segments_head_is_damage() {
    let (disk, _) = log_of(COMMITS, false);

    each_flip(&disk, 0..64, |byte, found| {
        assert!(matches!(found, Err(JournalError::Damaged { .. })), "byte {byte}: {found:?}");
    });
}

#[test]
fn nothing_is_changed_where_damage_was_found() {
    let (disk, borders) = log_of(COMMITS, false);
    disk.flip(FIRST_SEGMENT, borders[1] + 9, 3);
    let before = disk.contents(FIRST_SEGMENT);

    assert!(open(&disk).is_err());

    assert_eq!(disk.contents(FIRST_SEGMENT), before);
}

#[test]
fn a_flipped_bit_anywhere_in_a_closed_segment_is_damage() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    let mut position = 1;
    while disk.names().iter().filter(|n| n.ends_with(".segment")).count() < 2 {
        append(&mut journal, position);
        position += 1;
    }
    journal.abandon();
    let disk = disk.copy();
    let seal = end_of(&disk);

    for byte in (64..seal).step_by(7) {
        let disk = disk.copy();
        disk.flip(FIRST_SEGMENT, byte, (byte % 8) as u8);
        let found = open(&disk);
        assert!(
            matches!(&found, Err(JournalError::Damaged { place, .. }) if place == FIRST_SEGMENT),
            "{byte}: {found:?}"
        );
    }
}

#[test]
fn a_missing_segment_is_damage_wherever_it_is_missing() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    for position in 1..=200 {
        append(&mut journal, position);
    }
    drop(journal);
    let segments: Vec<String> = disk.names().into_iter().filter(|n| n.ends_with(".segment")).collect();
    assert!(segments.len() > 3, "{segments:?}");

    for missing in &segments[1..] {
        let disk = disk.copy();
        disk.take(missing);
        let found = open(&disk);
        assert!(matches!(found, Err(JournalError::Damaged { .. })), "without {missing}: {found:?}");
    }
}

#[test]
fn a_segment_of_another_journal_is_damage() {
    let (disk, _) = log_of(3, true);
    let foreign = FaultyDisk::new();
    let other = EmbeddedOptions { identity: Some(8), ..options() };
    let mut journal = EmbeddedJournal::open_in(foreign.files(), other).unwrap();
    for position in 1..=100 {
        append(&mut journal, position);
    }
    drop(journal);
    let second = foreign.names().into_iter().filter(|n| n.ends_with(".segment")).nth(1).unwrap();
    disk.put(&second, foreign.contents(&second).unwrap());

    assert!(matches!(open(&disk), Err(JournalError::Damaged { .. })));
}

#[test]
fn a_newer_format_is_refused_as_such() {
    let (disk, _) = log_of(1, true);
    let mut bytes = disk.contents(FIRST_SEGMENT).unwrap();
    bytes[8] = 2;
    // A newer head has a checksum of its own, wherever that may be.
    bytes[60] ^= 0xFF;
    disk.put(FIRST_SEGMENT, bytes);

    let found = open(&disk);

    assert!(matches!(&found, Err(JournalError::Version { found: 2, known: 1, .. })), "{found:?}");
}

#[test]
fn a_damaged_snapshot_is_passed_over_and_the_older_one_stands() {
    let stream = StreamName::new("work/shop").unwrap();
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, 1);
    append(&mut journal, 2);
    for at in [1, 2] {
        let mut writer = journal.begin_snapshot(LEADER, &stream, Position::new(at)).unwrap();
        for row in 0..5_u8 {
            writer.row(vec![row; 3]);
        }
        writer.finish();
    }
    drop(journal);
    let newest = disk.names().into_iter().find(|n| n.contains("work.shop@") && n.ends_with("2.snapshot")).unwrap();

    let length = disk.contents(&newest).unwrap().len();
    for byte in (0..length).filter(|byte| !(8..12).contains(byte)) {
        let disk = disk.copy();
        disk.flip(&newest, byte, (byte % 8) as u8);
        let found = open(&disk).unwrap().snapshots().unwrap();
        assert_eq!(found.iter().map(|s| s.position.get()).collect::<Vec<_>>(), [1], "byte {byte}");
    }
    for cut in 0..length {
        let disk = disk.copy();
        disk.put(&newest, disk.contents(&newest).unwrap()[..cut].to_vec());
        assert_eq!(open(&disk).unwrap().snapshots().unwrap().len(), 1, "cut at {cut}");
    }
    let mut longer = disk.contents(&newest).unwrap();
    longer.push(0);
    disk.put(&newest, longer);
    assert_eq!(open(&disk).unwrap().snapshots().unwrap().len(), 1, "one byte too many");
}

#[test]
fn a_damaged_snapshot_is_an_error_where_nothing_stands_in_for_it() {
    let stream = StreamName::new("work/shop").unwrap();
    let open_with = |whole: &[u64], trimmed_to: u64| {
        let disk = FaultyDisk::new();
        let mut journal = open(&disk).unwrap();
        for position in 1..=200 {
            append(&mut journal, position);
        }
        for &at in whole.iter().chain(&[150]) {
            journal.begin_snapshot(LEADER, &stream, Position::new(at)).unwrap().finish();
        }
        drop(journal);
        let mut journal = open(&disk).unwrap();
        journal.trim(Position::new(trimmed_to), &[]).unwrap();
        assert_eq!(journal.tail().unwrap().first > Position::new(1), trimmed_to > 1);
        drop(journal);
        disk.flip("snapshots/work.shop@00000000000000000150.snapshot", 30, 2);
        open(&disk).map(drop)
    };

    assert!(matches!(open_with(&[], 151), Err(JournalError::Damaged { .. })), "it is the only one");
    assert!(
        matches!(open_with(&[10], 151), Err(JournalError::Damaged { .. })),
        "the log does not go on from the older one"
    );
    assert!(open_with(&[140], 141).is_ok(), "the log goes on from the older one");
    assert!(open_with(&[160], 151).is_ok(), "a newer one is whole");
    assert!(open_with(&[], 1).is_ok(), "the log holds everything");
}

#[test]
fn a_snapshot_ahead_of_the_log_is_passed_over() {
    let stream = StreamName::new("work/shop").unwrap();
    let (shorter, _) = log_of(2, true);
    let disk = shorter.copy();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, 3);
    journal.begin_snapshot(LEADER, &stream, Position::new(3)).unwrap().finish();
    drop(journal);
    let snapshot = disk.names().into_iter().find(|n| n.ends_with(".snapshot")).unwrap();
    assert_eq!(open(&disk).unwrap().snapshots().unwrap().len(), 1);

    // The log was put back from an older copy, the snapshots were not.
    shorter.put(&snapshot, disk.contents(&snapshot).unwrap());

    assert_eq!(open(&shorter).unwrap().snapshots().unwrap(), []);
}

#[test]
fn a_snapshot_of_a_newer_format_is_refused_as_such() {
    let (disk, _) = log_of(1, true);
    let mut snapshot = b"CAPSNAPS".to_vec();
    snapshot.extend_from_slice(&2_u32.to_le_bytes());
    snapshot.resize(100, 0);
    disk.put("snapshots/work.shop@00000000000000000001.snapshot", snapshot);

    let found = open(&disk);

    assert!(matches!(&found, Err(JournalError::Version { found: 2, known: 1, .. })), "{found:?}");
}

#[test]
fn a_lost_log_is_not_taken_for_an_empty_one() {
    let stream = StreamName::new("work/shop").unwrap();
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, 1);
    journal.begin_snapshot(LEADER, &stream, Position::new(1)).unwrap().finish();
    drop(journal);
    disk.take(FIRST_SEGMENT);

    assert!(matches!(open(&disk), Err(JournalError::Damaged { .. })));
}
