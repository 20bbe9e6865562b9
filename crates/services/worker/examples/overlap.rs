//! What reading ahead is worth: one chunk copied from a source to a target that each take some milliseconds for a batch.
//!
//! `cargo run -p capstan-worker --example overlap -- [BATCHES] [READ_MS] [WRITE_MS]` prints how long it took and how long
//! reading and writing took by themselves: one after the other they would take their sum.

#![allow(clippy::unwrap_used, reason = "an example that cannot go on has failed")]

use async_trait::async_trait;
use bytes::Bytes;
use capstan_coordination::{
    Acquire, Brief, Coordination, CoordinationError, Fault, Holding, Leased, News, Outcome, Progress,
};
use capstan_endpoint::{
    Adapter, Adapters, Batch, BatchReader, Checkpoint, ChunkFacts, ChunkWriter, Cursor, EndpointUrl, Listing,
    Occupancy, PartKey, PlannedChunk, Range, Ranges, RefusedDocument, Result, Scan, SetAside, Sink, SinkAbilities,
    Source, SourceAbilities, SplitTarget, Unit, WritePlan,
};
use capstan_ids::{ItemId, Kind, SessionName, Token, WorkerId};
use capstan_worker::{Options, Worker};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Gives and takes batches of 1 MiB, each after a while.
#[derive(Clone, Copy)]
struct Slow {
    batches: u32,
    read: Duration,
    write: Duration,
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u32>().unwrap());
    let mut number = |usual| numbers.next().unwrap_or(usual);
    let batches = number(200);
    let millis = |millis: u32| Duration::from_millis(millis.into());
    let slow = Slow { batches, read: millis(number(5)), write: millis(number(5)) };
    let stop = CancellationToken::new();
    let one = Arc::new(OneItem { given: AtomicBool::new(false), stop: stop.clone() });
    let adapters = Adapters::of_files().with(Arc::new(slow));
    let worker = Worker::new(one, Options { slots: 1, adapters, ..Options::new(WorkerId::new("example").unwrap()) });
    let began = Instant::now();
    worker.run(stop).await.unwrap();
    println!(
        "{batches} batches of 1 MiB in {:.2} s; reading alone takes {:.2} s, writing alone {:.2} s",
        began.elapsed().as_secs_f64(),
        (slow.read * batches).as_secs_f64(),
        (slow.write * batches).as_secs_f64(),
    );
}

/// A coordinator with a single chunk to be copied.
struct OneItem {
    given: AtomicBool,
    stop: CancellationToken,
}

#[async_trait]
impl Coordination for OneItem {
    async fn acquire(&self, _: &Acquire) -> Result<Vec<Leased>, CoordinationError> {
        if self.given.swap(true, Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let item = ItemId::new("copy:0000000000000000_0").unwrap();
        let holding = Holding { session: SessionName::new("job-example").unwrap(), item, token: Token::from_wire(1) };
        let payload = r#"{"unit":"0000000000000000","chunk":0,"range":"whole"}"#;
        Ok(vec![Leased {
            holding,
            kind: Kind::new("restore").unwrap(),
            collection: "a.b".into(),
            part: 0,
            expected: Progress::default(),
            payload: Some(payload.into()),
            lease: Duration::from_secs(30),
            waited: Duration::ZERO,
            attempt: 1,
            checkpoint: None,
            progress: Progress::default(),
        }])
    }
    async fn renew(&self, _: &Holding, _: &News) -> Result<Duration, CoordinationError> {
        Ok(Duration::from_secs(30))
    }
    async fn complete(&self, _: &Holding, _: &Outcome) -> Result<(), CoordinationError> {
        self.stop.cancel();
        Ok(())
    }
    async fn fail(&self, _: &Holding, fault: &Fault) -> Result<(), CoordinationError> {
        panic!("{}", fault.error);
    }
    async fn release(&self, _: &Holding, _: &News) -> Result<(), CoordinationError> {
        Ok(())
    }
    async fn brief(&self, _: &Holding, _: u32) -> Result<Brief, CoordinationError> {
        let name = r#"{"database":"a","collection":"b"}"#;
        let unit = format!(
            r#"{{"id":"0000000000000000","source":{name},"target":{name},"definition":{{"namespace":{name}}}}}"#
        );
        let spec = r#"{"from":"slow:","to":"slow:","mode":"direct"}"#;
        Ok(Brief { text: format!(r#"{{"job":"example","spec":{spec},"unit":{unit}}}"#).into(), next: None })
    }
}

#[async_trait]
impl Adapter for Slow {
    fn schemes(&self) -> &'static [&'static str] {
        &["slow"]
    }
    async fn source(&self, _: &EndpointUrl) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(*self))
    }
    async fn sink(&self, _: &EndpointUrl, _: &str) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(*self))
    }
}

#[async_trait]
impl Source for Slow {
    fn place(&self) -> String {
        "slow:".into()
    }
    fn abilities(&self) -> SourceAbilities {
        SourceAbilities { ranges: Ranges::ByCount, stable: true, filters: false }
    }
    async fn units(&self) -> Result<Listing> {
        Ok(Listing::default())
    }
    async fn split(&self, _: &Unit, _: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        Ok(Vec::new())
    }
    async fn read(&self, _: &Unit, _: &Range, _: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        Ok(Box::new(*self))
    }
}

#[async_trait]
impl BatchReader for Slow {
    async fn next(&mut self) -> Result<Option<Batch>> {
        let Some(left) = self.batches.checked_sub(1) else { return Ok(None) };
        self.batches = left;
        tokio::time::sleep(self.read).await;
        Ok(Some(Batch { bytes: Bytes::from(vec![0; 1 << 20]), documents: 1, cursor: Cursor(left.into()) }))
    }
}

#[async_trait]
impl Sink for Slow {
    fn place(&self) -> String {
        "slow:".into()
    }
    fn abilities(&self) -> SinkAbilities {
        SinkAbilities {
            ordered_ranges: false,
            write_by_id: true,
            scan: Scan::Never,
            definitions: false,
            exact_bytes: false,
            mends: false,
        }
    }
    async fn occupancy(&self, _: &Unit) -> Result<Occupancy> {
        Ok(Occupancy::Vacant)
    }
    async fn prepare(&self, _: &Unit, _: &WritePlan) -> Result<Vec<SetAside>> {
        Ok(Vec::new())
    }
    async fn open_chunk(&self, _: &Unit, part: &PartKey, _: Option<&Checkpoint>) -> Result<Box<dyn ChunkWriter>> {
        let facts =
            ChunkFacts { chunk: part.chunk, generation: part.generation, documents: 0, bytes: 0, parts: Vec::new() };
        Ok(Box::new(SlowWriter { facts, write: self.write }))
    }
    async fn finish_unit(&self, _: &Unit, _: &WritePlan, _: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        Ok(Vec::new())
    }
    async fn finish_job(&self, _: &[Unit]) -> Result<()> {
        Ok(())
    }
    async fn abandon(&self) -> Result<()> {
        Ok(())
    }
    async fn scan(&self) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(*self))
    }
}

struct SlowWriter {
    facts: ChunkFacts,
    write: Duration,
}

#[async_trait]
impl ChunkWriter for SlowWriter {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        tokio::time::sleep(self.write).await;
        self.facts.documents += u64::from(batch.documents);
        self.facts.bytes += batch.bytes.len() as u64;
        Ok(Vec::new())
    }
    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        Ok(Checkpoint(serde_json::Value::Null))
    }
    async fn seal(self: Box<Self>) -> Result<ChunkFacts> {
        Ok(self.facts)
    }
    async fn discard(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
