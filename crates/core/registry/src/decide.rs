//! What would happen: reads the state, changes nothing.

use crate::answer::{Answer, Reported};
use crate::command::Command;
use crate::event::Event;
use crate::name::PipelineId;
use crate::rejection::Rejection;
use crate::state::Registry;
use crate::view::PipelineView;
use capstan_ids::Moment;

mod admission;
mod entries;
mod reports;
mod tick;

/// What a command comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What happens.
    pub events: Vec<Event>,
    /// What is answered once that is applied.
    reply: Reply,
}

/// How the answer is made.
#[derive(Clone, Debug, PartialEq)]
enum Reply {
    Registered(PipelineId),
    Unregistered(Box<PipelineView>),
    Reported(Reported),
    Reservation(PipelineId),
    Released,
    Rules,
    Ticked,
}

impl Registry {
    /// Says what a command would come to, without changing anything.
    pub fn decide(&self, command: &Command, now: Moment) -> Result<Decision, Rejection> {
        match command {
            Command::Register(register) => self.decide_register(register, now),
            Command::Unregister { id } => self.decide_unregister(id, now),
            Command::UpdateStatus(report) => self.decide_status(report, now),
            Command::ReportUsage { id, cpu_percent, memory_mb } => self.decide_usage(id, *cpu_percent, *memory_mb, now),
            Command::Heartbeat { id } => Ok(self.decide_heartbeat(id, now)),
            Command::Reserve(reserve) => self.decide_reserve(reserve, now),
            Command::Release { id } => self.decide_release(id, now),
            Command::ChangeRules(change) => self.decide_rules(change, now),
            Command::Tick => Ok(Decision { events: self.due(now), reply: Reply::Ticked }),
            Command::Settle => Ok(Decision { events: self.held(now).collect(), reply: Reply::Ticked }),
        }
    }

    /// Decides a command, applies it, hands room that became free to those who wait for it, gives each event that is
    /// to be journalled to `record`, and answers.
    ///
    /// A rejection has changed nothing. The answer may be told once every recorded event is durable.
    pub fn perform(
        &mut self,
        command: &Command,
        now: Moment,
        record: &mut dyn FnMut(&Event),
    ) -> Result<Answer, Rejection> {
        let decision = self.decide(command, now)?;
        self.apply_all(&decision.events, now, record);
        let admitted = self.decide_admissions(now);
        self.apply_all(&admitted, now, record);
        Ok(self.answer(decision.reply, now))
    }

    fn apply_all(&mut self, events: &[Event], now: Moment, record: &mut dyn FnMut(&Event)) {
        for event in events {
            self.apply(now, event);
            if event.is_durable() {
                record(event);
            }
        }
    }

    fn answer(&self, reply: Reply, now: Moment) -> Answer {
        match reply {
            Reply::Registered(id) => Answer::Registered {
                pipeline: Box::new(self.pipeline(&id, now.wall).expect("it was just registered")),
                system: Box::new(self.system()),
            },
            Reply::Unregistered(pipeline) => Answer::Unregistered { pipeline, system: Box::new(self.system()) },
            Reply::Reported(reported) => Answer::Reported(reported),
            Reply::Reservation(id) => {
                Answer::Reservation(self.reservation(&id).expect("it was just made, and nothing ends it in this step"))
            }
            Reply::Released => Answer::Released,
            Reply::Rules => Answer::Rules(self.rules.clone()),
            Reply::Ticked => Answer::Ticked { more: self.is_due(now) },
        }
    }
}
