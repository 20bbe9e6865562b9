//! Documents that are heavy, on servers that give as many at once as they are asked for.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod live;

use bson::{Binary, doc, spec::BinarySubtype};
use capstan_endpoint::{Cursor, Estimate, SplitTarget, Unit};

use live::Live;
use tokio::sync::Mutex;

on_both_servers! {
    many_of_the_largest_documents_are_read_in_bounded_memory;
    heavy_documents_of_unknown_weight_are_read_from_any_batch_on;
}

/// One at a time: a server of a gigabyte has room for one of these.
static TURN: Mutex<()> = Mutex::const_new(());
/// What a reader may add to this process's memory at most.
const MEMORY_MAX_MIB: u64 = 300;

async fn insert(live: &Live, collection: &str, ids: std::ops::Range<i32>, bytes: usize) {
    // Of bytes that no server can pack.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()
    })
    .take(bytes.div_ceil(8))
    .flatten()
    .take(bytes)
    .collect();
    for id in ids {
        let filler = Binary { subtype: BinarySubtype::Generic, bytes: noise.clone() };
        let answer = live.run("h", doc! { "insert": collection, "documents": [{ "_id": id, "v": filler }] }).await;
        assert!(!answer.contains_key("writeErrors"), "{answer}");
    }
}

/// `_id`s in the order in which they come, and the place behind the first batch.
async fn ids(live: &Live, unit: &Unit, from: Option<&Cursor>) -> (Vec<i32>, Cursor) {
    let source = live.source("h").await;
    let target = SplitTarget { documents: 10_000, bytes: u64::MAX, chunks_max: 1 };
    let chunks = source.split(unit, &target).await.unwrap();
    assert_eq!(chunks.len(), 1);
    let mut reader = source.read(unit, &chunks[0].range, from).await.unwrap();
    let (mut ids, mut first) = (Vec::new(), None);
    while let Some(batch) = reader.next().await.unwrap() {
        for document in batch.iter() {
            ids.push(bson::RawDocument::from_bytes(document).unwrap().get_i32("_id").unwrap());
        }
        first.get_or_insert(batch.cursor);
    }
    (ids, first.unwrap())
}

fn memory_peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

async fn many_of_the_largest_documents_are_read_in_bounded_memory(live: &Live) {
    let _turn = TURN.lock().await;
    insert(live, "largest", 0..10, (16 << 20) - 1_024).await;
    let weighed = live.listed("h", "largest").await;
    // One of the servers does not weigh what it holds, and the other has no room for an answer of all of it.
    let unit = if live.is_ferret() { Unit { estimate: Estimate::default(), ..weighed } } else { weighed };

    let (mut read, _) = ids(live, &unit, None).await;

    read.sort_unstable();
    assert_eq!(read, (0..10).collect::<Vec<_>>());
    assert!(memory_peak_mib() < MEMORY_MAX_MIB, "{} MiB", memory_peak_mib());
}

async fn heavy_documents_of_unknown_weight_are_read_from_any_batch_on(live: &Live) {
    let _turn = TURN.lock().await;
    insert(live, "heavy", 0..600, 100_000).await;
    let unit = live.unit("h", "heavy");

    let (all, first) = ids(live, &unit, None).await;
    let (rest, _) = ids(live, &unit, Some(&first)).await;

    assert_eq!(all.len(), 600);
    assert!(rest.len() < 600 && all.ends_with(&rest), "{} of {}", rest.len(), all.len());
    let mut sorted = all;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..600).collect::<Vec<_>>());
}
