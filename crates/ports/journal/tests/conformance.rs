//! The suite that every adapter passes, on the embedded one: on a real directory, and on a disk that loses power.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_journal::conformance::Store;
use capstan_journal::embedded::faulty::FaultyDisk;
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};

/// Small, so that every case goes over the borders of segments.
fn options() -> EmbeddedOptions {
    EmbeddedOptions { segment_bytes: 16 << 10, ..EmbeddedOptions::default() }
}

struct Directory(tempfile::TempDir);

impl Store for Directory {
    type Journal = EmbeddedJournal;

    fn open(&mut self) -> EmbeddedJournal {
        EmbeddedJournal::open(self.0.path(), options()).unwrap()
    }

    fn crash(&mut self, journal: EmbeddedJournal) {
        journal.abandon();
    }
}

/// Loses everything that was not flushed.
struct PowerCut(FaultyDisk);

impl Store for PowerCut {
    type Journal = EmbeddedJournal;

    fn open(&mut self) -> EmbeddedJournal {
        EmbeddedJournal::open_in(self.0.files(), options()).unwrap()
    }

    fn crash(&mut self, journal: EmbeddedJournal) {
        self.0.cut_power(|_| 0);
        journal.abandon();
    }
}

mod in_a_directory {
    capstan_journal::conformance!(super::Directory(tempfile::tempdir().unwrap()));
    capstan_journal::takeover_conformance!(super::Directory(tempfile::tempdir().unwrap()));
}

mod on_a_disk_that_loses_power {
    capstan_journal::conformance!(super::PowerCut(super::FaultyDisk::new()));
    capstan_journal::takeover_conformance!(super::PowerCut(super::FaultyDisk::new()));
}
