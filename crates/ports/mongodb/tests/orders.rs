//! Collections that are read in an order that is not that of their `_id`s, and what becomes of a place in it.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod indexed;
mod live;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bson::{Bson, Document, doc};
use capstan_endpoint::{
    Adapter, Cursor, EndpointError, ErrorClass, ExtJson, Namespace, PlannedChunk, SplitTarget, Unit,
};
use capstan_mongodb::MongoAdapter;

use indexed::Indexed;
use live::live;
use wire::Serving;

const TARGET: SplitTarget = SplitTarget { documents: 50, bytes: u64::MAX, chunks_max: 100 };

fn unit(options: &str, filter: Option<&str>) -> Unit {
    let options = Some(ExtJson::parse(options).unwrap());
    let filter = filter.map(|filter| ExtJson::parse(filter).unwrap());
    Unit { options, filter, ..Unit::collection(Namespace::new("a", "b")) }
}

/// A server that honours index bounds, and the reads that it is asked for.
async fn listening() -> (Serving, Arc<Mutex<Vec<Document>>>) {
    let (_, held) = Indexed::serve((0..2_500).map(Bson::Int32).collect(), true, usize::MAX).await;
    let asked: Arc<Mutex<Vec<Document>>> = Arc::default();
    let log = asked.clone();
    let serving = wire::serve(move |command| {
        if command.contains_key("find") {
            log.lock().unwrap().push(command.clone());
        }
        Some(held.answer(command))
    });
    (serving.await, asked)
}

/// What is read of the only chunk, and the place behind the first batch.
async fn read(serving: &Serving, unit: &Unit, from: Option<&Cursor>) -> Result<(Vec<i32>, Cursor), EndpointError> {
    let source = MongoAdapter.source(&serving.url.parse().unwrap()).await?;
    let chunks = source.split(unit, &TARGET).await?;
    let [PlannedChunk { range, .. }] = &chunks[..] else { panic!("{} chunks", chunks.len()) };
    let mut reader = source.read(unit, range, from).await?;
    let (mut ids, mut first) = (Vec::new(), None);
    while let Some(batch) = reader.next().await? {
        ids.extend(batch.iter().map(|document| Document::from_reader(document).unwrap().get_i32("_id").unwrap()));
        first.get_or_insert(batch.cursor);
    }
    Ok((ids, first.unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capped_collection_is_one_chunk_in_the_order_in_which_it_lies() {
    let (serving, asked) = listening().await;
    let unit = unit(r#"{"capped":true,"size":1000000}"#, None);

    let (all, first) = read(&serving, &unit, None).await.unwrap();
    let (rest, _) = read(&serving, &unit, Some(&first)).await.unwrap();

    assert_eq!((all.len(), &rest[..]), (2_500, &all[1_000..]));
    for find in asked.lock().unwrap().iter() {
        assert_eq!(find.get_document("sort").ok(), Some(&doc! { "$natural": 1 }), "{find}");
        assert!(["hint", "min", "max"].iter().all(|bound| !find.contains_key(bound)), "{find}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_with_an_index_of_its_own_goes_without_bounds_and_says_so() {
    let (serving, asked) = listening().await;
    for filter in [r#"{"at":{"$nearSphere":[0,0]}}"#, r#"{"$and":[{"$text":{"$search":"x"}}]}"#] {
        let unit = unit("{}", Some(filter));
        let source = MongoAdapter.source(&serving.url.parse().unwrap()).await.unwrap();

        source.split(&unit, &TARGET).await.unwrap();
        assert!(source.fallbacks(&unit)[0].reason.contains("one chunk"));
        read(&serving, &unit, None).await.unwrap();

        for find in asked.lock().unwrap().drain(..) {
            assert!(["hint", "min", "max", "sort"].iter().all(|bound| !find.contains_key(bound)), "{find}");
        }
    }
}

/// A scan that begins where another one is, as PostgreSQL's do, gives every document and never in the same order.
#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_an_order_that_has_changed_is_not_gone_on_from() {
    let (_, held) = Indexed::serve((0..2_500).map(Bson::Int32).collect(), true, usize::MAX).await;
    let turned = Arc::new(AtomicBool::new(false));
    let turns = turned.clone();
    let serving = wire::serve(move |command| {
        let mut command = command.clone();
        if turns.load(SeqCst) && command.contains_key("skip") {
            command.insert("skip", command.get_i64("skip").unwrap() + 700);
        }
        Some(held.answer(&command))
    })
    .await;
    let unit = unit("{}", Some(r#"{"$text":{"$search":"x"}}"#));
    let (all, first) = read(&serving, &unit, None).await.unwrap();
    assert_eq!(read(&serving, &unit, Some(&first)).await.unwrap().0, all[1_000..]);

    turned.store(true, SeqCst);
    let error = read(&serving, &unit, Some(&first)).await.unwrap_err();

    assert_eq!(error.class(), ErrorClass::StartOver, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capped_collection_of_a_real_server_keeps_its_order() {
    const NAME: &str = "mongodb::a_capped_collection_of_a_real_server_keeps_its_order";
    let Some(live) = live("CAPSTAN_TEST_FERRET_URL", NAME).await else { return };
    live.run("o", doc! { "create": "capped", "capped": true, "size": 1 << 20 }).await;
    let shuffled: Vec<i32> = (0..2_500).map(|n| n * 1_009 % 2_503).collect();
    for some in shuffled.chunks(500) {
        let documents: Vec<Document> = some.iter().map(|id| doc! { "_id": id }).collect();
        live.run("o", doc! { "insert": "capped", "documents": documents }).await;
    }
    let unit = live.listed("o", "capped").await;
    let source = live.source("o").await;

    let chunks = source.split(&unit, &TARGET).await.unwrap();
    let read = live::documents(&*source, &unit, &chunks[0].range, None).await;

    assert_eq!(chunks.len(), 1);
    let ids: Vec<i32> = read.iter().map(|d| Document::from_reader(&d[..]).unwrap().get_i32("_id").unwrap()).collect();
    assert_eq!(ids, shuffled);
    live.clean().await;
}
