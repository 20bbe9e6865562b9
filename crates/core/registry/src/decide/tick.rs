//! What the passing of time brings.

use super::reports::updated;
use crate::event::{Ending, Event, Leaving};
use crate::limits::THINNED_USAGE_EVERY;
use crate::name::PipelineId;
use crate::state::{Due, Registry};
use capstan_ids::Moment;
use std::collections::BTreeSet;

/// The most things one step does, so that nobody waits long for it.
const AT_ONCE: usize = 1_000;

impl Registry {
    /// Everything that is due, up to a bound; at most one thing a pipeline, so that no event spoils another.
    pub(super) fn due(&self, now: Moment) -> Vec<Event> {
        let mut events = Vec::new();
        let mut touched = BTreeSet::new();
        let leaving = self.sums.leaving.iter().take_while(|(at, _)| *at <= now.wall);
        for (_, id) in leaving.take(AT_ONCE) {
            touched.insert(id);
            events.extend(self.taking_out(id, Leaving::KeptLongEnough, now.wall));
        }
        let alarms = self.sums.alarms.iter().take_while(|(at, _)| *at <= now.monotonic);
        for (_, due) in alarms.take(AT_ONCE) {
            if touched.insert(due.pipeline()) {
                events.extend(self.ended_by(due, now));
            }
        }
        events.extend(self.usage_due(now, &touched));
        events
    }

    /// Reports that are held, up to a bound, whether their second is over or not.
    pub(super) fn held(&self, now: Moment) -> impl Iterator<Item = Event> {
        let alarms = self.sums.alarms.iter().filter(|(_, due)| matches!(due, Due::Held(_)));
        alarms.take(AT_ONCE).filter_map(move |(_, due)| self.ended_by(due, now))
    }

    fn ended_by(&self, due: &Due, now: Moment) -> Option<Event> {
        match due {
            Due::Held(id) => {
                let (_, report) = self.pipelines[id].live.held.expect("only held reports have such alarms");
                Some(updated(id, report, now.wall))
            }
            Due::Silence(id) => Some(Event::MarkedStale { id: id.clone(), at: now.wall }),
            Due::Lapse(id) | Due::Patience(id) => self.giving_up(id, Ending::RanOut, now.wall),
        }
    }

    /// Usage that only memory has: as much as the second takes, and whatever has waited for a minute.
    fn usage_due(&self, now: Moment, touched: &BTreeSet<&PipelineId>) -> Vec<Event> {
        let room = self.window.room(now.monotonic) as usize;
        let mut events = Vec::new();
        for (at, id) in self.sums.unjournalled.iter().take(AT_ONCE) {
            let live = &self.pipelines[id].live;
            let in_turn = live.usage_from() <= now.monotonic && events.len() < room;
            let overdue = *at + THINNED_USAGE_EVERY <= now.monotonic;
            if !in_turn && !overdue {
                break;
            }
            if !touched.contains(id) {
                events.push(Event::ResourceUsageReported { id: id.clone(), at: now.wall, used: live.used });
            }
        }
        events
    }
}

impl Due {
    fn pipeline(&self) -> &PipelineId {
        match self {
            Self::Held(id) | Self::Silence(id) | Self::Lapse(id) | Self::Patience(id) => id,
        }
    }
}
