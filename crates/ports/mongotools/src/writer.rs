//! Writes a chunk part by part; see `sink.rs` for what counts.

use std::sync::Arc;

use async_trait::async_trait;
use capstan_endpoint::{
    Batch, Checkpoint, ChunkFacts, ChunkWriter, EndpointError, PartKey, RefusedDocument, Result, Sink, Unit,
};
use serde::{Deserialize, Serialize};

use crate::part::{Kept, Outcome, Part};
use crate::running::Employer;
use crate::sink::Troubled;

/// What was written of a chunk, and confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    documents: u64,
    bytes: u64,
}

/// Tells our checkpoints from those of other sinks.
#[derive(Serialize, Deserialize)]
struct Saved {
    mongotools: Written,
}

pub(crate) struct ToolsWriter {
    employer: Employer,
    native: Arc<dyn Sink>,
    troubled: Troubled,
    unit: Unit,
    key: PartKey,
    written: Written,
    open: Option<Part>,
    /// Writes the rest of the chunk, once a part has been unclear.
    settling: Option<Box<dyn ChunkWriter>>,
}

impl ToolsWriter {
    pub fn open(
        employer: Employer,
        native: Arc<dyn Sink>,
        troubled: Troubled,
        unit: Unit,
        key: PartKey,
        resume: Option<&Checkpoint>,
    ) -> Result<Self> {
        let written = match resume.map(|checkpoint| Saved::deserialize(&checkpoint.0)) {
            None => Written::default(),
            Some(Ok(saved)) => saved.mongotools,
            Some(Err(error)) => {
                return Err(EndpointError::Lost {
                    what: "a checkpoint".into(),
                    place: employer.place,
                    reason: format!("it was made by another kind of sink ({error})"),
                });
            }
        };
        Ok(Self { employer, native, troubled, unit, key, written, open: None, settling: None })
    }

    /// From here on the native writer writes, and looks first at what is there.
    pub async fn go_native(&mut self) -> Result<&mut Box<dyn ChunkWriter>> {
        if self.settling.is_none() {
            // One that goes on from a checkpoint expects to find what was written before.
            let begun = self.native.open_chunk(&self.unit, &self.key, None).await?.checkpoint().await?;
            self.settling = Some(self.native.open_chunk(&self.unit, &self.key, Some(&begun)).await?);
        }
        Ok(self.settling.as_mut().expect("it was opened above"))
    }

    async fn write_natively(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        let (documents, bytes) = (u64::from(batch.documents), batch.bytes.len() as u64);
        let refused = self.go_native().await?.write(batch).await?;
        self.written.documents += documents - refused.len() as u64;
        self.written.bytes += bytes - refused.iter().map(|refused| refused.document.len() as u64).sum::<u64>();
        Ok(refused)
    }

    /// Ends the open part, if there is one, and makes sure of each of its documents.
    async fn end_part(&mut self) -> Result<Vec<RefusedDocument>> {
        let Some(part) = self.open.take() else { return Ok(Vec::new()) };
        let (documents, bytes) = (part.documents, part.bytes);
        match part.end(&self.employer).await? {
            Outcome::Confirmed => {
                self.written.documents += documents;
                self.written.bytes += bytes;
                Ok(Vec::new())
            }
            Outcome::Unsettled { kept, story } => {
                let story = self.employer.address.redact(&story);
                tracing::info!(
                    unit = %self.unit.namespace, chunk = self.key.chunk, documents, story,
                    "mongorestore did not restore every document of a part: each is looked at"
                );
                self.settle(kept).await
            }
            Outcome::Refused(error) => {
                self.troubled.add(&self.unit);
                Err(error)
            }
        }
    }

    async fn settle(&mut self, mut kept: Kept) -> Result<Vec<RefusedDocument>> {
        let mut refused = Vec::new();
        let mut batches = kept.batches().await?;
        while let Some(batch) = batches.next().await? {
            refused.extend(self.write_natively(batch).await?);
        }
        Ok(refused)
    }

    /// Ends the open part where nobody takes refused documents any more. If there are some, the chunk is tried again, and
    /// written so that they are told in time.
    async fn confirm(&mut self) -> Result<()> {
        let refused = self.end_part().await?;
        let Some(first) = refused.first() else { return Ok(()) };
        self.troubled.add(&self.unit);
        let reason = format!(
            "the target refuses {} documents of a part ({}); the next attempt writes natively and puts them aside",
            refused.len(),
            first.reason
        );
        Err(self.employer.failed(reason))
    }

    fn saved(&self) -> Checkpoint {
        Checkpoint(serde_json::to_value(Saved { mongotools: self.written }).expect("numbers are JSON"))
    }
}

#[async_trait]
impl ChunkWriter for ToolsWriter {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        if self.settling.is_some() {
            return self.write_natively(batch).await;
        }
        let part = match &mut self.open {
            Some(part) => part,
            None => self.open.insert(Part::begin(&self.employer, &self.unit.namespace).await?),
        };
        part.give(&batch).await?;
        if part.is_broken() || part.bytes >= self.employer.options.part_bytes_max {
            return self.end_part().await;
        }
        Ok(Vec::new())
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        self.confirm().await?;
        if let Some(settling) = &mut self.settling {
            settling.checkpoint().await?;
        }
        Ok(self.saved())
    }

    async fn seal(mut self: Box<Self>) -> Result<ChunkFacts> {
        self.confirm().await?;
        if let Some(settling) = self.settling {
            settling.seal().await?;
        }
        let PartKey { chunk, generation, .. } = self.key;
        let Written { documents, bytes } = self.written;
        Ok(ChunkFacts { chunk, generation, documents, bytes, parts: Vec::new() })
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        match self.settling {
            Some(settling) => settling.discard().await,
            // What was restored stays until it is written again, as with the native writer.
            None => Ok(()),
        }
    }
}
