//! Cuts a collection into ranges of `_id`s.

use std::collections::BTreeMap;

use bson::{Bson, Document, doc};
use capstan_endpoint::element::Element;
use capstan_endpoint::{EndpointError, ErrorClass, PlannedChunk, Result, SplitTarget};

use crate::id::Id;
use crate::order;
use crate::range::{Bounds, Kind, Piece, keep, raw, stretches, value};
use crate::sampled::{Sampled, even};
use crate::server::Server;
use crate::uncut::Uncut;

/// Ranges of a server that looks at all documents for each of them.
const SCANNED_CHUNKS_MAX: u64 = 16;
/// Sampled `_id`s for each range: their quantiles are then about a third of a range off.
const SAMPLES_PER_CHUNK: u64 = 10;
/// Sampled `_id`s at most.
const SAMPLES_MAX: u64 = 100_000;
/// `_id`s remembered of each kind while all are walked.
const WALKED_KEPT_MAX: usize = 4_096;
/// An `_id` of more bytes is no boundary.
const BOUNDARY_BYTES_MAX: usize = 2_048;

/// One collection that is to be cut.
pub(crate) struct Cutting<'a> {
    pub server: &'a Server,
    pub database: &'a str,
    pub collection: &'a str,
    /// Only some of its documents will be read, so that sizes are not known.
    pub filtered: bool,
    pub uncut: Option<Uncut>,
}

/// How much a collection holds, as far as the server knows without looking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub documents: Option<u64>,
    pub bytes: Option<u64>,
}

/// A collection that was cut, and what had to be done without.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    pub chunks: Vec<PlannedChunk>,
    /// For people: what the server does not offer, and what was done instead.
    pub without: Vec<String>,
}

impl Cutting<'_> {
    pub async fn split(&self, target: &SplitTarget) -> Result<Cut> {
        let size = self.server.size(self.database, self.collection).await?;
        let wanted = wanted(size, target);
        let mut cut = Cut { chunks: Vec::new(), without: unsized_in(size) };
        if let Some(uncut) = self.uncut {
            cut.chunks.push(self.chunk(&[uncut.piece()], size.documents, size));
            cut.without.extend(uncut.without());
            return Ok(cut);
        }
        let Some(ids) = self.two_ids().await? else {
            cut.chunks.push(self.chunk(&whole(), size.documents, size));
            return Ok(cut);
        };
        if self.honours_bounds(&ids).await? {
            let boundaries =
                if wanted > 1 { self.boundaries(size, wanted, &mut cut.without).await? } else { Vec::new() };
            let ranges = stretches(boundaries);
            let each = size.documents.map(|documents| documents.div_ceil(ranges.len() as u64));
            cut.chunks = ranges.into_iter().map(|range| self.chunk(&[Piece::Ids(range)], each, size)).collect();
            return Ok(cut);
        }
        if wanted <= 1 {
            cut.chunks.push(self.chunk(&whole(), size.documents, size));
            return Ok(cut);
        }
        let (limit, how) = if self.finds_by_index(&ids[0]).await {
            (u64::MAX, "its chunks are comparisons of _ids of one kind")
        } else {
            (SCANNED_CHUNKS_MAX, "each of its chunks, 16 at most, makes the server look at all of it")
        };
        cut.without.push(format!("the server reads no range of an index (`min` and `max`): {how}"));
        cut.chunks = self.by_kind(wanted.min(limit), size).await?;
        Ok(cut)
    }

    fn chunk(&self, pieces: &[Piece], documents: Option<u64>, size: Size) -> PlannedChunk {
        let documents = documents.filter(|_| !self.filtered);
        let average = size.bytes.unwrap_or(0) / size.documents.unwrap_or(0).max(1);
        PlannedChunk { range: keep(pieces), documents, bytes: documents.map(|documents| documents * average) }
    }

    /// Two `_id`s, if there are two.
    async fn two_ids(&self) -> Result<Option<[Id; 2]>> {
        let find = doc! { "find": self.collection, "projection": { "_id": 1 }, "limit": 2, "batchSize": 2 };
        let found = self.server.gather(self.database, raw(&find), "looking for an _id").await?;
        let mut ids = found.iter().filter_map(|document| Id::of(document.as_bytes()));
        Ok(ids.next().zip(ids.next()).map(|(one, other)| [one, other]))
    }

    /// Whether `min` begins where it says: a server that only ignores it answers both questions with one document.
    async fn honours_bounds(&self, ids: &[Id; 2]) -> Result<bool> {
        for id in ids {
            let find = doc! {
                "find": self.collection, "hint": { "_id": 1 }, "projection": { "_id": 1 }, "limit": 1, "batchSize": 1,
                "min": Document::try_from(id.document().as_ref()).unwrap_or_default(),
            };
            let first = match self.server.gather(self.database, raw(&find), "asking for index bounds").await {
                Ok(found) => found.first().and_then(|document| Id::of(document.as_bytes())),
                Err(error) if error.is_permanent() => None,
                Err(error) => self.forgive(error).await?,
            };
            if first.as_ref() != Some(id) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A server may answer a question that it does not know by closing the connection.
    async fn forgive<T>(&self, error: EndpointError) -> Result<Option<T>> {
        let passing = error.class() == ErrorClass::Transient && self.server.answers().await;
        if passing || error.is_permanent() { Ok(None) } else { Err(error) }
    }

    /// Whether a comparison is answered from the index, as far as the server explains itself.
    async fn finds_by_index(&self, id: &Id) -> bool {
        let find = doc! { "find": self.collection, "filter": { "_id": { "$gte": value(id) } } };
        let explained = self.server.run(self.database, doc! { "explain": find, "verbosity": "queryPlanner" }).await;
        explained.is_ok_and(|plan| mentions(&Bson::Document(plan), &["IXSCAN", "CLUSTERED_IXSCAN", "EXPRESS_IXSCAN"]))
    }

    /// Places of the index that cut it into about so many ranges, in its order.
    async fn boundaries(&self, size: Size, wanted: u64, without: &mut Vec<String>) -> Result<Vec<Id>> {
        let documents = size.documents.unwrap_or(0).max(1);
        let samples = (wanted * SAMPLES_PER_CHUNK).min(SAMPLES_MAX).min(documents).max(wanted);
        let sampled = match self.sample(samples).await {
            Ok(sampled) => even(&sampled, wanted),
            Err(error) => {
                self.forgive::<()>(error).await?;
                without.push(
                    "the server takes no samples (`$sample`): its chunks are even in documents, whatever their sizes"
                        .into(),
                );
                self.step(documents.div_ceil(wanted), wanted - 1).await?
            }
        };
        let mut boundaries: Vec<Id> = sampled.into_iter().filter(|id| id.value.len() <= BOUNDARY_BYTES_MAX).collect();
        boundaries.dedup();
        Ok(boundaries)
    }

    /// Random `_id`s in the order of the index. Sorted by the server: a collation of the collection is its business.
    async fn sample(&self, count: u64) -> Result<Vec<Sampled>> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let ask = async |fields: Document| {
            let stages =
                [doc! { "$sample": { "size": count } }, doc! { "$project": fields }, doc! { "$sort": { "_id": 1 } }];
            let aggregate = doc! { "aggregate": self.collection, "pipeline": stages.to_vec(), "cursor": { "batchSize": 10_000 }, "allowDiskUse": true };
            self.server.gather(self.database, raw(&aggregate), "sampling").await
        };
        let found = match ask(doc! { "_id": 1, "bytes": { "$bsonSize": "$$ROOT" } }).await {
            Ok(found) => found,
            // Servers before 4.4 do not know how large a document is.
            Err(error) => {
                self.forgive::<()>(error).await?;
                ask(doc! { "_id": 1 }).await?
            }
        };
        Ok(found.iter().filter_map(|document| Sampled::of(document)).collect())
    }

    /// Every so many-th `_id`, by skipping along the index.
    async fn step(&self, stride: u64, count: u64) -> Result<Vec<Id>> {
        let mut boundaries: Vec<Id> = Vec::new();
        while (boundaries.len() as u64) < count {
            let mut find = doc! {
                "find": self.collection, "hint": { "_id": 1 }, "projection": { "_id": 1 }, "sort": { "_id": 1 },
                "skip": i64::try_from(stride).unwrap_or(i64::MAX), "limit": 1, "batchSize": 1,
            };
            if let Some(last) = boundaries.last() {
                find.insert("min", Document::try_from(last.document().as_ref()).unwrap_or_default());
            }
            let found = self.server.gather(self.database, raw(&find), "stepping along the index").await?;
            match found.first().and_then(|document| Id::of(document.as_bytes())) {
                Some(id) if boundaries.last() != Some(&id) => boundaries.push(id),
                _ => break,
            }
        }
        Ok(boundaries)
    }

    /// Cuts inside kinds, after one walk over all `_id`s.
    async fn by_kind(&self, wanted: u64, size: Size) -> Result<Vec<PlannedChunk>> {
        let find = doc! { "find": self.collection, "projection": { "_id": 1 }, "batchSize": 10_000 };
        let mut walk = Walk::default();
        self.server
            .each(self.database, raw(&find), "walking over all _ids", |document| walk.see(Id::of(document)))
            .await?;
        let mut cut = BTreeMap::new();
        for (kind, seen) in &walk.kinds {
            let parts = wanted * seen.count / walk.count.max(1);
            if parts >= 2 {
                let boundaries = self.in_order(seen.boundaries(parts)).await?;
                if !boundaries.is_empty() {
                    cut.insert(*kind, boundaries);
                }
            }
        }
        Ok(walk.ranges(&cut, wanted).into_iter().map(|(range, count)| self.chunk(&range, Some(count), size)).collect())
    }

    /// Boundaries in the order that this server has, by its own word; none where it cannot say.
    async fn in_order(&self, boundaries: Vec<Id>) -> Result<Vec<Id>> {
        let values: Vec<Bson> = boundaries.iter().map(value).collect();
        let find = doc! { "find": self.collection, "filter": { "_id": { "$in": values } }, "projection": { "_id": 1 }, "sort": { "_id": 1 } };
        match self.server.gather(self.database, raw(&find), "ordering _ids").await {
            Ok(found) => {
                let ordered: Vec<Id> = found.iter().filter_map(|document| Id::of(document.as_bytes())).collect();
                let all = ordered.len() == boundaries.len() && boundaries.iter().all(|id| ordered.contains(id));
                Ok(if all { ordered } else { Vec::new() })
            }
            Err(error) => self.forgive(error).await.map(Option::unwrap_or_default),
        }
    }
}

/// A unit as one range, read in no order.
fn whole() -> [Piece; 1] {
    [Piece::Others { except: Vec::new() }]
}

/// How many ranges a target asks for.
fn wanted(size: Size, target: &SplitTarget) -> u64 {
    let Some(documents) = size.documents.filter(|documents| *documents > 0) else { return 1 };
    let by_documents = documents.div_ceil(target.documents.max(1));
    let by_bytes = size.bytes.map_or(1, |bytes| bytes.div_ceil(target.bytes.max(1)));
    by_documents.max(by_bytes).clamp(1, u64::from(target.chunks_max.max(1))).min(documents)
}

/// What a server does not say of a collection's size.
fn unsized_in(size: Size) -> Vec<String> {
    match size {
        Size { documents: None, .. } => {
            vec!["the server does not say how many documents it holds: it is one chunk".into()]
        }
        Size { bytes: None, .. } => {
            vec!["the server does not say how many bytes it holds: chunks are made by documents alone".into()]
        }
        _ => Vec::new(),
    }
}

/// The values that part a sorted list into so many parts.
fn quantiles(sorted: &[Id], parts: u64) -> Vec<Id> {
    let place = |part: u64| usize::try_from(part * sorted.len() as u64 / parts).expect("inside the list");
    (1..parts).filter_map(|part| sorted.get(place(part)).cloned()).collect()
}

fn mentions(value: &Bson, words: &[&str]) -> bool {
    match value {
        Bson::String(text) => words.contains(&text.as_str()),
        Bson::Document(document) => document.values().any(|value| mentions(value, words)),
        Bson::Array(values) => values.iter().any(|value| mentions(value, words)),
        _ => false,
    }
}

/// What was seen of all `_id`s.
#[derive(Default)]
struct Walk {
    kinds: BTreeMap<Kind, Seen>,
    count: u64,
}

/// One kind of `_id`s: every so many-th of them, so that memory stays bounded.
#[derive(Default)]
struct Seen {
    count: u64,
    kept: Vec<Id>,
    stride: u64,
}

impl Walk {
    fn see(&mut self, id: Option<Id>) {
        self.count += 1;
        let Some(id) = id else { return };
        if let Some(kind) = Kind::of(Element { kind: id.kind, value: &id.value }) {
            self.kinds.entry(kind).or_default().see(id);
        }
    }

    /// Ranges for the kinds that are cut, and everything else with the last of them.
    fn ranges(&self, cut: &BTreeMap<Kind, Vec<Id>>, wanted: u64) -> Vec<(Vec<Piece>, u64)> {
        let mut ranges = Vec::new();
        let mut others = self.count;
        for (kind, boundaries) in cut {
            let count = self.kinds[kind].count;
            others -= count;
            let bounds = stretches(boundaries.clone());
            let each = count.div_ceil(bounds.len() as u64);
            ranges.extend(bounds.into_iter().map(|bounds: Bounds| (vec![Piece::Of { kind: *kind, bounds }], each)));
        }
        let rest = Piece::Others { except: cut.keys().copied().collect() };
        // What comes in later and is of no kind seen now is read too, so there is always a place for it.
        match ranges.last_mut() {
            Some(last) if others == 0 || ranges_are_full(cut, wanted) => {
                last.0.push(rest);
                last.1 += others;
            }
            _ => ranges.push((vec![rest], others)),
        }
        ranges
    }
}

fn ranges_are_full(cut: &BTreeMap<Kind, Vec<Id>>, wanted: u64) -> bool {
    cut.values().map(|boundaries| boundaries.len() as u64 + 1).sum::<u64>() >= wanted
}

impl Seen {
    fn see(&mut self, id: Id) {
        self.stride = self.stride.max(1);
        if self.count.is_multiple_of(self.stride) && id.value.len() <= BOUNDARY_BYTES_MAX {
            self.kept.push(id);
            if self.kept.len() >= WALKED_KEPT_MAX {
                let mut even = false;
                self.kept.retain(|_| {
                    even = !even;
                    even
                });
                self.stride *= 2;
            }
        }
        self.count += 1;
    }

    fn boundaries(&self, parts: u64) -> Vec<Id> {
        let mut sorted: Vec<(Bson, Id)> = self.kept.iter().map(|id| (value(id), id.clone())).collect();
        sorted.sort_by(|one, other| order::compare(&one.0, &other.0));
        sorted.dedup_by(|one, other| order::compare(&one.0, &other.0).is_eq());
        let sorted: Vec<Id> = sorted.into_iter().map(|(_, id)| id).collect();
        let mut boundaries = quantiles(&sorted, parts);
        boundaries.dedup();
        boundaries
    }
}
