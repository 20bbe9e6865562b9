//! All sessions, and what they share.

use crate::event::GrantKey;
use crate::item::{Item, ItemState};
use crate::items::Items;
use crate::limits::Limits;
use crate::session::{Mode, Session};
use crate::slots::Slots;
use capstan_ids::{ItemId, LimitName, Moment, Monotonic, Position, SessionName, Token, WallTime, WorkerId};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};

/// The whole state of work coordination: what [`WorkState::decide`] reads and [`WorkState::apply`] writes.
#[derive(Debug, Default)]
pub struct WorkState {
    pub(crate) sessions: BTreeMap<SessionName, Box<Session>>,
    pub(crate) shared: Shared,
}

/// When an event happened, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Its position; for one that is not journalled, the next one's.
    pub position: Position,
    /// Both clocks. On replay the wall time is the commit's, the monotonic time is now.
    pub moment: Moment,
}

/// What a decision may look at beside the state.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Both clocks.
    pub moment: Moment,
    /// The position that the first decided event will take.
    pub next: Position,
    /// A random number, for jitter.
    pub random: u64,
}

/// A grant's key, with the worker whose key it is; a token is nobody else's anyway.
type OwnedKey = (Option<WorkerId>, GrantKey);

/// What the sessions share: limits over all of them, and who is due when.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub limits: Limits,
    /// Ends of leases, delays and ghosts by the monotonic clock.
    pub alarms: BTreeSet<Alarm>,
    /// Items that are not handed out before a time.
    pub calendar: BTreeSet<(WallTime, SessionName, u64)>,
    /// Items whose progress only memory has, by when it is to be noted.
    pub unnoted: BTreeSet<(Monotonic, SessionName, u64)>,
    /// Live leases by what a repeat of their grant would say.
    pub keys: HashMap<OwnedKey, Vec<(SessionName, u64)>>,
    /// Sessions with ready work by how much they were served.
    pub turns: BTreeSet<(u64, SessionName)>,
    /// Sessions by when it is looked next whether leases of them are stuck.
    pub looks: BTreeSet<(Monotonic, SessionName)>,
    /// What workers say of themselves; memory only.
    pub slots: Slots,
    /// Items that were removed all at once and whose memory is not freed yet: part of no state.
    pub removed: Vec<Items>,
}

/// Something that ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alarm {
    pub at: Monotonic,
    pub session: SessionName,
    pub what: Due,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// The lease or the delay of an item.
    Item(u64),
    /// The lease of an item that was removed.
    Ghost(Token),
}

impl WorkState {
    /// No sessions, no limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// When [`crate::Command::Tick`] has something to do next, by the monotonic clock.
    pub fn next_alarm(&self) -> Option<Monotonic> {
        let alarm = self.shared.alarms.first().map(|alarm| alarm.at);
        let unnoted = self.shared.unnoted.first().map(|(at, ..)| *at);
        let look = self.shared.looks.first().map(|(at, _)| *at);
        alarm.into_iter().chain(unnoted).chain(look).min()
    }

    /// When it has something to do next, by the wall clock.
    pub fn next_not_before(&self) -> Option<WallTime> {
        self.shared.calendar.first().map(|(at, ..)| *at)
    }

    /// Whether anything is due.
    pub fn is_due(&self, now: Moment) -> bool {
        self.next_alarm().is_some_and(|at| at <= now.monotonic)
            || self.next_not_before().is_some_and(|at| at <= now.wall)
    }

    /// Frees some memory of items that were removed all at once, about a quarter of a millisecond's worth; whether there
    /// is more. Changes nothing that anybody could see.
    pub fn free_removed(&mut self) -> bool {
        const BLOCKS: usize = 8;
        if self.shared.removed.last_mut().is_some_and(|items| items.shed(BLOCKS)) {
            self.shared.removed.pop();
        }
        !self.shared.removed.is_empty()
    }

    /// Why a session is paused, if it is.
    pub fn pause_reason(&self, name: &SessionName) -> Option<&str> {
        match &self.live_session(name)?.mode {
            Mode::Paused(reason) => Some(reason),
            Mode::Running | Mode::Cancelled(_) | Mode::Closed | Mode::Deleted => None,
        }
    }

    /// Items of a session in a state.
    pub fn count(&self, name: &SessionName, state: ItemState) -> u64 {
        self.live_session(name).map_or(0, |session| session.counts.of(state))
    }

    /// What a session is doing.
    pub fn session_state(&self, name: &SessionName) -> Option<crate::SessionState> {
        self.live_session(name).map(Session::state)
    }

    /// Whether nothing of a session is unfinished and no lease of it still counts.
    pub fn is_still(&self, name: &SessionName) -> bool {
        self.live_session(name).is_none_or(|session| session.counts.unfinished() == 0 && !session.has_live_leases())
    }

    /// Whether a session has work that waits, and nothing else that could move by itself.
    pub fn only_waits(&self, name: &SessionName) -> bool {
        self.live_session(name).is_some_and(|session| {
            let counts = &session.counts;
            session.is_running()
                && counts.of(ItemState::Waiting) > 0
                && counts.of(ItemState::Waiting) == counts.unfinished()
        })
    }

    /// Items of a session that have failed, or wait for such. Looks at every item, unless there is none of them.
    pub fn broken_items(&self, name: &SessionName) -> Vec<ItemId> {
        let Some(session) = self.live_session(name) else { return Vec::new() };
        if session.counts.of(ItemState::Failed) + session.counts.of(ItemState::Blocked) == 0 {
            return Vec::new();
        }
        let broken = |item: &Item| matches!(item.state, ItemState::Failed | ItemState::Blocked);
        let id = |item: &Item| ItemId::new(item.body.id()).expect("bodies hold valid ids");
        session.items.iter().filter(|(_, item)| broken(item)).map(|(_, item)| id(item)).collect()
    }

    /// The priority of an item, if there is such a one that is not finished.
    pub fn priority_of_unfinished(&self, session: &SessionName, id: &ItemId) -> Option<i16> {
        let session = self.live_session(session)?;
        let item = session.item(session.items.find(id.as_str())?);
        (!item.state.is_final()).then_some(item.priority)
    }

    /// How many live leases of a session are stuck.
    pub fn stuck_leases(&self, session: &SessionName) -> u64 {
        self.live_session(session).map_or(0, |session| session.stuck)
    }

    /// How many live leases of a session count against a name.
    pub fn leases_under(&self, session: &SessionName, name: &LimitName) -> u32 {
        self.live_session(session).and_then(|session| session.limits.find(name)).map_or(0, |limit| limit.live)
    }

    /// Whether any session has work that could be handed out, limits aside.
    pub fn has_ready_work(&self) -> bool {
        !self.shared.turns.is_empty()
    }

    /// Whether a session of this name takes commands.
    pub fn has_session(&self, name: &SessionName) -> bool {
        self.live_session(name).is_some()
    }

    pub(crate) fn live_session(&self, name: &SessionName) -> Option<&Session> {
        self.sessions.get(name).map(|session| &**session).filter(|session| session.mode != Mode::Deleted)
    }

    /// Starts every live lease and delay anew at its full term: a new leader does not know how much of it has passed.
    pub fn restart_terms(&mut self, now: Monotonic) {
        // Whatever has a term has an alarm.
        for alarm in std::mem::take(&mut self.shared.alarms) {
            let Some(session) = self.sessions.get_mut(&alarm.session) else { continue };
            let until = match alarm.what {
                Due::Item(number) => session.items.get_mut(number).and_then(|item| item.restart_term(now)),
                Due::Ghost(token) => session.ghosts.get_mut(&token).map(|ghost| {
                    ghost.deadline = now + ghost.length;
                    ghost.deadline
                }),
            };
            if let Some(until) = until {
                self.shared.alarm(until, &alarm.session, alarm.what);
            }
        }
        self.restart_looks(now);
    }
}

impl Shared {
    pub fn alarm(&mut self, at: Monotonic, session: &SessionName, what: Due) {
        self.alarms.insert(Alarm { at, session: session.clone(), what });
    }

    pub fn silence(&mut self, at: Monotonic, session: &SessionName, what: Due) {
        self.alarms.remove(&Alarm { at, session: session.clone(), what });
    }

    pub fn remember(&mut self, worker: &WorkerId, key: &GrantKey, session: &SessionName, number: u64) {
        self.keys.entry(owned(worker, key)).or_default().push((session.clone(), number));
    }

    pub fn forget(&mut self, worker: &WorkerId, key: &GrantKey, session: &SessionName, number: u64) {
        if let hashbrown::hash_map::Entry::Occupied(mut entry) = self.keys.entry(owned(worker, key)) {
            entry.get_mut().retain(|(s, n)| (s, *n) != (session, number));
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    pub fn granted_under(&self, worker: &WorkerId, key: &GrantKey) -> &[(SessionName, u64)] {
        self.keys.get(&owned(worker, key)).map_or(&[], Vec::as_slice)
    }

    /// How many more leases a name takes over all sessions.
    pub fn room(&self, name: &LimitName) -> u32 {
        match self.limits.find(name) {
            Some(limit) => limit.most.map_or(u32::MAX, |most| most.get().saturating_sub(limit.live)),
            None => u32::MAX,
        }
    }
}

fn owned(worker: &WorkerId, key: &GrantKey) -> OwnedKey {
    let owner = matches!(key, GrantKey::Given(_)).then(|| worker.clone());
    (owner, key.clone())
}
