//! Ranges as queries, for programs that are given a query and no index bounds.
//!
//! [`by_comparison`] cuts the ranges of a [`MongoAdapter`](crate::MongoAdapter)'s source again, at the same `_id`s and inside kinds of
//! values only, where comparisons are sound on every server; the reason is in `range.rs`. Each piece of such a range is one
//! query ([`queries`]), and what it answers is looked through once more by [`PieceQuery::takes`], as our own reader does.

use std::collections::BTreeMap;

use bson::{Document, doc};
use capstan_endpoint::element::{self, Element};
use capstan_endpoint::{EndpointError, ExtJson, PlannedChunk, Range, Result, Unit};

use crate::id::Id;
use crate::range::{Bounds, Kind, Piece, keep, raw, recall, stretches};

/// One query of those that read a range, each after the other.
#[derive(Clone, Debug)]
pub struct PieceQuery {
    piece: Piece,
    filter: Document,
}

impl PieceQuery {
    /// The query in canonical extended JSON; `None` where all documents of the unit belong here.
    pub fn to_ext_json(&self) -> Option<ExtJson> {
        if self.filter.is_empty() {
            return None;
        }
        Some(ExtJson::from_raw(&raw(&self.filter)).expect("a query of extended JSON is written as extended JSON"))
    }

    /// Whether a document that the query gave belongs to the piece, as far as the server may have left that open.
    pub fn takes(&self, document: &[u8]) -> bool {
        self.piece.takes(element::id_of(document))
    }
}

/// The queries that read a range of a unit, its filter included. Their answers are disjoint.
///
/// Fails where the range is cut by index bounds.
pub fn queries(unit: &Unit, range: &Range, place: &str) -> Result<Vec<PieceQuery>> {
    let given = unit.filter.as_ref().map(ExtJson::to_document);
    let query = |piece: Piece| {
        let piece = match piece {
            Piece::Ids(bounds) if bounds == Bounds::default() => Piece::Others { except: Vec::new() },
            Piece::Ids(_) => {
                let reason = "it was cut for readers that use index bounds; begin the job anew to read by queries";
                return Err(EndpointError::unsupported("this range", place, reason));
            }
            // The programs read a whole collection as it is stored.
            Piece::Stored => Piece::Others { except: Vec::new() },
            piece => piece,
        };
        let filter = match (piece.filter(None), &given) {
            (own, None) => own,
            (own, Some(given)) if own.is_empty() => given.clone(),
            (own, Some(given)) => doc! { "$and": [own, given.clone()] },
        };
        Ok(PieceQuery { piece, filter })
    };
    recall(range, place)?.into_iter().map(query).collect()
}

/// The chunks of a unit cut inside kinds of `_id`s, about as large as they were. What is cut so already stays as it is.
pub fn by_comparison(chunks: Vec<PlannedChunk>, place: &str) -> Result<Vec<PlannedChunk>> {
    let mut boundaries: Vec<Id> = Vec::new();
    for chunk in &chunks {
        for piece in recall(&chunk.range, place)? {
            match piece {
                Piece::Ids(bounds) => boundaries.extend(bounds.from),
                Piece::Of { .. } | Piece::Others { .. } | Piece::Stored => return Ok(chunks),
            }
        }
    }
    if chunks.is_empty() {
        return Ok(chunks);
    }
    let found = boundaries.len();
    let mut cut: BTreeMap<Kind, Vec<Id>> = BTreeMap::new();
    for boundary in boundaries {
        if let Some(kind) = Kind::of(Element { kind: boundary.kind, value: &boundary.value }) {
            cut.entry(kind).or_default().push(boundary);
        }
    }
    let others_hold_boundaries = cut.values().map(Vec::len).sum::<usize>() < found;
    let rest = Piece::Others { except: cut.keys().copied().collect() };
    let mut ranges: Vec<Vec<Piece>> = Vec::new();
    for (kind, boundaries) in cut {
        ranges.extend(stretches(boundaries).into_iter().map(|bounds| vec![Piece::Of { kind, bounds }]));
    }
    match ranges.last_mut() {
        // Few values, if any: not worth a chunk of their own.
        Some(last) if !others_hold_boundaries => last.push(rest),
        _ => ranges.push(vec![rest]),
    }
    let share = |size: fn(&PlannedChunk) -> Option<u64>| {
        let sum: Option<u64> = chunks.iter().map(size).sum();
        sum.map(|sum| sum.div_ceil(ranges.len() as u64))
    };
    let (documents, bytes) = (share(|chunk| chunk.documents), share(|chunk| chunk.bytes));
    Ok(ranges.iter().map(|pieces| PlannedChunk { range: keep(pieces), documents, bytes }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::Bson;
    use capstan_endpoint::Namespace;
    use capstan_endpoint::conformance::fixtures;

    fn id(value: &fixtures::Value) -> Id {
        Id { kind: value.kind, value: value.bytes.clone() }
    }

    fn indexed(boundaries: Vec<Id>) -> Vec<PlannedChunk> {
        let chunk = |bounds| PlannedChunk { range: keep(&[Piece::Ids(bounds)]), documents: Some(10), bytes: Some(100) };
        stretches(boundaries).into_iter().map(chunk).collect()
    }

    fn pieces(chunks: &[PlannedChunk]) -> Vec<Vec<Piece>> {
        chunks.iter().map(|chunk| recall(&chunk.range, "here").unwrap()).collect()
    }

    #[test]
    fn index_bounds_are_cut_again_inside_kinds_and_all_other_values_have_a_place() {
        let boundaries = [fixtures::int32(5), fixtures::int32(9), fixtures::string("m")].iter().map(id).collect();

        let again = by_comparison(indexed(boundaries), "here").unwrap();

        let number = |from: Option<i32>, to: Option<i32>| Piece::Of {
            kind: Kind::Number,
            bounds: Bounds { from: from.map(|n| id(&fixtures::int32(n))), to: to.map(|n| id(&fixtures::int32(n))) },
        };
        let string = |from: Option<&str>, to: Option<&str>| Piece::Of {
            kind: Kind::String,
            bounds: Bounds { from: from.map(|t| id(&fixtures::string(t))), to: to.map(|t| id(&fixtures::string(t))) },
        };
        let rest = Piece::Others { except: vec![Kind::Number, Kind::String] };
        let expected = [
            vec![number(None, Some(5))],
            vec![number(Some(5), Some(9))],
            vec![number(Some(9), None)],
            vec![string(None, Some("m"))],
            vec![string(Some("m"), None), rest],
        ];
        assert_eq!(pieces(&again), expected);
        assert_eq!(again.iter().map(|chunk| chunk.documents).collect::<Vec<_>>(), [Some(8); 5]);
        assert_eq!(by_comparison(again.clone(), "here").unwrap(), again);
    }

    #[test]
    fn values_that_are_compared_in_several_ways_are_no_boundaries_and_get_a_chunk_of_their_own() {
        let nan = fixtures::Value { kind: 0x01, bytes: f64::NAN.to_le_bytes().into() };
        let nested = fixtures::Value { kind: 0x03, bytes: fixtures::document(&[]) };

        let again = by_comparison(indexed([nan, nested].iter().map(id).collect()), "here").unwrap();
        assert_eq!(pieces(&again), [[Piece::Others { except: Vec::new() }]]);

        let nested = fixtures::Value { kind: 0x03, bytes: fixtures::document(&[]) };
        let again = by_comparison(indexed([fixtures::int32(1), nested].iter().map(id).collect()), "here").unwrap();
        assert_eq!(pieces(&again)[2], [Piece::Others { except: vec![Kind::Number] }]);
    }

    #[test]
    fn a_piece_is_one_query_with_the_filter_of_its_unit() {
        let filter = ExtJson::parse(r#"{"z":1,"a":{"$gt":2}}"#).unwrap();
        let unit = Unit { filter: Some(filter), ..Unit::collection(Namespace::new("a", "b")) };
        let chunks = by_comparison(indexed(vec![id(&fixtures::string("m"))]), "here").unwrap();

        let found = queries(&unit, &chunks[1].range, "here").unwrap();

        let text = |at: usize| found[at].to_ext_json().unwrap().to_document();
        assert_eq!(text(0), doc! { "$and": [{ "_id": { "$gte": "m" } }, { "z": 1, "a": { "$gt": 2 } }] });
        let nor = doc! { "$nor": [{ "_id": { "$type": "string" } }] };
        assert_eq!(text(1).get_array("$and").unwrap()[0], Bson::Document(nor));
        let document = |value: &fixtures::Value| fixtures::document(&[("_id", value)]);
        assert!(found[0].takes(&document(&fixtures::string("z"))) && !found[0].takes(&document(&fixtures::int32(1))));
        assert!(!found[1].takes(&document(&fixtures::string("z"))) && found[1].takes(&document(&fixtures::int32(1))));
    }

    #[test]
    fn a_whole_collection_needs_no_query_and_index_bounds_are_refused() {
        let unit = Unit::collection(Namespace::new("a", "b"));
        let whole = queries(&unit, &keep(&[Piece::Ids(Bounds::default())]), "here").unwrap();
        assert!(whole.len() == 1 && whole[0].to_ext_json().is_none());

        let bounded = indexed(vec![id(&fixtures::int32(1))]);
        assert!(queries(&unit, &bounded[0].range, "here").unwrap_err().is_permanent());
    }
}
