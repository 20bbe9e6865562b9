//! A job's progress and its items' are one commit.

use crate::scripted::Reply;
use crate::stage::*;
use capstan_coordinator::Failure;
use capstan_ids::{ItemId, WorkerId};
use capstan_migration::{End, JobCommand, JobName};
use capstan_work::{Acquire, Answer, Command, Complete, Grant, Holder, ItemState, SessionState};

const SURVEYED: &str = r#"{"units": [{"source": {"database": "shop", "collection": "orders"}, "definition": {}}]}"#;

fn name() -> JobName {
    JobName::new("move").unwrap()
}

async fn submit(server: &Server) {
    let spec = serde_json::from_str(r#"{"from": "dump:./backup", "to": "kv://shop"}"#).unwrap();
    let command = JobCommand::Submit { name: Some(name()), spec: Box::new(spec) };
    assert_eq!(server.handle.command_job(command).await.unwrap(), name());
}

async fn next(server: &Server) -> Grant {
    let acquire = Acquire::from(name().session(), WorkerId::new("alice").unwrap());
    let Answer::Granted(mut grants) = server.handle.submit(Command::Acquire(acquire)).await.unwrap() else {
        panic!("there was work")
    };
    grants.remove(0)
}

fn done(grant: &Grant, result: &str) -> Command {
    let item = ItemId::new(grant.body.id()).unwrap();
    let complete = Complete::new(name().session(), item, Holder::Token(grant.token));
    Command::Complete(Complete { result: Some(result.into()), ..complete })
}

/// Units of the job, and completed and all items of its session.
async fn standing(server: &Server) -> (u64, u64, u64) {
    let look = |state: &capstan_coordinator::State| {
        let counts = state.work.session(&name().session()).unwrap().counts;
        (state.jobs.job(&name()).unwrap().units, counts.of(ItemState::Completed), counts.total())
    };
    server.handle.read(look).await.unwrap()
}

#[tokio::test]
async fn a_completion_its_successors_and_what_the_job_learns_are_one_commit() {
    let stage = Stage::new();
    let server = stage.start();
    submit(&server).await;
    let (_, submitted) = stage.script.offers().pop().unwrap();
    let streams = |commit: &capstan_journal::Commit| {
        commit.entries(position(1)).map(|entry| entry.stream.to_string()).collect::<std::collections::BTreeSet<_>>()
    };
    let both: std::collections::BTreeSet<_> = ["jobs".to_owned(), "work/job-move".to_owned()].into();
    assert_eq!(streams(&submitted), both);
    let before = standing(&server).await;
    let survey = next(&server).await;
    let offers = stage.script.offers().len();

    server.handle.submit(done(&survey, SURVEYED)).await.unwrap();

    let offers = &stage.script.offers()[offers..];
    let [(_, commit)] = offers else { panic!("{} commits", offers.len()) };
    assert_eq!(streams(commit), both);
    let after = standing(&server).await;
    assert_eq!((after.0, after.1), (1, 1));
    assert!(after.2 > before.2, "its successors are there");
    server.stop().await;
}

#[tokio::test]
async fn a_crash_leaves_a_completion_with_all_that_follows_or_nothing_of_it() {
    for (reply, stands) in [(Reply::Broken, false), (Reply::BrokenAfterWriting, true)] {
        let stage = Stage::new();
        let mut server = stage.start();
        submit(&server).await;
        let survey = next(&server).await;
        let before = standing(&server).await;
        stage.script.answer(reply);

        let lost = server.handle.submit(done(&survey, SURVEYED)).await;

        assert_eq!(lost, Err(Failure::JournalBroken));
        server.coordinator.ended().await.unwrap_err();
        drop(server);
        let server = stage.start();
        let after = standing(&server).await;
        assert_eq!(after == before, !stands, "{reply:?}: {before:?}, {after:?}");
        // Whatever stands, the worker's repeat ends in the same.
        server.handle.submit(done(&survey, SURVEYED)).await.unwrap();
        assert_eq!(standing(&server).await.0, 1);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_refused_result_changes_neither() {
    let stage = Stage::new();
    let server = stage.start();
    submit(&server).await;
    let survey = next(&server).await;
    let before = (standing(&server).await, stage.script.offers().len());

    let refused = server.handle.submit(done(&survey, r#"{"units": 7}"#)).await;

    assert!(matches!(refused, Err(Failure::Rejected(_))), "{refused:?}");
    assert_eq!((standing(&server).await, stage.script.offers().len()), before);
    server.stop().await;
}

#[tokio::test]
async fn a_job_whose_session_is_deleted_under_it_has_ended() {
    let server = Stage::new().start();
    submit(&server).await;
    next(&server).await;

    server.handle.submit(Command::DeleteSession { session: name().session() }).await.unwrap();

    let ended = server.handle.read(|state| state.jobs.job(&name()).unwrap().ended).await.unwrap();
    assert_eq!(ended.map(|(end, _)| end), Some(End::Failed));
    server.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_ends_once_its_leases_are_over() {
    let server = Stage::new().start();
    submit(&server).await;
    let survey = next(&server).await;
    let cancel = JobCommand::Cancel { job: name(), drop_partial: false, reason: "enough".into() };
    server.handle.command_job(cancel).await.unwrap();
    let ended = |server: &Server| {
        let handle = server.handle.clone();
        async move { handle.read(|state| state.jobs.job(&name()).unwrap().ended.is_some()).await.unwrap() }
    };
    assert!(!ended(&server).await, "its survey is still held");

    server.pass(survey.lease).await;
    // What undoes it is left to be done.
    while !ended(&server).await {
        let undo = next(&server).await;
        server.handle.submit(done(&undo, "{}")).await.unwrap();
    }
    let state = server.handle.read(|state| state.work.session_state(&name().session())).await.unwrap();
    assert_eq!(state, Some(SessionState::Cancelled));
    server.stop().await;
}

/// A job that goes its way as if by itself: each item of a collection called `bad` that is dumped fails for good.
struct Played {
    server: Server,
    job: JobName,
    done: Vec<String>,
}

impl Played {
    async fn begin(spec: &str) -> Self {
        let server = Stage::new().start();
        let spec = Box::new(serde_json::from_str(spec).unwrap());
        let job = server.handle.command_job(JobCommand::Submit { name: Some(name()), spec }).await.unwrap();
        Self { server, job, done: Vec::new() }
    }

    async fn take(&self) -> Option<Grant> {
        let acquire = Acquire::from(self.job.session(), WorkerId::new("alice").unwrap());
        match self.server.handle.submit(Command::Acquire(acquire)).await.unwrap() {
            Answer::Granted(mut grants) => Some(grants.remove(0)),
            _ => None,
        }
    }

    /// Works until nothing is handed out any more.
    async fn work(&mut self, units: &[&str]) {
        while let Some(grant) = self.take().await {
            let item = grant.body.id().to_owned();
            let bad = &*grant.body.unpack().index_name == "shop.bad" && item.starts_with("dump:");
            let command = if bad { fails(&grant, true) } else { done(&grant, &result(&item, units)) };
            self.server.handle.submit(command).await.unwrap();
            self.done.push(item.split(':').next().unwrap().to_owned());
        }
    }

    async fn ask(&self, command: JobCommand) -> Result<JobName, Failure> {
        self.server.handle.command_job(command).await
    }

    async fn end(&self) -> Option<End> {
        let job = self.job.clone();
        let look = move |state: &capstan_coordinator::State| state.jobs.job(&job).unwrap().ended.map(|(end, _)| end);
        self.server.handle.read(look).await.unwrap()
    }

    fn times(&self, stage: &str) -> usize {
        self.done.iter().filter(|done| *done == stage).count()
    }
}

fn fails(grant: &Grant, permanent: bool) -> Command {
    Command::Fail {
        session: grant.session.clone(),
        item: ItemId::new(grant.body.id()).unwrap(),
        holder: Holder::Token(grant.token),
        error: "the disk is broken".into(),
        permanent,
        retry_after: None,
        checkpoint: None,
    }
}

/// What a worker would bring, for units of one chunk of three documents each.
fn result(item: &str, units: &[&str]) -> String {
    let unit =
        |name: &&str| format!(r#"{{"source": {{"database": "shop", "collection": "{name}"}}, "definition": {{}}}}"#);
    let units: Vec<_> = units.iter().map(unit).collect();
    match item.split([':', '.']).next().unwrap() {
        "survey" => format!(r#"{{"units": [{}]}}"#, units.join(",")),
        "plan" => r#"{"chunks": [{"range": {"all": true}, "documents": 3, "bytes": 30}]}"#.into(),
        "dump" => r#"{"documents": 3, "bytes": 30, "parts": [{"name": "p", "documents": 3, "bytes": 30, "blocks": 1, "stored_bytes": 9, "checksum": "00"}]}"#.into(),
        "restore" | "copy" => r#"{"restored": {"documents": 3, "bytes": 30}}"#.into(),
        "verify" => r#"{"verdict": {"mode": "hash", "ranges": 1, "missing": 0, "extra": 0, "different": 0, "repaired": 0}}"#.into(),
        _ => "{}".into(),
    }
}

#[tokio::test]
async fn with_policy_skip_a_unit_that_failed_stops_nothing_of_the_others() {
    let spec = r#"{"from": "dump:a", "to": "dump:b.archive", "retry": {"on_exhausted": "skip"}}"#;
    let mut played = Played::begin(spec).await;

    played.work(&["good", "bad"]).await;

    let stages = ["index", "finish", "verify", "sweep"].map(|stage| played.times(stage));
    assert_eq!(stages, [1, 1, 1, 1], "{:?}", played.done);
    assert_eq!(played.end().await, Some(End::CompletedWithFailures));
    played.server.stop().await;
}

#[tokio::test]
async fn what_failed_before_the_whole_was_made_complete_is_not_tried_again() {
    let job = || name();
    for (scan, again) in [("after_job", false), ("after_unit", true)] {
        let spec = r#"{"from": "dump:a", "to": "kv://shop", "retry": {"on_exhausted": "skip"}}"#;
        let mut played = Played::begin(spec).await;
        let survey = played.take().await.unwrap();
        let found = result("survey", &["good", "bad"]).replace("]}", &format!(r#"], "scan": "{scan}"}}"#));
        played.server.handle.submit(done(&survey, &found)).await.unwrap();
        played.work(&[]).await;
        assert_eq!(played.end().await, Some(End::CompletedWithFailures));

        let retried = played.ask(JobCommand::Retry { job: job() }).await;

        assert_eq!(retried.is_ok(), again, "{scan}: {retried:?}");
        assert_eq!(played.take().await.is_some(), again, "{scan}");
        played.server.stop().await;
    }
}

#[tokio::test]
async fn units_added_while_it_runs_go_the_whole_way_before_it_finishes() {
    let mut played = Played::begin(r#"{"from": "dump:a", "to": "kv://shop", "include": ["shop.good"]}"#).await;
    let add = |pattern: &str| JobCommand::AddUnits { job: name(), collections: vec![pattern.into()] };
    let early = played.ask(add("shop.*")).await;
    assert!(matches!(early, Err(Failure::JobRejected(_))), "its first survey is not done: {early:?}");
    let survey = played.take().await.unwrap();
    played.server.handle.submit(done(&survey, &result("survey", &["good"]))).await.unwrap();

    played.ask(add("shop.*")).await.unwrap();
    played.work(&["good", "late"]).await;

    let stages = ["survey.2", "plan", "restore", "index", "finish", "verify", "sweep"].map(|stage| played.times(stage));
    assert_eq!(stages, [1, 2, 2, 2, 1, 2, 1], "{:?}", played.done);
    assert_eq!(played.end().await, Some(End::Completed));
    let late = played.ask(add("shop.x")).await;
    assert!(matches!(late, Err(Failure::JobRejected(_))), "it has ended: {late:?}");
    played.server.stop().await;
}

#[tokio::test]
async fn a_priority_given_while_it_runs_holds_for_what_is_queued_and_for_what_comes() {
    let played = Played::begin(r#"{"from": "dump:a", "to": "kv://shop", "pools": {"plan": 8}}"#).await;
    let survey = played.take().await.unwrap();
    played.server.handle.submit(done(&survey, &result("survey", &["a", "b", "c"]))).await.unwrap();

    let command = JobCommand::SetPriority { job: name(), collection: "shop.c".into(), priority: 5 };
    played.ask(command).await.unwrap();

    let mut order = Vec::new();
    while let Some(grant) = played.take().await {
        order.push(grant.body.unpack().index_name.to_string());
        played.server.handle.submit(done(&grant, &result(grant.body.id(), &[]))).await.unwrap();
    }
    assert_eq!(order[..5], ["shop.c"; 5], "plan, dump, restore, index and verify of it: {order:?}");
    assert_eq!(played.end().await, Some(End::Completed));
    played.server.stop().await;
}

/// What a brief says of how fast its item may go: documents and bytes a second.
async fn share(played: &Played, grant: &Grant) -> (Option<f64>, Option<f64>) {
    let (session, item) = (grant.session.clone(), ItemId::new(grant.body.id()).unwrap());
    let look = move |state: &capstan_coordinator::State| state.brief(&session, &item, 0).unwrap().text;
    let text = played.server.handle.read(look).await.unwrap();
    let brief: capstan_migration::BriefText = serde_json::from_str(&text).unwrap();
    (brief.share.documents, brief.share.bytes)
}

#[tokio::test]
async fn running_items_share_the_jobs_rates_and_changed_ones_hold_at_once() {
    let spec = r#"{"from": "dump:a", "to": "kv://shop", "pools": {"dump": 3}, "rates": {"documents": 900}}"#;
    let played = Played::begin(spec).await;
    let survey = played.take().await.unwrap();
    played.server.handle.submit(done(&survey, &result("survey", &["a", "b", "c"]))).await.unwrap();
    for _ in 0..3 {
        let plan = played.take().await.unwrap();
        assert_eq!(share(&played, &plan).await, (None, None), "it moves nothing");
        played.server.handle.submit(done(&plan, &result("plan", &[]))).await.unwrap();
    }
    let first = played.take().await.unwrap();
    assert_eq!(share(&played, &first).await, (Some(900.0), None));
    let second = played.take().await.unwrap();
    assert_eq!(share(&played, &first).await, (Some(450.0), None), "another has joined");

    let rates = capstan_migration::Rates { documents: None, bytes: Some(1_000), operations: Some(2) };
    played.ask(JobCommand::SetRates { job: name(), rates }).await.unwrap();

    assert_eq!(share(&played, &first).await, (None, Some(500.0)));
    assert!(played.take().await.is_none(), "two operations run already");
    played.server.handle.submit(done(&second, &result("dump", &[]))).await.unwrap();
    let restore = played.take().await.unwrap();
    assert_eq!(restore.body.unpack().kind.as_str(), "restore");
    assert_eq!(share(&played, &restore).await, (None, Some(1_000.0)), "what is written has a rate of its own");
    played.server.stop().await;
}
