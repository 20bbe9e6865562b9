//! Reads ahead of whoever writes, so that both work at the same time.

use crate::halt::Halt;
use capstan_endpoint::{Batch, BatchReader};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

/// Batches that may wait for the writer.
const BATCHES_AHEAD: usize = 8;
/// Bytes that may wait for the writer. A batch that is larger waits alone.
const BYTES_AHEAD: usize = 8 << 20;

/// A range that is read by a task of its own. At most one batch is being read, [`BYTES_AHEAD`] wait, and one is with the
/// writer: memory is bounded whatever the sizes of documents. Dropping it ends the reading.
pub(super) struct ReadAhead {
    batches: mpsc::Receiver<Waiting>,
    reading: JoinSet<Result<(), Halt>>,
}

struct Waiting {
    batch: Batch,
    _room: OwnedSemaphorePermit,
}

impl ReadAhead {
    pub fn start(reader: Box<dyn BatchReader>) -> Self {
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        // Dropped, the set ends its task.
        let mut reading = JoinSet::new();
        reading.spawn(read(reader, sender));
        Self { batches, reading }
    }

    /// The next batch, or `None` once the range was read to its end and found whole.
    pub async fn next(&mut self) -> Result<Option<Batch>, Halt> {
        if let Some(waiting) = self.batches.recv().await {
            return Ok(Some(waiting.batch));
        }
        match self.reading.join_next().await {
            Some(Ok(ended)) => ended.map(|()| None),
            Some(Err(error)) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Halt::Stopped),
            },
            None => Ok(None),
        }
    }
}

async fn read(mut reader: Box<dyn BatchReader>, batches: mpsc::Sender<Waiting>) -> Result<(), Halt> {
    let room = Arc::new(Semaphore::new(BYTES_AHEAD));
    while let Some(batch) = reader.next().await? {
        let bytes = u32::try_from(batch.bytes.len().min(BYTES_AHEAD)).expect("less than 4 GiB");
        let room = Arc::clone(&room).acquire_many_owned(bytes).await.expect("the semaphore is never closed");
        if batches.send(Waiting { batch, _room: room }).await.is_err() {
            // Nobody reads any more.
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use bytes::Bytes;
    use capstan_endpoint::{Cursor, EndpointError};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Gives so many batches of that size, then fails or ends.
    struct Scripted {
        left: usize,
        bytes: usize,
        fails: bool,
        given: Arc<AtomicUsize>,
    }

    #[async_trait]
    impl BatchReader for Scripted {
        async fn next(&mut self) -> capstan_endpoint::Result<Option<Batch>> {
            if self.left == 0 {
                return if self.fails { Err(EndpointError::damaged("here", 7, "torn")) } else { Ok(None) };
            }
            self.left -= 1;
            self.given.fetch_add(1, Ordering::SeqCst);
            let bytes = Bytes::from(vec![0; self.bytes]);
            Ok(Some(Batch { bytes, documents: 1, cursor: Cursor(self.left.into()) }))
        }
    }

    async fn settled(given: &AtomicUsize) -> usize {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        given.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn it_reads_while_nobody_takes_and_no_more_than_is_stated() {
        for (bytes, expected) in [(10, BATCHES_AHEAD + 1), (4 << 20, 3), (64 << 20, 2)] {
            let given = Arc::new(AtomicUsize::new(0));
            let mut ahead =
                ReadAhead::start(Box::new(Scripted { left: 50, bytes, fails: false, given: Arc::clone(&given) }));

            assert_eq!(settled(&given).await, expected, "batches of {bytes} bytes");
            ahead.next().await.unwrap().unwrap();

            assert_eq!(settled(&given).await, expected + 1, "one was taken, so one more was read");
        }
    }

    #[tokio::test]
    async fn everything_comes_in_order_and_then_how_it_ended() {
        for fails in [false, true] {
            let given = Arc::default();
            let mut ahead = ReadAhead::start(Box::new(Scripted { left: 20, bytes: 1, fails, given }));

            for left in (0..20).rev() {
                assert_eq!(ahead.next().await.unwrap().unwrap().cursor, Cursor(left.into()));
            }

            match ahead.next().await {
                Ok(None) => assert!(!fails),
                Err(Halt::Failed(fault)) => assert!(fails && fault.permanent, "{fault:?}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
