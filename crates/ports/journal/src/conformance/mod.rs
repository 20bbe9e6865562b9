//! What every adapter of the journal passes, crash cases included.
//!
//! An adapter says how a store of it is opened and how its process dies ([`Store`]), and then has each claim as a test:
//!
//! ```
//! use capstan_journal::conformance::Store;
//! use capstan_journal::embedded::faulty::FaultyDisk;
//! use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
//!
//! struct InMemory(FaultyDisk);
//!
//! impl Store for InMemory {
//!     type Journal = EmbeddedJournal;
//!
//!     fn open(&mut self) -> EmbeddedJournal {
//!         let options = EmbeddedOptions { segment_bytes: 16 << 10, ..EmbeddedOptions::default() };
//!         EmbeddedJournal::open_in(self.0.files(), options).expect("open")
//!     }
//!
//!     fn crash(&mut self, journal: EmbeddedJournal) {
//!         self.0.cut_power(|_| 0);
//!         journal.abandon();
//!     }
//! }
//!
//! capstan_journal::conformance!(InMemory(FaultyDisk::new()));
//! # fn main() {}
//! ```

mod appends;
pub mod election;
mod retention;
mod snapshots;
mod takeover;
mod volume;

pub use appends::*;
pub use retention::*;
pub use snapshots::*;
pub use takeover::*;
pub use volume::*;

use crate::{Append, Commit, Journal, Recorded, SnapshotInfo, SnapshotProgress, SnapshotWriter};
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use std::thread;

/// One store of an adapter, empty at first.
pub trait Store {
    /// The adapter.
    type Journal: Journal;

    /// Opens the journal, as a process that starts would.
    fn open(&mut self) -> Self::Journal;

    /// Ends the journal's process, or its machine, in the middle of everything.
    fn crash(&mut self, journal: Self::Journal);
}

/// Makes a test of each claim, each on a store of its own.
#[macro_export]
macro_rules! conformance {
    ($store:expr) => {
        $crate::conformance!(@each $store,
            a_commit_is_read_back_whole
            a_commit_is_there_after_a_crash
            positions_are_contiguous
            an_empty_log_begins_at_one
            a_deposed_epoch_adds_nothing
            a_taken_position_is_fenced
            a_position_beyond_the_next_is_fenced
            an_unknown_commit_settles_by_offering_it_again
            events_of_many_streams_keep_their_order
            a_refused_commit_changes_nothing
            a_reader_does_not_see_what_came_after_it
            reading_begins_with_the_commit_that_holds_the_position
            a_snapshot_is_read_back_row_by_row
            a_snapshot_counts_only_when_finished
            an_abandoned_snapshot_leaves_nothing
            a_snapshot_is_there_after_a_crash
            snapshots_are_listed_newest_first
            a_dropped_snapshot_is_gone
            a_deposed_epoch_writes_no_snapshot
            trimming_keeps_the_position_and_all_after_it
            a_dropped_position_is_answered_as_such
            a_dropped_position_stays_taken
            audited_events_survive_a_trim
            an_archive_gives_up_what_is_old
            a_snapshot_and_the_log_behind_it_hold_everything
            many_events_stream_back
            a_large_commit_is_one_commit
        );
    };
    (@each $store:expr, $($claim:ident)*) => {
        $(
            #[test]
            fn $claim() {
                $crate::conformance::$claim($store);
            }
        )*
    };
}

const LEADER: Epoch = Epoch::new(3);

fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("the suite's names are valid")
}

/// A commit of events of one stream.
fn commit_of(stream_name: &str, events: &[&str]) -> Commit {
    let mut commit = Commit::new(WallTime(1_700_000_000_000_000));
    let stream = stream(stream_name);
    for event in events {
        commit.push(&stream, |b| b.extend_from_slice(event.as_bytes()));
    }
    commit
}

#[track_caller]
fn committed(journal: &mut impl Journal, position: u64, commit: &Commit) {
    let answer = journal.append(LEADER, Position::new(position), commit);
    assert!(matches!(answer, Append::Committed), "expected position {position} to be committed, found {answer:?}");
}

#[track_caller]
fn fenced(journal: &mut impl Journal, epoch: Epoch, position: u64, commit: &Commit) {
    let answer = journal.append(epoch, Position::new(position), commit);
    assert!(matches!(answer, Append::Fenced), "expected position {position} to be fenced, found {answer:?}");
}

#[track_caller]
fn everything(journal: &impl Journal, from: u64) -> Vec<Recorded> {
    let reader = journal.read(Position::new(from)).expect("the position can be read");
    reader.map(|r| r.expect("the log is whole")).collect()
}

#[track_caller]
fn next(journal: &mut impl Journal) -> u64 {
    journal.tail().expect("the store answers").next.get()
}

/// Waits for a finished snapshot.
#[track_caller]
fn done(mut writer: Box<dyn SnapshotWriter>) -> SnapshotInfo {
    writer.finish();
    loop {
        match writer.progress() {
            SnapshotProgress::Done(info) => return info,
            SnapshotProgress::Failed(error) => panic!("expected a snapshot, found {error}"),
            SnapshotProgress::Writing => thread::yield_now(),
        }
    }
}
