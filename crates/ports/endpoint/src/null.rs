//! `null:` — counts what it is given and keeps nothing, to see how fast a source can be read.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    Adapter, Batch, Checkpoint, ChunkFacts, ChunkWriter, EndpointError, EndpointUrl, Occupancy, PartKey,
    RefusedDocument, Result, Scan, SetAside, Sink, SinkAbilities, Source, Unit, WritePlan,
};

/// Opens `null:`.
#[derive(Debug)]
pub struct NullAdapter;

#[async_trait]
impl Adapter for NullAdapter {
    fn schemes(&self) -> &'static [&'static str] {
        &["null"]
    }

    async fn source(&self, _: &EndpointUrl) -> Result<Arc<dyn Source>> {
        Err(EndpointError::unsupported("reading", "null:", "it keeps nothing; it measures how fast a source is"))
    }

    async fn sink(&self, url: &EndpointUrl, _: &str) -> Result<Arc<dyn Sink>> {
        url.allow_options(&[])?;
        if url.place().is_empty() { Ok(Arc::new(NullSink)) } else { Err(url.refused("nothing follows `null:`")) }
    }
}

/// Counts and forgets.
#[derive(Debug)]
struct NullSink;

#[async_trait]
impl Sink for NullSink {
    fn place(&self) -> String {
        "null:".into()
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

    async fn open_chunk(&self, _: &Unit, part: &PartKey, resume: Option<&Checkpoint>) -> Result<Box<dyn ChunkWriter>> {
        let counted = match resume {
            None => Counted::default(),
            Some(checkpoint) => Counted::deserialize(&checkpoint.0).map_err(|_| EndpointError::Lost {
                what: "a checkpoint".into(),
                place: self.place(),
                reason: "it was made by another kind of sink".into(),
            })?,
        };
        Ok(Box::new(NullWriter { part: *part, counted }))
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
        Err(EndpointError::unsupported("verification", "null:", "nothing was kept that could be compared"))
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Counted {
    documents: u64,
    bytes: u64,
}

struct NullWriter {
    part: PartKey,
    counted: Counted,
}

#[async_trait]
impl ChunkWriter for NullWriter {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        self.counted.documents += u64::from(batch.documents);
        self.counted.bytes += batch.bytes.len() as u64;
        Ok(Vec::new())
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        Ok(Checkpoint(serde_json::to_value(self.counted).expect("numbers are JSON")))
    }

    async fn seal(self: Box<Self>) -> Result<ChunkFacts> {
        let PartKey { chunk, generation, .. } = self.part;
        let Counted { documents, bytes } = self.counted;
        Ok(ChunkFacts { chunk, generation, documents, bytes, parts: Vec::new() })
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
