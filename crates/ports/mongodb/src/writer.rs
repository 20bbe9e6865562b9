//! Writes a chunk by several commands at a time, and remembers how much of it was written.

use std::sync::Arc;

use async_trait::async_trait;
use capstan_endpoint::{Batch, Checkpoint, ChunkFacts, ChunkWriter, EndpointError, PartKey, RefusedDocument, Result};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinError, JoinSet};

use crate::placing::Placing;
use crate::write::Target;

/// What was written of a chunk. All of it is durable: every write was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    pub documents: u64,
    pub bytes: u64,
}

/// Tells our checkpoints from those of other sinks.
#[derive(Serialize, Deserialize)]
struct Saved {
    mongodb: Written,
}

/// Batches on their way at once: while a server stores one, the next is on the wire.
const LANES: usize = 2;

pub(crate) struct MongoWriter {
    placing: Arc<Placing>,
    part: PartKey,
    written: Written,
    lanes: usize,
    /// Ended with the writer.
    under_way: JoinSet<Result<Vec<RefusedDocument>>>,
    /// Told by batches that have arrived, and not yet given back.
    refused: Vec<RefusedDocument>,
}

impl MongoWriter {
    /// `in_order` where the order in which documents arrive is theirs to stay.
    pub fn open(target: Target, in_order: bool, part: &PartKey, resume: Option<&Checkpoint>) -> Result<Self> {
        let written = match resume {
            None => Written::default(),
            Some(checkpoint) => match Saved::deserialize(&checkpoint.0) {
                Ok(saved) => saved.mongodb,
                Err(error) => {
                    return Err(EndpointError::Lost {
                        what: "a checkpoint".into(),
                        place: target.server.place().into(),
                        reason: format!("it was made by another kind of sink ({error})"),
                    });
                }
            },
        };
        // What an earlier writer wrote after its checkpoint is written again.
        let placing = Arc::new(Placing::new(target, resume.is_some()));
        let (lanes, under_way) = (if in_order { 1 } else { LANES }, JoinSet::new());
        Ok(Self { placing, part: *part, written, lanes, under_way, refused: Vec::new() })
    }

    /// A batch has arrived, or has not.
    fn arrived(&mut self, outcome: Result<Result<Vec<RefusedDocument>>, JoinError>) -> Result<()> {
        let refused = match outcome {
            Ok(refused) => refused?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        self.written.documents -= refused.len() as u64;
        self.written.bytes -= refused.iter().map(|refused| refused.document.len() as u64).sum::<u64>();
        self.refused.extend(refused);
        Ok(())
    }

    /// Waits until no more than so many batches are on their way.
    async fn wait_for(&mut self, most: usize) -> Result<Vec<RefusedDocument>> {
        while self.under_way.len() > most
            && let Some(outcome) = self.under_way.join_next().await
        {
            self.arrived(outcome)?;
        }
        while let Some(outcome) = self.under_way.try_join_next() {
            self.arrived(outcome)?;
        }
        Ok(std::mem::take(&mut self.refused))
    }
}

#[async_trait]
impl ChunkWriter for MongoWriter {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        let mut refused = self.send(batch).await?;
        refused.extend(self.settle().await?);
        Ok(refused)
    }

    async fn send(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        let refused = self.wait_for(self.lanes - 1).await?;
        self.written.documents += u64::from(batch.documents);
        self.written.bytes += batch.bytes.len() as u64;
        let placing = Arc::clone(&self.placing);
        self.under_way.spawn(async move { placing.place(batch.iter()).await });
        Ok(refused)
    }

    async fn settle(&mut self) -> Result<Vec<RefusedDocument>> {
        self.wait_for(0).await
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        debug_assert!(self.under_way.is_empty(), "a writer is settled before a checkpoint");
        let saved = Saved { mongodb: self.written };
        Ok(Checkpoint(serde_json::to_value(saved).expect("numbers are JSON")))
    }

    async fn seal(self: Box<Self>) -> Result<ChunkFacts> {
        debug_assert!(self.under_way.is_empty(), "a writer is settled before it is sealed");
        let PartKey { chunk, generation, .. } = self.part;
        let Written { documents, bytes } = self.written;
        Ok(ChunkFacts { chunk, generation, documents, bytes, parts: Vec::new() })
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        // Who wrote a document last is not known any more, so none is taken away; writing again does no harm.
        Ok(())
    }
}
