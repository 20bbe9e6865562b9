//! What items are told, how many run at a time, and how fast.

use crate::driver::{Journey, id, submit};
use crate::world::{SHOP, World, shop};
use capstan_migration::{Context, JobCommand, Jobs, Namespace, Rejection, Sharing, Stamp, UnitId, Verify, WorkIntent};
use serde_json::json;

#[test]
fn a_brief_tells_what_all_chunks_share_and_keeps_the_order_of_fields() {
    let mut journey = Journey::begin(SHOP);
    let unit = r#"{"source":{"database":"shop","collection":"orders"},"definition":{"b":1,"a":2}}"#;
    let survey = format!(r#"{{"units":[{unit}]}}"#);
    let session = journey.job.session();
    let completion = journey.jobs.completed(&session, &id("survey"), Some(&survey), Context::default()).unwrap();
    journey.record(&completion.events);

    let jobs = journey.replayed();
    let brief = jobs.brief(&session, &completion.successors[0].id, 0, Sharing::default()).unwrap();

    assert_eq!(brief.next, None);
    assert!(brief.text.contains(r#""definition":{"b":1,"a":2}"#), "{}", brief.text);
    let strange = jobs.brief(&session, &id("else"), 0, Sharing::default());
    assert!(matches!(strange, Err(Rejection::NoBrief { .. })));
}

#[test]
fn a_long_brief_comes_in_pages_that_name_every_chunk_once() {
    let world = World { collections: vec![("orders".into(), vec![1; 9_000])], scan: "after_unit" };
    let mut journey = Journey::begin(SHOP);
    let unit = UnitId::of(&Namespace::new("shop", "orders")).to_string();
    for item in [id("survey"), id(format!("plan:{unit}"))] {
        let result = world.result(&journey.items[&item].item, false);
        let completion = journey
            .jobs
            .completed(&journey.job.session(), &item, Some(&result.to_string()), Context::default())
            .unwrap();
        completion.events.iter().for_each(|event| journey.jobs.apply(Stamp::default(), event));
        journey.add(completion.successors, Some(&item));
    }
    for chunk in 0..9_000_u32 {
        let part = json!({"name": "x".repeat(200), "documents": 1, "bytes": 10, "stored": 1, "checksum": "00"});
        let landed = json!({"restored": {"documents": 1, "bytes": 10, "parts": [part]}});
        let dumped = world.result(&journey.items[&id(format!("dump:{unit}_{chunk}"))].item, false);
        for (item, result) in [(format!("dump:{unit}_{chunk}"), dumped), (format!("restore:{unit}_{chunk}"), landed)] {
            let completion = journey
                .jobs
                .completed(&journey.job.session(), &id(item), Some(&result.to_string()), Context::default())
                .unwrap();
            completion.events.iter().for_each(|event| journey.jobs.apply(Stamp::default(), event));
        }
    }

    let (mut chunks, mut pages, mut from) = (Vec::new(), 0, Some(0));
    while let Some(page) = from {
        let brief =
            journey.jobs.brief(&journey.job.session(), &id(format!("index:{unit}")), page, Sharing::default()).unwrap();
        assert!(brief.text.len() < 4 << 20);
        let text: capstan_migration::BriefText = serde_json::from_str(&brief.text).unwrap();
        chunks.extend(text.chunks.iter().map(|chunk| chunk.chunk));
        (from, pages) = (brief.next, pages + 1);
    }

    assert_eq!(chunks, (0..9_000).collect::<Vec<_>>());
    assert!(pages > 1, "9,000 chunks are more than one page");
}

#[test]
fn pools_are_sized_by_cores_where_nothing_is_said() {
    let context = Context { cores: 6, ..Context::default() };
    let command = submit(&format!("{SHOP}\npools = {{ dump = 3 }}"));

    let decision = Jobs::default().decide(&command, context).unwrap();

    let [WorkIntent::OpenSession { policy, .. }] = &decision.work[..] else { panic!("{:?}", decision.work) };
    let sizes: Vec<_> = policy.limits.iter().map(|(name, size)| (name.as_str(), *size)).collect();
    assert_eq!(sizes, [("plan", 6), ("dump", 3), ("restore", 6), ("index", 6), ("verify", 6)]);
    assert_eq!(Verify::default(), Verify::Hash);
}

#[test]
fn items_count_against_the_hosts_that_they_speak_to() {
    let text = "from = 'mongodb://db1,db2/shop'\nto = 'opensearch+https://search/'";
    let mut journey = Journey::begin(text);
    let (world, unit) = (shop(), UnitId::of(&Namespace::new("shop", "orders")));
    for item in [id("survey"), id(format!("plan:{unit}")), id(format!("dump:{unit}_0"))] {
        journey.complete(&item, &world.result(&journey.items[&item].item, false)).unwrap();
    }

    let (source, target) = ("host:db1:27017", "host:search:443");
    for (stage, limits) in [
        ("survey".to_owned(), vec!["jobs", source, target]),
        (format!("plan:{unit}"), vec!["jobs", source, target]),
        (format!("dump:{unit}_0"), vec!["jobs", "operations", source]),
        (format!("restore:{unit}_0"), vec!["jobs", "operations", target]),
        (format!("index:{unit}"), vec!["jobs", target]),
        (format!("verify:{unit}"), vec!["jobs", source, target]),
        ("sweep".to_owned(), vec!["jobs"]),
    ] {
        let found: Vec<_> =
            journey.items[&id(stage.as_str())].item.limits.iter().map(|name| name.to_string()).collect();
        assert_eq!(found, limits, "{stage}");
    }
}

#[test]
fn rates_are_changed_while_it_runs_and_nonsense_is_refused_by_its_field() {
    let mut journey = Journey::begin(SHOP);
    let rates = |documents, operations| capstan_migration::Rates { documents, bytes: None, operations };
    let set = |rates| JobCommand::SetRates { job: journey.job.clone(), rates };

    let decision = journey.jobs.decide(&set(rates(Some(100), Some(3))), Context::default()).unwrap();

    let [WorkIntent::SetLimit { limit, value: Some(3), .. }] = &decision.work[..] else {
        panic!("{:?}", decision.work)
    };
    assert_eq!(limit.as_str(), "operations");
    let refused = journey.jobs.decide(&set(rates(Some(0), Some(4_097))), Context::default()).unwrap_err();
    let Rejection::SpecInvalid(faults) = refused else { panic!("{refused}") };
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["rates.documents", "rates.operations"]);
    journey.record(&decision.events);
    assert_eq!(journey.jobs.job(&journey.job).unwrap().rates, rates(Some(100), Some(3)));
}
