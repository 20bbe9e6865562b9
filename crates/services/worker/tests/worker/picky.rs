//! A real dump as a target that refuses some documents for good.

use async_trait::async_trait;
use capstan_endpoint::{
    Adapter, Batch, Checkpoint, ChunkFacts, ChunkWriter, DumpAdapter, EndpointUrl, Occupancy, PartKey, RefusedDocument,
    Result, SetAside, Sink, SinkAbilities, Source, Unit, WritePlan, bson_frames,
};
use std::sync::Arc;

/// Refuses documents that hold this text.
pub struct Picky(pub &'static str);

#[async_trait]
impl Adapter for Picky {
    fn schemes(&self) -> &'static [&'static str] {
        DumpAdapter.schemes()
    }
    async fn source(&self, url: &EndpointUrl) -> Result<Arc<dyn Source>> {
        DumpAdapter.source(url).await
    }
    async fn sink(&self, url: &EndpointUrl, job: &str) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(PickySink { refused: self.0, sink: DumpAdapter.sink(url, job).await? }))
    }
}

struct PickySink {
    refused: &'static str,
    sink: Arc<dyn Sink>,
}

#[async_trait]
impl Sink for PickySink {
    fn place(&self) -> String {
        self.sink.place()
    }
    fn abilities(&self) -> SinkAbilities {
        self.sink.abilities()
    }
    async fn occupancy(&self, unit: &Unit) -> Result<Occupancy> {
        self.sink.occupancy(unit).await
    }
    async fn prepare(&self, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>> {
        self.sink.prepare(unit, plan).await
    }
    async fn open_chunk(
        &self,
        unit: &Unit,
        part: &PartKey,
        resume: Option<&Checkpoint>,
    ) -> Result<Box<dyn ChunkWriter>> {
        let writer = self.sink.open_chunk(unit, part, resume).await?;
        Ok(Box::new(PickyWriter { refused: self.refused, writer }))
    }
    async fn finish_unit(&self, unit: &Unit, plan: &WritePlan, chunks: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        self.sink.finish_unit(unit, plan, chunks).await
    }
    async fn finish_job(&self, units: &[Unit]) -> Result<()> {
        self.sink.finish_job(units).await
    }
    async fn abandon(&self) -> Result<()> {
        self.sink.abandon().await
    }
    async fn scan(&self) -> Result<Arc<dyn Source>> {
        self.sink.scan().await
    }
}

struct PickyWriter {
    refused: &'static str,
    writer: Box<dyn ChunkWriter>,
}

#[async_trait]
impl ChunkWriter for PickyWriter {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        let holds = |document: &[u8]| document.windows(self.refused.len()).any(|part| part == self.refused.as_bytes());
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for document in bson_frames::walk(&batch.bytes) {
            if holds(document) {
                let document = bytes::Bytes::copy_from_slice(document);
                refused.push(RefusedDocument { document, reason: "not to my taste".into() });
            } else {
                taken.extend_from_slice(document);
            }
        }
        let documents = batch.documents - refused.len() as u32;
        if documents > 0 {
            let rest = Batch { bytes: taken.into(), documents, cursor: batch.cursor };
            refused.extend(self.writer.write(rest).await?);
        }
        Ok(refused)
    }
    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        self.writer.checkpoint().await
    }
    async fn seal(self: Box<Self>) -> Result<ChunkFacts> {
        self.writer.seal().await
    }
    async fn discard(self: Box<Self>) -> Result<()> {
        self.writer.discard().await
    }
}
