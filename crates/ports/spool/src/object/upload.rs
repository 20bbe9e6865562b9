//! Uploads in pieces, and what a crash leaves of them.
//!
//! A store keeps the pieces of an unfinished upload, and charges for them, until somebody who knows its id ends it. So
//! the id is written beside the part that is to be, before the first piece goes: whoever sweeps the job finds it there.
//! The token in its name says whose it is, as with parts.

use super::Bucket;
use super::fault::{DELETE, READ, WRITE};
use crate::error::SpoolError;
use crate::name::PartName;
use bytes::Bytes;
use capstan_ids::SessionName;
use object_store::multipart::PartId;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStoreExt, PutResult};

const UPLOAD: &str = ".upload";
/// Ids of uploads are a few hundred bytes; what is longer is none of ours.
const ID_BYTES_MAX: u64 = 8 << 10;

/// One upload on its way.
pub(super) struct Pieces<'a> {
    bucket: &'a Bucket,
    path: Path,
    note: Path,
    id: String,
    sent: Vec<PartId>,
}

impl<'a> Pieces<'a> {
    /// Begins an upload, and notes it.
    pub async fn begin(bucket: &'a Bucket, name: &PartName) -> Result<Self, SpoolError> {
        let failed = |error| bucket.failed(WRITE, &error);
        let (path, note) = (bucket.path(name), bucket.note(name));
        let id = bucket.store.create_multipart(&path).await.map_err(failed)?;
        let pieces = Self { bucket, path, note, id, sent: Vec::new() };
        if let Err(error) = bucket.store.put(&pieces.note, pieces.id.clone().into()).await {
            pieces.give_up().await;
            return Err(failed(error));
        }
        Ok(pieces)
    }

    pub async fn send(&mut self, piece: Bytes) -> Result<(), SpoolError> {
        let sent = self.bucket.store.put_part(&self.path, &self.id, self.sent.len(), piece.into()).await;
        self.sent.push(sent.map_err(|error| self.bucket.failed(WRITE, &error))?);
        Ok(())
    }

    /// Makes the pieces an object.
    pub async fn complete(&self) -> Result<PutResult, StoreError> {
        self.bucket.store.complete_multipart(&self.path, &self.id, self.sent.clone()).await
    }

    /// Ends the upload without an object.
    pub async fn give_up(&self) {
        // What cannot be ended now is ended by whoever sweeps the job.
        if self.bucket.store.abort_multipart(&self.path, &self.id).await.is_ok() {
            self.forget().await;
        }
    }

    /// Nobody needs to end it any more. A worker that may not delete leaves that to whoever sweeps the job.
    pub async fn forget(&self) {
        let _ = self.bucket.store.delete(&self.note).await;
    }
}

/// The part that an upload's note is about; other objects are passed over.
pub(super) fn of(job: &SessionName, object: &ObjectMeta) -> Option<PartName> {
    let leaf = object.location.filename()?.strip_suffix(UPLOAD)?;
    PartName::from_leaf(job, leaf).filter(|_| object.size <= ID_BYTES_MAX)
}

impl Bucket {
    fn note(&self, part: &PartName) -> Path {
        self.prefix.clone().join(part.job().as_str()).join(format!("{}{UPLOAD}", part.leaf()))
    }

    /// Ends the upload that a note tells of, and removes the note; whether there was one left to end.
    pub(super) async fn end_upload(&self, note: &ObjectMeta) -> Result<bool, SpoolError> {
        let got = match self.store.get(&note.location).await {
            Ok(got) => got.bytes().await,
            // Its writer was faster.
            Err(StoreError::NotFound { .. }) => return Ok(false),
            Err(error) => Err(error),
        };
        let id = String::from_utf8_lossy(&got.map_err(|error| self.failed(READ, &error))?).into_owned();
        let text = note.location.as_ref();
        let path = Path::from(format!("{}{}", text.strip_suffix(UPLOAD).unwrap_or(text), super::SEALED));
        let there = match self.store.abort_multipart(&path, &id).await {
            Ok(()) => true,
            // It was completed, or ended, and only the note was left.
            Err(StoreError::NotFound { .. }) => false,
            Err(error) => return Err(self.failed(DELETE, &error)),
        };
        match self.store.delete(&note.location).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(there),
            Err(error) => Err(self.failed(DELETE, &error)),
        }
    }
}
