//! What verification mends with, and what it finds where there is nothing.

use crate::desk::Desk;
use async_trait::async_trait;
use bytes::Bytes;
use capstan_endpoint::{
    BatchReader, Cursor, EndpointError, Listing, Mend, Mended, PlannedChunk, Range, Ranges, Result, Source,
    SourceAbilities, SplitTarget, Unit,
};
use std::io;

/// A mender that touches nothing once the lease may have ended.
pub(super) struct Leased<'a> {
    pub mender: Box<dyn Mend>,
    pub desk: &'a Desk,
}

impl Leased<'_> {
    fn may_write(&self) -> Result<()> {
        self.desk.may_write().map_err(|_| EndpointError::Unavailable {
            place: "this worker".into(),
            action: "mending".into(),
            source: Box::new(io::Error::other("its lease may have ended")),
        })
    }
}

#[async_trait]
impl Mend for Leased<'_> {
    async fn put(&mut self, documents: &[Bytes]) -> Result<Mended> {
        self.may_write()?;
        self.mender.put(documents).await
    }

    async fn remove(&mut self, documents: &[Bytes]) -> Result<Mended> {
        self.may_write()?;
        self.mender.remove(documents).await
    }
}

/// A unit that is not there.
pub(super) struct Nothing;

#[async_trait]
impl Source for Nothing {
    fn place(&self) -> String {
        "nothing".into()
    }

    fn abilities(&self) -> SourceAbilities {
        SourceAbilities { ranges: Ranges::ByCount, stable: true, filters: true }
    }

    async fn units(&self) -> Result<Listing> {
        Ok(Listing::default())
    }

    async fn split(&self, _: &Unit, _: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        Ok(Vec::new())
    }

    async fn read(&self, unit: &Unit, _: &Range, _: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        Err(EndpointError::Missing { what: unit.namespace.to_string(), place: self.place() })
    }
}
