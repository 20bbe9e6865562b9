//! Following health behind the owner: what is told, and that a restart tells the same under the same id.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_coordinator::{Coordinator, Handle, Options, SystemClock};
use capstan_ids::Millis;
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use capstan_registry::{
    Alert, AlertPolicy, Command, Health, PipelineId, PipelineName, PipelineStatus, Register, Severity, StatusReport,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const AT_ONCE: AlertPolicy = AlertPolicy { hold: Millis::ZERO, repeat: None };

fn start(dir: &Path) -> (Coordinator, Handle) {
    let journal = EmbeddedJournal::open(dir, EmbeddedOptions::default()).unwrap();
    Coordinator::start(Box::new(journal), Options::default()).unwrap()
}

async fn register(handle: &Handle, name: &str) {
    let register = Register::new(PipelineId::new(name).unwrap(), PipelineName::new(name).unwrap());
    handle.submit_pipeline(Command::Register(register)).await.unwrap();
}

async fn say(handle: &Handle, name: &str, status: PipelineStatus) {
    let id = PipelineId::new(name).unwrap();
    let report = StatusReport { id, status, total_records: 0, failed_records: 0, bytes_moved: None };
    handle.submit_pipeline(Command::UpdateStatus(report)).await.unwrap();
}

async fn next(watch: &mut capstan_coordinator::AlertWatch) -> Alert {
    tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("there is something to tell").unwrap()
}

#[tokio::test]
async fn what_becomes_critical_is_told_and_a_restart_repeats_it_under_the_same_id() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    let mut watch = handle.alerts(AT_ONCE, Arc::new(SystemClock));
    register(&handle, "a").await;
    register(&handle, "b").await;
    say(&handle, "b", PipelineStatus::Failed).await;

    let alert = next(&mut watch).await;

    assert_eq!((alert.severity, alert.system.health), (Severity::Alert, Health::Critical));
    assert_eq!(alert.troubled.iter().map(|pipeline| pipeline.id.as_str()).collect::<Vec<_>>(), ["b"]);
    coordinator.stop().await.unwrap();
    assert!(watch.next().await.is_err(), "it leads no longer");

    let (coordinator, handle) = start(dir.path());
    let mut watch = handle.alerts(AT_ONCE, Arc::new(SystemClock));
    assert_eq!(next(&mut watch).await.id, alert.id);
    say(&handle, "b", PipelineStatus::Running).await;
    let resolved = next(&mut watch).await;
    assert_eq!((resolved.severity, resolved.course.before), (Severity::Resolved, Health::Critical));
    assert_eq!(resolved.course.trouble_since, alert.course.trouble_since);
    coordinator.stop().await.unwrap();
}
