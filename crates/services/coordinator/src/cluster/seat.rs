//! When a server tries to lead, and until when it may: decided without a clock or a store of its own.
//!
//! A standby that has seen the same standing for a whole term and a grace by its own clock takes the next epoch. It
//! began to count after the leader's last sign of life stood; the leader counts from before it began to send that. So
//! the leader has stopped answering before the standby begins, whatever the two clocks show.

use super::term::Term;
use capstan_ids::{Epoch, Monotonic};
use capstan_journal::{Candidate, Replaced, Standing};

/// One server's part in an election.
#[derive(Debug)]
pub(crate) struct Seat {
    me: Candidate,
    term: Term,
    seen: Option<Seen>,
    lead: Option<Lead>,
    /// A replacement whose answer was lost, and when it was begun.
    doubt: Option<(Monotonic, Standing)>,
    next_beat: Monotonic,
}

#[derive(Debug)]
struct Seen {
    standing: Standing,
    since: Monotonic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lead {
    epoch: Epoch,
    until: Monotonic,
}

/// What to do at the register now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Read it.
    Look,
    /// Put the second where the first stands.
    Replace(Standing, Standing),
    /// Nothing yet.
    Rest,
}

impl Seat {
    pub fn new(me: Candidate, term: Term) -> Self {
        Self { me, term, seen: None, lead: None, doubt: None, next_beat: Monotonic(0) }
    }

    /// What to do at `now`; `highest` is the highest epoch that the journal has seen.
    pub fn next_move(&self, now: Monotonic, highest: Epoch) -> Move {
        if self.doubt.is_some() {
            return Move::Look;
        }
        let Some(seen) = &self.seen else { return Move::Look };
        match self.lead {
            Some(_) if now < self.next_beat => Move::Rest,
            Some(lead) => {
                let next = Standing { epoch: lead.epoch, beat: seen.standing.beat + 1, leader: Some(self.me.clone()) };
                Move::Replace(seen.standing.clone(), next)
            }
            None if self.is_vacant(seen, now) => {
                let epoch = seen.standing.epoch.max(highest).next();
                Move::Replace(seen.standing.clone(), Standing { epoch, beat: 0, leader: Some(self.me.clone()) })
            }
            None => Move::Look,
        }
    }

    fn is_vacant(&self, seen: &Seen, now: Monotonic) -> bool {
        let patience = self.term.length.get() + self.term.grace.get();
        seen.standing.leader.is_none() || now.0 >= seen.since.0.saturating_add(patience)
    }

    /// The register was read; the answer came at `now`.
    pub fn saw(&mut self, now: Monotonic, standing: Standing) {
        if let Some((asked, put)) = self.doubt.take()
            && put == standing
        {
            return self.stands(asked, put);
        }
        if self.lead.is_some_and(|lead| !self.is_mine(&standing, lead.epoch)) {
            self.lead = None;
        }
        if self.seen.as_ref().is_none_or(|seen| seen.standing != standing) {
            self.seen = Some(Seen { standing, since: now });
        }
    }

    /// A replacement that was begun at `asked` was answered at `now`.
    pub fn replaced(&mut self, asked: Monotonic, now: Monotonic, next: Standing, answer: Replaced) {
        match answer {
            Replaced::Yes => self.stands(asked, next),
            Replaced::No(standing) => self.saw(now, standing),
        }
    }

    /// The answer to a replacement that was begun at `asked` was lost: it may stand.
    pub fn doubts(&mut self, asked: Monotonic, next: Standing) {
        self.doubt = Some((asked, next));
    }

    fn stands(&mut self, asked: Monotonic, put: Standing) {
        let mine = put.leader.as_ref() == Some(&self.me);
        self.lead = mine.then_some(Lead { epoch: put.epoch, until: asked + self.term.length });
        self.next_beat = asked + self.term.beat;
        self.seen = Some(Seen { standing: put, since: asked });
    }

    fn is_mine(&self, standing: &Standing, epoch: Epoch) -> bool {
        standing.epoch == epoch && standing.leader.as_ref() == Some(&self.me)
    }

    /// The epoch that this server leads under at `now`, and until when.
    pub fn leads(&self, now: Monotonic) -> Option<(Epoch, Monotonic)> {
        self.lead.filter(|lead| now < lead.until).map(|lead| (lead.epoch, lead.until))
    }

    /// A leadership that was not extended in time is over, also if the register still names it.
    pub fn expire(&mut self, now: Monotonic) {
        if self.lead.is_some() && self.leads(now).is_none() {
            self.give_up(now);
        }
    }

    /// Leads no more: whatever stands is watched anew from `now`.
    pub fn give_up(&mut self, now: Monotonic) {
        self.lead = None;
        if let Some(seen) = &mut self.seen {
            seen.since = now;
        }
    }

    /// What a leader puts when it goes: nobody leads.
    pub fn farewell(&self) -> Option<(Standing, Standing)> {
        let (lead, seen) = (self.lead?, self.seen.as_ref()?);
        let next = Standing { epoch: lead.epoch, beat: seen.standing.beat + 1, leader: None };
        Some((seen.standing.clone(), next))
    }

    /// The highest epoch that stood in the register.
    pub fn epoch(&self) -> Epoch {
        self.seen.as_ref().map_or(Epoch::new(0), |seen| seen.standing.epoch)
    }

    /// Who leads as far as is known, this server included.
    pub fn leader(&self) -> Option<&Candidate> {
        self.seen.as_ref()?.standing.leader.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(server: usize) -> Candidate {
        Candidate { server: format!("server-{server}"), address: format!("http://{server}") }
    }

    fn seat(server: usize) -> Seat {
        Seat::new(candidate(server), Term::default())
    }

    const NOBODY: Epoch = Epoch::new(0);

    /// Looks, and takes the lead where it can.
    fn act(seat: &mut Seat, register: &mut Standing, now: u64) {
        let now = Monotonic(now);
        seat.expire(now);
        match seat.next_move(now, NOBODY) {
            Move::Rest => {}
            Move::Look => seat.saw(now, register.clone()),
            Move::Replace(seen, next) => {
                let answer = if *register == seen {
                    *register = next.clone();
                    Replaced::Yes
                } else {
                    Replaced::No(register.clone())
                };
                seat.replaced(now, now, next, answer);
            }
        }
    }

    #[test]
    fn the_first_server_leads_at_once() {
        let (mut one, mut register) = (seat(1), Standing::default());
        act(&mut one, &mut register, 10);
        act(&mut one, &mut register, 20);
        assert_eq!(one.leads(Monotonic(20)), Some((Epoch::new(1), Monotonic(2_520))));
    }

    #[test]
    fn a_standby_waits_a_whole_term_of_silence() {
        let (mut one, mut two, mut register) = (seat(1), seat(2), Standing::default());
        act(&mut one, &mut register, 0);
        act(&mut one, &mut register, 0);
        for now in (100..2_850).step_by(50) {
            act(&mut two, &mut register, now);
            assert_eq!(two.leads(Monotonic(now)), None, "at {now}");
        }
        act(&mut two, &mut register, 2_850);
        assert_eq!(two.leads(Monotonic(2_850)).map(|(epoch, _)| epoch), Some(Epoch::new(2)));
        act(&mut one, &mut register, 2_860);
        act(&mut one, &mut register, 2_870);
        assert_eq!(one.leads(Monotonic(2_870)), None);
    }

    #[test]
    fn a_leader_that_goes_leaves_the_place_at_once() {
        let (mut one, mut two, mut register) = (seat(1), seat(2), Standing::default());
        act(&mut one, &mut register, 0);
        act(&mut one, &mut register, 0);
        act(&mut two, &mut register, 1);
        let (seen, next) = one.farewell().expect("it leads");
        assert_eq!(register, seen);
        register = next;
        act(&mut two, &mut register, 2);
        act(&mut two, &mut register, 3);
        assert_eq!(two.leads(Monotonic(3)).map(|(epoch, _)| epoch), Some(Epoch::new(2)));
    }

    #[test]
    fn an_epoch_is_higher_than_the_journal_has_seen() {
        let mut one = seat(1);
        one.saw(Monotonic(1), Standing::default());
        let Move::Replace(_, next) = one.next_move(Monotonic(2), Epoch::new(41)) else { panic!("it would lead") };
        assert_eq!(next.epoch, Epoch::new(42));
    }

    #[test]
    fn a_lost_answer_is_looked_up_and_counts_from_when_it_was_asked() {
        let mut one = seat(1);
        one.saw(Monotonic(0), Standing::default());
        let Move::Replace(_, next) = one.next_move(Monotonic(10), NOBODY) else { panic!("it would lead") };
        one.doubts(Monotonic(10), next.clone());
        assert_eq!(one.next_move(Monotonic(900), NOBODY), Move::Look);
        one.saw(Monotonic(1_000), next);
        assert_eq!(one.leads(Monotonic(1_000)), Some((Epoch::new(1), Monotonic(2_510))));
    }

    /// One thing that happens to one of three servers, whose clocks differ in rate by up to a twentieth.
    #[derive(Clone, Debug)]
    enum Happening {
        Acts {
            server: usize,
        },
        ActsAndLosesTheAnswer {
            server: usize,
        },
        /// Its move reaches the register only later, after others have acted.
        Sends {
            server: usize,
        },
        Arrives {
            server: usize,
        },
        Passes {
            millis: u64,
        },
        Restarts {
            server: usize,
        },
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let server = || 0..3_usize;
        prop_oneof![
            6 => server().prop_map(|server| Happening::Acts { server }),
            1 => server().prop_map(|server| Happening::ActsAndLosesTheAnswer { server }),
            1 => server().prop_map(|server| Happening::Sends { server }),
            2 => server().prop_map(|server| Happening::Arrives { server }),
            4 => (1..900_u64).prop_map(|millis| Happening::Passes { millis }),
            1 => server().prop_map(|server| Happening::Restarts { server }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// With a grace that covers how much clocks differ, no two servers hold the leadership at once.
        #[test]
        fn never_two_lead_at_once(happenings in proptest::collection::vec(happening(), 1..400)) {
            let rates = [1.0, 1.04, 0.97];
            let mut lives = 3;
            let mut seats: Vec<Seat> = (0..3).map(seat).collect();
            let mut flying: [Option<(Monotonic, Standing, Standing)>; 3] = [None, None, None];
            let (mut register, mut now) = (Standing::default(), 0_u64);
            for happening in happenings {
                let clock = |server: usize| Monotonic((now as f64 * rates[server]) as u64 + 1_000 * server as u64);
                match happening {
                    Happening::Passes { millis } => now += millis,
                    Happening::Restarts { server } => {
                        lives += 1;
                        seats[server] = seat(lives);
                        flying[server] = None;
                    }
                    Happening::Acts { server } if flying[server].is_none() => {
                        act(&mut seats[server], &mut register, clock(server).0);
                    }
                    Happening::ActsAndLosesTheAnswer { server } if flying[server].is_none() => {
                        seats[server].expire(clock(server));
                        if let Move::Replace(seen, next) = seats[server].next_move(clock(server), NOBODY) {
                            if register == seen {
                                register = next.clone();
                            }
                            seats[server].doubts(clock(server), next);
                        }
                    }
                    Happening::Sends { server } if flying[server].is_none() => {
                        seats[server].expire(clock(server));
                        if let Move::Replace(seen, next) = seats[server].next_move(clock(server), NOBODY) {
                            flying[server] = Some((clock(server), seen, next));
                        }
                    }
                    Happening::Arrives { server } => {
                        if let Some((asked, seen, next)) = flying[server].take() {
                            let answer = if register == seen {
                                register = next.clone();
                                Replaced::Yes
                            } else {
                                Replaced::No(register.clone())
                            };
                            seats[server].replaced(asked, clock(server), next, answer);
                        }
                    }
                    _ => {}
                }
                let clock = |server: usize| Monotonic((now as f64 * rates[server]) as u64 + 1_000 * server as u64);
                let leaders: Vec<_> = (0..3).filter_map(|server| seats[server].leads(clock(server))).collect();
                prop_assert!(leaders.len() <= 1, "{leaders:?} lead at {now}");
            }
        }
    }
}
