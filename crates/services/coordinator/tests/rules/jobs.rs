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
    let with_registry = both.iter().cloned().chain(["registry".to_owned()]).collect();
    assert_eq!(streams(&submitted), with_registry, "it is admitted in the same step");
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
