//! What each mode of a job leaves behind, and what it leaves alone.

use crate::stage::Stage;
use capstan_migration::{JobName, ReportState, Verify};
use std::fs;
use std::path::PathBuf;

/// A dump of that name, kept in the stage's spool.
async fn kept(stage: &Stage, name: &str) -> JobName {
    let name = JobName::new(name).unwrap();
    let job = stage.submit_as(&name, &stage.spec("mode = 'dump-only'\nto = ''")).await;
    let report = stage.ended(&job).await;
    assert_eq!(report.state, ReportState::Completed, "{report:#?}");
    job
}

fn restore(stage: &Stage, to: &str, more: &str) -> String {
    stage.spec(&format!("mode = 'restore-only'\nfrom = ''\nto = 'dump:{}'\n{more}", stage.path(to).display()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_plans_everything_and_writes_nothing() {
    for to in [true, false] {
        let stage = Stage::new();
        stage.write_dump(2_000);
        let worker = stage.employ(stage.options("alice"));

        let more = if to { "mode = 'simulate'" } else { "mode = 'simulate'\nto = ''" };
        let job = stage.submit(&stage.spec(more)).await;
        let report = stage.ended(&job).await;

        assert_eq!((report.state, report.documents), (ReportState::Completed, 0), "{report:#?}");
        let planned = report.planned.unwrap();
        let size: u64 = stage.files("from").values().map(|bytes| bytes.len() as u64).sum();
        assert_eq!(planned.bytes, size, "{planned:?}");
        assert!(!stage.path("to").exists() && !stage.path("spool").exists(), "nothing was made");
        worker.dismiss().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_refuses_what_the_run_would_refuse() {
    let stage = Stage::new();
    stage.write_dump(20);
    fs::create_dir_all(stage.path("to/shop")).unwrap();
    fs::copy(stage.path("from/shop/users.bson"), stage.path("to/shop/users.bson")).unwrap();
    let worker = stage.employ(stage.options("alice"));

    let job = stage.submit(&stage.spec("mode = 'simulate'")).await;
    let report = stage.ended(&job).await;

    assert_eq!(report.state, ReportState::Failed);
    assert_eq!(&*report.refused[0].what, "shop.users");
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_dump_is_proved_and_restored_as_often_as_wanted() {
    let stage = Stage::new();
    stage.write_dump(2_000);
    let worker = stage.employ(stage.options("alice"));

    let dump = kept(&stage, "nightly").await;
    let report = stage.ended(&dump).await;
    assert_eq!((report.documents, report.verified.mode, report.verified.missing), (2_010, Verify::Hash, 0));
    let spooled = stage.spooled();
    assert!(!stage.path("to").exists());
    fs::rename(stage.path("from"), stage.path("gone")).unwrap();

    for (to, more) in [("once", ""), ("twice", "dump = 'nightly'")] {
        let job = stage.submit(&restore(&stage, to, more)).await;
        let report = stage.ended(&job).await;
        assert_eq!((report.state, report.documents), (ReportState::Completed, 2_010), "{report:#?}");
        assert_eq!((report.verified.mode, report.verified.missing), (Verify::Hash, 0));
        assert_eq!(stage.files(to), stage.files("gone"));
        assert_eq!(stage.spooled(), spooled, "the dump is as it was");
    }
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn which_dump_is_meant_must_be_clear() {
    let stage = Stage::new();
    stage.write_dump(20);
    let worker = stage.employ(stage.options("alice"));
    let refused = async |more: &str| {
        let job = stage.submit(&restore(&stage, "to", more)).await;
        let report = stage.ended(&job).await;
        assert_eq!(report.state, ReportState::Failed);
        format!("{}: {}", report.refused[0].what, report.refused[0].reason)
    };

    let none = refused("").await;
    kept(&stage, "one").await;
    kept(&stage, "two").await;
    let several = refused("write = 'overwrite'").await;
    let unknown = refused("dump = 'three'").await;

    assert!(none.contains("keeps no dump"), "{none}");
    assert!(several.contains("one, two"), "{several}");
    assert!(unknown.starts_with("three: ") && unknown.contains("one, two"), "{unknown}");
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_dump_is_restored_but_for_the_chunk_whose_part_is_named() {
    let stage = Stage::new();
    stage.write_dump(2_000);
    let worker = stage.employ(stage.options("alice"));
    kept(&stage, "nightly").await;
    let parts: Vec<PathBuf> = stage.spooled().into_iter().filter(|part| !is_catalogue(part)).collect();
    let victim = &parts[parts.len() / 2];
    let mut bytes = fs::read(victim).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(victim, bytes).unwrap();

    let job = stage.submit(&restore(&stage, "to", "retry = { on_exhausted = 'skip' }")).await;
    let session = job.session();
    let failed = move |state: &capstan_coordinator::State| {
        let mut items = state.work.items_from(&session, 0)?;
        let item = items.find(|item| item.state.name() == "failed")?;
        Some((item.body.id().to_string(), item.attempts, item.last_error.unwrap_or_default()))
    };
    let (item, attempts, error) = stage.until("the failure", failed).await;
    let report = stage.ended(&job).await;

    let name = victim.file_stem().unwrap().to_str().unwrap();
    assert!(item.starts_with("copy:") && error.contains(name) && error.contains("damaged"), "{item}: {error}");
    assert_eq!(attempts, 1, "trying again is of no use");
    assert_eq!(report.state, ReportState::CompletedWithFailures, "{report:#?}");
    worker.dismiss().await;
}

fn is_catalogue(part: &std::path::Path) -> bool {
    let name = part.file_name().unwrap().to_str().unwrap();
    name.starts_with("catalogue_") || name.starts_with("head")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_changed_in_any_byte_is_refused() {
    let stage = Stage::new();
    stage.write_dump(20);
    let worker = stage.employ(stage.options("alice"));
    kept(&stage, "nightly").await;
    let parts: Vec<PathBuf> = stage.spooled().into_iter().filter(|part| is_catalogue(part)).collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
    let pointer = parts.iter().position(|part| part.file_name().unwrap().to_str().unwrap().starts_with("head"));
    worker.dismiss().await;

    for (number, part) in parts.iter().enumerate().filter(|(number, _)| Some(*number) != pointer) {
        let whole = fs::read(part).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let worker = stage.employ(stage.options(&format!("alice-{number}-{at}")));
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(part, bytes).unwrap();
            let job = stage.submit(&restore(&stage, &format!("to-{number}-{at}"), "")).await;
            let session = job.session();
            let paused = move |state: &capstan_coordinator::State| {
                let view = state.work.session(&session)?;
                (view.state.name() == "paused").then_some(view.reason.unwrap_or_default())
            };
            let reason = stage.until("the pause", paused).await;
            assert!(reason.contains("catalogue"), "{reason}");
            worker.dismiss().await;
        }
        fs::write(part, whole).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dumps_by_one_name_leave_the_later_one() {
    let stage = Stage::new();
    stage.write_dump(100);
    let worker = stage.employ(stage.options("alice"));
    let first = kept(&stage, "nightly").await;
    let before = stage.spooled();
    stage.command(capstan_migration::JobCommand::Forget { job: first }).await;
    stage.write_dump(200);

    kept(&stage, "nightly").await;
    let job = stage.submit(&restore(&stage, "to", "")).await;
    stage.ended(&job).await;

    assert_eq!(stage.files("to"), stage.files("from"));
    assert!(stage.spooled().iter().all(|part| !before.contains(part)), "the earlier one is gone");
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_finds_what_was_planted_and_touches_nothing() {
    let stage = Stage::new();
    stage.write_dump(1_000);
    let copy = stage.spoiled_copy();
    let before = stage.files("to");
    let worker = stage.employ(stage.options("alice"));

    let job = stage.submit(&stage.spec("mode = 'verify'")).await;
    let report = stage.ended(&job).await;

    let found = (report.verified.missing, report.verified.extra, report.verified.different);
    assert_eq!(found, (copy.missing, copy.extra, copy.different), "{report:#?}");
    assert_eq!(report.state, ReportState::CompletedWithFailures);
    assert!(report.set_aside.iter().any(|aside| aside.reason.starts_with("only at the target")), "{report:#?}");
    assert_eq!(
        (report.documents, report.verified.reordered),
        (1_010, 1),
        "what was compared, and what only changed places"
    );
    assert!(report.by_unit[0].examples.iter().any(|found| found.reason.contains("order of fields")), "{report:#?}");
    assert!(stage.files("to") == before, "nothing was written");
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_in_another_order_are_equal_to_a_job_that_says_so_and_are_not_mended() {
    let stage = Stage::new();
    stage.write_dump(1_000);
    let copy = stage.spoiled_copy();
    let worker = stage.employ(stage.mending("alice"));

    let job = stage.submit(&stage.spec("mode = 'verify'\nrepair = true\nignore_field_order = true")).await;
    let report = stage.ended(&job).await;

    let found = (report.verified.missing, report.verified.different, report.verified.reordered);
    assert_eq!(found, (copy.missing, copy.different - 1, 0), "{report:#?}");
    assert!(report.verified.field_order_ignored);
    let (expected, found) = (stage.sorted("from", "shop/orders.bson"), stage.sorted("to", "shop/orders.bson"));
    assert_eq!(expected.iter().filter(|document| !found.contains(document)).count(), 1, "the one in another order");
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_of_equal_sides_is_a_proof() {
    let stage = Stage::new();
    stage.write_dump(1_000);
    stage.copy_dump();
    let worker = stage.employ(stage.options("alice"));

    let job = stage.submit(&stage.spec("mode = 'verify'")).await;
    let report = stage.ended(&job).await;

    let found = (report.verified.missing, report.verified.extra, report.verified.different);
    assert_eq!((report.state, found, report.units), (ReportState::Completed, (0, 0, 0), 2), "{report:#?}");
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repair_makes_the_target_equal_and_says_what_it_did() {
    for delete_extra in [true, false] {
        let stage = Stage::new();
        stage.write_dump(1_000);
        let copy = stage.spoiled_copy();
        let worker = stage.employ(stage.mending("alice"));

        let job =
            stage.submit(&stage.spec(&format!("mode = 'verify'\nrepair = true\ndelete_extra = {delete_extra}"))).await;
        let report = stage.ended(&job).await;

        let verified = &report.verified;
        assert_eq!((verified.missing, verified.different), (copy.missing, copy.different), "{report:#?}");
        let left = if delete_extra { 0 } else { copy.extra_in_units };
        assert_eq!(verified.repaired, copy.missing + copy.different + copy.extra_in_units - left, "{report:#?}");
        let (expected, found) = (stage.sorted("from", "shop/orders.bson"), stage.sorted("to", "shop/orders.bson"));
        assert_eq!(found.len() as u64, expected.len() as u64 + left);
        assert!(expected.iter().all(|document| found.contains(document)));
        worker.dismiss().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_mended_is_refused_before_anything_is_read() {
    let stage = Stage::new();
    stage.write_dump(20);
    stage.copy_dump();
    let worker = stage.employ(stage.options("alice"));

    let job = stage.submit(&stage.spec("mode = 'verify'\nrepair = true")).await;
    let report = stage.ended(&job).await;

    assert_eq!(report.state, ReportState::Failed);
    assert!(report.refused[0].reason.contains("leave `repair` out"), "{:?}", report.refused);
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_a_collection_that_is_renamed_is_set_aside_for_people() {
    let stage = Stage::new();
    stage.write_dump(20);
    let view = r#"{"options":{"viewOn":"orders","pipeline":[]},"indexes":[],"type":"view","collectionName":"large"}"#;
    fs::write(stage.path("from/shop/large.metadata.json"), view).unwrap();
    let worker = stage.employ(stage.options("alice"));

    for (renames, noted) in [("orders', to = 'shop.sales", 1), ("*', to = 'store.*", 0)] {
        let renames = format!("renames = [{{ from = 'shop.{renames}' }}]");
        let job = stage.submit(&stage.spec(&format!("mode = 'simulate'\n{renames}"))).await;
        let report = stage.ended(&job).await;
        let aside: Vec<_> = report.set_aside.iter().filter(|aside| aside.reason.contains("looks at")).collect();
        assert_eq!(aside.len(), noted, "{renames}: {report:#?}");
    }
    worker.dismiss().await;
}
