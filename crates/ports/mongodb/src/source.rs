//! The port for reading.

use async_trait::async_trait;
use capstan_endpoint::{
    BatchReader, Cursor, EndpointError, Listing, PlannedChunk, Range, Ranges, Result, Source, SourceAbilities,
    SplitTarget, Unit, UnitKind,
};
use serde::Deserialize;

use crate::listing;
use crate::range::{self, Place};
use crate::reader::{self, Reading};
use crate::server::Server;
use crate::split::Cutting;

/// Collections of a deployment, read while others may write to them.
#[derive(Debug)]
pub(crate) struct MongoSource {
    server: Server,
}

impl MongoSource {
    pub fn new(server: Server) -> Self {
        Self { server }
    }
}

#[async_trait]
impl Source for MongoSource {
    fn place(&self) -> String {
        self.server.place().into()
    }

    fn abilities(&self) -> SourceAbilities {
        SourceAbilities { ranges: Ranges::ById, stable: false, filters: true }
    }

    async fn units(&self) -> Result<Listing> {
        listing::list(&self.server).await
    }

    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        if unit.kind == UnitKind::View {
            return Ok(Vec::new());
        }
        let cutting = Cutting {
            server: &self.server,
            database: &unit.namespace.database,
            collection: &listing::stored_in(unit),
            filtered: unit.filter.is_some(),
        };
        cutting.split(target).await
    }

    async fn read(&self, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        let place = match from {
            None => Place::default(),
            Some(cursor) => Place::deserialize(&cursor.0).map_err(|error| EndpointError::Lost {
                what: "a cursor".into(),
                place: self.place(),
                reason: format!("it was made by another kind of source ({error})"),
            })?,
        };
        Ok(reader::read(Reading {
            pieces: range::recall(range, self.server.place())?,
            place,
            server: self.server.clone(),
            database: unit.namespace.database.clone(),
            collection: listing::stored_in(unit),
            filter: unit.filter.as_ref().map(capstan_endpoint::ExtJson::to_document),
        }))
    }
}
