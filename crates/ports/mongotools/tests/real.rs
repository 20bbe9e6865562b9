//! The real mongodump and mongorestore, where they are on `PATH`, on real servers.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

#[path = "../../mongodb/tests/live/mod.rs"]
mod live;

use std::sync::Arc;

use async_trait::async_trait;
use bson::{Bson, Document, doc};
use capstan_endpoint::compare::{CompareOptions, Side, compare};
use capstan_endpoint::conformance::{SinkMaker, fixtures, sink_conforms, source_conforms};
use capstan_endpoint::{Adapter, Namespace, PartKey, Sink, Source, SplitTarget, Unit, WriteMode, WritePlan};
use capstan_mongodb::MongoAdapter;
use capstan_mongotools::{ToolsAdapter, ToolsOptions, Unusable, check};

use live::{Apart, Live, live};

/// A server and both programs; where one of them is lacking the test is skipped, with the reason on record.
async fn ready(variable: &str, test: &str) -> Option<Live> {
    for (tool, found) in check(&ToolsOptions::from_environment()).await {
        if let Err(Unusable::Missing { .. }) = found {
            capstan_testkit::skipped(test, &format!("needs the program {tool}"));
            return None;
        }
        found.unwrap();
    }
    live(variable, test).await
}

macro_rules! on_both_servers {
    ($($claim:ident;)*) => {$(
        mod $claim {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mongo() {
                let name = concat!("mongotools::", stringify!($claim), "::mongo");
                if let Some(live) = super::ready("CAPSTAN_TEST_MONGO_URL", name).await {
                    super::$claim(&live).await;
                    live.clean().await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn ferret() {
                let name = concat!("mongotools::", stringify!($claim), "::ferret");
                if let Some(live) = super::ready("CAPSTAN_TEST_FERRET_URL", name).await {
                    super::$claim(&live).await;
                    live.clean().await;
                }
            }
        }
    )*};
}

on_both_servers! {
    it_is_a_sink;
    it_is_a_source;
    a_copy_by_both_programs_compares_equal;
    a_chunk_that_is_written_again_over_others_ends_in_the_same_documents;
    a_document_that_the_target_refuses_becomes_a_dead_letter_in_the_next_attempt;
}

fn tools() -> ToolsAdapter {
    ToolsAdapter::new(Arc::new(MongoAdapter), ToolsOptions::from_environment())
}

async fn sink(live: &Live, job: &str) -> Arc<dyn Sink> {
    tools().sink(&live.url.parse().unwrap(), job).await.unwrap()
}

async fn source(live: &Live, database: &str) -> Arc<dyn Source> {
    let url = format!("{}/{}", live.url.trim_end_matches('/'), live.name(database));
    tools().source(&url.parse().unwrap()).await.unwrap()
}

struct Maker<'a>(&'a Live);

#[async_trait]
impl SinkMaker for Maker<'_> {
    async fn open(&self, place: &str, job: &str) -> Arc<dyn Sink> {
        let prefix = format!("{}{place}_", self.0.prefix);
        Arc::new(Apart::<dyn Sink> { inner: sink(self.0, job).await, prefix })
    }

    fn documents(&self) -> Vec<Vec<u8>> {
        plain()
    }

    fn names(&self) -> Vec<Namespace> {
        // One of the servers has an own limit of 128 bytes for database and collection together.
        let short = fixtures::odd_names().into_iter().filter(|name| name.collection.len() < 90);
        let more = ["\"quoted\"", "back\\slash", "star*", "--db=x"];
        short.chain(more.map(|collection| Namespace::new("odd", collection))).collect()
    }
}

/// Documents of the types that both servers take.
fn plain() -> Vec<Vec<u8>> {
    let taken = |value: &fixtures::Value| {
        let text = value.kind == 0x02 && !value.bytes[..value.bytes.len() - 1].contains(&0);
        text || [0x03, 0x07, 0x08, 0x10, 0x12].contains(&value.kind)
    };
    let values = fixtures::values().into_iter().filter(taken);
    (0..).zip(values).map(|(n, value)| fixtures::document(&[("_id", &fixtures::int32(n)), ("v", &value)])).collect()
}

async fn it_is_a_sink(live: &Live) {
    sink_conforms(&Maker(live)).await;
}

async fn it_is_a_source(live: &Live) {
    live.insert("s", "numbered", &fixtures::numbered(500)).await;
    live.insert("s", "mixed", &plain()).await;
    live.insert("s", "-da sh.%", &fixtures::numbered(50)).await;
    live.run("s", doc! { "create": "empty" }).await;

    source_conforms(&*source(live, "s").await).await;
}

async fn write(sink: &dyn Sink, unit: &Unit, token: u64, documents: &[Document]) -> u64 {
    let bytes: Vec<Vec<u8>> = documents.iter().map(|document| document.to_vec().unwrap()).collect();
    let mut writer = sink.open_chunk(unit, &PartKey { chunk: 0, generation: 0, token }, None).await.unwrap();
    for some in bytes.chunks(700) {
        assert!(writer.write(fixtures::batch(some)).await.unwrap().is_empty());
    }
    writer.seal().await.unwrap().documents
}

async fn found(live: &Live, unit: &Unit) -> Vec<Document> {
    let find = doc! { "find": &unit.namespace.collection, "batchSize": 10_000 };
    let answer = live.client.database(&unit.namespace.database).run_command(find).await.unwrap();
    let batch = answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap().clone();
    let mut documents: Vec<Document> = batch.into_iter().map(|value| value.as_document().unwrap().clone()).collect();
    documents.sort_by_key(|document| document.get_i32("_id").unwrap_or(i32::MAX));
    documents
}

async fn a_copy_by_both_programs_compares_equal(live: &Live) {
    let documents: Vec<Document> = (0..3_000)
        .map(|n| match n % 3 {
            0 => doc! { "_id": n, "text": "x".repeat(n as usize % 700) },
            1 => doc! { "_id": format!("order-{n:05}"), "n": n },
            _ => doc! { "_id": bson::oid::ObjectId::from_bytes([(n % 251) as u8, (n / 251) as u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) },
        })
        .collect();
    for some in documents.chunks(1_000) {
        live.run("shop", doc! { "insert": "orders", "documents": some }).await;
    }
    let (source, sink) = (source(live, "shop").await, sink(live, "copy").await);
    let read = live.listed("shop", "orders").await;
    let written = Unit { namespace: Namespace::new(live.name("target"), "orders"), ..read.clone() };

    assert_eq!(sink.prepare(&written, &WritePlan::default()).await.unwrap(), []);
    let target = SplitTarget { documents: 200, bytes: u64::MAX, chunks_max: 100 };
    let mut facts = Vec::new();
    for (chunk, planned) in (0..).zip(source.split(&read, &target).await.unwrap()) {
        let mut reader = source.read(&read, &planned.range, None).await.unwrap();
        let mut writer = sink.open_chunk(&written, &PartKey { chunk, generation: 0, token: 1 }, None).await.unwrap();
        while let Some(batch) = reader.next().await.unwrap() {
            assert!(writer.write(batch).await.unwrap().is_empty());
        }
        facts.push(writer.seal().await.unwrap());
    }
    sink.finish_unit(&written, &WritePlan::default(), &facts).await.unwrap();
    sink.finish_job(std::slice::from_ref(&written)).await.unwrap();

    assert!(facts.len() > 2);
    assert_eq!(facts.iter().map(|facts| facts.documents).sum::<u64>(), 3_000);
    let expected = Side { source: live.source("shop").await, unit: read };
    let found = Side { source: sink.scan().await.unwrap(), unit: written };
    let comparison = compare(&expected, &found, &CompareOptions::default(), Arc::new(|_| {})).await.unwrap();
    assert_eq!((comparison.missing, comparison.extra, comparison.different), (0, 0, 0), "{comparison:?}");
}

async fn a_chunk_that_is_written_again_over_others_ends_in_the_same_documents(live: &Live) {
    let (sink, unit) = (sink(live, "again").await, live.unit("w", "again"));
    let theirs: Vec<Document> = (0..500).map(|n| doc! { "_id": n, "v": "old" }).collect();
    live.run("w", doc! { "insert": "again", "documents": &theirs }).await;
    let ours: Vec<Document> =
        (100..2_000).map(|n| doc! { "_id": n, "v": if n % 2 == 0 { "old" } else { "new" } }).collect();
    sink.prepare(&unit, &WritePlan { mode: WriteMode::Merge, ..WritePlan::default() }).await.unwrap();

    let counts = [write(&*sink, &unit, 1, &ours).await, write(&*sink, &unit, 2, &ours).await];

    assert_eq!(counts, [1_900, 1_900]);
    assert_eq!(found(live, &unit).await, [&theirs[..100], &ours].concat());
}

async fn a_document_that_the_target_refuses_becomes_a_dead_letter_in_the_next_attempt(live: &Live) {
    let (sink, unit) = (sink(live, "refused").await, live.unit("w", "refused"));
    sink.prepare(&unit, &WritePlan::default()).await.unwrap();
    let mut documents: Vec<Document> = (0..300).map(|n| doc! { "_id": n, "v": "x" }).collect();
    // Both servers close the connection on it.
    documents[140].insert("v", Bson::Symbol("s".into()));
    let bytes: Vec<Vec<u8>> = documents.iter().map(|document| document.to_vec().unwrap()).collect();
    let open = async |token| sink.open_chunk(&unit, &PartKey { chunk: 0, generation: 0, token }, None).await.unwrap();

    let mut first = open(1).await;
    let told = first.write(fixtures::batch(&bytes)).await;
    let failed = match told {
        Ok(refused) if refused.is_empty() => first.seal().await.map(drop).unwrap_err(),
        Ok(refused) => panic!("{} were refused while mongorestore still ran", refused.len()),
        Err(error) => error,
    };
    let mut second = open(2).await;
    let refused = second.write(fixtures::batch(&bytes)).await.unwrap();
    let facts = second.seal().await.unwrap();

    assert!(failed.class() == capstan_endpoint::ErrorClass::Transient, "{failed}");
    assert_eq!((refused.len(), facts.documents), (1, 299));
    documents.remove(140);
    assert_eq!(found(live, &unit).await, documents);
}

#[tokio::test]
async fn the_programs_on_the_path_are_judged_by_what_they_say() {
    const NAME: &str = "mongotools::the_programs_on_the_path_are_judged_by_what_they_say";
    if ready("CAPSTAN_TEST_MONGO_URL", NAME).await.is_none() {
        return;
    }
    for (tool, found) in check(&ToolsOptions::from_environment()).await {
        let found = found.unwrap();
        assert_eq!((found.tool, found.path.file_name().unwrap().to_str()), (tool, Some(tool.name())));
        assert!(found.version.starts_with(|c: char| c.is_ascii_digit()), "{found:?}");
    }
}
