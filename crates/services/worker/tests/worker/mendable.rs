//! A real dump as a target of which single documents can be put right.

use async_trait::async_trait;
use bytes::Bytes;
use capstan_endpoint::element::id_of;
use capstan_endpoint::{
    Adapter, Checkpoint, ChunkFacts, ChunkWriter, DumpAdapter, EndpointUrl, Mend, Mended, Occupancy, PartKey, Result,
    SetAside, Sink, SinkAbilities, Source, Unit, WritePlan, bson_frames,
};
use std::path::PathBuf;
use std::sync::Arc;

pub struct Mendable;

#[async_trait]
impl Adapter for Mendable {
    fn schemes(&self) -> &'static [&'static str] {
        DumpAdapter.schemes()
    }
    async fn source(&self, url: &EndpointUrl) -> Result<Arc<dyn Source>> {
        DumpAdapter.source(url).await
    }
    async fn sink(&self, url: &EndpointUrl, job: &str) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(MendableSink { root: url.file_path()?, sink: DumpAdapter.sink(url, job).await? }))
    }
}

struct MendableSink {
    root: PathBuf,
    sink: Arc<dyn Sink>,
}

#[async_trait]
impl Sink for MendableSink {
    fn place(&self) -> String {
        self.sink.place()
    }
    fn abilities(&self) -> SinkAbilities {
        SinkAbilities { mends: true, ..self.sink.abilities() }
    }
    async fn occupancy(&self, unit: &Unit) -> Result<Occupancy> {
        self.sink.occupancy(unit).await
    }
    async fn prepare(&self, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>> {
        // A dump cannot merge; a unit that is made for mending is one that was not there.
        let mode = capstan_endpoint::WriteMode::FailIfExists;
        self.sink.prepare(unit, &WritePlan { mode, ..*plan }).await
    }
    async fn open_chunk(
        &self,
        unit: &Unit,
        part: &PartKey,
        resume: Option<&Checkpoint>,
    ) -> Result<Box<dyn ChunkWriter>> {
        self.sink.open_chunk(unit, part, resume).await
    }
    async fn finish_unit(&self, unit: &Unit, plan: &WritePlan, chunks: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        let aside = self.sink.finish_unit(unit, plan, chunks).await?;
        self.sink.finish_job(std::slice::from_ref(unit)).await?;
        Ok(aside)
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
    async fn mender(&self, unit: &Unit) -> Result<Box<dyn Mend>> {
        let file = format!("{}/{}.bson", unit.namespace.database, unit.namespace.collection);
        Ok(Box::new(FileMender(self.root.join(file))))
    }
}

struct FileMender(PathBuf);

impl FileMender {
    /// Writes the file without the documents of these ids, and with what is added.
    fn rewrite(&self, without: &[Bytes], with: &[Bytes]) -> u64 {
        let bytes = std::fs::read(&self.0).unwrap_or_default();
        let goes = |kept: &[u8]| without.iter().any(|document| id_of(document) == id_of(kept));
        let (gone, stays): (Vec<&[u8]>, Vec<&[u8]>) = bson_frames::walk(&bytes).partition(|kept| goes(kept));
        let all: Vec<u8> =
            stays.into_iter().chain(with.iter().map(|document| &document[..])).flatten().copied().collect();
        std::fs::write(&self.0, all).unwrap();
        gone.len() as u64
    }
}

#[async_trait]
impl Mend for FileMender {
    async fn put(&mut self, documents: &[Bytes]) -> Result<Mended> {
        self.rewrite(documents, documents);
        Ok(Mended { documents: documents.len() as u64, refused: Vec::new() })
    }
    async fn remove(&mut self, documents: &[Bytes]) -> Result<Mended> {
        Ok(Mended { documents: self.rewrite(documents, &[]), refused: Vec::new() })
    }
}
