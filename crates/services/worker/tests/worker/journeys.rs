//! Jobs that go as they should.

use crate::stage::{Stage, data_files};
use capstan_migration::{ReportState, Verify};
use capstan_testkit::{shared_data, skipped};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_becomes_the_same_dump_elsewhere() {
    for mode in ["dump-and-restore", "direct"] {
        let stage = Stage::new();
        stage.write_dump(2_000);
        let worker = stage.employ(stage.options("alice"));

        let job = stage.submit(&stage.spec(&format!("mode = '{mode}'"))).await;
        let report = stage.ended(&job).await;

        assert_eq!((report.state, report.documents, report.dead_letters), (ReportState::Completed, 2_010, 0), "{mode}");
        assert!(report.chunks >= 7, "{mode}: {} chunks", report.chunks);
        assert_eq!((report.verified.mode, report.verified.missing), (Verify::Hash, 0), "{mode}");
        assert_eq!(stage.files("to"), stage.files("from"), "{mode}");
        assert_eq!(stage.spooled(), Vec::<std::path::PathBuf>::new(), "{mode}: nothing stays in the spool");
        worker.dismiss().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_are_chosen_and_renamed_on_their_way() {
    let stage = Stage::new();
    stage.write_dump(50);
    let worker = stage.employ(stage.options("alice"));

    let more = "exclude = ['*.users']\nrenames = [{ from = 'shop.*', to = 'store.old_*' }]\nverify = 'counts'";
    let job = stage.submit(&stage.spec(more)).await;
    let report = stage.ended(&job).await;

    assert_eq!((report.state, report.units, report.verified.mode), (ReportState::Completed, 1, Verify::Counts));
    assert_eq!(stage.files("to")["store/old_orders.bson"], stage.files("from")["shop/orders.bson"]);
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_real_mongodump_wrote_arrives_byte_for_byte() {
    let name = "what_the_real_mongodump_wrote_arrives_byte_for_byte";
    let Some(data) = shared_data() else { return skipped(name, "the shared data is not here") };
    let stage = Stage::new();
    let worker = stage.employ(stage.options("alice"));

    let more = format!("from = 'dump:{}'\nchunks = {{ documents = 1000 }}", data.join("dump").display());
    let job = stage.submit(&stage.spec(&more)).await;
    let report = stage.ended(&job).await;

    assert_eq!(report.state, ReportState::Completed, "{report:#?}");
    assert_eq!(stage.files("to"), data_files(&data.join("dump")));
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_verified_once_it_is_whole() {
    let stage = Stage::new();
    stage.write_dump(1_000);
    let worker = stage.employ(stage.options("alice"));

    let to = stage.path("to.archive.gz");
    let job = stage.submit(&stage.spec(&format!("to = 'dump:{}'", to.display()))).await;
    let report = stage.ended(&job).await;

    assert_eq!((report.state, report.verified.mode), (ReportState::Completed, Verify::Hash), "{report:#?}");
    assert!(fs::metadata(&to).unwrap().len() > 1_000);
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_occupied_target_is_refused_before_anything_is_written() {
    let stage = Stage::new();
    stage.write_dump(20);
    fs::create_dir_all(stage.path("to/shop")).unwrap();
    fs::copy(stage.path("from/shop/users.bson"), stage.path("to/shop/users.bson")).unwrap();
    let before = stage.files("to");
    let worker = stage.employ(stage.options("alice"));

    let job = stage.submit(&stage.spec("")).await;
    let report = stage.ended(&job).await;

    assert_eq!((report.state, report.documents), (ReportState::Failed, 0));
    assert_eq!(&*report.refused[0].what, "shop.users", "{:?}", report.refused);
    assert_eq!(stage.files("to"), before);
    worker.dismiss().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nothing_has_is_refused() {
    let stage = Stage::new();
    stage.write_dump(20);
    let worker = stage.employ(stage.options("alice"));

    let job = stage.submit(&stage.spec("include = ['shop.ordres', 'shop.users']")).await;
    let report = stage.ended(&job).await;

    assert_eq!(report.state, ReportState::Failed);
    assert_eq!(&*report.refused[0].what, "shop.ordres");
    worker.dismiss().await;
}
