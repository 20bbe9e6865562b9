//! Jobs that meet what can go wrong, and end in the same bytes.

use crate::gate::Gate;
use crate::picky::Picky;
use crate::stage::Stage;
use crate::through::through;
use capstan_coordinator::State;
use capstan_endpoint::Adapters;
use capstan_ids::{ItemId, Kind};
use capstan_migration::{JobCommand, JobName, ReportState};
use capstan_worker::Options;
use std::fs;
use std::time::Duration;

/// Longer than a job's leases.
const AGES: Duration = Duration::from_secs(40);

fn gated(options: Options, gate: &Gate) -> Options {
    Options { slots: 1, adapters: Adapters::of_files().with(through(gate.clone())), ..options }
}

/// One large chunk, so that whoever works on it is in the middle of it.
async fn one_large_chunk(stage: &Stage, mode: &str) -> JobName {
    stage.write_dump(20_000);
    stage.submit(&stage.spec(&format!("mode = '{mode}'\nchunks = {{ documents = 1000000 }}\nverify = 'none'"))).await
}

async fn completes(stage: &Stage, job: &JobName) {
    let report = stage.ended(job).await;
    assert_eq!((report.state, report.documents), (ReportState::Completed, 20_010), "{report:#?}");
    assert_eq!(stage.files("to"), stage.files("from"));
}

/// Attempts that the job's items have used up.
async fn attempts(stage: &Stage, job: &JobName) -> u32 {
    let session = job.session();
    let sum =
        stage.look(move |state| state.work.items_from(&session, 0).unwrap().map(|item| item.attempts).sum::<u32>());
    sum.await
}

#[test]
fn a_worker_killed_in_the_middle_of_a_chunk_is_gone_on_from_by_another() {
    for mode in ["dump-and-restore", "direct"] {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let doomed = tokio::runtime::Runtime::new().unwrap();
        let stage = runtime.block_on(async { Stage::new() });
        let job = runtime.block_on(one_large_chunk(&stage, mode));
        let gate = Gate::after(12);
        let victim = doomed.block_on(async { stage.employ(gated(stage.options("victim"), &gate)) });
        runtime.block_on(gate.reached());
        let reached = victim.activity.borrow().running.values().next().unwrap().progress;

        doomed.shutdown_background();
        stage.pass(AGES);

        runtime.block_on(async {
            let heir = stage.employ(stage.options("heir"));
            completes(&stage, &job).await;
            let totals = heir.activity.borrow().totals.clone();
            let kind = Kind::new(if mode == "direct" { "restore" } else { "dump" }).unwrap();
            let written = totals[&kind].done.documents;
            assert!(reached.documents > 0 && written < 20_010, "{mode}: it went on, and wrote {written} documents");
            assert_eq!(attempts(&stage, &job).await, 0, "{mode}: progress was made, so no attempt was counted");
            heir.dismiss().await;
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_lease_is_lost_is_ended_and_writes_nothing_more() {
    let stage = Stage::new();
    let job = one_large_chunk(&stage, "dump-and-restore").await;
    let gate = Gate::after(12);
    let mut late = stage.employ(gated(stage.options("late"), &gate));
    gate.reached().await;
    let token = *late.activity.borrow().running.keys().next().unwrap();

    stage.pass(AGES);
    let heir = stage.employ(stage.options("heir"));
    late.until("the end of the late task", |activity| !activity.running.contains_key(&token)).await;
    gate.dropped().await;
    gate.open();
    completes(&stage, &job).await;

    let sealed_late =
        stage.spooled().iter().filter(|part| part.display().to_string().contains(&format!(".t{token}."))).count();
    assert_eq!(sealed_late, 0, "the sweep took what the late worker had left");
    late.dismiss().await;
    heir.dismiss().await;
    assert_eq!(stage.files("to"), stage.files("from"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immediate_pause_ends_tasks_at_once_and_resume_goes_on_from_their_checkpoints() {
    let stage = Stage::new();
    let job = one_large_chunk(&stage, "dump-and-restore").await;
    let gate = Gate::after(12);
    let worker = stage.employ(gated(stage.options("alice"), &gate));
    gate.reached().await;

    stage.command(JobCommand::Pause { job: job.clone(), immediate: true, reason: "a test".into() }).await;
    gate.dropped().await;
    let session = job.session();
    stage.until("the pause", move |state| (state.work.session(&session)?.state.name() == "paused").then_some(())).await;

    assert_eq!(attempts(&stage, &job).await, 0);
    gate.open();
    stage.command(JobCommand::Resume { job: job.clone() }).await;
    completes(&stage, &job).await;
    let dumped = worker.activity.borrow().totals[&Kind::new("dump").unwrap()];
    assert!(dumped.returned >= 1 && dumped.failed == 0, "{dumped:?}");
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_gives_its_items_back_without_an_attempt() {
    let stage = Stage::new();
    let job = one_large_chunk(&stage, "dump-and-restore").await;
    let gate = Gate::after(12);
    let patience = Duration::from_millis(100);
    let worker = stage.employ(Options { grace: patience, ..gated(stage.options("alice"), &gate) });
    gate.reached().await;
    let item = worker.activity.borrow().running.values().next().unwrap().holding.clone();

    worker.dismiss().await;

    let view = stage.look(move |state| state.work.item(&item.session, &item.item)).await.unwrap();
    assert_eq!((view.state.name(), view.attempts), ("pending", 0));
    assert!(view.checkpoint.is_some_and(|checkpoint| checkpoint.contains("cursor")), "what was sealed is remembered");
    let other = stage.employ(stage.options("bob"));
    completes(&stage, &job).await;
    other.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_part_is_dumped_again_under_a_new_generation() {
    type Harm = fn(&std::path::Path);
    let harms: [(&str, Harm); 3] = [
        ("missing", |part| fs::remove_file(part).unwrap()),
        ("cut short", |part| {
            let bytes = fs::read(part).unwrap();
            fs::write(part, &bytes[..bytes.len() - 9]).unwrap();
        }),
        ("flipped", |part| {
            let mut bytes = fs::read(part).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(part, bytes).unwrap();
        }),
    ];
    for (name, harm) in harms {
        let stage = Stage::new();
        let job = one_large_chunk(&stage, "dump-and-restore").await;
        let kinds = ["plan", "dump"].map(|kind| Kind::new(kind).unwrap()).into();
        let dumper = stage.employ(Options { kinds, ..stage.options("dumper") });
        stage
            .until_job(&job, "all dumps", |view| {
                view.chunks > 1 && view.chunks_dumped == view.chunks && view.units_planned == 2
            })
            .await;
        let parts = stage.spooled();
        assert!(parts.len() > 3, "{parts:?}");
        harm(&parts[parts.len() / 2]);

        let worker = stage.employ(stage.options("alice"));
        completes(&stage, &job).await;

        let again = stage.look(move |state| {
            let units: Vec<_> = state.jobs.units(&job).unwrap().map(|unit| unit.id).collect();
            let chunks = units.iter().flat_map(|unit| state.jobs.chunks(&job, *unit).unwrap());
            chunks
                .filter(|chunk| chunk.generation > 0)
                .map(|chunk| (chunk.generation, chunk.missed.is_some()))
                .collect::<Vec<_>>()
        });
        assert_eq!(again.await, [(1, true)], "{name}");
        dumper.dismiss().await;
        worker.dismiss().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_panics_fails_its_own_item_and_is_tried_again() {
    let stage = Stage::new();
    let job = one_large_chunk(&stage, "direct").await;
    let worker = stage.employ(gated(stage.options("alice"), &Gate::that_panics_once()));

    let session = job.session();
    let first_error = move |state: &State| {
        let mut items = state.work.items_from(&session, 0)?;
        items.find_map(|item| item.last_error.map(|error| (error, item.attempts)))
    };
    let (error, attempts) = stage.until("the failure", first_error).await;
    completes(&stage, &job).await;

    assert_eq!((&*error, attempts), ("the task panicked: at the gate", 1));
    let totals = worker.activity.borrow().totals[&Kind::new("restore").unwrap()];
    assert_eq!((totals.failed, totals.completed), (1, 2));
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_holds_dumping_back_without_an_attempt() {
    let stage = Stage::new();
    let job = one_large_chunk(&stage, "dump-and-restore").await;
    let mut worker = stage.employ(Options { spool_reserve: u64::MAX, ..stage.options("alice") });

    worker.until("the hold", |activity| activity.hold.is_some()).await;

    assert_eq!(attempts(&stage, &job).await, 0);
    let reason = worker.activity.borrow().hold.clone().unwrap();
    assert!(reason.contains("bytes of room"), "{reason}");
    let other = stage.employ(stage.options("bob"));
    completes(&stage, &job).await;
    worker.dismiss().await;
    other.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_starts_again_costs_its_workers_nothing() {
    let mut stage = Stage::new();
    let job = one_large_chunk(&stage, "dump-and-restore").await;
    let gate = Gate::after(12);
    let worker = stage.employ(gated(stage.options("alice"), &gate));
    gate.reached().await;

    stage.stop().await;
    gate.open();
    stage.start();

    completes(&stage, &job).await;
    assert_eq!(attempts(&stage, &job).await, 0);
    let dumped = worker.activity.borrow().totals[&Kind::new("dump").unwrap()];
    assert_eq!((dumped.completed, dumped.returned, dumped.failed), (2, 0, 0));
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_leaves_nothing_in_the_spool() {
    let stage = Stage::new();
    let job = one_large_chunk(&stage, "dump-and-restore").await;
    let gate = Gate::after(12);
    let worker = stage.employ(gated(stage.options("alice"), &gate));
    gate.reached().await;
    assert!(!stage.spooled().is_empty());

    stage.command(JobCommand::Cancel { job: job.clone(), drop_partial: true, reason: "a test".into() }).await;
    let report = stage.ended(&job).await;

    assert_eq!(report.state, ReportState::Cancelled);
    let (session, abandon) = (job.session(), ItemId::new("abandon").unwrap());
    let done = move |state: &State| (state.work.item(&session, &abandon)?.state.name() == "completed").then_some(());
    stage.until("the tidying", done).await;
    assert_eq!(stage.spooled(), Vec::<std::path::PathBuf>::new());
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_the_target_refuses_are_put_aside_counted_and_reported() {
    for (mode, allowed, state) in [
        ("dump-and-restore", 0, ReportState::CompletedWithFailures),
        ("direct", 0, ReportState::CompletedWithFailures),
        ("direct", 2, ReportState::Completed),
    ] {
        let stage = Stage::new();
        stage.write_dump(100);
        let adapters = Adapters::of_files().with(through(Picky("order 77 ")));
        let worker = stage.employ(Options { adapters, ..stage.options("alice") });

        let more = format!("mode = '{mode}'\nallow_dead_letters = {allowed}");
        let job = stage.submit(&stage.spec(&more)).await;
        let report = stage.ended(&job).await;

        assert_eq!((report.state, report.documents, report.dead_letters), (state, 109, 1), "{mode}: {report:#?}");
        assert_eq!((report.verified.missing, report.verified.extra), (1, 0), "{mode}: what was refused is missing");
        let folder = stage.path("dead").join(job.as_str());
        let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{mode}");
        let letters = fs::read_to_string(&files[0]).unwrap();
        let expected =
            r#"{"collection":"shop.orders","reason":"not to my taste","_id":{"$numberInt":"77"},"document":{"_id":"#;
        assert!(letters.starts_with(expected) && letters.lines().count() == 1, "{mode}: {letters}");
        let mut aside = report.by_unit.iter().flat_map(|unit| &unit.set_aside);
        let listed = aside.find(|aside| *aside.what == *files[0].display().to_string());
        assert!(listed.is_some_and(|aside| aside.reason.starts_with("1 documents")), "{mode}: {report:#?}");
        worker.dismiss().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_not_there_pauses_the_job_with_the_reason() {
    let stage = Stage::new();
    let worker = stage.employ(stage.options("alice"));

    let missing = stage.path("nowhere");
    let job = stage.submit(&stage.spec(&format!("from = 'dump:{}'", missing.display()))).await;
    let session = job.session();
    let paused = move |state: &State| {
        let view = state.work.session(&session)?;
        (view.state.name() == "paused").then_some(view.reason.unwrap_or_default())
    };
    let reason = stage.until("the pause", paused).await;

    assert!(reason.contains("nowhere"), "{reason}");
    // The worker counts once it is answered, which is after the job has paused.
    let plan = Kind::new("plan").unwrap();
    let mut activity = worker.activity.clone();
    let counted = activity.wait_for(|seen| seen.totals.contains_key(&plan)).await.unwrap().totals[&plan];
    assert_eq!(counted.failed, 1, "it was tried once");
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_another_spool_never_takes_absence_for_loss() {
    let stage = Stage::new();
    let job = one_large_chunk(&stage, "dump-and-restore").await;
    let kinds = ["plan", "dump"].map(|kind| Kind::new(kind).unwrap()).into();
    let dumper = stage.employ(Options { kinds, ..stage.options("dumper") });
    stage.until_job(&job, "all dumps", |view| view.units_planned == 2 && view.chunks_dumped == view.chunks).await;
    dumper.dismiss().await;

    let elsewhere = Some(format!("file:{}", stage.path("elsewhere").display()));
    let mut stranger = stage.employ(Options { spool: elsewhere, ..stage.options("stranger") });
    stranger.until("the stranger's word", |activity| activity.elsewhere.is_some()).await;
    let reason = stranger.activity.borrow().elsewhere.clone().unwrap();
    assert!(reason.contains("marker"), "{reason}");
    stranger.until("the return", |activity| activity.running.is_empty()).await;
    assert_eq!(attempts(&stage, &job).await, 0, "nothing was tried");

    let worker = stage.employ(stage.options("alice"));
    completes(&stage, &job).await;
    assert!(!stranger.activity.borrow().totals.values().any(|totals| totals.failed > 0));
    stranger.dismiss().await;
    let view = stage.until_job(&job, "the end", |view| view.ended.is_some()).await;
    assert_eq!(view.dead_letters, 0);
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_another_spool_keeps_a_worker_from_no_other_job() {
    let stage = Stage::new();
    let theirs = one_large_chunk(&stage, "dump-and-restore").await;
    let kinds = ["plan", "dump"].map(|kind| Kind::new(kind).unwrap()).into();
    let dumper = stage.employ(Options { kinds, ..stage.options("dumper") });
    stage.until_job(&theirs, "all dumps", |view| view.units_planned == 2 && view.chunks_dumped == view.chunks).await;
    dumper.dismiss().await;
    let elsewhere = Some(format!("file:{}", stage.path("elsewhere").display()));
    let mut stranger = stage.employ(Options { spool: elsewhere, ..stage.options("stranger") });
    stranger.until("the stranger's word", |activity| activity.elsewhere.is_some()).await;

    let to = format!("to = 'dump:{}'\nchunks = {{ documents = 1000 }}", stage.path("ours").display());
    let began = std::time::Instant::now();
    let ours = stage.submit(&stage.spec(&to)).await;
    let report = stage.ended(&ours).await;

    assert_eq!((report.state, report.documents), (ReportState::Completed, 20_010), "{report:#?}");
    // Kinds that were held back for every job would have waited 10 s, again and again.
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert_eq!(attempts(&stage, &theirs).await, 0, "nothing of the other job was tried");
    stranger.dismiss().await;
}
