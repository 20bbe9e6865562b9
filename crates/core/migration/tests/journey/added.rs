//! Units that come later, and what only the target has.

use crate::driver::{Journey, id};
use crate::world::{SHOP, World, shop};
use capstan_migration::{JobCommand, Settled, Sharing};
use proptest::prelude::*;
use serde_json::json;

fn added(journey: &Journey, pattern: &str) -> JobCommand {
    JobCommand::AddUnits { job: journey.job.clone(), collections: vec![pattern.into()] }
}

proptest! {
    #[test]
    fn units_added_at_any_moment_are_moved_once_and_repeats_change_nothing(
        first in 1_usize..4,
        mode in prop::sample::select(vec!["dump-and-restore", "direct", "dump-only", "restore-only", "simulate"]),
        steps in 1_usize..12,
        choices in prop::collection::vec(any::<u16>(), 0..200),
    ) {
        let all = ["a", "b", "c", "d"].map(|name| (name.to_owned(), vec![3, 4]));
        let world = World { collections: all.to_vec(), scan: "after_unit" };
        let few = World { collections: all[..first].to_vec(), scan: "after_unit" };
        let mut journey = Journey::begin(&format!("from = 'dump:a'\nto = 'dump:b'\nmode = '{mode}'\ninclude = ['shop.*']"));
        let mut choices = choices.into_iter().map(usize::from);
        journey.complete(&id("survey"), &few.result(&journey.items[&id("survey")].item, false)).unwrap();
        for _ in 0..steps {
            let Some(next) = journey.ready().first().cloned() else { break };
            journey.complete(&next, &world.result(&journey.items[&next].item, false)).unwrap();
        }
        let command = added(&journey, "*");
        let taken = journey.ask(&command).is_ok();
        prop_assert_eq!(&*journey.jobs.brief(&journey.job.session(), &id("survey.2"), 0, Sharing::default()).unwrap().text.contains(r#""only":["*"]"#).to_string(), if taken { "true" } else { "false" });

        journey.run(&world, &mut choices);
        journey.settle(Settled::Completed);

        let expected = if taken { &world } else { &few };
        let view = journey.jobs.job(&journey.job).unwrap();
        prop_assert_eq!((view.units, view.percent), (expected.collections.len() as u64, 100.0));
        prop_assert!(journey.items.values().all(|item| item.done.is_some()), "nothing is left waiting");
        prop_assert_eq!(&journey.replayed(), &journey.jobs);
    }
}

#[test]
fn added_units_whose_target_is_taken_are_left_behind_and_the_job_says_so() {
    let mut journey = Journey::begin(&format!(
        "{SHOP}\ninclude = ['shop.orders']\nrenames = [{{ from = 'shop.*', to = 'shop.all' }}]"
    ));
    journey.complete(&id("survey"), &json!({"units": shop().units()})).unwrap();
    journey.ask(&added(&journey, "shop.b")).unwrap();
    let unit = json!({"source": {"database": "shop", "collection": "b"}, "definition": {}});

    journey.complete(&id("survey.2"), &json!({"units": [unit]})).unwrap();
    journey.run(&shop(), &mut std::iter::empty());
    journey.settle(Settled::Completed);

    let report = journey.report();
    assert_eq!((&report["units"], &report["state"]), (&json!(1), &json!("completed_with_failures")));
    assert!(report["refused"][0]["reason"].as_str().unwrap().contains("shop.all"), "{report}");
}

#[test]
fn what_only_the_target_has_counts_as_extra_where_both_sides_are_compared() {
    let mut journey = Journey::begin(&format!("{SHOP}\nmode = 'verify'"));
    let aside = json!([{"what": "shop.old", "reason": "only at the target, with 4 documents"}]);
    let survey = json!({"units": shop().units(), "set_aside": aside, "extra": 4});

    journey.complete(&id("survey"), &survey).unwrap();
    journey.run(&shop(), &mut std::iter::empty());
    journey.settle(Settled::Completed);

    let report = journey.report();
    assert_eq!((&report["verified"]["extra"], &report["state"]), (&json!(4), &json!("completed_with_failures")));
    assert_eq!(report["set_aside"][0]["what"], "shop.old");
}
