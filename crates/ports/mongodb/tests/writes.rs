//! What is written, replaced, refused and set aside, on real servers.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod live;

use std::sync::Arc;

use bson::{Bson, Document, doc};
use capstan_endpoint::conformance::fixtures;
use capstan_endpoint::{
    Batch, Checkpoint, ChunkWriter, ErrorClass, ExtJson, IndexTime, Occupancy, PartKey, RefusedDocument, Sink, Unit,
    UnitKind, WriteMode, WritePlan,
};

use live::Live;

on_both_servers! {
    a_document_that_cuts_the_connection_is_put_aside_and_the_rest_is_written;
    what_is_there_already_is_left_alone_and_what_differs_is_replaced;
    hundreds_of_documents_are_replaced_at_once_by_several_chunks;
    a_resumed_chunk_finds_what_it_wrote_without_provoking_errors;
    the_key_of_another_unique_index_is_a_dead_letter;
    merging_keeps_what_is_there_and_overwriting_does_not;
    an_abandoned_job_drops_what_it_began_and_nothing_else;
    what_the_server_refuses_of_a_definition_is_set_aside;
    names_that_no_server_takes_are_refused_before_anything_is_written;
    the_bookkeeping_of_a_job_is_gone_when_it_has_finished;
}

const PLAN: WritePlan = WritePlan { mode: WriteMode::FailIfExists, indexes: IndexTime::After, deadline: None };

fn batch(documents: &[Document]) -> Batch {
    let bytes: Vec<Vec<u8>> = documents.iter().map(|document| document.to_vec().unwrap()).collect();
    fixtures::batch(&bytes)
}

async fn open(sink: &Arc<dyn Sink>, unit: &Unit, resume: Option<&Checkpoint>) -> Box<dyn ChunkWriter> {
    sink.open_chunk(unit, &PartKey { chunk: 0, generation: 0, token: 1 }, resume).await.unwrap()
}

async fn found(live: &Live, unit: &Unit) -> Vec<Document> {
    let answer = live.client.database(&unit.namespace.database);
    let answer = answer.run_command(doc! { "find": &unit.namespace.collection, "batchSize": 10_000 }).await.unwrap();
    let batch = answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap().clone();
    let mut documents: Vec<Document> = batch.into_iter().map(|value| value.as_document().unwrap().clone()).collect();
    documents.sort_by_key(|document| document.get_i32("_id").unwrap_or(i32::MAX));
    documents
}

// One server used to stop for everybody at the first command that replaced fifty documents: see the limits of a server.
async fn hundreds_of_documents_are_replaced_at_once_by_several_chunks(live: &Live) {
    const CHUNKS: i32 = 3;
    let (sink, unit) = (live.sink("replaced").await, live.unit("w", "replaced"));
    let of = |chunk: i32, v: &str| -> Vec<Document> {
        (chunk * 200..(chunk + 1) * 200).map(|n| doc! { "_id": n, "v": v }).collect()
    };
    for chunk in 0..CHUNKS {
        live.run("w", doc! { "insert": "replaced", "documents": of(chunk, "old") }).await;
    }
    sink.prepare(&unit, &WritePlan { mode: WriteMode::Merge, ..PLAN }).await.unwrap();

    let chunks = (0..CHUNKS).map(|chunk| {
        let (sink, unit, documents) = (Arc::clone(&sink), unit.clone(), of(chunk, "new"));
        async move {
            let part = PartKey { chunk: chunk as u32, generation: 0, token: 1 };
            let mut writer = sink.open_chunk(&unit, &part, None).await.unwrap();
            assert!(writer.write(batch(&documents)).await.unwrap().is_empty());
            writer.seal().await.unwrap().documents
        }
    });
    let replaced = tokio::time::timeout(std::time::Duration::from_secs(60), futures::future::join_all(chunks)).await;

    assert_eq!(replaced.unwrap().iter().sum::<u64>(), 600);
    assert_eq!(found(live, &unit).await, (0..CHUNKS).flat_map(|chunk| of(chunk, "new")).collect::<Vec<_>>());
}

fn reasons(refused: &[RefusedDocument]) -> Vec<String> {
    refused.iter().map(|refused| refused.reason.clone()).collect()
}

async fn a_document_that_cuts_the_connection_is_put_aside_and_the_rest_is_written(live: &Live) {
    let (sink, unit) = (live.sink("cut").await, live.unit("w", "cut"));
    sink.prepare(&unit, &PLAN).await.unwrap();
    let mut documents: Vec<Document> = (0..200).map(|n| doc! { "_id": n, "v": "x" }).collect();
    // Each of the servers closes the connection on one of these types and takes the other.
    let (code, scoped) = (
        Bson::Symbol("s".into()),
        Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope { code: "f".into(), scope: doc! {} }),
    );
    documents[17].insert("v", code);
    documents[140].insert("v", scoped);
    let mut writer = open(&sink, &unit, None).await;

    let refused = writer.write(batch(&documents)).await.unwrap();
    let facts = writer.seal().await.unwrap();

    let ids: Vec<i32> = refused
        .iter()
        .map(|refused| Document::from_reader(&refused.document[..]).unwrap().get_i32("_id").unwrap())
        .collect();
    assert_eq!(ids, [17, 140]);
    assert!(reasons(&refused).iter().all(|reason| reason.contains("closes the connection")), "{:?}", reasons(&refused));
    assert_eq!(facts.documents, 198);
    let rest: Vec<Document> =
        documents.into_iter().filter(|d| ![17, 140].contains(&d.get_i32("_id").unwrap())).collect();
    assert_eq!(found(live, &unit).await, rest);
}

async fn what_is_there_already_is_left_alone_and_what_differs_is_replaced(live: &Live) {
    let (sink, unit) = (live.sink("same").await, live.unit("w", "same"));
    sink.prepare(&unit, &PLAN).await.unwrap();
    let old: Vec<Document> = (0..50).map(|n| doc! { "_id": n, "v": "old" }).collect();
    let new: Vec<Document> = (0..60).map(|n| doc! { "_id": n, "v": if n % 3 == 0 { "new" } else { "old" } }).collect();
    assert!(open(&sink, &unit, None).await.write(batch(&old)).await.unwrap().is_empty());

    let refused = open(&sink, &unit, None).await.write(batch(&new)).await.unwrap();

    assert!(refused.is_empty(), "{:?}", reasons(&refused));
    assert_eq!(found(live, &unit).await, new);
}

async fn a_resumed_chunk_finds_what_it_wrote_without_provoking_errors(live: &Live) {
    let (sink, unit) = (live.sink("resumed").await, live.unit("w", "resumed"));
    sink.prepare(&unit, &PLAN).await.unwrap();
    let documents: Vec<Document> = (0..3_000).map(|n| doc! { "_id": n, "v": "x".repeat(50) }).collect();
    let mut writer = open(&sink, &unit, None).await;
    writer.write(batch(&documents[..1_000])).await.unwrap();
    let checkpoint = writer.checkpoint().await.unwrap();
    writer.write(batch(&documents[1_000..2_000])).await.unwrap();
    drop(writer);

    let mut writer = open(&sink, &unit, Some(&checkpoint)).await;
    for some in documents[1_000..].chunks(700) {
        assert!(writer.write(batch(some)).await.unwrap().is_empty());
    }
    let facts = writer.seal().await.unwrap();

    assert_eq!(facts.documents, 3_000);
    assert_eq!(found(live, &unit).await.len(), 3_000);
}

async fn the_key_of_another_unique_index_is_a_dead_letter(live: &Live) {
    let (sink, mut unit) = (live.sink("unique").await, live.unit("w", "unique"));
    unit.indexes = vec![ExtJson::parse(r#"{"v":2,"key":{"email":1},"name":"email_1","unique":true}"#).unwrap()];
    let plan = WritePlan { indexes: IndexTime::Before, ..PLAN };
    assert_eq!(sink.prepare(&unit, &plan).await.unwrap(), []);
    let documents = [doc! { "_id": 1, "email": "a" }, doc! { "_id": 2, "email": "b" }, doc! { "_id": 3, "email": "a" }];

    let refused = open(&sink, &unit, None).await.write(batch(&documents)).await.unwrap();

    assert_eq!(refused.len(), 1);
    assert!(refused[0].reason.contains("E11000"), "{}", refused[0].reason);
    assert_eq!(Document::from_reader(&refused[0].document[..]).unwrap(), documents[2]);
    assert_eq!(found(live, &unit).await, documents[..2]);
}

async fn merging_keeps_what_is_there_and_overwriting_does_not(live: &Live) {
    let unit = live.unit("w", "modes");
    live.run("w", doc! { "insert": "modes", "documents": [{ "_id": 1, "v": "theirs" }, { "_id": 2, "v": "theirs" }] })
        .await;
    let ours = [doc! { "_id": 2, "v": "ours" }, doc! { "_id": 3, "v": "ours" }];
    let sink = live.sink("modes").await;
    assert!(matches!(sink.occupancy(&unit).await.unwrap(), Occupancy::Occupied { .. }));
    assert_eq!(sink.prepare(&unit, &PLAN).await.unwrap_err().class(), ErrorClass::Permanent);

    sink.prepare(&unit, &WritePlan { mode: WriteMode::Merge, ..PLAN }).await.unwrap();
    open(&sink, &unit, None).await.write(batch(&ours)).await.unwrap();
    let merged = [doc! { "_id": 1, "v": "theirs" }, ours[0].clone(), ours[1].clone()];
    assert_eq!(found(live, &unit).await, merged);

    sink.prepare(&unit, &WritePlan { mode: WriteMode::Overwrite, ..PLAN }).await.unwrap();
    open(&sink, &unit, None).await.write(batch(&ours)).await.unwrap();
    assert_eq!(found(live, &unit).await, ours);
}

async fn an_abandoned_job_drops_what_it_began_and_nothing_else(live: &Live) {
    let (begun, merged, finished) = (live.unit("w", "begun"), live.unit("w", "merged"), live.unit("w", "finished"));
    live.run("w", doc! { "insert": "merged", "documents": [{ "_id": 1 }] }).await;
    let sink = live.sink("abandoned").await;
    sink.prepare(&begun, &PLAN).await.unwrap();
    sink.prepare(&merged, &WritePlan { mode: WriteMode::Merge, ..PLAN }).await.unwrap();
    sink.prepare(&finished, &PLAN).await.unwrap();
    for unit in [&begun, &merged, &finished] {
        open(&sink, unit, None).await.write(batch(&[doc! { "_id": 9 }])).await.unwrap();
    }
    sink.finish_unit(&finished, &PLAN, &[]).await.unwrap();

    sink.abandon().await.unwrap();
    sink.abandon().await.unwrap();

    assert_eq!(found(live, &begun).await, []);
    assert_eq!(found(live, &merged).await, [doc! { "_id": 1 }, doc! { "_id": 9 }]);
    assert_eq!(found(live, &finished).await, [doc! { "_id": 9 }]);
    assert!(!names(live).await.iter().any(|name| name.starts_with("capstan.")));
}

async fn names(live: &Live) -> Vec<String> {
    live.client.database(&live.name("w")).list_collection_names().await.unwrap()
}

async fn what_the_server_refuses_of_a_definition_is_set_aside(live: &Live) {
    let mut unit = live.unit("w", "defined");
    let options = r#"{"capped":true,"size":100000,"validator":{"a":{"$type":"string"}},"validationLevel":"off"}"#;
    unit.options = Some(ExtJson::parse(options).unwrap());
    unit.indexes = [
        r#"{"v":2,"key":{"_id":1},"name":"_id_"}"#,
        r#"{"v":2,"key":{"b":1,"a":-1},"name":"b_1_a_-1"}"#,
        r#"{"v":2,"key":{"t":1},"name":"t_1","expireAfterSeconds":60}"#,
        r#"{"v":2,"key":{"s":1},"name":"s_1","sparse":true}"#,
    ]
    .map(|text| ExtJson::parse(text).unwrap())
    .into();
    let sink = live.sink("defined").await;

    let mut set_aside = sink.prepare(&unit, &PLAN).await.unwrap();
    set_aside.extend(sink.finish_unit(&unit, &PLAN, &[]).await.unwrap());

    let listed = live.listed("w", "defined").await;
    let kept = listed.options.map(|options| options.to_document()).unwrap_or_default();
    let told = |what: &str| set_aside.iter().any(|aside| aside.what.starts_with(what));
    for option in ["capped", "validator"] {
        assert!(
            kept.contains_key(option) || told(&format!("option {option} ")),
            "{option} is lost silently: {set_aside:?}"
        );
    }
    let index = |name: &str| {
        let indexes = listed.indexes.iter().map(|index| index.to_document());
        indexes.into_iter().find(|index| index.get_str("name").is_ok_and(|found| found == name))
    };
    let keys = index("b_1_a_-1").unwrap().get_document("key").unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys, ["b", "a"]);
    assert!(!told("index b_1_a_-1") && !told("index _id_"));
    for (name, option) in [("t_1", "expireAfterSeconds"), ("s_1", "sparse")] {
        let kept = index(name).is_some_and(|index| index.contains_key(option));
        assert!(kept || told(&format!("index {name} ")), "{name} is lost silently: {set_aside:?}");
    }
    let view = Unit {
        kind: UnitKind::View,
        options: Some(ExtJson::parse(r#"{"viewOn":"defined","pipeline":[]}"#).unwrap()),
        ..live.unit("w", "view")
    };
    let set_aside = sink.prepare(&view, &PLAN).await.unwrap();
    assert!(set_aside.iter().any(|aside| aside.what.starts_with("option viewOn ")), "neither server has views");
    assert!(!names(live).await.contains(&"view".to_owned()), "a collection was made of a view");
}

async fn names_that_no_server_takes_are_refused_before_anything_is_written(live: &Live) {
    let sink = live.sink("names").await;
    for (database, collection) in
        [("a.b", "c"), ("a b", "c"), ("", "c"), ("a", ""), ("a", "x\0y"), ("a", "system.users")]
    {
        let namespace = capstan_endpoint::Namespace::new(database, collection);
        let refused = sink.prepare(&Unit::collection(namespace), &PLAN).await.unwrap_err();
        assert_eq!(refused.class(), ErrorClass::Permanent, "{database:?} {collection:?}");
    }
    assert!(!live.client.list_database_names().await.unwrap().contains(&"a".to_owned()));
}

async fn the_bookkeeping_of_a_job_is_gone_when_it_has_finished(live: &Live) {
    let (sink, unit) = (live.sink(&"long.".repeat(25)).await, live.unit("w", "kept"));
    sink.prepare(&unit, &PLAN).await.unwrap();
    assert!(names(live).await.iter().any(|name| name.starts_with("capstan.unfinished.")));
    let listing = live.source("w").await.units().await.unwrap();
    assert!(listing.units.iter().all(|unit| !unit.namespace.collection.starts_with("capstan.")));
    assert!(listing.set_aside.iter().any(|aside| aside.what.contains("capstan.unfinished.")));

    sink.finish_unit(&unit, &PLAN, &[]).await.unwrap();
    sink.finish_job(std::slice::from_ref(&unit)).await.unwrap();
    sink.finish_job(std::slice::from_ref(&unit)).await.unwrap();

    assert!(!names(live).await.iter().any(|name| name.starts_with("capstan.")));
}
