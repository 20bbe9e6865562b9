//! A backup of the journal, taken beside the owner while it goes on.
//!
//! The owner opens what there is at one moment; everything is then read on a thread that may wait. Only a snapshot is
//! opened when its turn comes: the owner never opens thousands of files at once.

use crate::failure::Failure;
use crate::handle::Handle;
use crate::message::Message;
use crate::status::Hold;
use crate::streams;
use capstan_ids::{StreamName, WallTime};
use capstan_journal::backup::{self, BackupError, Contents, Look};
use capstan_journal::{Journal, JournalError, SnapshotInfo, SnapshotRows};
use std::io;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A chunk has about so many bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// How many chunks wait for whoever takes the backup.
const CHUNKS_MAX: usize = 4;

/// Whoever takes none of it for so long is taken to be gone: the journal lets go of nothing while it waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something that is done with the journal on the owner's thread.
pub(crate) type WithJournal = Box<dyn FnOnce(Result<&mut dyn Journal, Failure>) + Send>;

/// A backup that is being taken. Dropping it ends that.
#[derive(Debug)]
pub struct Backup {
    chunks: mpsc::Receiver<Result<Vec<u8>, BackupError>>,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum StartBackupError {
    /// The server does not answer now.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The streams whose events are archived when they leave the log.
pub fn audited_streams() -> Vec<StreamName> {
    vec![streams::named(streams::REGISTRY)]
}

impl Backup {
    /// The next bytes of the backup; none after the last. After an error there is nothing more, and what came is no
    /// backup; [`BackupError::was_overtaken`] says that another one is worth a try.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, BackupError>> {
        self.chunks.recv().await
    }
}

impl Handle {
    /// Takes a backup of the journal as it is now; `taken` is what time it is. What comes meanwhile is not in it.
    pub async fn backup(&self, taken: WallTime) -> Result<Backup, StartBackupError> {
        let hold = Hold::on(&self.status);
        let look = self.with_journal(|journal| Look::at(journal, &audited_streams()))?;
        let look = look.await.map_err(|_| self.gone())???;
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        let handle = self.clone();
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let _hold = hold;
            let mut chunks = Chunks { sender: sender.clone(), runtime, filled: Vec::new() };
            let mut rows = |info: &SnapshotInfo| handle.rows(info);
            let written = backup::write(look, &mut rows, taken, &mut chunks);
            if let Err(error) = written.map(|Contents { .. }| ()) {
                // Whoever has gone away needs no answer.
                let _ = sender.blocking_send(Err(error));
            }
        });
        Ok(Backup { chunks })
    }

    /// Opens one snapshot, from a thread that may wait.
    fn rows(&self, info: &SnapshotInfo) -> Result<SnapshotRows, JournalError> {
        let wanted = info.clone();
        let asked = self.with_journal(move |journal| journal.read_snapshot(&wanted));
        let answer = asked.and_then(|rows| rows.blocking_recv().map_err(|_| self.gone())?);
        answer.unwrap_or_else(|failure| {
            let (operation, place) = ("open a snapshot", "the server".to_owned());
            Err(JournalError::Store { operation, place, source: io::Error::other(failure) })
        })
    }

    #[allow(clippy::type_complexity, reason = "an answer that may not come, of a failure or the journal's own word")]
    fn with_journal<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut dyn Journal) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<Result<T, JournalError>, Failure>>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::WithJournal(Box::new(move |journal| drop(reply.send(journal.map(act))))))?;
        Ok(answer)
    }
}

/// Bytes on their way, some at a time.
struct Chunks {
    sender: mpsc::Sender<Result<Vec<u8>, BackupError>>,
    runtime: tokio::runtime::Handle,
    filled: Vec<u8>,
}

impl io::Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.filled.extend_from_slice(bytes);
        if self.filled.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.filled.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.filled, Vec::with_capacity(CHUNK_BYTES));
        let sent = self.runtime.block_on(self.sender.send_timeout(Ok(chunk), PATIENCE));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes the backup any more"))
    }
}
