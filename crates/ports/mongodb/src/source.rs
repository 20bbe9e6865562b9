//! The port for reading.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use capstan_endpoint::{
    BatchReader, Cursor, EndpointError, ExtJson, Listing, Namespace, PlannedChunk, Range, Ranges, Result, SetAside,
    Source, SourceAbilities, SplitTarget, Unit, UnitKind, Whereabouts,
};
use serde::Deserialize;

use crate::listing;
use crate::range::{self, Place};
use crate::reader::{self, Reading};
use crate::server::Server;
use crate::split::Cutting;
use crate::uncut::Uncut;
use crate::whereabouts;

/// Collections of a deployment, read while others may write to them.
#[derive(Debug)]
pub(crate) struct MongoSource {
    server: Server,
    /// What units were cut without, until somebody asks.
    fallbacks: Mutex<BTreeMap<Namespace, Vec<SetAside>>>,
}

impl MongoSource {
    pub fn new(server: Server) -> Self {
        Self { server, fallbacks: Mutex::default() }
    }

    fn fallbacks(&self) -> MutexGuard<'_, BTreeMap<Namespace, Vec<SetAside>>> {
        // Whole entries come and go: a panic cannot have left one half-made.
        self.fallbacks.lock().unwrap_or_else(PoisonError::into_inner)
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

    async fn whereabouts(&self) -> Result<Whereabouts> {
        Ok(whereabouts::of(&self.server).await)
    }

    async fn sees(&self, trace: &str) -> Result<bool> {
        whereabouts::sees(&self.server, trace).await
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
            uncut: Uncut::of(unit),
        };
        let cut = cutting.split(target).await?;
        let aside = cut.without.into_iter().map(|reason| SetAside { what: unit.namespace.to_string(), reason });
        self.fallbacks().insert(unit.namespace.clone(), aside.collect());
        Ok(cut.chunks)
    }

    fn fallbacks(&self, unit: &Unit) -> Vec<SetAside> {
        self.fallbacks().remove(&unit.namespace).unwrap_or_default()
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
            filter: unit.filter.as_ref().map(ExtJson::to_document),
            estimate: unit.estimate,
        }))
    }
}
