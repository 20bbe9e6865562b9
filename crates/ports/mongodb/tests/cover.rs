//! Ranges of an index cover any `_id`s exactly once, wherever reading stops and goes on.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod any_id;
mod indexed;
mod wire;

use bson::{Bson, Document, doc};
use capstan_endpoint::{Adapter, Cursor, Namespace, Source, SplitTarget, Unit};
use capstan_mongodb::MongoAdapter;
use proptest::prelude::*;

use any_id::id;
use indexed::{Indexed, compare};

async fn documents(
    source: &dyn Source,
    unit: &Unit,
    range: &capstan_endpoint::Range,
    from: Option<&Cursor>,
) -> Vec<(Vec<Document>, Cursor)> {
    let mut reader = source.read(unit, range, from).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = reader.next().await.unwrap() {
        let documents = batch.iter().map(|bytes| Document::from_reader(bytes).unwrap()).collect();
        batches.push((documents, serde_json::from_str(&batch.cursor.0.to_string()).unwrap()));
    }
    batches
}

fn ids(batches: &[(Vec<Document>, Cursor)]) -> Vec<Bson> {
    batches.iter().flat_map(|(documents, _)| documents).map(|document| document.get("_id").unwrap().clone()).collect()
}

fn same(one: &[Bson], other: &[Bson]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| compare(one, other).is_eq())
}

fn unit() -> Unit {
    Unit::collection(Namespace::new("a", "b"))
}

/// Splits, reads every range whole, and compares with what the server holds, in its order.
async fn covered(values: Vec<Bson>, target: SplitTarget, samples: bool) -> Result<(), TestCaseError> {
    let (serving, server) = Indexed::serve(values, samples, usize::MAX).await;
    let source = MongoAdapter.source(&serving.url.parse().unwrap()).await.unwrap();
    let chunks = source.split(&unit(), &target).await.unwrap();
    prop_assert!(chunks.len() <= target.chunks_max.max(1) as usize);
    let mut all = Vec::new();
    for chunk in &chunks {
        prop_assert!(chunk.range.0.to_string().len() <= 16 << 10);
        all.extend(ids(&documents(&*source, &unit(), &chunk.range, None).await));
    }
    prop_assert!(same(&all, &server.ids), "{} of {} in {} ranges", all.len(), server.ids.len(), chunks.len());
    if server.ids.len() as u64 >= target.documents * 4 && target.chunks_max > 4 && target.documents > 0 {
        prop_assert!(chunks.len() > 1, "nothing was cut");
    }
    Ok(())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn ranges_of_an_index_cover_any_ids_exactly_once(
        values in prop::collection::vec(id(), 0..120),
        documents in 0u64..40,
        chunks_max in 1u32..30,
        samples in any::<bool>(),
    ) {
        let target = SplitTarget { documents, bytes: u64::MAX, chunks_max };
        runtime().block_on(covered(values, target, samples))?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_goes_on_behind_any_batch_also_where_ids_are_too_long_for_a_cursor() {
    let mut values: Vec<Bson> = (0..2_500).map(Bson::Int32).collect();
    values.extend((0..1_200).map(|n| Bson::String(format!("{n:05}{}", "x".repeat(2_000)))));
    let (serving, _server) = Indexed::serve(values, true, usize::MAX).await;
    let source = MongoAdapter.source(&serving.url.parse().unwrap()).await.unwrap();
    let chunks =
        source.split(&unit(), &SplitTarget { documents: 2_000, bytes: u64::MAX, chunks_max: 2 }).await.unwrap();
    let mut looked_at = 0;
    for chunk in &chunks {
        let whole = documents(&*source, &unit(), &chunk.range, None).await;
        for (at, (_, cursor)) in whole.iter().enumerate() {
            assert!(cursor.0.to_string().len() <= 1_024);
            let rest = documents(&*source, &unit(), &chunk.range, Some(cursor)).await;
            assert!(same(&ids(&rest), &ids(&whole[at + 1..])), "behind batch {at} of {}", chunk.range.0);
            looked_at += 1;
        }
    }
    assert!(looked_at > 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_cursor_is_gone_on_with_behind_what_was_given() {
    let values: Vec<Bson> = (0..5_500).map(Bson::Int32).collect();
    let (serving, server) = Indexed::serve(values, true, 2).await;
    let source = MongoAdapter.source(&serving.url.parse().unwrap()).await.unwrap();
    let chunks =
        source.split(&unit(), &SplitTarget { documents: 10_000, bytes: u64::MAX, chunks_max: 1 }).await.unwrap();

    let read = ids(&documents(&*source, &unit(), &chunks[0].range, None).await);

    assert!(same(&read, &server.ids));
}

#[test]
fn the_order_of_the_index_is_the_documented_one() {
    let ascending = [
        Bson::MinKey,
        Bson::Null,
        Bson::Double(f64::NAN),
        Bson::Double(f64::NEG_INFINITY),
        Bson::Int32(-1),
        Bson::Decimal128("0.5".parse().unwrap()),
        Bson::Int64(1),
        Bson::Double(f64::INFINITY),
        Bson::String(String::new()),
        Bson::String("\u{fffd}".into()),
        Bson::String("\u{10000}".into()),
        Bson::Document(doc! {}),
        Bson::Document(doc! { "a": 1 }),
        Bson::Document(doc! { "a": 1, "b": 0 }),
        Bson::Document(doc! { "b": 0 }),
        Bson::Document(doc! { "a": "x" }),
        Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Uuid, bytes: vec![9] }),
        Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![0, 0] }),
        Bson::Boolean(false),
        Bson::Boolean(true),
        Bson::DateTime(bson::DateTime::MIN),
        Bson::Timestamp(bson::Timestamp { time: 0, increment: 1 }),
        Bson::MaxKey,
    ];
    assert!(ascending.windows(2).all(|pair| compare(&pair[0], &pair[1]).is_lt()));
}

#[tokio::test]
async fn what_a_server_lacks_for_cutting_is_said_once_and_only_where_it_was_wanted() {
    for (samples, documents, expected) in [(true, 100, None), (false, 100, Some("$sample")), (false, 10_000, None)] {
        let (serving, _held) = Indexed::serve((0..1_000).map(Bson::Int32).collect(), samples, usize::MAX).await;
        let source = MongoAdapter.source(&serving.url.parse().unwrap()).await.unwrap();
        source.split(&unit(), &SplitTarget { documents, bytes: u64::MAX, chunks_max: 100 }).await.unwrap();

        let told = source.fallbacks(&unit());

        assert_eq!(told.len(), usize::from(expected.is_some()), "{told:?}");
        if let Some(word) = expected {
            assert_eq!(told[0].what, unit().namespace.to_string());
            assert!(told[0].reason.contains(word), "{told:?}");
        }
        assert!(source.fallbacks(&unit()).is_empty(), "it is said once");
    }
}
