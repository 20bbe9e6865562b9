//! A spool in a folder: `file:` URLs.
//!
//! ```text
//! ROOT/capstan-spool.marker               who this spool is
//! ROOT/JOB/4fa3c1d2e5b60718_7.g1.t42.s0.part       a sealed part
//! ROOT/JOB/4fa3c1d2e5b60718_7.g1.t42.s1.part.tmp   one being written; locked as long as its writer lives
//! ```
//!
//! A part is written under its temporary name, flushed, renamed, and the folder flushed: under its own name there is
//! only ever the whole of it. Folders and files are readable by their owner alone. Job names that differ only in case
//! share a folder on file systems that do not tell case apart; their parts still have names of their own.

mod marker;
mod read;
mod room;
mod write;

use crate::ahead::ReadingAhead;
use crate::blocking::blocking;
use crate::error::SpoolError;
use crate::facts::PartFacts;
use crate::format::Compression;
use crate::name::PartName;
use crate::port::{Keep, Listed, Marker, PartReader, PartWriter, Spool, Swept};
use async_trait::async_trait;
use capstan_ids::SessionName;
use room::Room;
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SEALED: &str = ".part";
const UNSEALED: &str = ".part.tmp";

/// A spool in a folder of a file system.
#[derive(Clone, Debug)]
pub struct FileSpool {
    folder: Arc<Folder>,
    compression: Compression,
    room: Room,
}

/// The folder and who it was when it was opened.
#[derive(Debug)]
struct Folder {
    root: PathBuf,
    place: String,
    marker: Marker,
}

/// One of the spool's own files in a job's folder.
struct Entry {
    name: PartName,
    sealed: bool,
    path: PathBuf,
    stored_bytes: u64,
}

impl FileSpool {
    /// Opens the spool in `root`, which is made if it is not there. `fresh` becomes its marker if it has none yet.
    pub async fn open(root: impl Into<PathBuf>, fresh: Marker) -> Result<Self, SpoolError> {
        let root = root.into();
        let folder = blocking("open", move || Folder::open(root, fresh)).await?;
        Ok(Self { folder: Arc::new(folder), compression: Compression::default(), room: Room::default() })
    }

    /// The same spool, compressing otherwise. What lies there already is read whatever it was compressed with.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// The same spool, which writes nothing more once its disk has less than so many bytes of room: then
    /// [`SpoolError::Full`] comes, from beginning a part or from writing it, and the part is discarded.
    #[must_use]
    pub fn with_reserve(self, bytes: u64) -> Self {
        Self { room: Room { reserve: bytes, ..self.room }, ..self }
    }

    /// The same spool, told by `probe` how many bytes may be written below its folder: for a quota that the file system
    /// does not know of.
    #[must_use]
    pub fn measured_by(self, probe: impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static) -> Self {
        Self { room: Room { probe: Arc::new(probe), ..self.room }, ..self }
    }

    /// Where a sealed part lies; for tests and people who look.
    pub fn path_of(&self, part: &PartName) -> PathBuf {
        self.folder.path(part, SEALED)
    }

    /// Runs `act` on the folder, once it is proved to be the one that was opened.
    async fn on_folder<T: Send + 'static>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&Folder) -> Result<T, SpoolError> + Send + 'static,
    ) -> Result<T, SpoolError> {
        let folder = Arc::clone(&self.folder);
        blocking(operation, move || {
            folder.check_marker()?;
            act(&folder)
        })
        .await
    }
}

#[async_trait]
impl Spool for FileSpool {
    async fn begin_part(&self, name: PartName) -> Result<Box<dyn PartWriter>, SpoolError> {
        let (compression, room) = (self.compression, self.room.clone());
        let part = self.on_folder("begin a part", move |folder| write::begin(folder, name, compression, room)).await?;
        Ok(Box::new(part.start()))
    }

    async fn open_part(&self, facts: &PartFacts) -> Result<Box<dyn PartReader>, SpoolError> {
        let facts = facts.clone();
        let part = self.on_folder("open a part", move |folder| read::open(folder, facts)).await?;
        Ok(Box::new(ReadingAhead::start(part)))
    }

    async fn jobs(&self) -> Result<Vec<SessionName>, SpoolError> {
        self.on_folder("list jobs", |folder| folder.jobs()).await
    }

    async fn list(&self, job: &SessionName) -> Result<Vec<Listed>, SpoolError> {
        let job = job.clone();
        let entries = self.on_folder("list", move |folder| folder.entries(&job)).await?;
        let sealed = entries.into_iter().filter(|entry| entry.sealed);
        let mut parts: Vec<_> = sealed.map(|e| Listed { name: e.name, stored_bytes: e.stored_bytes }).collect();
        parts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(parts)
    }

    async fn delete(&self, part: &PartName) -> Result<(), SpoolError> {
        let part = part.clone();
        self.on_folder("delete a part", move |folder| {
            let path = folder.path(&part, SEALED);
            remove_file(&path).map_err(|e| folder.failed("delete a part", &path, e))
        })
        .await
    }

    async fn sweep(&self, job: &SessionName, keep: &Keep) -> Result<Swept, SpoolError> {
        let (job, keep) = (job.clone(), keep.clone());
        self.on_folder("sweep", move |folder| folder.remove(&job, |part| !keep.covers(part))).await
    }

    async fn remove_job(&self, job: &SessionName) -> Result<Swept, SpoolError> {
        let job = job.clone();
        self.on_folder("remove a job", move |folder| {
            let swept = folder.remove(&job, |_| true)?;
            let path = folder.root.join(job.as_str());
            match fs::remove_dir(&path).map_err(|e| (e.kind(), e)) {
                Ok(()) | Err((io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty, _)) => Ok(swept),
                Err((_, error)) => Err(folder.failed("remove a job's folder", &path, error)),
            }
        })
        .await
    }

    fn marker(&self) -> Marker {
        self.folder.marker
    }

    async fn free_space(&self) -> Result<Option<u64>, SpoolError> {
        let room = self.room.clone();
        self.on_folder("measure free space", move |folder| room.left(&folder.root).map(Some)).await
    }

    async fn has_room(&self) -> Result<bool, SpoolError> {
        let room = self.room.clone();
        self.on_folder("measure free space", move |folder| match room.check(&folder.root) {
            Err(SpoolError::Full { .. }) => Ok(false),
            checked => checked.map(|()| true),
        })
        .await
    }
}

impl Folder {
    fn path(&self, part: &PartName, ending: &str) -> PathBuf {
        self.root.join(part.job().as_str()).join(format!("{}{ending}", part.leaf()))
    }

    fn failed(&self, operation: &'static str, path: &Path, source: io::Error) -> SpoolError {
        SpoolError::io(operation, path.display().to_string(), source)
    }

    fn jobs(&self) -> Result<Vec<SessionName>, SpoolError> {
        let failed = |e| self.failed("list jobs", &self.root, e);
        let mut jobs = Vec::new();
        for file in fs::read_dir(&self.root).map_err(failed)? {
            let file = file.map_err(failed)?;
            let name = file.file_name().to_str().and_then(|name| SessionName::new(name).ok());
            if let Some(job) = name.filter(|_| file.file_type().is_ok_and(|kind| kind.is_dir())) {
                jobs.push(job);
            }
        }
        jobs.sort_unstable();
        Ok(jobs)
    }

    /// The spool's own files in the folder of `job`; files of others are passed over.
    fn entries(&self, job: &SessionName) -> Result<Vec<Entry>, SpoolError> {
        let path = self.root.join(job.as_str());
        let failed = |e| self.failed("list a job's parts", &path, e);
        let listing = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listing => listing.map_err(failed)?,
        };
        let mut entries = Vec::new();
        for file in listing {
            if let Some(entry) = file.and_then(|file| Entry::of(job, &file)).map_err(failed)? {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn remove(&self, job: &SessionName, wanted: impl Fn(&PartName) -> bool) -> Result<Swept, SpoolError> {
        let mut swept = Swept::default();
        for entry in self.entries(job)?.into_iter().filter(|entry| wanted(&entry.name)) {
            remove_file(&entry.path).map_err(|e| self.failed("remove a part", &entry.path, e))?;
            swept.parts += 1;
            swept.stored_bytes += entry.stored_bytes;
        }
        Ok(swept)
    }
}

impl Entry {
    fn of(job: &SessionName, file: &DirEntry) -> io::Result<Option<Self>> {
        let file_name = file.file_name();
        let Some(text) = file_name.to_str() else { return Ok(None) };
        let (leaf, sealed) = match (text.strip_suffix(SEALED), text.strip_suffix(UNSEALED)) {
            (Some(leaf), _) => (leaf, true),
            (_, Some(leaf)) => (leaf, false),
            _ => return Ok(None),
        };
        let Some(name) = PartName::from_leaf(job, leaf) else { return Ok(None) };
        match file.metadata() {
            Ok(meta) => Ok(Some(Self { name, sealed, path: file.path(), stored_bytes: meta.len() })),
            // Sealed or deleted by its owner while we looked.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Removes a file; that it is gone already is as good.
fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Makes what was made or renamed in a folder durable.
fn flush_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
