//! Writing a dump as a directory, as mongodump would.
//!
//! Unfinished work lies in `.capstan/JOB` in that directory. While it is there mongorestore refuses the directory (a dot
//! can be in no database's name), and so do we: a dump that is half there is never taken for a whole one.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::dump::DumpSource;
use crate::dump::layout::{DataFile, WORK, is_empty, read_metadata};
use crate::dump::metadata::Metadata;
use crate::dump::names::{self, BUCKETS, file_stem};
use crate::durable::{make_folder, move_into, remove, write_whole};
use crate::parts::{FileChunkWriter, PartFolder, Receipt, join, unit_folder};
use crate::pump::blocking;
use crate::{
    Checkpoint, ChunkFacts, ChunkWriter, EndpointError, Occupancy, PartKey, Result, Scan, SetAside, Sink,
    SinkAbilities, Source, Unit, UnitKind, Whereabouts, WriteMode, WritePlan,
};

/// The server version that dumps of ours name. mongorestore reads from it how the dump is laid out, above all
/// where time-series buckets lie.
pub(crate) const SERVER_VERSION: &str = "7.0.0";

/// A directory that becomes a dump.
#[derive(Clone)]
pub(crate) struct DirectorySink {
    root: PathBuf,
    work: PathBuf,
    gzip: bool,
}

impl DirectorySink {
    pub(crate) fn new(root: PathBuf, job: &str, gzip: bool) -> Result<Self> {
        if root.is_file() {
            let reason = "a file is there; name a directory, or an archive by a name that ends in .archive";
            return Err(EndpointError::unsupported("writing a dump", root.display().to_string(), reason));
        }
        let work = root.join(WORK).join(job_folder(job, &root)?);
        Ok(Self { root, work, gzip })
    }

    fn parts(&self, unit: &Unit) -> PartFolder {
        let path = self.work.join(unit_folder(&unit.namespace));
        PartFolder { path, gzip: self.gzip, encode: |batch| Ok(batch.bytes.clone()) }
    }

    fn checked(&self, unit: &Unit) -> Result<()> {
        names::check(&unit.namespace, &self.place())
    }

    /// Where a unit's documents go, compressed or not.
    fn documents(&self, unit: &Unit, gzip: bool) -> PathBuf {
        let collection = &unit.namespace.collection;
        let stem = match unit.kind {
            UnitKind::TimeSeries => file_stem(&format!("{BUCKETS}{collection}")),
            UnitKind::Collection | UnitKind::View => file_stem(collection),
        };
        let ending = if gzip { "bson.gz" } else { "bson" };
        self.root.join(&unit.namespace.database).join(format!("{stem}.{ending}"))
    }

    fn metadata(&self, unit: &Unit, gzip: bool) -> PathBuf {
        let ending = if gzip { "metadata.json.gz" } else { "metadata.json" };
        let stem = file_stem(&unit.namespace.collection);
        self.root.join(&unit.namespace.database).join(format!("{stem}.{ending}"))
    }

    fn look(&self, unit: &Unit) -> Result<Occupancy> {
        for gzip in [false, true] {
            let path = self.documents(unit, gzip);
            let about = match path.metadata() {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(EndpointError::from_io(e, "looking up", &path)),
                Ok(about) => about,
            };
            let data = DataFile { path, gzip, stored: about.len() };
            if !is_empty(&data)? {
                let holds = format!("{} of {} bytes", data.path.display(), data.stored);
                return Ok(Occupancy::Occupied { holds });
            }
        }
        for gzip in [false, true] {
            let path = self.metadata(unit, gzip);
            if path.exists() && read_metadata(&path)?.kind == UnitKind::View {
                return Ok(Occupancy::Occupied { holds: format!("the view that {} defines", path.display()) });
            }
        }
        Ok(Occupancy::Vacant)
    }

    fn make_ready(&self, unit: &Unit, mode: WriteMode) -> Result<()> {
        // This job has put it there already: a repeated call must not take it away.
        if Receipt::read(&self.parts(unit).path)?.is_some() {
            return Ok(());
        }
        if let Occupancy::Occupied { holds } = self.look(unit)? {
            match mode {
                WriteMode::Overwrite => {}
                WriteMode::FailIfExists => {
                    return Err(EndpointError::Occupied { what: format!("`{}`", unit.namespace), holds });
                }
                WriteMode::Merge => {
                    let what = format!("merging into `{}`", unit.namespace);
                    return Err(EndpointError::unsupported(what, self.place(), "a file has no documents by `_id`"));
                }
            }
        }
        make_folder(&self.work)?;
        make_folder(&self.root.join(&unit.namespace.database))?;
        for gzip in [false, true] {
            remove(&self.documents(unit, gzip))?;
            remove(&self.metadata(unit, gzip))?;
        }
        Ok(())
    }

    fn complete(&self, unit: &Unit, mode: WriteMode, chunks: &[ChunkFacts]) -> Result<()> {
        let (folder, place) = (self.parts(unit), self.documents(unit, self.gzip));
        // Another job may have put a unit there since this one looked.
        if mode == WriteMode::FailIfExists
            && Receipt::read(&folder.path)?.is_none()
            && let Occupancy::Occupied { holds } = self.look(unit)?
        {
            return Err(EndpointError::Occupied { what: format!("`{}`", unit.namespace), holds });
        }
        make_folder(&self.root.join(&unit.namespace.database))?;
        if !Receipt::has_moved(&folder.path, &place, chunks)? {
            let joined = join(&folder, chunks)?;
            make_folder(&self.work)?;
            Receipt { length: joined.length, chunks: chunks.to_vec() }.write(&folder.path)?;
            write_whole(&self.metadata(unit, self.gzip), &packed(Metadata::text_of(unit).as_bytes(), self.gzip))?;
            move_into(&joined.path, &place)?;
        }
        remove(&folder.path)
    }

    fn close(&self) -> Result<()> {
        make_folder(&self.root)?;
        let prelude = format!(
            "{{\"ServerVersion\":\"{SERVER_VERSION}\",\"ToolVersion\":\"capstan {}\"}}",
            env!("CARGO_PKG_VERSION")
        );
        let name = if self.gzip { "prelude.json.gz" } else { "prelude.json" };
        write_whole(&self.root.join(name), &packed(prelude.as_bytes(), self.gzip))?;
        self.clear()
    }

    fn clear(&self) -> Result<()> {
        remove(&self.work)?;
        // Another job may be at work there; then the folder stays.
        let _ = std::fs::remove_dir(self.root.join(WORK));
        Ok(())
    }
}

#[async_trait]
impl Sink for DirectorySink {
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
        Whereabouts::of_path("dump", &self.root).await
    }

    async fn occupancy(&self, unit: &Unit) -> Result<Occupancy> {
        self.checked(unit)?;
        let (sink, unit) = (self.clone(), unit.clone());
        blocking(&self.place(), move || sink.look(&unit)).await
    }

    async fn prepare(&self, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>> {
        self.checked(unit)?;
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
        self.checked(unit)?;
        Ok(Box::new(FileChunkWriter::open(self.parts(unit), *part, resume).await?))
    }

    async fn finish_unit(&self, unit: &Unit, plan: &WritePlan, chunks: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        self.checked(unit)?;
        let (sink, unit, mode, chunks) = (self.clone(), unit.clone(), plan.mode, chunks.to_vec());
        blocking(&self.place(), move || sink.complete(&unit, mode, &chunks)).await?;
        Ok(Vec::new())
    }

    async fn finish_job(&self, _: &[Unit]) -> Result<()> {
        let sink = self.clone();
        blocking(&self.place(), move || sink.close()).await
    }

    async fn abandon(&self) -> Result<()> {
        let sink = self.clone();
        blocking(&self.place(), move || sink.clear()).await
    }

    async fn scan(&self) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(DumpSource::open_unfinished(self.root.clone()).await?))
    }
}

/// A job's name as a folder's.
pub(crate) fn job_folder(job: &str, root: &Path) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if job.is_empty() || job.len() > 128 || job.starts_with('.') || !job.chars().all(plain) {
        let reason = "a job's name here has 1 to 128 of the characters A-Z a-z 0-9 . _ - and does not begin with a dot";
        return Err(EndpointError::unsupported(format!("the job name `{job}`"), root.display().to_string(), reason));
    }
    Ok(job.into())
}

fn packed(bytes: &[u8], gzip: bool) -> Vec<u8> {
    if !gzip {
        return bytes.to_vec();
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes everything")
}
