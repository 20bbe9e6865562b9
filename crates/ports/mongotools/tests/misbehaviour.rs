//! What becomes of a range or a chunk when a program goes wrong. The programs are a stand-in that goes wrong when told.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use capstan_endpoint::bson_frames::walk;
use capstan_endpoint::conformance::fixtures;
use capstan_endpoint::element::id_of;
use capstan_endpoint::{
    Adapters, Batch, BatchReader, Checkpoint, ChunkFacts, ChunkWriter, Cursor, EndpointError, EndpointUrl, ErrorClass,
    Namespace, Occupancy, PartKey, Range, RefusedDocument, Result, SetAside, Sink, SinkAbilities, Source, Unit,
    WritePlan,
};
use capstan_mongotools::{Tool, ToolsOptions, check, sink, source};

const URL: &str = "mongodb://ann:hunter2@127.0.0.1:1/?authSource=admin";

/// A folder with both programs, their database, and how they go wrong.
struct Stage(tempfile::TempDir);

impl Stage {
    fn new(behaviour: &str, documents: &[Vec<u8>]) -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        for name in ["mongodump", "mongorestore"] {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_capstan-mongotools-standin"), stage.path(name)).unwrap();
        }
        std::fs::create_dir(stage.path("db")).unwrap();
        std::fs::write(stage.path("db/b.bson"), documents.concat()).unwrap();
        stage.behave(behaviour);
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn behave(&self, behaviour: &str) {
        std::fs::write(self.path("behaviour"), behaviour).unwrap();
    }

    fn options(&self, silence: Duration) -> ToolsOptions {
        ToolsOptions {
            mongodump: Some(self.path("mongodump")),
            mongorestore: Some(self.path("mongorestore")),
            silence_max: silence,
            grace: Duration::from_secs(2),
            ..ToolsOptions::default()
        }
    }

    async fn source(&self, silence: Duration) -> Arc<dyn Source> {
        // Only `place` and `abilities` of it are asked when a range is read.
        let folder = format!("dump:{}", self.path("empty").display());
        std::fs::create_dir_all(self.path("empty/a")).unwrap();
        let native = Adapters::of_files().source(&folder.parse().unwrap()).await.unwrap();
        source(native, &url(), self.options(silence)).await.unwrap()
    }

    /// What the last program was given: its process and its config file, once it has begun.
    async fn seen(&self) -> (u32, PathBuf) {
        loop {
            if let Ok(text) = std::fs::read_to_string(self.path("seen")) {
                let mut lines = text.lines();
                return (lines.next().unwrap().parse().unwrap(), lines.next().unwrap().into());
            }
            tokio::task::yield_now().await;
        }
    }
}

fn url() -> EndpointUrl {
    URL.parse().unwrap()
}

fn unit() -> Unit {
    Unit::collection(Namespace::new("a", "b"))
}

const PATIENT: Duration = Duration::from_secs(60);

async fn open(source: &dyn Source, from: Option<&Cursor>) -> Box<dyn BatchReader> {
    let whole = Range(serde_json::json!([{ "others": {} }]));
    source.read(&unit(), &whole, from).await.unwrap()
}

async fn read(source: &dyn Source, from: Option<&Cursor>) -> (Vec<Batch>, Option<EndpointError>) {
    let mut reader = open(source, from).await;
    let mut batches = Vec::new();
    loop {
        match reader.next().await {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) => return (batches, None),
            Err(error) => return (batches, Some(error)),
        }
    }
}

fn bytes(batches: &[Batch]) -> Vec<u8> {
    batches.iter().flat_map(|batch| batch.bytes.to_vec()).collect()
}

/// An error with its sources, as somebody may log it.
fn shown(error: &EndpointError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

async fn gone(process: u32) {
    while Path::new(&format!("/proc/{process}/cmdline")).exists() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_range_is_read_whole_and_gone_on_with_behind_every_batch() {
    let documents = fixtures::numbered(2_500);
    let stage = Stage::new("", &documents);
    let source = stage.source(PATIENT).await;

    let (batches, error) = read(&*source, None).await;
    assert!(error.is_none() && bytes(&batches) == documents.concat() && batches.len() > 2);

    for (number, batch) in batches.iter().enumerate() {
        let (rest, error) = read(&*source, Some(&batch.cursor)).await;
        assert!(error.is_none() && bytes(&rest) == bytes(&batches[number + 1..]), "behind batch {number}");
    }
    stage.behave("other order");
    let (_, error) = read(&*source, Some(&batches[0].cursor)).await;
    assert_eq!(error.unwrap().class(), ErrorClass::StartOver);
}

#[tokio::test]
async fn a_dump_that_goes_wrong_never_looks_like_an_end() {
    for (behaviour, words) in [
        ("exit 1", "exit status: 1"),
        ("fewer", "it says that it dumped 50 documents, and 25 arrived"),
        ("truncated", "ends inside a document"),
        ("silent about counts", "does not say how many"),
        ("die", "signal: 6"),
    ] {
        let stage = Stage::new(behaviour, &fixtures::numbered(50));
        let (_, error) = read(&*stage.source(PATIENT).await, None).await;

        let error = error.unwrap_or_else(|| panic!("{behaviour} was taken for an end"));
        assert_eq!(error.class(), ErrorClass::Transient, "{behaviour}");
        let shown = shown(&error);
        assert!(shown.contains(words) && !shown.contains("hunter2"), "{behaviour}: {shown}");
        assert!(!stage.seen().await.1.exists(), "{behaviour}: its secrets are still there");
    }
    let stage = Stage::new("", &[]);
    std::fs::remove_file(stage.path("db/b.bson")).unwrap();
    let (_, error) = read(&*stage.source(PATIENT).await, None).await;
    assert_eq!(error.unwrap().class(), ErrorClass::Permanent);
}

#[tokio::test]
async fn a_silent_program_is_ended_and_that_may_pass() {
    let stage = Stage::new("hang", &fixtures::numbered(50));
    let (_, error) = read(&*stage.source(Duration::from_millis(300)).await, None).await;

    assert_eq!(error.as_ref().unwrap().class(), ErrorClass::Transient);
    assert!(shown(&error.unwrap()).contains("silent for 300ms"));
    let (process, config) = stage.seen().await;
    gone(process).await;
    assert!(!config.exists());
}

#[tokio::test]
async fn a_running_program_shows_no_secret_and_is_gone_with_its_reader_alone() {
    let (stage, other) = (Stage::new("hang", &[]), Stage::new("hang", &[]));
    let (source, bystanders) = (stage.source(PATIENT).await, other.source(PATIENT).await);
    let (reader, bystander) = (open(&*source, None).await, open(&*bystanders, None).await);
    let ((process, config), (beside, _)) = (stage.seen().await, other.seen().await);

    for file in ["cmdline", "environ"] {
        let text = std::fs::read(format!("/proc/{process}/{file}")).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("hunter2") && !text.contains("\0CAPSTAN_"), "{file}: {text}");
    }
    let content = std::fs::read_to_string(&config).unwrap();
    assert!(content.contains("hunter2"), "{content}");
    assert_eq!(config.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    drop(reader);
    gone(process).await;
    assert!(!config.exists());
    assert!(Path::new(&format!("/proc/{beside}")).exists(), "a program of somebody else was ended");
    drop(bystander);
    gone(beside).await;
}

#[tokio::test]
async fn what_is_installed_is_told_and_an_old_version_is_refused() {
    let stage = Stage::new("version 4.2.8", &[]);
    for (tool, found) in check(&stage.options(PATIENT)).await {
        let refused = found.unwrap_err().to_string();
        assert!(refused.contains(&format!("{tool} 4.2.8")) && refused.contains("100 or newer"), "{refused}");
    }
    stage.behave("");
    let found = check(&stage.options(PATIENT)).await;
    assert_eq!(found[0].1.as_ref().unwrap().version, "100.12.2");
    assert_eq!(found[1].0, Tool::Mongorestore);
}

/// The native side: the stand-in's file, looked into document by document. `_id` 13 is refused.
struct Folder(PathBuf, Arc<Mutex<usize>>);

impl Folder {
    fn documents(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let bytes = std::fs::read(&self.0).unwrap_or_default();
        walk(&bytes).map(|document| (id_of(document).unwrap().value.to_vec(), document.to_vec())).collect()
    }
}

#[async_trait]
impl Sink for Folder {
    fn place(&self) -> String {
        "folder".into()
    }
    fn abilities(&self) -> SinkAbilities {
        unreachable!("writing asks for no abilities")
    }
    async fn occupancy(&self, _: &Unit) -> Result<Occupancy> {
        Ok(Occupancy::Vacant)
    }
    async fn prepare(&self, _: &Unit, _: &WritePlan) -> Result<Vec<SetAside>> {
        Ok(Vec::new())
    }
    async fn open_chunk(&self, _: &Unit, _: &PartKey, _: Option<&Checkpoint>) -> Result<Box<dyn ChunkWriter>> {
        Ok(Box::new(Self(self.0.clone(), self.1.clone())))
    }
    async fn finish_unit(&self, _: &Unit, _: &WritePlan, _: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        Ok(Vec::new())
    }
    async fn finish_job(&self, _: &[Unit]) -> Result<()> {
        Ok(())
    }
    async fn abandon(&self) -> Result<()> {
        Ok(())
    }
    async fn scan(&self) -> Result<Arc<dyn Source>> {
        Err(EndpointError::unsupported("reading", "folder", "it is a test"))
    }
}

#[async_trait]
impl ChunkWriter for Folder {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        let (mut all, mut refused) = (self.documents(), Vec::new());
        for document in batch.iter() {
            *self.1.lock().unwrap() += 1;
            let id = id_of(document).unwrap().value.to_vec();
            if id == 13_i32.to_le_bytes() && !all.contains_key(&id) {
                refused.push(RefusedDocument { document: document.to_vec().into(), reason: "unlucky".into() });
            } else {
                all.insert(id, document.to_vec());
            }
        }
        std::fs::write(&self.0, all.into_values().collect::<Vec<_>>().concat()).unwrap();
        Ok(refused)
    }
    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        Ok(Checkpoint(serde_json::Value::Null))
    }
    async fn seal(self: Box<Self>) -> Result<ChunkFacts> {
        Ok(ChunkFacts { chunk: 0, generation: 0, documents: 0, bytes: 0, parts: Vec::new() })
    }
    async fn discard(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// Writes documents as one chunk. With what is there then, and how many the native side looked at.
async fn chunk(stage: &Stage, sink: &dyn Sink, documents: &[Vec<u8>]) -> Result<(u64, usize)> {
    let mut writer = sink.open_chunk(&unit(), &PartKey { chunk: 0, generation: 0, token: 1 }, None).await?;
    let mut refused = 0;
    for some in documents.chunks(10) {
        refused += writer.write(fixtures::batch(some)).await?.len();
    }
    let facts = writer.seal().await?;
    assert!(!stage.seen().await.1.exists(), "its secrets are still there");
    Ok((facts.documents, refused))
}

fn stage_to_write(behaviour: &str, there: &[Vec<u8>]) -> (Stage, Folder, Arc<Mutex<usize>>) {
    let stage = Stage::new(behaviour, there);
    let looked = Arc::new(Mutex::new(0));
    let folder = Folder(stage.path("db/b.bson"), looked.clone());
    (stage, folder, looked)
}

fn changed(documents: &[Vec<u8>]) -> Vec<Vec<u8>> {
    (0..)
        .zip(documents)
        .map(|(n, _)| fixtures::document(&[("_id", &fixtures::int32(n)), ("v", &fixtures::string("old"))]))
        .collect()
}

#[tokio::test]
async fn a_confirmed_part_needs_no_second_look_and_failures_are_settled_document_by_document() {
    let documents = fixtures::numbered(13);
    for (behaviour, there, looked_at) in [
        ("", Vec::new(), 0),
        ("fewer", Vec::new(), 13),
        ("", changed(&documents[..5]), 13),
        ("", documents.clone(), 13),
    ] {
        let (stage, folder, looked) = stage_to_write(behaviour, &there);
        let target = Folder(folder.0.clone(), looked.clone());
        let sink = sink(Arc::new(folder), &url(), stage.options(PATIENT)).unwrap();

        let (sealed, refused) = chunk(&stage, &*sink, &documents).await.unwrap();

        assert_eq!((sealed, refused, *looked.lock().unwrap()), (13, 0, looked_at), "{behaviour} over {}", there.len());
        assert_eq!(target.documents().into_values().collect::<Vec<_>>(), documents);
    }
}

#[tokio::test]
async fn a_restore_that_goes_wrong_is_not_sealed_and_tells_no_secret() {
    for (behaviour, words) in [("exit 1", "exit status: 1"), ("die", "signal: 6"), ("hang", "silent for 400ms")] {
        let (stage, folder, _) = stage_to_write(behaviour, &[]);
        let sink = sink(Arc::new(folder), &url(), stage.options(Duration::from_millis(400))).unwrap();

        let error = chunk(&stage, &*sink, &fixtures::numbered(13)).await.unwrap_err();

        let shown = shown(&error);
        assert_eq!(error.class(), ErrorClass::Transient, "{behaviour}");
        assert!(shown.contains(words) && !shown.contains("hunter2"), "{behaviour}: {shown}");
        assert!(!stage.seen().await.1.exists());
    }
}

#[tokio::test]
async fn a_document_that_is_refused_late_comes_back_in_the_next_attempt() {
    let documents = fixtures::numbered(20);
    // One short of all are restored; which, only the native side can tell.
    let (stage, folder, _) = stage_to_write("fewer", &[]);
    let target = Folder(folder.0.clone(), Arc::default());
    let sink = sink(Arc::new(folder), &url(), stage.options(PATIENT)).unwrap();

    let first = chunk(&stage, &*sink, &documents).await.unwrap_err();
    let second = chunk(&stage, &*sink, &documents).await.unwrap();

    assert!(shown(&first).contains("unlucky"));
    assert_eq!((first.class(), second), (ErrorClass::Transient, (19, 1)));
    assert_eq!(target.documents().len(), 19);
}
