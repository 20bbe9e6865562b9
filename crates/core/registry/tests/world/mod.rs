//! A small deterministic world around the core: its state, its journal, and a clock that only tests move.
//!
//! Every step is followed by a check of every promise.

#![allow(dead_code, reason = "each test file uses its part of the world")]

use capstan_ids::{Millis, Moment, Monotonic, WallTime};
use capstan_registry::*;

#[derive(Debug)]
pub struct World {
    pub registry: Registry,
    pub journal: Vec<Event>,
    pub now: Moment,
}

/// The wall clock when a world begins: far from the monotonic one, so that nobody mistakes one for the other.
pub const DAWN: WallTime = WallTime(1_790_000_000_000_000);

pub fn id(text: &str) -> PipelineId {
    PipelineId::new(text).unwrap()
}

pub fn secs(seconds: u64) -> Millis {
    Millis::secs(seconds)
}

pub fn resources(cpu_percent: f64, memory_mb: i64) -> Resources {
    Resources::of_a_pipeline(cpu_percent, memory_mb).unwrap()
}

pub fn registering(name: &str) -> Command {
    Command::Register(Register::new(id(name), PipelineName::new(format!("Pipeline {name}")).unwrap()))
}

pub fn saying(name: &str, status: PipelineStatus, total_records: u64, failed_records: u64) -> Command {
    Command::UpdateStatus(StatusReport { id: id(name), status, total_records, failed_records, bytes_moved: None })
}

pub fn using(name: &str, cpu_percent: f64, memory_mb: i64) -> Command {
    Command::ReportUsage { id: id(name), cpu_percent, memory_mb }
}

pub fn beating(name: &str) -> Command {
    Command::Heartbeat { id: id(name) }
}

pub fn reserving(name: &str, cpu_percent: f64, memory_mb: i64) -> Reserve {
    Reserve::new(id(name), cpu_percent, memory_mb)
}

pub fn limiting(cpu_percent: f64, memory_mb: i64) -> Command {
    Command::ChangeRules(RulesChange {
        cpu_percent_max: Some(cpu_percent),
        memory_mb_max: Some(memory_mb),
        ..RulesChange::default()
    })
}

impl World {
    pub fn new() -> Self {
        Self { registry: Registry::new(), journal: Vec::new(), now: Moment { monotonic: Monotonic(5_000), wall: DAWN } }
    }

    /// A world with these pipelines, registered and running.
    pub fn running(names: &[&str]) -> Self {
        let mut world = Self::new();
        for name in names {
            world.ask(registering(name));
            world.ask(saying(name, PipelineStatus::Running, 0, 0));
        }
        world.pass(secs(1));
        world
    }

    pub fn perform(&mut self, command: &Command) -> Result<Answer, Rejection> {
        let Self { registry, journal, now } = self;
        let answer = registry.perform(command, *now, &mut |event| journal.push(event.clone()));
        self.registry.check().unwrap();
        answer
    }

    pub fn ask(&mut self, command: Command) -> Answer {
        self.perform(&command).unwrap()
    }

    pub fn report(&mut self, command: Command) -> Reported {
        match self.ask(command) {
            Answer::Reported(reported) => reported,
            other => panic!("{other:?} is no report"),
        }
    }

    pub fn reserve(&mut self, reserve: Reserve) -> Result<ReservationView, Rejection> {
        match self.perform(&Command::Reserve(reserve))? {
            Answer::Reservation(reservation) => Ok(reservation),
            other => panic!("{other:?} is no reservation"),
        }
    }

    /// Lets time pass on both clocks, doing what is due as it becomes due.
    pub fn pass(&mut self, time: Millis) {
        let end = Moment { monotonic: self.now.monotonic + time, wall: self.now.wall + time };
        loop {
            self.settle();
            let next = self.registry.next_alarm().filter(|at| *at > self.now.monotonic && *at <= end.monotonic);
            let Some(next) = next else { break };
            let step = next.since(self.now.monotonic);
            self.now = Moment { monotonic: next, wall: self.now.wall + step };
        }
        self.now = end;
        self.settle();
    }

    /// Does what is due now.
    pub fn settle(&mut self) {
        let mut rounds = 0;
        while self.registry.is_due(self.now) {
            let before = self.journal.len();
            self.ask(Command::Tick);
            assert!(self.journal.len() > before, "something is due, and nothing is done about it");
            rounds += 1;
            assert!(rounds < 1_000, "there is no end to what is due");
        }
    }

    /// A new leader: everything from the journal alone.
    pub fn crash(&mut self) {
        self.registry = replayed(Registry::new(), &self.journal, self.now);
        self.registry.restart_liveness(self.now);
        self.registry.check().unwrap();
    }

    pub fn pipeline(&self, name: &str) -> PipelineView {
        self.registry.pipeline(&id(name), self.now.wall).unwrap_or_else(|| panic!("there is no {name}"))
    }

    pub fn system(&self) -> SystemView {
        self.registry.system()
    }

    /// What was journalled since the last time this was asked, about one pipeline.
    pub fn events_of(&self, name: &str) -> Vec<&'static str> {
        let pipeline = id(name);
        self.journal.iter().filter(|event| event.pipeline() == Some(&pipeline)).map(Event::name).collect()
    }
}

/// A registry after these events.
pub fn replayed(mut registry: Registry, events: &[Event], now: Moment) -> Registry {
    for event in events {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        registry.apply(now, &Event::decode(&bytes).expect("what was written reads"));
    }
    registry
}

/// Everything that is journalled, as rows: equal portraits are equal facts.
pub fn portrait(registry: &mut Registry) -> Vec<Vec<u8>> {
    let mut rows = vec![registry.begin_snapshot()];
    while let Slice::Rows(more) = registry.snapshot_slice(usize::MAX) {
        rows.extend(more);
    }
    rows
}

/// A registry out of what [`portrait`] gave.
pub fn restored(rows: &[Vec<u8>], now: Moment) -> Result<Registry, RestoreError> {
    let mut restore = Registry::restore(&rows[0], now)?;
    for row in &rows[1..] {
        restore.row(row)?;
    }
    restore.finish()
}
