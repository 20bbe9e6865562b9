//! From a thread that reads files, or a task that asks a server, to a reader that is awaited: a bounded channel between
//! them.

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::{Batch, BatchReader, EndpointError, Result};

/// Batches that may wait between what is read and whoever takes them.
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
    let died = |place| {
        let source = std::io::Error::other("the reading thread ended early");
        EndpointError::Io { place, action: "reading".into(), source }
    };
    Box::new(PumpedReader { receiver, place, died, ended: false, _task: None })
}

/// Where a reading task puts its batches.
#[derive(Debug)]
pub struct TaskOutlet(mpsc::Sender<Result<Option<Batch>>>);

/// Why a reading task ended before there was nothing more.
#[derive(Debug)]
pub enum Ended {
    /// Nobody takes batches any more.
    Abandoned,
    /// It could not go on.
    Failed(EndpointError),
}

impl From<EndpointError> for Ended {
    fn from(error: EndpointError) -> Self {
        Self::Failed(error)
    }
}

impl TaskOutlet {
    /// Waits until there is room for the batch.
    pub async fn put(&self, batch: Batch) -> Result<(), Ended> {
        self.0.send(Ok(Some(batch))).await.map_err(|_| Ended::Abandoned)
    }
}

/// Runs `produce` on a task of its own and gives what it puts. The task ends when the reader is dropped.
pub fn pump_on_task<F, R>(place: String, produce: F) -> Box<dyn BatchReader>
where
    F: FnOnce(TaskOutlet) -> R,
    R: Future<Output = Result<(), Ended>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(BATCHES_WAITING);
    let producing = produce(TaskOutlet(sender.clone()));
    let task = tokio::spawn(async move {
        let end = match producing.await {
            Ok(()) => Ok(None),
            Err(Ended::Failed(error)) => Err(error),
            Err(Ended::Abandoned) => return,
        };
        // Whoever read may be gone by now; then nobody is left to tell.
        let _ = sender.send(end).await;
    });
    let died = |place| {
        let source = Box::new(std::io::Error::other("the reading task ended early"));
        EndpointError::Unavailable { place, action: "reading".into(), source }
    };
    Box::new(PumpedReader { receiver, place, died, ended: false, _task: Some(AbortOnDropHandle::new(task)) })
}

struct PumpedReader {
    receiver: mpsc::Receiver<Result<Option<Batch>>>,
    place: String,
    /// What to say where whoever reads ended without a word.
    died: fn(String) -> EndpointError,
    ended: bool,
    _task: Option<AbortOnDropHandle<()>>,
}

#[async_trait]
impl BatchReader for PumpedReader {
    async fn next(&mut self) -> Result<Option<Batch>> {
        if self.ended {
            return Ok(None);
        }
        // The end is a message of its own: who died must not look like one that has finished.
        let answer = self.receiver.recv().await.unwrap_or_else(|| Err((self.died)(self.place.clone())));
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
