//! The file adapter: the suite, and what only folders can do wrong.
#![allow(clippy::unwrap_used, reason = "a test's helpers may fail as tests do")]

use async_trait::async_trait;
use bytes::Bytes;
use capstan_ids::{SessionName, Token};
use capstan_spool::conformance::{self, Subject};
use capstan_spool::{
    Compression, FileSpool, Keep, Marker, Opening, PartFacts, PartName, Spool, SpoolError, SpoolFault,
};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const DOCUMENT: &[u8] = b"\x0c\0\0\0\x10a\0\x01\0\0\0\0";

struct InFolder(FileSpool);

#[async_trait]
impl Subject for InFolder {
    fn spool(&self) -> &dyn Spool {
        &self.0
    }

    async fn stored(&self, part: &PartName) -> Vec<u8> {
        fs::read(self.0.path_of(part)).unwrap()
    }

    async fn tamper(&self, part: &PartName, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => fs::write(self.0.path_of(part), bytes).unwrap(),
            None => fs::remove_file(self.0.path_of(part)).unwrap(),
        }
    }
}

async fn open(root: &Path) -> FileSpool {
    FileSpool::open(root, Marker::new(7)).await.unwrap()
}

fn job() -> SessionName {
    SessionName::new("shop").unwrap()
}

fn part(token: u64, sequence: u32) -> PartName {
    PartName::new(job(), "4fa3c1d2e5b60718", 7, 1, Token::from_wire(token), sequence).unwrap()
}

async fn sealed(spool: &FileSpool, name: PartName) -> PartFacts {
    let mut writer = spool.begin_part(name).await.unwrap();
    writer.write(Bytes::from_static(DOCUMENT), 1).await.unwrap();
    writer.seal().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_keeps_every_promise_of_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    conformance::check(&InFolder(open(folder.path()).await)).await;
}

#[tokio::test]
async fn an_uncompressed_part_cut_or_changed_at_any_byte_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).await.with_compression(Compression::None);
    let facts = sealed(&spool, part(3, 0)).await;
    let path = spool.path_of(&facts.name);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        for spoilt in [&whole[..at], &changed] {
            fs::write(&path, spoilt).unwrap();
            let error = spool.prove(&facts).await.unwrap_err();
            assert_eq!(error.fault(), SpoolFault::DumpAgain, "byte {at}: {error}");
        }
    }
}

#[tokio::test]
async fn what_a_crash_left_is_never_read_and_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).await;
    let facts = sealed(&spool, part(3, 0)).await;
    // A process that died while writing leaves its temporary file, which nobody holds a lock on any more.
    let whole = fs::read(spool.path_of(&facts.name)).unwrap();
    let left = spool.path_of(&part(3, 1)).with_extension("part.tmp");
    fs::write(&left, &whole[..whole.len() / 2]).unwrap();

    let listed = spool.list(&job()).await.unwrap();
    let swept = spool.sweep(&job(), &Keep { parts: [facts.name.clone()].into(), ..Keep::default() }).await.unwrap();

    assert_eq!(listed.iter().map(|l| &l.name).collect::<Vec<_>>(), [&facts.name]);
    assert_eq!(swept.parts, 1);
    assert!(!left.exists());
    spool.prove(&facts).await.unwrap();
}

#[tokio::test]
async fn a_restarted_worker_with_the_same_token_takes_over_what_its_crash_left() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).await;
    sealed(&spool, part(3, 0)).await;
    let left = spool.path_of(&part(3, 1)).with_extension("part.tmp");
    fs::write(&left, [0xff; 4096]).unwrap();

    let facts = sealed(&spool, part(3, 1)).await;

    spool.prove(&facts).await.unwrap();
    assert!(!left.exists());
}

#[tokio::test]
async fn a_temporary_name_that_another_process_holds_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).await;
    sealed(&spool, part(3, 0)).await;
    let left = spool.path_of(&part(3, 1)).with_extension("part.tmp");
    let held = OpenOptions::new().write(true).create(true).truncate(false).open(&left).unwrap();
    held.lock().unwrap();

    let refused = spool.begin_part(part(3, 1)).await.map(|_| ());

    assert!(matches!(refused, Err(SpoolError::Exists { .. })), "{refused:?}");
    assert!(left.exists(), "the other's file is left alone");
}

#[tokio::test]
async fn a_stale_worker_whose_file_was_swept_seals_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).await;
    let mut stale = spool.begin_part(part(3, 0)).await.unwrap();
    stale.write(Bytes::from_static(DOCUMENT), 1).await.unwrap();

    assert_eq!(spool.sweep(&job(), &Keep::default()).await.unwrap().parts, 1);

    assert!(stale.seal().await.is_err());
    assert_eq!(spool.list(&job()).await.unwrap(), []);
}

#[tokio::test]
async fn of_openers_at_once_one_decides_the_marker() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("made/on/the/way");
    let opening: Vec<_> = (0..8).map(|n| tokio::spawn(FileSpool::open(root.clone(), Marker::new(n)))).collect();
    let mut markers = Vec::new();
    for opened in opening {
        markers.push(opened.await.unwrap().unwrap().marker());
    }

    assert!(markers.iter().all(|marker| *marker == markers[0]), "{markers:?}");
    assert_eq!(FileSpool::open(root, Marker::new(99)).await.unwrap().marker(), markers[0]);
}

#[tokio::test]
async fn a_marker_torn_by_a_crash_is_written_anew_and_a_strange_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("capstan-spool.marker");

    fs::write(&marker, "0000").unwrap();
    assert_eq!(open(folder.path()).await.marker(), Marker::new(7));

    fs::write(&marker, "this is not a marker, but somebody's file").unwrap();
    let refused = FileSpool::open(folder.path(), Marker::new(8)).await.map(|_| ());
    assert!(matches!(refused, Err(SpoolError::Marker { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_unmounted_spool_is_away_and_its_parts_are_not_missing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("mounted");
    let spool = open(&root).await;
    let facts = sealed(&spool, part(3, 0)).await;
    fs::rename(&root, folder.path().join("elsewhere")).unwrap();
    fs::create_dir(&root).unwrap();

    for error in [spool.prove(&facts).await.unwrap_err(), spool.begin_part(part(3, 1)).await.map(|_| ()).unwrap_err()] {
        assert!(matches!(error, SpoolError::Away { .. }), "{error}");
        assert_eq!(error.fault(), SpoolFault::Retry);
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "nothing is written to the place of an unmounted spool");
}

#[tokio::test]
async fn files_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).await;
    sealed(&spool, part(3, 0)).await;
    let foreign = folder.path().join("shop/notes.txt");
    fs::write(&foreign, "mine").unwrap();

    let swept = spool.remove_job(&job()).await.unwrap();

    assert_eq!(swept.parts, 1);
    assert!(foreign.exists());
}

/// The bytes of format version 1, as they were first written: they must be readable for ever.
#[tokio::test]
async fn parts_of_format_version_1_are_read() {
    for fixture in ["v1-none", "v1-zstd"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
        let facts: PartFacts = serde_json::from_slice(&fs::read(source.with_extension("json")).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let spool = open(folder.path()).await;
        sealed(&spool, part(1, 0)).await;
        fs::copy(source.with_extension("part"), spool.path_of(&facts.name)).unwrap();

        let mut reader = spool.open_part(&facts).await.unwrap();
        let block = reader.next().await.unwrap().unwrap();

        assert_eq!(block.documents, 40);
        assert_eq!(block.bytes, DOCUMENT.repeat(40));
        assert!(reader.next().await.unwrap().is_none());
    }
}

/// Uncompressed parts depend on nobody's compressor: their bytes may not change while the version is 1.
#[tokio::test]
async fn format_version_1_is_still_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).await.with_compression(Compression::None);
    let mut writer = spool.begin_part(part(42, 0)).await.unwrap();
    writer.write(Bytes::from(DOCUMENT.repeat(40)), 40).await.unwrap();
    let facts = writer.seal().await.unwrap();

    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1-none.part");
    assert_eq!(fs::read(spool.path_of(&facts.name)).unwrap(), fs::read(fixture).unwrap());
}

/// A disk with so much room as the number says.
fn disk(room: &Arc<AtomicU64>) -> impl Fn(&Path) -> io::Result<u64> + Send + Sync + 'static {
    let room = Arc::clone(room);
    move |_| Ok(room.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_disk_that_fills_up_stops_a_part_and_has_it_again_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let room = Arc::new(AtomicU64::new(5000));
    let spool = open(folder.path()).await.with_reserve(1000).measured_by(disk(&room));
    let mut writer = spool.begin_part(part(3, 0)).await.unwrap();
    writer.write(Bytes::from_static(DOCUMENT), 1).await.unwrap();

    // Another program fills the disk while the part is being written.
    room.store(999, Ordering::SeqCst);
    let while_writing = writer.seal().await.unwrap_err();
    let before = spool.begin_part(part(3, 1)).await.map(|_| ()).unwrap_err();

    for error in [while_writing, before] {
        assert_eq!(error.fault(), SpoolFault::NoRoom, "{error}");
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(reason, "it has 999 bytes of room, less than the 1000 that are kept free");
    }
    assert_eq!(spool.free_space().await.unwrap(), Some(999));
    assert_eq!(spool.list(&job()).await.unwrap(), []);

    room.store(1000, Ordering::SeqCst);
    let facts = sealed(&spool, part(3, 2)).await;
    spool.prove(&facts).await.unwrap();
    assert_eq!(fs::read_dir(folder.path().join("shop")).unwrap().count(), 1, "nothing of the broken part is left");
}

#[tokio::test]
async fn a_folder_is_opened_by_its_url_with_everything_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}/made%20here", folder.path().display());
    let opening =
        Opening { fresh: Marker::new(7), compression: Compression::None, reserve: 0, secret: &|_| unreachable!() };

    let spool = capstan_spool::open(&url, opening).await.unwrap();
    let mut writer = spool.begin_part(part(3, 0)).await.unwrap();
    for _ in 0..50 {
        writer.write(Bytes::from_static(DOCUMENT), 1).await.unwrap();
    }
    let facts = writer.seal().await.unwrap();

    assert_eq!(spool.marker(), open(&folder.path().join("made here")).await.marker());
    assert!(facts.stored_bytes > facts.bytes, "it was told not to compress");
    let full = capstan_spool::open(&url, Opening { reserve: u64::MAX, ..opening }).await.unwrap();
    let refused = full.begin_part(part(3, 1)).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, SpoolError::Full { .. }), "{refused}");
}
