//! Coming, going, and the rules for all.

use super::reports::updated;
use super::{Decision, Reply};
use crate::command::Register;
use crate::event::{Ending, Event, Leaving};
use crate::limits::{LABELS_MAX, PIPELINES_MAX};
use crate::name::PipelineId;
use crate::rejection::Rejection;
use crate::rules::RulesChange;
use crate::state::Registry;
use capstan_ids::{Moment, WallTime};

impl Registry {
    pub(super) fn decide_register(&self, register: &Register, now: Moment) -> Result<Decision, Rejection> {
        let Register { id, name, group, priority, labels } = register;
        if self.pipelines.contains_key(id) {
            return Err(Rejection::PipelineExists(id.clone()));
        }
        if labels.len() > LABELS_MAX {
            return Err(Rejection::OutOfRange {
                field: "labels",
                expected: "at most 32",
                found: labels.len().to_string(),
            });
        }
        if self.pipelines.len() >= PIPELINES_MAX {
            return Err(Rejection::LimitReached {
                what: "the number of pipelines",
                limit: PIPELINES_MAX as u64,
                advice: "unregister some that have ended, or keep them for a shorter time",
            });
        }
        let event = Event::PipelineRegistered {
            id: id.clone(),
            at: now.wall,
            name: name.clone(),
            group: group.clone(),
            priority: *priority,
            labels: labels.clone(),
        };
        Ok(Decision { events: vec![event], reply: Reply::Registered(id.clone()) })
    }

    pub(super) fn decide_unregister(&self, id: &PipelineId, now: Moment) -> Result<Decision, Rejection> {
        let pipeline = self.pipelines.get(id).ok_or_else(|| Rejection::PipelineUnknown(id.clone()))?;
        let mut last = pipeline.clone();
        // A report that is held was accepted: it is part of the end.
        let held = pipeline.live.held.map(|(_, report)| report);
        if let Some(report) = held {
            last.take(report, now.wall, now.monotonic);
        }
        let recorded = held.map(|report| updated(id, report, now.wall));
        Ok(Decision {
            events: recorded.into_iter().chain(self.taking_out(id, Leaving::Asked, now.wall)).collect(),
            reply: Reply::Unregistered(Box::new(self.view(id, &last, now.wall))),
        })
    }

    /// A pipeline's end in the registry: what it reserved or waits for goes with it.
    pub(super) fn taking_out(&self, id: &PipelineId, cause: Leaving, at: WallTime) -> impl Iterator<Item = Event> {
        let unregistered = Event::PipelineUnregistered { id: id.clone(), at, cause };
        self.giving_up(id, Ending::Unregistered, at).into_iter().chain([unregistered])
    }

    pub(super) fn decide_rules(&self, change: &RulesChange, now: Moment) -> Result<Decision, Rejection> {
        let rules = change.applied_to(&self.rules)?;
        let mut events = Vec::new();
        if rules != self.rules {
            // Whoever waits for more than there can be would keep everybody behind from room that is there.
            let never = self.waiting.iter().filter(|(_, waiting)| !waiting.resources.fits_in(rules.limits));
            let dropped: Vec<_> =
                never.filter_map(|(id, _)| self.giving_up(id, Ending::LargerThanLimits, now.wall)).collect();
            events.push(Event::LimitsChanged { at: now.wall, rules });
            events.extend(dropped);
        }
        Ok(Decision { events, reply: Reply::Rules })
    }
}
