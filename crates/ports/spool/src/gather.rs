//! The async end of a part being written: batches come in, are gathered into blocks, and go to a thread of the part's own
//! that compresses and stores them.

use crate::blocking::stopped;
use crate::encode::check_batch;
use crate::error::SpoolError;
use crate::facts::PartFacts;
use crate::format::{BATCH_BYTES_MAX, BLOCK_BYTES, PART_BYTES_MAX};
use crate::name::PartName;
use crate::port::PartWriter;
use async_trait::async_trait;
use bytes::Bytes;
use std::io;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Blocks that may wait for the part's thread; with the one being gathered and the one in work that makes four.
const BLOCKS_WAITING: usize = 2;

/// What a part's thread is told to do.
pub(crate) enum Order {
    Block { batches: Vec<Bytes>, documents: u32 },
    Seal,
}

/// The async end of a part being written.
pub(crate) struct GatheringWriter {
    name: PartName,
    place: String,
    bytes: u64,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    gathered_documents: u32,
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<Result<Option<PartFacts>, SpoolError>>>,
}

impl GatheringWriter {
    /// `start` sets to work whoever obeys the orders, and answers with its end: the facts once it has sealed the part,
    /// `None` if the orders ended before.
    pub fn start(
        name: PartName,
        place: String,
        start: impl FnOnce(mpsc::Receiver<Order>) -> JoinHandle<Result<Option<PartFacts>, SpoolError>>,
    ) -> Self {
        let (orders, inbox) = mpsc::channel(BLOCKS_WAITING);
        Self {
            name,
            place,
            bytes: 0,
            gathered: Vec::new(),
            gathered_bytes: 0,
            gathered_documents: 0,
            orders: Some(orders),
            thread: Some(start(inbox)),
        }
    }

    fn check(&self, batch: &Bytes, documents: u32) -> Result<(), SpoolError> {
        let too_large = |what, found, limit| Err(SpoolError::TooLarge { part: self.name.clone(), what, found, limit });
        if batch.len() > BATCH_BYTES_MAX {
            return too_large("a batch", batch.len() as u64, BATCH_BYTES_MAX as u64);
        }
        let bytes = self.bytes + batch.len() as u64;
        if bytes > PART_BYTES_MAX {
            return too_large("documents", bytes, PART_BYTES_MAX);
        }
        check_batch(&self.name, batch, documents)
    }

    /// Hands what was gathered to the thread. Nothing is lost if the caller stops waiting.
    async fn hand_over(&mut self) -> Result<(), SpoolError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let Some(orders) = self.orders.clone() else { return Err(self.failed().await) };
        let Ok(room) = orders.reserve().await else { return Err(self.failed().await) };
        room.send(Order::Block { batches: std::mem::take(&mut self.gathered), documents: self.gathered_documents });
        self.gathered_bytes = 0;
        self.gathered_documents = 0;
        Ok(())
    }

    /// Why the thread takes nothing any more.
    async fn failed(&mut self) -> SpoolError {
        self.orders = None;
        let ended = match self.thread.take() {
            Some(thread) => thread.await.unwrap_or_else(|error| Err(stopped("write a part", error))),
            None => Ok(None),
        };
        ended.err().unwrap_or_else(|| {
            let source = io::Error::other("an earlier write to this part failed");
            SpoolError::Store { operation: "write a part", place: self.place.clone(), source }
        })
    }
}

#[async_trait]
impl PartWriter for GatheringWriter {
    async fn write(&mut self, batch: Bytes, documents: u32) -> Result<(), SpoolError> {
        if self.orders.is_none() {
            return Err(self.failed().await);
        }
        if let Err(refused) = self.check(&batch, documents) {
            self.orders = None;
            return Err(refused);
        }
        if self.gathered_bytes > 0 && self.gathered_bytes + batch.len() > BLOCK_BYTES {
            self.hand_over().await?;
        }
        self.bytes += batch.len() as u64;
        self.gathered_bytes += batch.len();
        self.gathered_documents += documents;
        if !batch.is_empty() {
            self.gathered.push(batch);
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    async fn seal(mut self: Box<Self>) -> Result<PartFacts, SpoolError> {
        self.hand_over().await?;
        let sent = match &self.orders {
            Some(orders) => orders.send(Order::Seal).await.is_ok(),
            None => false,
        };
        if !sent {
            return Err(self.failed().await);
        }
        let thread = self.thread.take().expect("a thread that takes orders is there");
        match thread.await.unwrap_or_else(|error| Err(stopped("seal a part", error)))? {
            Some(facts) => Ok(facts),
            None => Err(self.failed().await),
        }
    }
}
