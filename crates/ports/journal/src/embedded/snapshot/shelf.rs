//! Which snapshots there are.

use super::file::SnapshotFile;
use super::writer::{Pen, Sheet, Writing};
use crate::embedded::files::Files;
use crate::embedded::reader::Reader;
use crate::embedded::segment::failed;
use crate::{JournalError, SnapshotInfo, SnapshotRows, SnapshotWriter};
use capstan_ids::{Position, StreamName};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

pub(super) const DIR: &str = "snapshots";
const FINISHED: &str = ".snapshot";
const UNFINISHED: &str = ".unfinished";

/// The whole snapshots of a journal, and the writers that add to them.
#[derive(Debug)]
pub(in crate::embedded) struct Shelf {
    files: Arc<dyn Files>,
    whole: Arc<Mutex<Vec<SnapshotInfo>>>,
    writing: Vec<Writing>,
    backlog_max: usize,
    begun: u64,
}

impl Shelf {
    /// Proves every snapshot, passes over those that are not whole or are ahead of the log, and sweeps what was never
    /// finished.
    ///
    /// The damage is an error where nothing stands in for the damaged one: where neither a newer snapshot of its stream
    /// is whole, nor an older one that the log goes on from, nor the log itself. A state would be missing otherwise, and
    /// nobody would know.
    pub fn open(
        files: Arc<dyn Files>,
        (first, next): (Position, Position),
        backlog_max: usize,
    ) -> Result<Self, JournalError> {
        files.make_dir(DIR).map_err(failed("create", &*files, DIR))?;
        let mut whole: Vec<SnapshotInfo> = Vec::new();
        let mut damaged = Vec::new();
        for file in files.list(DIR).map_err(failed("list", &*files, DIR))? {
            let name = format!("{DIR}/{file}");
            if file.ends_with(UNFINISHED) {
                files.remove(&name).map_err(failed("remove", &*files, &name))?;
            } else if file.ends_with(FINISHED) {
                match prove(&*files, &name) {
                    Ok(info) if info.position >= next => {
                        let what = format!("the snapshot is ahead of the log, which ends before position {next}");
                        let place = files.place(&name);
                        let position = info.position;
                        damaged.push((name, JournalError::Damaged { position, place, offset: 0, what }));
                    }
                    Ok(info) => whole.push(info),
                    Err(error @ JournalError::Version { .. }) => return Err(error),
                    Err(error) => damaged.push((name, error)),
                }
            }
        }
        for (file, error) in damaged {
            let stands_in = |s: &SnapshotInfo| {
                let other = name(&s.stream, s.position);
                other.split('@').next() == file.split('@').next() && (other > file || s.position.plus(1) >= first)
            };
            if first > Position::new(1) && !whole.iter().any(stands_in) {
                return Err(error);
            }
            tracing::warn!(file = files.place(&file), %error, "passing over a snapshot");
        }
        Ok(Self { files, whole: Arc::new(Mutex::new(whole)), writing: Vec::new(), backlog_max, begun: 0 })
    }

    /// Whether there are files of snapshots at all, whole or not.
    pub fn any(files: &dyn Files) -> Result<bool, JournalError> {
        match files.list(DIR) {
            Ok(names) => Ok(names.iter().any(|name| name.ends_with(FINISHED))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed("list", files, DIR)(e)),
        }
    }

    /// Every whole snapshot, newest first within a stream.
    pub fn whole(&self) -> Vec<SnapshotInfo> {
        let mut all = locked(&self.whole).clone();
        all.sort_by(|a, b| a.stream.cmp(&b.stream).then(b.position.cmp(&a.position)));
        all
    }

    /// Begins to write a snapshot; its time is that of the first commit in `log`.
    pub fn begin(&mut self, info: SnapshotInfo, log: Option<Reader>) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        self.writing.retain(Writing::is_running);
        let name = name(&info.stream, info.position);
        // The same snapshot may be begun again while the one before is still being given up.
        self.begun += 1;
        let temporary = format!("{name}.{}{UNFINISHED}", self.begun);
        let sheet = Sheet::new(Arc::clone(&self.files), name, temporary, Arc::clone(&self.whole));
        let (pen, writing) = Pen::begin(sheet, info, log, self.backlog_max)?;
        self.writing.push(writing);
        Ok(Box::new(pen))
    }

    pub fn rows(&self, info: &SnapshotInfo) -> Result<SnapshotRows, JournalError> {
        Ok(Box::new(SnapshotFile::open(&*self.files, &name(&info.stream, info.position))?))
    }

    pub fn remove(&mut self, info: &SnapshotInfo) -> Result<(), JournalError> {
        let name = name(&info.stream, info.position);
        match self.files.remove(&name) {
            Ok(()) => {}
            // Asked for twice.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed("remove", &*self.files, &name)(e)),
        }
        locked(&self.whole).retain(|s| s.stream != info.stream || s.position != info.position);
        self.files.sync_dir(DIR).map_err(failed("flush", &*self.files, DIR))
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        // Finished ones are waited for, the others given up: the directory may have another owner in a moment.
        for writing in &mut self.writing {
            writing.end();
        }
    }
}

/// Reads all of a snapshot.
fn prove(files: &dyn Files, name: &str) -> Result<SnapshotInfo, JournalError> {
    let mut snapshot = SnapshotFile::open(files, name)?;
    while snapshot.row()?.is_some() {}
    Ok(snapshot.info().clone())
}

/// The file of a snapshot. Of all characters a stream's name may have, only `/` cannot stand in a file's.
fn name(stream: &StreamName, position: Position) -> String {
    format!("{DIR}/{}@{:020}{FINISHED}", stream.as_str().replace('/', "."), position.get())
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics while it holds this lock")
}
