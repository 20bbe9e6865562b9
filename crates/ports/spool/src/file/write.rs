//! Writing a part: batches come in on async threads, a thread of the part's own compresses and stores them.

use super::{Folder, SEALED, UNSEALED, flush_folder, remove_file, stopped};
use crate::encode::{Encoder, check_batch};
use crate::error::SpoolError;
use crate::facts::PartFacts;
use crate::format::{BATCH_BYTES_MAX, BLOCK_BYTES, Compression, PART_BYTES_MAX};
use crate::name::PartName;
use crate::port::PartWriter;
use async_trait::async_trait;
use bytes::Bytes;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Blocks that may wait for the part's thread; with the one being gathered and the one in work that makes four.
const BLOCKS_WAITING: usize = 2;

/// A part under its temporary name. Dropping it removes the file unless it was renamed.
pub(super) struct Unsealed {
    name: PartName,
    place: String,
    encoder: Encoder<BufWriter<File>>,
    temporary: Temporary,
    path: PathBuf,
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
pub(super) fn begin(folder: &Folder, name: PartName, compression: Compression) -> Result<Unsealed, SpoolError> {
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
    Ok(Unsealed { name, place: folder.place.clone(), encoder, temporary: claimed, path })
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
    fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<Option<PartFacts>, SpoolError> {
        while let Some(order) = orders.blocking_recv() {
            match order {
                Order::Block { batches, documents } => self.encoder.block(&batches, documents)?,
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

enum Order {
    Block { batches: Vec<Bytes>, documents: u32 },
    Seal,
}

/// The async end of a part being written.
pub(super) struct FilePartWriter {
    name: PartName,
    place: String,
    bytes: u64,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    gathered_documents: u32,
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<Result<Option<PartFacts>, SpoolError>>>,
}

impl FilePartWriter {
    pub fn start(part: Unsealed) -> Self {
        let (orders, inbox) = mpsc::channel(BLOCKS_WAITING);
        Self {
            name: part.name.clone(),
            place: part.place.clone(),
            bytes: 0,
            gathered: Vec::new(),
            gathered_bytes: 0,
            gathered_documents: 0,
            orders: Some(orders),
            thread: Some(tokio::task::spawn_blocking(move || part.run(inbox))),
        }
    }

    fn check(&self, batch: &Bytes, documents: u32) -> Result<(), SpoolError> {
        let too_large = |what, found, limit| Err(SpoolError::TooLarge { part: self.name.clone(), what, found, limit });
        if batch.len() > BATCH_BYTES_MAX {
            return too_large("a batch", batch.len() as u64, BATCH_BYTES_MAX as u64);
        }
        let bytes = self.bytes + batch.len() as u64;
        if bytes > PART_BYTES_MAX {
            return too_large("documents", bytes, PART_BYTES_MAX);
        }
        check_batch(&self.name, batch, documents)
    }

    /// Hands what was gathered to the thread. Nothing is lost if the caller stops waiting.
    async fn hand_over(&mut self) -> Result<(), SpoolError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let Some(orders) = self.orders.clone() else { return Err(self.failed().await) };
        let Ok(room) = orders.reserve().await else { return Err(self.failed().await) };
        room.send(Order::Block { batches: std::mem::take(&mut self.gathered), documents: self.gathered_documents });
        self.gathered_bytes = 0;
        self.gathered_documents = 0;
        Ok(())
    }

    /// Why the thread takes nothing any more.
    async fn failed(&mut self) -> SpoolError {
        self.orders = None;
        let ended = match self.thread.take() {
            Some(thread) => thread.await.unwrap_or_else(|error| Err(stopped("write a part", error))),
            None => Ok(None),
        };
        ended.err().unwrap_or_else(|| {
            let source = io::Error::other("an earlier write to this part failed");
            SpoolError::Store { operation: "write a part", place: self.place.clone(), source }
        })
    }
}

#[async_trait]
impl PartWriter for FilePartWriter {
    async fn write(&mut self, batch: Bytes, documents: u32) -> Result<(), SpoolError> {
        if self.orders.is_none() {
            return Err(self.failed().await);
        }
        if let Err(refused) = self.check(&batch, documents) {
            self.orders = None;
            return Err(refused);
        }
        if self.gathered_bytes > 0 && self.gathered_bytes + batch.len() > BLOCK_BYTES {
            self.hand_over().await?;
        }
        self.bytes += batch.len() as u64;
        self.gathered_bytes += batch.len();
        self.gathered_documents += documents;
        if !batch.is_empty() {
            self.gathered.push(batch);
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    async fn seal(mut self: Box<Self>) -> Result<PartFacts, SpoolError> {
        self.hand_over().await?;
        let sent = match &self.orders {
            Some(orders) => orders.send(Order::Seal).await.is_ok(),
            None => false,
        };
        if !sent {
            return Err(self.failed().await);
        }
        let thread = self.thread.take().expect("a thread that takes orders is there");
        match thread.await.unwrap_or_else(|error| Err(stopped("seal a part", error)))? {
            Some(facts) => Ok(facts),
            None => Err(self.failed().await),
        }
    }
}
