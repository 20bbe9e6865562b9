//! Steering: what an operator, or a job, may do to items and sessions.

use super::bounds::{self, BATCH_MAX, SESSION_LIMITS_MAX, TEXT_MAX};
use super::{Decision, Reply};
use crate::answer::Answer;
use crate::event::Event;
use crate::groups::GroupKey;
use crate::item::ItemState;
use crate::policy::LimitValue;
use crate::rejection::Rejection;
use crate::session::Mode;
use crate::state::WorkState;
use capstan_ids::{GateName, GroupName, ItemId, LimitName, SessionName};

impl WorkState {
    pub(super) fn decide_retry(&self, name: &SessionName, items: &[ItemId]) -> Result<Decision, Rejection> {
        let session = self.known(name)?;
        if session.mode == Mode::Closed {
            return Err(Rejection::SessionEnded(name.clone(), session.state().name()));
        }
        if items.len() > BATCH_MAX {
            let advice = "send several requests, or name none to retry every failed item";
            return Err(Rejection::LimitReached { what: "items of one request", limit: BATCH_MAX as u64, advice });
        }
        // In a cancelled session only undo items can have failed: everything else there has ended.
        let numbers = if items.is_empty() {
            session.items.iter().filter(|(_, item)| item.state == ItemState::Failed).map(|(number, _)| number).collect()
        } else {
            let mut seen = hashbrown::HashSet::with_capacity(items.len());
            let mut numbers = Vec::with_capacity(items.len());
            for id in items {
                let number = self.known_item(name, id)?;
                let state = session.item(number).state;
                if state != ItemState::Failed {
                    return Err(Rejection::ItemState {
                        item: id.clone(),
                        state: state.name(),
                        expected: "only failed items are retried",
                    });
                }
                if seen.insert(number) {
                    numbers.push(number);
                }
            }
            numbers
        };
        let reply = Reply::Answer(Answer::Counted(numbers.len() as u64));
        Ok(Decision::of(name, numbers.into_iter().map(|number| Event::ItemRetried { number }).collect(), reply))
    }

    pub(super) fn decide_cancel_item(&self, name: &SessionName, id: &ItemId) -> Result<Decision, Rejection> {
        let number = self.known_item(name, id)?;
        let session = self.open(name)?;
        let events = match session.item(number).state {
            ItemState::Completed => {
                let expected = "what is completed is final";
                return Err(Rejection::ItemState { item: id.clone(), state: "completed", expected });
            }
            ItemState::Cancelled => Vec::new(),
            ItemState::Assigned => {
                vec![Event::LeaseRevoked {
                    number,
                    reason: "the item was cancelled".into(),
                    cancel: true,
                    counted: false,
                }]
            }
            ItemState::Waiting
            | ItemState::Blocked
            | ItemState::Delayed
            | ItemState::Ready
            | ItemState::Failed
            | ItemState::Dormant => {
                vec![Event::ItemCancelled { number }]
            }
        };
        Ok(Decision::of(name, events, Reply::Returned { session: name.clone(), number }))
    }

    pub(super) fn decide_priority(
        &self,
        name: &SessionName,
        id: &ItemId,
        priority: i16,
    ) -> Result<Decision, Rejection> {
        let number = self.known_item(name, id)?;
        let item = self.open(name)?.item(number);
        if item.state.is_final() {
            let expected = "only unfinished items have a priority";
            return Err(Rejection::ItemState { item: id.clone(), state: item.state.name(), expected });
        }
        let events = if item.priority == priority { Vec::new() } else { vec![Event::PrioritySet { number, priority }] };
        Ok(Decision::of(name, events, Reply::Returned { session: name.clone(), number }))
    }

    pub(super) fn decide_limit(
        &self,
        session: Option<&SessionName>,
        name: &LimitName,
        value: Option<LimitValue>,
    ) -> Result<Decision, Rejection> {
        let limits = match session {
            Some(session) => &self.open(session)?.limits,
            None => &self.shared.limits,
        };
        let known = limits.find(name);
        if known.is_none() && limits.len() >= SESSION_LIMITS_MAX {
            let advice = "lift limits that are no longer needed, or use fewer names";
            return Err(Rejection::LimitReached { what: "limit names", limit: SESSION_LIMITS_MAX as u64, advice });
        }
        if known.map_or(value.is_none(), |limit| limit.most == value) {
            return Ok(Decision::answered(Answer::Done));
        }
        let event = Event::LimitSet { name: name.clone(), value };
        Ok(Decision { events: vec![(session.cloned(), event)], reply: Reply::Answer(Answer::Done) })
    }

    pub(super) fn decide_hold_gate(
        &self,
        name: &SessionName,
        group: &GroupName,
        gate: &GateName,
    ) -> Result<Decision, Rejection> {
        let session = self.open(name)?;
        match session.groups.find(&GroupKey::Named(group.clone())).map(|place| session.groups.at(place)) {
            Some(known) if known.emptied => Err(Rejection::GroupComplete(group.to_string())),
            Some(known) if known.gates.contains(gate) => Ok(Decision::answered(Answer::Done)),
            known => {
                bounds::check_gates(session, known, 1)?;
                Ok(Decision::done(name, Event::GateHeld { group: group.clone(), gate: gate.clone() }))
            }
        }
    }

    pub(super) fn decide_open_gate(
        &self,
        name: &SessionName,
        group: &GroupName,
        gate: &GateName,
    ) -> Result<Decision, Rejection> {
        let session = self.open(name)?;
        let known = session.groups.find(&GroupKey::Named(group.clone())).map(|place| session.groups.at(place));
        match known {
            Some(known) if known.gates.contains(gate) => {
                Ok(Decision::done(name, Event::GateOpened { group: group.clone(), gate: gate.clone() }))
            }
            Some(known) if known.opened.contains(gate) => Ok(Decision::answered(Answer::Done)),
            _ => Err(Rejection::GateUnknown { session: name.clone(), group: group.clone(), gate: gate.clone() }),
        }
    }

    pub(super) fn decide_pause(
        &self,
        name: &SessionName,
        immediate: bool,
        reason: &str,
    ) -> Result<Decision, Rejection> {
        bounds::check_text("reason", Some(reason), TEXT_MAX, "at most 4 KiB")?;
        let session = self.open(name)?;
        // A controlled pause may become an immediate one; the same pause again changes nothing.
        let paused = matches!(session.mode, Mode::Paused(_));
        if paused && !(immediate && session.counts.of(ItemState::Assigned) > 0) {
            return Ok(Decision::answered(Answer::Done));
        }
        Ok(Decision::done(name, Event::SessionPaused { immediate, reason: reason.into() }))
    }

    pub(super) fn decide_resume(&self, name: &SessionName) -> Result<Decision, Rejection> {
        let session = self.open(name)?;
        if session.is_running() && session.counts.of(ItemState::Failed) == 0 {
            return Ok(Decision::answered(Answer::Done));
        }
        Ok(Decision::done(name, Event::SessionResumed))
    }

    pub(super) fn decide_cancel(&self, name: &SessionName, reason: &str) -> Result<Decision, Rejection> {
        bounds::check_text("reason", Some(reason), TEXT_MAX, "at most 4 KiB")?;
        let session = self.known(name)?;
        match session.mode {
            Mode::Cancelled(_) => Ok(Decision::answered(Answer::Done)),
            Mode::Closed | Mode::Deleted => Err(Rejection::SessionEnded(name.clone(), session.state().name())),
            Mode::Running | Mode::Paused(_) => {
                Ok(Decision::done(name, Event::SessionCancelled { reason: reason.into() }))
            }
        }
    }

    pub(super) fn decide_close(&self, name: &SessionName) -> Result<Decision, Rejection> {
        let session = self.known(name)?;
        if session.mode == Mode::Closed {
            return Ok(Decision::answered(Answer::Done));
        }
        if session.has_live_leases() {
            let expected = "leases are live: cancel it, or wait for its holders";
            return Err(Rejection::SessionState { session: name.clone(), state: session.state().name(), expected });
        }
        Ok(Decision::done(name, Event::SessionClosed))
    }
}
