//! From a thread that reads files to a reader that is awaited: a bounded channel between them.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{Batch, BatchReader, EndpointError, Result};

/// Batches that may wait between the file and whoever takes them.
const BATCHES_WAITING: usize = 2;

/// Where a producing thread puts its batches.
pub(crate) struct Outlet(mpsc::Sender<Result<Option<Batch>>>);

/// Nobody reads any more: end the work.
pub(crate) struct Abandoned;

impl Outlet {
    /// Waits until there is room for the batch.
    pub(crate) fn put(&self, batch: Batch) -> Result<(), Abandoned> {
        self.0.blocking_send(Ok(Some(batch))).map_err(|_| Abandoned)
    }
}

/// Runs `produce` on a blocking thread and gives what it puts. It ends early when the reader is dropped.
pub(crate) fn pump<F>(place: String, produce: F) -> Box<dyn BatchReader>
where
    F: FnOnce(&Outlet) -> Result<()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(BATCHES_WAITING);
    tokio::task::spawn_blocking(move || {
        let outlet = Outlet(sender);
        let end = produce(&outlet).map(|()| None);
        // The reader may be gone by now; then nobody is left to tell.
        let _ = outlet.0.blocking_send(end);
    });
    Box::new(PumpedReader { receiver, place, ended: false })
}

struct PumpedReader {
    receiver: mpsc::Receiver<Result<Option<Batch>>>,
    place: String,
    ended: bool,
}

#[async_trait]
impl BatchReader for PumpedReader {
    async fn next(&mut self) -> Result<Option<Batch>> {
        if self.ended {
            return Ok(None);
        }
        // The end is a message of its own: a thread that died must not look like one that has finished.
        let answer = self.receiver.recv().await.unwrap_or_else(|| {
            let source = std::io::Error::other("the reading thread ended early");
            Err(EndpointError::Io { place: self.place.clone(), action: "reading".into(), source })
        });
        self.ended = !matches!(answer, Ok(Some(_)));
        answer
    }
}

/// Runs file work on a blocking thread.
pub(crate) async fn blocking<T, F>(place: &str, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|ended| {
        Err(EndpointError::Io {
            place: place.into(),
            action: "working with files".into(),
            source: std::io::Error::other(ended),
        })
    })
}
