//! Ranges that lose nothing, on real servers: any mix of `_id`s, any target, any place to go on from.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod live;

use std::collections::BTreeMap;

use bson::{Bson, Document, doc, oid::ObjectId};
use capstan_endpoint::{ExtJson, SplitTarget, Unit};

use live::{Live, documents};

on_both_servers! {
    a_mix_of_ids_is_covered_once;
    ids_of_one_kind_are_cut_into_even_ranges;
    a_filter_on_the_id_narrows_each_range;
    a_range_is_gone_on_with_behind_any_batch;
    a_collection_of_none_or_one_document_is_one_range;
}

fn target(documents: u64, chunks_max: u32) -> SplitTarget {
    SplitTarget { documents, bytes: u64::MAX, chunks_max }
}

/// `_id`s of as many kinds as the server takes, among them the strings that others use as marks.
fn mixed_ids(live: &Live) -> Vec<Bson> {
    let mut ids: Vec<Bson> = vec![Bson::Null, Bson::Boolean(false), Bson::Boolean(true)];
    ids.extend((-20..20).map(Bson::Int32));
    ids.extend((0..20).map(|n| Bson::Int64((1 << 40) + n)));
    ids.extend((0..20).map(|n| Bson::Double(f64::from(n) + 0.5)));
    for text in ["", "BsonNull", "BsonMaxKey", "MinKey", "a", "B", "\u{fffd}", "\u{10000}", "ü", "{\"_id\":1}", "$oid"]
    {
        ids.push(Bson::String(text.into()));
    }
    ids.extend((0..40).map(|n| Bson::String(format!("key-{n:03}"))));
    ids.extend((0..40).map(|n: u8| Bson::ObjectId(ObjectId::from_bytes([n; 12]))));
    ids.extend((0..40).map(|n| Bson::DateTime(bson::DateTime::from_millis(50_000_000_000 + n * 100))));
    ids.push(Bson::Document(doc! { "a": 1, "b": 2 }));
    ids.push(Bson::Timestamp(bson::Timestamp { time: 5, increment: 1 }));
    for subtype in [0, 3, 4] {
        ids.push(Bson::Binary(bson::Binary {
            subtype: bson::spec::BinarySubtype::from(subtype),
            bytes: vec![subtype; 16],
        }));
    }
    if !live.is_ferret() {
        ids.push(Bson::Document(doc! { "b": 2, "a": 1 }));
        ids.extend([Bson::MinKey, Bson::MaxKey]);
        ids.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Bson::Double));
        ids.extend(["3.25", "-1E+10"].map(|text| Bson::Decimal128(text.parse().unwrap())));
        ids.push(Bson::JavaScriptCode("f".into()));
    }
    ids
}

async fn fill(live: &Live, collection: &str, ids: Vec<Bson>) -> Unit {
    for some in ids.chunks(500) {
        let documents: Vec<Document> = some.iter().map(|id| doc! { "_id": id.clone(), "n": 1 }).collect();
        let answer = live.run("r", doc! { "insert": collection, "documents": documents }).await;
        assert!(!answer.contains_key("writeErrors"), "{answer}");
    }
    live.unit("r", collection)
}

/// How often each document is read over all ranges of a split.
async fn read_counts(live: &Live, unit: &Unit, target: &SplitTarget) -> (usize, BTreeMap<String, usize>) {
    let source = live.source("r").await;
    let chunks = source.split(unit, target).await.unwrap();
    let mut counts = BTreeMap::new();
    for chunk in &chunks {
        for document in documents(&*source, unit, &chunk.range, None).await {
            let raw = bson::RawDocument::from_bytes(&document).unwrap();
            *counts.entry(ExtJson::from_raw(raw).unwrap().to_string()).or_default() += 1;
        }
    }
    (chunks.len(), counts)
}

async fn a_mix_of_ids_is_covered_once(live: &Live) {
    let ids = mixed_ids(live);
    let unit = fill(live, "mixed", ids.clone()).await;
    for chunks_max in [1, 2, 3, 5, 8, 16, 1_000] {
        let (chunks, counts) = read_counts(live, &unit, &target(3, chunks_max)).await;
        assert!(chunks <= chunks_max as usize);
        assert!(chunks_max < 16 || chunks > 1, "nothing was cut");
        assert_eq!(counts.len(), ids.len(), "{chunks_max} chunks: documents are lost");
        let again: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
        assert!(again.is_empty(), "{chunks_max} chunks: read more than once: {again:?}");
    }
}

async fn ids_of_one_kind_are_cut_into_even_ranges(live: &Live) {
    let unit = fill(live, "even", (0..2_000).map(|n| Bson::Int32(n * 7 % 2_003)).collect()).await;
    let source = live.source("r").await;

    let chunks = source.split(&unit, &target(250, 1_000)).await.unwrap();

    assert_eq!(chunks.len(), 8);
    for chunk in &chunks {
        let count = documents(&*source, &unit, &chunk.range, None).await.len() as u64;
        assert!((150..=350).contains(&count), "{count} documents in {}", chunk.range.0);
        assert_eq!(chunk.documents, Some(250));
    }
}

async fn a_filter_on_the_id_narrows_each_range(live: &Live) {
    let mut unit = fill(live, "filtered", (0..300).map(Bson::Int32).collect()).await;
    unit.filter = Some(ExtJson::parse(r#"{"_id":{"$gte":50,"$lt":250},"n":1}"#).unwrap());

    let (chunks, counts) = read_counts(live, &unit, &target(50, 100)).await;

    assert!(chunks > 1);
    assert_eq!((counts.len(), counts.values().max()), (200, Some(&1)));
}

async fn a_range_is_gone_on_with_behind_any_batch(live: &Live) {
    let mut ids = mixed_ids(live);
    // Too long for a cursor: counted from the last short one.
    ids.extend((0..5).map(|n| Bson::String(format!("key-0{n}0{}", "x".repeat(1_000)))));
    ids.extend((1_000..4_000).map(Bson::Int32));
    let unit = fill(live, "resumed", ids.clone()).await;
    let source = live.source("r").await;
    let mut batches = 0;
    for chunk in source.split(&unit, &target(1_500, 3)).await.unwrap() {
        let whole = documents(&*source, &unit, &chunk.range, None).await;
        let mut reader = source.read(&unit, &chunk.range, None).await.unwrap();
        let mut given = 0;
        while let Some(batch) = reader.next().await.unwrap() {
            given += batch.documents as usize;
            batches += 1;
            let cursor = serde_json::from_str(&batch.cursor.0.to_string()).unwrap();
            let rest = documents(&*source, &unit, &chunk.range, Some(&capstan_endpoint::Cursor(cursor))).await;
            assert!(rest == whole[given..], "behind {given} documents of {}", chunk.range.0);
        }
        assert_eq!(given, whole.len());
    }
    assert!(batches > 3);
}

async fn a_collection_of_none_or_one_document_is_one_range(live: &Live) {
    let unit = live.unit("r", "nothing");
    assert_eq!(read_counts(live, &unit, &target(1, 10)).await, (1, BTreeMap::new()));

    let unit = fill(live, "one", vec![Bson::String("only".into())]).await;
    let (chunks, counts) = read_counts(live, &unit, &target(1, 10)).await;
    assert_eq!((chunks, counts.len()), (1, 1));
}
