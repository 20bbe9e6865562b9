//! What workers say of how much they can do at a time: only shown to people, and forgotten with the process.

use crate::session::WORKERS_KEPT;
use crate::state::WorkState;
use capstan_ids::{SessionName, WallTime, WorkerId};
use hashbrown::HashMap;

/// Workers by what they said last.
#[derive(Debug, Default)]
pub(crate) struct Slots(HashMap<WorkerId, Said>);

#[derive(Debug)]
struct Said {
    slots: u32,
    /// Sessions it works for; none means any.
    sessions: Vec<SessionName>,
    at: WallTime,
}

impl Slots {
    pub fn note(&mut self, worker: &WorkerId, slots: u32, sessions: &[SessionName], at: WallTime) {
        if let Some(said) = self.0.get_mut(worker) {
            (said.slots, said.at) = (slots, at);
            if said.sessions != sessions {
                said.sessions = sessions.to_vec();
            }
            return;
        }
        if self.0.len() >= WORKERS_KEPT {
            self.forget_silent();
        }
        self.0.insert(worker.clone(), Said { slots, sessions: sessions.to_vec(), at });
    }

    pub fn of(&self, worker: &WorkerId) -> Option<u32> {
        self.0.get(worker).map(|said| said.slots)
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
        let heard = |worker: &WorkerId, said: &Said| {
            // Who is busy with all its slots asks for nothing, but renews.
            said.at >= since || session.workers.get(worker).is_some_and(|record| record.last_seen >= since)
        };
        let serves = |said: &Said| said.sessions.is_empty() || said.sessions.contains(&session.name);
        let connected = self.shared.slots.0.iter().filter(|(worker, said)| serves(said) && heard(worker, said));
        connected.map(|(_, said)| u64::from(said.slots)).reduce(|sum, slots| sum + slots)
    }
}
