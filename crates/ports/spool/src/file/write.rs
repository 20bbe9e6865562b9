//! Writing a part: under its temporary name, and under its own once all of it is durable.

use super::room::Room;
use super::{Folder, SEALED, UNSEALED, flush_folder, remove_file};
use crate::encode::Encoder;
use crate::error::SpoolError;
use crate::facts::PartFacts;
use crate::format::Compression;
use crate::gather::{GatheringWriter, Order};
use crate::name::PartName;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// A part under its temporary name. Dropping it removes the file unless it was renamed.
pub(super) struct Unsealed {
    name: PartName,
    place: String,
    encoder: Encoder<BufWriter<File>>,
    temporary: Temporary,
    path: PathBuf,
    root: PathBuf,
    room: Room,
}

struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What cannot be removed now is removed by a sweep.
            let _ = remove_file(path);
        }
    }
}

/// Makes the file of a part, unless somebody has it.
pub(super) fn begin(
    folder: &Folder,
    name: PartName,
    compression: Compression,
    room: Room,
) -> Result<Unsealed, SpoolError> {
    room.check(&folder.root)?;
    let path = folder.path(&name, SEALED);
    let temporary = folder.path(&name, UNSEALED);
    let job_folder = path.parent().expect("a part lies in its job's folder");
    make_job_folder(&folder.root, job_folder).map_err(|e| folder.failed("make a job's folder", job_folder, e))?;

    let exists = || SpoolError::Exists { part: name.clone(), place: folder.place.clone() };
    let file = claim(&temporary).map_err(|e| folder.failed("make a part", &temporary, e))?.ok_or_else(exists)?;
    let claimed = Temporary(Some(temporary));
    // Only the holder of the temporary name can seal, so nobody comes between this look and our own sealing.
    if path.try_exists().map_err(|e| folder.failed("look for a part", &path, e))? {
        return Err(exists());
    }
    let encoder = Encoder::begin(BufWriter::new(file), folder.place.clone(), name.clone(), compression)?;
    Ok(Unsealed {
        name,
        place: folder.place.clone(),
        encoder,
        temporary: claimed,
        path,
        root: folder.root.clone(),
        room,
    })
}

fn make_job_folder(root: &Path, path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => flush_folder(root),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes the temporary name, also from a writer that died; `None` while its writer lives.
fn claim(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Between opening and locking its writer may have sealed it: then this is the sealed file, under another name.
    let (held, named) = (file.metadata()?, path.metadata());
    match named {
        Ok(named) if named.ino() == held.ino() && named.dev() == held.dev() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    file.set_len(0)?;
    Ok(Some(file))
}

impl Unsealed {
    /// Sets a thread to work on the part.
    pub fn start(self) -> GatheringWriter {
        let (name, place) = (self.name.clone(), self.place.clone());
        GatheringWriter::start(name, place, |orders| tokio::task::spawn_blocking(move || self.run(orders)))
    }

    fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<Option<PartFacts>, SpoolError> {
        while let Some(order) = orders.blocking_recv() {
            match order {
                Order::Block { batches, documents } => {
                    self.room.check(&self.root)?;
                    self.encoder.block(&batches, documents)?;
                }
                Order::Seal => return self.seal().map(Some),
            }
        }
        Ok(None)
    }

    fn seal(mut self) -> Result<PartFacts, SpoolError> {
        let failed = |operation, e| SpoolError::io(operation, self.place.clone(), e);
        let (file, facts) = self.encoder.finish()?;
        let file = file.into_inner().map_err(|e| failed("write a part", e.into_error()))?;
        file.sync_all().map_err(|e| failed("flush a part", e))?;
        let temporary = self.temporary.0.as_ref().expect("sealed once");
        std::fs::rename(temporary, &self.path).map_err(|e| failed("seal a part", e))?;
        self.temporary.0 = None;
        let folder = self.path.parent().expect("a part lies in its job's folder");
        flush_folder(folder).map_err(|e| failed("flush a job's folder", e))?;
        Ok(facts)
    }
}
