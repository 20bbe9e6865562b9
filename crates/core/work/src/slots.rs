//! What workers say of themselves: how much they can do at a time, and what they use. Forgotten with the process.

use crate::session::{Session, WORKERS_KEPT};
use crate::state::WorkState;
use crate::usage::Usage;
use capstan_ids::{SessionName, WallTime, WorkerId};
use hashbrown::HashMap;

/// Workers by what they said last.
#[derive(Debug, Default)]
pub(crate) struct Slots(HashMap<WorkerId, Said>);

#[derive(Debug)]
struct Said {
    slots: Option<u32>,
    usage: Option<Usage>,
    /// Sessions it works for; none means any.
    sessions: Vec<SessionName>,
    at: WallTime,
}

impl Slots {
    /// What is not said leaves what was said before.
    pub fn note(
        &mut self,
        worker: &WorkerId,
        (slots, usage): (Option<u32>, Option<Usage>),
        sessions: &[SessionName],
        at: WallTime,
    ) {
        if let Some(said) = self.0.get_mut(worker) {
            (said.slots, said.usage, said.at) = (slots.or(said.slots), usage.or(said.usage), at);
            if said.sessions != sessions {
                said.sessions = sessions.to_vec();
            }
            return;
        }
        if self.0.len() >= WORKERS_KEPT {
            self.forget_silent();
        }
        self.0.insert(worker.clone(), Said { slots, usage, sessions: sessions.to_vec(), at });
    }

    pub fn of(&self, worker: &WorkerId) -> Option<u32> {
        self.0.get(worker).and_then(|said| said.slots)
    }

    pub fn usage_of(&self, worker: &WorkerId) -> Option<Usage> {
        self.0.get(worker).and_then(|said| said.usage)
    }

    /// Forgets the half that spoke longest ago.
    fn forget_silent(&mut self) {
        let mut times: Vec<WallTime> = self.0.values().map(|said| said.at).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.0.retain(|_, said| said.at > median);
    }
}

impl WorkState {
    /// Slots of the workers that serve a session and were heard of since `since`; none where none of them says.
    pub fn connected_slots(&self, session: &SessionName, since: WallTime) -> Option<u64> {
        let session = self.live_session(session)?;
        let serves = |said: &Said| said.sessions.is_empty() || said.sessions.contains(&session.name);
        // Who is busy with all its slots asks for nothing, but renews.
        let heard = |worker: &WorkerId, said: &Said| said.at >= since || session.has_heard_of(worker, since);
        let connected = self.shared.slots.0.iter().filter(|(worker, said)| serves(said) && heard(worker, said));
        connected.filter_map(|(_, said)| said.slots.map(u64::from)).reduce(|sum, slots| sum + slots)
    }

    /// Whether any worker that serves a session was heard of since `since`, or holds something of it.
    pub fn has_workers(&self, session: &SessionName, since: WallTime) -> bool {
        let Some(session) = self.live_session(session) else { return false };
        let serves = |said: &Said| said.sessions.is_empty() || said.sessions.contains(&session.name);
        session.has_live_leases()
            || session.workers.values().any(|record| record.last_seen >= since)
            || self.shared.slots.0.values().any(|said| serves(said) && said.at >= since)
    }
}

impl Session {
    fn has_heard_of(&self, worker: &WorkerId, since: WallTime) -> bool {
        self.workers.get(worker).is_some_and(|record| record.last_seen >= since)
    }
}
