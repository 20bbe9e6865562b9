//! Dumps that the spool keeps.

use crate::driver::{Journey, id};
use crate::world::World;
use capstan_ids::ItemId;
use capstan_migration::{JobCommand, Namespace, Rejection, Settled, Sharing, UnitId};
use serde_json::json;

const KEPT: &str = "from = 'dump:a'\nmode = 'dump-only'";

#[test]
fn a_kept_dump_is_completed_and_proved_with_the_facts_of_every_part() {
    let world = World { collections: vec![("orders".into(), vec![2; 70]), ("empty".into(), vec![])], scan: "never" };
    let mut journey = Journey::begin(KEPT);
    let orders = UnitId::of(&Namespace::new("shop", "orders"));
    while journey.ready().first().is_some_and(|id| id.as_str() != "finish") || journey.begin_phase() {
        let Some(id) = journey.ready().into_iter().find(|id| id.as_str() != "finish") else { break };
        let result = world.result(&journey.items[&id].item, false);
        journey.complete(&id, &result).unwrap();
    }

    let pages = |item: ItemId| {
        let (mut texts, mut from) = (Vec::new(), Some(0));
        while let Some(page) = from {
            let brief = journey.jobs.brief(&journey.job.session(), &item, page, Sharing::default()).unwrap();
            texts.push(serde_json::from_str::<capstan_migration::BriefText>(&brief.text).unwrap());
            from = brief.next;
        }
        texts
    };
    let entries: Vec<_> = pages(id("finish")).into_iter().flat_map(|text| text.units).collect();
    let chunks: Vec<_> = entries
        .iter()
        .filter(|unit| unit.id == orders)
        .flat_map(|unit| &unit.dumped)
        .map(|chunk| chunk.chunk)
        .collect();
    let proved: Vec<_> = pages(id(format!("verify:{orders}")))
        .into_iter()
        .flat_map(|text| text.unit.unwrap().dumped)
        .map(|chunk| (chunk.chunk, chunk.documents, chunk.parts.len()))
        .collect();

    assert_eq!(chunks, (0..70).collect::<Vec<_>>(), "each once, in order, over several entries");
    assert!(entries.iter().any(|unit| unit.source.to_string() == "shop.empty"), "a unit without documents is in it");
    assert_eq!(proved, (0..70).map(|chunk| (chunk, 2, 1)).collect::<Vec<_>>());
}

#[test]
fn what_was_not_dumped_whole_is_not_in_the_dump() {
    let world = World { collections: vec![("a".into(), vec![2]), ("b".into(), vec![2])], scan: "never" };
    let mut journey = Journey::begin(&format!("{KEPT}\nretry = {{ on_exhausted = 'skip' }}"));
    let bad = id(format!("dump:{}_0", UnitId::of(&Namespace::new("shop", "b"))));
    journey.failed.insert(bad);

    journey.run(&world, &mut std::iter::empty());
    let brief = journey.jobs.brief(&journey.job.session(), &id("finish"), 0, Sharing::default()).unwrap();
    journey.settle(Settled::CompletedWithFailures);

    assert!(brief.text.contains("shop") && !brief.text.contains(r#""collection":"b""#), "{}", brief.text);
    let report = journey.report();
    assert_eq!(
        (&report["state"], &report["by_unit"][1]["given_up"]),
        (&json!("completed_with_failures"), &json!(true))
    );
    let retried = journey.ask(&JobCommand::Retry { job: journey.job.clone() });
    assert!(matches!(retried, Err(Rejection::JobEnded { .. })), "its catalogue is written: {retried:?}");
}
