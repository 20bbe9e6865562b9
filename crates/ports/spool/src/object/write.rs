//! Writing an object: the part's thread compresses, a task of the part's own uploads what comes of it.
//!
//! A part of at most [`PIECE_BYTES`] is one put, which fails if the name is taken. A larger one is uploaded in pieces of
//! that size, one at a time, and is an object only once the upload was completed; an upload that is not completed is
//! given up, and one that a crash left is ended by whoever sweeps the job.

use super::fault::{LOOK, WRITE, fault};
use super::{Bucket, upload};
use crate::blocking::stopped;
use crate::encode::Encoder;
use crate::error::SpoolError;
use crate::facts::PartFacts;
use crate::format::Compression;
use crate::gather::{GatheringWriter, Order};
use crate::name::PartName;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode};
use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// What is uploaded at a time. Stores take 10,000 pieces of 5 MiB at least; the largest part has 512 of these.
///
/// A writer holds three: the one being gathered, one that waits, one on its way.
pub(super) const PIECE_BYTES: usize = 8 << 20;

/// The names of parts that this process is writing.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashSet<PartName>>);

/// A part's name, ours as long as this lives.
struct Claim {
    bucket: Arc<Bucket>,
    name: PartName,
}

impl Claim {
    fn of(bucket: &Arc<Bucket>, name: &PartName) -> Option<Self> {
        let mut claims = bucket.claims.0.lock().unwrap_or_else(PoisonError::into_inner);
        claims.insert(name.clone()).then(|| Self { bucket: Arc::clone(bucket), name: name.clone() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.bucket.claims.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

enum Piece {
    More(Bytes),
    Last(Bytes),
}

/// Begins a part, unless somebody has its name. Other processes cannot have it: it carries our token.
pub(super) async fn begin(
    bucket: &Arc<Bucket>,
    name: PartName,
    compression: Compression,
) -> Result<GatheringWriter, SpoolError> {
    let exists = || SpoolError::Exists { part: name.clone(), place: bucket.place.clone() };
    let claim = Claim::of(bucket, &name).ok_or_else(exists)?;
    if bucket.size_of(&name).await?.is_some() {
        return Err(exists());
    }
    let place = bucket.place.clone();
    Ok(GatheringWriter::start(name, place, |orders| tokio::spawn(write(claim, compression, orders))))
}

async fn write(
    claim: Claim,
    compression: Compression,
    orders: mpsc::Receiver<Order>,
) -> Result<Option<PartFacts>, SpoolError> {
    let (out, pieces) = mpsc::channel(1);
    let (name, place) = (claim.name.clone(), claim.bucket.place.clone());
    let thread = tokio::task::spawn_blocking(move || compress(out, place, name, compression, orders));
    let uploaded = Upload { bucket: &claim.bucket, name: &claim.name }.run(pieces).await;
    let compressed = thread.await.unwrap_or_else(|error| Err(stopped("write a part", error)));
    // Why an upload ended is why the thread could not go on.
    uploaded.and(compressed)
}

fn compress(
    out: mpsc::Sender<Piece>,
    place: String,
    name: PartName,
    compression: Compression,
    mut orders: mpsc::Receiver<Order>,
) -> Result<Option<PartFacts>, SpoolError> {
    let mut encoder = Encoder::begin(Pieces { gathered: Vec::new(), out }, place.clone(), name, compression)?;
    while let Some(order) = orders.blocking_recv() {
        match order {
            Order::Block { batches, documents } => encoder.block(&batches, documents)?,
            Order::Seal => {
                let (pieces, facts) = encoder.finish()?;
                let last = Piece::Last(pieces.gathered.into());
                pieces.out.blocking_send(last).map_err(|_| SpoolError::io("write a part", place, ended()))?;
                return Ok(Some(facts));
            }
        }
    }
    Ok(None)
}

/// Gathers bytes into pieces. Blocks its thread while the upload is behind.
struct Pieces {
    gathered: Vec<u8>,
    out: mpsc::Sender<Piece>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.len() == PIECE_BYTES {
            let full = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE_BYTES));
            self.out.blocking_send(Piece::More(full.into())).map_err(|_| ended())?;
        }
        let count = bytes.len().min(PIECE_BYTES - self.gathered.len());
        self.gathered.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the upload has ended")
}

/// One part on its way.
struct Upload<'a> {
    bucket: &'a Bucket,
    name: &'a PartName,
}

impl Upload<'_> {
    /// Uploads all pieces; nothing is left where the last one does not come.
    async fn run(&self, mut pieces: mpsc::Receiver<Piece>) -> Result<(), SpoolError> {
        let first = match pieces.recv().await {
            None => return Ok(()),
            Some(Piece::Last(whole)) => return self.put(whole).await,
            Some(Piece::More(first)) => first,
        };
        let mut upload = upload::Pieces::begin(self.bucket, self.name).await?;
        let ended = match self.send(&mut upload, first, &mut pieces).await {
            Ok(Some(bytes)) => self.complete(&upload, bytes).await,
            Ok(None) => Err(None),
            Err(error) => Err(Some(error)),
        };
        let Err(reason) = ended else {
            upload.forget().await;
            return Ok(());
        };
        upload.give_up().await;
        reason.map_or(Ok(()), Err)
    }

    /// A part that fits into one request.
    async fn put(&self, whole: Bytes) -> Result<(), SpoolError> {
        let path = self.path();
        match self.bucket.store.put_opts(&path, whole.clone().into(), PutMode::Create.into()).await {
            Ok(_) => Ok(()),
            // A request whose answer was lost is repeated, and then finds what it wrote itself.
            Err(StoreError::AlreadyExists { .. }) => {
                let there = async { self.bucket.store.get(&path).await?.bytes().await };
                match there.await {
                    Ok(there) if there == whole => Ok(()),
                    Ok(_) => Err(self.exists()),
                    Err(error) => Err(self.failed(&error)),
                }
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Sends the pieces and tells their size; `None` where the last one did not come.
    async fn send(
        &self,
        upload: &mut upload::Pieces<'_>,
        first: Bytes,
        pieces: &mut mpsc::Receiver<Piece>,
    ) -> Result<Option<u64>, SpoolError> {
        let (mut piece, mut last, mut bytes) = (first, false, 0);
        loop {
            bytes += piece.len() as u64;
            upload.send(piece).await?;
            if last {
                return Ok(Some(bytes));
            }
            (piece, last) = match pieces.recv().await {
                Some(Piece::More(piece)) => (piece, false),
                Some(Piece::Last(piece)) => (piece, true),
                None => return Ok(None),
            };
        }
    }

    /// Makes the pieces an object.
    async fn complete(&self, upload: &upload::Pieces<'_>, bytes: u64) -> Result<(), Option<SpoolError>> {
        // A store does not refuse to complete an upload over an object, so somebody looks before.
        if self.bucket.size_of(self.name).await.map_err(Some)?.is_some() {
            return Err(Some(self.exists()));
        }
        let Err(error) = upload.complete().await else { return Ok(()) };
        // It may be the answer alone that was lost.
        match self.bucket.size_of(self.name).await {
            Ok(Some(found)) if found == bytes => Ok(()),
            _ => Err(Some(self.failed(&error))),
        }
    }

    fn path(&self) -> Path {
        self.bucket.path(self.name)
    }

    fn exists(&self) -> SpoolError {
        SpoolError::Exists { part: self.name.clone(), place: self.bucket.place.clone() }
    }

    fn failed(&self, error: &StoreError) -> SpoolError {
        fault(WRITE, &self.bucket.place, error)
    }
}

impl Bucket {
    /// The size of a sealed part, if it is there.
    async fn size_of(&self, name: &PartName) -> Result<Option<u64>, SpoolError> {
        match self.store.head(&self.path(name)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(fault(LOOK, &self.place, &error)),
        }
    }
}
