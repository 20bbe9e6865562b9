//! Writing extended JSON: one canonical document a line, one file a collection, its metadata beside it.
//!
//! `PLACE/DATABASE/COLLECTION.jsonl` and `COLLECTION.metadata.json`, file names escaped as in a dump. Unfinished work lies
//! in `.capstan/JOB` in that place. Extended JSON cannot say everything that BSON can: a document that holds a field
//! `$oid` reads back as something else, and so does a NaN with a payload. Every document is read back before it is
//! taken; one that would not come back byte for byte is refused, with the reason.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bson::raw::RawDocument;
use bytes::Bytes;

use super::parse::parse_document;
use super::source::JsonSource;
use crate::dump::directory_sink::job_folder;
use crate::dump::layout::{WORK, read_metadata};
use crate::dump::metadata::Metadata;
use crate::dump::names::{self, file_stem};
use crate::durable::{make_folder, move_into, remove, write_whole};
use crate::extjson::write_document;
use crate::parts::{FileChunkWriter, PartFolder, Receipt, join, unit_folder};
use crate::pump::blocking;
use crate::{
    Batch, Checkpoint, ChunkFacts, ChunkWriter, EndpointError, Occupancy, PartKey, RefusedDocument, Result, Scan,
    SetAside, Sink, SinkAbilities, Source, Unit, UnitKind, Whereabouts, WriteMode, WritePlan,
};

/// A folder of extended JSON files.
#[derive(Clone)]
pub(super) struct JsonSink {
    root: PathBuf,
    work: PathBuf,
    gzip: bool,
}

impl JsonSink {
    pub fn new(root: PathBuf, job: &str, gzip: bool) -> Result<Self> {
        if root.is_file() {
            let reason = "a file is there; name a folder, which gets a file for each collection";
            return Err(EndpointError::unsupported("writing extended JSON", root.display().to_string(), reason));
        }
        let work = root.join(WORK).join(job_folder(job, &root)?);
        Ok(Self { root, work, gzip })
    }

    fn parts(&self, unit: &Unit) -> PartFolder {
        let path = self.work.join(unit_folder(&unit.namespace));
        PartFolder { path, gzip: self.gzip, encode: lines }
    }

    fn documents(&self, unit: &Unit, gzip: bool) -> PathBuf {
        self.file(unit, if gzip { "jsonl.gz" } else { "jsonl" })
    }

    fn metadata(&self, unit: &Unit) -> PathBuf {
        self.file(unit, "metadata.json")
    }

    fn file(&self, unit: &Unit, ending: &str) -> PathBuf {
        self.root.join(&unit.namespace.database).join(format!("{}.{ending}", file_stem(&unit.namespace.collection)))
    }

    fn look(&self, unit: &Unit) -> Result<Occupancy> {
        for gzip in [false, true] {
            let path = self.documents(unit, gzip);
            if let Ok(about) = path.metadata()
                && about.len() > if gzip { EMPTY_GZIP_BYTES } else { 0 }
            {
                return Ok(Occupancy::Occupied { holds: format!("{} of {} bytes", path.display(), about.len()) });
            }
        }
        let path = self.metadata(unit);
        if path.exists() && read_metadata(&path)?.kind == UnitKind::View {
            return Ok(Occupancy::Occupied { holds: format!("the view that {} defines", path.display()) });
        }
        Ok(Occupancy::Vacant)
    }

    fn make_ready(&self, unit: &Unit, mode: WriteMode) -> Result<()> {
        // This job has put it there already: a repeated call must not take it away.
        if Receipt::read(&self.parts(unit).path)?.is_some() {
            return Ok(());
        }
        if let Occupancy::Occupied { holds } = self.look(unit)? {
            let what = format!("`{}`", unit.namespace);
            match mode {
                WriteMode::Overwrite => {}
                WriteMode::FailIfExists => return Err(EndpointError::Occupied { what, holds }),
                WriteMode::Merge => {
                    let what = format!("merging into {what}");
                    return Err(EndpointError::unsupported(what, self.place(), "a file has no documents by `_id`"));
                }
            }
        }
        make_folder(&self.work)?;
        make_folder(&self.root.join(&unit.namespace.database))?;
        remove(&self.documents(unit, false))?;
        remove(&self.documents(unit, true))?;
        remove(&self.metadata(unit))
    }

    fn complete(&self, unit: &Unit, chunks: &[ChunkFacts]) -> Result<()> {
        let (folder, place) = (self.parts(unit), self.documents(unit, self.gzip));
        make_folder(&self.root.join(&unit.namespace.database))?;
        if !Receipt::has_moved(&folder.path, &place, chunks)? {
            let joined = join(&folder, chunks)?;
            make_folder(&self.work)?;
            Receipt { length: joined.length, chunks: chunks.to_vec() }.write(&folder.path)?;
            write_whole(&self.metadata(unit), Metadata::text_of(unit).as_bytes())?;
            move_into(&joined.path, &place)?;
        }
        remove(&folder.path)
    }

    fn clear(&self) -> Result<()> {
        remove(&self.work)?;
        // Another job may be at work there; then the folder stays.
        let _ = std::fs::remove_dir(self.root.join(WORK));
        Ok(())
    }
}

/// A gzip file of nothing, as it is written for a collection without documents.
const EMPTY_GZIP_BYTES: u64 = 20;

#[async_trait]
impl Sink for JsonSink {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn abilities(&self) -> SinkAbilities {
        SinkAbilities {
            ordered_ranges: false,
            write_by_id: false,
            scan: Scan::AfterUnit,
            definitions: true,
            exact_bytes: true,
            mends: false,
        }
    }

    async fn whereabouts(&self) -> Result<Whereabouts> {
        Whereabouts::of_path("jsonl", &self.root).await
    }

    async fn occupancy(&self, unit: &Unit) -> Result<Occupancy> {
        names::check(&unit.namespace, &self.place())?;
        let (sink, unit) = (self.clone(), unit.clone());
        blocking(&self.place(), move || sink.look(&unit)).await
    }

    async fn prepare(&self, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>> {
        names::check(&unit.namespace, &self.place())?;
        let (sink, unit, mode) = (self.clone(), unit.clone(), plan.mode);
        blocking(&self.place(), move || sink.make_ready(&unit, mode)).await?;
        Ok(Vec::new())
    }

    async fn open_chunk(
        &self,
        unit: &Unit,
        part: &PartKey,
        resume: Option<&Checkpoint>,
    ) -> Result<Box<dyn ChunkWriter>> {
        names::check(&unit.namespace, &self.place())?;
        let parts = FileChunkWriter::open(self.parts(unit), *part, resume).await?;
        Ok(Box::new(LineWriter { parts: Box::new(parts), place: self.place() }))
    }

    async fn finish_unit(&self, unit: &Unit, _: &WritePlan, chunks: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        names::check(&unit.namespace, &self.place())?;
        let (sink, unit, chunks) = (self.clone(), unit.clone(), chunks.to_vec());
        blocking(&self.place(), move || sink.complete(&unit, &chunks)).await?;
        Ok(Vec::new())
    }

    async fn finish_job(&self, _: &[Unit]) -> Result<()> {
        let sink = self.clone();
        blocking(&self.place(), move || {
            make_folder(&sink.root)?;
            sink.clear()
        })
        .await
    }

    async fn abandon(&self) -> Result<()> {
        let sink = self.clone();
        blocking(&self.place(), move || sink.clear()).await
    }

    async fn scan(&self) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(JsonSource::open_unfinished(self.root.clone()).await?))
    }
}

/// Lets through to the part what can be said in extended JSON.
struct LineWriter {
    parts: Box<FileChunkWriter>,
    place: String,
}

#[async_trait]
impl ChunkWriter for LineWriter {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        let (kept, refused) = blocking(&self.place, move || Ok(sayable(batch))).await?;
        if kept.documents > 0 {
            self.parts.write(kept).await?;
        }
        Ok(refused)
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        self.parts.checkpoint().await
    }

    async fn seal(self: Box<Self>) -> Result<ChunkFacts> {
        self.parts.seal().await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        self.parts.discard().await
    }
}

/// A batch without the documents that would not come back as they are, and those.
fn sayable(batch: Batch) -> (Batch, Vec<RefusedDocument>) {
    let (mut text, mut back) = (String::new(), Vec::new());
    let mut refused = Vec::new();
    for document in batch.iter() {
        text.clear();
        back.clear();
        if let Err(reason) = comes_back(document, &mut text, &mut back) {
            refused.push(RefusedDocument { document: batch.bytes.slice_ref(document), reason });
        }
    }
    if refused.is_empty() {
        return (batch, refused);
    }
    let is_refused = |document: &[u8]| refused.iter().any(|other| other.document.as_ptr() == document.as_ptr());
    let kept: Vec<&[u8]> = batch.iter().filter(|document| !is_refused(document)).collect();
    let (bytes, documents) = (Bytes::from(kept.concat()), kept.len() as u32);
    (Batch { bytes, documents, cursor: batch.cursor.clone() }, refused)
}

fn comes_back(document: &[u8], text: &mut String, back: &mut Vec<u8>) -> Result<(), String> {
    let raw = RawDocument::from_bytes(document).map_err(|e| format!("it is not valid BSON: {e}"))?;
    write_document(text, raw).map_err(|e| format!("it is not valid BSON: {e}"))?;
    parse_document(text.as_bytes(), back).map_err(|e| format!("extended JSON cannot say it: {e}"))?;
    if back == document {
        return Ok(());
    }
    Err("extended JSON cannot say it: read back, it would be another document".into())
}

/// A batch as lines. What cannot be said was taken out before.
fn lines(batch: &Batch) -> Result<Bytes> {
    let mut text = String::with_capacity(batch.bytes.len() * 2);
    for document in batch.iter() {
        let broken = |e: bson::error::Error| EndpointError::damaged("a batch", 0, format!("it is not valid BSON: {e}"));
        write_document(&mut text, RawDocument::from_bytes(document).map_err(broken)?).map_err(broken)?;
        text.push('\n');
    }
    Ok(text.into())
}
