//! A write that was not finished.

use super::*;

const COMMITS: u64 = 6;
const SEGMENT_HEAD: usize = 64;

/// Opens what is left, expects the whole commits, and goes on from there.
#[track_caller]
fn goes_on_after(disk: &FaultyDisk, whole: u64) {
    let mut journal = open(disk).unwrap();
    assert_eq!(next(&mut journal), whole + 1);
    holds_up_to(&journal, whole);
    append(&mut journal, whole + 1);
    disk.kill();
    drop(journal);

    let mut journal = open(disk).unwrap();
    assert_eq!(next(&mut journal), whole + 2);
    holds_up_to(&journal, whole + 1);
}

fn whole_before(borders: &[usize], byte: usize) -> u64 {
    borders.iter().filter(|&&border| border <= byte).count() as u64 - 1
}

#[test]
fn a_segment_cut_at_any_byte_keeps_every_commit_before_the_cut() {
    let (disk, borders) = log_of(COMMITS, false);
    let bytes = disk.contents(FIRST_SEGMENT).unwrap();

    for cut in SEGMENT_HEAD..=borders[COMMITS as usize] {
        let disk = disk.copy();
        disk.put(FIRST_SEGMENT, bytes[..cut].to_vec());
        goes_on_after(&disk, whole_before(&borders, cut));
    }
}

#[test]
fn a_segment_zeroed_from_any_byte_keeps_every_commit_before_it() {
    let (disk, borders) = log_of(COMMITS, false);
    let bytes = disk.contents(FIRST_SEGMENT).unwrap();

    for cut in SEGMENT_HEAD..=borders[COMMITS as usize] {
        let disk = disk.copy();
        let mut zeroed = bytes.clone();
        zeroed[cut..].fill(0);
        disk.put(FIRST_SEGMENT, zeroed);
        // The last bytes of a frame may be zeros anyway: padding, that was written already.
        let frame = *borders.iter().find(|&&border| border >= cut).unwrap();
        let untouched = bytes[cut..frame].iter().all(|&b| b == 0);
        goes_on_after(&disk, whole_before(&borders, if untouched { frame } else { cut }));
    }
}

#[test]
fn a_segment_cut_within_its_head_is_damage() {
    let (disk, _) = log_of(COMMITS, false);
    let bytes = disk.contents(FIRST_SEGMENT).unwrap();

    for cut in 0..SEGMENT_HEAD {
        let disk = disk.copy();
        disk.put(FIRST_SEGMENT, bytes[..cut].to_vec());
        let found = open(&disk);
        assert!(matches!(found, Err(JournalError::Damaged { offset, .. }) if offset == cut as u64), "{cut}: {found:?}");
    }
}

#[test]
fn a_commit_that_was_written_and_not_flushed_is_durable_before_anything_is_answered() {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    append(&mut journal, 1);
    // The process dies between the write and the end of its flush; the kernel has all of the write.
    disk.lose_power_at_flush(0);
    assert!(matches!(journal.append(LEADER, Position::new(2), &commit(2, 20)), Append::Broken(_)));
    disk.kill();
    drop(journal);

    let mut journal = open(&disk).unwrap();
    assert_eq!(next(&mut journal), 3);
    disk.cut_power(|_| 0);
    drop(journal);

    holds_up_to(&open(&disk).unwrap(), 2);
}

#[test]
fn bytes_of_nobody_behind_the_log_are_cleared() {
    let (disk, borders) = log_of(COMMITS, true);
    let mut bytes = disk.contents(FIRST_SEGMENT).unwrap();
    let end = borders[COMMITS as usize + 1];
    bytes[end + 3..].fill(0xA5);
    disk.put(FIRST_SEGMENT, bytes);

    let mut journal = open(&disk).unwrap();
    assert_eq!(next(&mut journal), COMMITS + 1);
    disk.cut_power(|_| 0);
    drop(journal);

    assert!(disk.contents(FIRST_SEGMENT).unwrap()[end..].iter().all(|&b| b == 0));
}
