//! A real dump that fails now and then, on either side.

use async_trait::async_trait;
use capstan_endpoint::{
    Adapter, Batch, BatchReader, Checkpoint, ChunkFacts, ChunkWriter, Cursor, DumpAdapter, EndpointError, EndpointUrl,
    Listing, Occupancy, PartKey, PlannedChunk, Range, RefusedDocument, Result, SetAside, Sink, SinkAbilities, Source,
    SourceAbilities, SplitTarget, Unit, WritePlan,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How it fails.
#[derive(Clone, Copy)]
pub enum Way {
    /// It asks to slow down, and says for how long.
    Throttles,
    /// It is not there.
    Away,
}

/// Reads that fail, and writes that fail after a number that do not. Counted over all of them.
#[derive(Clone)]
pub struct Flaky {
    pub way: Way,
    pub reads_failing: Arc<AtomicU64>,
    pub writes_passing: Arc<AtomicU64>,
    pub writes_failing: Arc<AtomicU64>,
    /// Calls that failed.
    pub failed: Arc<AtomicU64>,
}

impl Flaky {
    pub fn reads(way: Way, failing: u64) -> Self {
        Self {
            way,
            reads_failing: Arc::new(AtomicU64::new(failing)),
            writes_passing: Arc::default(),
            writes_failing: Arc::default(),
            failed: Arc::default(),
        }
    }

    pub fn writes(way: Way, passing: u64, failing: u64) -> Self {
        let flaky = Self::reads(way, 0);
        flaky.writes_passing.store(passing, Ordering::SeqCst);
        flaky.writes_failing.store(failing, Ordering::SeqCst);
        flaky
    }

    fn fail(&self, left: &AtomicU64) -> Result<()> {
        if !counted_down(left) {
            return Ok(());
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        let (place, action) = ("a flaky place".into(), "trying".into());
        Err(match self.way {
            Way::Throttles => {
                let wait = Some(Duration::from_millis(10));
                EndpointError::Throttled { place, action, reason: "too many requests".into(), wait }
            }
            Way::Away => EndpointError::Unavailable { place, action, source: "nobody answers".into() },
        })
    }
}

fn counted_down(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl Adapter for Flaky {
    fn schemes(&self) -> &'static [&'static str] {
        DumpAdapter.schemes()
    }
    async fn source(&self, url: &EndpointUrl) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(FlakySource { flaky: self.clone(), source: DumpAdapter.source(url).await? }))
    }
    async fn sink(&self, url: &EndpointUrl, job: &str) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(FlakySink { flaky: self.clone(), sink: DumpAdapter.sink(url, job).await? }))
    }
}

struct FlakySource {
    flaky: Flaky,
    source: Arc<dyn Source>,
}

#[async_trait]
impl Source for FlakySource {
    fn place(&self) -> String {
        self.source.place()
    }
    fn abilities(&self) -> SourceAbilities {
        self.source.abilities()
    }
    async fn units(&self) -> Result<Listing> {
        self.source.units().await
    }
    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        self.source.split(unit, target).await
    }
    async fn read(&self, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        self.flaky.fail(&self.flaky.reads_failing)?;
        self.source.read(unit, range, from).await
    }
}

struct FlakySink {
    flaky: Flaky,
    sink: Arc<dyn Sink>,
}

#[async_trait]
impl Sink for FlakySink {
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
        Ok(Box::new(FlakyWriter { flaky: self.flaky.clone(), writer }))
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

struct FlakyWriter {
    flaky: Flaky,
    writer: Box<dyn ChunkWriter>,
}

#[async_trait]
impl ChunkWriter for FlakyWriter {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        if !counted_down(&self.flaky.writes_passing) {
            self.flaky.fail(&self.flaky.writes_failing)?;
        }
        self.writer.write(batch).await
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
