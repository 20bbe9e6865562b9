//! Jobs in the registry: listed, admitted where there is room, heard of, and gone when they are forgotten.

use crate::stage::*;
use capstan_coordinator::{Failure, State};
use capstan_ids::{Millis, WallTime, WorkerId};
use capstan_migration::{End, JobCommand, JobName};
use capstan_registry::{Command as Registry, PipelineId, PipelineStatus, PipelineView, Register, Reserve, RulesChange};
use capstan_work::{Acquire, Answer, Command, Grant, SessionState, Usage};

use crate::played::{done, fails, result};

fn job(name: &str) -> JobName {
    JobName::new(name).unwrap()
}

fn pipeline(name: &str) -> PipelineId {
    PipelineId::new(format!("job-{name}")).unwrap()
}

async fn try_submit(server: &Server, name: &str, cpu: f64, priority: i16) -> Result<JobName, Failure> {
    let spec = format!(
        r#"{{"from": "dump:a", "to": "kv://shop", "resources": {{"cpu_percent": {cpu}, "memory_mb": 10, "priority": {priority}}}}}"#
    );
    let spec = Box::new(serde_json::from_str(&spec).unwrap());
    server.handle.command_job(JobCommand::Submit { name: Some(job(name)), spec }).await
}

/// A job that needs so much CPU.
async fn submit(server: &Server, name: &str, cpu: f64) {
    try_submit(server, name, cpu, 0).await.unwrap();
}

async fn see<T: Send + 'static>(server: &Server, look: impl FnOnce(&State) -> T + Send + 'static) -> T {
    let checked = move |state: &State| {
        state.check().unwrap();
        look(state)
    };
    server.handle.read(checked).await.unwrap()
}

async fn listed(server: &Server, name: &str) -> Option<PipelineView> {
    let id = pipeline(name);
    see(server, move |state| state.registry.pipeline(&id, WallTime(0))).await
}

async fn status(server: &Server, name: &str) -> PipelineStatus {
    listed(server, name).await.unwrap().status
}

async fn waits(server: &Server, name: &str) -> Option<String> {
    let job = job(name);
    see(server, move |state| state.waits_for_room(&job)).await
}

async fn take(server: &Server, name: &str, worker: &str, usage: Option<Usage>) -> Option<Grant> {
    let asked = Acquire { usage, ..Acquire::from(job(name).session(), WorkerId::new(worker).unwrap()) };
    match server.handle.submit(Command::Acquire(asked)).await.unwrap() {
        Answer::Granted(mut grants) => Some(grants.remove(0)),
        _ => None,
    }
}

/// Works a job to its end, with so many units of three documents.
async fn work(server: &Server, name: &str, units: &[&str]) {
    while let Some(grant) = take(server, name, "alice", None).await {
        server.handle.submit(done(&grant, &result(grant.body.id(), units))).await.unwrap();
    }
}

async fn end(server: &Server, name: &str) -> Option<End> {
    let job = job(name);
    see(server, move |state| state.jobs.job(&job).unwrap().ended.map(|(end, _)| end)).await
}

async fn limit_cpu(server: &Server, percent: f64) {
    let change = RulesChange { cpu_percent_max: Some(percent), ..RulesChange::default() };
    server.handle.submit_pipeline(Registry::ChangeRules(change)).await.unwrap();
}

#[tokio::test]
async fn of_two_jobs_for_which_there_is_room_for_one_the_second_begins_when_the_first_ends() {
    let server = Stage::new().start();
    submit(&server, "first", 50.0).await;
    submit(&server, "second", 50.0).await;

    assert_eq!(waits(&server, "first").await, None);
    let why = waits(&server, "second").await.unwrap();
    assert_eq!(why, "waits for room: 0 before it (needs 50 % CPU and 10 MB, free 30 % CPU and 79990 MB)");
    assert_eq!(
        (status(&server, "first").await, status(&server, "second").await),
        (PipelineStatus::Running, PipelineStatus::Configured)
    );
    assert!(take(&server, "second", "bob", None).await.is_none(), "nothing of it is handed out");

    work(&server, "first", &["orders"]).await;

    assert_eq!(end(&server, "first").await, Some(End::Completed));
    assert_eq!(waits(&server, "second").await, None);
    assert!(take(&server, "second", "bob", None).await.is_some());
    assert_eq!(status(&server, "second").await, PipelineStatus::Running);
    server.stop().await;
}

#[tokio::test]
async fn room_goes_to_the_more_urgent_first() {
    let server = Stage::new().start();
    submit(&server, "first", 50.0).await;
    try_submit(&server, "patient", 50.0, 0).await.unwrap();
    try_submit(&server, "urgent", 50.0, 10).await.unwrap();
    assert!(waits(&server, "patient").await.unwrap().contains("1 before it"));

    work(&server, "first", &[]).await;

    assert_eq!((waits(&server, "urgent").await, waits(&server, "patient").await.is_some()), (None, true));
    server.stop().await;
}

#[tokio::test]
async fn who_waits_still_waits_after_a_restart_and_begins_when_there_is_room() {
    let stage = Stage::new();
    let server = stage.start();
    submit(&server, "first", 50.0).await;
    submit(&server, "second", 50.0).await;
    server.stop().await;

    let server = stage.start();

    assert!(waits(&server, "second").await.is_some());
    assert!(take(&server, "second", "bob", None).await.is_none());
    let cancel = JobCommand::Cancel { job: job("first"), drop_partial: false, reason: "enough".into() };
    server.handle.command_job(cancel).await.unwrap();
    work(&server, "first", &[]).await;
    assert_eq!(waits(&server, "second").await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_job_for_which_there_can_never_be_room_is_refused_whole() {
    let stage = Stage::new();
    let server = stage.start();
    let offers = stage.script.offers().len();

    let refused = try_submit(&server, "huge", 81.0, 0).await;

    let Err(Failure::PipelineRejected(capstan_registry::Rejection::LargerThanLimits { .. })) = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(stage.script.offers().len(), offers, "nothing has happened");
    assert!(listed(&server, "huge").await.is_none());
    assert_eq!(see(&server, |state| state.jobs.jobs().count()).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn limits_that_are_raised_let_a_waiting_job_go() {
    let server = Stage::new().start();
    submit(&server, "first", 50.0).await;
    submit(&server, "second", 50.0).await;

    // Lower ones than it needs take its place in the queue.
    limit_cpu(&server, 40.0).await;
    assert!(waits(&server, "second").await.unwrap().contains("more than the limits allow"));
    limit_cpu(&server, 99.0).await;
    assert!(waits(&server, "second").await.unwrap().contains("0 before it"));
    limit_cpu(&server, 100.0).await;

    assert_eq!(waits(&server, "second").await, None);
    assert!(take(&server, "second", "bob", None).await.is_some());
    server.stop().await;
}

#[tokio::test]
async fn an_operator_cannot_resume_who_waits_for_room_and_can_pause_it() {
    let server = Stage::new().start();
    submit(&server, "first", 50.0).await;
    submit(&server, "second", 50.0).await;
    let resume = || JobCommand::Resume { job: job("second") };

    let refused = server.handle.command_job(resume()).await.unwrap_err();
    assert!(refused.to_string().contains("waits for room") && refused.to_string().contains("limits"), "{refused}");
    let session = job("second").session();
    assert!(server.handle.submit(Command::Resume { session }).await.is_err(), "nor by its session");

    let pause = JobCommand::Pause { job: job("second"), immediate: false, reason: "waits for room too".into() };
    server.handle.command_job(pause).await.unwrap();
    work(&server, "first", &[]).await;
    assert_eq!((waits(&server, "second").await, status(&server, "second").await), (None, PipelineStatus::Paused));
    assert!(take(&server, "second", "bob", None).await.is_none(), "it was paused, and has room");
    server.handle.command_job(resume()).await.unwrap();
    assert!(take(&server, "second", "bob", None).await.is_some());
    server.stop().await;
}

#[tokio::test]
async fn a_job_that_is_resumed_without_room_waits_for_it() {
    let server = Stage::new().start();
    submit(&server, "first", 50.0).await;
    let pause = JobCommand::Pause { job: job("first"), immediate: false, reason: "a look".into() };
    server.handle.command_job(pause).await.unwrap();
    server.handle.submit_pipeline(Registry::Release { id: pipeline("first") }).await.unwrap();
    submit(&server, "second", 50.0).await;

    server.handle.command_job(JobCommand::Resume { job: job("first") }).await.unwrap();

    assert!(waits(&server, "first").await.is_some());
    work(&server, "second", &[]).await;
    assert_eq!(waits(&server, "first").await, None);
    server.stop().await;
}

#[tokio::test]
async fn usage_of_jobs_adds_up_to_that_of_their_workers() {
    let server = Stage::new().start();
    for name in ["a", "b", "c"] {
        submit(&server, name, 1.0).await;
    }
    for seconds in [30, 29] {
        server.pass(Millis::secs(seconds)).await;
    }
    // Alice works for two of them, bob for one of these.
    let usage = |cpu, memory| Some(Usage::new(cpu, memory).unwrap());
    let first = take(&server, "a", "alice", usage(10.001, 301)).await.unwrap();
    server.handle.submit(done(&first, &result("survey", &["x", "y", "z"]))).await.unwrap();
    for name in ["a", "a", "b"] {
        take(&server, name, "alice", usage(10.001, 301)).await.unwrap();
    }
    let second = take(&server, "b", "bob", None).await;
    assert!(second.is_none(), "a survey is one item");

    server.pass(Millis::secs(1)).await;

    let used = |name: &'static str| {
        let server = &server;
        async move {
            let used = listed(server, name).await.unwrap().used;
            (used.cpu.thousandths(), used.memory_mb)
        }
    };
    // Two of three leases; together exactly what she said.
    assert_eq!([used("a").await, used("b").await, used("c").await], [(6_667, 200), (3_334, 101), (0, 0)]);

    for _ in 0..4 {
        server.pass(Millis::secs(31)).await;
    }
    assert_eq!([used("a").await, used("b").await], [(0, 0); 2], "their leases are over");
    server.stop().await;
}

#[tokio::test]
async fn what_has_not_changed_is_no_event_and_what_has_is_one_in_half_a_minute() {
    let stage = Stage::new();
    let server = stage.start();
    submit(&server, "first", 1.0).await;
    server.pass(Millis::secs(31)).await;
    let offers = stage.script.offers().len();

    for _ in 0..20 {
        server.pass(Millis::secs(31)).await;
    }

    assert_eq!(stage.script.offers().len(), offers, "ten minutes of silence");
    let view = listed(&server, "first").await.unwrap();
    assert_eq!((view.status, view.stale_since), (PipelineStatus::Running, None), "who coordinates it is its heartbeat");
    server.stop().await;
}

#[tokio::test]
async fn a_short_patience_with_silence_makes_no_job_stale() {
    let server = Stage::new().start();
    submit(&server, "first", 1.0).await;
    let change = RulesChange { stale_after: Some(Millis::secs(4)), ..RulesChange::default() };
    server.handle.submit_pipeline(Registry::ChangeRules(change)).await.unwrap();

    for _ in 0..20 {
        server.pass(Millis::secs(2)).await;
        assert_eq!(listed(&server, "first").await.unwrap().stale_since, None);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_job_that_ended_stays_listed_until_its_time_is_over_or_it_is_forgotten() {
    let server = Stage::new().start();
    for name in ["kept", "forgotten"] {
        submit(&server, name, 1.0).await;
        work(&server, name, &["orders", "users"]).await;
    }
    // The last of two reports within a second is journalled once that is over.
    server.pass(Millis::secs(2)).await;
    let view = listed(&server, "kept").await.unwrap();
    assert_eq!((view.status, view.total_records, view.cost.bytes_moved()), (PipelineStatus::Stopped, 6, 60));
    assert_eq!(view.reserved, None, "it gave its room back");
    assert_eq!(view.group.unwrap().as_str(), "jobs");

    server.handle.command_job(JobCommand::Forget { job: job("forgotten") }).await.unwrap();
    assert!(listed(&server, "forgotten").await.is_none());
    server.pass(Millis::secs(6 * 86_400)).await;
    assert!(listed(&server, "kept").await.is_some());
    server.pass(Millis::secs(2 * 86_400)).await;
    assert!(listed(&server, "kept").await.is_none());
    server.stop().await;
}

#[tokio::test]
async fn a_job_that_ended_with_failures_has_failed_with_the_documents_of_its_failed_chunks() {
    let server = Stage::new().start();
    let spec = r#"{"from": "dump:a", "to": "kv://shop", "retry": {"on_exhausted": "skip"}}"#;
    let spec = Box::new(serde_json::from_str(spec).unwrap());
    server.handle.command_job(JobCommand::Submit { name: Some(job("half")), spec }).await.unwrap();
    while let Some(grant) = take(&server, "half", "alice", None).await {
        let bad = grant.body.id().starts_with("dump:") && &*grant.body.unpack().index_name == "shop.bad";
        let command = if bad { fails(&grant, true) } else { done(&grant, &result(grant.body.id(), &["good", "bad"])) };
        server.handle.submit(command).await.unwrap();
    }
    server.pass(Millis::secs(2)).await;

    let view = listed(&server, "half").await.unwrap();

    assert_eq!((view.status, view.total_records, view.failed_records), (PipelineStatus::Failed, 3, 3));
    server.stop().await;
}

#[tokio::test]
async fn what_a_forgotten_job_or_a_stranger_left_under_its_name_is_taken_over() {
    let server = Stage::new().start();
    let register = Register::new(pipeline("again"), capstan_registry::PipelineName::new("left").unwrap());
    server.handle.submit_pipeline(Registry::Register(register)).await.unwrap();
    server.handle.submit_pipeline(Registry::Reserve(Reserve::new(pipeline("again"), 70.0, 1))).await.unwrap();

    submit(&server, "again", 60.0).await;

    let view = listed(&server, "again").await.unwrap();
    assert_eq!((view.name.as_str(), view.status), ("again: dump to kv", PipelineStatus::Running));
    assert_eq!(view.reserved.unwrap().cpu.as_percent(), 60.0);
    server.stop().await;
}

#[tokio::test]
async fn a_job_that_is_taken_out_of_the_registry_is_listed_again() {
    let server = Stage::new().start();
    submit(&server, "first", 50.0).await;
    server.handle.submit_pipeline(Registry::Unregister { id: pipeline("first") }).await.unwrap();
    let running = |state: &State| state.work.session_state(&job("first").session());
    assert_eq!(see(&server, running).await, Some(SessionState::Running), "what runs goes on");

    server.pass(Millis::secs(31)).await;

    let view = listed(&server, "first").await.unwrap();
    assert_eq!((view.status, view.reserved.is_some()), (PipelineStatus::Running, true));
    server.stop().await;
}

#[tokio::test]
async fn a_figure_that_cannot_be_is_refused_at_the_door() {
    let server = Stage::new().start();
    submit(&server, "first", 1.0).await;
    for (cpu_percent, memory_mb) in [(f64::NAN, 1), (-0.5, 1), (100.5, 1), (1.0, u64::MAX)] {
        let usage = Some(capstan_coordination::Usage { cpu_percent, memory_mb });
        let wish = capstan_coordination::Acquire { usage, ..capstan_coordination::Acquire::any(worker("alice")) };

        let answer = capstan_coordination::Coordination::acquire(&server.handle, &wish).await;

        assert!(matches!(answer, Err(capstan_coordination::CoordinationError::Refused { .. })), "{answer:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_job_is_listed_with_its_priority_and_whether_anybody_serves_it() {
    let server = Stage::new().start();
    try_submit(&server, "a", 1.0, -7).await.unwrap();
    let is_connected = |state: &State, now: WallTime| state.job_status(&job("a"), now).unwrap().connected;

    assert_eq!(listed(&server, "a").await.unwrap().priority, -7);
    let now = server.stage.clock.wall();
    assert!(!see(&server, move |state| is_connected(state, now)).await);

    take(&server, "a", "alice", None).await.unwrap();
    assert!(see(&server, move |state| is_connected(state, now)).await);
    server.stop().await;
}
