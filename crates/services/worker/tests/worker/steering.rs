//! Attempts, back-off, patience, slots and rates.

use crate::flaky::{Flaky, Way};
use crate::gate::Gate;
use crate::stage::Stage;
use crate::through::through;
use capstan_coordinator::State;
use capstan_endpoint::Adapters;
use capstan_migration::{JobCommand, Rates, ReportState};
use capstan_worker::Options;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn flaky(options: Options, flaky: &Flaky) -> Options {
    Options { slots: 1, adapters: Adapters::of_files().with(through(flaky.clone())), ..options }
}

/// The first item of a job that reports an error: its attempts, and the error.
async fn first_error(stage: &Stage, job: &capstan_migration::JobName, attempts: u32) -> String {
    let session = job.session();
    let found = move |state: &State| {
        let mut items = state.work.items_from(&session, 0)?;
        items.find_map(|item| item.last_error.filter(|_| item.attempts == attempts))
    };
    stage.until("the error", found).await.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_throttles_is_tried_again_when_it_says() {
    let stage = Stage::new();
    stage.write_dump(100);
    let source = Flaky::reads(Way::Throttles, 3);
    let worker = stage.employ(flaky(stage.options("alice"), &source));

    let job =
        stage.submit(&stage.spec("mode = 'direct'\nchunks = { documents = 1000 }\nretry = { backoff_ms = 0 }")).await;
    let report = stage.ended(&job).await;

    assert_eq!((report.state, source.failed.load(Ordering::SeqCst)), (ReportState::Completed, 3), "{report:#?}");
    assert_eq!(stage.files("to"), stage.files("from"));
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_dies_in_the_middle_and_comes_back_ends_in_the_same_bytes() {
    for mode in ["direct", "dump-and-restore"] {
        let stage = Stage::new();
        stage.write_dump(3_000);
        let target = Flaky::writes(Way::Away, 2, 3);
        let worker = stage.employ(flaky(stage.options("alice"), &target));

        let more = format!("mode = '{mode}'\nchunks = {{ documents = 100000 }}\nretry = {{ backoff_ms = 1 }}");
        let job = stage.submit(&stage.spec(&more)).await;
        let report = stage.ended(&job).await;

        assert_eq!((report.state, target.failed.load(Ordering::SeqCst)), (ReportState::Completed, 3), "{report:#?}");
        assert_eq!(stage.files("to"), stage.files("from"), "{mode}");
        worker.dismiss().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_tried_exactly_four_times() {
    let stage = Stage::new();
    stage.write_dump(100);
    let source = Flaky::reads(Way::Away, u64::MAX);
    let worker = stage.employ(flaky(stage.options("alice"), &source));

    let more = "include = ['shop.users']\nmode = 'direct'\nretry = { backoff_ms = 1 }";
    let job = stage.submit(&stage.spec(more)).await;
    let error = first_error(&stage, &job, 4).await;
    let session = job.session();
    let paused = move |state: &State| (state.work.session(&session)?.state.name() == "paused").then_some(());
    stage.until("the pause", paused).await;

    assert!(error.contains("nobody answers"), "{error}");
    assert_eq!(source.failed.load(Ordering::SeqCst), 4);
    source.reads_failing.store(0, Ordering::SeqCst);
    stage.command(JobCommand::Resume { job: job.clone() }).await;
    assert_eq!(stage.ended(&job).await.state, ReportState::Completed);
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_gives_nothing_fails_its_item_and_is_tried_again() {
    let stage = Stage::new();
    stage.write_dump(100);
    let gate = Gate::after(0);
    let adapters = Adapters::of_files().with(through(gate.clone()));
    let patience = Duration::from_millis(100);
    let worker = stage.employ(Options { slots: 1, adapters, stall_after: patience, ..stage.options("alice") });

    let job = stage.submit(&stage.spec("mode = 'direct'\nverify = 'none'\nretry = { backoff_ms = 1 }")).await;
    let error = first_error(&stage, &job, 1).await;
    gate.open();

    assert!(error.contains("nothing came of it"), "{error}");
    assert_eq!(stage.ended(&job).await.state, ReportState::Completed);
    assert_eq!(stage.files("to"), stage.files("from"));
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_grows_takes_more_at_once_and_one_that_shrinks_takes_no_more() {
    let stage = Stage::new();
    stage.write_dump(6_000);
    let gate = Gate::after(0);
    let adapters = Adapters::of_files().with(through(gate.clone()));
    let mut worker = stage.employ(Options { slots: 1, adapters, ..stage.options("alice") });
    let job = stage.submit(&stage.spec("mode = 'direct'\nverify = 'none'\npools = { restore = 64 }")).await;

    worker.until("one", |activity| activity.running.len() == 1).await;
    gate.reached().await;
    worker.worker.resize(5);
    worker.until("five", |activity| activity.running.len() == 5).await;
    worker.worker.resize(2);
    let mut seen = worker.activity.clone();
    let most = tokio::spawn(async move {
        // Never more than before, and never more than two once there were two.
        let mut limit = 5;
        while seen.changed().await.is_ok() {
            let running = seen.borrow_and_update().running.len();
            assert!(running <= limit, "{running} run where {limit} may");
            limit = running.clamp(2, limit);
        }
        limit
    });
    gate.open();

    assert_eq!(stage.ended(&job).await.state, ReportState::Completed);
    worker.dismiss().await;
    assert_eq!(most.await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_resized_under_load_is_never_exceeded() {
    let stage = Stage::new();
    stage.write_dump(9_000);
    let worker = stage.employ(Options { slots: 16, ..stage.options("alice") });
    let job = stage
        .submit(&stage.spec("mode = 'direct'\nverify = 'none'\npools = { restore = 2 }\nchunks = { documents = 60 }"))
        .await;
    let handle = stage.line.handle();
    let mut changes = handle.watch(None, None).await.unwrap();
    let mut sizes = [7, 1, 12, 3, 1, 9, 2].into_iter().cycle();
    let (mut bound, mut looks, mut resized) = (2, 0_u32, 0_u32);
    loop {
        let at_once = {
            let (job, session) = (job.clone(), job.session());
            stage.look(move |state| {
                let items = state.work.items_from(&session, 0).into_iter().flatten();
                let held = |item: &capstan_work::ItemView| item.state.name() == "assigned";
                let live = items.filter(|item| held(item) && item.body.id().starts_with("copy:")).count();
                let view = state.work.session(&session).unwrap();
                let most =
                    view.limits.iter().find(|limit| limit.name.as_str() == "restore").and_then(|limit| limit.most);
                (
                    live,
                    most.map(|most| most.get() as usize),
                    state.jobs.job(&job).is_some_and(|job| job.ended.is_some()),
                )
            })
        };
        let (live, most, ended) = at_once.await;
        if ended {
            break;
        }
        // Shrinking revokes nothing: what ran then may run on, and beyond that nothing is granted.
        let most = most.expect("the pool has a size");
        assert!(live <= bound.max(most), "{live} leases where {most} may be, and {bound} were");
        bound = live.max(most);
        looks += 1;
        if looks % 20 == 0 {
            let kind = capstan_ids::Kind::new("restore").unwrap();
            stage.command(JobCommand::SetPool { job: job.clone(), kind, size: sizes.next() }).await;
            resized += 1;
        }
        changes.next().await.unwrap();
    }

    assert!(resized > 5, "{resized} times");
    assert_eq!(stage.files("to"), stage.files("from"));
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_keeps_its_rate_and_takes_another_while_it_runs() {
    let stage = Stage::new();
    stage.write_dump(2_000);
    let worker = stage.employ(stage.options("alice"));

    let began = Instant::now();
    let more = "mode = 'direct'\nverify = 'none'\nrates = { documents = 500 }\nchunks = { documents = 200 }";
    let job = stage.submit(&stage.spec(more)).await;
    assert_eq!(stage.ended(&job).await.state, ReportState::Completed);
    // At 500 a second 2,010 documents take four; while a second worker begins, the first may have had all of it.
    assert!(began.elapsed() > Duration::from_millis(2_500), "{:?}", began.elapsed());

    let slow = "mode = 'direct'\nverify = 'none'\nrates = { documents = 1 }\nwrite = 'overwrite'";
    let job = stage.submit(&stage.spec(slow)).await;
    stage.until_job(&job, "the plans", |view| view.units_planned == 2).await;
    stage.command(JobCommand::SetRates { job: job.clone(), rates: Rates::default() }).await;
    assert_eq!(stage.ended(&job).await.state, ReportState::Completed, "half an hour at the old rate");
    worker.dismiss().await;
}
