//! The promises that can be seen in the state, checked. Units, properties, the simulator and debug builds call this.

use crate::limits::{PIPELINES_MAX, RESERVATIONS_MAX, WAITING_MAX};
use crate::name::PipelineId;
use crate::pipeline::Pipeline;
use crate::resources::Resources;
use crate::state::{Registry, Sums};

/// A promise that does not hold: a fault of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{promise} is broken for {what}: {found}")]
pub struct Violation {
    /// Which promise, by its number.
    pub promise: &'static str,
    /// For which pipeline, or for all.
    pub what: String,
    /// What was expected and what was found.
    pub found: String,
}

fn broken(promise: &'static str, what: impl ToString, found: impl Into<String>) -> Result<(), Violation> {
    Err(Violation { promise, what: what.to_string(), found: found.into() })
}

impl Registry {
    /// Recounts everything. Costs as much as there is state.
    pub fn check(&self) -> Result<(), Violation> {
        self.check_sums()?;
        self.check_queue()?;
        self.check_limits()?;
        self.pipelines.iter().try_for_each(|(id, pipeline)| self.check_pipeline(id, pipeline))?;
        self.check_course()
    }

    fn check_sums(&self) -> Result<(), Violation> {
        let mut recount = Sums::default();
        self.ids().iter().for_each(|id| recount.add(self.part_of(id)));
        let sums = &self.sums;
        if (sums.used, sums.by_status, sums.stale) != (recount.used, recount.by_status, recount.stale) {
            return broken("R2", "all", format!("summed {sums:?}, a recount gives {recount:?}"));
        }
        if sums.claimed != recount.claimed {
            return broken("R4", "all", format!("{} are claimed, a recount gives {}", sums.claimed, recount.claimed));
        }
        if sums.queue != recount.queue {
            return broken("R5", "all", format!("the queue is {:?}, and should be {:?}", sums.queue, recount.queue));
        }
        if (&sums.alarms, &sums.leaving) != (&recount.alarms, &recount.leaving) {
            return broken("R7", "all", format!("alarms are {:?}, and should be {:?}", sums.alarms, recount.alarms));
        }
        if sums.unjournalled != recount.unjournalled {
            let found = format!("{:?} are not journalled, and should be {:?}", sums.unjournalled, recount.unjournalled);
            return broken("R6", "all", found);
        }
        Ok(())
    }

    fn check_course(&self) -> Result<(), Violation> {
        let (course, health) = (self.course, self.health());
        if course.health != health {
            return broken("R13", "all", format!("health is {health}, and its course says {}", course.health));
        }
        Ok(())
    }

    fn check_queue(&self) -> Result<(), Violation> {
        for (id, waiting) in &self.waiting {
            if self.reservations.contains_key(id) {
                return broken("R5", id, "it holds room and waits for room");
            }
            if waiting.number >= self.queued {
                return broken("R5", id, format!("it has number {} of {}", waiting.number, self.queued));
            }
        }
        Ok(())
    }

    fn check_limits(&self) -> Result<(), Violation> {
        for (what, count, limit) in [
            ("pipelines", self.pipelines.len(), PIPELINES_MAX),
            ("reservations", self.reservations.len(), RESERVATIONS_MAX),
            ("waiting", self.waiting.len(), WAITING_MAX),
        ] {
            if count > limit {
                return broken("R10", what, format!("there are {count}, and there may be {limit}"));
            }
        }
        Ok(())
    }

    fn check_pipeline(&self, id: &PipelineId, pipeline: &Pipeline) -> Result<(), Violation> {
        let facts = &pipeline.facts;
        if facts.ended.is_some() != pipeline.is_ended() {
            return broken("R7", id, format!("it is {} and ended at {:?}", facts.report.status, facts.ended));
        }
        if facts.stale.is_some() && pipeline.is_ended() {
            return broken("R7", id, "it has ended and is stale");
        }
        if pipeline.is_ended() && (facts.used, pipeline.live.used) != (Resources::ZERO, Resources::ZERO) {
            return broken(
                "R2",
                id,
                format!("it has ended and uses {} ({} by its facts)", pipeline.live.used, facts.used),
            );
        }
        if pipeline.live.held.is_some() && pipeline.live.status_at.is_none() {
            return broken("R6", id, "a report is held, and none was journalled before it");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Cpu;
    use crate::{Command, PipelineName, Register, Reserve, StatusReport};
    use crate::{PipelineStatus, RulesChange};
    use capstan_ids::{Millis, Moment, Monotonic, WallTime};

    /// A running, a stopped and a waiting pipeline, and one that holds room.
    fn sound() -> Registry {
        let mut registry = Registry::new();
        let id = |name: &str| PipelineId::new(name).unwrap();
        let new = |name: &str| Command::Register(Register::new(id(name), PipelineName::new(name).unwrap()));
        let said = |name: &str, status| {
            let id = id(name);
            Command::UpdateStatus(StatusReport { id, status, total_records: 1, failed_records: 0, bytes_moved: None })
        };
        let commands = [
            new("a"),
            new("b"),
            said("a", PipelineStatus::Running),
            said("b", PipelineStatus::Stopped),
            Command::ReportUsage { id: id("a"), cpu_percent: 10.5, memory_mb: 100 },
            Command::Reserve(Reserve::new(id("c"), 60.0, 100)),
            Command::Reserve(Reserve { wait: Some(Millis::secs(9)), ..Reserve::new(id("d"), 60.0, 1) }),
            Command::ChangeRules(RulesChange { stale_after: Some(Millis::secs(9)), ..RulesChange::default() }),
        ];
        let now = Moment { monotonic: Monotonic(5_000), wall: WallTime(9) };
        for command in commands {
            registry.perform(&command, now, &mut |_| {}).unwrap();
        }
        registry.check().unwrap();
        registry
    }

    /// What to spoil, and the promise that it breaks.
    type Spoilt = (&'static str, fn(&mut Registry));

    fn entry(registry: &mut Registry) -> &mut Pipeline {
        registry.pipelines.values_mut().next().unwrap()
    }

    #[test]
    fn every_broken_promise_is_seen() {
        let table: [Spoilt; 12] = [
            ("R2", |r| r.sums.used.memory_mb += 1),
            ("R2", |r| r.sums.by_status[1] += 1),
            ("R2", |r| r.sums.stale += 1),
            ("R4", |r| r.sums.claimed.cpu = Cpu::percent(1)),
            ("R5", |r| r.sums.queue.clear()),
            ("R7", |r| drop(r.sums.alarms.pop_first())),
            ("R7", |r| r.sums.leaving.clear()),
            ("R6", |r| _ = r.sums.unjournalled.insert((Monotonic(1), PipelineId::new("a").unwrap()))),
            ("R5", |r| r.queued = 0),
            ("R7", |r| entry(r).facts.ended = Some(WallTime(1))),
            ("R2", |r| entry(r).live.used = Resources::ZERO),
            ("R13", |r| r.course = crate::Course::START),
        ];
        for (at, (promise, spoil)) in table.into_iter().enumerate() {
            let mut registry = sound();
            spoil(&mut registry);
            assert_eq!(registry.check().map_err(|violation| violation.promise), Err(promise), "line {at}");
        }
    }

    #[test]
    fn an_entry_that_contradicts_itself_is_seen_even_when_all_is_counted_anew() {
        let table: [Spoilt; 5] = [
            ("R2", |r| r.pipelines.values_mut().last().unwrap().live.used.memory_mb = 1),
            ("R7", |r| entry(r).facts.ended = Some(WallTime(1))),
            ("R7", |r| r.pipelines.values_mut().last().unwrap().facts.stale = Some(WallTime(1))),
            ("R6", |r| {
                let entry = entry(r);
                entry.live.held = Some((Monotonic(1), entry.facts.report));
                entry.live.status_at = None;
            }),
            ("R5", |r| {
                let (id, held) = r.reservations.first_key_value().map(|(id, held)| (id.clone(), held.clone())).unwrap();
                let mut waiting = r.waiting.values().next().unwrap().clone();
                waiting.resources = held.resources;
                r.waiting.insert(id, waiting);
            }),
        ];
        for (at, (promise, spoil)) in table.into_iter().enumerate() {
            let mut registry = sound();
            spoil(&mut registry);
            registry.sum_up();
            assert_eq!(registry.check().map_err(|violation| violation.promise), Err(promise), "line {at}");
        }
    }
}
