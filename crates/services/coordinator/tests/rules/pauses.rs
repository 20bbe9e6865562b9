//! What the seed says of attempts, pauses, resuming and the end of a job, sentence by sentence.

use crate::played::*;
use capstan_coordinator::{JobStatus, State};
use capstan_ids::{Kind, Millis, WallTime};
use capstan_migration::{End, JobCommand};
use capstan_work::{Command, Grant, Holder, ItemState, Rejection, SessionState};

const PLAIN: &str = r#"{"from": "dump:a", "to": "kv://shop", "retry": {"backoff_ms": 0}}"#;

async fn status(played: &Played) -> JobStatus {
    played.server.handle.read(|state: &State| state.job_status(&name(), WallTime(0)).unwrap()).await.unwrap()
}

async fn session_state(played: &Played) -> SessionState {
    played.server.handle.read(|state: &State| state.work.session_state(&name().session()).unwrap()).await.unwrap()
}

/// Pending, running, done and failed items of a kind.
async fn counts(played: &Played, kind: &str) -> [u64; 4] {
    let status = status(played).await;
    let stage = status.stages.into_iter().find(|stage| stage.kind.as_str() == kind).unwrap();
    [stage.pending, stage.running, stage.done, stage.failed]
}

/// Works until a dump of each unit is to be had.
async fn planned(spec: &str, units: &[&str]) -> Played {
    let played = Played::begin(spec).await;
    let survey = played.take().await.unwrap();
    played.server.handle.submit(done(&survey, &result("survey", units))).await.unwrap();
    for _ in units {
        let plan = played.take().await.unwrap();
        played.server.handle.submit(done(&plan, &result("plan", &[]))).await.unwrap();
    }
    played
}

async fn finish(played: &Played, grant: &Grant) {
    played.server.handle.submit(done(grant, &result(grant.body.id(), &[]))).await.unwrap();
}

fn pause(immediate: bool) -> JobCommand {
    JobCommand::Pause { job: name(), immediate, reason: "a look".into() }
}

fn resume() -> JobCommand {
    JobCommand::Resume { job: name() }
}

fn renewal(grant: &Grant, documents: u64, checkpoint: Option<&str>) -> Command {
    Command::Renew {
        session: grant.session.clone(),
        item: capstan_ids::ItemId::new(grant.body.id()).unwrap(),
        holder: Holder::Token(grant.token),
        progress: Some(capstan_work::Progress { documents, bytes: documents * 10 }),
        checkpoint: checkpoint.map(Into::into),
        lease: None,
    }
}

fn release(grant: &Grant) -> Command {
    Command::Release {
        session: grant.session.clone(),
        item: capstan_ids::ItemId::new(grant.body.id()).unwrap(),
        holder: Holder::Token(grant.token),
        progress: None,
        checkpoint: None,
    }
}

#[tokio::test]
async fn attempts_one_to_three_put_the_chunk_back_and_the_fourth_pauses_the_job() {
    let played = planned(PLAIN, &["orders"]).await;
    for attempt in 1..=4 {
        let dump = played.take().await.unwrap();
        assert_eq!(dump.attempt, attempt);
        played.server.handle.submit(fails(&dump, false)).await.unwrap();
        let expected = if attempt < 4 { [1, 0, 0, 0] } else { [0, 0, 0, 1] };
        assert_eq!(counts(&played, "dump").await, expected, "after attempt {attempt}");
    }
    assert_eq!(session_state(&played).await, SessionState::Paused);
    assert_eq!(played.end().await, None, "it waits for somebody");

    played.ask(resume()).await.unwrap();

    let revived = played.take().await.unwrap();
    assert_eq!(revived.attempt, 1, "resume revives failed chunks with fresh attempts");
    played.server.stop().await;
}

#[tokio::test]
async fn a_permanent_error_uses_up_its_attempts_at_once_and_the_same_policy_follows() {
    for (policy, state) in [
        ("pause", SessionState::Paused),
        ("skip", SessionState::CompletedWithFailures),
        ("fail", SessionState::Cancelled),
    ] {
        let spec = PLAIN.replace("\"backoff_ms\": 0", &format!(r#""on_exhausted": "{policy}""#));
        let mut played = planned(&spec, &["orders"]).await;
        let dump = played.take().await.unwrap();

        played.server.handle.submit(fails(&dump, true)).await.unwrap();
        played.work(&[]).await;

        assert_eq!(session_state(&played).await, state, "{policy}");
        let end = match policy {
            "pause" => None,
            "skip" => Some(End::CompletedWithFailures),
            _ => Some(End::Failed),
        };
        assert_eq!(played.end().await, end, "{policy}");
        played.server.stop().await;
    }
}

#[tokio::test]
async fn throttling_waits_longer_than_its_back_off() {
    let played = planned(PLAIN, &["orders"]).await;
    let dump = played.take().await.unwrap();
    let Command::Fail { session, item, holder, error, permanent, checkpoint, .. } = fails(&dump, false) else {
        panic!()
    };
    let retry_after = Some(Millis::secs(20));
    let throttled = Command::Fail { session, item, holder, error, permanent, checkpoint, retry_after };

    played.server.handle.submit(throttled).await.unwrap();

    assert!(played.take().await.is_none());
    assert_eq!(counts(&played, "dump").await, [1, 0, 0, 0], "it is pending all the same");
    played.server.pass(Millis::secs(19)).await;
    assert!(played.take().await.is_none());
    played.server.pass(Millis::secs(2)).await;
    assert_eq!(played.take().await.unwrap().attempt, 2);
    played.server.stop().await;
}

#[tokio::test]
async fn in_a_controlled_pause_running_chunks_finish_and_a_dump_that_finishes_does_not_start_its_restore() {
    let played = planned(PLAIN, &["orders", "users"]).await;
    let dump = played.take().await.unwrap();

    played.ask(pause(false)).await.unwrap();

    assert_eq!(session_state(&played).await, SessionState::Pausing);
    assert!(played.take().await.is_none(), "nothing new starts");
    assert!(!status(&played).await.idle, "it is not idle while something runs");
    played.server.handle.submit(renewal(&dump, 2, None)).await.unwrap();
    finish(&played, &dump).await;
    assert_eq!((counts(&played, "dump").await, counts(&played, "restore").await), ([1, 0, 1, 0], [1, 0, 0, 0]));
    assert!(played.take().await.is_none(), "nor does the restore of what has finished");
    assert_eq!(session_state(&played).await, SessionState::Paused);
    assert!(status(&played).await.idle);

    played.ask(resume()).await.unwrap();
    assert!(played.take().await.unwrap().body.id().starts_with("restore:"), "what is dumped is restored first");
    played.server.stop().await;
}

#[tokio::test]
async fn in_an_immediate_pause_holders_are_told_at_once_keep_their_checkpoint_and_no_attempt_is_counted() {
    let played = planned(PLAIN, &["orders"]).await;
    let dump = played.take().await.unwrap();
    played.server.handle.submit(renewal(&dump, 2, Some("two parts"))).await.unwrap();

    played.ask(pause(true)).await.unwrap();

    let told = played.server.handle.submit(renewal(&dump, 3, None)).await.unwrap_err();
    let revoked = matches!(&told, capstan_coordinator::Failure::Rejected(Rejection::LeaseRevoked { .. }));
    assert!(revoked, "{told}");
    played.server.handle.submit(release(&dump)).await.unwrap();
    played.ask(resume()).await.unwrap();
    let again = played.take().await.unwrap();
    assert_eq!((again.attempt, again.checkpoint.as_deref()), (1, Some("two parts")));
    played.server.stop().await;
}

#[tokio::test]
async fn a_worker_that_dies_costs_an_attempt_only_where_the_item_got_no_further() {
    let played = planned(PLAIN, &["orders"]).await;
    for (documents, attempt) in [(1, 1), (2, 1), (2, 2), (3, 2)] {
        let dump = played.take().await.unwrap();
        played.server.handle.submit(renewal(&dump, documents, None)).await.unwrap();
        played.server.pass(Millis(dump.lease.get() + 1_000)).await;
        let next = played.take().await.unwrap();
        assert_eq!(next.attempt, attempt, "after {documents} documents");
        played.server.handle.submit(release(&next)).await.unwrap();
    }
    played.server.stop().await;
}

#[tokio::test]
async fn on_resume_what_is_not_whole_in_the_spool_is_dumped_again_and_what_is_done_is_done() {
    let mut played = planned(PLAIN, &["orders"]).await;
    let dump = played.take().await.unwrap();
    finish(&played, &dump).await;
    played.ask(pause(false)).await.unwrap();
    played.ask(resume()).await.unwrap();
    let restore = played.take().await.unwrap();

    played.server.handle.submit(done(&restore, r#"{"missed": {"reason": "part 0 is cut short"}}"#)).await.unwrap();
    let again = played.take().await.unwrap();
    assert!(again.body.id().starts_with("dump:") && again.body.id().ends_with(".g1"), "{}", again.body.id());
    finish(&played, &again).await;
    let restore = played.take().await.unwrap();
    finish(&played, &restore).await;
    // It was recorded as done before anybody may remove its parts.
    let needed = |state: &State| state.jobs.parts_in_use(&name()).unwrap().count();
    assert_eq!(played.server.handle.read(needed).await.unwrap(), 0);

    played.work(&[]).await;
    assert_eq!((played.times("dump"), played.times("restore"), played.end().await), (0, 0, Some(End::Completed)));
    played.server.stop().await;
}

#[tokio::test]
async fn status_counts_each_stage_and_names_the_units_that_something_runs_of() {
    let played = planned(PLAIN, &["orders", "users"]).await;
    let (orders, users) = (played.take().await.unwrap(), played.take().await.unwrap());
    finish(&played, &orders).await;

    let status = status(&played).await;

    assert_eq!(counts(&played, "plan").await, [0, 0, 3, 0], "the survey and two plans");
    assert_eq!((counts(&played, "dump").await, counts(&played, "restore").await), ([0, 1, 1, 0], [1, 0, 0, 0]));
    assert_eq!(status.active_units.iter().map(ToString::to_string).collect::<Vec<_>>(), ["shop.users"]);
    let pool = status.pools.iter().find(|pool| pool.kind == Kind::new("restore").unwrap()).unwrap();
    assert_eq!((pool.running, pool.ready, status.idle), (0, 1, false));
    let look = move |state: &State| {
        let unit = users.body.id().split([':', '_']).nth(1).unwrap().parse().unwrap();
        state.chunk_item(&name(), unit, 0).map(|item| (item.state, item.attempts))
    };
    assert_eq!(played.server.handle.read(look).await.unwrap(), Some((ItemState::Assigned, 0)));
    played.server.stop().await;
}

#[tokio::test]
async fn cancel_frees_everything_that_the_job_held() {
    let mut played = planned(PLAIN, &["orders"]).await;
    let dump = played.take().await.unwrap();

    played.ask(JobCommand::Cancel { job: name(), drop_partial: false, reason: "enough".into() }).await.unwrap();
    played.server.handle.submit(release(&dump)).await.unwrap();
    played.work(&[]).await;

    assert_eq!((played.times("abandon"), played.end().await), (1, Some(End::Cancelled)));
    let live = |state: &State| state.work.limits().iter().map(|limit| limit.live).sum::<u32>();
    assert_eq!(played.server.handle.read(live).await.unwrap(), 0, "no slot leaks");
    played.server.stop().await;
}
