//! Writing a dump as an archive.
//!
//! Chunks are gathered as plain part files in a folder beside the archive (`NAME.capstan/JOB`); when the job finishes they
//! become the archive in one go, which is moved to its place whole. So this needs room for the documents twice (once
//! packed), and can be read for verification only when the job has finished.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::dump::DumpSource;
use crate::dump::archive::pack::{PackedUnit, pack};
use crate::dump::archive::{ArchiveFile, Prelude};
use crate::dump::directory_sink::job_folder;
use crate::dump::names;
use crate::durable::{make_folder, move_into, remove};
use crate::parts::{FileChunkWriter, PartFolder, Receipt, unit_folder};
use crate::pump::blocking;
use crate::{
    Checkpoint, ChunkFacts, ChunkWriter, EndpointError, Occupancy, PartKey, Result, Scan, SetAside, Sink,
    SinkAbilities, Source, Unit, Whereabouts, WriteMode, WritePlan,
};

/// A file that becomes an archive.
#[derive(Clone)]
pub(crate) struct ArchiveSink {
    path: PathBuf,
    /// The folder beside the archive, of all jobs.
    beside: PathBuf,
    work: PathBuf,
    gzip: bool,
}

impl ArchiveSink {
    pub(crate) fn new(path: PathBuf, job: &str, gzip: bool) -> Result<Self> {
        if path.is_dir() {
            let reason = "a directory is there; an archive is a file";
            return Err(EndpointError::unsupported("writing an archive", path.display().to_string(), reason));
        }
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".capstan");
        let beside = path.with_file_name(name);
        let work = beside.join(job_folder(job, &path)?);
        Ok(Self { path, beside, work, gzip })
    }

    fn parts(&self, unit: &Unit) -> PartFolder {
        let path = self.work.join(unit_folder(&unit.namespace));
        PartFolder { path, gzip: false, encode: |batch| Ok(batch.bytes.clone()) }
    }

    fn look(&self) -> Result<Occupancy> {
        match self.path.metadata() {
            Ok(about) if about.len() > 0 => {
                Ok(Occupancy::Occupied { holds: format!("{} of {} bytes", self.path.display(), about.len()) })
            }
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(EndpointError::from_io(e, "looking up", &self.path))
            }
            _ => Ok(Occupancy::Vacant),
        }
    }

    fn make_ready(&self, unit: &Unit, mode: WriteMode) -> Result<()> {
        if let Occupancy::Occupied { holds } = self.look()? {
            match mode {
                // It stays until the new one takes its place.
                WriteMode::Overwrite => {}
                WriteMode::FailIfExists => {
                    return Err(EndpointError::Occupied { what: format!("`{}`", unit.namespace), holds });
                }
                WriteMode::Merge => {
                    let place = self.path.display().to_string();
                    return Err(EndpointError::unsupported(
                        "merging into an archive",
                        place,
                        "it is written in one go",
                    ));
                }
            }
        }
        make_folder(&self.parts(unit).path)
    }

    fn note(&self, unit: &Unit, chunks: &[ChunkFacts]) -> Result<()> {
        let folder = self.parts(unit);
        let parts = chunks.iter().flat_map(|chunk| &chunk.parts);
        let length = parts.map(|part| folder.find(part).map(|_| part.stored)).sum::<Result<u64>>()?;
        make_folder(&folder.path)?;
        Receipt { length, chunks: chunks.to_vec() }.write(&folder.path)
    }

    fn close(&self, units: &[Unit]) -> Result<()> {
        let packed = units.iter().map(|unit| {
            let folder = self.parts(unit);
            let receipt = Receipt::read(&folder.path)?;
            Ok(receipt.map(|receipt| PackedUnit { unit: unit.clone(), folder, chunks: receipt.chunks }))
        });
        let packed: Vec<_> = packed.collect::<Result<_>>()?;
        let whole: Vec<_> = packed.into_iter().flatten().collect();
        if whole.len() < units.len() {
            return self.is_closed(units, whole.is_empty());
        }
        make_folder(&self.work)?;
        let new = self.work.join("packed");
        pack(&whole, self.gzip, &new)?;
        move_into(&new, &self.path)?;
        self.clear()
    }

    /// Whether an earlier call got as far as this one would: nothing is left to pack, and the archive announces the units.
    fn is_closed(&self, units: &[Unit], nothing_left: bool) -> Result<()> {
        if nothing_left && self.path.is_file() && Prelude::of(&self.archive())?.announces(units) {
            return self.clear();
        }
        Err(EndpointError::Lost {
            what: "a unit's receipt".into(),
            place: self.work.display().to_string(),
            reason: "not all units of the job were finished, or its folder was removed".into(),
        })
    }

    fn archive(&self) -> ArchiveFile {
        ArchiveFile { path: self.path.clone(), gzip: self.gzip }
    }

    fn clear(&self) -> Result<()> {
        remove(&self.work)?;
        // Another job may be at work there; then the folder stays.
        let _ = std::fs::remove_dir(&self.beside);
        Ok(())
    }
}

impl Prelude {
    /// Whether these units, and only these, are in the archive.
    fn announces(&self, units: &[Unit]) -> bool {
        let announced: BTreeSet<_> = self.announced.iter().map(|(namespace, _)| namespace).collect();
        announced == units.iter().map(|unit| &unit.namespace).collect()
    }
}

#[async_trait]
impl Sink for ArchiveSink {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn abilities(&self) -> SinkAbilities {
        SinkAbilities {
            ordered_ranges: false,
            write_by_id: false,
            scan: Scan::AfterJob,
            definitions: true,
            exact_bytes: true,
            mends: false,
        }
    }

    async fn whereabouts(&self) -> Result<Whereabouts> {
        Whereabouts::of_path("dump", &self.path).await
    }

    async fn occupancy(&self, _: &Unit) -> Result<Occupancy> {
        let sink = self.clone();
        blocking(&self.place(), move || sink.look()).await
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
        Ok(Box::new(FileChunkWriter::open(self.parts(unit), *part, resume).await?))
    }

    async fn finish_unit(&self, unit: &Unit, _: &WritePlan, chunks: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        let (sink, unit, chunks) = (self.clone(), unit.clone(), chunks.to_vec());
        blocking(&self.place(), move || sink.note(&unit, &chunks)).await?;
        Ok(Vec::new())
    }

    async fn finish_job(&self, units: &[Unit]) -> Result<()> {
        let (sink, units) = (self.clone(), units.to_vec());
        blocking(&self.place(), move || sink.close(&units)).await
    }

    async fn abandon(&self) -> Result<()> {
        let sink = self.clone();
        blocking(&self.place(), move || sink.clear()).await
    }

    async fn scan(&self) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(DumpSource::open(self.path.clone()).await?))
    }
}
