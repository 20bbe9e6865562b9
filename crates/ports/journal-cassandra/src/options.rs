//! How a journal in Cassandra is set up.

use std::fmt;
use std::time::Duration;

/// Settings of a [`CassandraJournal`](super::CassandraJournal). The defaults are right for a server.
#[derive(Clone)]
pub struct CassandraOptions {
    /// How long one request may take. An append makes one, and up to three more where a bucket ends or it has to be
    /// looked up what stands. From 100 ms to one minute.
    pub timeout: Duration,
    /// How much of the log, in bytes, one partition holds before the next begins; a larger commit is still in one.
    /// From 1 KiB to 1 GiB.
    pub bucket_bytes: u64,
    /// The largest commit in bytes that [`reserve`](capstan_journal::Journal::reserve) lets in. At most 256 MiB.
    pub commit_bytes_max: u64,
    /// The most bytes of a snapshot's rows that may wait for the database; a snapshot that falls further behind, or has
    /// a larger row, is given up. At most 256 MiB.
    pub snapshot_backlog_max: usize,
    /// The password, where the address names only a user: so that it stands in no list of processes.
    pub password: Option<String>,
}

impl Default for CassandraOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            bucket_bytes: 32 << 20,
            commit_bytes_max: 64 << 20,
            snapshot_backlog_max: 64 << 20,
            password: None,
        }
    }
}

impl CassandraOptions {
    const TIMEOUT_MIN: Duration = Duration::from_millis(100);
    const TIMEOUT_MAX: Duration = Duration::from_secs(60);
    const BUCKET_BYTES_MIN: u64 = 1 << 10;
    const BUCKET_BYTES_LIMIT: u64 = 1 << 30;
    const BYTES_LIMIT: u64 = 256 << 20;

    /// Brings every value within its limits.
    pub(crate) fn within_limits(mut self) -> Self {
        self.timeout = self.timeout.clamp(Self::TIMEOUT_MIN, Self::TIMEOUT_MAX);
        self.bucket_bytes = self.bucket_bytes.clamp(Self::BUCKET_BYTES_MIN, Self::BUCKET_BYTES_LIMIT);
        self.commit_bytes_max = self.commit_bytes_max.min(Self::BYTES_LIMIT);
        self.snapshot_backlog_max = self.snapshot_backlog_max.min(Self::BYTES_LIMIT as usize);
        self
    }
}

impl fmt::Debug for CassandraOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraOptions")
            .field("timeout", &self.timeout)
            .field("bucket_bytes", &self.bucket_bytes)
            .field("commit_bytes_max", &self.commit_bytes_max)
            .field("snapshot_backlog_max", &self.snapshot_backlog_max)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .finish()
    }
}
