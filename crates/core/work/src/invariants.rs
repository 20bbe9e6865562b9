//! The promises as a check that units, properties, the simulator and debug builds all call.

use crate::counts::{Counts, Tallies};
use crate::item::ItemState;
use crate::session::Session;
use crate::state::{Alarm, Due, WorkState};
use capstan_ids::{LimitName, Token};
use std::collections::{BTreeMap, BTreeSet};

/// A promise that does not hold: a fault of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{promise} is broken in session {session}: {what}")]
pub struct Violation {
    /// Which.
    pub promise: &'static str,
    /// Where.
    pub session: String,
    /// What was expected and what was found.
    pub what: String,
}

type Check = Result<(), Violation>;

impl WorkState {
    /// Recounts everything. Costs as much as there is state.
    pub fn check(&self) -> Check {
        let mut tokens = BTreeSet::new();
        let mut live: BTreeMap<LimitName, u32> = BTreeMap::new();
        let mut alarms = BTreeSet::new();
        for session in self.sessions.values() {
            session.check_counts()?;
            session.check_queues()?;
            session.check_groups()?;
            session.check_leases(&mut tokens, &mut live, &mut alarms)?;
            let turn = session.turn.map(|served| (served, session.name.clone()));
            if turn.is_some() != session.hands_out() || turn.is_some_and(|turn| !self.shared.turns.contains(&turn)) {
                return session.broken("W9", "its turn is not where it should be".into());
            }
        }
        if alarms != self.shared.alarms {
            let (more, less) = (self.shared.alarms.difference(&alarms), alarms.difference(&self.shared.alarms));
            let what = format!(
                "alarms set for nothing {:?}, missing {:?}",
                more.collect::<Vec<_>>(),
                less.collect::<Vec<_>>()
            );
            return Err(Violation { promise: "W8", session: "all".into(), what });
        }
        for limit in self.shared.limits.iter() {
            let counted = live.get(&limit.name).copied().unwrap_or(0);
            if counted != limit.live {
                let what =
                    format!("{} counts {} leases over all sessions, there are {counted}", limit.name, limit.live);
                return Err(Violation { promise: "W7", session: "all".into(), what });
            }
        }
        Ok(())
    }
}

impl Session {
    fn broken(&self, promise: &'static str, what: String) -> Check {
        Err(Violation { promise, session: self.name.to_string(), what })
    }

    fn check_counts(&self) -> Check {
        let mut counts: Counts = self.forgotten.clone();
        for (_, item) in self.items.iter() {
            counts.enter(item);
        }
        let mut tallies = Tallies::default();
        self.items.iter().for_each(|(_, item)| tallies.enter(item));
        if !tallies.same_as(&self.tallies) {
            return self.broken("W6", format!("tallied {:?}, recounted {tallies:?}", self.tallies));
        }
        if counts != self.counts {
            return self.broken("W6", format!("counted {:?}, recounted {counts:?}", self.counts));
        }
        let finished = counts.total() == counts.of(ItemState::Completed);
        if finished && counts.expected != counts.done {
            return self.broken("W6", format!("all is done, but {:?} of {:?}", counts.done, counts.expected));
        }
        Ok(())
    }

    fn check_queues(&self) -> Check {
        let mut queued = BTreeSet::new();
        for (place, lane) in self.lanes.iter() {
            let mut last: Option<(std::cmp::Reverse<i16>, u64)> = None;
            for number in lane.candidates(place, &self.items) {
                let item = self.item(number);
                let key = (std::cmp::Reverse(item.priority), item.queued);
                if last.is_some_and(|last| last >= key) {
                    return self.broken("W9", format!("item {:?} comes before one that is older", item.body.id()));
                }
                last = Some(key);
                queued.insert(number);
            }
            let ready = lane.candidates(place, &self.items).count() as u64;
            if ready != lane.ready() {
                return self
                    .broken("W10", format!("lane {place} counts {} ready items, there are {ready}", lane.ready()));
            }
        }
        for (number, item) in self.items.iter() {
            if (item.state == ItemState::Ready) != queued.contains(&number) {
                return self.broken(
                    "W10",
                    format!("item {:?} is {:?} and queued: {}", item.body.id(), item.state, queued.contains(&number)),
                );
            }
            if self.items.find(item.body.id()) != Some(number) {
                return self.broken("W1", format!("item {:?} is not found by its id", item.body.id()));
            }
        }
        Ok(())
    }

    fn check_groups(&self) -> Check {
        for (place, group) in self.groups.iter() {
            let members = self.items.iter().filter(|(_, item)| item.groups().contains(&place));
            let (mut unfinished, mut broken) = (0, 0);
            for (_, item) in members {
                unfinished += u64::from(item.state != ItemState::Completed);
                broken += u64::from(item.state.breaks_groups());
            }
            if (unfinished, broken) != (group.unfinished, group.broken) {
                let what = format!(
                    "group {} counts {} and {}, there are {unfinished} and {broken}",
                    group.key, group.unfinished, group.broken
                );
                return self.broken("W5", what);
            }
            if group.emptied && unfinished > 0 {
                return self.broken("W5", format!("group {} was empty and is not", group.key));
            }
        }
        for (_, item) in self.items.iter() {
            let open = item.waits_for().iter().any(|place| !self.groups.at(*place).emptied);
            let broken =
                open && item.waits_for().iter().map(|p| self.groups.at(*p)).any(|g| !g.emptied && g.broken > 0);
            let waits = matches!(item.state, ItemState::Waiting | ItemState::Blocked);
            if waits && broken != (item.state == ItemState::Blocked) {
                return self.broken("W10", format!("item {:?} is {:?}, broken: {broken}", item.body.id(), item.state));
            }
            if waits != open && !matches!(item.state, ItemState::Cancelled | ItemState::Dormant) {
                return self.broken(
                    "W10",
                    format!("item {:?} is {:?}, its groups are open: {open}", item.body.id(), item.state),
                );
            }
        }
        Ok(())
    }

    fn check_leases(
        &self,
        tokens: &mut BTreeSet<Token>,
        live: &mut BTreeMap<LimitName, u32>,
        alarms: &mut BTreeSet<Alarm>,
    ) -> Check {
        let mut counted: BTreeMap<LimitName, u32> = BTreeMap::new();
        for (number, item) in self.items.iter() {
            if item.lease().is_some() != (item.state == ItemState::Assigned) {
                return self.broken(
                    "W1",
                    format!("item {:?} is {:?} and leased: {}", item.body.id(), item.state, item.lease().is_some()),
                );
            }
            if let Some(run) = item.run.as_ref().filter(|run| item.state == ItemState::Delayed && run.delay.get() > 0) {
                alarms.insert(Alarm { at: run.delayed_until, session: self.name.clone(), what: Due::Item(number) });
            }
            if item.lease().is_some() != self.leased.contains(&number) {
                return self.broken("W7", format!("item {:?} is not listed as what it is", item.body.id()));
            }
            let Some(lease) = item.lease() else { continue };
            if !tokens.insert(lease.token) {
                return self.broken("W2", format!("token {} is given twice", lease.token));
            }
            alarms.insert(Alarm { at: lease.deadline, session: self.name.clone(), what: Due::Item(number) });
            for place in &self.lanes.at(item.lane).limits {
                *counted.entry(self.limits.at(*place).name.clone()).or_default() += 1;
            }
            if !self.workers.contains_key(&lease.worker) {
                return self.broken("W7", format!("worker {} holds a lease and is not known", lease.worker));
            }
        }
        for (token, ghost) in &self.ghosts {
            tokens.insert(*token);
            alarms.insert(Alarm { at: ghost.deadline, session: self.name.clone(), what: Due::Ghost(*token) });
            for name in &ghost.limits {
                *counted.entry(name.clone()).or_default() += 1;
            }
        }
        for limit in self.limits.iter() {
            let there = counted.get(&limit.name).copied().unwrap_or(0);
            if there != limit.live {
                return self.broken("W7", format!("{} counts {} leases, there are {there}", limit.name, limit.live));
            }
        }
        let stuck =
            self.leased.iter().filter(|number| self.lease(**number).is_some_and(|lease| lease.stuck)).count() as u64;
        if stuck != self.stuck {
            return self.broken("W6", format!("{} stuck leases are counted, there are {stuck}", self.stuck));
        }
        let held: u32 = self.workers.values().map(|record| record.held).sum();
        if u64::from(held) != self.counts.of(ItemState::Assigned) {
            return self.broken(
                "W7",
                format!("workers hold {held} leases, {} items are assigned", self.counts.of(ItemState::Assigned)),
            );
        }
        for (name, count) in counted {
            *live.entry(name).or_default() += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod broken;
