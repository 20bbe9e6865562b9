//! What is shown of the state.

use crate::body::ItemBody;
use crate::counts::Counts;
use crate::item::{Item, ItemState};
use crate::limits::Limit;
use crate::policy::{LimitValue, Policy};
use crate::progress::Progress;
use crate::session::{Mode, Session, SessionState};
use crate::state::WorkState;
use capstan_ids::{ItemId, Kind, LimitName, SessionName, Token, WallTime, WorkerId};
use std::collections::BTreeMap;

/// An item as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemView {
    /// Its session.
    pub session: SessionName,
    /// Its number in the session: the order of creation, and a cursor for lists.
    pub number: u64,
    /// What its maker said.
    pub body: ItemBody,
    /// Its state.
    pub state: ItemState,
    /// The group that will not be empty, if it is blocked.
    pub blocked_by: Option<String>,
    /// Why its lease was taken back, if it was.
    pub revoked: Option<Box<str>>,
    /// Who holds it, or, once it is completed, who completed it.
    pub worker: Option<WorkerId>,
    /// The live lease's token.
    pub token: Option<Token>,
    /// When the live lease was granted.
    pub granted: Option<WallTime>,
    /// When the live lease ends, as shown.
    pub expires: Option<WallTime>,
    /// Counted failures so far.
    pub attempts: u32,
    /// How far it has got.
    pub progress: Progress,
    /// Where to go on from.
    pub checkpoint: Option<Box<str>>,
    /// What came of it.
    pub result: Option<Box<str>>,
    /// What went wrong last.
    pub last_error: Option<Box<str>>,
    /// Its priority now.
    pub priority: i16,
    /// When it was made.
    pub created: WallTime,
    /// When it was first handed out.
    pub started: Option<WallTime>,
    /// When it was completed.
    pub completed: Option<WallTime>,
    /// When progress was last heard of.
    pub last_progress: Option<WallTime>,
    /// Its holder renews and has got no further for as long as the policy says.
    pub stuck: bool,
}

/// A session as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionView {
    /// Its name.
    pub name: SessionName,
    /// What it is doing.
    pub state: SessionState,
    /// Why it is paused or cancelled, or why nothing can move in it any more.
    pub reason: Option<String>,
    /// Its rules.
    pub policy: Policy,
    /// What its owner keeps with it.
    pub notes: Option<Box<str>>,
    /// Items by state, and totals.
    pub counts: Counts,
    /// When it was opened.
    pub created: WallTime,
    /// When its rules or notes last changed.
    pub updated: WallTime,
    /// When its first item was first handed out.
    pub started: Option<WallTime>,
    /// Limits and how many leases count against each.
    pub limits: Vec<LimitView>,
    /// Of the live leases, those that are stuck.
    pub stuck: u64,
}

/// A limit, or a name that leases count against without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitView {
    /// Its name.
    pub name: LimitName,
    /// The most there may be; none is no limit.
    pub most: Option<LimitValue>,
    /// How many there are.
    pub live: u32,
    /// Items ready for it.
    pub ready: u64,
}

/// Items of one kind by state, but those that are no longer kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindView {
    /// Which kind.
    pub kind: Kind,
    states: [u64; 9],
}

impl KindView {
    /// How many of it are in a state.
    pub fn of(&self, state: ItemState) -> u64 {
        self.states[state as usize]
    }
}

/// A worker in a session.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerView {
    /// Its session.
    pub session: SessionName,
    /// Its id.
    pub worker: WorkerId,
    /// What it holds: id, token, since when.
    pub holds: Vec<(ItemId, Token, WallTime)>,
    /// Items it completed here.
    pub done: u64,
    /// Attempts of it that failed here.
    pub failed: u64,
    /// When it was first seen here.
    pub first_seen: WallTime,
    /// When it was last heard of here.
    pub last_seen: WallTime,
    /// Of what it holds, what it gets no further with.
    pub stuck: Vec<ItemId>,
    /// How many items it does at a time, where it says.
    pub slots: Option<u32>,
}

impl WorkState {
    /// One session.
    pub fn session(&self, name: &SessionName) -> Option<SessionView> {
        self.live_session(name).map(Session::view)
    }

    /// Sessions after a name, in the order of their names.
    pub fn sessions_after<'a>(&'a self, after: Option<&SessionName>) -> impl Iterator<Item = SessionView> + 'a {
        let from = match after {
            Some(name) => std::ops::Bound::Excluded(name.clone()),
            None => std::ops::Bound::Unbounded,
        };
        self.sessions
            .range((from, std::ops::Bound::Unbounded))
            .map(|(_, session)| &**session)
            .filter(|session| session.mode != Mode::Deleted)
            .map(Session::view)
    }

    /// One item.
    pub fn item(&self, session: &SessionName, id: &ItemId) -> Option<ItemView> {
        let session = self.live_session(session)?;
        session.items.find(id.as_str()).map(|number| session.item_view(number))
    }

    /// Items from a number on, in the order they were made; none where there is no such session.
    pub fn items_from<'a>(&'a self, session: &SessionName, from: u64) -> Option<impl Iterator<Item = ItemView> + 'a> {
        let session = self.live_session(session)?;
        Some(session.items.iter_from(from).map(|(number, _)| session.item_view(number)))
    }

    /// Items of a session by kind and state. Takes time in proportion to the kinds and limits in use, not to the items.
    pub fn kinds(&self, session: &SessionName) -> Vec<KindView> {
        let Some(session) = self.live_session(session) else { return Vec::new() };
        let mut kinds: BTreeMap<Kind, [u64; 9]> = BTreeMap::new();
        for (place, lane) in session.lanes.iter() {
            session.tallies.add_to(place, kinds.entry(lane.kind.clone()).or_default());
        }
        kinds.into_iter().map(|(kind, states)| KindView { kind, states }).collect()
    }

    /// How far the leased items of a kind have got together. Takes time in proportion to them alone.
    pub fn leased_progress(&self, session: &SessionName, kind: &Kind) -> Progress {
        let mut sum = Progress::NONE;
        let Some(session) = self.live_session(session) else { return sum };
        let items = session.leased.iter().map(|number| session.item(*number));
        items.filter(|item| session.lanes.at(item.lane).kind == *kind).for_each(|item| sum += item.progress());
        sum
    }

    /// Attempts at a session's items of a kind that failed; in memory alone, so that they are counted anew after a restart.
    pub fn failed_attempts(&self, session: &SessionName, kind: &Kind) -> u64 {
        let Some(session) = self.live_session(session) else { return 0 };
        session.lanes.iter().filter(|(_, lane)| lane.kind == *kind).map(|(_, lane)| lane.failed).sum()
    }

    /// Items of a session that are leased now. Takes time in proportion to them alone.
    pub fn leased_items(&self, session: &SessionName) -> Vec<ItemId> {
        let Some(session) = self.live_session(session) else { return Vec::new() };
        let mut leased: Vec<u64> = session.leased.iter().copied().collect();
        leased.sort_unstable();
        let id = |number| ItemId::new(session.item(number).body.id()).expect("bodies hold valid ids");
        leased.into_iter().map(id).collect()
    }

    /// Items of a session that have failed. Looks at every item, unless there is none of them.
    pub fn failed_items(&self, session: &SessionName) -> Vec<ItemId> {
        let Some(session) = self.live_session(session) else { return Vec::new() };
        if session.counts.of(ItemState::Failed) == 0 {
            return Vec::new();
        }
        let failed = session.items.iter().filter(|(_, item)| item.state == ItemState::Failed);
        failed.map(|(_, item)| ItemId::new(item.body.id()).expect("bodies hold valid ids")).collect()
    }

    /// The workers of one session or of all.
    pub fn workers(&self, session: Option<&SessionName>) -> Vec<WorkerView> {
        let sessions =
            self.sessions.values().filter(|s| s.mode != Mode::Deleted && session.is_none_or(|name| s.name == *name));
        let mut views: Vec<WorkerView> = sessions.flat_map(|session| session.worker_views()).collect();
        for view in &mut views {
            view.slots = self.shared.slots.of(&view.worker);
        }
        views
    }

    /// Limits over all sessions.
    pub fn limits(&self) -> Vec<LimitView> {
        self.shared
            .limits
            .iter()
            .map(|limit| LimitView { name: limit.name.clone(), most: limit.most, live: limit.live, ready: 0 })
            .collect()
    }

    /// Leases that ran out since the last sweep or acquire.
    pub fn unseen_expiries(&self, session: &SessionName) -> Option<u64> {
        self.live_session(session).map(|session| session.unseen_expiries)
    }
}

impl Session {
    pub(crate) fn view(&self) -> SessionView {
        SessionView {
            name: self.name.clone(),
            state: self.state(),
            reason: self.reason(),
            policy: self.policy.clone(),
            notes: self.notes.clone(),
            counts: self.counts.clone(),
            created: self.created,
            updated: self.updated,
            started: self.started,
            limits: self.limit_views(),
            stuck: self.stuck,
        }
    }

    fn limit_views(&self) -> Vec<LimitView> {
        let view = |limit: &Limit| LimitView { name: limit.name.clone(), most: limit.most, live: limit.live, ready: 0 };
        let mut views: Vec<LimitView> = self.limits.iter().map(view).collect();
        for (_, lane) in self.lanes.iter() {
            for place in &lane.limits {
                views[*place as usize].ready += lane.ready();
            }
        }
        views
    }

    /// Why nothing moves, where nothing does.
    fn reason(&self) -> Option<String> {
        match &self.mode {
            Mode::Paused(reason) | Mode::Cancelled(reason) => Some(reason.to_string()),
            Mode::Closed | Mode::Deleted => None,
            Mode::Running => {
                let moving = self.counts.pending() + self.counts.of(ItemState::Assigned);
                let (failed, blocked, waiting) = (
                    self.counts.of(ItemState::Failed),
                    self.counts.of(ItemState::Blocked),
                    self.counts.of(ItemState::Waiting),
                );
                if moving > 0 || failed + blocked + waiting == 0 {
                    return None;
                }
                let held = self.groups.iter().find_map(|(_, group)| Some((group.gates.first()?, &group.key)));
                Some(match held {
                    Some((gate, group)) if waiting > 0 => {
                        format!("{waiting} items wait for gate {gate} of group {group}")
                    }
                    _ => format!(
                        "{failed} items have failed, {blocked} are blocked by failed or cancelled ones, {waiting} wait"
                    ),
                })
            }
        }
    }

    pub(crate) fn item_view(&self, number: u64) -> ItemView {
        let item = self.item(number);
        let mut view = item.view(&self.name, number);
        if item.state == ItemState::Blocked {
            let mut groups = item.waits_for().iter().map(|place| self.groups.at(*place));
            view.blocked_by = groups.find(|g| !g.emptied && g.broken > 0).map(|group| group.key.to_string());
        }
        view
    }

    fn worker_views(&self) -> Vec<WorkerView> {
        let mut views: Vec<WorkerView> = self
            .workers
            .iter()
            .map(|(worker, record)| WorkerView {
                session: self.name.clone(),
                worker: worker.clone(),
                holds: Vec::new(),
                done: record.done,
                failed: record.failed,
                first_seen: record.first_seen,
                last_seen: record.last_seen,
                stuck: Vec::new(),
                slots: None,
            })
            .collect();
        views.sort_unstable_by(|a, b| a.worker.cmp(&b.worker));
        let mut leased: Vec<u64> = self.leased.iter().copied().collect();
        leased.sort_unstable();
        for item in leased.into_iter().filter_map(|number| self.items.get(number)) {
            let Some(lease) = item.lease() else { continue };
            if let Ok(place) = views.binary_search_by(|view| view.worker.cmp(&lease.worker)) {
                let id = ItemId::new(item.body.id()).expect("bodies hold valid ids");
                if lease.stuck {
                    views[place].stuck.push(id.clone());
                }
                views[place].holds.push((id, lease.token, lease.granted));
            }
        }
        views
    }
}

impl Item {
    pub(crate) fn view(&self, session: &SessionName, number: u64) -> ItemView {
        let run = self.run.as_deref();
        let lease = self.lease();
        let completed_by = run.filter(|_| self.state == ItemState::Completed).and_then(|run| run.last_holder.as_ref());
        ItemView {
            session: session.clone(),
            number,
            body: self.body.clone(),
            state: self.state,
            blocked_by: None,
            revoked: lease.and_then(|lease| lease.revoked.as_ref()).map(|revoked| revoked.reason.clone()),
            worker: lease.map(|lease| &lease.worker).or(completed_by.map(|past| &past.worker)).cloned(),
            token: lease.map(|lease| lease.token),
            granted: lease.map(|lease| lease.granted),
            expires: lease.map(|lease| lease.expires),
            attempts: self.attempts(),
            progress: self.progress(),
            checkpoint: run.and_then(|run| run.checkpoint.clone()),
            result: run.and_then(|run| run.result.clone()),
            last_error: run.and_then(|run| run.last_error.clone()),
            priority: self.priority,
            created: self.created,
            started: run.and_then(|run| run.started),
            completed: run.and_then(|run| run.ended).map(|ended| ended.at),
            last_progress: run.and_then(|run| run.last_progress),
            stuck: lease.is_some_and(|lease| lease.stuck),
        }
    }
}
