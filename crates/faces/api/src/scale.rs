//! How many workers are wanted of each kind: from the queue, what runs, and whether there is room for more.

use capstan_coordinator::State;
use capstan_ids::{Kind, SessionName};
use capstan_work::{SessionState, SessionView};
use std::collections::BTreeMap;

/// Items that one worker does at a time, where whoever asks does not say.
pub const SLOTS_DEFAULT: u64 = 4;
/// The most slots that can be said.
pub const SLOTS_MAX: u64 = 4_096;
/// Sessions looked at in one go.
const SLICE: usize = 200;
/// The limit that all work counts against.
const ALL: &str = "global";

/// What there is to do of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Items that a lease could be given for.
    pub ready: u64,
    /// Live leases.
    pub running: u64,
    /// Of both, what the limits let run at a time.
    pub wanted_leases: u64,
}

impl Demand {
    /// Workers wanted where each does `slots` items at a time: all that may run; what runs already where there is no
    /// room for more.
    pub fn workers(&self, slots: u64, room: bool) -> u64 {
        let leases = if room { self.wanted_leases } else { self.wanted_leases.min(self.running) };
        leases.div_ceil(slots.max(1))
    }
}

/// Demand by kind.
pub type Demands = BTreeMap<String, Demand>;

/// Adds what some sessions want; the last of them, if there may be more.
pub fn add_slice(state: &State, after: Option<&SessionName>, demands: &mut Demands) -> Option<SessionName> {
    let views: Vec<SessionView> = state.work.sessions_after(after).take(SLICE).collect();
    for view in &views {
        add(view, demands);
    }
    views.last().filter(|_| views.len() == SLICE).map(|last| last.name.clone())
}

fn add(session: &SessionView, demands: &mut Demands) {
    // Work counts against its kind, against the limit of all, and against names of its own, such as a host's.
    let kinds =
        session.limits.iter().filter(|limit| limit.name.as_str() != ALL && Kind::new(limit.name.as_str()).is_ok());
    for limit in kinds {
        let running = u64::from(limit.live);
        // In a session that is paused nothing new starts, but what runs goes on.
        let ready = if session.state == SessionState::Running { limit.ready } else { 0 };
        let most = limit.most.map_or(u64::MAX, |most| u64::from(most.get()));
        let demand = demands.entry(limit.name.to_string()).or_default();
        demand.ready += ready;
        demand.running += running;
        demand.wanted_leases += (ready + running).min(most.max(running));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_wanted_for_what_may_run_and_no_more_of_them_where_there_is_no_room() {
        let demand = Demand { ready: 100, running: 6, wanted_leases: 16 };
        assert_eq!(demand.workers(4, true), 4);
        assert_eq!(demand.workers(4, false), 2);
        assert_eq!(demand.workers(1, true), 16);
        assert_eq!(Demand::default().workers(4, true), 0);
    }
}
