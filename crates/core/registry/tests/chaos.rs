//! Random lives: reports, reservations, jumping clocks, crashes and snapshots in any order keep every promise.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_ids::{Millis, WallTime};
use capstan_registry::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use world::*;

const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// Lives per property; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(128)
}

/// One step: what to do, and bytes to choose with.
type Step = [u8; 6];

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<Step>(), 1..most)
}

fn command(step: &Step) -> Command {
    let [what, who, a, b, c, d] = *step;
    let name = NAMES[who as usize % NAMES.len()];
    // Some figures cannot be, and some are just at a limit.
    let cpu = [f64::from(a) / 2.55, f64::from(a) / 10.0, 40.0, 80.0, f64::NAN, -1.0][b as usize % 6];
    let memory = [i64::from(c) * 400, 40_000, 80_000, -1, 0][d as usize % 5];
    match what % 32 {
        0..=5 => {
            let group = (c % 2 == 0).then(|| PipelineGroup::new("shop").unwrap());
            let register = Register::new(id(name), PipelineName::new(name).unwrap());
            Command::Register(Register { group, priority: i16::from(d % 3), ..register })
        }
        6 => Command::Unregister { id: id(name) },
        7..=12 => Command::UpdateStatus(StatusReport {
            id: id(name),
            status: PipelineStatus::ALL[[1, 1, 1, 0, 2, 3, 4][a as usize % 7]],
            total_records: u64::from(b % 4),
            failed_records: u64::from(c % 2),
            bytes_moved: (d % 3 != 0).then(|| u64::from(d)),
        }),
        13..=20 => Command::ReportUsage { id: id(name), cpu_percent: cpu, memory_mb: memory },
        21..=22 => beating(name),
        23..=28 => Command::Reserve(Reserve {
            ttl: secs(u64::from(a % 90)),
            wait: (b % 3 != 0).then(|| secs(u64::from(c % 120))),
            priority: (c % 2 == 0).then(|| i16::from(d % 3)),
            ..reserving(name, cpu, memory)
        }),
        29 => Command::Settle,
        30 => Command::Release { id: id(name) },
        _ => Command::ChangeRules(RulesChange {
            cpu_percent_max: (a % 2 == 0).then_some(cpu),
            memory_mb_max: (a % 3 == 0).then_some(memory),
            stale_after: (b % 4 == 0).then(|| secs(u64::from(b))),
            stale_counts_as_failed: (b % 3 == 0).then_some(c % 2 == 0),
            keep_ended: (c % 4 == 0).then(|| secs(u64::from(d))),
            only_if: None,
        }),
    }
}

/// A life, and a second opinion about it that reads nothing but events and views.
struct Life {
    world: World,
    /// When each pipeline last had an event of a kind.
    last: BTreeMap<(PipelineId, &'static str), Millis>,
    costs: BTreeMap<PipelineId, Cost>,
    /// A snapshot under way: its rows so far, and how much of the journal it covers.
    open: Option<(Vec<Vec<u8>>, usize)>,
    whole: Option<(Vec<Vec<u8>>, usize)>,
}

impl Life {
    fn new() -> Self {
        let (last, costs) = (BTreeMap::new(), BTreeMap::new());
        Self { world: World::new(), last, costs, open: None, whole: None }
    }

    fn live(steps: &[Step]) -> Self {
        let mut life = Self::new();
        for step in steps {
            life.step(step);
        }
        life
    }

    fn step(&mut self, step: &Step) {
        match step[0] {
            224..=243 => self.pass(step),
            244..=247 => {
                self.world.crash();
                self.last.clear();
                (self.open, self.whole) = (None, None);
                // Usage that only memory had is gone: a new leader hands out at once what room that makes.
                self.do_command(&Command::Tick);
            }
            248..=251 => self.open = Some((vec![self.world.registry.begin_snapshot()], self.world.journal.len())),
            _ => self.do_command(&command(step)),
        }
        self.go_on_with_the_snapshot(usize::from(step[1] % 2));
        self.watch();
    }

    fn pass(&mut self, step: &Step) {
        let by = [1, 300, 999, 1_000, 5_000, 61_000, 100_000][step[1] as usize % 7];
        self.world.now.monotonic = self.world.now.monotonic + Millis(by);
        self.world.now.wall = self.world.now.wall + Millis(by);
        if step[2].is_multiple_of(8) {
            self.world.now.wall.0 += i64::from(step[3] as i8) * 1_000_000;
        }
        while self.world.registry.is_due(self.world.now) {
            self.do_command(&Command::Tick);
        }
    }

    fn do_command(&mut self, command: &Command) {
        let (events, before) = (self.world.journal.len(), self.facts());
        let claimed = self.world.system().availability;
        match self.world.perform(command) {
            Err(_) => {
                assert_eq!(self.world.journal.len(), events, "a rejection was journalled: {command:?}");
                assert_eq!(self.facts(), before, "a rejection changed something: {command:?}");
            }
            Ok(_) => self.judge(command, events, claimed),
        }
        if let Some(first) = self.world.registry.queue().first() {
            let own = self.world.registry.pipeline(&first.id, DAWN).map_or(Resources::ZERO, |p| p.used);
            let room = self.world.system().availability;
            let after = room.claimed.minus(own).plus(own.larger(first.resources));
            assert!(!after.fits_in(room.limits), "{first:?} waits, and there is room: {room:?}");
        }
    }

    /// Reports are at most one of a kind a second, and no reservation goes beyond a limit.
    fn judge(&mut self, command: &Command, from: usize, before: Availability) {
        if matches!(command, Command::Settle | Command::Unregister { .. }) {
            // The end of a leader or of a pipeline does not wait for a second to be over.
            self.last.retain(|(_, kind), _| *kind != "PipelineStatusUpdated");
            assert!(command != &Command::Settle || !self.world.registry.holds_reports());
        }
        let now = self.world.now.monotonic.since(capstan_ids::Monotonic(0));
        for event in &self.world.journal[from..] {
            let Some(id) = event.pipeline() else { continue };
            match event {
                Event::PipelineRegistered { .. } => self.last.retain(|(known, _), _| known != id),
                Event::PipelineStatusUpdated { .. } | Event::ResourceUsageReported { .. } => {
                    if let Some(last) = self.last.insert((id.clone(), event.name()), now) {
                        assert!(now.get() - last.get() >= 1_000, "two {} of {id} within a second", event.name());
                    }
                }
                Event::Reserved { resources, .. } => {
                    let after = self.world.system().availability;
                    let grew = !after.claimed.fits_in(before.claimed);
                    // What it uses already it claims without any reservation.
                    let used = self.world.registry.pipeline(id, DAWN).map_or(Resources::ZERO, |p| p.used);
                    let allowed = !grew || after.claimed.fits_in(after.limits) || resources.fits_in(used);
                    assert!(allowed, "{event:?} made {after:?} of {before:?}");
                }
                _ => {}
            }
        }
    }

    /// What is shown adds up, and costs only grow.
    fn watch(&mut self) {
        let system = self.world.system();
        let page = self.world.registry.list(&Listing::default(), self.world.now.wall).unwrap();
        let used = page.pipelines.iter().fold(Resources::ZERO, |sum, pipeline| sum.plus(pipeline.used));
        assert_eq!((system.used, system.pipelines), (used, page.pipelines.len() as u64));
        assert!(page.pipelines.is_sorted_by(|a, b| a.id < b.id));
        let failed = page.pipelines.iter().filter(|pipeline| {
            let stale = pipeline.stale_since.is_some() && self.world.registry.rules().stale_counts_as_failed;
            stale || pipeline.status == PipelineStatus::Failed
        });
        assert_eq!(system.health, Health::of(system.pipelines, failed.count() as u64));
        self.costs.retain(|id, _| page.pipelines.iter().any(|pipeline| pipeline.id == *id));
        for (id, before) in &mut self.costs {
            // Long before it began: what is charged already, and nothing that is still running.
            let cost = self.world.registry.pipeline(id, WallTime(i64::MIN)).expect("it was just listed").cost;
            assert!(cost.cpu_seconds() >= before.cpu_seconds(), "the CPU cost of {id} shrank");
            assert!(cost.memory_mb_seconds() >= before.memory_mb_seconds(), "the memory cost of {id} shrank");
            assert!(cost.bytes_moved() >= before.bytes_moved(), "{id} moved less than before");
            *before = cost;
        }
        let new = page.pipelines.into_iter().filter(|pipeline| !self.costs.contains_key(&pipeline.id));
        let new: Vec<_> = new.map(|pipeline| (pipeline.id, Cost::default())).collect();
        self.costs.extend(new);
    }

    fn go_on_with_the_snapshot(&mut self, most: usize) {
        let Some((rows, _)) = &mut self.open else { return };
        match self.world.registry.snapshot_slice(most) {
            Slice::Rows(more) => rows.extend(more),
            Slice::Whole => self.whole = self.open.take(),
            Slice::Abandoned => self.open = None,
        }
    }

    /// Everything that is journalled, by a registry that has read only the journal.
    fn facts(&mut self) -> Vec<Vec<u8>> {
        let mut registry = replayed(Registry::new(), &self.world.journal, self.world.now);
        portrait(&mut registry)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_promise_holds_whatever_happens(steps in steps(120)) {
        Life::live(&steps);
    }

    #[test]
    fn a_replay_of_the_journal_gives_the_same_facts(steps in steps(120)) {
        let mut life = Life::live(&steps);
        let from_the_journal = life.facts();
        life.world.registry.abandon_snapshot();
        prop_assert_eq!(portrait(&mut life.world.registry), from_the_journal);
    }

    #[test]
    fn a_snapshot_and_the_events_after_it_give_the_same_facts(steps in steps(160)) {
        let mut life = Life::live(&steps);
        let Some((rows, covers)) = life.whole.take() else { return Ok(()) };
        let now = life.world.now;

        let mut registry = replayed(restored(&rows, now).unwrap(), &life.world.journal[covers..], now);
        registry.restart_liveness(now);

        registry.check().unwrap();
        prop_assert_eq!(portrait(&mut registry), life.facts());
    }

    #[test]
    fn bytes_that_are_no_event_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(event) = Event::decode(&bytes) {
            let mut world = World::running(&["a"]);
            world.registry.apply(world.now, &event);
            world.registry.check().unwrap();
        }
        prop_assert!(restored(&[bytes], world::World::new().now).is_err());
    }

    #[test]
    fn a_row_with_a_wrong_byte_makes_a_sound_registry_or_none(at in any::<(u8, u16, u8)>(), steps in steps(60)) {
        let mut life = Life::live(&steps);
        let mut rows = life.facts();
        let row = at.0 as usize % rows.len();
        let byte = at.1 as usize % rows[row].len();
        rows[row][byte] = at.2;
        if let Ok(registry) = restored(&rows, life.world.now) {
            registry.check().unwrap();
        }
    }

    #[test]
    fn events_in_any_order_never_panic_and_keep_the_sums(steps in steps(80), order in any::<u64>()) {
        let life = Life::live(&steps);
        let mut events = life.world.journal.clone();
        let len = events.len().max(1);
        (0..events.len()).for_each(|at| events.swap(at, (at * 31 + order as usize % 977) % len));

        let registry = replayed(Registry::new(), &events, life.world.now);

        registry.check().unwrap();
    }
}
