//! Real dumps, with something on the way to them: what a fake does not say goes straight through.

use async_trait::async_trait;
use capstan_endpoint::{
    Adapter, Batch, BatchReader, Checkpoint, ChunkFacts, ChunkWriter, Cursor, DumpAdapter, EndpointUrl, Listing,
    Occupancy, PartKey, PlannedChunk, Range, RefusedDocument, Result, SetAside, Sink, SinkAbilities, Source,
    SourceAbilities, SplitTarget, Unit, WritePlan,
};
use std::sync::Arc;

/// What happens on the way.
#[async_trait]
pub trait OnTheWay: Send + Sync + 'static {
    /// Before a range is opened.
    async fn before_read(&self) -> Result<()> {
        Ok(())
    }

    /// Before each batch is read.
    async fn before_next(&self) {}

    /// A batch that is to be written.
    async fn write(&self, writer: &mut dyn ChunkWriter, batch: Batch) -> Result<Vec<RefusedDocument>> {
        writer.write(batch).await
    }
}

/// An adapter of dumps that leads through `way`.
pub fn through(way: impl OnTheWay) -> Arc<dyn Adapter> {
    Arc::new(Through { way: Arc::new(way), inner: () })
}

/// One thing of a dump, and the way to it.
struct Through<W: ?Sized, T> {
    way: Arc<W>,
    inner: T,
}

impl<W, T> Through<W, T> {
    fn to<U>(&self, inner: U) -> Through<W, U> {
        Through { way: Arc::clone(&self.way), inner }
    }
}

#[async_trait]
impl<W: OnTheWay> Adapter for Through<W, ()> {
    fn schemes(&self) -> &'static [&'static str] {
        DumpAdapter.schemes()
    }
    async fn source(&self, url: &EndpointUrl) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(self.to(DumpAdapter.source(url).await?)))
    }
    async fn sink(&self, url: &EndpointUrl, job: &str) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(self.to(DumpAdapter.sink(url, job).await?)))
    }
}

#[async_trait]
impl<W: OnTheWay> Source for Through<W, Arc<dyn Source>> {
    fn place(&self) -> String {
        self.inner.place()
    }
    fn abilities(&self) -> SourceAbilities {
        self.inner.abilities()
    }
    async fn units(&self) -> Result<Listing> {
        self.inner.units().await
    }
    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        self.inner.split(unit, target).await
    }
    async fn read(&self, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        self.way.before_read().await?;
        Ok(Box::new(self.to(self.inner.read(unit, range, from).await?)))
    }
}

#[async_trait]
impl<W: OnTheWay> BatchReader for Through<W, Box<dyn BatchReader>> {
    async fn next(&mut self) -> Result<Option<Batch>> {
        self.way.before_next().await;
        self.inner.next().await
    }
}

#[async_trait]
impl<W: OnTheWay> Sink for Through<W, Arc<dyn Sink>> {
    fn place(&self) -> String {
        self.inner.place()
    }
    fn abilities(&self) -> SinkAbilities {
        self.inner.abilities()
    }
    async fn occupancy(&self, unit: &Unit) -> Result<Occupancy> {
        self.inner.occupancy(unit).await
    }
    async fn prepare(&self, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>> {
        self.inner.prepare(unit, plan).await
    }
    async fn open_chunk(
        &self,
        unit: &Unit,
        part: &PartKey,
        resume: Option<&Checkpoint>,
    ) -> Result<Box<dyn ChunkWriter>> {
        Ok(Box::new(self.to(self.inner.open_chunk(unit, part, resume).await?)))
    }
    async fn finish_unit(&self, unit: &Unit, plan: &WritePlan, chunks: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        self.inner.finish_unit(unit, plan, chunks).await
    }
    async fn finish_job(&self, units: &[Unit]) -> Result<()> {
        self.inner.finish_job(units).await
    }
    async fn abandon(&self) -> Result<()> {
        self.inner.abandon().await
    }
    async fn scan(&self) -> Result<Arc<dyn Source>> {
        self.inner.scan().await
    }
}

#[async_trait]
impl<W: OnTheWay> ChunkWriter for Through<W, Box<dyn ChunkWriter>> {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        self.way.write(&mut *self.inner, batch).await
    }
    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        self.inner.checkpoint().await
    }
    async fn seal(self: Box<Self>) -> Result<ChunkFacts> {
        self.inner.seal().await
    }
    async fn discard(self: Box<Self>) -> Result<()> {
        self.inner.discard().await
    }
}
