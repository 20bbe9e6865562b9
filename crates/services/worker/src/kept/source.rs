//! A kept dump as a source: what was dumped is read as if it were read from where it came.

use super::catalogue::{Catalogue, KeptUnit};
use super::entry::ChunkEntry;
use crate::places::Opened;
use async_trait::async_trait;
use capstan_endpoint::{
    Batch, BatchReader, Cursor, EndpointError, Estimate, Listing, PlannedChunk, Range, Ranges, Result, Source,
    SourceAbilities, SplitTarget, Unit, UnitKind,
};
use capstan_spool::{PartFacts, PartReader, SpoolError, SpoolFault};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Reads the parts of a kept dump, each proved against its facts before it is handed out. Changes nothing.
pub(crate) struct SpoolSource {
    opened: Opened,
    catalogue: Arc<Catalogue>,
}

/// Chunks of a unit, from the first up to and without the second, and the spool they lie in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chunks {
    spool: String,
    chunks: (usize, usize),
}

/// So many parts of a range are read, and so many blocks of the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    parts: usize,
    blocks: u32,
}

impl SpoolSource {
    pub fn new(opened: Opened, catalogue: Arc<Catalogue>) -> Self {
        Self { opened, catalogue }
    }

    fn kept(&self, unit: &Unit) -> Result<&KeptUnit> {
        let kept = self.catalogue.units.iter().find(|kept| kept.unit.namespace == unit.namespace);
        kept.ok_or_else(|| EndpointError::Missing { what: format!("`{}`", unit.namespace), place: self.place() })
    }

    fn recall<T: DeserializeOwned>(&self, kept: &serde_json::Value, what: &str) -> Result<T> {
        T::deserialize(kept).map_err(|_| {
            let reason = "it was made by another kind of source";
            EndpointError::Lost { what: what.into(), place: self.place(), reason: reason.into() }
        })
    }
}

#[async_trait]
impl Source for SpoolSource {
    fn place(&self) -> String {
        format!("the dump {} in {}", self.catalogue.job, self.opened.url)
    }

    fn abilities(&self) -> SourceAbilities {
        SourceAbilities { ranges: Ranges::ByPlace, stable: true, filters: false }
    }

    async fn units(&self) -> Result<Listing> {
        let units = self.catalogue.units.iter().map(|kept| {
            let (documents, bytes) = sum(&kept.chunks);
            let estimate = match kept.unit.kind {
                UnitKind::View => Estimate::default(),
                _ => Estimate { documents: Some(documents), bytes: Some(bytes) },
            };
            Unit { estimate, ..kept.unit.clone() }
        });
        Ok(Listing { units: units.collect(), set_aside: Vec::new() })
    }

    /// The chunks that were dumped, as they are; neighbours together where there may not be so many.
    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        let kept = self.kept(unit)?;
        let spool = self.opened.spool.marker().to_string();
        let together = kept.chunks.len().div_ceil(target.chunks_max.max(1) as usize).max(1);
        let ranges = kept.chunks.chunks(together).enumerate().map(|(number, chunks)| {
            let (first, (documents, bytes)) = (number * together, sum(chunks));
            let range = Chunks { spool: spool.clone(), chunks: (first, first + chunks.len()) };
            let range = Range(serde_json::to_value(range).expect("numbers are JSON"));
            PlannedChunk { range, documents: Some(documents), bytes: Some(bytes) }
        });
        Ok(ranges.collect())
    }

    async fn read(&self, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        // What was dumped was chosen by its own filter already.
        if unit.filter.is_some() && unit.filter != self.kept(unit)?.unit.filter {
            let reason = "a kept dump is read as it was filtered when it was made";
            return Err(EndpointError::unsupported("another filter", self.place(), reason));
        }
        let Chunks { chunks: (first, end), .. } = self.recall(&range.0, "a range")?;
        let chunks = self.kept(unit)?.chunks.get(first..end).ok_or_else(|| EndpointError::Lost {
            what: "a range".into(),
            place: self.place(),
            reason: format!("{} has no chunks {first} to {end}", unit.namespace),
        })?;
        let place: Place = match from {
            Some(cursor) => self.recall(&cursor.0, "a cursor")?,
            None => Place::default(),
        };
        let parts = chunks.iter().flat_map(|chunk| &chunk.parts).skip(place.parts).cloned().collect();
        let reader = KeptReader { opened: self.opened.clone(), name: self.place(), parts, part: None, place, seen: 0 };
        Ok(Box::new(reader))
    }
}

/// Whether a range of a kept dump lies in the spool with that marker; `Err` says in which it does.
pub(crate) fn lies_in(range: &Range, marker: &str) -> Result<(), String> {
    match Chunks::deserialize(&range.0) {
        Ok(range) if range.spool != marker => Err(range.spool),
        // What is no such range is refused by whoever reads it.
        _ => Ok(()),
    }
}

fn sum(chunks: &[ChunkEntry]) -> (u64, u64) {
    let sum = |figure: fn(&ChunkEntry) -> i64| chunks.iter().map(|chunk| figure(chunk).unsigned_abs()).sum();
    (sum(|chunk| chunk.documents), sum(|chunk| chunk.bytes))
}

/// Reads part after part.
struct KeptReader {
    opened: Opened,
    name: String,
    /// Those that are not read to their end, the one being read among them.
    parts: VecDeque<PartFacts>,
    part: Option<Box<dyn PartReader>>,
    /// What was handed out.
    place: Place,
    /// Blocks of the part that came, handed out or not.
    seen: u32,
}

#[async_trait]
impl BatchReader for KeptReader {
    async fn next(&mut self) -> Result<Option<Batch>> {
        loop {
            let Some(facts) = self.parts.front() else { return Ok(None) };
            let part = match &mut self.part {
                Some(part) => part,
                None => {
                    let opened = self.opened.spool.open_part(facts).await;
                    self.seen = 0;
                    self.part.insert(opened.map_err(|error| failed(&self.name, error))?)
                }
            };
            let Some(block) = part.next().await.map_err(|error| failed(&self.name, error))? else {
                self.parts.pop_front();
                self.part = None;
                self.place = Place { parts: self.place.parts + 1, blocks: 0 };
                continue;
            };
            self.seen += 1;
            if self.seen <= self.place.blocks || block.documents == 0 {
                // What came before the cursor was proved once more, and goes nowhere.
                continue;
            }
            self.place.blocks = self.seen;
            let cursor = Cursor(serde_json::to_value(self.place).expect("numbers are JSON"));
            return Ok(Some(Batch { bytes: block.bytes, documents: block.documents, cursor }));
        }
    }
}

/// Nobody can dump a kept dump again: what is damaged is damaged for good, and said by the name of the part.
fn failed(place: &str, error: SpoolError) -> EndpointError {
    match error {
        SpoolError::Missing { part, .. } => {
            EndpointError::Missing { what: format!("part {part}"), place: place.into() }
        }
        SpoolError::Damaged { part, offset, what, .. } => {
            EndpointError::damaged(format!("part {part} of {place}"), offset, what)
        }
        error if error.fault() == SpoolFault::Retry => {
            let action = "reading a kept dump".into();
            EndpointError::Unavailable { place: place.into(), action, source: Box::new(error) }
        }
        error => EndpointError::unsupported("reading a kept dump", place, crate::halt::told(&error)),
    }
}
