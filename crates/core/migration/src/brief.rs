//! What a worker is told beside an item's payload: all that the items of a unit, or of a job, share.

use crate::facts::{DumpedChunk, LandedChunk};
use crate::item::Stage;
use crate::limits::BRIEF_PAGE_BYTES;
use crate::name::{JobName, Namespace, UnitId};
use crate::payload::{raw, text};
use crate::rejection::Rejection;
use crate::selection::Selection;
use crate::spec::{Mode, Rates, Spec};
use crate::state::{Job, Jobs, Unit};
use capstan_ids::{ItemId, SessionName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Chunks of a kept dump in one entry of a page.
const CHUNKS_PER_ENTRY: usize = 32;

/// One page of a brief.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// A [`BriefText`] as JSON.
    pub text: Box<str>,
    /// Where the next page begins, if there is one.
    pub next: Option<u32>,
}

/// What a brief says. The first page says all of it but for lists that are long; later ones go on with those.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BriefText {
    /// The job.
    pub job: JobName,
    /// What it is to do.
    pub spec: Spec,
    /// The unit, for an item that is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitBrief>,
    /// For `index`: the unit's chunks in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<LandedChunk>,
    /// For `finish`: all units that have come whole, in the order they were found. Neighbours of one id are one unit whose
    /// chunks fill several entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<UnitBrief>,
    /// For `abandon`: what the target has of unfinished units goes too.
    #[serde(default)]
    pub drop_partial: bool,
    /// For a survey of collections that were added while the job runs: only these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// How fast this one item may go now: its share of the job's rates. Asked for anew every few seconds.
    #[serde(default)]
    pub share: RateShare,
}

/// How many items move documents now, by which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Dumps that run.
    pub reading: u32,
    /// Restores and copies that run.
    pub writing: u32,
}

impl Sharing {
    /// One of so many gets its part; a rate holds for what is read and for what is written, each.
    fn of(self, stage: Stage, rates: Rates) -> RateShare {
        let live = match stage {
            Stage::Dump { .. } => self.reading,
            Stage::Restore { .. } | Stage::Copy { .. } => self.writing,
            _ => return RateShare::default(),
        };
        let part = |rate: Option<u64>| rate.map(|rate| rate as f64 / f64::from(live.max(1)));
        RateShare { documents: part(rates.documents), bytes: part(rates.bytes) }
    }
}

/// What one running item may take of its job's rates; what is not given is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RateShare {
    /// Documents a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<f64>,
    /// Bytes of BSON a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<f64>,
}

/// A unit as its workers must know it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnitBrief {
    /// Its id.
    pub id: UnitId,
    /// Where it is read from.
    pub source: Namespace,
    /// Where it goes.
    pub target: Namespace,
    /// All that defines it, as the source's endpoint said it.
    pub definition: Box<RawValue>,
    /// Where its chunks lie, for what completes or proves a kept dump.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dumped: Vec<DumpedChunk>,
}

impl BriefText {
    /// Which collections the item is about: those of the specification, or those that were added while the job runs.
    /// `Err` names each pattern that is wrong by its field and place.
    pub fn selection(&self) -> Result<Selection, Vec<(String, String)>> {
        Selection::of_those(&self.spec, &self.only)
    }
}

impl Jobs {
    /// One page of what the job keeps for the worker of `item`; `from` is 0, then what the page before named as next.
    ///
    /// `sharing` says how many items share the job's rates now with this one among them.
    pub fn brief(&self, session: &SessionName, item: &ItemId, from: u32, sharing: Sharing) -> Result<Brief, Rejection> {
        let name = JobName::of_session(session).ok_or_else(|| Rejection::NoBrief {
            job: JobName::new("none").expect("a plain word"),
            item: item.as_str().into(),
            problem: "its session is no job's",
        })?;
        let job = self.known(&name)?;
        let none = |problem| Rejection::NoBrief { job: name.clone(), item: item.as_str().into(), problem };
        let stage: Stage = item.as_str().parse().map_err(|_| none("it is none of the job's stages"))?;
        let unit = match stage.unit() {
            Some(id) => Some(job.unit(id).ok_or_else(|| none("its unit is not the job's"))?),
            None => None,
        };
        let mut brief = BriefText {
            job: name.clone(),
            spec: job.head.spec.clone(),
            unit: unit.map(Unit::brief),
            chunks: Vec::new(),
            units: Vec::new(),
            drop_partial: job.head.cancelled.as_ref().is_some_and(|cancelled| cancelled.drop_partial),
            only: match stage {
                Stage::Survey { round } => job.added(round).map(<[String]>::to_vec).unwrap_or_default(),
                _ => Vec::new(),
            },
            share: sharing.of(stage, job.rates()),
        };
        let next = match (stage, unit) {
            (Stage::Index(_), Some(unit)) => page(&mut brief.chunks, unit.landed_from(from)),
            (Stage::Finish, _) => page(&mut brief.units, job.units_from(from)),
            (Stage::Verify(_), Some(unit)) if job.head.spec.mode == Mode::DumpOnly => {
                let mut dumped = Vec::new();
                let next = page(&mut dumped, unit.dumped_from(from));
                brief.unit = Some(UnitBrief { dumped, ..unit.brief() });
                next
            }
            _ => None,
        };
        Ok(Brief { text: text(&brief), next: next.map(|taken| from.saturating_add(taken)) })
    }
}

/// Fills a page; how many were taken, if there are more.
fn page<T>(list: &mut Vec<T>, entries: impl Iterator<Item = (T, usize)>) -> Option<u32> {
    let mut room = BRIEF_PAGE_BYTES;
    for (entry, bytes) in entries {
        if room == 0 {
            return Some(list.len() as u32);
        }
        room = room.saturating_sub(bytes);
        list.push(entry);
    }
    None
}

impl Unit {
    fn brief(&self) -> UnitBrief {
        UnitBrief {
            id: self.head.id,
            source: self.head.source.clone(),
            target: self.head.target.clone(),
            definition: raw(&self.head.definition),
            dumped: Vec::new(),
        }
    }

    /// Chunks that lie in the spool, each with about the bytes it takes in a page.
    fn dumped_from(&self, from: u32) -> impl Iterator<Item = (DumpedChunk, usize)> {
        (from..).zip(self.chunks.iter().skip(from as usize)).map(|(index, chunk)| {
            let dumped = chunk.dumped.clone().unwrap_or_default();
            let bytes = 120 + dumped.parts.iter().map(|part| part.name.len() + 150).sum::<usize>();
            let facts = DumpedChunk {
                chunk: index,
                generation: chunk.generation,
                documents: dumped.figures.documents,
                bytes: dumped.figures.bytes,
                parts: dumped.parts,
                marker: dumped.marker,
            };
            (facts, bytes)
        })
    }

    /// Chunks that have arrived, each with about the bytes it takes in a page.
    fn landed_from(&self, from: u32) -> impl Iterator<Item = (LandedChunk, usize)> {
        (from..).zip(self.chunks.iter().skip(from as usize)).map(|(index, chunk)| {
            let landed = chunk.landed.clone().unwrap_or_default();
            let bytes = 80 + landed.parts.iter().map(|part| part.name.len() + 100).sum::<usize>();
            let facts = LandedChunk {
                chunk: index,
                generation: chunk.generation,
                documents: landed.figures.documents,
                bytes: landed.figures.bytes,
                parts: landed.parts,
            };
            (facts, bytes)
        })
    }
}

impl Job {
    /// What the survey of units that were added is about.
    fn added(&self, round: u32) -> Option<&[String]> {
        self.head.rounds.get((round as usize).checked_sub(1)?).map(|round| round.only.as_slice())
    }

    /// Which collections a survey is about.
    pub(crate) fn selection(&self, round: u32) -> Result<Selection, Vec<(String, String)>> {
        Selection::of_those(&self.head.spec, self.added(round).unwrap_or_default())
    }

    /// Complete units; of a kept dump with where their chunks lie, a few in each entry.
    fn units_from(&self, from: u32) -> impl Iterator<Item = (UnitBrief, usize)> {
        let mode = self.head.spec.mode;
        let complete = self.units.iter().filter(move |unit| unit.is_complete(mode));
        let entries = complete.flat_map(move |unit| {
            let slices = if mode == Mode::DumpOnly { unit.chunks.len().div_ceil(CHUNKS_PER_ENTRY).max(1) } else { 1 };
            (0..slices).map(move |slice| (unit, slice * CHUNKS_PER_ENTRY))
        });
        entries.skip(from as usize).map(move |(unit, first)| {
            let brief = unit.brief();
            let size = unit.head.definition.len() + 200;
            if mode != Mode::DumpOnly {
                return (brief, size);
            }
            let (dumped, sizes): (Vec<_>, Vec<_>) = unit.dumped_from(first as u32).take(CHUNKS_PER_ENTRY).unzip();
            (UnitBrief { dumped, ..brief }, size + sizes.iter().sum::<usize>())
        })
    }
}
