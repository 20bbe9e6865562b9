//! The registry behind the owner: what is told of pipelines survives, and can be read as it was.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_coordinator::{Coordinator, FactFilter, Handle, HistoryError, Options, Retention};
use capstan_ids::{Millis, WallTime};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use capstan_registry::{
    Answer, Command, PipelineId, PipelineName, PipelineStatus, Register, Reserve, RulesChange, StatusReport,
};
use std::path::Path;
use std::time::Duration;

fn start(dir: &Path) -> (Coordinator, Handle) {
    let journal = EmbeddedJournal::open(dir, EmbeddedOptions::default()).unwrap();
    Coordinator::start(Box::new(journal), Options::default()).unwrap()
}

fn id(number: usize) -> PipelineId {
    PipelineId::new(format!("pipeline-{number}")).unwrap()
}

fn register(number: usize) -> Command {
    Command::Register(Register::new(id(number), PipelineName::new(format!("Pipeline {number}")).unwrap()))
}

fn usage(number: usize, cpu_percent: f64, memory_mb: i64) -> Command {
    Command::ReportUsage { id: id(number), cpu_percent, memory_mb }
}

fn status(number: usize, status: PipelineStatus, total_records: u64) -> Command {
    Command::UpdateStatus(StatusReport { id: id(number), status, total_records, failed_records: 0, bytes_moved: None })
}

#[tokio::test]
async fn what_was_told_of_pipelines_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    for command in [register(1), register(2), usage(1, 15.5, 2_048), status(2, PipelineStatus::Failed, 7)] {
        handle.submit_pipeline(command).await.unwrap();
    }
    let before = handle.read(|state| state.registry.system()).await.unwrap();
    coordinator.stop().await.unwrap();

    let (coordinator, handle) = start(dir.path());
    let after = handle.read(|state| state.registry.system()).await.unwrap();
    assert_eq!((after.pipelines, after.used, after.by_status), (before.pipelines, before.used, before.by_status));
    assert_eq!(after.health, before.health);
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn a_flood_of_heartbeats_leaves_the_journal_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    for each in 0..200 {
        handle.submit_pipeline(register(each)).await.unwrap();
    }
    let before = handle.status().durable();
    for _ in 0..50 {
        let beats = (0..200).map(|each| Command::Heartbeat { id: id(each) }).collect();
        assert!(handle.submit_pipelines(beats).await.unwrap().iter().all(Result::is_ok));
    }
    assert_eq!(handle.status().durable(), before);
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn every_event_can_be_read_and_the_registry_be_seen_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    handle.submit_pipeline(register(1)).await.unwrap();
    handle.submit_pipeline(usage(1, 15.5, 2_048)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let then = now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    handle.submit_pipeline(register(2)).await.unwrap();
    handle.submit_pipeline(Command::Unregister { id: id(1) }).await.unwrap();

    let page = handle.registry_facts(FactFilter { most: 2, ..FactFilter::default() }).await.unwrap();
    assert_eq!(
        page.facts.iter().map(|(_, fact)| fact.what).collect::<Vec<_>>(),
        ["PipelineRegistered", "ResourceUsageReported"]
    );
    let rest = handle.registry_facts(FactFilter { after: page.next, most: 10, ..FactFilter::default() }).await.unwrap();
    assert_eq!(
        rest.facts.iter().map(|(_, fact)| fact.what).collect::<Vec<_>>(),
        ["PipelineRegistered", "PipelineUnregistered"]
    );
    let mine = FactFilter { pipeline: Some(id(1)), most: 10, ..FactFilter::default() };
    assert_eq!(handle.registry_facts(mine).await.unwrap().facts.len(), 3);

    let as_it_was = handle.registry_at(then).await.unwrap();
    assert_eq!(as_it_was.system().pipelines, 1);
    assert_eq!(as_it_was.pipeline(&id(1), then).unwrap().used.memory_mb, 2_048);
    let as_it_is = handle.registry_at(now()).await.unwrap();
    assert!(as_it_is.pipeline(&id(1), now()).is_none() && as_it_is.pipeline(&id(2), now()).is_some());
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn a_time_before_what_is_kept_is_not_told_as_if_nothing_had_been() {
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { segment_bytes: 16 << 10, ..EmbeddedOptions::default() };
    let retention =
        Retention { registry_every: 5, registry_audit: Millis(1), held_back_max: 16 << 10, ..Retention::default() };
    let journal = EmbeddedJournal::open(dir.path(), options).unwrap();
    let options = Options { retention, ..Options::default() };
    let (coordinator, handle) = Coordinator::start(Box::new(journal), options).unwrap();
    handle.submit_pipeline(register(1)).await.unwrap();
    let then = now();
    assert_eq!(handle.registry_at(then).await.unwrap().system().pipelines, 1);

    // The first event that is kept looks then as the first of all might.
    let change = |limit: i64| RulesChange { memory_mb_max: Some(limit), ..RulesChange::default() };
    for limit in 1.. {
        handle.submit_pipeline(Command::ChangeRules(change(limit))).await.unwrap();
        let first = handle.registry_facts(FactFilter { most: 1, ..FactFilter::default() }).await.unwrap();
        if first.facts.first().is_none_or(|(_, fact)| fact.what == "LimitsChanged") {
            break;
        }
    }

    let told = handle.registry_at(then).await;
    assert!(matches!(told, Err(HistoryError::TooOld { first: Some(first) }) if WallTime(first) > then), "{told:?}");
    assert_eq!(handle.registry_at(now()).await.unwrap().system().pipelines, 1);
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn two_who_reserve_at_once_do_not_both_get_the_last_place() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    let ask = |number| handle.submit_pipeline(Command::Reserve(Reserve::new(id(number), 50.0, 1_000)));
    let (one, two) = tokio::join!(ask(1), ask(2));
    let held =
        [one, two].into_iter().filter(|answer| matches!(answer, Ok(Answer::Reservation(view)) if view.is_held()));
    assert_eq!(held.count(), 1);
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn a_reservation_that_is_not_renewed_ends_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    let short = Reserve { ttl: Millis::secs(1), ..Reserve::new(id(1), 50.0, 1_000) };
    handle.submit_pipeline(Command::Reserve(short)).await.unwrap();
    // Another waits, and gets the place without anybody asking again.
    let wait = Reserve { wait: Some(Millis::secs(30)), ..Reserve::new(id(2), 50.0, 1_000) };
    handle.submit_pipeline(Command::Reserve(wait)).await.unwrap();
    loop {
        let held = handle.read(|state| state.registry.reservation(&id(2)).unwrap().is_held()).await.unwrap();
        if held {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    coordinator.stop().await.unwrap();
}

fn now() -> WallTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    WallTime(since.as_micros() as i64)
}
