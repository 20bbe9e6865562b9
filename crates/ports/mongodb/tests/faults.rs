//! Servers that throttle, die and turn away, and the waits, classes and resumptions that follow.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod indexed;
mod keeper;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bson::{Bson, Document, doc};
use capstan_endpoint::conformance::fixtures;
use capstan_endpoint::{
    Adapter, Batch, Checkpoint, ChunkWriter, EndpointError, ErrorClass, PartKey, Sink, SplitTarget, WritePlan,
};
use capstan_mongodb::MongoAdapter;

use indexed::Indexed;
use keeper::{Instead, Keeper, unit};
use wire::Serving;

fn batch(ids: std::ops::Range<i32>) -> Batch {
    let documents: Vec<Vec<u8>> = ids.map(|id| fixtures::document(&[("_id", &fixtures::int32(id))])).collect();
    fixtures::batch(&documents)
}

fn ids(range: std::ops::Range<i32>) -> Vec<String> {
    let mut ids: Vec<String> = range.map(|id| Bson::Int32(id).to_string()).collect();
    ids.sort();
    ids
}

async fn sink(serving: &Serving) -> Arc<dyn Sink> {
    MongoAdapter.sink(&serving.url.parse().unwrap(), "job").await.unwrap()
}

async fn writer(serving: &Serving, resume: Option<&Checkpoint>) -> Box<dyn ChunkWriter> {
    let (sink, part) = (sink(serving).await, PartKey { chunk: 0, generation: 0, token: 1 });
    if resume.is_none() {
        sink.prepare(&unit("b"), &WritePlan::default()).await.unwrap();
    }
    sink.open_chunk(&unit("b"), &part, resume).await.unwrap()
}

fn is(command: &Document, name: &str) -> bool {
    command.keys().next().is_some_and(|first| first == name)
}

fn throttled(wait_ms: u32) -> Document {
    let message = format!("Request rate is large. More Request Units may be needed. RetryAfterMs={wait_ms}, Details");
    doc! { "ok": 0, "code": 16_500, "errmsg": message }
}

/// Serves 5,000 `_id`s, and throttles as often as it is told.
async fn throttling_source(times: usize, wait_ms: u32) -> (Serving, Arc<Indexed>) {
    let (_, held) = Indexed::serve((0..5_000).map(Bson::Int32).collect(), true, usize::MAX).await;
    let (answering, left) = (held.clone(), Arc::new(AtomicUsize::new(times)));
    let serving = wire::serve(move |command| {
        let reads = is(command, "getMore") || command.contains_key("sort");
        if reads && left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Some(throttled(wait_ms));
        }
        Some(answering.answer(command))
    });
    (serving.await, held)
}

async fn read_all(serving: &Serving) -> Result<Vec<i32>, EndpointError> {
    let source = MongoAdapter.source(&serving.url.parse().unwrap()).await?;
    let target = SplitTarget { documents: 10_000, bytes: u64::MAX, chunks_max: 1 };
    let chunks = source.split(&unit("b"), &target).await?;
    let mut reader = source.read(&unit("b"), &chunks[0].range, None).await?;
    let mut ids = Vec::new();
    while let Some(batch) = reader.next().await? {
        ids.extend(batch.iter().map(|document| Document::from_reader(document).unwrap().get_i32("_id").unwrap()));
    }
    Ok(ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_throttles_is_read_whole_after_the_waits_it_asks_for() {
    let (serving, _held) = throttling_source(8, 20).await;
    let began = std::time::Instant::now();

    let read = read_all(&serving).await.unwrap();

    assert_eq!(read, (0..5_000).collect::<Vec<_>>());
    assert!(began.elapsed() >= Duration::from_millis(8 * 20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_too_long_to_hold_a_lease_for_goes_to_whoever_hands_out_work() {
    let (serving, _held) = throttling_source(usize::MAX, 60_000).await;
    let error = read_all(&serving).await.unwrap_err();
    assert_eq!((error.class(), error.advised_wait()), (ErrorClass::Throttled, Some(Duration::from_secs(60))));

    let keeper = Keeper::default();
    let serving = keeper.serve_but(|command| {
        let to_data = is(command, "insert") && command.get_str("insert").is_ok_and(|name| name == "b");
        to_data.then(|| Instead::Answer(throttled(60_000)))
    });
    let error = writer(&serving.await, None).await.write(batch(0..10)).await.unwrap_err();
    assert_eq!((error.class(), error.advised_wait()), (ErrorClass::Throttled, Some(Duration::from_secs(60))));
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_turned_away_by_a_throttle_are_written_once_each_in_the_end() {
    let keeper = Keeper::default();
    let (inner, turn) = (keeper.clone(), AtomicUsize::new(0));
    let serving = keeper.serve_but(move |command| {
        let documents = command.get_array("documents").ok().filter(|_| is(command, "insert"))?;
        match turn.fetch_add(1, SeqCst) {
            0 => Some(Instead::Answer(throttled(5))),
            // Every third document is turned away, and the others are written.
            1 => {
                let keys = documents.iter().map(|d| d.as_document().unwrap().clone()).enumerate();
                let (away, taken): (Vec<_>, Vec<_>) = keys.partition(|(at, _)| at % 3 == 0);
                let mut held = inner.0.lock().unwrap();
                let held = held.documents.entry("b".into()).or_default();
                held.extend(taken.into_iter().map(|(_, d)| (d.get("_id").unwrap().to_string(), d)));
                let error = |at: usize| doc! { "index": at as i32, "code": 16_500, "errmsg": "RetryAfterMs=5" };
                let errors: Vec<Document> = away.into_iter().map(|(at, _)| error(at)).collect();
                Some(Instead::Answer(doc! { "ok": 1, "writeErrors": errors }))
            }
            _ => None,
        }
    });
    let serving = serving.await;

    let refused = writer(&serving, None).await.write(batch(0..100)).await.unwrap();

    assert!(refused.is_empty(), "{}", refused[0].reason);
    assert_eq!(keeper.ids("b"), ids(0..100));
    assert_eq!(keeper.0.lock().unwrap().write_errors, Vec::<i32>::new(), "something was written twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_dies_in_the_middle_of_a_batch_is_gone_on_with_from_the_checkpoint() {
    let keeper = Keeper::default();
    let dead = Arc::new(AtomicUsize::new(0));
    let dying = dead.clone();
    let serving = keeper
        .serve_but(move |command| {
            let inserts = is(command, "insert") && command.get_str("insert").is_ok_and(|name| name == "b");
            match (inserts, dying.load(SeqCst)) {
                (true, 1) => {
                    dying.store(2, SeqCst);
                    Some(Instead::CloseAfter(40))
                }
                (_, 2) => Some(Instead::Close),
                _ => None,
            }
        })
        .await;
    let mut writing = writer(&serving, None).await;
    writing.write(batch(0..100)).await.unwrap();
    let checkpoint = writing.checkpoint().await.unwrap();
    dead.store(1, SeqCst);

    let error = writing.write(batch(100..200)).await.unwrap_err();

    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert_eq!(keeper.ids("b").len(), 140, "half a batch was written");
    drop(serving);

    let again = keeper.serve().await;
    let mut writing = writer(&again, Some(&checkpoint)).await;
    assert!(writing.write(batch(100..200)).await.unwrap().is_empty());
    let facts = writing.seal().await.unwrap();

    assert_eq!((facts.documents, keeper.ids("b")), (200, ids(0..200)));
    assert_eq!(keeper.0.lock().unwrap().write_errors, Vec::<i32>::new(), "the overlap provoked duplicate keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_document_that_closes_connections_is_found_among_a_thousand() {
    let keeper = Keeper::default();
    let serving = keeper
        .serve_but(|command| {
            let documents = command.get_array("documents").ok().filter(|_| is(command, "insert"))?;
            let poison = documents
                .iter()
                .any(|document| document.as_document().unwrap().get_i32("_id").is_ok_and(|id| id == 777));
            poison.then_some(Instead::Close)
        })
        .await;

    let refused = writer(&serving, None).await.write(batch(0..1_000)).await.unwrap();

    assert_eq!(refused.len(), 1);
    assert_eq!(Document::from_reader(&refused[0].document[..]).unwrap(), doc! { "_id": 777 });
    assert!(refused[0].reason.contains("closes the connection"), "{}", refused[0].reason);
    assert_eq!(keeper.ids("b").len(), 999);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_steps_down_or_cannot_confirm_is_tried_again_and_a_refusal_is_not() {
    let not_primary = doc! { "ok": 0, "code": 10_107, "errmsg": "not primary" };
    let unconfirmed =
        doc! { "ok": 1, "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } };
    let impossible = doc! { "ok": 1, "writeConcernError": { "code": 100, "errmsg": "not enough data-bearing nodes" } };
    let unauthorized = doc! { "ok": 0, "code": 13, "errmsg": "not authorized" };
    for (answer, class) in [
        (not_primary, ErrorClass::Transient),
        (unconfirmed, ErrorClass::Transient),
        (impossible, ErrorClass::Permanent),
        (unauthorized, ErrorClass::Permanent),
    ] {
        let instead = answer.clone();
        let serving = Keeper::default()
            .serve_but(move |command| is(command, "insert").then(|| Instead::Answer(instead.clone())))
            .await;

        let error = writer(&serving, None).await.write(batch(0..10)).await.unwrap_err();

        assert_eq!(error.class(), class, "{answer}: {error}");
    }
}
