//! Servers that fail for a moment, fail without a reason, miscount, or deny: what is held against a document, and what is not.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod keeper;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use capstan_endpoint::conformance::fixtures;
use capstan_endpoint::{
    Adapter, Batch, ChunkWriter, EndpointError, ErrorClass, PartKey, RefusedDocument, Sink, WriteMode, WritePlan,
};
use capstan_mongodb::MongoAdapter;

use keeper::{Instead, Keeper, unit};
use wire::Serving;

const PART: PartKey = PartKey { chunk: 0, generation: 0, token: 1 };

fn batch(ids: std::ops::Range<i32>) -> Batch {
    let documents: Vec<Vec<u8>> = ids.map(|id| fixtures::document(&[("_id", &fixtures::int32(id))])).collect();
    fixtures::batch(&documents)
}

async fn sink(serving: &Serving) -> Arc<dyn Sink> {
    MongoAdapter.sink(&serving.url.parse().unwrap(), "job").await.unwrap()
}

async fn writer(serving: &Serving) -> Box<dyn ChunkWriter> {
    let sink = sink(serving).await;
    sink.prepare(&unit("b"), &WritePlan::default()).await.unwrap();
    sink.open_chunk(&unit("b"), &PART, None).await.unwrap()
}

async fn write(serving: &Serving, ids: std::ops::Range<i32>) -> Result<Vec<RefusedDocument>, EndpointError> {
    writer(serving).await.write(batch(ids)).await
}

fn inserted(command: &Document) -> Option<Vec<i32>> {
    let documents =
        command.get_array("documents").ok().filter(|_| command.get_str("insert").is_ok_and(|name| name == "b"))?;
    Some(documents.iter().map(|document| document.as_document().unwrap().get_i32("_id").unwrap()).collect())
}

fn ids(refused: &[RefusedDocument]) -> Vec<i32> {
    refused.iter().map(|one| Document::from_reader(&one.document[..]).unwrap().get_i32("_id").unwrap()).collect()
}

/// A keeper that answers so many inserts like this, before it does what it is told.
async fn stumbling(keeper: &Keeper, times: usize, answer: Document) -> Serving {
    let left = AtomicUsize::new(times);
    let serving = keeper.serve_but(move |command| {
        inserted(command)?;
        let stumbles = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        stumbles.then(|| Instead::Answer(answer.clone()))
    });
    serving.await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_of_failures_makes_no_dead_letters() {
    let failure = |code: i32, labels: &[&str]| doc! { "ok": 0, "code": code, "errmsg": "no", "errorLabels": labels };
    let conflict = |index: i32| doc! { "index": index, "code": 112, "errmsg": "WriteConflict" };
    let moments = [
        (3, failure(365, &[])),
        (3, failure(13_388, &[])),
        (3, failure(9_999, &["RetryableError"])),
        (3, failure(9_999, &["RetryableWriteError"])),
        (3, failure(9_999, &["SystemOverloadedError"])),
        (40, failure(9_999, &[])),
        (3, doc! { "ok": 1, "n": 0, "writeErrors": (0..100).map(conflict).collect::<Vec<_>>() }),
    ];
    for (times, answer) in moments {
        let keeper = Keeper::default();
        let serving = stumbling(&keeper, times, answer.clone()).await;

        let refused = write(&serving, 0..100).await.unwrap();

        assert!(refused.is_empty(), "{answer}: {:?}", ids(&refused));
        assert_eq!(keeper.ids("b").len(), 100, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_command_always_fails_is_found_where_others_go_through() {
    for poison in [0, 500, 999] {
        for answer in [
            doc! { "ok": 0, "code": 9_999, "errmsg": "no" },
            doc! { "ok": 1, "n": 0, "writeErrors": [{ "code": 9_999, "errmsg": "no" }] },
            doc! { "ok": 1, "n": 0, "writeErrors": [{ "index": 1_000, "code": 9_999, "errmsg": "no" }] },
        ] {
            let keeper = Keeper::default();
            let instead = answer.clone();
            let serving = keeper
                .serve_but(move |command| {
                    inserted(command)?.contains(&poison).then(|| Instead::Answer(instead.clone()))
                })
                .await;

            let refused = write(&serving, 0..1_000).await.unwrap();

            assert_eq!(ids(&refused), [poison], "{answer}");
            assert_eq!(keeper.ids("b").len(), 999, "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_document_goes_through_the_attempt_fails_and_none_is_put_aside() {
    let unknown = doc! { "ok": 0, "code": 9_999, "errmsg": "no" };
    let journal = "cannot use 'j' option when a host does not have journaling enabled";
    let no_journal = doc! { "ok": 0, "code": 2, "errmsg": journal };
    for (answer, class) in [(unknown, ErrorClass::Transient), (no_journal, ErrorClass::Permanent)] {
        let serving = stumbling(&Keeper::default(), usize::MAX, answer).await;

        let error = write(&serving, 0..10).await.unwrap_err();

        assert_eq!(error.class(), class, "{error}");
        assert!(class == ErrorClass::Transient || error.to_string().contains("journal=false"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_counts_short_is_looked_up_before_it_counts() {
    // It writes less than it was sent, once.
    let keeper = Keeper::default();
    let (inner, turn) = (keeper.clone(), AtomicUsize::new(0));
    let serving = keeper
        .serve_but(move |command| {
            inserted(command)?;
            (turn.fetch_add(1, SeqCst) == 0).then(|| {
                let first = command.get_array("documents").unwrap()[..30].iter().map(|d| d.as_document().unwrap());
                let mut held = inner.0.lock().unwrap();
                let of_b = held.documents.entry("b".into()).or_default();
                of_b.extend(first.map(|d| (d.get("_id").unwrap().to_string(), d.clone())));
                Instead::Answer(doc! { "ok": 1, "n": 30 })
            })
        })
        .await;
    assert!(write(&serving, 0..100).await.unwrap().is_empty());
    assert_eq!(keeper.ids("b").len(), 100);

    // It writes nothing, ever.
    let serving = stumbling(&Keeper::default(), usize::MAX, doc! { "ok": 1, "n": 0 }).await;
    let error = write(&serving, 0..100).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");

    // It writes all, and counts otherwise.
    let keeper = Keeper::default();
    let inner = keeper.clone();
    let serving = keeper
        .serve_but(move |command| {
            inserted(command)?;
            inner.clone().answer(command);
            Some(Instead::Answer(doc! { "ok": 1, "n": 1 }))
        })
        .await;
    assert!(write(&serving, 0..100).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_not_validated_and_its_timestamps_stay_where_the_server_knows_how() {
    for (wire_version, knows) in [(21, None), (25, Some(true))] {
        let keeper = Keeper::default();
        let asked: Arc<std::sync::Mutex<Vec<Document>>> = Arc::default();
        let log = asked.clone();
        let serving = keeper
            .serve_but(move |command| {
                if command.keys().next().is_some_and(|name| ["hello", "isMaster", "ismaster"].contains(&name.as_str()))
                {
                    let mut hello = wire::hello();
                    hello.insert("maxWireVersion", wire_version);
                    return Some(Instead::Answer(hello));
                }
                inserted(command)?;
                log.lock().unwrap().push(command.clone());
                None
            })
            .await;

        assert!(write(&serving, 0..10).await.unwrap().is_empty());

        let asked = asked.lock().unwrap();
        assert_eq!(asked[0].get_bool("bypassDocumentValidation").ok(), Some(true));
        assert_eq!(asked[0].get_bool("bypassEmptyTsReplacement").ok(), knows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_bypass_a_validator_writes_without_and_is_told_what_is_lacking() {
    let refusals = [
        doc! { "ok": 0, "code": 13, "errmsg": "not authorized on a to execute command" },
        doc! { "ok": 0, "code": 40_415, "errmsg": "BSON field 'insert.bypassDocumentValidation' is an unknown field." },
    ];
    for refusal in refusals {
        let keeper = Keeper::default();
        let serving = keeper
            .serve_but(move |command| {
                let ids = inserted(command)?;
                if command.contains_key("bypassDocumentValidation") {
                    return Some(Instead::Answer(refusal.clone()));
                }
                let old = ids.iter().position(|id| *id == 7)?;
                let error = doc! { "index": old as i32, "code": 121, "errmsg": "Document failed validation" };
                Some(Instead::Answer(doc! { "ok": 1, "n": ids.len() as i32 - 1, "writeErrors": [error] }))
            })
            .await;

        let refused = write(&serving, 0..10).await.unwrap();

        assert_eq!(ids(&refused), [7]);
        assert!(refused[0].reason.contains("privilege bypassDocumentValidation"), "{}", refused[0].reason);
    }
}

/// A sharded collection takes an upsert only with its shard key, and a replacement of what is there by `_id` alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_to_be_there_is_replaced_without_an_upsert_and_inserted_if_it_has_gone() {
    let keeper = Keeper::default();
    let old = |id: i32| (Bson::Int32(id).to_string(), doc! { "_id": id, "v": "old" });
    keeper.0.lock().unwrap().documents.insert("b".into(), (0..20).map(old).collect());
    let (inner, upserts) = (keeper.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = upserts.clone();
    let serving = keeper
        .serve_but(move |command| {
            let updates = command
                .get_array("updates")
                .ok()
                .filter(|_| command.get_str("update").is_ok_and(|name| name == "b"))?;
            let upsert = |update: &&Bson| update.as_document().unwrap().get_bool("upsert").unwrap_or(false);
            counted.fetch_add(updates.iter().filter(upsert).count(), SeqCst);
            // Somebody deletes one in the meantime.
            inner.0.lock().unwrap().documents.get_mut("b").unwrap().remove(&Bson::Int32(3).to_string());
            None
        })
        .await;
    let merging = WritePlan { mode: WriteMode::Merge, ..WritePlan::default() };
    let sink = sink(&serving).await;
    sink.prepare(&unit("b"), &merging).await.unwrap();

    let refused = sink.open_chunk(&unit("b"), &PART, None).await.unwrap().write(batch(0..20)).await.unwrap();

    assert!(refused.is_empty(), "{}", refused[0].reason);
    assert_eq!(upserts.load(SeqCst), 0);
    let held = keeper.0.lock().unwrap().documents["b"].clone();
    assert_eq!(held.len(), 20);
    assert!(held.values().all(|document| !document.contains_key("v")), "{held:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_ends_before_its_deadline_or_is_not_sent() {
    let keeper = Keeper::default();
    let limits: Arc<std::sync::Mutex<Vec<i64>>> = Arc::default();
    let log = limits.clone();
    let serving = keeper
        .serve_but(move |command| {
            if command.get_str("drop").is_ok_and(|name| name == "b") {
                log.lock().unwrap().push(command.get_i64("maxTimeMS").unwrap());
            }
            None
        })
        .await;
    let sink = sink(&serving).await;
    let overwriting = |left: Option<Duration>| WritePlan {
        mode: WriteMode::Overwrite,
        deadline: left.map(|left| Instant::now() + left),
        ..WritePlan::default()
    };
    sink.prepare(&unit("b"), &overwriting(None)).await.unwrap();

    sink.prepare(&unit("b"), &overwriting(Some(Duration::from_secs(8)))).await.unwrap();
    sink.prepare(&unit("b"), &overwriting(Some(Duration::from_secs(1_000)))).await.unwrap();
    let error = sink.prepare(&unit("b"), &overwriting(Some(Duration::from_secs(1)))).await.unwrap_err();

    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    let limits = limits.lock().unwrap().clone();
    assert!(limits.len() == 2 && limits[0] <= 7_000 && limits[1] == 15_000, "{limits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_of_unknown_fate_is_waited_for_until_it_cannot_come_any_more() {
    let keeper = Keeper::default();
    let serving = keeper.serve_but(|command| command.contains_key("drop").then_some(Instead::Close)).await;
    let sink = sink(&serving).await;
    let began = Instant::now();
    let plan = WritePlan {
        mode: WriteMode::Overwrite,
        deadline: Some(began + Duration::from_secs(3)),
        ..WritePlan::default()
    };
    sink.prepare(&unit("b"), &WritePlan::default()).await.unwrap();

    let error = sink.prepare(&unit("b"), &plan).await.unwrap_err();

    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!(began.elapsed() >= Duration::from_millis(1_500), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_cannot_be_told_is_listed_and_the_rest_is_moved() {
    let keeper = Keeper::default();
    let options = doc! { "validator": { "v": { "$eq": { "$oid": "no object id" } } } };
    let collection = doc! { "name": "b", "type": "collection", "options": options };
    keeper.0.lock().unwrap().collections.insert("b".into(), collection);
    let partial = doc! { "v": { "$eq": { "$date": "no date" } } };
    let indexes = vec![
        doc! { "v": 2, "key": { "a": 1 }, "name": "a_1" },
        doc! { "v": 2, "key": { "c": 1 }, "name": "c_1", "partialFilterExpression": partial },
    ];
    keeper.0.lock().unwrap().indexes.insert("b".into(), indexes);
    let serving = keeper.serve().await;
    let source = MongoAdapter.source(&serving.url.parse().unwrap()).await.unwrap();

    let listing = source.units().await.unwrap();

    assert_eq!((listing.units.len(), listing.units[0].indexes.len()), (1, 1));
    let lost: Vec<&str> = listing.set_aside.iter().map(|aside| &*aside.what).collect();
    assert_eq!(lost, ["index c_1 of a.b", "the options of a.b"], "{:?}", listing.set_aside);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_which_all_goes_well_is_one_command() {
    let keeper = Keeper::default();
    let serving = keeper.serve().await;
    let mut writer = writer(&serving).await;
    keeper.0.lock().unwrap().log.clear();

    for at in 0..5 {
        assert!(writer.write(batch(at * 100..at * 100 + 100)).await.unwrap().is_empty());
    }
    writer.seal().await.unwrap();

    let mut log = keeper.0.lock().unwrap().log.clone();
    log.retain(|name| !["hello", "isMaster", "ismaster"].contains(&name.as_str()));
    assert_eq!(log, ["insert"; 5]);
}
