//! Every order of completions, with repeats and from snapshots, ends in the same.

use crate::driver::Journey;
use crate::world::world;
use capstan_migration::{Jobs, Settled};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_completions_ends_in_the_same_totals(
        world in world(),
        mode in prop::sample::select(MODES.to_vec()),
        choices in prop::collection::vec(any::<u16>(), 0..400),
    ) {
        prop_assume!(mode != "verify" || world.scan != "never");
        let mut journey = Journey::begin(&format!("from = 'dump:a'\nto = 'dump:b'\nmode = '{mode}'"));

        journey.run(&world, &mut choices.into_iter().map(usize::from));
        journey.settle(Settled::Completed);

        prop_assert!(journey.items.values().all(|item| item.done.is_some()), "nothing is left waiting");
        let report = journey.report();
        prop_assert_eq!(&report["state"], "completed");
        prop_assert_eq!(&report["mode"], mode);
        let moved = if mode == "simulate" { 0 } else { world.documents() };
        prop_assert_eq!(report["documents"].as_u64(), Some(moved));
        let planned = (mode == "simulate").then(|| world.planned());
        prop_assert_eq!(report["planned"]["documents"].as_u64(), planned);
        prop_assert_eq!(report["percent"].as_f64(), Some(100.0));
        let proved = mode == "dump-only" || (mode != "simulate" && world.scan != "never");
        prop_assert_eq!(&report["verified"]["mode"], if proved { "hash" } else { "none" });
        prop_assert_eq!(report["dump"].is_string(), mode == "dump-only");
        let kept = if mode == "dump-only" { world.parts() } else { 0 };
        prop_assert_eq!(journey.jobs.parts_in_use(&journey.job).unwrap().count(), kept);

        prop_assert_eq!(&journey.replayed(), &journey.jobs);
        if let Some((length, rows)) = &journey.snapshot {
            let mut jobs = Jobs::restore(rows).unwrap();
            journey.replay(&mut jobs, *length);
            prop_assert_eq!(&jobs, &journey.jobs);
        }
    }
}

const MODES: [&str; 6] = ["dump-and-restore", "direct", "dump-only", "restore-only", "simulate", "verify"];
