//! What a store's errors mean to a spool.

use crate::error::SpoolError;
use object_store::Error as StoreError;
use std::error::Error;
use std::io;

/// Something that is asked of a store.
#[derive(Clone, Copy)]
pub(super) struct Deed {
    pub operation: &'static str,
    /// What a user must be allowed for it, as Amazon S3 calls it; other stores' words are close.
    pub right: &'static str,
}

const fn deed(operation: &'static str, right: &'static str) -> Deed {
    Deed { operation, right }
}

pub(super) const READ_MARKER: Deed = deed("read its marker", "s3:GetObject and s3:ListBucket");
pub(super) const WRITE_MARKER: Deed = deed("write its marker", "s3:PutObject");
/// Without the right to list, a store does not say whether an object is missing or secret.
pub(super) const LOOK: Deed = deed("look for a part", "s3:GetObject and s3:ListBucket");
pub(super) const READ: Deed = deed("open a part", "s3:GetObject and s3:ListBucket");
pub(super) const WRITE: Deed = deed("write a part", "s3:PutObject");
pub(super) const LIST: Deed = deed("list a job's parts", "s3:ListBucket");
pub(super) const DELETE: Deed = deed("delete a part", "s3:DeleteObject");

/// Codes by which stores that have a disk or a quota say that there is no room.
const FULL: [&str; 3] = ["XMinioStorageFull", "QuotaExceeded", "507 Insufficient Storage"];

/// The error in the spool's words. That an object is missing is the caller's to tell before.
pub(super) fn fault(deed: Deed, place: &str, error: &StoreError) -> SpoolError {
    let place = place.to_owned();
    let text = said(error);
    if FULL.iter().any(|code| text.contains(code)) {
        return SpoolError::Full { place, source: io::Error::new(io::ErrorKind::StorageFull, text) };
    }
    match error {
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            let source = io::Error::new(io::ErrorKind::PermissionDenied, text);
            SpoolError::Denied { operation: deed.operation, place, right: deed.right, source }
        }
        _ => SpoolError::Store { operation: deed.operation, place, source: io::Error::other(text) },
    }
}

/// The most that is told of what a store said.
const SAID_CHARS_MAX: usize = 600;

/// The error and its causes in one line; stores' errors repeat some of their causes and leave out others.
pub(super) fn said(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SAID_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
