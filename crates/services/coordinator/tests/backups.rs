//! Backups of a coordinator that works, and what a coordinator makes of a restored journal.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_coordinator::{Coordinator, FactFilter, Handle, Options, Retention};
use capstan_ids::{ItemId, Position, SessionName, WallTime};
use capstan_journal::backup::{self, BackupError, Contents};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use capstan_registry::{Command, PipelineId, PipelineName, Register};
use capstan_work::{NewItem, Policy};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn start(dir: &Path, options: Options) -> (Coordinator, Handle) {
    let kept = EmbeddedOptions { segment_bytes: 16 << 10, ..EmbeddedOptions::default() };
    let journal = EmbeddedJournal::open(dir, kept).unwrap();
    Coordinator::start(Box::new(journal), options).unwrap()
}

fn id(number: usize) -> PipelineId {
    PipelineId::new(format!("pipeline-{number:06}")).unwrap()
}

fn register(number: usize) -> Command {
    Command::Register(Register::new(id(number), PipelineName::new(format!("Pipeline {number}")).unwrap()))
}

fn now() -> WallTime {
    WallTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64)
}

async fn taken(handle: &Handle) -> Result<Vec<u8>, BackupError> {
    let mut backup = handle.backup(now()).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = backup.next().await {
        bytes.extend(chunk?);
    }
    Ok(bytes)
}

fn restore(bytes: &[u8], dir: &Path) -> (Contents, Position) {
    let verified = backup::verify(&mut &bytes[..]).unwrap();
    let mut target = EmbeddedJournal::open(dir, EmbeddedOptions::default()).unwrap();
    let next = backup::restore(&mut &bytes[..], &verified, &mut target, &mut |_| {}).unwrap();
    (verified, next)
}

#[tokio::test]
async fn the_history_of_a_restored_registry_is_told_as_it_was() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (coordinator, handle) = start(one.path(), Options::default());
    // Enough for snapshots and for events that have left the log for the archive.
    for each in 0..150 {
        handle.submit_pipeline(register(each)).await.unwrap();
        handle.submit_pipeline(Command::Unregister { id: id(each) }).await.unwrap();
    }
    let then = now();
    tokio::time::sleep(Duration::from_millis(2)).await;
    handle.submit_pipeline(register(1_000)).await.unwrap();
    let all = FactFilter { most: 1_000, ..FactFilter::default() };
    let facts = |page: capstan_coordinator::FactPage| {
        page.facts
            .into_iter()
            .map(|(position, fact)| (position, fact.what.to_owned(), fact.pipeline))
            .collect::<Vec<_>>()
    };
    let was = facts(handle.registry_facts(all.clone()).await.unwrap());
    let bytes = taken(&handle).await.unwrap();
    coordinator.stop().await.unwrap();

    restore(&bytes, other.path());
    let (coordinator, handle) = start(other.path(), Options::default());

    assert_eq!(facts(handle.registry_facts(all).await.unwrap()), was);
    assert_eq!(was.len(), 301);
    assert_eq!(handle.registry_at(then).await.unwrap().system().pipelines, 0);
    assert_eq!(handle.registry_at(now()).await.unwrap().system().pipelines, 1);
    coordinator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_beside_writers_and_retention_is_whole_however_long_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { registry_every: 20, session_every: 100, ..Retention::default() };
    let (coordinator, handle) = start(dir.path(), Options { retention, ..Options::default() });
    // A large snapshot, which is read before the registry's: those of that moment have long been replaced by then.
    let long = "x".repeat(240);
    let item = |number: usize| NewItem::new(ItemId::new(format!("{number}-{long}")).unwrap());
    let (session, policy) = (SessionName::new("shop").unwrap(), Policy::default());
    let items = (0..8_000).map(item).collect();
    let open = capstan_work::Command::OpenSession { session, policy, notes: None, items, gates: vec![] };
    handle.submit(open).await.unwrap();
    while handle.status().snapshots.load(Ordering::Relaxed) == 0 {
        handle.read(|_| ()).await.unwrap();
    }
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (handle, over, done) = (handle.clone(), Arc::clone(&over), Arc::clone(&done));
            tokio::spawn(async move {
                for number in (0_usize..).map(|number| number * 8 + writer) {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    handle.submit_pipeline(register(number)).await.unwrap();
                    handle.submit_pipeline(Command::Unregister { id: id(number) }).await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    for _ in 0..5 {
        let before = done.load(Ordering::Relaxed) as u64;
        let mut backup = handle.backup(now()).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = backup.next().await {
            bytes.extend(chunk.unwrap());
            // Whoever takes it is slow: several snapshots are made between two chunks.
            let so_far = done.load(Ordering::Relaxed);
            while done.load(Ordering::Relaxed) < so_far + 60 {
                tokio::task::yield_now().await;
            }
        }
        let other = tempfile::tempdir().unwrap();
        let (contents, next) = restore(&bytes, other.path());
        assert!(contents.next > Position::new(2 * before), "{contents:?} after {before} pipelines");
        let (coordinator, handle) = start(other.path(), Options::default());
        let pipelines = handle.read(|state| state.registry.system().pipelines).await.unwrap();
        assert!(pipelines <= 8, "{pipelines}");
        assert!(handle.status().durable() >= next);
        coordinator.stop().await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    coordinator.stop().await.unwrap();
}
