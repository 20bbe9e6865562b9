//! A job, driven as a work core would drive it, and what its journal holds.

use crate::world::World;
use capstan_ids::{GroupName, ItemId, Position, WallTime};
use capstan_migration::{
    Context, JobCommand, JobEvent, JobName, Jobs, Rejection, Settled, Spec, Stamp, WorkIntent, WorkItem, WorkWait,
};
use std::collections::{BTreeMap, BTreeSet};

/// A job, its journal, and as much of a work core as decides what may be done next.
pub struct Journey {
    pub jobs: Jobs,
    pub journal: Vec<(Stamp, Vec<u8>)>,
    pub job: JobName,
    pub items: BTreeMap<ItemId, Item>,
    /// Groups whose gate is held.
    pub held: BTreeSet<String>,
    /// Items that are out of attempts.
    pub failed: BTreeSet<ItemId>,
    pub snapshot: Option<(usize, Vec<Vec<u8>>)>,
}

pub struct Item {
    pub item: WorkItem,
    /// Its own and its ancestors' groups, and its ancestors themselves.
    pub groups: BTreeSet<String>,
    pub done: Option<String>,
}

pub fn spec(text: &str) -> Box<Spec> {
    Box::new(toml::from_str(text).unwrap())
}

pub fn submit(text: &str) -> JobCommand {
    JobCommand::Submit { name: None, spec: spec(text) }
}

impl Journey {
    pub fn begin(text: &str) -> Self {
        let jobs = Jobs::default();
        let decision = jobs.decide(&submit(text), Context::default()).unwrap();
        let [WorkIntent::OpenSession { session, items, gates, .. }] = &decision.work[..] else {
            panic!("{:?}", decision.work)
        };
        let held = gates.iter().map(|(group, _)| group.to_string()).collect();
        let (journal, items_of, failed) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let mut journey =
            Self { jobs, journal, job: decision.job.clone(), items: items_of, held, failed, snapshot: None };
        journey.record(&decision.events);
        assert_eq!(*session, journey.job.session());
        journey.add(items.clone(), None);
        journey
    }

    pub fn record(&mut self, events: &[JobEvent]) {
        for event in events {
            let number = self.journal.len() as u64 + 1;
            let stamp = Stamp { position: Position::new(number), wall: WallTime(number as i64 * 1_000_000) };
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            self.jobs.apply(stamp, event);
            self.journal.push((stamp, bytes));
        }
        self.jobs.check().unwrap();
    }

    pub fn add(&mut self, items: Vec<WorkItem>, parent: Option<&ItemId>) {
        let inherited = parent.map(|parent| {
            let mut groups = self.items[parent].groups.clone();
            groups.insert(format!("item {parent}"));
            groups
        });
        for item in items.into_iter().filter(|item| !item.undo) {
            let mut groups = inherited.clone().unwrap_or_default();
            groups.extend(item.groups.iter().map(GroupName::to_string));
            for wait in &item.waits_for {
                groups.remove(&wanted(wait));
            }
            assert!(!self.items.contains_key(&item.id), "{} comes twice", item.id);
            self.items.insert(item.id.clone(), Item { item, groups, done: None });
        }
    }

    pub fn is_ready(&self, item: &WorkItem) -> bool {
        item.waits_for.iter().all(|wait| {
            let group = wanted(wait);
            if self.held.contains(&group) {
                return false;
            }
            let itself = |id: &ItemId| matches!(wait, WorkWait::Item(awaited) if awaited == id);
            self.items.iter().all(|(id, other)| other.done.is_some() || !(other.groups.contains(&group) || itself(id)))
        })
    }

    pub fn ready(&self) -> Vec<ItemId> {
        let open = self.items.values().filter(|item| item.done.is_none() && self.is_ready(&item.item));
        open.map(|item| item.item.id.clone()).filter(|id| !self.failed.contains(id)).collect()
    }

    /// Does a command, and what of it concerns items.
    pub fn ask(&mut self, command: &JobCommand) -> Result<(), Rejection> {
        let decision = self.jobs.decide(command, Context::default())?;
        self.record(&decision.events);
        for intent in decision.work {
            self.follow(intent);
        }
        Ok(())
    }

    pub fn follow(&mut self, intent: WorkIntent) {
        match intent {
            WorkIntent::AddItems { items, .. } => self.add(items, None),
            WorkIntent::OpenGate { group, .. } => assert!(self.held.remove(group.as_str()), "{group} was not held"),
            WorkIntent::GiveUpFailed { .. } => assert!(!self.failed.is_empty(), "there is something to give up"),
            WorkIntent::Retry { .. } => self.failed.clear(),
            _ => {}
        }
    }

    /// Nothing is ready: what waits for that begins; whether there was something.
    pub fn begin_phase(&mut self) -> bool {
        let ended = |item: &Item| item.done.is_some() || self.is_blocked(item) || self.failed.contains(&item.item.id);
        if self.items.values().all(ended) {
            return false;
        }
        let Some((event, work)) = self.jobs.next_phase(&self.job.session()) else { return false };
        self.record(&[event]);
        for intent in work {
            self.follow(intent);
        }
        true
    }

    /// Whether it waits for something that has failed, or for something that does.
    pub fn is_blocked(&self, item: &Item) -> bool {
        item.item.waits_for.iter().any(|wait| {
            let group = wanted(wait);
            let itself = |id: &ItemId| matches!(wait, WorkWait::Item(awaited) if awaited == id);
            self.items.iter().any(|(id, other)| {
                (other.groups.contains(&group) || itself(id)) && (self.failed.contains(id) || self.is_blocked(other))
            })
        })
    }

    pub fn complete(&mut self, id: &ItemId, result: &serde_json::Value) -> Result<(), Rejection> {
        let text = result.to_string();
        let completion = self.jobs.completed(&self.job.session(), id, Some(&text), Context::default())?;
        self.record(&completion.events);
        self.add(completion.successors.clone(), Some(id));
        self.items.get_mut(id).unwrap().done = Some(text.clone());
        let again = self.jobs.completed(&self.job.session(), id, Some(&text), Context::default()).unwrap();
        assert_eq!(again.events, [], "a repeat of {id} is no news");
        assert_eq!(again.successors, completion.successors, "a repeat of {id} has the same successors");
        Ok(())
    }

    /// Does what is ready until nothing is, in the order that `choices` say.
    pub fn run(&mut self, world: &World, choices: &mut impl Iterator<Item = usize>) {
        loop {
            let ready = self.ready();
            if ready.is_empty() {
                if self.begin_phase() {
                    continue;
                }
                return;
            }
            let id = ready[choices.next().unwrap_or(0) % ready.len()].clone();
            let missed = choices.next().unwrap_or(1).is_multiple_of(7);
            let result = world.result(&self.items[&id].item, missed);
            self.complete(&id, &result).unwrap();
            if choices.next().unwrap_or(1).is_multiple_of(5) {
                self.repeat_one(choices.next().unwrap_or(0));
            }
            if choices.next().unwrap_or(1).is_multiple_of(11) {
                self.snapshot = Some((self.journal.len(), self.jobs.snapshot()));
            }
        }
    }

    /// An old completion comes again, long after.
    pub fn repeat_one(&mut self, choice: usize) {
        let done: Vec<_> = self.items.iter().filter_map(|(id, item)| Some((id, item.done.as_ref()?))).collect();
        let (id, result) = done[choice % done.len()];
        let again = self.jobs.completed(&self.job.session(), id, Some(result), Context::default()).unwrap();
        assert_eq!(again.events, [], "an old {id} is no news");
    }

    pub fn settle(&mut self, settled: Settled) {
        let events = self.jobs.session_settled(&self.job.session(), settled);
        self.record(&events);
        assert_eq!(self.jobs.session_settled(&self.job.session(), settled), [], "a job ends once");
    }

    pub fn replayed(&self) -> Jobs {
        let mut jobs = Jobs::default();
        self.replay(&mut jobs, 0);
        jobs
    }

    pub fn replay(&self, jobs: &mut Jobs, from: usize) {
        for (stamp, bytes) in &self.journal[from..] {
            jobs.apply(*stamp, &JobEvent::decode(bytes).unwrap());
        }
    }

    pub fn report(&self) -> serde_json::Value {
        serde_json::to_value(self.jobs.report(&self.job, WallTime(0), false).unwrap()).unwrap()
    }
}

fn wanted(wait: &WorkWait) -> String {
    match wait {
        WorkWait::Group(group) => group.to_string(),
        WorkWait::Item(item) => format!("item {item}"),
    }
}

pub fn id(text: impl Into<String>) -> ItemId {
    ItemId::new(text.into()).unwrap()
}
