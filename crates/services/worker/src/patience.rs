//! Endpoints that are not waited for without end: a call that gives nothing for too long fails, and is tried again.
//!
//! A call that moves documents may take as long as [`Options::stall_after`](crate::Options::stall_after); one that is about
//! a whole unit, such as cutting it, twelve times as long. Building indexes and joining parts take what they take.

use async_trait::async_trait;
use bytes::Bytes;
use capstan_endpoint::{
    Batch, BatchReader, Checkpoint, ChunkFacts, ChunkWriter, Cursor, EndpointError, Listing, Mend, Mended, Occupancy,
    PartKey, PlannedChunk, Range, RefusedDocument, Result, SetAside, Sink, SinkAbilities, Source, SourceAbilities,
    SplitTarget, Unit, Whereabouts, WritePlan,
};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Calls about whole units may take so many times as long.
const UNIT_CALLS: u32 = 12;

/// How long calls to an endpoint may take.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    place: Arc<str>,
    stall_after: Duration,
}

impl Patience {
    pub fn new(place: impl Into<Arc<str>>, stall_after: Duration) -> Self {
        Self { place: place.into(), stall_after }
    }

    async fn moving<T>(&self, action: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.within(self.stall_after, action, call).await
    }

    async fn whole<T>(&self, action: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.within(self.stall_after * UNIT_CALLS, action, call).await
    }

    async fn within<T>(&self, limit: Duration, action: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
            let reason = format!("nothing came of it for {} seconds", limit.as_secs());
            let source = Box::new(io::Error::new(io::ErrorKind::TimedOut, reason));
            Err(EndpointError::Unavailable { place: self.place.to_string(), action: action.into(), source })
        })
    }
}

/// A source whose calls end.
pub(crate) struct PatientSource {
    inner: Arc<dyn Source>,
    patience: Patience,
}

/// A sink whose calls end.
pub(crate) struct PatientSink {
    inner: Arc<dyn Sink>,
    patience: Patience,
}

/// One of them at work.
struct Patient<T: ?Sized> {
    inner: Box<T>,
    patience: Patience,
}

impl PatientSource {
    pub fn over(inner: Arc<dyn Source>, stall_after: Duration) -> Arc<dyn Source> {
        let patience = Patience::new(inner.place(), stall_after);
        Arc::new(Self { inner, patience })
    }
}

impl PatientSink {
    pub fn over(inner: Arc<dyn Sink>, stall_after: Duration) -> Arc<dyn Sink> {
        let patience = Patience::new(inner.place(), stall_after);
        Arc::new(Self { inner, patience })
    }
}

#[async_trait]
impl Source for PatientSource {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn abilities(&self) -> SourceAbilities {
        self.inner.abilities()
    }

    async fn whereabouts(&self) -> Result<Whereabouts> {
        self.patience.moving("looking where it is", self.inner.whereabouts()).await
    }

    async fn sees(&self, trace: &str) -> Result<bool> {
        self.patience.moving("looking for a trace", self.inner.sees(trace)).await
    }

    async fn units(&self) -> Result<Listing> {
        self.patience.whole("listing collections", self.inner.units()).await
    }

    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        self.patience.whole("cutting a collection", self.inner.split(unit, target)).await
    }

    fn fallbacks(&self, unit: &Unit) -> Vec<SetAside> {
        self.inner.fallbacks(unit)
    }

    async fn read(&self, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        let inner = self.patience.moving("beginning to read", self.inner.read(unit, range, from)).await?;
        Ok(Box::new(Patient { inner, patience: self.patience.clone() }))
    }
}

#[async_trait]
impl BatchReader for Patient<dyn BatchReader> {
    async fn next(&mut self) -> Result<Option<Batch>> {
        self.patience.moving("reading", self.inner.next()).await
    }
}

#[async_trait]
impl Sink for PatientSink {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn abilities(&self) -> SinkAbilities {
        self.inner.abilities()
    }

    async fn whereabouts(&self) -> Result<Whereabouts> {
        self.patience.moving("looking where it is", self.inner.whereabouts()).await
    }

    async fn leave_trace(&self, unit: &Unit) -> Result<Option<String>> {
        self.patience.moving("leaving a trace", self.inner.leave_trace(unit)).await
    }

    async fn erase_trace(&self, trace: &str) -> Result<()> {
        self.patience.moving("taking back a trace", self.inner.erase_trace(trace)).await
    }

    async fn occupancy(&self, unit: &Unit) -> Result<Occupancy> {
        self.patience.moving("looking what is there", self.inner.occupancy(unit)).await
    }

    async fn prepare(&self, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>> {
        self.patience.whole("preparing a collection", self.inner.prepare(unit, plan)).await
    }

    async fn open_chunk(
        &self,
        unit: &Unit,
        part: &PartKey,
        resume: Option<&Checkpoint>,
    ) -> Result<Box<dyn ChunkWriter>> {
        let inner = self.patience.moving("beginning to write", self.inner.open_chunk(unit, part, resume)).await?;
        Ok(Box::new(Patient { inner, patience: self.patience.clone() }))
    }

    async fn finish_unit(&self, unit: &Unit, plan: &WritePlan, chunks: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        self.inner.finish_unit(unit, plan, chunks).await
    }

    async fn finish_job(&self, units: &[Unit]) -> Result<()> {
        self.inner.finish_job(units).await
    }

    async fn abandon(&self) -> Result<()> {
        self.patience.whole("removing what is unfinished", self.inner.abandon()).await
    }

    async fn forget(&self) -> Result<()> {
        self.patience.whole("removing the job's bookkeeping", self.inner.forget()).await
    }

    async fn scan(&self) -> Result<Arc<dyn Source>> {
        let scan = self.patience.whole("opening what was written", self.inner.scan()).await?;
        Ok(PatientSource::over(scan, self.patience.stall_after))
    }

    async fn mender(&self, unit: &Unit) -> Result<Box<dyn Mend>> {
        let inner = self.patience.moving("beginning to mend", self.inner.mender(unit)).await?;
        Ok(Box::new(Patient { inner, patience: self.patience.clone() }))
    }
}

#[async_trait]
impl ChunkWriter for Patient<dyn ChunkWriter> {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        self.patience.moving("writing", self.inner.write(batch)).await
    }

    async fn send(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        self.patience.moving("writing", self.inner.send(batch)).await
    }

    async fn settle(&mut self) -> Result<Vec<RefusedDocument>> {
        self.patience.moving("writing", self.inner.settle()).await
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        self.patience.moving("making writes durable", self.inner.checkpoint()).await
    }

    async fn seal(self: Box<Self>) -> Result<ChunkFacts> {
        self.patience.moving("sealing a chunk", self.inner.seal()).await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        self.patience.moving("taking back a chunk", self.inner.discard()).await
    }
}

#[async_trait]
impl Mend for Patient<dyn Mend> {
    async fn put(&mut self, documents: &[Bytes]) -> Result<Mended> {
        self.patience.moving("mending", self.inner.put(documents)).await
    }

    async fn remove(&mut self, documents: &[Bytes]) -> Result<Mended> {
        self.patience.moving("removing", self.inner.remove(documents)).await
    }
}
