//! What every register of who leads passes.

use crate::{Candidate, Election, JournalError, Replaced, Standing};
use capstan_ids::Epoch;
use std::thread;

/// Makes a test of each claim; `$store` makes an empty store, whose `open` gives one server's view of it.
#[macro_export]
macro_rules! election_conformance {
    ($store:expr) => {
        $crate::election_conformance!(@each $store,
            a_new_register_has_no_leader
            a_standing_is_read_back_as_it_was_put
            a_standing_that_has_changed_is_not_replaced
            another_server_sees_what_was_put
            one_of_many_candidates_wins
            stepping_down_leaves_nobody
        );
    };
    (@each $store:expr, $($claim:ident)*) => {
        $(
            #[test]
            fn $claim() {
                $crate::conformance::election::$claim($store);
            }
        )*
    };
}

/// A store with one register, empty at first.
pub trait Register {
    /// The adapter.
    type Election: Election + 'static;

    /// One server's view of it.
    fn open(&self) -> Self::Election;
}

fn led_by(server: &str, epoch: u64, beat: u64) -> Standing {
    let leader = Candidate { server: server.into(), address: format!("http://{server}:8000/ü?a=b&c='d'") };
    Standing { epoch: Epoch::new(epoch), beat, leader: Some(leader) }
}

#[track_caller]
fn stands(answer: Result<Replaced, JournalError>) {
    assert_eq!(answer.expect("the store answers"), Replaced::Yes);
}

/// Nobody has ever led.
pub fn a_new_register_has_no_leader(store: impl Register) {
    assert_eq!(store.open().standing().expect("the store answers"), Standing::default());
}

/// Epoch, beat, server and address come back.
pub fn a_standing_is_read_back_as_it_was_put(store: impl Register) {
    let mut election = store.open();
    let first = led_by("one", 1, 0);
    stands(election.replace(&Standing::default(), &first));
    assert_eq!(election.standing().expect("the store answers"), first);
    let beat = led_by("one", 1, 1);
    stands(election.replace(&first, &beat));
    assert_eq!(election.standing().expect("the store answers"), beat);
}

/// Whoever has seen something older is told what stands.
pub fn a_standing_that_has_changed_is_not_replaced(store: impl Register) {
    let mut election = store.open();
    let (first, second) = (led_by("one", 1, 0), led_by("two", 2, 0));
    stands(election.replace(&Standing::default(), &first));
    let late = election.replace(&Standing::default(), &second).expect("the store answers");
    assert_eq!(late, Replaced::No(first.clone()));
    let missed = election.replace(&led_by("one", 1, 7), &second).expect("the store answers");
    assert_eq!(missed, Replaced::No(first.clone()));
    assert_eq!(election.standing().expect("the store answers"), first);
}

/// Two servers share it.
pub fn another_server_sees_what_was_put(store: impl Register) {
    let (mut one, mut two) = (store.open(), store.open());
    let first = led_by("one", 1, 0);
    stands(one.replace(&Standing::default(), &first));
    assert_eq!(two.standing().expect("the store answers"), first);
    let second = led_by("two", 2, 0);
    stands(two.replace(&first, &second));
    assert_eq!(one.replace(&first, &led_by("one", 1, 1)).expect("the store answers"), Replaced::No(second));
}

/// Of candidates that all saw the same, one stands.
pub fn one_of_many_candidates_wins(store: impl Register) {
    let candidates: Vec<_> = (0..8).map(|number| (store.open(), led_by(&format!("server-{number}"), 1, 0))).collect();
    let tried: Vec<_> = candidates
        .into_iter()
        .map(|(mut election, next)| {
            thread::spawn(move || {
                // A contended store may fail to answer: then it is looked up, as a server would.
                let answer = election.replace(&Standing::default(), &next);
                let won = match answer {
                    Ok(answer) => answer == Replaced::Yes,
                    Err(_) => election.standing().expect("the store answers") == next,
                };
                (won, next)
            })
        })
        .collect();
    let tried: Vec<_> = tried.into_iter().map(|candidate| candidate.join().expect("no candidate panics")).collect();
    let winners: Vec<_> = tried.into_iter().filter_map(|(won, next)| won.then_some(next)).collect();
    let stands = store.open().standing().expect("the store answers");
    assert_eq!(winners, [stands]);
}

/// The epoch stays, so that the next one is higher.
pub fn stepping_down_leaves_nobody(store: impl Register) {
    let mut election = store.open();
    let led = led_by("one", 3, 9);
    stands(election.replace(&Standing::default(), &led));
    let left = Standing { leader: None, beat: 10, ..led.clone() };
    stands(election.replace(&led, &left));
    assert_eq!(store.open().standing().expect("the store answers"), left);
}
