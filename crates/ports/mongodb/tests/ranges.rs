//! Ranges that lose nothing, on real servers: any mix of `_id`s, any target, any place to go on from.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod any_id;
mod live;

use std::collections::BTreeMap;

use bson::{Bson, Document, doc, oid::ObjectId};
use capstan_endpoint::{ExtJson, SplitTarget, Unit};

use live::{Live, documents};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

on_both_servers! {
    a_mix_of_ids_is_covered_once;
    ids_of_one_kind_are_cut_into_even_ranges;
    skewed_ids_are_cut_into_ranges_of_which_none_is_far_above_the_target;
    generated_ids_are_covered_once;
    a_filter_of_any_shape_narrows_each_range;
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

async fn skewed_ids_are_cut_into_ranges_of_which_none_is_far_above_the_target(live: &Live) {
    let object_id = |n: u32| {
        let mut bytes = [0x65; 12];
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        Bson::ObjectId(ObjectId::from_bytes(bytes))
    };
    let cluster = (0..2_900u32).map(object_id).chain((0..100u8).map(|n| Bson::ObjectId([n * 2; 12].into())));
    let gaps = (0..3_000i64).map(|n| Bson::Int64(n % 1_000 + (n / 1_000) * (1 << 50)));
    let prefixed = (0..3_000).map(|n| Bson::String(format!("tenant-1/{}{n:05}", if n % 50 == 0 { "z" } else { "" })));
    let mostly_numbers = (0..3_000).map(|n| match n % 20 {
        0 => Bson::String(format!("odd-{n}")),
        1 => Bson::Double(f64::from(n) + 0.5),
        _ => Bson::Int32(n),
    });
    let shapes: [(&str, Vec<Bson>); 4] = [
        ("cluster", cluster.collect()),
        ("gaps", gaps.collect()),
        ("prefixed", prefixed.collect()),
        ("mostly_numbers", mostly_numbers.collect()),
    ];
    let source = live.source("r").await;
    for (name, ids) in shapes {
        let (all, unit) = (ids.len(), fill(live, name, ids).await);
        let mut read = 0;
        for chunk in source.split(&unit, &target(300, 1_000)).await.unwrap() {
            let count = documents(&*source, &unit, &chunk.range, None).await.len();
            assert!(count <= 900, "{name}: {count} documents in {}", chunk.range.0);
            read += count;
        }
        assert_eq!(read, all, "{name}");
    }
}

/// Whether a server takes it as an `_id` and gives it back: see `is_held` in conforms.rs.
fn is_taken(live: &Live, id: &Bson) -> bool {
    match (id, live.is_ferret()) {
        (Bson::Document(fields), ferret) => fields.iter().all(|(name, value)| {
            is_taken(live, value) && !(ferret && name.contains(['.', '$'])) && !name.starts_with('$')
        }),
        (Bson::Binary(binary), _) => [0, 3, 4].contains(&u8::from(binary.subtype)) && !binary.bytes.is_empty(),
        (Bson::Double(number), true) => number.is_finite() && !(*number == 0.0 && number.is_sign_negative()),
        (Bson::Decimal128(_) | Bson::MinKey | Bson::MaxKey | Bson::JavaScriptCode(_), true) => false,
        _ => true,
    }
}

async fn generated_ids_are_covered_once(live: &Live) {
    let mut runner = TestRunner::deterministic();
    for case in 0..8 {
        let ids = prop::collection::vec(any_id::id(), 20..150).new_tree(&mut runner).unwrap().current();
        let collection = format!("generated_{case}");
        for id in ids.into_iter().filter(|id| is_taken(live, id)) {
            // Equal ones are refused, and that is as well.
            live.run("r", doc! { "insert": &collection, "documents": [{ "_id": id, "n": 1 }] }).await;
        }
        let unit = live.unit("r", &collection);
        let (_, whole) = read_counts(live, &unit, &target(u64::MAX, 1)).await;
        let held = live.run("r", doc! { "count": &collection }).await;
        let held =
            held.get("n").and_then(|n| n.as_i64().or(n.as_i32().map(i64::from)).or(n.as_f64().map(|n| n as i64)));
        assert_eq!(held, i64::try_from(whole.values().sum::<usize>()).ok(), "{collection}");
        for chunks_max in [2, 4, 9, 30] {
            let (chunks, counts) = read_counts(live, &unit, &target(5, chunks_max)).await;
            assert!(chunks <= chunks_max as usize);
            assert_eq!(counts, whole, "{collection} in {chunks} ranges");
        }
    }
}

async fn a_filter_of_any_shape_narrows_each_range(live: &Live) {
    let unit = fill(live, "filtered", (0..300).map(Bson::Int32).collect()).await;
    for (filter, expected) in [
        (r#"{"_id":{"$gte":50,"$lt":250},"n":1}"#, 200),
        (r#"{"_id":77}"#, 1),
        (r#"{"_id":{"$in":[5,100,299,300]}}"#, 3),
        (r#"{"$or":[{"_id":{"$lt":50}},{"_id":{"$gte":250}}]}"#, 100),
        (r#"{"$or":[{"_id":{"$lt":200}},{"n":2}],"$and":[{"_id":{"$gte":100}}]}"#, 100),
        (r#"{"$nor":[{"_id":{"$gte":30}}]}"#, 30),
        (r#"{"$expr":{"$gte":["$_id",290]}}"#, 10),
        (r#"{"n":2}"#, 0),
        ("{}", 300),
    ] {
        let unit = Unit { filter: Some(ExtJson::parse(filter).unwrap()), ..unit.clone() };
        let source = live.source("r").await;
        let chunks = source.split(&unit, &target(50, 100)).await.unwrap();
        assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.documents.is_none()), "{filter}");
        let mut reader = source.read(&unit, &chunks[0].range, None).await.unwrap();
        if let Err(refused) = reader.next().await {
            // One of the servers has no such operator. It says so, and nothing is taken for read.
            assert!(refused.is_permanent() && filter.contains("$expr") && live.is_ferret(), "{filter}: {refused}");
            continue;
        }
        let (_, counts) = read_counts(live, &unit, &target(50, 100)).await;
        assert_eq!((counts.len(), counts.values().any(|count| *count != 1)), (expected, false), "{filter}");
    }
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
