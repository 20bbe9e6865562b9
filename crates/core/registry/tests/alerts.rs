//! Whom health wakes: the table, the time it must hold, reminders, and a change of leader.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_ids::Millis;
use capstan_registry::limits::{ALERT_PIPELINES_MAX, ALERT_RESOLVED_FOR};
use capstan_registry::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use world::*;

const LOOK: Millis = Millis(500);
const HOLD: Millis = Millis::secs(5);
const REPEAT: Millis = Millis::secs(3_600);

fn policy(hold: Millis) -> AlertPolicy {
    AlertPolicy::new(hold, REPEAT).unwrap()
}

/// A world of pipelines, and a leader who watches over it.
struct Watched {
    world: World,
    alerting: Alerting,
    hold: Millis,
    told: Vec<Alert>,
}

impl Watched {
    fn new(pipelines: usize, hold: Millis) -> Self {
        let names: Vec<_> = (0..pipelines).map(|at| format!("p{at:03}")).collect();
        let mut world = World::running(&names.iter().map(String::as_str).collect::<Vec<_>>());
        // Nothing here is about silence.
        world.ask(Command::ChangeRules(RulesChange { stale_counts_as_failed: Some(false), ..RulesChange::default() }));
        let alerting = Alerting::begin(policy(hold), &world.registry.course(), world.now);
        Self { world, alerting, hold, told: Vec::new() }
    }

    fn look(&mut self) {
        let alert = self.alerting.look(&self.world.registry, self.world.now);
        self.told.extend(alert);
    }

    /// Exactly so many have failed.
    fn fail(&mut self, failed: usize) {
        let pipelines = self.world.system().pipelines as usize;
        self.world.pass(Millis::secs(1));
        for at in 0..pipelines {
            let status = if at < failed { PipelineStatus::Failed } else { PipelineStatus::Running };
            self.world.ask(saying(&format!("p{at:03}"), status, 0, 0));
        }
        self.world.pass(Millis(1));
        self.look();
    }

    fn pass(&mut self, time: Millis) {
        let end = self.world.now.monotonic + time;
        while self.world.now.monotonic < end {
            let step = end.since(self.world.now.monotonic).min(LOOK);
            self.world.pass(step);
            self.look();
        }
    }

    /// Passes without a leader, and without anybody who looks.
    fn down(&mut self, time: Millis) {
        self.world.pass(time);
        self.world.crash();
        self.alerting = Alerting::begin(policy(self.hold), &self.world.registry.course(), self.world.now);
        self.look();
    }

    /// What was told since the last time this was asked.
    fn heard(&mut self) -> Vec<(Severity, Health)> {
        std::mem::take(&mut self.told).iter().map(|alert| (alert.severity, alert.system.health)).collect()
    }
}

#[test]
fn every_step_of_health_is_told_as_the_table_says() {
    use Health::{Critical, Degraded, Healthy};
    use Severity::{Alert, Resolved, Warning};
    let mut watched = Watched::new(5, Millis::ZERO);
    for (failed, told) in [
        (0, None),
        (1, Some((Warning, Degraded))),
        (2, None),
        (3, Some((Alert, Critical))),
        (5, None),
        (2, Some((Warning, Degraded))),
        (0, Some((Resolved, Healthy))),
        (4, Some((Alert, Critical))),
        (0, Some((Resolved, Healthy))),
    ] {
        watched.fail(failed);
        watched.pass(LOOK);
        assert_eq!(watched.heard(), Vec::from_iter(told), "{failed} of 5");
    }
}

#[test]
fn exactly_half_is_an_alert_and_one_less_is_a_warning() {
    for (pipelines, failed, severity) in
        [(4, 2, Severity::Alert), (5, 2, Severity::Warning), (1, 1, Severity::Alert), (101, 50, Severity::Warning)]
    {
        let mut watched = Watched::new(pipelines, HOLD);
        watched.fail(failed);
        watched.pass(HOLD);
        let told: Vec<_> = watched.heard().into_iter().map(|(severity, _)| severity).collect();
        assert_eq!(told, [severity], "{failed} of {pipelines}");
    }
}

#[test]
fn trouble_that_ends_before_it_has_held_is_not_told_and_needs_no_end() {
    let mut watched = Watched::new(2, HOLD);
    for _ in 0..20 {
        watched.fail(1);
        watched.pass(Millis::secs(3));
        watched.fail(0);
        watched.pass(Millis::secs(30));
    }
    assert_eq!(watched.heard(), []);
}

#[test]
fn trouble_that_changes_its_degree_all_the_time_is_told_all_the_same() {
    let mut watched = Watched::new(5, HOLD);
    for _ in 0..4 {
        watched.fail(1);
        watched.fail(4);
    }
    assert!(!watched.heard().is_empty());
}

#[test]
fn an_alert_names_the_first_of_those_in_trouble_and_says_how_many_there_are() {
    let mut watched = Watched::new(60, Millis::ZERO);
    watched.fail(40);

    let alert = watched.told.pop().unwrap();

    let names: Vec<_> = alert.troubled.iter().map(|pipeline| pipeline.id.to_string()).collect();
    let expected: Vec<_> = (0..ALERT_PIPELINES_MAX).map(|at| format!("p{at:03}")).collect();
    assert_eq!((names, alert.troubled_total), (expected, 40));
    assert_eq!((alert.system.failed, alert.system.pipelines), (40, 60));
}

#[test]
fn a_stale_pipeline_is_named_too() {
    let mut world = World::running(&["silent"]);
    world.pass(secs(120));
    let mut alerting = Alerting::begin(policy(Millis::ZERO), &Course::START, world.now);

    let alert = alerting.look(&world.registry, world.now).unwrap();

    assert_eq!((alert.severity, alert.troubled_total), (Severity::Alert, 1));
    assert!(alert.troubled[0].stale_since.is_some());
    assert_eq!(alert.course.since, alert.troubled[0].stale_since.unwrap(), "it began with the mark");
}

#[test]
fn only_what_stays_critical_is_told_again_each_time_under_an_id_of_its_own() {
    let mut watched = Watched::new(3, HOLD);
    watched.fail(1);
    watched.pass(Millis(3 * REPEAT.get()));
    assert_eq!(watched.heard().len(), 1, "degraded is told once");

    watched.fail(2);
    watched.pass(Millis(HOLD.get() + 2 * REPEAT.get()));
    let ids: Vec<_> = watched.told.iter().map(|alert| alert.id.clone()).collect();
    let since = watched.world.registry.course().since.micros();
    assert_eq!(ids, [format!("alert-{since}"), format!("alert-{since}-1"), format!("alert-{since}-2")]);
}

#[test]
fn nothing_is_repeated_where_that_is_off() {
    let mut watched = Watched::new(1, HOLD);
    watched.alerting =
        Alerting::begin(AlertPolicy::new(HOLD, Millis::ZERO).unwrap(), &Course::START, watched.world.now);
    watched.fail(1);
    watched.pass(Millis(3 * REPEAT.get()));
    assert_eq!(watched.heard().len(), 1);
}

#[test]
fn a_new_leader_repeats_under_the_same_id_and_goes_on_with_the_reminders() {
    let mut watched = Watched::new(2, HOLD);
    watched.fail(1);
    watched.pass(Millis::secs(10));
    watched.down(Millis::secs(3));
    watched.pass(Millis::secs(10));
    assert_eq!((watched.told.len(), &watched.told[0].id), (2, &watched.told[1].id));

    watched.down(Millis(2 * REPEAT.get()));
    watched.pass(Millis::secs(10));
    let last = watched.told.last().unwrap();
    assert_eq!((last.severity, last.reminder), (Severity::Alert, 2));
}

#[test]
fn the_end_of_trouble_is_told_by_the_next_leader_where_the_last_died_before_it_could() {
    let mut watched = Watched::new(2, HOLD);
    watched.fail(1);
    watched.pass(HOLD);
    watched.fail(0);
    watched.down(Millis::secs(60));
    watched.pass(HOLD);
    assert_eq!(watched.heard(), [(Severity::Alert, Health::Critical), (Severity::Resolved, Health::Healthy)]);

    watched.down(Millis(ALERT_RESOLVED_FOR.get()));
    watched.pass(HOLD);
    assert_eq!(watched.heard(), [], "and not for ever");
}

#[test]
fn trouble_that_comes_back_while_its_end_is_owed_is_told() {
    let mut watched = Watched::new(2, HOLD);
    watched.fail(1);
    watched.pass(HOLD);
    watched.fail(0);
    watched.down(Millis::secs(1));
    watched.fail(1);
    watched.pass(HOLD);
    assert_eq!(watched.heard().last(), Some(&(Severity::Alert, Health::Critical)));
}

/// A new leader took nothing for told, and so had nothing to end when trouble ended in its first seconds.
#[test]
fn trouble_that_ends_just_after_a_change_of_leader_is_resolved() {
    let mut watched = Watched::new(2, HOLD);
    watched.fail(1);
    watched.pass(HOLD);
    watched.down(Millis::secs(1));
    watched.fail(0);
    watched.pass(HOLD);
    assert_eq!(watched.heard().last(), Some(&(Severity::Resolved, Health::Healthy)));
}

#[test]
fn a_policy_out_of_range_is_refused() {
    assert_eq!(AlertPolicy::new(Millis::secs(5), Millis::secs(4 * 3_600)), Ok(AlertPolicy::default()));
    let error = AlertPolicy::new(Millis::secs(3_601), Millis::ZERO).unwrap_err();
    assert_eq!(error.to_string(), "health may be watched for at most 3600 s before it is told of, found 3601 s");
    assert!(AlertPolicy::new(Millis::ZERO, Millis::secs(59)).is_err());
    assert!(AlertPolicy::new(Millis::ZERO, Millis::secs(7 * 86_400 + 1)).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Fail(usize),
    Pass(u64),
    NewLeader(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..=4usize).prop_map(Step::Fail),
        3 => (0..20_000u64).prop_map(Step::Pass),
        1 => (0..60_000u64).prop_map(Step::NewLeader),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_health_flaps_nobody_is_flooded_and_the_last_word_is_the_truth(
        steps in steps(),
        hold in prop_oneof![Just(Millis::ZERO), (1..10_000u64).prop_map(Millis)],
    ) {
        let mut watched = Watched::new(4, hold);
        let mut by_id: BTreeMap<String, (Severity, i64, u64)> = BTreeMap::new();
        let mut leaders: Vec<Vec<Alert>> = vec![Vec::new()];
        for step in &steps {
            match step {
                Step::Fail(failed) => watched.fail(*failed),
                Step::Pass(millis) => watched.pass(Millis(*millis)),
                Step::NewLeader(millis) => {
                    leaders.last_mut().unwrap().append(&mut watched.told);
                    leaders.push(Vec::new());
                    watched.down(Millis(*millis));
                }
            }
        }
        watched.pass(Millis(hold.get() + 2 * LOOK.get()));
        leaders.last_mut().unwrap().append(&mut watched.told);

        for told in &leaders {
            for alert in told {
                prop_assert_eq!(alert.severity, Severity::of(alert.system.health), "what is told is so");
                prop_assert_eq!(alert.course.health, alert.system.health);
                let facts = (alert.severity, alert.course.since.micros(), alert.reminder);
                prop_assert_eq!(*by_id.entry(alert.id.clone()).or_insert(facts), facts, "one id, one meaning");
            }
            for pair in told.windows(2) {
                prop_assert!(pair[0].severity != pair[1].severity || pair[1].reminder > pair[0].reminder);
                prop_assert!(pair[1].at.since(pair[0].at) >= hold, "{:?} {:?}", pair[0].at, pair[1].at);
            }
        }
        let all: Vec<_> = leaders.concat();
        let told = all.last().map_or(Severity::Resolved, |alert| alert.severity);
        prop_assert_eq!(told, Severity::of(watched.world.system().health), "{:?}", all);
    }
}
