//! The port for reading: listed and split by the native source, read by mongodump.

use std::sync::Arc;

use async_trait::async_trait;
use capstan_endpoint::{
    BatchReader, Cursor, EndpointError, Listing, PlannedChunk, Range, Result, Source, SourceAbilities, SplitTarget,
    Unit, UnitKind, Whereabouts,
};
use capstan_mongodb::queries;
use serde::Deserialize;

use crate::reader::{self, Place, Reading};
use crate::running::Employer;

/// Collections of a deployment, read by one mongodump for each stretch of `_id`s.
///
/// mongodump promises no order, so a cursor counts documents and holds a hash of all that was passed. Going on from it
/// reads them again: where they are the same bytes in the same order, what follows is exactly the rest; where they are not,
/// the chunk has to be done again.
pub(crate) struct ToolsSource {
    pub native: Arc<dyn Source>,
    pub employer: Employer,
}

#[async_trait]
impl Source for ToolsSource {
    fn place(&self) -> String {
        self.native.place()
    }

    fn abilities(&self) -> SourceAbilities {
        SourceAbilities { stable: false, ..self.native.abilities() }
    }

    async fn whereabouts(&self) -> Result<Whereabouts> {
        self.native.whereabouts().await
    }

    async fn sees(&self, trace: &str) -> Result<bool> {
        self.native.sees(trace).await
    }

    async fn units(&self) -> Result<Listing> {
        self.native.units().await
    }

    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        // mongodump takes no query on a time-series collection but on its meta field.
        let whole = SplitTarget { documents: u64::MAX, bytes: u64::MAX, chunks_max: 1 };
        let target = if unit.kind == UnitKind::TimeSeries { &whole } else { target };
        queries::by_comparison(self.native.split(unit, target).await?, &self.place())
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
        let queries = queries::queries(unit, range, &self.place())?;
        if unit.kind == UnitKind::TimeSeries && unit.filter.is_some() {
            let reason = "mongodump takes no query on its buckets; use the native engine";
            return Err(EndpointError::unsupported(format!("a filter on {}", unit.namespace), self.place(), reason));
        }
        Ok(reader::read(Reading { employer: self.employer.clone(), namespace: unit.namespace.clone(), queries, place }))
    }
}
