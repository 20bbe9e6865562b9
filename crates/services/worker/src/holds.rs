//! What is not asked for now: kinds of items of single sessions, each until a time, or until its spool has room.
//!
//! What one session waits for holds back no other: see [`crate::wishes`] for how that is asked for.

use crate::clock::Since;
use capstan_ids::{Kind, SessionName};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

/// After an item whose parts lie elsewhere, none of its kind and session is asked for this long: its own workers come
/// first.
const ELSEWHERE_PAUSE: Duration = Duration::from_secs(10);
/// When a spool without room is looked at first, and how often where looking costs nothing.
const ROOM_LOOK: Duration = Duration::from_secs(1);
/// The longest pause between two looks at a spool that has to be tried; they double until then.
const ROOM_LOOK_MAX: Duration = Duration::from_secs(60);
/// Sessions that are remembered, of each sort.
const SESSIONS_MAX: usize = 1_000;

/// What is held back, and which sessions this worker has seen.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    holds: Vec<Hold>,
    /// Sessions that items came from, the last one behind.
    seen: VecDeque<SessionName>,
    /// Sessions whose parts lie elsewhere: each is spoken of once.
    told: HashSet<SessionName>,
    /// How long each session's next hold for want of room is, until one of its dumps is done.
    pauses: HashMap<SessionName, Duration>,
}

#[derive(Debug)]
struct Hold {
    session: SessionName,
    kind: Kind,
    until: Until,
}

#[derive(Debug)]
enum Until {
    Time(Since),
    Room { spool: String, look: Since },
}

/// What may not be asked for, and what may be asked for by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Of which session which kind is held back.
    pub holds: Vec<(SessionName, Kind)>,
    /// Sessions that this worker has seen and that nothing is held back of.
    pub free: Vec<SessionName>,
}

impl Holds {
    /// An item came from this session.
    pub fn see(&mut self, session: &SessionName) {
        self.seen.retain(|seen| seen != session);
        self.seen.push_back(session.clone());
        if self.seen.len() > SESSIONS_MAX {
            self.seen.pop_front();
        }
    }

    /// Some session that was seen is not there any more.
    pub fn forget_seen(&mut self) {
        self.seen.clear();
    }

    /// Leaves a session's items of a kind to workers that see its spool; whether that is new.
    pub fn leave(&mut self, session: &SessionName, kind: &Kind, now: Since) -> bool {
        self.put(session, kind, Until::Time(now.plus(ELSEWHERE_PAUSE)));
        self.told.len() < SESSIONS_MAX * 10 && self.told.insert(session.clone())
    }

    /// Holds a session's items of a kind back until the spool has room. `tried`: it cannot be asked, only tried, so it is
    /// looked at after ever longer pauses; they begin anew once a dump of the session is done.
    pub fn wait_for_room(&mut self, session: &SessionName, kind: &Kind, spool: String, tried: bool, now: Since) {
        let waits = |hold: &Hold| hold.is_of(session, kind) && matches!(hold.until, Until::Room { .. });
        // Of several items that found no room at once, the first has said so.
        if !self.holds.iter().any(waits) {
            let pause = if tried { self.next_pause(session) } else { ROOM_LOOK };
            self.put(session, kind, Until::Room { spool, look: now.plus(pause) });
        }
    }

    /// A dump of this session found room.
    pub fn found_room(&mut self, session: &SessionName) {
        self.pauses.remove(session);
    }

    /// Lets go of what is over, and says which spools are to be looked at now.
    pub fn due(&mut self, now: Since) -> Vec<String> {
        self.holds.retain(|hold| !matches!(&hold.until, Until::Time(until) if *until <= now));
        let mut due: Vec<String> = Vec::new();
        for hold in &self.holds {
            match &hold.until {
                Until::Room { spool, look } if *look <= now && !due.contains(spool) => due.push(spool.clone()),
                Until::Room { .. } | Until::Time(_) => {}
            }
        }
        due
    }

    /// A spool was looked at: it has room, or it is looked at again later.
    pub fn looked(&mut self, spool: &str, has_room: bool, tried: bool, now: Since) {
        if has_room {
            self.holds.retain(|hold| !matches!(&hold.until, Until::Room { spool: full, .. } if full == spool));
            return;
        }
        let mut holds = std::mem::take(&mut self.holds);
        for Hold { session, until, .. } in &mut holds {
            match until {
                Until::Room { spool: full, look } if full == spool => {
                    *look = now.plus(if tried { self.next_pause(session) } else { ROOM_LOOK });
                }
                Until::Room { .. } | Until::Time(_) => {}
            }
        }
        self.holds = holds;
    }

    /// Whether anything is left to workers elsewhere, and whether anything waits for room.
    pub fn reasons(&self) -> (bool, bool) {
        let elsewhere = self.holds.iter().any(|hold| matches!(hold.until, Until::Time(_)));
        (elsewhere, self.holds.iter().any(|hold| matches!(hold.until, Until::Room { .. })))
    }

    /// What is held back now.
    pub fn held(&self) -> Held {
        let holds: Vec<_> = self.holds.iter().map(|hold| (hold.session.clone(), hold.kind.clone())).collect();
        let is_free = |session: &&SessionName| !self.holds.iter().any(|hold| hold.session == **session);
        Held { holds, free: self.seen.iter().filter(is_free).cloned().collect() }
    }

    fn put(&mut self, session: &SessionName, kind: &Kind, until: Until) {
        self.holds.retain(|hold| !hold.is_of(session, kind));
        if self.holds.len() < SESSIONS_MAX {
            self.holds.push(Hold { session: session.clone(), kind: kind.clone(), until });
        }
    }

    fn next_pause(&mut self, session: &SessionName) -> Duration {
        if self.pauses.len() >= SESSIONS_MAX {
            self.pauses.clear();
        }
        let next = self.pauses.entry(session.clone()).or_insert(ROOM_LOOK);
        let pause = *next;
        *next = (*next * 2).min(ROOM_LOOK_MAX);
        pause
    }
}

impl Hold {
    fn is_of(&self, session: &SessionName, kind: &Kind) -> bool {
        self.session == *session && self.kind == *kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(name: &str) -> SessionName {
        SessionName::new(name).unwrap()
    }

    fn kind(name: &str) -> Kind {
        Kind::new(name).unwrap()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_lies_elsewhere_is_held_back_of_its_session_alone_and_for_a_while() {
        let (mut holds, now) = (Holds::default(), Since::now());
        holds.see(&session("ours"));
        holds.see(&session("theirs"));

        assert!(holds.leave(&session("theirs"), &kind("restore"), now));
        assert!(!holds.leave(&session("theirs"), &kind("restore"), now), "it is told once");
        let held = Held { holds: vec![(session("theirs"), kind("restore"))], free: vec![session("ours")] };
        assert_eq!(holds.held(), held);
        assert_eq!(holds.reasons(), (true, false));

        assert_eq!(holds.due(now.plus(ELSEWHERE_PAUSE)), [""; 0]);
        assert_eq!(holds.held().holds, []);
    }

    #[test]
    fn a_spool_that_has_to_be_tried_is_tried_after_ever_longer_pauses_until_a_dump_is_done() {
        let (mut holds, mut now) = (Holds::default(), Since::now());
        let (shop, dump) = (session("shop"), kind("dump"));
        holds.wait_for_room(&shop, &dump, "s3://b".into(), true, now);
        holds.wait_for_room(&shop, &dump, "s3://b".into(), true, now);
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(holds.due(now.plus(secs(pause - 1))), [""; 0], "{pause}");
            now = now.plus(secs(pause));
            assert_eq!(holds.due(now), ["s3://b"], "{pause}");
            holds.looked("s3://b", false, true, now);
        }
        holds.looked("s3://b", true, true, now);
        assert_eq!((holds.held().holds.len(), holds.reasons()), (0, (false, false)));

        // It took what was tried, and not a whole part.
        holds.wait_for_room(&shop, &dump, "s3://b".into(), true, now);
        assert_eq!(holds.due(now.plus(secs(59))), [""; 0]);
        holds.looked("s3://b", true, true, now);
        holds.found_room(&shop);
        holds.wait_for_room(&shop, &dump, "s3://b".into(), true, now);
        assert_eq!(holds.due(now.plus(secs(1))), ["s3://b"]);
    }

    #[test]
    fn a_disk_is_looked_at_every_second() {
        let (mut holds, mut now) = (Holds::default(), Since::now());
        holds.wait_for_room(&session("shop"), &kind("dump"), "file:/s".into(), false, now);
        for _ in 0..5 {
            now = now.plus(secs(1));
            assert_eq!(holds.due(now), ["file:/s"]);
            holds.looked("file:/s", false, false, now);
        }
    }
}
