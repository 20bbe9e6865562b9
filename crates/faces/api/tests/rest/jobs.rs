//! Jobs under `/api/v1/jobs`: a worker made of requests takes one from its survey to its report.

use crate::world::World;
use serde_json::{Value, json};

const SHOP: &str = "/api/v1/jobs/shop";

/// A job of two collections that nobody has worked on yet.
async fn with_job() -> World {
    let world = World::empty();
    let spec = json!({ "from": "dump:/from", "to": "dump:/to", "pools": { "dump": 2, "restore": 3 } });
    let job = world.post("/api/v1/jobs", json!({ "name": "shop", "spec": spec })).await.with(201);
    assert_eq!(
        (&job["job"], &job["state"], &job["mode"]),
        (&json!("shop"), &json!("running"), &json!("dump-and-restore"))
    );
    world
}

/// Does the next item of a kind, and answers what it was.
async fn work(world: &World, kind: &str, result: impl Fn(&str) -> Value) -> String {
    let wish = json!({ "worker_id": "w", "kinds": [kind] });
    let lease = world.post("/api/v1/sessions/job-shop/acquire", wish).await.with(200)["leases"][0].clone();
    let id = lease["id"].as_str().unwrap_or_else(|| panic!("no {kind}")).to_owned();
    let body = json!({ "token": lease["token"], "result": result(&id) });
    world.post(&format!("/api/v1/sessions/job-shop/items/{}/complete", id.replace(':', "%3A")), body).await.with(200);
    id
}

/// The job with `shop.orders` cut into so many chunks.
async fn with_chunks(chunks: u64) -> World {
    let world = with_job().await;
    work(
        &world,
        "plan",
        |_| json!({ "units": [{ "source": { "database": "shop", "collection": "orders" }, "definition": {} }] }),
    )
    .await;
    work(&world, "plan", |_| {
        json!({ "chunks": (0..chunks).map(|n| json!({ "range": { "from": n }, "documents": 10, "bytes": 100 })).collect::<Vec<_>>() })
    })
    .await;
    world
}

fn dumped() -> Value {
    let part = json!({ "name": "p", "documents": 10, "bytes": 100, "blocks": 1, "stored_bytes": 50, "checksum": "00" });
    json!({ "documents": 10, "bytes": 100, "parts": [part], "marker": "m" })
}

#[tokio::test]
async fn a_job_is_submitted_looked_at_and_found_again() {
    let world = with_job().await;

    let again = json!({ "from": "dump:/from", "to": "dump:/to", "pools": { "dump": 2, "restore": 3 } });
    world.post("/api/v1/jobs", json!({ "name": "shop", "spec": again })).await.with(201);
    let other =
        world.post("/api/v1/jobs", json!({ "name": "shop", "spec": { "from": "dump:/x", "to": "dump:/y" } })).await;
    assert_eq!((other.status.as_u16(), other.code()), (409, "job.differs".to_owned()));

    let unnamed = world.post("/api/v1/jobs", json!({ "spec": { "from": "dump:/a", "to": "dump:/b" } })).await;
    let name = unnamed.headers["location"].to_str().unwrap().to_owned();
    unnamed.with(201);
    world.get(&name).await.with(200);
    let first = world.get("/api/v1/jobs?limit=1").await.with(200);
    let next = first["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("/api/v1/jobs?limit=1&cursor={next}")).await.with(200);
    assert_eq!(second["next_cursor"], Value::Null);
    assert_ne!(first["items"][0]["job"], second["items"][0]["job"]);
    assert_eq!(world.get("/api/v1/jobs/none").await.code(), "job.unknown");
    assert_eq!(world.get("/api/v1/jobs/no%20name").await.code(), "value.invalid");
}

#[tokio::test]
async fn a_bad_specification_is_refused_whole_and_with_every_fault() {
    let world = World::empty();
    let spec = json!({ "from": "mongodb://ann:hunter2@db/", "to": "nothing", "include": ["x"] });

    let refused = world.post("/api/v1/jobs", json!({ "name": "shop", "spec": spec })).await;

    assert_eq!((refused.status.as_u16(), refused.code()), (422, "job.spec_invalid".to_owned()));
    let fields = refused.json()["fields"].clone();
    for field in ["from", "to", "include[0]"] {
        assert!(fields.as_array().unwrap().contains(&json!(field)), "{fields}");
    }
    assert!(!refused.text().contains("hunter2"), "{}", refused.text());
    assert_eq!(world.get("/api/v1/jobs").await.with(200)["items"], json!([]));
    let misspelled = json!({ "spec": { "from": "dump:/a", "to": "dump:/b", "verfy": "hash" } });
    assert_eq!(world.post("/api/v1/jobs", misspelled).await.code(), "request.unknown_field");
}

#[tokio::test]
async fn chunks_are_paged_and_say_what_is_being_done_with_them() {
    let world = with_chunks(5).await;
    work(&world, "dump", |_| dumped()).await;
    world
        .post("/api/v1/sessions/job-shop/acquire", json!({ "worker_id": "reader", "kinds": ["dump"] }))
        .await
        .with(200);

    let units = world.get(&format!("{SHOP}/units")).await.with(200);
    let unit = units["items"][0].clone();
    let by_id = world.get(&format!("{SHOP}/units/{}/chunks?limit=3", unit["id"].as_str().unwrap())).await.with(200);
    let rest = world.get(&format!("{SHOP}/units/shop.orders/chunks?cursor=3")).await.with(200);

    assert_eq!(
        (&unit["source"], &unit["chunks"], &unit["chunks_dumped"]),
        (&json!("shop.orders"), &json!(5), &json!(1))
    );
    let states: Vec<_> = [&by_id, &rest]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap().iter().map(|chunk| chunk["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, ["dumped", "dumping", "planned", "planned", "planned"]);
    assert_eq!(by_id["items"][1]["worker_id"], "reader");
    assert_eq!((&by_id["next_cursor"], &rest["next_cursor"]), (&json!("3"), &Value::Null));
    assert_eq!(world.get(&format!("{SHOP}/units/shop.none/chunks")).await.code(), "job.unit_unknown");
}

#[tokio::test]
async fn a_job_is_steered() {
    let world = with_chunks(2).await;
    let state = |job: Value| job["state"].as_str().unwrap().to_owned();

    let paused = world.post(&format!("{SHOP}/pause"), json!({ "immediate": true, "reason": "lunch" })).await.with(200);
    assert_eq!(
        (state(paused.clone()), &paused["reason"], &paused["idle"]),
        ("paused".into(), &json!("lunch"), &json!(true))
    );
    assert_eq!(state(world.ask("POST", &format!("{SHOP}/resume"), "").await.with(200)), "running");
    assert_eq!(world.delete(SHOP).await.code(), "job.unfinished");

    let pools = world.put(&format!("{SHOP}/pools"), json!({ "dump": 7, "restore": null })).await.with(200);
    let size = |pools: &Value, kind| {
        pools["items"].as_array().unwrap().iter().find(|pool| pool["kind"] == kind).map(|pool| pool["size"].clone())
    };
    assert_eq!(size(&pools, "dump"), Some(json!(7)));
    assert!(matches!(size(&pools, "restore"), None | Some(Value::Null)), "{pools}");
    // The second is wrong, so the first is not changed either.
    let refused = world.put(&format!("{SHOP}/pools"), json!({ "dump": 9, "lunch": 1 })).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "value.out_of_range".to_owned()));
    assert_eq!(world.put(&format!("{SHOP}/pools"), json!({ "dump": 5000 })).await.code(), "value.out_of_range");
    assert_eq!(size(&world.get(&format!("{SHOP}/pools")).await.with(200), "dump"), Some(json!(7)));

    world.post(&format!("{SHOP}/cancel"), json!({ "reason": "enough" })).await.with(200);
    work(&world, "index", |_| Value::Null).await;
    assert_eq!(state(world.get(SHOP).await.with(200)), "cancelled");
    assert_eq!(world.ask("POST", &format!("{SHOP}/resume"), "").await.code(), "job.ended");
    world.delete(SHOP).await.with(200);
    assert_eq!(world.get(SHOP).await.code(), "job.unknown");
}

#[tokio::test]
async fn a_report_comes_as_json_or_as_a_page_that_needs_nothing_beside_it() {
    let world = with_chunks(3).await;
    work(&world, "dump", |_| dumped()).await;
    work(&world, "restore", |_| json!({ "restored": { "documents": 9, "bytes": 90, "dead_letters": 1 } })).await;

    let report = world.get(&format!("{SHOP}/report")).await.with(200);
    assert_eq!((&report["event"], &report["dead_letters"]), (&json!("report"), &json!(1)));

    let page = world.get(&format!("{SHOP}/report?format=html")).await;
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    let text = page.text();
    assert!(text.contains("aria-label=\"shop.orders: 2 planned, 1 restored\""), "{text}");
    for outside in ["http://", "https://", "<script", "@import", "url("] {
        assert!(!text.contains(outside), "{outside}");
    }
    let asked = axum::http::Request::builder().uri(format!("{SHOP}/report")).header("accept", "text/html,*/*");
    assert!(world.send(asked.body(axum::body::Body::empty()).unwrap()).await.text().starts_with("<!doctype html>"));
    assert_eq!(world.get(&format!("{SHOP}/report?format=pdf")).await.code(), "request.parameter");

    let letters = world.get(&format!("{SHOP}/dead-letters")).await.with(200);
    assert_eq!(
        (&letters["items"][0]["source"], &letters["items"][0]["chunk"], &letters["items"][0]["documents"]),
        (&json!("shop.orders"), &json!(0), &json!(1))
    );
}

#[tokio::test]
async fn a_verification_says_what_was_compared_and_what_differs_in_order_alone() {
    let world = World::empty();
    let spec = json!({ "from": "dump:/from", "to": "dump:/to", "mode": "verify" });
    world.post("/api/v1/jobs", json!({ "name": "shop", "spec": spec })).await.with(201);
    let orders = json!({ "source": { "database": "shop", "collection": "orders" }, "definition": {} });
    work(&world, "plan", |_| json!({ "units": [orders] })).await;
    let found = json!({ "mode": "hash", "ranges": 4, "missing": 0, "extra": 0, "different": 3, "repaired": 0,
        "reordered": 2, "compared": { "documents": 4321, "bytes": 90_000 } });
    work(&world, "verify", |_| json!({ "verdict": found })).await;

    let units = world.get(&format!("{SHOP}/units")).await.with(200);
    assert_eq!(units["items"][0]["verdict"], found);

    let page = world.get(&format!("{SHOP}/report?format=html")).await.text();
    for told in [">Documents compared</dt><dd>4,321<", ">NOT EQUAL: 0 missing, 0 extra, 3 different", "2 of those that"]
    {
        assert!(page.contains(told), "{told}: {page}");
    }
}

#[tokio::test]
async fn stages_count_what_was_ended_undone() {
    let world = with_chunks(3).await;
    work(&world, "dump", |_| dumped()).await;

    world.post(&format!("{SHOP}/cancel"), json!({})).await.with(200);

    let job = world.get(SHOP).await.with(200);
    let dump = job["stages"].as_array().unwrap().iter().find(|stage| stage["kind"] == "dump").unwrap();
    assert_eq!((&dump["done"], &dump["cancelled"]), (&json!(1), &json!(2)), "{job}");
}

#[tokio::test]
async fn rates_priorities_and_units_change_while_a_job_runs() {
    let world = with_chunks(2).await;

    let rates = world.put(&format!("{SHOP}/rates"), json!({ "documents": 500, "operations": 3 })).await.with(200);
    assert_eq!(rates, json!({ "documents": 500, "bytes": null, "operations": 3 }));
    assert_eq!(world.get(&format!("{SHOP}/rates")).await.with(200), rates);
    assert_eq!(world.put(&format!("{SHOP}/rates"), json!({ "bytes": 0 })).await.code(), "job.spec_invalid");
    assert_eq!(world.get(&format!("{SHOP}/rates")).await.with(200), rates, "what is refused changes nothing");

    let ranked = json!({ "collection": "shop.orders", "priority": 10 });
    let priorities = world.put(&format!("{SHOP}/priorities"), ranked.clone()).await.with(200);
    assert_eq!(priorities["items"][0], ranked);
    let item = world.get(&format!("{V1_JOB}/items?kind=dump")).await.with(200)["items"][0].clone();
    assert!(item["priority"].as_i64().unwrap() >= 1_000, "{item}");
    let refused = world.put(&format!("{SHOP}/priorities"), json!({ "collection": "shop", "priority": 1 })).await;
    assert_eq!(refused.code(), "job.spec_invalid");

    world.post(&format!("{SHOP}/units"), json!({ "collections": ["shop.customers"] })).await.with(200);
    let survey = world.get(&format!("{V1_JOB}/items/survey.2")).await.with(200);
    assert_eq!(survey["kind"], "plan");
    assert_eq!(world.post(&format!("{SHOP}/units"), json!({ "collections": [] })).await.code(), "job.spec_invalid");
    world.post(&format!("{SHOP}/cancel"), json!({})).await.with(200);
    let late = world.post(&format!("{SHOP}/units"), json!({ "collections": ["shop.late"] })).await;
    assert_eq!(late.status.as_u16(), 409, "{}", late.text());
}

const V1_JOB: &str = "/api/v1/sessions/job-shop";

#[tokio::test]
async fn pools_and_collections_of_a_job_are_in_the_figures() {
    let world = with_chunks(3).await;
    work(&world, "dump", |_| dumped()).await;
    let text = world.get("/metrics").await.text();
    for line in [
        "capstan_job_pool_size{job_name=\"shop\",kind=\"dump\"} 2",
        "capstan_job_pool_running{job_name=\"shop\",kind=\"dump\"} 0",
        "capstan_job_pool_ready{job_name=\"shop\",kind=\"dump\"} 2",
        "capstan_job_pool_utilisation{job_name=\"shop\",kind=\"restore\"} 0",
        "capstan_job_pool_idle_seconds_total{job_name=\"shop\",kind=\"restore\"} 0",
        "capstan_job_stuck_leases{job_name=\"shop\"} 0",
        "capstan_job_collection_documents_read_total{job_name=\"shop\",collection=\"shop.orders\"} 10",
        "capstan_job_collection_bytes_written_total{job_name=\"shop\",collection=\"shop.orders\"} 0",
    ] {
        assert!(text.lines().any(|each| each == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn a_job_says_whether_any_worker_is_connected() {
    let world = with_job().await;
    let job = world.get(SHOP).await.with(200);
    assert_eq!((&job["state"], &job["connected"], &job["idle"]), (&json!("running"), &json!(false), &json!(true)));

    // It asks for a kind that there is nothing of yet: heard of, and without work.
    let asked = json!({ "worker_id": "w", "kinds": ["restore"], "slots": 4 });
    world.post("/api/v1/sessions/job-shop/acquire", asked).await.with(200);

    let job = world.get(SHOP).await.with(200);
    assert_eq!((&job["connected"], &job["idle"], &job["slots"]), (&json!(true), &json!(true), &json!(4)));
    let listed = world.get("/api/v1/jobs").await.with(200);
    assert_eq!(listed["items"][0]["connected"], true);
}
