//! Whole jobs against real servers of two makes.

use crate::stage::Stage;
use bson::{Document, doc};
use capstan_endpoint::{Adapters, bson_frames};
use capstan_migration::{Report, ReportState};
use capstan_mongodb::MongoAdapter;
use capstan_testkit::skipped;
use capstan_worker::Options;
use mongodb::Client;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::sync::Arc;

pub const MONGO: &str = "CAPSTAN_TEST_MONGO_URL";
const FERRET: &str = "CAPSTAN_TEST_FERRET_URL";

/// A server, and a database of the test's own on it.
pub struct Live {
    pub url: String,
    pub client: Client,
    pub database: String,
}

impl Live {
    pub async fn open(variable: &str, test: &str, role: &str) -> Option<Self> {
        let Ok(url) = env::var(variable) else {
            skipped(&format!("worker::servers::{test}"), &format!("{variable} is not set"));
            return None;
        };
        let client = Client::with_uri_str(&url).await.unwrap();
        let hash = test.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31) + u32::from(byte));
        let live = Self { url, client, database: format!("w{}_{hash:x}_{role}", std::process::id()) };
        live.drop().await;
        Some(live)
    }

    pub async fn drop(&self) {
        self.client.database(&self.database).drop().await.unwrap();
    }

    pub async fn insert(&self, collection: &str, documents: &[Document]) {
        for some in documents.chunks(500) {
            self.client.database(&self.database).collection::<Document>(collection).insert_many(some).await.unwrap();
        }
    }

    /// The documents of a collection, in the order of their bytes.
    pub async fn documents(&self, collection: &str) -> Vec<Vec<u8>> {
        let mut found =
            self.client.database(&self.database).collection::<Document>(collection).find(doc! {}).await.unwrap();
        let mut documents = Vec::new();
        while found.advance().await.unwrap() {
            documents.push(found.current().as_bytes().to_vec());
        }
        documents.sort_unstable();
        documents
    }
}

pub fn options(stage: &Stage) -> Options {
    Options { adapters: Adapters::of_files().with(Arc::new(MongoAdapter)), ..stage.options("alice") }
}

/// Documents of the sorts that every make takes.
fn orders() -> Vec<Document> {
    let order = |n: i32| {
        doc! {
            "_id": n, "text": format!("order {n} ").repeat(1 + n as usize % 30), "amount": f64::from(n) / 8.0,
            "many": n as i64 * 1_000_000_007, "lines": [{ "sku": n % 7 }, { "sku": n % 11 }],
        }
    };
    (0..1_500).map(order).collect()
}

async fn moved(stage: &Stage, from: &str, to: &str, more: &str) -> Report {
    let worker = stage.employ(options(stage));
    let spec = format!("from = '{from}'\nto = '{to}'\nchunks = {{ documents = 400 }}\n{more}");
    let job = stage.submit(&spec).await;
    let report = stage.ended(&job).await;
    worker.dismiss().await;
    report
}

pub fn proved(report: &Report) {
    let Report { state, verified, .. } = report;
    assert_eq!(*state, ReportState::Completed, "{report:#?}");
    assert_eq!((verified.missing, verified.extra, verified.different), (0, 0, 0), "{report:#?}");
}

/// From one server to the other through the spool and without it.
async fn from_server_to_server(test: &str, from: &str, to: &str) {
    let (Some(source), Some(target)) = (Live::open(from, test, "from").await, Live::open(to, test, "to").await) else {
        return;
    };
    source.insert("orders", &orders()).await;
    for mode in ["dump-and-restore", "direct"] {
        let stage = Stage::new();
        let more = format!(
            "mode = '{mode}'\ninclude = ['{0}.*']\nrenames = [{{ from = '{0}.*', to = '{1}.*' }}]",
            source.database, target.database
        );
        let report = moved(&stage, &source.url, &target.url, &more).await;
        proved(&report);
        assert_eq!(report.documents, 1_500, "{mode}");
        assert_eq!(target.documents("orders").await, source.documents("orders").await, "{mode}");
        assert_eq!(stage.spooled(), Vec::<std::path::PathBuf>::new());
        target.drop().await;
    }
    source.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongo_to_ferret() {
    from_server_to_server("mongo_to_ferret", MONGO, FERRET).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ferret_to_mongo() {
    from_server_to_server("ferret_to_mongo", FERRET, MONGO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_into_mongo_and_back_is_the_same_dump() {
    let Some(live) = Live::open(MONGO, "a_dump_into_mongo_and_back", "only").await else { return };
    let stage = Stage::new();
    stage.write_dump(2_000);
    let into = format!("renames = [{{ from = 'shop.*', to = '{}.*' }}]", live.database);
    let report = moved(&stage, &format!("dump:{}", stage.path("from").display()), &live.url, &into).await;
    proved(&report);

    let back = format!("include = ['{0}.*']\nrenames = [{{ from = '{0}.*', to = 'shop.*' }}]", live.database);
    let report = moved(&stage, &live.url, &format!("dump:{}", stage.path("to").display()), &back).await;
    proved(&report);

    let sorted = |dump: &str| -> BTreeMap<String, Vec<Vec<u8>>> {
        stage.files(dump).into_keys().map(|file| (file.clone(), stage.sorted(dump, &file))).collect()
    };
    assert_eq!(sorted("to"), sorted("from"));
    live.drop().await;
}

/// Documents of sorts that one or the other make refuses, or answers by closing the connection, among others.
async fn what_is_refused_is_put_aside(test: &str, to: &str) {
    let Some(target) = Live::open(to, test, "to").await else { return };
    let stage = Stage::new();
    stage.write_dump(300);
    let odd = [
        doc! { "_id": "symbol", "v": bson::Bson::Symbol("old".into()) },
        doc! { "_id": "code", "v": bson::Bson::JavaScriptCode("1".into()) },
        doc! { "_id": "min", "v": bson::Bson::MinKey },
        doc! { "_id": "undefined", "v": bson::Bson::Undefined },
    ];
    let path = stage.path("from/shop/orders.bson");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(odd.iter().flat_map(|document| bson::serialize_to_vec(document).unwrap()));
    fs::write(&path, bytes).unwrap();

    let more = format!("renames = [{{ from = 'shop.*', to = '{}.*' }}]\nallow_dead_letters = 4", target.database);
    let report = moved(&stage, &format!("dump:{}", stage.path("from").display()), &target.url, &more).await;

    assert!((1..=4).contains(&report.dead_letters), "{report:#?}");
    assert_eq!(report.documents + report.dead_letters, 314, "{report:#?}");
    assert_eq!(report.verified.missing, report.dead_letters, "what was put aside is what is missing: {report:#?}");
    let (whole, arrived) = (stage.sorted("from", "shop/orders.bson"), target.documents("orders").await);
    assert_eq!(arrived.len() as u64 + report.dead_letters, whole.len() as u64);
    let changed = arrived.iter().filter(|document| !whole.contains(document)).count();
    assert_eq!(changed as u64, report.verified.different, "what a server keeps otherwise than it was given is found");
    let letters: String = fs::read_dir(stage.path("dead"))
        .unwrap()
        .flat_map(|job| fs::read_dir(job.unwrap().path()).unwrap())
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    assert_eq!(letters.lines().count() as u64, report.dead_letters, "{letters}");
    assert!(letters.lines().all(|line| line.contains("\"reason\":\"") && line.contains("\"_id\":")), "{letters}");
    target.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ferret_refuses_is_put_aside_and_the_rest_arrives() {
    what_is_refused_is_put_aside("what_ferret_refuses", FERRET).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_closes_the_connection_is_put_aside_and_the_rest_arrives() {
    what_is_refused_is_put_aside("what_mongo_refuses", MONGO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_collection_is_mended_and_proved() {
    let Some(live) = Live::open(MONGO, "a_spoiled_collection_is_mended", "only").await else { return };
    let stage = Stage::new();
    stage.write_dump(500);
    let from = format!("dump:{}", stage.path("from").display());
    let renames = format!("renames = [{{ from = 'shop.*', to = '{}.*' }}]", live.database);
    proved(&moved(&stage, &from, &live.url, &renames).await);
    let orders = live.client.database(&live.database).collection::<Document>("orders");
    orders.delete_one(doc! { "_id": 7 }).await.unwrap();
    orders.update_one(doc! { "_id": 8 }, doc! { "$set": { "text": "changed" } }).await.unwrap();
    orders.insert_one(doc! { "_id": "too much" }).await.unwrap();
    live.client.database(&live.database).collection::<Document>("users").drop().await.unwrap();

    let more = format!("mode = 'verify'\ninclude = ['shop.*']\nrepair = true\ndelete_extra = true\n{renames}");
    let report = moved(&stage, &from, &live.url, &more).await;

    let verified = &report.verified;
    assert_eq!((verified.missing, verified.extra, verified.different), (11, 1, 1), "{report:#?}");
    assert_eq!((report.state, verified.repaired), (ReportState::Completed, 13), "{report:#?}");
    let mut expected: Vec<Vec<u8>> =
        bson_frames::walk(&stage.files("from")["shop/orders.bson"]).map(<[u8]>::to_vec).collect();
    expected.sort_unstable();
    assert_eq!(live.documents("orders").await, expected);
    live.drop().await;
}

/// Such lines were there twice after any repeat, and never equal: the server made up an `_id` at each writing.
#[tokio::test(flavor = "multi_thread")]
async fn lines_without_ids_are_there_once_however_often_they_are_written() {
    let Some(live) = Live::open(MONGO, "lines_without_ids", "only").await else { return };
    let stage = Stage::new();
    let lines: String = (0..3_000).map(|n| format!("{{\"n\":{}}}\n", n / 2)).collect();
    fs::create_dir_all(stage.path("lines/shop")).unwrap();
    fs::write(stage.path("lines/shop/orders.jsonl"), lines).unwrap();
    let from = format!("jsonl:{}", stage.path("lines").display());
    let renames = format!("renames = [{{ from = 'shop.*', to = '{}.*' }}]", live.database);

    for more in ["mode = 'direct'", "write = 'merge'", "mode = 'direct'\nwrite = 'merge'\nchunks = { documents = 70 }"]
    {
        let chunks = if more.contains("chunks") { "" } else { "chunks = { documents = 400 }\n" };
        let worker = stage.employ(options(&stage));
        let job = stage.submit(&format!("from = '{from}'\nto = '{}'\n{chunks}{more}\n{renames}", live.url)).await;
        let report = stage.ended(&job).await;
        worker.dismiss().await;
        proved(&report);
        assert_eq!((report.documents, live.documents("orders").await.len()), (3_000, 3_000), "{more}");
    }

    live.client.database(&live.database).collection::<Document>("orders").delete_one(doc! { "n": 7 }).await.unwrap();
    let repair = format!("mode = 'verify'\nrepair = true\ndelete_extra = true\ninclude = ['shop.*']\n{renames}");
    let report = moved(&stage, &from, &live.url, &repair).await;
    assert_eq!((report.state, report.verified.missing, report.verified.repaired), (ReportState::Completed, 1, 1));
    assert_eq!(live.documents("orders").await.len(), 3_000);
    live.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_a_merge_is_shown_and_no_fault() {
    let Some(live) = Live::open(MONGO, "what_was_there_before_a_merge", "only").await else { return };
    let stage = Stage::new();
    stage.write_dump(500);
    let before: Vec<Document> = (0..7).map(|n| doc! { "_id": format!("own {n}") }).collect();
    live.insert("orders", &before).await;

    let more = format!("write = 'merge'\nrenames = [{{ from = 'shop.*', to = '{}.*' }}]", live.database);
    let report = moved(&stage, &format!("dump:{}", stage.path("from").display()), &live.url, &more).await;

    assert_eq!((report.state, report.verified.extra, report.verified.missing), (ReportState::Completed, 7, 0));
    assert_eq!(live.documents("orders").await.len(), 507);
    live.drop().await;
}

/// It was compared with all that the source has, and repair copied what the filter had left out.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_dump_that_was_filtered_is_compared_by_its_filter() {
    let test = "a_kept_dump_that_was_filtered";
    let Some(live) = Live::open(MONGO, test, "from").await else { return };
    let stage = Stage::new();
    live.insert("orders", &orders()).await;
    let include = format!("include = ['{}.*']", live.database);
    let filter =
        format!("filters = [{{ collection = '{}.orders', query = '{{\"_id\":{{\"$lt\":100}}}}' }}]", live.database);
    let kept = moved(&stage, &live.url, "", &format!("mode = 'dump-only'\n{include}\n{filter}")).await;
    assert_eq!((kept.state, kept.documents), (ReportState::Completed, 100), "{kept:#?}");

    let to = format!("dump:{}", stage.path("to").display());
    let report = moved(&stage, &live.url, &to, "mode = 'restore-only'").await;

    proved(&report);
    assert_eq!(report.documents, 100);
    live.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_that_makes_a_collection_leaves_nothing_else_behind() {
    let Some(live) = Live::open(MONGO, "a_repair_that_makes_a_collection", "only").await else { return };
    let stage = Stage::new();
    stage.write_dump(20);
    let more = format!("mode = 'verify'\nrepair = true\nrenames = [{{ from = 'shop.*', to = '{}.*' }}]", live.database);

    let report = moved(&stage, &format!("dump:{}", stage.path("from").display()), &live.url, &more).await;

    assert_eq!((report.state, report.verified.repaired), (ReportState::Completed, 30), "{report:#?}");
    let mut left = live.client.database(&live.database).list_collection_names().await.unwrap();
    left.sort();
    assert_eq!(left, ["orders", "users"]);
    live.drop().await;
}
