//! Who gets room: check and take in one step, and a queue in which nobody is overtaken.

use super::{Decision, Reply};
use crate::command::Reserve;
use crate::event::{Ending, Event};
use crate::limits::{PATIENCE_MAX, RESERVATIONS_MAX, TTL_MAX, TTL_MIN, WAITING_MAX};
use crate::name::PipelineId;
use crate::rejection::Rejection;
use crate::resources::Resources;
use crate::rules::within;
use crate::state::Registry;
use capstan_ids::{Millis, Moment, WallTime};

/// A request for room whose figures have been checked.
struct Asked<'a> {
    id: &'a PipelineId,
    resources: Resources,
    ttl: Millis,
    priority: i16,
    at: WallTime,
}

impl Registry {
    pub(super) fn decide_reserve(&self, reserve: &Reserve, now: Moment) -> Result<Decision, Rejection> {
        let id = &reserve.id;
        let asked = Asked {
            id,
            resources: Resources::of_a_pipeline(reserve.cpu_percent, reserve.memory_mb)?,
            ttl: within(reserve.ttl, TTL_MIN, TTL_MAX, "ttl", "1 s to 1 day")?,
            priority: reserve.priority.unwrap_or_else(|| self.pipelines.get(id).map_or(0, |p| p.facts.priority)),
            at: now.wall,
        };
        let patience = match reserve.wait {
            Some(wait) => Some(within(wait, Millis(1), PATIENCE_MAX, "wait", "1 ms to 1 day")?),
            None => None,
        };
        let events = if self.reservations.contains_key(id) {
            self.held_again(&asked)?
        } else if self.waits_for_the_same(&asked) {
            Vec::new()
        } else {
            vec![self.admit_or_queue(&asked, patience)?]
        };
        Ok(Decision { events, reply: Reply::Reservation(id.clone()) })
    }

    /// A reservation there is, made again: renewed as it is, or with other figures if those fit.
    fn held_again(&self, asked: &Asked<'_>) -> Result<Vec<Event>, Rejection> {
        let held = &self.reservations[asked.id];
        if (held.resources, held.ttl, held.priority) == (asked.resources, asked.ttl, asked.priority) {
            return Ok(vec![Event::ReservationRenewed { id: asked.id.clone() }]);
        }
        // Whoever holds room never waits for more of it: two that did would wait for each other.
        let gives_back = asked.resources.fits_in(held.resources);
        if gives_back || self.may_take(asked) { Ok(vec![asked.granted()]) } else { Err(self.refusal(asked)) }
    }

    fn waits_for_the_same(&self, asked: &Asked<'_>) -> bool {
        self.waiting.get(asked.id).is_some_and(|waiting| {
            (waiting.resources, waiting.ttl, waiting.priority) == (asked.resources, asked.ttl, asked.priority)
        })
    }

    fn admit_or_queue(&self, asked: &Asked<'_>, patience: Option<Millis>) -> Result<Event, Rejection> {
        let refusal = match patience {
            _ if self.may_take(asked) => {
                let room = self.reservations.len() < RESERVATIONS_MAX;
                return if room { Ok(asked.granted()) } else { Err(too_many("reservations", RESERVATIONS_MAX)) };
            }
            Some(patience) if asked.resources.fits_in(self.rules.limits) => {
                if self.waiting.len() < WAITING_MAX || self.waiting.contains_key(asked.id) {
                    return Ok(asked.queued(patience));
                }
                too_many("reservations that wait for room", WAITING_MAX)
            }
            _ => self.refusal(asked),
        };
        Err(refusal)
    }

    fn refusal(&self, asked: &Asked<'_>) -> Rejection {
        let limits = self.rules.limits;
        if !asked.resources.fits_in(limits) {
            return Rejection::LargerThanLimits { asked: asked.resources, limits };
        }
        let free = limits.minus(self.sums.claimed);
        Rejection::NoRoom { asked: asked.resources, free, waiting: self.waiting.len() as u64 }
    }

    /// Whether it fits, and nobody goes before it.
    fn may_take(&self, asked: &Asked<'_>) -> bool {
        let first = self.sums.queue.iter().find(|(.., id)| id != asked.id);
        let overtakes = first.is_some_and(|(priority, ..)| priority.0 >= asked.priority);
        !overtakes && self.fits(self.sums.claimed, asked.id, asked.resources).is_some()
    }

    /// What would be claimed with this reservation; none if it does not fit.
    ///
    /// What a pipeline uses or has reserved already it need not find room for.
    fn fits(&self, claimed: Resources, id: &PipelineId, asked: Resources) -> Option<Resources> {
        let own = self.claim_of(id);
        let wanted = asked.larger(self.used_by(id));
        let after = claimed.minus(own).plus(wanted);
        (wanted.fits_in(own) || after.fits_in(self.rules.limits)).then_some(after)
    }

    pub(super) fn decide_release(&self, id: &PipelineId, now: Moment) -> Result<Decision, Rejection> {
        let ended = self.giving_up(id, Ending::Asked, now.wall);
        let event = ended.ok_or_else(|| Rejection::ReservationUnknown(id.clone()))?;
        Ok(Decision { events: vec![event], reply: Reply::Released })
    }

    /// The end of what a pipeline holds or waits for, if it does.
    pub(super) fn giving_up(&self, id: &PipelineId, cause: Ending, at: WallTime) -> Option<Event> {
        if self.reservations.contains_key(id) {
            return Some(Event::Released { id: id.clone(), at, cause });
        }
        self.waiting.contains_key(id).then(|| Event::ReservationDropped { id: id.clone(), at, cause })
    }

    /// Hands out what room there is to those who wait, in their order, up to the first for whom it is not enough.
    pub(crate) fn decide_admissions(&self, now: Moment) -> Vec<Event> {
        let mut claimed = self.sums.claimed;
        let mut events = Vec::new();
        for (.., id) in &self.sums.queue {
            let waiting = &self.waiting[id];
            let more = self.reservations.len() + events.len() < RESERVATIONS_MAX;
            let Some(after) = self.fits(claimed, id, waiting.resources).filter(|_| more) else { break };
            claimed = after;
            let (resources, ttl, priority) = (waiting.resources, waiting.ttl, waiting.priority);
            events.push(Event::Reserved { id: id.clone(), at: now.wall, resources, ttl, priority });
        }
        events
    }

    /// Who would get room now without anybody asking: after every step nobody, unless events were applied one by one.
    pub(crate) fn next_admitted(&self) -> Option<&PipelineId> {
        let (.., id) = self.sums.queue.first()?;
        let room = self.reservations.len() < RESERVATIONS_MAX;
        self.fits(self.sums.claimed, id, self.waiting[id].resources).filter(|_| room).map(|_| id)
    }
}

fn too_many(what: &'static str, limit: usize) -> Rejection {
    Rejection::LimitReached { what, limit: limit as u64, advice: "try again later, or release what is not needed" }
}

impl Asked<'_> {
    fn granted(&self) -> Event {
        Event::Reserved {
            id: self.id.clone(),
            at: self.at,
            resources: self.resources,
            ttl: self.ttl,
            priority: self.priority,
        }
    }

    fn queued(&self, patience: Millis) -> Event {
        Event::ReservationQueued {
            id: self.id.clone(),
            at: self.at,
            resources: self.resources,
            ttl: self.ttl,
            priority: self.priority,
            patience,
        }
    }
}
