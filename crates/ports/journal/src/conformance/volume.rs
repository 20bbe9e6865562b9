//! Claims about many events, and large ones.

use super::{Store, committed, everything, stream};
use crate::{Commit, Journal};
use capstan_ids::{Position, WallTime};

/// A log of a hundred thousand events streams back in order; embedders measure a million.
pub fn many_events_stream_back(mut store: impl Store) {
    const EVENTS: u64 = 100_000;
    const BATCH: u64 = 1_000;
    let mut journal = store.open();
    let name = stream("work/shop");
    let mut commit = Commit::default();
    for first in (1..=EVENTS).step_by(BATCH as usize) {
        commit.restart(WallTime(first as i64));
        for number in first..first + BATCH {
            commit.push(&name, |b| b.extend_from_slice(&number.to_le_bytes()));
        }
        committed(&mut journal, first, &commit);
    }
    store.crash(journal);

    let journal = store.open();
    let mut expected = 1_u64;
    for recorded in journal.read(Position::new(1)).expect("the position can be read") {
        let recorded = recorded.expect("the log is whole");
        for entry in recorded.commit.entries(recorded.position) {
            assert_eq!((entry.position.get(), entry.event), (expected, &expected.to_le_bytes()[..]));
            expected += 1;
        }
    }

    assert_eq!(expected, EVENTS + 1);
}

/// Rule 7: a commit larger than any row, page or segment is still one commit.
pub fn a_large_commit_is_one_commit(mut store: impl Store) {
    let mut journal = store.open();
    let name = stream("jobs");
    let mut small = Commit::new(WallTime(1));
    small.push(&name, |b| b.extend_from_slice(b"small"));
    let mut large = Commit::new(WallTime(2));
    for number in 0..20_u8 {
        large.push(&name, |b| b.resize(b.len() + 1_000_000, number));
    }

    committed(&mut journal, 1, &large);
    committed(&mut journal, 21, &small);
    committed(&mut journal, 22, &large);
    committed(&mut journal, 42, &small);
    store.crash(journal);

    let found = everything(&store.open(), 1);
    assert_eq!(found.iter().map(|r| r.position.get()).collect::<Vec<_>>(), [1, 21, 22, 42]);
    assert!(found[0].commit == large && found[2].commit == large, "a large commit has changed");
    assert!(found[1].commit == small && found[3].commit == small);
}
