//! Jobs that go on while something of them fails, is added, or is changed.

use crate::played::*;
use capstan_coordinator::Failure;
use capstan_ids::ItemId;
use capstan_migration::{End, JobCommand};
use capstan_work::Grant;

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
