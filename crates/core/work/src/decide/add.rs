//! New items, checked against the session and against each other before any is added.

use super::bounds::{self, BATCH_MAX, SESSION_GROUPS_MAX, SESSION_LIMITS_MAX};
use super::{Decision, Reply};
use crate::answer::{Added, Answer};
use crate::body::ItemBody;
use crate::command::{Conflicts, NewItem, WaitsFor};
use crate::event::Event;
use crate::groups::{Group, GroupKey};
use crate::lanes::LANES_MAX;
use crate::policy::{Policy, PolicyChange};
use crate::rejection::Rejection;
use crate::session::Session;
use crate::state::WorkState;
use capstan_ids::{GateName, GroupName, ItemId, Kind, LimitName, SessionName, WallTime};
use hashbrown::{HashMap, HashSet};

type Gates = [(GroupName, GateName)];

impl WorkState {
    pub(super) fn decide_open(
        &self,
        name: &SessionName,
        policy: &Policy,
        notes: Option<&str>,
        items: &[NewItem],
        gates: &Gates,
    ) -> Result<Decision, Rejection> {
        if self.has_session(name) {
            return Err(Rejection::SessionExists(name.clone()));
        }
        bounds::check_policy(policy)?;
        bounds::check_notes(notes)?;
        let empty = Session::new(name.clone(), policy.clone(), None, WallTime::default());
        let mut events = vec![Event::SessionOpened { policy: policy.clone(), notes: notes.map(Into::into) }];
        hold_gates(&empty, gates, &mut events)?;
        let added = Batch::new(&empty, None, Conflicts::Refuse).check_all(items, &mut events)?;
        let reply = if items.is_empty() { Answer::Done } else { Answer::Added(added) };
        Ok(Decision::of(name, events, Reply::Answer(reply)))
    }

    pub(super) fn decide_update(
        &self,
        name: &SessionName,
        change: &PolicyChange,
        notes: Option<&str>,
    ) -> Result<Decision, Rejection> {
        let session = self.open(name)?;
        let policy = bounds::check_change(change, &session.policy)?;
        bounds::check_notes(notes)?;
        let notes = notes.map(Into::into).or_else(|| session.notes.clone());
        Ok(Decision::done(name, Event::SessionUpdated { policy, notes }))
    }

    pub(super) fn decide_add(
        &self,
        name: &SessionName,
        items: &[NewItem],
        gates: &Gates,
        conflicts: Conflicts,
    ) -> Result<Decision, Rejection> {
        let session = self.open(name)?;
        let mut events = Vec::with_capacity(items.len() + gates.len());
        hold_gates(session, gates, &mut events)?;
        let added = Batch::new(session, None, conflicts).check_all(items, &mut events)?;
        Ok(Decision::of(name, events, Reply::Answer(Answer::Added(added))))
    }
}

fn hold_gates(session: &Session, gates: &Gates, events: &mut Vec<Event>) -> Result<(), Rejection> {
    for (group, gate) in gates {
        let known = session.groups.find(&GroupKey::Named(group.clone())).map(|place| session.groups.at(place));
        if known.is_some_and(|known| known.emptied) {
            return Err(Rejection::GroupComplete(group.to_string()));
        }
        if known.is_none_or(|known| !known.gates.contains(gate)) {
            bounds::check_gates(session, known, gates.len())?;
        }
        events.push(Event::GateHeld { group: group.clone(), gate: gate.clone() });
    }
    Ok(())
}

/// A list of items being checked.
pub(super) struct Batch<'a> {
    session: &'a Session,
    /// The item they are successors of.
    parent: Option<(u64, HashSet<GroupKey>)>,
    conflicts: Conflicts,
    /// Where new items of the batch stand among its events, by id.
    new: HashMap<&'a str, usize>,
    /// Which groups the batch makes wait for which.
    edges: HashMap<GroupKey, HashSet<GroupKey>>,
    /// Groups that something in the batch waits for.
    awaited: HashSet<GroupKey>,
    lanes: HashSet<(Kind, Vec<LimitName>)>,
    limits: HashSet<LimitName>,
    groups: HashSet<GroupKey>,
}

impl<'a> Batch<'a> {
    pub fn new(session: &'a Session, parent: Option<u64>, conflicts: Conflicts) -> Self {
        let parent = parent.map(|number| {
            let groups =
                session.item(number).groups().iter().map(|place| session.groups.at(*place).key.clone()).collect();
            (number, groups)
        });
        Self {
            session,
            parent,
            conflicts,
            new: HashMap::new(),
            edges: HashMap::new(),
            awaited: HashSet::new(),
            lanes: HashSet::new(),
            limits: HashSet::new(),
            groups: HashSet::new(),
        }
    }

    pub fn check_all(mut self, items: &'a [NewItem], events: &mut Vec<Event>) -> Result<Vec<Added>, Rejection> {
        if items.len() > BATCH_MAX {
            let what = "items of one request";
            return Err(Rejection::LimitReached { what, limit: BATCH_MAX as u64, advice: "send several requests" });
        }
        let alone = items.len() == 1;
        let mut outcomes = Vec::with_capacity(items.len());
        let ids: Option<HashMap<&str, bool>> = items
            .iter()
            .any(|item| !item.waits_for.is_empty())
            .then(|| items.iter().map(|item| (item.id.as_str(), item.undo)).collect());
        for item in items {
            bounds::check_item(item)?;
            let body = ItemBody::pack(item);
            let outcome = self.compare(item, &body, events)?;
            if outcome == Added::Created {
                self.check_links(item, ids.as_ref())?;
                self.check_room(item)?;
                if !alone {
                    self.new.insert(item.id.as_str(), events.len());
                }
                events.push(Event::ItemAdded { body, parent: self.parent.as_ref().map(|(number, _)| *number) });
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// Whether the item is new, the same as one that is there, or another under its id.
    fn compare(&self, item: &NewItem, body: &ItemBody, events: &[Event]) -> Result<Added, Rejection> {
        let existing = self.session.items.find(item.id.as_str()).map(|number| &self.session.item(number).body);
        let before = self.new.get(item.id.as_str()).and_then(|place| events.get(*place));
        let (there, twice) = match (existing, before) {
            (Some(there), _) => (there, false),
            (None, Some(Event::ItemAdded { body, .. })) => (body, true),
            (None, _) => return Ok(Added::Created),
        };
        match (there.difference(body), self.conflicts) {
            (None, _) => Ok(Added::Unchanged),
            (Some(field), Conflicts::Report) => Ok(Added::Conflict(field)),
            (Some(field), Conflicts::Refuse) if twice => Err(Rejection::ItemTwice { item: item.id.clone(), field }),
            (Some(field), Conflicts::Refuse) => {
                Err(Rejection::ItemConflict { session: self.session.name.clone(), item: item.id.clone(), field })
            }
        }
    }

    fn check_links(&mut self, item: &NewItem, batch: Option<&HashMap<&str, bool>>) -> Result<(), Rejection> {
        for group in &item.groups {
            let place = self.session.groups.find(&GroupKey::Named(group.clone()));
            if place.is_some_and(|place| self.session.groups.at(place).emptied) {
                return Err(Rejection::GroupComplete(group.to_string()));
            }
        }
        if item.waits_for.is_empty() {
            return Ok(());
        }
        let mut targets = HashSet::new();
        for wait in &item.waits_for {
            targets.insert(match wait {
                WaitsFor::Group(group) => GroupKey::Named(group.clone()),
                WaitsFor::Item(id) => {
                    self.check_awaited(id, batch)?;
                    GroupKey::OfItem(id.clone())
                }
            });
        }
        self.check_circle(item, targets)
    }

    /// Refuses to wait for an item that is not there, or that only a cancelled session hands out.
    fn check_awaited(&self, id: &ItemId, batch: Option<&HashMap<&str, bool>>) -> Result<(), Rejection> {
        let there = self.session.items.find(id.as_str()).map(|number| self.session.item(number).body.is_undo());
        match there.or_else(|| batch?.get(id.as_str()).copied()) {
            Some(false) => Ok(()),
            Some(true) => {
                let expected = "items of which none is an undo item: those begin when all else has ended";
                Err(Rejection::OutOfRange { field: "waits_for", expected, found: id.to_string() })
            }
            None => Err(Rejection::ItemUnknown { session: self.session.name.clone(), item: id.clone() }),
        }
    }

    /// Refuses an item whose groups would come to wait for themselves.
    fn check_circle(&mut self, item: &NewItem, targets: HashSet<GroupKey>) -> Result<(), Rejection> {
        let mut own: HashSet<GroupKey> = item.groups.iter().cloned().map(GroupKey::Named).collect();
        own.insert(GroupKey::OfItem(item.id.clone()));
        if let Some((_, inherited)) = &self.parent {
            own.extend(inherited.difference(&targets).cloned());
        }
        if let Some(target) = targets.iter().find(|target| own.contains(*target)) {
            return Err(Rejection::GroupCycle { item: item.id.clone(), group: target.to_string() });
        }
        // Only a group that something waits for can be on a circle: most new items close none, and cost nothing.
        if own.iter().any(|group| self.is_awaited(group)) {
            for target in &targets {
                if self.reaches(target, &own) {
                    return Err(Rejection::GroupCycle { item: item.id.clone(), group: target.to_string() });
                }
            }
        }
        for group in own {
            self.edges.entry(group).or_default().extend(targets.iter().cloned());
        }
        self.awaited.extend(targets);
        Ok(())
    }

    fn is_awaited(&self, key: &GroupKey) -> bool {
        let group = self.session.groups.find(key).map(|place| self.session.groups.at(place));
        self.awaited.contains(key) || group.is_some_and(Group::is_awaited)
    }

    /// Whether `from` waits, over any number of groups, for one of `targets`.
    fn reaches(&self, from: &GroupKey, targets: &HashSet<GroupKey>) -> bool {
        let groups = &self.session.groups;
        let mut seen = HashSet::new();
        let mut open = vec![from.clone()];
        while let Some(key) = open.pop() {
            if targets.contains(&key) {
                return true;
            }
            if !seen.insert(key.clone()) {
                continue;
            }
            let keys_of = |place: &u32| groups.at(*place).key.clone();
            match (groups.find(&key), &key) {
                (Some(place), _) => open.extend(groups.at(place).waits_for.iter().map(keys_of)),
                (None, GroupKey::OfItem(id)) => open.extend(self.awaited_by_family(id).iter().map(keys_of)),
                (None, GroupKey::Named(_)) => {}
            }
            open.extend(self.edges.get(&key).into_iter().flatten().cloned());
        }
        false
    }

    /// What an item and all that came of it wait for, where no group of them was made yet.
    fn awaited_by_family(&self, id: &ItemId) -> Vec<u32> {
        let mut family: Vec<u64> = self.session.items.find(id.as_str()).into_iter().collect();
        let mut awaited = Vec::new();
        while let Some(number) = family.pop() {
            let Some(item) = self.session.items.get(number) else { continue };
            family.extend(item.run.iter().flat_map(|run| &run.children));
            awaited.extend(item.waits_for());
        }
        awaited
    }

    /// Whether the session has room for what this item brings with it.
    fn check_room(&mut self, item: &NewItem) -> Result<(), Rejection> {
        let known = item.limits.is_empty() && self.session.lanes.of_kind(item.kind.as_str()).is_some();
        if known {
            // Its lane is there, and so are the names it counts against.
        } else if !item.limits.is_empty() || !self.lanes.contains(&(item.kind.clone(), Vec::new())) {
            self.lanes.insert((item.kind.clone(), item.limits.clone()));
            self.limits.extend(item.limits.iter().cloned());
            let lanes = self.session.lanes.len() + self.lanes.len();
            // Counted from above: what the session has already is counted twice only near the limit.
            if lanes > LANES_MAX && self.session.lanes.len() + self.new_lanes() > LANES_MAX {
                let what = "different kinds and sets of limits in one session";
                return Err(Rejection::LimitReached { what, limit: LANES_MAX as u64, advice: "use fewer limit names" });
            }
            if self.session.limits.len() + self.limits.len() > SESSION_LIMITS_MAX + LANES_MAX {
                let what = "limit names in one session";
                return Err(Rejection::LimitReached {
                    what,
                    limit: SESSION_LIMITS_MAX as u64,
                    advice: "use fewer limit names",
                });
            }
        }
        if !item.groups.is_empty() || !item.waits_for.is_empty() {
            self.groups.extend(item.waits_for.iter().map(|wait| match wait {
                WaitsFor::Group(group) => GroupKey::Named(group.clone()),
                WaitsFor::Item(id) => GroupKey::OfItem(id.clone()),
            }));
            self.groups.extend(item.groups.iter().cloned().map(GroupKey::Named));
            if self.session.groups.len() + self.groups.len() > SESSION_GROUPS_MAX {
                let what = "groups in one session";
                return Err(Rejection::LimitReached {
                    what,
                    limit: SESSION_GROUPS_MAX as u64,
                    advice: "use several sessions",
                });
            }
        }
        Ok(())
    }

    fn new_lanes(&self) -> usize {
        let there: HashSet<(&Kind, Vec<&LimitName>)> = self
            .session
            .lanes
            .iter()
            .map(|(_, lane)| {
                (&lane.kind, lane.limits.iter().map(|place| &self.session.limits.at(*place).name).collect())
            })
            .collect();
        self.lanes
            .iter()
            .filter(|(kind, own)| {
                let mut names = Session::limit_names(kind, own);
                names.sort_unstable();
                !there.contains(&(kind, names.iter().collect()))
            })
            .count()
    }
}
