//! How an embedded journal is set up.

/// Settings of an [`EmbeddedJournal`](super::EmbeddedJournal). The defaults are right for a server.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// The size of a segment file in bytes, which is made before it is needed; one that must hold a larger commit is
    /// larger. At least 4 KiB.
    pub segment_bytes: u64,
    /// The largest commit in bytes, as it is encoded. At most 1 GiB.
    pub commit_bytes_max: u64,
    /// The most bytes of a snapshot's rows that may wait for the disk; a snapshot that falls further behind, or has
    /// a larger row, is given up. At most 1 GiB.
    pub snapshot_backlog_max: usize,
    /// Whether the next segment is prepared by a thread of its own. Without, appends that need one wait for it: for
    /// tests and simulations, where every step has its place.
    pub prepare_in_background: bool,
    /// The number that all checksums of a new journal begin with; drawn when not given.
    pub identity: Option<u64>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            commit_bytes_max: 256 << 20,
            snapshot_backlog_max: 64 << 20,
            prepare_in_background: true,
            identity: None,
        }
    }
}

impl EmbeddedOptions {
    const SEGMENT_BYTES_MIN: u64 = 4 << 10;
    const COMMIT_BYTES_LIMIT: u64 = 1 << 30;
    const SNAPSHOT_BACKLOG_LIMIT: usize = 1 << 30;

    /// Brings every value within its limits.
    pub(super) fn within_limits(mut self) -> Self {
        self.segment_bytes = self.segment_bytes.max(Self::SEGMENT_BYTES_MIN).next_multiple_of(8);
        self.commit_bytes_max = self.commit_bytes_max.min(Self::COMMIT_BYTES_LIMIT);
        self.snapshot_backlog_max = self.snapshot_backlog_max.min(Self::SNAPSHOT_BACKLOG_LIMIT);
        self
    }
}
