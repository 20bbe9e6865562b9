//! How a journal in PostgreSQL is set up.

use std::fmt;
use std::time::Duration;

/// Settings of a [`PostgresJournal`](super::PostgresJournal). The defaults are right for a server.
#[derive(Clone)]
pub struct PostgresOptions {
    /// How long a call may take, a connection that it needs first included; what moves many bytes gets as much again
    /// for every 8 MiB of them. From 100 ms to one minute.
    pub timeout: Duration,
    /// The largest commit in bytes that [`reserve`](capstan_journal::Journal::reserve) lets in. At most 256 MiB.
    pub commit_bytes_max: u64,
    /// The most bytes of a snapshot's rows that may wait for the database; a snapshot that falls further behind, or has
    /// a larger row, is given up. At most 256 MiB.
    pub snapshot_backlog_max: usize,
    /// The password, where the address has none: so that it stands in no list of processes.
    pub password: Option<String>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            commit_bytes_max: 64 << 20,
            snapshot_backlog_max: 64 << 20,
            password: None,
        }
    }
}

impl PostgresOptions {
    const TIMEOUT_MIN: Duration = Duration::from_millis(100);
    const TIMEOUT_MAX: Duration = Duration::from_secs(60);
    const BYTES_LIMIT: u64 = 256 << 20;

    /// Brings every value within its limits.
    pub(crate) fn within_limits(mut self) -> Self {
        self.timeout = self.timeout.clamp(Self::TIMEOUT_MIN, Self::TIMEOUT_MAX);
        self.commit_bytes_max = self.commit_bytes_max.min(Self::BYTES_LIMIT);
        self.snapshot_backlog_max = self.snapshot_backlog_max.min(Self::BYTES_LIMIT as usize);
        self
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("timeout", &self.timeout)
            .field("commit_bytes_max", &self.commit_bytes_max)
            .field("snapshot_backlog_max", &self.snapshot_backlog_max)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .finish()
    }
}
