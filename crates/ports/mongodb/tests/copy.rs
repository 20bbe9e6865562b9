//! From one server to the other, range by range, and compared as bytes.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod live;

use std::sync::Arc;

use bson::{Bson, Document, doc};
use capstan_endpoint::compare::{CompareOptions, Side, compare};
use capstan_endpoint::{Namespace, PartKey, SplitTarget, Unit, WritePlan};

use live::live;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_compares_equal_but_for_its_dead_letters() {
    const NAME: &str = "mongodb::a_copy_compares_equal_but_for_its_dead_letters";
    let Some(from) = live("CAPSTAN_TEST_MONGO_URL", NAME).await else { return };
    let Some(to) = live("CAPSTAN_TEST_FERRET_URL", NAME).await else { return };
    let mut documents: Vec<Document> = (0..3_000)
        .map(|n| doc! { "_id": format!("order-{n:05}"), "n": n, "text": "x".repeat(n as usize % 700) })
        .collect();
    documents[1_234].insert("price", Bson::Decimal128("9.99".parse().unwrap()));
    documents[2_345].insert("ratio", f64::INFINITY);
    for some in documents.chunks(1_000) {
        from.run("shop", doc! { "insert": "orders", "documents": some }).await;
    }
    let (source, sink) = (from.source("shop").await, to.sink("copy").await);
    let read = from.listed("shop", "orders").await;
    assert_eq!(read.estimate.documents, Some(3_000));
    let written = Unit { namespace: Namespace::new(to.name("target"), "orders"), ..read.clone() };

    assert_eq!(sink.prepare(&written, &WritePlan::default()).await.unwrap(), []);
    let target = SplitTarget { documents: 700, bytes: u64::MAX, chunks_max: 100 };
    let mut facts = Vec::new();
    let mut letters = Vec::new();
    for (chunk, planned) in (0..).zip(source.split(&read, &target).await.unwrap()) {
        let mut reader = source.read(&read, &planned.range, None).await.unwrap();
        let mut writer = sink.open_chunk(&written, &PartKey { chunk, generation: 0, token: 1 }, None).await.unwrap();
        while let Some(batch) = reader.next().await.unwrap() {
            letters.extend(writer.write(batch).await.unwrap());
        }
        facts.push(writer.seal().await.unwrap());
    }
    sink.finish_unit(&written, &WritePlan::default(), &facts).await.unwrap();
    sink.finish_job(std::slice::from_ref(&written)).await.unwrap();

    assert!(facts.len() > 3);
    assert_eq!(facts.iter().map(|facts| facts.documents).sum::<u64>(), 2_998);
    assert_eq!(letters.len(), 2);
    let expected = Side { source, unit: read };
    let found = Side { source: sink.scan().await.unwrap(), unit: written };
    let comparison = compare(&expected, &found, &CompareOptions::default(), Arc::new(|_| {})).await.unwrap();
    assert_eq!((comparison.missing, comparison.extra, comparison.different), (2, 0, 0), "{comparison:?}");
    let missing: Vec<_> = comparison.differences.iter().filter_map(|difference| difference.id.clone()).collect();
    assert!(missing.contains(&"\"order-01234\"".to_owned()) && missing.contains(&"\"order-02345\"".to_owned()));
    from.clean().await;
    to.clean().await;
}
