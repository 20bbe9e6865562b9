//! What a worker asks for: never what it could not do now.

use crate::clock::Since;
use crate::meter::Meter;
use crate::options::Options;
use capstan_coordination::Acquire;
use capstan_ids::{IdempotencyKey, Kind};
use std::time::Duration;

/// While something is held back, work is asked for anew this often, so that it is looked whether it still is.
const HOLD_LOOK: Duration = Duration::from_secs(1);

/// Kinds that are not asked for now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held(pub Vec<Kind>);

/// Requests for work, each with a key of its own.
#[derive(Default)]
pub(crate) struct Wishes {
    made: u64,
    began: Option<u128>,
    meter: Meter,
}

impl Wishes {
    /// The next request for `free` of `slots` items; none while all that the worker does is held back.
    pub fn next(&mut self, options: &Options, held: &Held, free: usize, slots: usize) -> Option<Acquire> {
        let wanted = |kind: &&Kind| !held.0.contains(kind);
        let kinds: Vec<Kind> = options.kinds.iter().filter(wanted).cloned().collect();
        if kinds.is_empty() {
            // No kinds would mean any.
            return None;
        }
        // No two lives of a worker share a beginning, so no two requests share a key.
        let began = *self.began.get_or_insert_with(|| Since::now().as_nanos());
        self.made += 1;
        let key = format!("{}-{began}-{}", std::process::id(), self.made);
        Some(Acquire {
            worker: options.id.clone(),
            kinds,
            sessions: options.sessions.clone(),
            max: u32::try_from(free.min(1_000)).expect("at most 1,000"),
            lease: None,
            wait: if held.0.is_empty() { options.wait } else { options.wait.min(HOLD_LOOK) },
            key: Some(IdempotencyKey::new(key).expect("digits and dashes")),
            slots: Some(u32::try_from(slots).unwrap_or(u32::MAX)),
            usage: self.meter.read(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_ids::WorkerId;

    #[test]
    fn what_is_held_back_is_not_asked_for_and_nothing_is_never_taken_for_anything() {
        let mut wishes = Wishes::default();
        let mut options = Options::new(WorkerId::new("alice").unwrap());
        let full = Held(vec![Kind::new("dump").unwrap()]);

        let wish = wishes.next(&options, &full, 2, 3).unwrap();
        assert!(wish.kinds.iter().all(|kind| kind.as_str() != "dump") && wish.kinds.len() == 4, "{:?}", wish.kinds);
        assert_eq!((wish.max, wish.slots), (2, Some(3)));

        options.kinds = vec![Kind::new("dump").unwrap()];
        assert_eq!(wishes.next(&options, &full, 2, 3), None);
        assert!(wishes.next(&options, &Held::default(), 2, 3).is_some());
    }
}
