//! `dump:` against the conformance suite, and against what the real mongodump wrote.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod shared;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use capstan_endpoint::conformance::{SinkMaker, fixtures, read_all, sink_conforms, source_conforms};
use capstan_endpoint::{
    Adapters, EndpointError, EndpointUrl, PartKey, Sink, Source, SplitTarget, Unit, UnitKind, WritePlan,
};

/// Opens `dump:` places in a temporary folder.
struct Maker {
    root: PathBuf,
    ending: &'static str,
    options: &'static str,
}

#[async_trait]
impl SinkMaker for Maker {
    async fn open(&self, place: &str, job: &str) -> Arc<dyn Sink> {
        let path = self.root.join(format!("{place}{}", self.ending));
        sink(&path, self.options, job).await
    }
}

fn url(path: &Path, options: &str) -> EndpointUrl {
    format!("dump:{}{options}", path.display().to_string().replace('%', "%25")).parse().unwrap()
}

async fn sink(path: &Path, options: &str, job: &str) -> Arc<dyn Sink> {
    Adapters::of_files().sink(&url(path, options), job).await.unwrap()
}

async fn source(path: &Path) -> Result<Arc<dyn Source>, EndpointError> {
    Adapters::of_files().source(&url(path, "")).await
}

/// Copies all units with several chunks each, as a job would.
async fn copy(source: &dyn Source, sink: &dyn Sink) -> Vec<Unit> {
    let target = SplitTarget { documents: 400, bytes: 100_000, chunks_max: 7 };
    let plan = WritePlan::default();
    let units = source.units().await.unwrap().units;
    for unit in &units {
        sink.prepare(unit, &plan).await.unwrap();
        let mut facts = Vec::new();
        for (chunk, planned) in (0..).zip(source.split(unit, &target).await.unwrap()) {
            let key = PartKey { chunk, generation: 0, token: 7 };
            let mut writer = sink.open_chunk(unit, &key, None).await.unwrap();
            let mut reader = source.read(unit, &planned.range, None).await.unwrap();
            while let Some(batch) = reader.next().await.unwrap() {
                writer.write(batch).await.unwrap();
            }
            facts.push(writer.seal().await.unwrap());
        }
        sink.finish_unit(unit, &plan, &facts).await.unwrap();
    }
    sink.finish_job(&units).await.unwrap();
    units
}

#[tokio::test]
async fn a_directory_conforms_as_a_sink() {
    let folder = tempfile::tempdir().unwrap();
    sink_conforms(&Maker { root: folder.path().into(), ending: "", options: "" }).await;
}

#[tokio::test]
async fn a_directory_of_gzip_files_conforms_as_a_sink() {
    let folder = tempfile::tempdir().unwrap();
    sink_conforms(&Maker { root: folder.path().into(), ending: "", options: "?gzip=true" }).await;
}

#[tokio::test]
async fn an_archive_conforms_as_a_sink() {
    let folder = tempfile::tempdir().unwrap();
    sink_conforms(&Maker { root: folder.path().into(), ending: ".archive", options: "" }).await;
}

#[tokio::test]
async fn a_packed_archive_conforms_as_a_sink() {
    let folder = tempfile::tempdir().unwrap();
    sink_conforms(&Maker { root: folder.path().into(), ending: ".archive.gz", options: "" }).await;
}

#[tokio::test]
async fn null_conforms_as_a_sink_and_is_no_source() {
    struct Null;
    #[async_trait]
    impl SinkMaker for Null {
        async fn open(&self, _: &str, job: &str) -> Arc<dyn Sink> {
            Adapters::of_files().sink(&"null:".parse().unwrap(), job).await.unwrap()
        }
    }
    sink_conforms(&Null).await;
    let refused = Adapters::of_files().source(&"null:".parse().unwrap()).await.err().unwrap();
    assert!(refused.is_permanent());
}

#[tokio::test]
async fn the_real_dump_conforms_as_a_source() {
    let Some(dump) = shared::data("the_real_dump_conforms_as_a_source", "dump") else { return };
    source_conforms(&*source(&dump).await.unwrap()).await;
    source_conforms(&*source(&dump.join("types")).await.unwrap()).await;
    source_conforms(&*source(&dump.join("types/values.bson")).await.unwrap()).await;
}

#[tokio::test]
async fn our_dumps_of_every_form_conform_as_sources() {
    let Some(dump) = shared::data("our_dumps_of_every_form_conform_as_sources", "dump") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [("plain", ""), ("packed", "?gzip=true")] {
        let path = folder.path().join(name);
        copy(&*source(&dump).await.unwrap(), &*sink(&path, options, "job").await).await;
        source_conforms(&*source(&path).await.unwrap()).await;
    }
}

#[tokio::test]
async fn the_real_dump_copied_is_the_same_dump_file_by_file() {
    let Some(dump) = shared::data("the_real_dump_copied_is_the_same_dump_file_by_file", "dump") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy");

    copy(&*source(&dump).await.unwrap(), &*sink(&path, "", "job").await).await;

    for database in ["sample", "types"] {
        let names = |folder: PathBuf| {
            let mut names: Vec<_> =
                std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let real: Vec<_> = names(dump.join(database)).into_iter().filter(|name| name != "prelude.json").collect();
        assert_eq!(names(path.join(database)), real);
        for name in real {
            let read = |root: &Path| std::fs::read(root.join(database).join(&name)).unwrap();
            // Definitions too: same fields, same order, same canonical text.
            assert!(read(&dump) == read(&path), "{database}/{} differs", name.display());
        }
    }
    assert!(!path.join(".capstan").exists());
}

#[tokio::test]
async fn everything_that_the_real_dump_holds_is_listed() {
    let Some(dump) = shared::data("everything_that_the_real_dump_holds_is_listed", "dump") else { return };
    let listing = source(&dump).await.unwrap().units().await.unwrap();

    let names: Vec<String> = listing.units.iter().map(|unit| unit.namespace.to_string()).collect();
    assert_eq!(names.len(), 15);
    assert!(names.contains(&"sample.ünïcode".into()) && names.contains(&"sample.name with space.and.dots".into()));
    assert!(listing.set_aside.is_empty(), "{:?}", listing.set_aside);
    let grades = listing.units.iter().find(|unit| unit.namespace.collection == "grades").unwrap();
    assert_eq!(grades.indexes.len(), 2);
    assert!(
        grades.indexes[1].as_str().starts_with(r#"{"partialFilterExpression":{"class_id":{"$gt":{"$numberInt":"5"}}}"#)
    );
}

#[tokio::test]
async fn a_bson_file_cut_at_any_byte_is_refused_with_its_place_unless_it_ends_with_a_document() {
    let name = "a_bson_file_cut_at_any_byte_is_refused_with_its_place_unless_it_ends_with_a_document";
    let Some(ids) = shared::data(name, "dump/types/ids.bson") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = (folder.path().join("ids.bson"), std::fs::read(ids).unwrap());
    let mut ends = vec![0];
    while let Some(at) = ends.last().copied().filter(|&at| at < bytes.len()) {
        ends.push(at + i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize);
    }
    for cut in 0..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let source = source(&path).await.unwrap();
        let unit = source.units().await.unwrap().units.remove(0);
        match read_all(&*source, &unit, &SplitTarget::default()).await {
            Ok(read) => assert!(ends.contains(&cut) && read == bytes[..cut], "cut at {cut} passed"),
            Err(EndpointError::Damaged { place, offset, .. }) => {
                assert_eq!(place, path.display().to_string());
                assert_eq!(offset as usize, ends.iter().copied().rfind(|&end| end <= cut).unwrap());
                assert!(!ends.contains(&cut));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_gzip_file_cut_at_any_byte_is_refused() {
    let name = "a_gzip_file_cut_at_any_byte_is_refused";
    let Some(dump) = shared::data(name, "dump/types") else { return };
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("packed");
    copy(&*source(&dump).await.unwrap(), &*sink(&packed, "?gzip=true", "job").await).await;
    let bytes = std::fs::read(packed.join("types/ids.bson.gz")).unwrap();
    let path = folder.path().join("ids.bson.gz");
    for cut in 0..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let Ok(source) = source(&path).await else { continue };
        let unit = source.units().await.unwrap().units.remove(0);
        let read = read_all(&*source, &unit, &SplitTarget::default()).await;
        assert!(read.is_err() || cut == 0 && read.unwrap().is_empty(), "cut at {cut} passed");
    }
}

#[tokio::test]
async fn a_dump_that_is_still_being_written_is_not_taken_for_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(folder.path(), "", "job").await;
    let unit = Unit::collection(capstan_endpoint::Namespace::new("d", "c"));
    sink.prepare(&unit, &WritePlan::default()).await.unwrap();

    let refused = source(folder.path()).await.err().unwrap();

    assert!(refused.to_string().contains("is being written"), "{refused}");
    sink.abandon().await.unwrap();
    assert!(source(folder.path()).await.is_ok());
}

#[tokio::test]
async fn what_is_no_collection_is_set_aside_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in
        ["shop/a.bson", "shop/%24admin.system.users.bson", "shop/notes.txt", "admin/system.version.bson", "oplog.bson"]
    {
        std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        std::fs::write(root.join(name), [5, 0, 0, 0, 0]).unwrap();
    }

    let listing = source(root).await.unwrap().units().await.unwrap();

    assert_eq!(listing.units.iter().map(|unit| unit.namespace.to_string()).collect::<Vec<_>>(), ["shop.a"]);
    assert_eq!(listing.set_aside.len(), 4, "{:?}", listing.set_aside);
}

#[tokio::test]
async fn a_time_series_collection_reads_its_buckets_and_a_view_has_no_documents() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("db");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("system.buckets.ts.bson"), [5, 0, 0, 0, 0]).unwrap();
    let metadata =
        r#"{"options":{"timeseries":{"timeField":"t"}},"indexes":[],"collectionName":"ts","type":"timeseries"}"#;
    std::fs::write(root.join("ts.metadata.json"), metadata).unwrap();
    let view = r#"{"options":{"viewOn":"ts","pipeline":[]},"indexes":[],"collectionName":"v","type":"view"}"#;
    std::fs::write(root.join("v.metadata.json"), view).unwrap();
    let copied = folder.path().join("copy");

    let units = copy(&*source(&root).await.unwrap(), &*sink(&copied, "", "job").await).await;

    assert_eq!(units.iter().map(|unit| unit.kind).collect::<Vec<_>>(), [UnitKind::TimeSeries, UnitKind::View]);
    for name in ["system.buckets.ts.bson", "ts.metadata.json", "v.metadata.json"] {
        assert_eq!(
            std::fs::read(copied.join("db").join(name)).unwrap(),
            std::fs::read(root.join(name)).unwrap(),
            "{name}"
        );
    }
    source_conforms(&*source(&copied).await.unwrap()).await;
}

#[tokio::test]
async fn a_path_that_is_not_there_is_missing_and_not_empty() {
    let missing = source(Path::new("/nonexistent/backup")).await.err().unwrap();
    assert!(matches!(missing, EndpointError::Missing { .. }), "{missing}");
}

/// A finished directory of one collection, written in chunks of ten documents, and its receipt's path without ending.
async fn finished(root: &Path, chunks: u32) -> (Arc<dyn Sink>, Unit, Vec<capstan_endpoint::ChunkFacts>, PathBuf) {
    let sink = sink(root, "", "job").await;
    let unit = Unit::collection(capstan_endpoint::Namespace::new("d", "c"));
    sink.prepare(&unit, &WritePlan::default()).await.unwrap();
    let mut facts = Vec::new();
    for chunk in 0..chunks {
        let key = PartKey { chunk, generation: 0, token: 1 };
        let mut writer = sink.open_chunk(&unit, &key, None).await.unwrap();
        writer.write(fixtures::batch(&fixtures::numbered(10))).await.unwrap();
        facts.push(writer.seal().await.unwrap());
    }
    let folder = std::fs::read_dir(root.join(".capstan/job")).unwrap().next().unwrap().unwrap().path();
    sink.finish_unit(&unit, &WritePlan::default(), &facts).await.unwrap();
    (sink, unit, facts, folder)
}

#[tokio::test]
async fn a_crash_before_the_move_into_place_is_mended_by_finishing_again() {
    let folder = tempfile::tempdir().unwrap();
    let (sink, unit, facts, parts) = finished(folder.path(), 1).await;
    let place = folder.path().join("d/c.bson");
    let whole = std::fs::read(&place).unwrap();

    // The receipt is durable, and the one sealed part has not become the unit's file yet.
    std::fs::create_dir(&parts).unwrap();
    std::fs::rename(&place, parts.join(format!("{}.sealed", facts[0].parts[0].name))).unwrap();
    sink.prepare(&unit, &WritePlan::default()).await.unwrap();
    sink.finish_unit(&unit, &WritePlan::default(), &facts).await.unwrap();

    assert_eq!(std::fs::read(&place).unwrap(), whole);
    assert!(!parts.exists());
}

#[tokio::test]
async fn a_crash_before_parts_are_removed_leaves_them_to_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let (sink, unit, facts, parts) = finished(folder.path(), 3).await;
    let whole = std::fs::read(folder.path().join("d/c.bson")).unwrap();
    assert_eq!(whole, fixtures::numbered(10).concat().repeat(3));

    std::fs::create_dir(&parts).unwrap();
    std::fs::write(parts.join("000000-0-1-0.sealed"), b"left over").unwrap();
    sink.finish_unit(&unit, &WritePlan::default(), &facts).await.unwrap();

    assert_eq!(std::fs::read(folder.path().join("d/c.bson")).unwrap(), whole);
    assert!(!parts.exists());
}

#[tokio::test]
async fn a_part_with_a_flipped_bit_is_found_before_it_becomes_part_of_a_dump() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(folder.path(), "", "job").await;
    let unit = Unit::collection(capstan_endpoint::Namespace::new("d", "c"));
    sink.prepare(&unit, &WritePlan::default()).await.unwrap();
    let mut facts = Vec::new();
    for chunk in 0..2 {
        let mut writer = sink.open_chunk(&unit, &PartKey { chunk, generation: 0, token: 1 }, None).await.unwrap();
        writer.write(fixtures::batch(&fixtures::numbered(10))).await.unwrap();
        facts.push(writer.seal().await.unwrap());
    }
    let parts = std::fs::read_dir(folder.path().join(".capstan/job")).unwrap().next().unwrap().unwrap().path();
    let part = parts.join(format!("{}.sealed", facts[1].parts[0].name));
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&part, bytes).unwrap();

    let lost = sink.finish_unit(&unit, &WritePlan::default(), &facts).await.unwrap_err();

    assert_eq!(lost.class(), capstan_endpoint::ErrorClass::StartOver, "{lost}");
    assert!(!folder.path().join("d/c.bson").exists());
}

#[tokio::test]
async fn a_gzip_dump_of_many_parts_begins_a_range_without_unpacking_what_lies_before() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(folder.path(), "?gzip=true", "job").await;
    let unit = Unit::collection(capstan_endpoint::Namespace::new("d", "c"));
    sink.prepare(&unit, &WritePlan::default()).await.unwrap();
    let mut facts = Vec::new();
    for chunk in 0..20 {
        let mut writer = sink.open_chunk(&unit, &PartKey { chunk, generation: 0, token: 1 }, None).await.unwrap();
        writer.write(fixtures::batch(&fixtures::numbered(10))).await.unwrap();
        facts.push(writer.seal().await.unwrap());
    }
    sink.finish_unit(&unit, &WritePlan::default(), &facts).await.unwrap();
    sink.finish_job(std::slice::from_ref(&unit)).await.unwrap();

    let source = source(folder.path()).await.unwrap();
    let target = SplitTarget { documents: 10, bytes: u64::MAX, chunks_max: 100 };
    let chunks = source.split(&unit, &target).await.unwrap();

    // Twenty ranges of a file with one member would cost more than the sixteen that are allowed there.
    assert_eq!(chunks.len(), 20);
    for chunk in &chunks {
        let range = &chunk.range.0["documents"];
        assert_eq!(range["from"], range["member"]["document"], "a range begins with its member");
    }
    source_conforms(&*source).await;
}

#[tokio::test]
async fn of_two_jobs_that_write_the_same_unit_the_second_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (sink(folder.path(), "", "first").await, sink(folder.path(), "", "second").await);
    let (unit, plan) = (Unit::collection(capstan_endpoint::Namespace::new("d", "c")), WritePlan::default());
    let mut facts = Vec::new();
    for sink in [&first, &second] {
        sink.prepare(&unit, &plan).await.unwrap();
        let key = PartKey { chunk: 0, generation: 0, token: 1 };
        let mut writer = sink.open_chunk(&unit, &key, None).await.unwrap();
        writer.write(fixtures::batch(&fixtures::numbered(10))).await.unwrap();
        facts.push(writer.seal().await.unwrap());
    }

    first.finish_unit(&unit, &plan, &facts[..1]).await.unwrap();
    let refused = second.finish_unit(&unit, &plan, &facts[1..]).await.unwrap_err();

    assert!(matches!(refused, EndpointError::Occupied { .. }), "{refused}");
}

#[tokio::test]
async fn a_range_may_be_the_whole_of_a_unit_in_any_form() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    let (_, unit, _, _) = finished(&plain, 3).await;
    sink(&plain, "", "job").await.finish_job(std::slice::from_ref(&unit)).await.unwrap();
    let whole = capstan_endpoint::Range(serde_json::json!("whole"));
    for (name, options) in [("again", ""), ("packed", "?gzip=true"), ("a.archive", ""), ("b.archive.gz", "")] {
        let path = folder.path().join(name);
        copy(&*source(&plain).await.unwrap(), &*sink(&path, options, "job").await).await;
        let source = source(&path).await.unwrap();
        let mut reader = source.read(&unit, &whole, None).await.unwrap();
        let batch = reader.next().await.unwrap().unwrap();
        assert_eq!(batch.bytes, fixtures::numbered(10).concat().repeat(3), "{name}");
        assert!(reader.next().await.unwrap().is_none());
        let mut rest = source.read(&unit, &whole, Some(&batch.cursor)).await;
        if let Ok(rest) = &mut rest {
            assert!(rest.next().await.unwrap().is_none(), "{name}");
        }
        assert!(rest.is_ok(), "{name}");
    }
}
