//! The port for mending: single documents of a unit that was written already.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{RefusedDocument, Result};

/// Puts right what a comparison found wrong in one unit of a target, document by document.
///
/// Opened by [`Sink::mender`](crate::Sink::mender) of a sink with the ability `mends`, at any time and by any job; the rest of the
/// unit is not touched. Remove what is too much before putting what is missing: an `_id` may be too much as an int32
/// and missing as a double, and no store holds both.
///
/// Promises, which the conformance suite checks for every sink that declares it:
/// - N1 what `put` counts lies at the target afterwards, byte for byte, once, whatever was under its `_id`;
/// - N2 `remove` takes away the document of exactly that `_id`, of the same type and bytes, and never one that a store
///   merely finds equal (1 and 1.0);
/// - N3 what was answered for is durable, and either call may be repeated.
#[async_trait]
pub trait Mend: Send {
    /// Replaces each document by its `_id`, or adds it where there is none. They have different `_id`s.
    async fn put(&mut self, documents: &[Bytes]) -> Result<Mended>;

    /// Removes the documents of these `_id`s. Of each given document only the `_id` is looked at, so a document of nothing
    /// else will do: [`Element::to_document`](crate::element::Element::to_document). One that is not there is not counted.
    async fn remove(&mut self, documents: &[Bytes]) -> Result<Mended>;
}

/// What became of documents that were to be mended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// Documents that lie there now, or that were there and do not any more.
    pub documents: u64,
    /// What the target will not do, as it was given, with the reason.
    pub refused: Vec<RefusedDocument>,
}
