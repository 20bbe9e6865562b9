//! A session as rows: a header, then its items, a slice at a time while the session goes on.

use crate::counts::Counts;
use crate::groups::GroupKey;
use crate::item::{Item, ItemState, Row};
use crate::items::Slice;
use crate::policy::{LimitValue, Policy};
use crate::session::{Ghost, Mode, Session, WorkerRecord};
use crate::state::{Due, WorkState};
use capstan_ids::{GateName, Kind, LimitName, Monotonic, SessionName, Token, WallTime, WorkerId};
use hashbrown::HashSet;
use minicbor::{Decode, Encode};

#[derive(Encode, Decode)]
struct Header {
    #[n(0)]
    name: SessionName,
    #[n(1)]
    policy: Policy,
    #[n(2)]
    notes: Option<Box<str>>,
    #[n(3)]
    mode: Mode,
    #[n(4)]
    created: WallTime,
    #[n(5)]
    updated: WallTime,
    #[n(6)]
    started: Option<WallTime>,
    #[n(7)]
    queued: u64,
    #[n(8)]
    served: u64,
    #[n(9)]
    next_number: u64,
    /// What completed items that are no longer kept add to the counts.
    #[n(10)]
    forgotten: Counts,
    #[n(11)]
    limits: Vec<(LimitName, Option<LimitValue>)>,
    #[n(12)]
    lanes: Vec<(Kind, Vec<u32>)>,
    #[n(13)]
    groups: Vec<GroupRow>,
    #[n(14)]
    workers: Vec<(WorkerId, WorkerRecord)>,
    #[n(15)]
    ghosts: Vec<(Token, Ghost)>,
}

#[derive(Encode, Decode)]
struct GroupRow {
    #[n(0)]
    key: GroupKey,
    #[n(1)]
    gates: Vec<GateName>,
    #[n(2)]
    filled: bool,
    #[n(3)]
    emptied: bool,
    #[n(4)]
    waits_for: Vec<u32>,
    #[n(5)]
    opened: Vec<GateName>,
}

/// Rows that do not make a session.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A row does not decode.
    #[error("row {row} of the snapshot of {session} cannot be read: {what}")]
    Row {
        /// Of which session, where that is known.
        session: String,
        /// Which row, counted from 0.
        row: u64,
        /// What is wrong with it.
        what: String,
    },
}

impl WorkState {
    /// Starts a snapshot of a session as it is now, and answers its first row; none if there is no such session.
    ///
    /// Only one at a time for each session; a second begins anew.
    pub fn begin_snapshot(&mut self, session: &SessionName) -> Option<Vec<u8>> {
        let session = self.sessions.get_mut(session)?;
        session.items.begin_snapshot();
        Some(session.header())
    }

    /// The next rows of a snapshot, of at most `most` items.
    pub fn snapshot_slice(&mut self, session: &SessionName, most: u64) -> Slice {
        self.sessions.get_mut(session).map_or(Slice::Abandoned, |session| session.items.snapshot_slice(most))
    }

    /// Gives a snapshot up.
    pub fn abandon_snapshot(&mut self, session: &SessionName) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.items.abandon_snapshot();
        }
    }

    /// Sessions there are, with those that are deleted but still have leases that count.
    pub fn session_names(&self) -> Vec<SessionName> {
        self.sessions.keys().cloned().collect()
    }

    /// What concerns all sessions, as one row.
    pub fn shared_row(&self) -> Vec<u8> {
        let limits: Vec<(&LimitName, LimitValue)> =
            self.shared.limits.iter().filter_map(|limit| Some((&limit.name, limit.most?))).collect();
        minicbor::to_vec(limits).expect("writing to a vector cannot fail")
    }

    /// Takes over what [`WorkState::shared_row`] gave.
    pub fn restore_shared(&mut self, row: &[u8]) -> Result<(), RestoreError> {
        let bad = |e: minicbor::decode::Error| RestoreError::Row {
            session: "all sessions".into(),
            row: 0,
            what: e.to_string(),
        };
        let limits: Vec<(LimitName, LimitValue)> = minicbor::decode(row).map_err(bad)?;
        for (name, most) in limits {
            self.shared.limits.set(&name, Some(most));
        }
        Ok(())
    }

    /// Begins to read a session back; its leases begin their full term `now`.
    pub fn restore_session(&mut self, header: &[u8], now: Monotonic) -> Result<SessionRestore<'_>, RestoreError> {
        let bad =
            |e: minicbor::decode::Error| RestoreError::Row { session: String::new(), row: 0, what: e.to_string() };
        let header: Header = minicbor::decode(header).map_err(bad)?;
        header.check()?;
        let next_number = header.next_number;
        let mut session = Session::from_header(header);
        for (token, ghost) in &mut session.ghosts {
            ghost.deadline = now + ghost.length;
            self.shared.alarm(ghost.deadline, &session.name, Due::Ghost(*token));
            for name in &ghost.limits {
                let place = self.shared.limits.place(name);
                self.shared.limits.granted(place);
            }
        }
        Ok(SessionRestore {
            work: self,
            session: Box::new(session),
            now,
            rows: 0,
            next_number,
            ready: Vec::new(),
            completed: Vec::new(),
        })
    }
}

/// A session being read back, row by row.
#[derive(Debug)]
pub struct SessionRestore<'a> {
    work: &'a mut WorkState,
    session: Box<Session>,
    now: Monotonic,
    rows: u64,
    next_number: u64,
    ready: Vec<(u64, u64)>,
    completed: Vec<(capstan_ids::Position, u64)>,
}

impl SessionRestore<'_> {
    /// Takes one item's row.
    pub fn row(&mut self, row: &[u8]) -> Result<(), RestoreError> {
        self.rows += 1;
        let bad = |what: String| RestoreError::Row { session: self.session.name.to_string(), row: self.rows, what };
        let row: Row = minicbor::decode(row).map_err(|e| bad(e.to_string()))?;
        let number = row.number;
        if number < self.session.items.next_number() || number >= self.next_number {
            return Err(bad(format!("item {number} comes out of order")));
        }
        let mut item = Item::from(row);
        self.session.check_row(&item).map_err(bad)?;
        self.session.link(number, &item);
        self.session.counts.enter(&item);
        self.session.tallies.enter(&item);
        self.place(number, &mut item);
        self.session.items.put(number, item);
        Ok(())
    }

    fn place(&mut self, number: u64, item: &mut Item) {
        let (name, now) = (&self.session.name, self.now);
        let (queued, state, not_before) = (item.queued, item.state, item.not_before());
        if state == ItemState::Ready {
            self.ready.push((queued, number));
        }
        let backs_off = item.run.as_ref().is_some_and(|run| run.delay.get() > 0);
        if let Some(at) = not_before.filter(|_| state == ItemState::Delayed && !backs_off)
            && !self.session.haunts.contains_key(item.body.id())
        {
            self.work.shared.calendar.insert((at, name.clone(), number));
        }
        let Some(run) = &mut item.run else { return };
        if state == ItemState::Completed {
            self.completed.extend(run.ended.map(|ended| (ended.position, number)));
        }
        if state == ItemState::Delayed && run.delay.get() > 0 {
            run.delayed_until = now + run.delay;
            self.work.shared.alarm(run.delayed_until, name, Due::Item(number));
        }
        if let Some(lease) = &mut run.lease {
            self.session.leased.insert(number);
            lease.deadline = now + lease.length;
            self.work.shared.alarm(lease.deadline, name, Due::Item(number));
            if let Some(key) = &lease.key {
                self.work.shared.remember(&lease.worker, key, name, number);
            }
            if let Some(record) = self.session.workers.get_mut(&lease.worker) {
                record.held += 1;
            }
            for place in &self.session.lanes.at(item.lane).limits {
                self.session.limits.granted(*place);
                let limit = self.session.limits.at(*place).name.clone();
                let place = self.work.shared.limits.place(&limit);
                self.work.shared.limits.granted(place);
            }
        }
    }

    /// All rows are there: queues are filled in their order, and the session stands.
    pub fn finish(mut self) {
        let session = &mut self.session;
        self.ready.sort_unstable();
        for (_, number) in &self.ready {
            session.lanes.push(*number, session.items.get(*number).expect("it was just put there"));
        }
        self.completed.sort_unstable();
        session.completed.extend(self.completed.iter().map(|(_, number)| *number));
        session.items.skip_to(self.next_number);
        if session.hands_out() {
            session.turn = Some(session.served);
            self.work.shared.turns.insert((session.served, session.name.clone()));
        }
        self.work.sessions.insert(self.session.name.clone(), self.session);
    }

    /// Which session it is.
    pub fn name(&self) -> &SessionName {
        &self.session.name
    }
}

/// The most there can be of anything that is counted: numbers and sums stay far from their ends.
const COUNT_MAX: u64 = 1 << 48;
/// Numbers of items take five bytes in the index.
const NUMBER_MAX: u64 = 1 << 40;

impl Header {
    /// Whether its rows name only what is there.
    fn check(&self) -> Result<(), RestoreError> {
        let bad = |what: &str| {
            Err(RestoreError::Row { session: self.name.to_string(), row: 0, what: format!("its {what} cannot be") })
        };
        let names: HashSet<_> = self.limits.iter().map(|(name, _)| name).collect();
        if names.len() < self.limits.len() {
            return bad("limits");
        }
        let lanes: HashSet<_> = self.lanes.iter().collect();
        let limits = self.lanes.iter().flat_map(|(_, limits)| limits);
        if lanes.len() < self.lanes.len() || limits.into_iter().any(|place| *place as usize >= self.limits.len()) {
            return bad("lanes");
        }
        let awaited = self.groups.iter().flat_map(|group| &group.waits_for);
        if awaited.into_iter().any(|place| *place as usize >= self.groups.len()) {
            return bad("groups");
        }
        if self.next_number > NUMBER_MAX || self.queued > COUNT_MAX || !self.forgotten.is_below(COUNT_MAX) {
            return bad("counts");
        }
        Ok(())
    }
}

impl Session {
    /// Whether a row names only what is there.
    fn check_row(&self, item: &Item) -> Result<(), String> {
        let groups = item.groups().iter().chain(item.waits_for());
        if item.lane as usize >= self.lanes.len()
            || groups.into_iter().any(|place| *place as usize >= self.groups.len())
        {
            return Err("it names a lane or a group that the header does not have".into());
        }
        if self.items.find(item.body.id()).is_some() {
            return Err(format!("item {:?} comes twice", item.body.id()));
        }
        if item.lease().is_some() != (item.state == ItemState::Assigned) {
            return Err(format!(
                "item {:?} is {} and leased: {}",
                item.body.id(),
                item.state.name(),
                item.lease().is_some()
            ));
        }
        match item.lease() {
            Some(lease) if !self.workers.contains_key(&lease.worker) => {
                Err(format!("worker {} holds a lease, and the header does not have it", lease.worker))
            }
            _ => Ok(()),
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut workers: Vec<_> = self.workers.iter().map(|(id, record)| (id.clone(), record.clone())).collect();
        workers.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let header = Header {
            name: self.name.clone(),
            policy: self.policy.clone(),
            notes: self.notes.clone(),
            mode: self.mode.clone(),
            created: self.created,
            updated: self.updated,
            started: self.started,
            queued: self.queued,
            served: self.served,
            next_number: self.items.next_number(),
            forgotten: self.forgotten.clone(),
            limits: self.limits.iter().map(|limit| (limit.name.clone(), limit.most)).collect(),
            lanes: self.lanes.iter().map(|(_, lane)| (lane.kind.clone(), lane.limits.to_vec())).collect(),
            groups: self
                .groups
                .iter()
                .map(|(_, group)| GroupRow {
                    key: group.key.clone(),
                    gates: group.gates.iter().cloned().collect(),
                    filled: group.filled,
                    emptied: group.emptied,
                    waits_for: group.waits_for.iter().copied().collect(),
                    opened: group.opened.iter().cloned().collect(),
                })
                .collect(),
            workers,
            ghosts: self.ghosts.iter().map(|(token, ghost)| (*token, ghost.clone())).collect(),
        };
        minicbor::to_vec(header).expect("writing to a vector cannot fail")
    }

    fn from_header(header: Header) -> Self {
        let mut session = Self::new(header.name, header.policy, header.notes, header.created);
        session.mode = header.mode;
        session.updated = header.updated;
        session.started = header.started;
        session.queued = header.queued;
        session.served = header.served;
        session.counts = header.forgotten.clone();
        session.forgotten = header.forgotten;
        session.limits = crate::limits::Limits::default();
        for (name, most) in &header.limits {
            session.limits.place(name);
            session.limits.set(name, *most);
        }
        for (kind, limits) in header.lanes {
            session.lanes.place(&kind, limits.into_boxed_slice());
        }
        for row in header.groups {
            let place = session.groups.begin(&row.key);
            let group = session.groups.at_mut(place);
            group.gates = row.gates.into_iter().collect();
            group.filled = row.filled;
            group.emptied = row.emptied;
            group.waits_for = row.waits_for.into_iter().collect();
            group.opened = row.opened.into_iter().collect();
        }
        session.workers = header.workers.into_iter().collect();
        for (token, ghost) in header.ghosts {
            for name in &ghost.limits {
                let place = session.limits.place(name);
                session.limits.granted(place);
            }
            session.add_ghost(token, ghost);
        }
        session
    }

    /// Counts an item being read back into the groups it belongs to and waits for.
    fn link(&mut self, number: u64, item: &Item) {
        for place in item.groups() {
            let group = self.groups.at_mut(*place);
            group.unfinished += u64::from(item.state != ItemState::Completed);
            group.broken += u64::from(item.state.breaks_groups());
        }
        for place in item.waits_for() {
            let group = self.groups.at_mut(*place);
            if !group.emptied {
                group.waiters.push(number);
            }
        }
    }
}
