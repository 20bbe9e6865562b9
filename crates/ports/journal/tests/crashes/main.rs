//! What the embedded journal makes of every sort of crash and damage.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod damage;
mod failing_disk;
mod power_cuts;
mod retention;
mod torn_tail;

use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::embedded::faulty::FaultyDisk;
use capstan_journal::{Append, Commit, EmbeddedJournal, EmbeddedOptions, Journal, JournalError};

const LEADER: Epoch = Epoch::new(1);
const FIRST_SEGMENT: &str = "log/00000000000000000001.segment";

/// Every step in its place, and segments small enough to fill.
fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        segment_bytes: 4 << 10,
        commit_bytes_max: 64 << 10,
        prepare_in_background: false,
        identity: Some(7),
        ..EmbeddedOptions::default()
    }
}

fn open(disk: &FaultyDisk) -> Result<EmbeddedJournal, JournalError> {
    EmbeddedJournal::open_in(disk.files(), options())
}

/// A commit of one event that says its position, and is `extra` bytes longer than that.
fn commit(position: u64, extra: usize) -> Commit {
    let mut commit = Commit::new(WallTime(position as i64));
    commit.push(&StreamName::new("work/shop").unwrap(), |b| {
        b.extend_from_slice(&position.to_le_bytes());
        b.resize(b.len() + extra, position as u8);
    });
    commit
}

#[track_caller]
fn append(journal: &mut EmbeddedJournal, position: u64) {
    let answer = journal.append(LEADER, Position::new(position), &commit(position, 20));
    assert!(matches!(answer, Append::Committed), "{answer:?}");
}

fn next(journal: &mut EmbeddedJournal) -> u64 {
    journal.tail().unwrap().next.get()
}

/// The log holds the commits up to `last`, each as it was written, and nothing else.
#[track_caller]
fn holds_up_to(journal: &EmbeddedJournal, last: u64) {
    let found: Vec<_> = journal.read(Position::new(1)).unwrap().map(Result::unwrap).collect();
    assert_eq!(found.iter().map(|r| r.position.get()).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    for recorded in found {
        assert_eq!(recorded.commit, commit(recorded.position.get(), 20));
    }
}

/// A disk whose log holds so many commits; answers too where each frame begins, and where the last one ends.
fn log_of(commits: u64, closed: bool) -> (FaultyDisk, Vec<usize>) {
    let disk = FaultyDisk::new();
    let mut journal = open(&disk).unwrap();
    let mut borders = vec![end_of(&disk)];
    for position in 1..=commits {
        append(&mut journal, position);
        borders.push(end_of(&disk));
    }
    if closed {
        drop(journal);
        borders.push(end_of(&disk));
    } else {
        journal.abandon();
    }
    (disk.copy(), borders)
}

/// Where the frames of the first segment end: they are a multiple of eight long, and end in bytes or padding.
fn end_of(disk: &FaultyDisk) -> usize {
    let bytes = disk.contents(FIRST_SEGMENT).unwrap();
    let mut at = 64;
    while bytes.get(at + 4..at + 8) == Some(b"CapF") {
        at += u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
    }
    at
}
