//! `jsonl:` against the conformance suite, and against files as people have them.
#![allow(clippy::unwrap_used, reason = "a test's helpers may fail as tests do")]

mod shared;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bson::{Document, doc};
use bytes::Bytes;
use capstan_endpoint::bson_frames::walk;
use capstan_endpoint::conformance::{SinkMaker, sink_conforms, source_conforms};
use capstan_endpoint::{
    Adapters, Batch, Cursor, EndpointError, ExtJson, Namespace, PartKey, RefusedDocument, Sink, Source, SplitTarget,
    Unit, UnitKind, WritePlan,
};

/// Opens `jsonl:` places in a temporary folder.
struct Maker {
    root: PathBuf,
    options: &'static str,
}

#[async_trait]
impl SinkMaker for Maker {
    async fn open(&self, place: &str, job: &str) -> Arc<dyn Sink> {
        sink(&self.root.join(place), self.options, job).await
    }
}

fn url(scheme: &str, path: &Path, options: &str) -> capstan_endpoint::EndpointUrl {
    format!("{scheme}:{}{options}", path.display().to_string().replace('%', "%25")).parse().unwrap()
}

async fn sink(path: &Path, options: &str, job: &str) -> Arc<dyn Sink> {
    Adapters::of_files().sink(&url("jsonl", path, options), job).await.unwrap()
}

async fn source(path: &Path) -> Arc<dyn Source> {
    Adapters::of_files().source(&url("jsonl", path, "")).await.unwrap()
}

/// All documents of a unit, read chunk by chunk.
async fn read(source: &dyn Source, unit: &Unit, target: &SplitTarget) -> Result<Vec<u8>, EndpointError> {
    let mut all = Vec::new();
    for chunk in source.split(unit, target).await? {
        let mut reader = source.read(unit, &chunk.range, None).await?;
        while let Some(batch) = reader.next().await? {
            all.extend_from_slice(&batch.bytes);
        }
    }
    Ok(all)
}

fn small() -> SplitTarget {
    SplitTarget { documents: 100, bytes: 10_000, chunks_max: 50 }
}

/// Copies all units, each in chunks, as a job would.
async fn copy(source: &dyn Source, sink: &dyn Sink) -> Vec<RefusedDocument> {
    let plan = WritePlan::default();
    let units = source.units().await.unwrap().units;
    let mut refused = Vec::new();
    for unit in &units {
        sink.prepare(unit, &plan).await.unwrap();
        let mut facts = Vec::new();
        for (chunk, planned) in (0..).zip(source.split(unit, &small()).await.unwrap()) {
            let key = PartKey { chunk, generation: 0, token: 7 };
            let mut writer = sink.open_chunk(unit, &key, None).await.unwrap();
            let mut reader = source.read(unit, &planned.range, None).await.unwrap();
            while let Some(batch) = reader.next().await.unwrap() {
                refused.extend(writer.write(batch).await.unwrap());
            }
            facts.push(writer.seal().await.unwrap());
        }
        sink.finish_unit(unit, &plan, &facts).await.unwrap();
    }
    sink.finish_job(&units).await.unwrap();
    refused
}

#[tokio::test]
async fn a_folder_of_lines_conforms_as_a_sink() {
    let folder = tempfile::tempdir().unwrap();
    sink_conforms(&Maker { root: folder.path().into(), options: "" }).await;
}

#[tokio::test]
async fn a_folder_of_compressed_lines_conforms_as_a_sink() {
    let folder = tempfile::tempdir().unwrap();
    sink_conforms(&Maker { root: folder.path().into(), options: "?gzip=true" }).await;
}

#[tokio::test]
async fn files_of_the_wild_conform_as_a_source() {
    let Some(json) = shared::data("files_of_the_wild_conform_as_a_source", "json") else { return };
    source_conforms(&*source(&json).await).await;
    source_conforms(&*source(&json.join("products.json")).await).await;
}

#[tokio::test]
async fn every_form_of_file_conforms_as_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String = (0..2_000).map(|n| format!("{{\"_id\":{n},\"text\":\"{}\"}}\n", "é".repeat(n % 60))).collect();
    let array = format!("[{}]", lines.trim_end().replace('\n', ",\n"));
    fs::write(folder.path().join("lines.jsonl"), &lines).unwrap();
    fs::write(folder.path().join("spread.json"), lines.replace(':', ":\n ")).unwrap();
    fs::write(folder.path().join("array.json"), &array).unwrap();
    fs::write(folder.path().join("empty.json"), "").unwrap();
    for (name, text) in [("lines2.jsonl.gz", &lines), ("array2.json.gz", &array)] {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
        fs::write(folder.path().join(name), packed.finish().unwrap()).unwrap();
    }
    let source = source(folder.path()).await;

    source_conforms(&*source).await;

    let mut all = Vec::new();
    for unit in source.units().await.unwrap().units {
        let documents = read(&*source, &unit, &small()).await.unwrap();
        if unit.namespace.collection == "lines" {
            assert!(source.split(&unit, &small()).await.unwrap().len() > 5, "lines are cut");
        }
        if unit.namespace.collection != "empty" {
            all.push(documents);
        }
    }
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|documents| *documents == all[0]), "the same documents in every form");
    assert_eq!(walk(&all[0]).count(), 2_000);
}

#[tokio::test]
async fn files_of_the_wild_are_read_to_the_last_document() {
    let Some(json) = shared::data("files_of_the_wild_are_read_to_the_last_document", "json") else { return };
    let source = source(&json).await;
    let mut found = Vec::new();
    for unit in source.units().await.unwrap().units {
        let documents = read(&*source, &unit, &small()).await.unwrap();
        found.push((unit.namespace.to_string(), walk(&documents).count()));
    }
    let expected = [
        ("json.countries-big", 21_640),
        ("json.countries-small", 248),
        ("json.covers", 5_071),
        ("json.grades", 280),
        ("json.products", 11),
        ("json.profiles", 1_515),
        ("json.restaurant", 2_548),
        ("json.students", 200),
    ];
    assert_eq!(found, expected.map(|(name, count)| (name.to_owned(), count)));
}

/// The dump was made by mongorestore's relatives from these very files: reading them must give what lies in it.
#[tokio::test]
async fn the_same_bytes_are_read_that_the_real_tools_made_of_the_files() {
    let Some(data) = shared::data("the_same_bytes_are_read_that_the_real_tools_made_of_the_files", "") else { return };
    let (json, dump) = (source(&data.join("json")).await, data.join("dump/sample"));
    for unit in json.units().await.unwrap().units {
        let ours = read(&*json, &unit, &small()).await.unwrap();
        let theirs = fs::read(dump.join(format!("{}.bson", unit.namespace.collection))).unwrap();
        let by_bytes = |documents: &[u8]| {
            let mut sorted: Vec<Vec<u8>> = walk(documents).map(<[u8]>::to_vec).collect();
            sorted.sort();
            sorted
        };
        let (ours, theirs) = (by_bytes(&ours), by_bytes(&theirs));
        let differing = ours.iter().zip(&theirs).find(|(a, b)| a != b);
        let shown = differing.map(|(a, b)| (Document::from_reader(&a[..]), Document::from_reader(&b[..])));
        assert!(ours == theirs, "{}: {shown:?}", unit.namespace);
    }
}

#[tokio::test]
async fn a_dump_goes_through_lines_and_back_unchanged() {
    let Some(dump) = shared::data("a_dump_goes_through_lines_and_back_unchanged", "dump") else { return };
    let dump = Adapters::of_files().source(&url("dump", &dump, "")).await.unwrap();
    for options in ["", "?gzip=true"] {
        let folder = tempfile::tempdir().unwrap();

        let refused = copy(&*dump, &*sink(folder.path(), options, "job").await).await;

        assert_eq!(refused, []);
        let lines = source(folder.path()).await;
        let (before, after) = (dump.units().await.unwrap().units, lines.units().await.unwrap().units);
        assert_eq!(before.len(), after.len());
        for unit in &before {
            let same = after.iter().find(|other| other.namespace == unit.namespace).expect("each unit is there");
            assert_eq!((same.kind, &same.options, &same.indexes), (unit.kind, &unit.options, &unit.indexes));
            let (theirs, ours) =
                (read(&*dump, unit, &small()).await.unwrap(), read(&*lines, same, &small()).await.unwrap());
            assert!(theirs == ours, "{}", unit.namespace);
        }
    }
}

#[tokio::test]
async fn odd_names_views_and_definitions_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let definition = |text: &str| ExtJson::parse(text).unwrap();
    let plain = |name: &str| Unit::collection(Namespace::new("shop", name));
    let units = [
        Unit {
            options: Some(definition(r#"{"capped":true,"size":{"$numberInt":"4096"}}"#)),
            indexes: vec![definition(r#"{"v":{"$numberInt":"2"},"key":{"b":{"$numberInt":"1"}},"name":"b_1"}"#)],
            ..plain("a.b c/ü%41.json")
        },
        plain(&"x".repeat(250)),
        plain("x.metadata"),
        Unit { kind: UnitKind::View, options: Some(definition(r#"{"viewOn":"a","pipeline":[]}"#)), ..plain("view") },
    ];
    let sink = sink(folder.path(), "", "job").await;
    for unit in &units {
        sink.prepare(unit, &WritePlan::default()).await.unwrap();
        sink.finish_unit(unit, &WritePlan::default(), &[]).await.unwrap();
    }
    sink.finish_job(&units).await.unwrap();

    let mut found = source(folder.path()).await.units().await.unwrap().units;

    let mut expected = units.to_vec();
    for unit in found.iter_mut().chain(&mut expected) {
        unit.estimate = Default::default();
    }
    expected.sort_by(|a, b| a.namespace.cmp(&b.namespace));
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_document_that_extended_json_cannot_say_is_refused_and_the_rest_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(folder.path(), "", "job").await;
    let unit = Unit::collection(Namespace::new("shop", "odd"));
    let bytes = |document: Document| document.to_vec().unwrap();
    let mut nan = bytes(doc! { "_id": 3, "n": f64::NAN });
    let payload = nan.len() - 3;
    nan[payload] ^= 0x01;
    let documents = [
        bytes(doc! { "_id": 1, "fine": { "$exists": true } }),
        bytes(doc! { "_id": 2, "odd": { "$oid": "55a0f1d420a4d760b5fbdbd6" } }),
        nan,
        bytes(doc! { "_id": 4, "odd": { "$oid": "not an id" } }),
        bytes(doc! { "_id": 5, "fine": "too" }),
    ];
    sink.prepare(&unit, &WritePlan::default()).await.unwrap();
    let mut writer = sink.open_chunk(&unit, &PartKey { chunk: 0, generation: 0, token: 1 }, None).await.unwrap();
    let cursor = Cursor(serde_json::Value::Null);

    let refused = writer.write(Batch { bytes: Bytes::from(documents.concat()), documents: 5, cursor }).await.unwrap();
    let facts = writer.seal().await.unwrap();
    sink.finish_unit(&unit, &WritePlan::default(), std::slice::from_ref(&facts)).await.unwrap();

    assert_eq!(
        refused.iter().map(|r| &r.document[..]).collect::<Vec<_>>(),
        [&documents[1][..], &documents[2], &documents[3]]
    );
    assert!(refused.iter().all(|r| r.reason.starts_with("extended JSON cannot say it")), "{refused:?}");
    assert_eq!(facts.documents, 2);
    let scan = sink.scan().await.unwrap();
    assert_eq!(read(&*scan, &unit, &small()).await.unwrap(), [&documents[0][..], &documents[4]].concat());
}

#[tokio::test]
async fn an_error_names_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.jsonl");
    let good = "{\"_id\":1,\"name\":\"Größe\"}\n".repeat(3_000);
    fs::write(&path, format!("{good}{{\"_id\":2,\"ü\":tru}}\n{good}")).unwrap();
    let source = source(&path).await;
    let unit = &source.units().await.unwrap().units[0];

    let error = read(&*source, unit, &small()).await.unwrap_err();

    let EndpointError::Damaged { place, offset, reason } = &error else { panic!("{error}") };
    assert_eq!(*place, format!("{}, line 3001, column 14", path.display()));
    assert_eq!(*offset, good.len() as u64 + 14);
    assert!(reason.starts_with("true expected, \"tru}"), "{reason}");
}

#[tokio::test]
async fn a_file_that_is_another_one_by_now_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.jsonl");
    fs::write(&path, "{\"a\":1}\n".repeat(100)).unwrap();
    let source = source(&path).await;
    let unit = &source.units().await.unwrap().units[0];
    let chunks = source.split(unit, &small()).await.unwrap();
    fs::write(&path, "{\"a\":1}\n".repeat(101)).unwrap();

    let error = source.read(unit, &chunks[0].range, None).await.unwrap().next().await.unwrap_err();

    assert!(error.is_permanent() && error.to_string().contains("plan it again"), "{error}");
}

#[tokio::test]
async fn a_file_whose_documents_cross_the_cuts_is_refused_and_never_read_in_part() {
    // The first document ends on its line, the later ones do not: looking at the head cannot tell.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orders.json");
    let spread = "{\"a\":[\n{\"b\":1},\n{\"c\":2}\n]}\n";
    fs::write(&path, format!("{{\"a\":1}}\n{}", spread.repeat(50))).unwrap();
    let source = source(&path).await;
    let unit = &source.units().await.unwrap().units[0];
    for chunks_max in 2..60 {
        let target = SplitTarget { documents: 1, bytes: 1, chunks_max };
        match read(&*source, unit, &target).await {
            Ok(documents) => assert_eq!(walk(&documents).count(), 51, "{chunks_max} chunks"),
            Err(error) => assert!(error.is_permanent(), "{error}"),
        }
    }
}

#[tokio::test]
async fn names_are_told_by_dots_and_folders_and_doubtful_files_are_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("my.exports");
    fs::create_dir_all(root.join("crm/deeper")).unwrap();
    for name in ["shop.orders.jsonl", "100%+.json", "readme.txt", "crm/people.ndjson", "strange.metadata.json"] {
        fs::write(root.join(name), "{\"a\":1}\n").unwrap();
    }

    let listing = source(&root).await.units().await.unwrap();

    let names: Vec<String> = listing.units.iter().map(|unit| unit.namespace.to_string()).collect();
    assert_eq!(names, ["crm.people", "shop.orders", "test.100%+"]);
    assert_eq!(listing.set_aside.len(), 2, "{:?}", listing.set_aside);

    fs::write(root.join("shop.orders.json"), "{}").unwrap();
    let twice = Adapters::of_files().source(&url("jsonl", &root, "")).await.err().unwrap();
    assert!(twice.to_string().contains("which one counts cannot be told"), "{twice}");
}
