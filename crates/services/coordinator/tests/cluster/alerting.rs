//! Alerts where several servers share a journal: the leader tells, and the next one repeats what may not have arrived.

use crate::server;
use capstan_coordinator::{Handle, SystemClock, Turn};
use capstan_ids::Millis;
use capstan_registry::{Alert, AlertPolicy, Command, PipelineId, PipelineName, PipelineStatus, Register, StatusReport};
use std::sync::Arc;
use std::time::Duration;

async fn first_alert(handle: &Handle) -> Alert {
    let policy = AlertPolicy { hold: Millis::ZERO, repeat: None };
    let mut watch = handle.alerts(policy, Arc::new(SystemClock));
    tokio::time::timeout(Duration::from_secs(20), watch.next()).await.expect("there is something to tell").unwrap()
}

#[tokio::test]
async fn only_the_leader_tells_and_the_next_one_repeats_it_under_the_same_id() {
    let database = Arc::default();
    let one = server(&database, "one");
    let handle = one.leads().await;
    let two = server(&database, "two");
    two.stands_by("http://one").await;
    let id = PipelineId::new("a").unwrap();
    let register = Register::new(id.clone(), PipelineName::new("A").unwrap());
    handle.submit_pipeline(Command::Register(register)).await.unwrap();
    let status = PipelineStatus::Failed;
    let report = StatusReport { id, status, total_records: 0, failed_records: 0, bytes_moved: None };
    handle.submit_pipeline(Command::UpdateStatus(report)).await.unwrap();

    let told = first_alert(&handle).await;
    // A standby has nobody to ask: there is no handle but the leader's.
    assert!(matches!(&*two.cluster.turns().borrow(), Turn::Standby { .. }));
    one.cluster.stop().await;
    let again = first_alert(&two.leads().await).await;

    assert_eq!((again.id, again.severity, again.course), (told.id, told.severity, told.course));
    two.cluster.stop().await;
}
