//! Jobs that go on while something of them fails, is added, or is changed.

use crate::played::*;
use capstan_coordinator::{Failure, State};
use capstan_ids::{ItemId, Kind, Millis, WallTime};
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
    let look = move |state: &State| state.brief(&session, &item, 0).unwrap().text;
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

#[tokio::test]
async fn an_adaptive_pool_finds_its_size_until_somebody_sets_it() {
    let spec = r#"{"from": "dump:a", "to": "kv://shop", "pools": {"plan": 20, "dump": 20, "adaptive": true}, "retry": {"backoff_ms": 0}}"#;
    let played = Played::begin(spec).await;
    let size = async |after: u64| {
        played.server.pass(Millis::secs(after)).await;
        let look = |state: &State| state.job_status(&name(), WallTime(0)).unwrap();
        let status = played.server.handle.read(look).await.unwrap();
        status.pools.iter().find(|pool| pool.kind.as_str() == "dump").unwrap().size
    };
    let units: Vec<String> = (0..9).map(|unit| format!("c{unit}")).collect();
    let units: Vec<&str> = units.iter().map(String::as_str).collect();
    let survey = played.take().await.unwrap();
    played.server.handle.submit(done(&survey, &result("survey", &units))).await.unwrap();
    for _ in &units {
        let plan = played.take().await.unwrap();
        played.server.handle.submit(done(&plan, &result("plan", &[]))).await.unwrap();
    }
    assert_eq!(size(6).await, Some(4), "it begins small");
    let mut held = Vec::new();
    while let Some(grant) = played.take().await {
        held.push(grant);
    }
    assert_eq!(held.len(), 4);

    assert_eq!(size(6).await, Some(4), "the first look is at work that has only begun");
    assert_eq!(size(6).await, Some(6), "it is full: more is tried");
    let failed = fails(&held.pop().unwrap(), false);
    played.server.handle.submit(failed).await.unwrap();
    assert_eq!(size(6).await, Some(3), "what fails or throttles halves it");

    let set = JobCommand::SetPool { job: name(), kind: Kind::new("dump").unwrap(), size: Some(7) };
    played.ask(set).await.unwrap();
    assert_eq!(size(6).await, Some(7), "whoever sets a pool has the last word");
    played.server.handle.read(|state| state.check().unwrap()).await.unwrap();
    played.server.stop().await;
}

#[tokio::test]
async fn what_fails_at_one_end_shrinks_the_pool_of_that_end_alone() {
    let spec =
        r#"{"from": "dump:a", "to": "kv://shop", "pools": {"plan": 20, "adaptive": true}, "retry": {"backoff_ms": 0}}"#;
    let played = Played::begin(spec).await;
    let sizes = async |after: u64| {
        played.server.pass(Millis::secs(after)).await;
        let look = |state: &State| state.job_status(&name(), WallTime(0)).unwrap();
        let status = played.server.handle.read(look).await.unwrap();
        ["dump", "restore"]
            .map(|kind| status.pools.iter().find(|pool| pool.kind.as_str() == kind).unwrap().size.unwrap())
    };
    let survey = played.take().await.unwrap();
    played.server.handle.submit(done(&survey, &result("survey", &["a", "b"]))).await.unwrap();
    for _ in 0..2 {
        let plan = played.take().await.unwrap();
        played.server.handle.submit(done(&plan, &result("plan", &[]))).await.unwrap();
    }
    let (dump, other) = (played.take().await.unwrap(), played.take().await.unwrap());
    played.server.handle.submit(done(&dump, &result("dump", &[]))).await.unwrap();
    let restore = played.take().await.unwrap();
    assert_eq!((other.body.unpack().kind.as_str(), restore.body.unpack().kind.as_str()), ("dump", "restore"));
    assert_eq!(sizes(6).await, [4, 4]);

    played.server.handle.submit(fails(&restore, false)).await.unwrap();
    assert_eq!(sizes(6).await, [4, 2], "the target failed");

    played.server.handle.submit(fails(&other, false)).await.unwrap();
    assert_eq!(sizes(6).await, [2, 2], "the source failed");
    played.server.stop().await;
}

#[tokio::test]
async fn a_pool_that_grows_gives_more_work_and_one_that_shrinks_kills_nothing() {
    let spec = r#"{"from": "dump:a", "to": "kv://shop", "pools": {"plan": 20, "dump": 2, "restore": 20}}"#;
    let played = Played::begin(spec).await;
    let units = ["a", "b", "c", "d", "e"];
    let survey = played.take().await.unwrap();
    played.server.handle.submit(done(&survey, &result("survey", &units))).await.unwrap();
    for _ in units {
        let plan = played.take().await.unwrap();
        played.server.handle.submit(done(&plan, &result("plan", &[]))).await.unwrap();
    }
    let set = |size| JobCommand::SetPool { job: name(), kind: Kind::new("dump").unwrap(), size };
    let mut held = Vec::new();
    for (size, running) in [(None, 2), (Some(4), 4), (Some(1), 4)] {
        if size.is_some() {
            played.ask(set(size)).await.unwrap();
        }
        while let Some(grant) = played.take().await {
            held.push(grant);
        }
        assert_eq!(held.len(), running, "at {size:?}");
    }
    for wrong in [0, 4_097] {
        let refused = played.ask(set(Some(wrong))).await;
        assert!(matches!(refused, Err(Failure::JobRejected(_))), "{refused:?}");
    }
    // Asking for the job that exists returns it unchanged, whatever pools the asker would have given it.
    let again = JobCommand::Submit {
        name: Some(name()),
        spec: Box::new(serde_json::from_str(&spec.replace("\"dump\": 2", "\"dump\": 9")).unwrap()),
    };
    played.ask(again).await.unwrap();
    assert!(played.take().await.is_none(), "only setting a pool changes it");
    // They finish at their own pace, and only then does another start.
    for left in (0..4).rev() {
        let grant = held.pop().unwrap();
        played.server.handle.submit(done(&grant, &result("dump", &[]))).await.unwrap();
        let mut dumps = 0;
        while let Some(next) = played.take().await {
            dumps += usize::from(next.body.unpack().kind.as_str() == "dump");
        }
        assert_eq!(dumps, usize::from(left == 0), "{left} still run");
    }
    played.server.stop().await;
}
