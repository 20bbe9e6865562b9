//! Which items an acquirer gets.

use super::bounds::{GRANTS_MAX, NAMES_MAX};
use super::{Decision, Reply};
use crate::answer::{Answer, Grant, NoWork};
use crate::command::Acquire;
use crate::event::{Event, GrantKey};
use crate::item::{Item, ItemState};
use crate::policy::{LeaseGrowth, Policy};
use crate::rejection::Rejection;
use crate::session::{Mode, Session};
use crate::state::{Context, WorkState};
use capstan_ids::{ItemId, LimitName, Millis, SessionName, Token, WorkerId};
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::iter::Peekable;

impl WorkState {
    pub(super) fn decide_acquire(
        &self,
        acquire: &Acquire,
        after: Option<GrantKey>,
        context: Context,
    ) -> Result<Decision, Rejection> {
        let mut decision = self.decide_grants(acquire, after, context)?;
        if acquire.slots.is_some() || acquire.usage.is_some() {
            let (worker, sessions) = (acquire.worker.clone(), acquire.sessions.clone());
            let (slots, usage) = (acquire.slots, acquire.usage);
            decision.events.push((None, Event::WorkerSeen { worker, slots, sessions, usage }));
        }
        Ok(decision)
    }

    fn decide_grants(
        &self,
        acquire: &Acquire,
        after: Option<GrantKey>,
        context: Context,
    ) -> Result<Decision, Rejection> {
        self.check_acquire(acquire)?;
        let key = after.or_else(|| acquire.key.clone().map(GrantKey::Given));
        if let Some(grants) = key.as_ref().and_then(|key| self.regranted(&acquire.worker, key, context)) {
            return Ok(Decision::answered(Answer::Granted(grants)));
        }
        let picked = match &acquire.item {
            Some(item) => match self.pick_item(acquire, item)? {
                Ok(picked) => vec![picked],
                Err(nothing) => return Ok(Decision::answered(Answer::Nothing(nothing))),
            },
            None => self.pick(acquire),
        };
        if picked.is_empty() {
            return Ok(Decision::answered(Answer::Nothing(self.no_work(acquire))));
        }
        let mut events = Vec::with_capacity(picked.len());
        let mut grants = Vec::with_capacity(picked.len());
        for (session, number) in picked {
            let item = session.item(number);
            let length = lease_length(&session.policy, item, acquire.lease);
            let token = Token::granted_at(context.next.plus(events.len() as u64));
            grants.push(Grant {
                session: session.name.clone(),
                body: item.body.clone(),
                token,
                lease: length,
                expires: context.moment.wall + length,
                attempt: item.attempts() + 1,
                checkpoint: item.run.as_ref().and_then(|run| run.checkpoint.clone()),
                progress: item.progress(),
                started: item.run.as_ref().and_then(|run| run.started).unwrap_or(context.moment.wall),
                created: item.created,
            });
            let granted = Event::ItemGranted { number, worker: acquire.worker.clone(), length, key: key.clone() };
            events.push((Some(session.name.clone()), granted));
        }
        Ok(Decision { events, reply: Reply::Answer(Answer::Granted(grants)) })
    }

    /// Whether a request for work can be answered at all.
    pub(super) fn check_acquire(&self, acquire: &Acquire) -> Result<(), Rejection> {
        if acquire.max == 0 || acquire.max > GRANTS_MAX {
            let expected = "1 to 1,000";
            return Err(Rejection::OutOfRange { field: "max", expected, found: acquire.max.to_string() });
        }
        for (field, found) in [("sessions", acquire.sessions.len()), ("kinds", acquire.kinds.len())] {
            if found > NAMES_MAX {
                return Err(Rejection::OutOfRange { field, expected: "at most 1,000", found: found.to_string() });
            }
        }
        for session in &acquire.sessions {
            self.known(session)?;
        }
        let Some(item) = &acquire.item else { return Ok(()) };
        let [session] = acquire.sessions.as_slice() else {
            let expected = "exactly one where an item is named";
            let found = acquire.sessions.len().to_string();
            return Err(Rejection::OutOfRange { field: "sessions", expected, found });
        };
        self.known_item(session, item).map(|_| ())
    }

    /// The leases that live under a key, with what is left of them; none where there are none.
    pub(super) fn regranted(&self, worker: &WorkerId, key: &GrantKey, context: Context) -> Option<Vec<Grant>> {
        let live = self.shared.granted_under(worker, key);
        if live.is_empty() {
            return None;
        }
        let grants = live.iter().filter_map(|(session, number)| {
            let item = self.sessions.get(session)?.items.get(*number)?;
            let run = item.run.as_ref()?;
            let lease = run.lease.as_ref().filter(|lease| lease.revoked.is_none())?;
            Some(Grant {
                session: session.clone(),
                body: item.body.clone(),
                token: lease.token,
                lease: lease.deadline.since(context.moment.monotonic),
                expires: lease.expires,
                attempt: run.attempts + 1,
                checkpoint: run.checkpoint.clone(),
                progress: run.progress,
                started: run.started.unwrap_or(lease.granted),
                created: item.created,
            })
        });
        // Who holds only what was taken back asks anew: it would be told to stop at its next call.
        Some(grants.collect()).filter(|grants: &Vec<Grant>| !grants.is_empty())
    }

    fn pick_item(&self, acquire: &Acquire, id: &ItemId) -> Result<Result<(&Session, u64), NoWork>, Rejection> {
        let name = acquire.sessions.first().expect("it was checked that there is exactly one");
        let number = self.known_item(name, id)?;
        let session = self.known(name)?;
        let item = session.item(number);
        if !session.hands_out() && item.state == ItemState::Ready {
            return Ok(Err(NoWork::Paused));
        }
        if item.state != ItemState::Ready {
            return Ok(Err(NoWork::ItemNotPending(id.clone(), item.state.name())));
        }
        let room = Used::default().has_room(self, session, &session.lanes.at(item.lane).limits);
        Ok(if room { Ok((session, number)) } else { Err(NoWork::AtLimit) })
    }

    /// Up to `max` items: the least served session first, in it the highest priority, then the oldest.
    fn pick(&self, acquire: &Acquire) -> Vec<(&Session, u64)> {
        let mut used = Used::default();
        let mut picked = Vec::new();
        if let [name] = acquire.sessions.as_slice() {
            let Some(session) = self.live_session(name).filter(|session| session.hands_out()) else { return picked };
            let mut picker = Picker::new(session, acquire);
            while picked.len() < acquire.max as usize {
                let Some(number) = picker.next(self, &mut used) else { break };
                picked.push((session, number));
            }
            return picked;
        }
        let mut unopened = self
            .shared
            .turns
            .iter()
            .filter(|(_, name)| acquire.sessions.is_empty() || acquire.sessions.contains(name))
            .peekable();
        let mut open: BTreeSet<(u64, SessionName)> = BTreeSet::new();
        let mut pickers: HashMap<SessionName, Picker<'_>> = HashMap::new();
        while picked.len() < acquire.max as usize {
            while let Some((served, name)) =
                unopened.next_if(|(served, _)| open.first().is_none_or(|(least, _)| served <= least))
            {
                open.insert((*served, name.clone()));
            }
            let Some((served, name)) = open.pop_first() else { break };
            let session = &self.sessions[&name];
            let picker = pickers.entry(name.clone()).or_insert_with(|| Picker::new(session, acquire));
            if let Some(number) = picker.next(self, &mut used) {
                picked.push((session, number));
                open.insert((served + (1 << 20) / u64::from(session.policy.weight.max(1)), name));
            }
        }
        picked
    }

    /// Why there is nothing: what comes soonest, over all the sessions that were asked.
    fn no_work(&self, acquire: &Acquire) -> NoWork {
        let asked: Vec<&Session> = if acquire.sessions.is_empty() {
            self.sessions.values().map(|session| &**session).filter(|session| session.mode != Mode::Deleted).collect()
        } else {
            acquire.sessions.iter().filter_map(|name| self.live_session(name)).collect()
        };
        let reasons = asked.into_iter().map(|session| session.no_work(acquire));
        reasons.reduce(sooner).unwrap_or(NoWork::Empty)
    }
}

impl Session {
    /// Why this session has nothing.
    fn no_work(&self, acquire: &Acquire) -> NoWork {
        match self.mode {
            Mode::Paused(_) => return NoWork::Paused,
            Mode::Cancelled(_) | Mode::Closed | Mode::Deleted => return NoWork::Ended,
            Mode::Running => {}
        }
        let counts = &self.counts;
        let waiting = counts.of(ItemState::Waiting) + counts.of(ItemState::Delayed);
        let failed = counts.of(ItemState::Failed);
        if counts.total() == 0 {
            NoWork::Empty
        } else if counts.of(ItemState::Ready) > 0 {
            let wanted = self.lanes.iter().any(|(_, lane)| lane.ready() > 0 && wants(acquire, &lane.kind));
            if wanted { NoWork::AtLimit } else { NoWork::OtherKinds }
        } else if counts.of(ItemState::Assigned) > 0 {
            NoWork::HeldByOthers { assigned: counts.of(ItemState::Assigned) }
        } else if waiting > 0 {
            NoWork::NotYet { waiting }
        } else if failed + counts.of(ItemState::Blocked) > 0 {
            NoWork::Failed { failed }
        } else {
            NoWork::AllDone
        }
    }
}

/// Of two reasons the one that ends sooner by itself; numbers add up.
fn sooner(one: NoWork, other: NoWork) -> NoWork {
    let rank = |why: &NoWork| match why {
        NoWork::AtLimit => 0,
        NoWork::HeldByOthers { .. } => 1,
        NoWork::NotYet { .. } => 2,
        NoWork::OtherKinds => 3,
        NoWork::Paused => 4,
        NoWork::Failed { .. } => 5,
        NoWork::ItemNotPending(..) => 6,
        NoWork::AllDone => 7,
        NoWork::Ended => 8,
        NoWork::Empty => 9,
    };
    match (one, other) {
        (NoWork::HeldByOthers { assigned: a }, NoWork::HeldByOthers { assigned: b }) => {
            NoWork::HeldByOthers { assigned: a + b }
        }
        (NoWork::NotYet { waiting: a }, NoWork::NotYet { waiting: b }) => NoWork::NotYet { waiting: a + b },
        (NoWork::Failed { failed: a }, NoWork::Failed { failed: b }) => NoWork::Failed { failed: a + b },
        (one, other) => {
            if rank(&one) <= rank(&other) {
                one
            } else {
                other
            }
        }
    }
}

fn wants(acquire: &Acquire, kind: &capstan_ids::Kind) -> bool {
    acquire.kinds.is_empty() || acquire.kinds.contains(kind)
}

/// The length of the next lease of an item.
pub(super) fn lease_length(policy: &Policy, item: &Item, wished: Option<Millis>) -> Millis {
    let base = wished.unwrap_or(policy.lease).clamp(policy.lease_min, policy.lease_max);
    match policy.growth {
        LeaseGrowth::Fixed => base,
        LeaseGrowth::Doubling => {
            let grants = item.run.as_ref().map_or(0, |run| run.grants).min(40);
            Millis(base.get().saturating_mul(1 << grants)).min(policy.lease_max)
        }
    }
}

/// Leases this decision has taken of limits so far.
#[derive(Default)]
struct Used {
    here: HashMap<(SessionName, u32), u32>,
    everywhere: HashMap<LimitName, u32>,
}

impl Used {
    fn has_room(&self, work: &WorkState, session: &Session, limits: &[u32]) -> bool {
        limits.iter().all(|place| {
            let taken = if self.here.is_empty() {
                0
            } else {
                self.here.get(&(session.name.clone(), *place)).copied().unwrap_or(0)
            };
            session.limits.room(*place) > taken
        }) && (!work.shared.limits.any_limited()
            || limits.iter().all(|place| {
                let name = &session.limits.at(*place).name;
                work.shared.room(name) > self.everywhere.get(name).copied().unwrap_or(0)
            }))
    }

    fn take(&mut self, work: &WorkState, session: &Session, limits: &[u32]) {
        for place in limits {
            if session.limits.at(*place).most.is_some() {
                *self.here.entry((session.name.clone(), *place)).or_default() += 1;
            }
            if work.shared.limits.any_limited() {
                *self.everywhere.entry(session.limits.at(*place).name.clone()).or_default() += 1;
            }
        }
    }
}

/// Takes candidates of one session in their order.
struct Picker<'a> {
    session: &'a Session,
    lanes: Vec<Candidates<'a>>,
}

struct Candidates<'a> {
    limits: &'a [u32],
    numbers: Peekable<Box<dyn Iterator<Item = u64> + 'a>>,
}

impl<'a> Picker<'a> {
    fn new(session: &'a Session, acquire: &Acquire) -> Self {
        let lanes = session.lanes.iter().filter(|(_, lane)| lane.ready() > 0 && wants(acquire, &lane.kind)).map(
            |(place, lane)| {
                let numbers: Box<dyn Iterator<Item = u64> + 'a> = Box::new(lane.candidates(place, &session.items));
                Candidates { limits: &lane.limits, numbers: numbers.peekable() }
            },
        );
        Self { session, lanes: lanes.collect() }
    }

    fn next(&mut self, work: &WorkState, used: &mut Used) -> Option<u64> {
        let session = self.session;
        let (_, best) = self
            .lanes
            .iter_mut()
            .enumerate()
            .filter(|(_, lane)| used.has_room(work, session, lane.limits))
            .filter_map(|(index, lane)| {
                let item = session.item(*lane.numbers.peek()?);
                Some(((Reverse(item.priority), item.queued), index))
            })
            .min()?;
        let lane = &mut self.lanes[best];
        used.take(work, session, lane.limits);
        lane.numbers.next()
    }
}
