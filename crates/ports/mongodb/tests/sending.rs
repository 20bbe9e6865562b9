//! Batches that are sent without waiting for each: how many are on their way, and what becomes of those that fare badly.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod keeper;
mod wire;

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bson::{Document, doc};
use capstan_endpoint::conformance::fixtures;
use capstan_endpoint::{Adapter, Batch, ChunkWriter, ErrorClass, ExtJson, PartKey, Unit, WritePlan};
use capstan_mongodb::MongoAdapter;

use keeper::{Instead, Keeper, unit};
use wire::Serving;

fn batch(ids: std::ops::Range<i32>) -> Batch {
    let documents: Vec<Vec<u8>> = ids.map(|id| fixtures::document(&[("_id", &fixtures::int32(id))])).collect();
    fixtures::batch(&documents)
}

async fn writer(serving: &Serving, unit: &Unit) -> Box<dyn ChunkWriter> {
    let sink = MongoAdapter.sink(&serving.url.parse().unwrap(), "job").await.unwrap();
    sink.prepare(unit, &WritePlan::default()).await.unwrap();
    sink.open_chunk(unit, &PartKey { chunk: 0, generation: 0, token: 1 }, None).await.unwrap()
}

/// An insert into the collection under test.
fn inserts(command: &Document) -> bool {
    command.get_str("insert").is_ok_and(|name| name == "b")
}

fn first_id(command: &Document) -> i32 {
    command.get_array("documents").unwrap()[0].as_document().unwrap().get_i32("_id").unwrap()
}

/// Holds each insert back until so many are there at once, or so long. Counts the most that ever were.
#[derive(Default)]
struct Meeting {
    there: Mutex<(usize, usize)>,
    came: Condvar,
}

impl Meeting {
    fn attend(&self, wanted: usize, patience: Duration) {
        let mut there = self.there.lock().unwrap();
        there.0 += 1;
        there.1 = there.1.max(there.0);
        self.came.notify_all();
        let (mut there, _) = self.came.wait_timeout_while(there, patience, |there| there.1 < wanted).unwrap();
        there.0 -= 1;
    }
}

/// The most inserts that a server sees at once while five batches are sent to it.
async fn most_at_once(unit: &Unit, wanted: usize, patience: Duration) -> usize {
    let (keeper, meeting) = (Keeper::default(), Arc::new(Meeting::default()));
    let held = Arc::clone(&meeting);
    let serving = keeper
        .serve_but(move |command| {
            if inserts(command) {
                held.attend(wanted, patience);
            }
            None
        })
        .await;
    let mut writer = writer(&serving, unit).await;
    for at in 0..5 {
        assert!(writer.send(batch(at * 10..at * 10 + 10)).await.unwrap().is_empty());
    }
    assert!(writer.settle().await.unwrap().is_empty());
    assert_eq!(writer.seal().await.unwrap().documents, 50);
    assert_eq!(keeper.ids("b").len(), 50);
    meeting.there.lock().unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn two_batches_are_on_their_way_at_once_and_never_three() {
    assert_eq!(most_at_once(&unit("b"), 2, Duration::from_secs(20)).await, 2);
    assert_eq!(most_at_once(&unit("b"), 3, Duration::from_millis(50)).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_capped_collection_is_written_one_batch_after_the_other() {
    let options = ExtJson::from_raw(&bson::rawdoc! { "capped": true, "size": 1_000_000 }).unwrap();
    let capped = Unit { options: Some(options), ..unit("b") };

    assert_eq!(most_at_once(&capped, 2, Duration::from_millis(50)).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_on_its_way_is_told_by_the_time_it_has_settled_and_is_not_counted() {
    let keeper = Keeper::default();
    let serving = keeper
        .serve_but(|command| {
            let refused = doc! { "index": 3, "code": 121, "errmsg": "it fails the validator" };
            inserts(command).then(|| Instead::Answer(doc! { "ok": 1, "writeErrors": [refused] }))
        })
        .await;
    let mut writer = writer(&serving, &unit("b")).await;

    let mut refused = Vec::new();
    for at in 0..3 {
        refused.extend(writer.send(batch(at * 10..at * 10 + 10)).await.unwrap());
    }
    refused.extend(writer.settle().await.unwrap());

    let mut ids: Vec<i32> =
        refused.iter().map(|one| Document::from_reader(&one.document[..]).unwrap().get_i32("_id").unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [3, 13, 23]);
    let facts = writer.seal().await.unwrap();
    assert_eq!((facts.documents, facts.bytes), (27, 27 * batch(0..1).bytes.len() as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_on_its_way_fails_what_comes_after_it() {
    let keeper = Keeper::default();
    let serving = keeper
        .serve_but(|command| {
            let stepped_down = doc! { "ok": 0, "code": 10_107, "errmsg": "not primary" };
            (inserts(command) && first_id(command) == 0).then_some(Instead::Answer(stepped_down))
        })
        .await;
    let mut writer = writer(&serving, &unit("b")).await;

    writer.send(batch(0..10)).await.unwrap();
    let error = writer.settle().await.unwrap_err();

    assert_eq!(error.class(), ErrorClass::Transient);
}
