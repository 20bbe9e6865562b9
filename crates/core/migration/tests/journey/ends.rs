//! How jobs end, and how they begin again.

use crate::driver::{Journey, id, spec, submit};
use crate::world::{SHOP, World, shop};
use capstan_ids::WallTime;
use capstan_migration::{
    Context, End, Figures, JobCommand, Namespace, Rejection, ReportState, Settled, Sharing, UnitId, WorkIntent,
};
use serde_json::json;

/// A journey in which everything is dumped and nothing restored yet.
fn dumped() -> (Journey, World, String) {
    let (mut journey, world) = (Journey::begin(SHOP), shop());
    let unit = UnitId::of(&Namespace::new("shop", "orders")).to_string();
    for item in [id("survey"), id(format!("plan:{unit}")), id(format!("dump:{unit}_0")), id(format!("dump:{unit}_1"))] {
        let result = world.result(&journey.items[&item].item, false);
        journey.complete(&item, &result).unwrap();
    }
    (journey, world, unit)
}

#[test]
fn missed_parts_are_dumped_again_under_a_new_generation_until_the_spool_is_given_up() {
    let (mut journey, world, unit) = dumped();
    for generation in 1..=8 {
        let ready = journey.ready();
        let restore =
            ready.iter().find(|item| item.as_str().starts_with(&format!("restore:{unit}_0"))).unwrap().clone();
        journey.complete(&restore, &json!({"missed": {"reason": "cut short"}})).unwrap();
        let dump = id(format!("dump:{unit}_0.g{generation}"));
        let result = world.result(&journey.items[&dump].item, false);
        journey.complete(&dump, &result).unwrap();
    }

    let last = id(format!("restore:{unit}_0.g8"));
    let refused = journey.complete(&last, &json!({"missed": {"reason": "cut short"}})).unwrap_err();

    assert!(matches!(refused, Rejection::SpoolUnreliable { times: 9, .. }), "{refused}");
    assert_eq!(journey.jobs.job(&journey.job).unwrap().dumped, Figures { documents: 8, bytes: 80 }, "counted once");
}

#[test]
fn a_chunk_that_arrives_with_fewer_documents_than_were_dumped_is_refused() {
    let (mut journey, _, unit) = dumped();
    for (documents, bytes, dead_letters) in [(4, 50, 0), (5, 49, 0), (6, 50, 0), (5, 50, 1), (4, 51, 1)] {
        let result = json!({"restored": {"documents": documents, "bytes": bytes, "dead_letters": dead_letters}});
        let refused = journey.complete(&id(format!("restore:{unit}_0")), &result).unwrap_err();
        assert!(matches!(refused, Rejection::BadResult { .. }), "{refused}");
    }
    let with_a_dead_letter = json!({"restored": {"documents": 4, "bytes": 41, "dead_letters": 1}});
    journey.complete(&id(format!("restore:{unit}_0")), &with_a_dead_letter).unwrap();
}

#[test]
fn dead_letters_beyond_what_is_allowed_are_a_failure_whatever_was_verified() {
    let (mut journey, world, unit) = dumped();
    let dead = json!({"restored": {"documents": 4, "bytes": 41, "dead_letters": 1}});
    journey.complete(&id(format!("restore:{unit}_0")), &dead).unwrap();
    journey.run(&world, &mut std::iter::empty());
    journey.settle(Settled::Completed);

    let report = journey.jobs.report(&journey.job, WallTime(0), false).unwrap();
    assert_eq!((report.state, report.dead_letters, report.documents), (ReportState::CompletedWithFailures, 1, 7));
    let retried = journey.jobs.decide(&JobCommand::Retry { job: journey.job.clone() }, Context::default());
    assert!(matches!(retried, Err(Rejection::JobEnded { .. })), "there is nothing to try again");
}

#[test]
fn an_occupied_target_ends_the_job_before_anything_is_written() {
    let mut journey = Journey::begin(SHOP);
    let refused = json!({"units": shop().units(), "refused": [{"what": "shop.orders", "reason": "holds 3 documents"}]});

    journey.complete(&id("survey"), &refused).unwrap();
    journey.settle(Settled::Completed);

    assert_eq!(journey.ready(), [], "nothing follows");
    let view = journey.jobs.job(&journey.job).unwrap();
    assert_eq!((view.ended.map(|(end, _)| end), view.units), (Some(End::Failed), 0));
    assert_eq!(&*view.refused[0].reason, "holds 3 documents");
}

#[test]
fn two_units_that_would_become_one_are_refused() {
    let spec = format!("{SHOP}\nrenames = [{{ from = 'shop.*', to = 'shop.all' }}]");
    let mut journey = Journey::begin(&spec);
    let world = World { collections: vec![("a".into(), vec![]), ("b".into(), vec![])], scan: "after_unit" };

    journey.complete(&id("survey"), &json!({"units": world.units()})).unwrap();

    let refused = journey.jobs.job(&journey.job).unwrap().refused;
    assert_eq!((&*refused[0].what, refused.len()), ("shop.b", 1));
}

#[test]
fn the_same_command_finds_its_job_again_and_starts_anew_once_it_has_ended() {
    let mut journey = Journey::begin(SHOP);
    let again = journey.jobs.decide(&submit(SHOP), Context::default()).unwrap();
    assert_eq!((again.job, again.events.len(), again.work.len()), (journey.job.clone(), 0, 0));

    let slower = submit(&format!("{SHOP}\nverify = 'none'"));
    let refused = journey.jobs.decide(&slower, Context::default()).unwrap_err();
    assert!(matches!(refused, Rejection::JobDiffers { field: "verify", .. }), "{refused}");

    journey.run(&shop(), &mut std::iter::empty());
    journey.settle(Settled::Completed);
    let anew = journey.jobs.decide(&submit(SHOP), Context::default()).unwrap();
    assert_eq!(anew.job.as_str(), format!("{}-2", journey.job));
    let named = JobCommand::Submit { name: Some(journey.job.clone()), spec: spec(SHOP) };
    assert!(matches!(journey.jobs.decide(&named, Context::default()), Err(Rejection::JobEnded { .. })));
}

/// It was answered by the report of the job that had ended, and nothing of the new one was done.
#[test]
fn an_ended_job_is_not_taken_for_another_of_its_name() {
    let mut journey = Journey::begin(SHOP);
    journey.run(&shop(), &mut std::iter::empty());
    journey.settle(Settled::Completed);

    let other = spec(&SHOP.replace("dump:", "dump:other-"));
    let named = JobCommand::Submit { name: Some(journey.job.clone()), spec: other };
    let refused = journey.jobs.decide(&named, Context::default()).unwrap_err();

    assert!(matches!(refused, Rejection::JobDiffers { field: "from", .. }), "{refused}");
}

#[test]
fn what_a_merge_found_there_is_no_fault_and_elsewhere_it_is() {
    for (write, end) in [("merge", End::Completed), ("overwrite", End::CompletedWithFailures)] {
        let mut journey = Journey::begin(&format!("{SHOP}\nwrite = '{write}'"));
        let verdict = json!({"verdict": {"mode": "hash", "ranges": 1, "missing": 0, "extra": 7, "different": 0,
            "repaired": 0}});
        let verify = id(format!("verify:{}", UnitId::of(&Namespace::new("shop", "orders"))));
        while let Some(ready) = journey.ready().into_iter().find(|ready| *ready != verify) {
            let result = shop().result(&journey.items[&ready].item, false);
            journey.complete(&ready, &result).unwrap();
        }
        journey.complete(&verify, &verdict).unwrap();
        journey.run(&shop(), &mut std::iter::empty());
        journey.settle(Settled::Completed);
        assert_eq!(journey.jobs.job(&journey.job).unwrap().ended.map(|(end, _)| end), Some(end), "{write}");
    }
}

#[test]
fn a_job_that_failed_in_part_goes_on_when_it_is_tried_again() {
    let (mut journey, world, _) = dumped();
    journey.settle(Settled::CompletedWithFailures);

    let decision = journey.jobs.decide(&JobCommand::Retry { job: journey.job.clone() }, Context::default()).unwrap();
    assert!(matches!(&decision.work[..], [WorkIntent::Retry { items, .. }] if items.is_empty()));
    journey.record(&decision.events);
    journey.run(&world, &mut std::iter::empty());
    journey.settle(Settled::Completed);

    assert_eq!(journey.jobs.job(&journey.job).unwrap().ended.map(|(end, _)| end), Some(End::Completed));
}

#[test]
fn a_cancelled_job_is_cancelled_and_one_that_its_policy_ended_has_failed() {
    for (by_somebody, end) in [(true, End::Cancelled), (false, End::Failed)] {
        let (mut journey, ..) = dumped();
        if by_somebody {
            let cancel = JobCommand::Cancel { job: journey.job.clone(), drop_partial: true, reason: "enough".into() };
            let decision = journey.jobs.decide(&cancel, Context::default()).unwrap();
            journey.record(&decision.events);
            let brief = journey.jobs.brief(&journey.job.session(), &id("abandon"), 0, Sharing::default()).unwrap();
            assert!(brief.text.contains(r#""drop_partial":true"#), "{}", brief.text);
        }
        journey.settle(Settled::Cancelled);
        assert_eq!(journey.jobs.job(&journey.job).unwrap().ended.map(|(end, _)| end), Some(end));
    }
}

#[test]
fn documents_in_another_order_are_counted_among_those_that_differ() {
    let verdict = |different, reordered| {
        json!({"verdict": {"mode": "hash", "ranges": 1, "missing": 0, "extra": 0, "different": different, "repaired": 0,
            "reordered": reordered, "compared": {"documents": 8, "bytes": 80}}})
    };
    let mut journey = Journey::begin(&format!("{SHOP}\nmode = 'verify'"));
    journey.complete(&id("survey"), &json!({"units": shop().units()})).unwrap();
    let verify = id(format!("verify:{}", UnitId::of(&Namespace::new("shop", "orders"))));

    let refused = journey.complete(&verify, &verdict(2, 3)).unwrap_err();
    journey.complete(&verify, &verdict(3, 2)).unwrap();
    journey.settle(Settled::Completed);

    assert!(refused.to_string().contains("another order"), "{refused}");
    let report = journey.report();
    assert_eq!((&report["state"], &report["documents"]), (&json!("completed_with_failures"), &json!(8)));
    assert_eq!((&report["verified"]["different"], &report["verified"]["reordered"]), (&json!(3), &json!(2)));
    assert_eq!(journey.replayed(), journey.jobs);
}
