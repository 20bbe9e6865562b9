//! What a worker asks for: never what it could not do now, as far as that can be said.
//!
//! A request names kinds and sessions that are wanted; that a kind is not wanted of one session cannot be said in it. So,
//! while something is held back, requests take turns: one for the kinds of which nothing is held back, whatever the
//! session, and one for every kind of the sessions that are known and of which nothing is held back. Every tenth asks for
//! one item of any kind and session, so that a session that is not known yet waits for seconds at most.

use crate::clock::Since;
use crate::holds::Held;
use crate::meter::Meter;
use crate::options::Options;
use capstan_coordination::Acquire;
use capstan_ids::{IdempotencyKey, Kind, SessionName};
use std::time::Duration;

/// While something is held back, so many requests make a round of all turns.
const TURNS: u64 = 10;
/// While something is held back, work is asked for anew this often, so that it is looked whether it still is.
const HOLD_LOOK: Duration = Duration::from_secs(1);

/// Names that one request may have.
const NAMES_MAX: usize = 1_000;

/// Requests for work, each with a key of its own.
#[derive(Default)]
pub(crate) struct Wishes {
    made: u64,
    began: Option<u128>,
    meter: Meter,
}

impl Wishes {
    /// The next request for `free` of `slots` items; none while there is nothing to be asked for.
    pub fn next(&mut self, options: &Options, held: &Held, free: usize, slots: usize) -> Option<Acquire> {
        self.made += 1;
        let (kinds, sessions, max) = if held.holds.is_empty() {
            (options.kinds.clone(), options.sessions.clone(), free)
        } else {
            self.narrowed(options, held, free)?
        };
        // No two lives of a worker share a beginning, so no two requests share a key.
        let began = *self.began.get_or_insert_with(|| Since::now().as_nanos());
        let key = format!("{}-{began}-{}", std::process::id(), self.made);
        Some(Acquire {
            worker: options.id.clone(),
            kinds,
            sessions,
            max: u32::try_from(max.min(1_000)).expect("at most 1,000"),
            lease: None,
            wait: if held.holds.is_empty() { options.wait } else { options.wait.min(HOLD_LOOK) },
            key: Some(IdempotencyKey::new(key).expect("digits and dashes")),
            slots: Some(u32::try_from(slots).unwrap_or(u32::MAX)),
            usage: self.meter.read(),
        })
    }

    /// Kinds, sessions and how many, while something is held back: no list is ever empty where that would mean any.
    fn narrowed(&self, options: &Options, held: &Held, free: usize) -> Option<(Vec<Kind>, Vec<SessionName>, usize)> {
        if self.made.is_multiple_of(TURNS) {
            return Some((options.kinds.clone(), options.sessions.clone(), 1));
        }
        let is_held = |kind: &&Kind| held.holds.iter().any(|(_, held)| held == *kind);
        let kinds: Vec<Kind> = options.kinds.iter().filter(|kind| !is_held(kind)).cloned().collect();
        let is_held = |session: &&SessionName| held.holds.iter().any(|(held, _)| held == *session);
        // Those that it works for are known, and others are none of its business.
        let known = if options.sessions.is_empty() { &held.free } else { &options.sessions };
        let sessions: Vec<SessionName> =
            known.iter().filter(|session| !is_held(session)).take(NAMES_MAX).cloned().collect();
        let any_session = (!kinds.is_empty()).then(|| (kinds, options.sessions.clone(), free));
        let known_ones = (!sessions.is_empty()).then(|| (options.kinds.clone(), sessions, free));
        if self.made.is_multiple_of(2) { any_session.or(known_ones) } else { known_ones.or(any_session) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_ids::WorkerId;

    fn session(name: &str) -> SessionName {
        SessionName::new(name).unwrap()
    }

    fn held(free: &[&str]) -> Held {
        let holds = vec![(session("full"), Kind::new("dump").unwrap())];
        Held { holds, free: free.iter().map(|name| session(name)).collect() }
    }

    #[test]
    fn what_is_held_back_of_one_session_is_asked_for_of_the_others() {
        let (mut wishes, options) = (Wishes::default(), Options::new(WorkerId::new("alice").unwrap()));
        let round: Vec<Acquire> =
            (0..TURNS).map(|_| wishes.next(&options, &held(&["a", "b"]), 2, 3).unwrap()).collect();

        let dumps = |wish: &&Acquire| wish.kinds.iter().any(|kind| kind.as_str() == "dump");
        let by_name = round.iter().filter(dumps).filter(|wish| wish.sessions == [session("a"), session("b")]).count();
        let others = round.iter().filter(|wish| !dumps(wish) && wish.sessions.is_empty()).count();
        let open: Vec<_> = round.iter().filter(dumps).filter(|wish| wish.sessions.is_empty()).collect();
        assert_eq!((by_name, others, open.len()), (5, 4, 1));
        assert_eq!((open[0].max, round[0].max, round[0].slots), (1, 2, Some(3)));
        assert!(round.iter().all(|wish| !wish.kinds.is_empty() && wish.wait <= HOLD_LOOK));
    }

    #[test]
    fn nothing_is_never_taken_for_anything() {
        let mut wishes = Wishes::default();
        let mut options = Options::new(WorkerId::new("alice").unwrap());
        options.kinds = vec![Kind::new("dump").unwrap()];

        let asked: Vec<bool> = (0..TURNS).map(|_| wishes.next(&options, &held(&[]), 2, 3).is_some()).collect();
        assert_eq!(asked.iter().filter(|asked| **asked).count(), 1, "but once in a round: {asked:?}");
        options.sessions = vec![session("full"), session("ours")];
        let wish = wishes.next(&options, &held(&["stranger"]), 2, 3).unwrap();
        assert_eq!(wish.sessions, [session("ours")]);
        assert_eq!(wishes.next(&options, &Held::default(), 2, 3).unwrap().sessions, options.sessions);
    }
}
