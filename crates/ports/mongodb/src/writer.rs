//! Writes a chunk, and remembers how much of it was written.

use async_trait::async_trait;
use capstan_endpoint::{Batch, Checkpoint, ChunkFacts, ChunkWriter, EndpointError, PartKey, RefusedDocument, Result};
use serde::{Deserialize, Serialize};

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

pub(crate) struct MongoWriter {
    placing: Placing,
    part: PartKey,
    written: Written,
}

impl MongoWriter {
    pub fn open(target: Target, part: &PartKey, resume: Option<&Checkpoint>) -> Result<Self> {
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
        Ok(Self { placing: Placing::new(target, resume.is_some()), part: *part, written })
    }
}

#[async_trait]
impl ChunkWriter for MongoWriter {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        let refused = self.placing.place(batch.iter()).await?;
        let lost: u64 = refused.iter().map(|refused| refused.document.len() as u64).sum();
        self.written.documents += u64::from(batch.documents) - refused.len() as u64;
        self.written.bytes += batch.bytes.len() as u64 - lost;
        Ok(refused)
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        let saved = Saved { mongodb: self.written };
        Ok(Checkpoint(serde_json::to_value(saved).expect("numbers are JSON")))
    }

    async fn seal(self: Box<Self>) -> Result<ChunkFacts> {
        let PartKey { chunk, generation, .. } = self.part;
        let Written { documents, bytes } = self.written;
        Ok(ChunkFacts { chunk, generation, documents, bytes, parts: Vec::new() })
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        // Who wrote a document last is not known any more, so none is taken away; writing again does no harm.
        Ok(())
    }
}
