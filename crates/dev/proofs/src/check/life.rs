//! The history by item: who made it, who held it, and what each holder did.

use crate::history::{Answer, Asked, Call, Granted, History, ItemName, Micros, NewItem, Outcome};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Every item's life.
pub struct Lives<'h> {
    pub items: BTreeMap<ItemName, Life<'h>>,
    /// Every answer that handed out a lease, in the order the answers came.
    pub handed: Vec<Handed<'h>>,
    /// Every acknowledged request for work, also those that got none.
    pub wishes: Vec<(&'h Call, Key)>,
}

/// One item's life.
#[derive(Default)]
pub struct Life<'h> {
    /// Requests that would make it, with their description of it, in the order they were sent.
    pub making: Vec<(&'h Call, &'h NewItem)>,
    /// Its leases, by token.
    pub leases: BTreeMap<u64, Lease<'h>>,
    /// Requests that speak for a token of it that nobody saw granted, which only a broken client makes.
    pub strays: Vec<&'h Call>,
}

/// One lease, from its grant on.
pub struct Lease<'h> {
    pub token: u64,
    pub client: u32,
    /// The first answer's view of it.
    pub grant: &'h Granted,
    /// When the first request of its key was sent: the grant is not older.
    pub asked: Micros,
    /// When the first answer with it came: the grant is not younger.
    pub answered: Micros,
    /// Requests that speak for it, in the order they were sent.
    pub acts: Vec<&'h Call>,
    /// What the holder may believe: from a time on, that it holds until another.
    beliefs: Vec<(Micros, Micros)>,
}

/// A lease in an answer.
#[derive(Clone, Copy)]
pub struct Handed<'h> {
    pub call: &'h Call,
    pub lease: &'h Granted,
    /// When the first request of its key was sent.
    pub asked: Micros,
}

/// What makes two requests for work one and the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Key {
    Acquire(u32, Arc<str>),
    Completed(u64),
}

impl Key {
    /// The key of a request for work.
    pub fn of(call: &Call) -> Option<Self> {
        match &call.asked {
            Asked::Acquire(wish) => Some(Self::Acquire(call.client, Arc::clone(&wish.key))),
            Asked::Complete { held, next: Some(_), .. } => Some(Self::Completed(held.token)),
            _ => None,
        }
    }
}

impl<'h> Lives<'h> {
    pub fn read(history: &'h History) -> Self {
        let mut calls: Vec<&Call> = history.calls.iter().collect();
        calls.sort_by_key(|call| (call.began, call.ended));
        let mut first_asked: HashMap<Key, Micros> = HashMap::new();
        for call in &calls {
            if let Some(key) = Key::of(call) {
                first_asked.entry(key).or_insert(call.began);
            }
        }
        let wishes =
            calls.iter().filter(|call| call.is_ok()).filter_map(|call| Some((*call, Key::of(call)?))).collect();
        let mut lives = Self { items: BTreeMap::new(), handed: Vec::new(), wishes };
        for call in calls.iter().copied().filter(|call| call.is_ok()) {
            let asked = Key::of(call).and_then(|key| first_asked.get(&key).copied()).unwrap_or(call.began);
            lives.handed.extend(call.granted().iter().map(|lease| Handed { call, lease, asked }));
        }
        lives.handed.sort_by_key(|handed| handed.call.ended);
        for handed in &lives.handed {
            let life = lives.items.entry(ItemName::clone(&handed.lease.item)).or_default();
            let lease = life.leases.entry(handed.lease.token).or_insert_with(|| Lease::new(handed));
            lease.beliefs.push((handed.call.began, handed.until()));
        }
        for call in calls {
            for new in call.makes() {
                lives.items.entry(ItemName::clone(&new.id)).or_default().making.push((call, new));
            }
            if let Some(held) = call.held() {
                let life = lives.items.entry(ItemName::clone(&held.item)).or_default();
                match life.leases.get_mut(&held.token) {
                    Some(lease) => lease.acts.push(call),
                    None => life.strays.push(call),
                }
            }
        }
        for lease in lives.items.values_mut().flat_map(|life| life.leases.values_mut()) {
            lease.settle_beliefs();
        }
        lives
    }
}

/// What a client learns about the end of its lease.
enum News {
    Left(Micros),
    Renewed(Micros),
    MayBeShortened(Micros),
}

impl News {
    fn of(act: &Call) -> Option<Self> {
        let Asked::Renew { lease_ms, .. } = &act.asked else { return None };
        match &act.outcome {
            Outcome::Ok(Answer::Renewed(length)) => Some(Self::Renewed(act.began + length * 1_000)),
            Outcome::Unknown => lease_ms.map(|wished| Self::MayBeShortened(act.began + wished * 1_000)),
            _ => None,
        }
    }
}

impl Handed<'_> {
    /// Until when the client may count on the lease: the wait and the lease, from when it asked.
    fn until(&self) -> Micros {
        let waited_ms = match &self.call.outcome {
            Outcome::Ok(Answer::Leases { waited_ms, .. }) => *waited_ms,
            _ => 0,
        };
        self.call.began + (waited_ms + self.lease.lease_ms) * 1_000
    }
}

impl<'h> Lease<'h> {
    fn new(handed: &Handed<'h>) -> Self {
        Self {
            token: handed.lease.token,
            client: handed.call.client,
            grant: handed.lease,
            asked: handed.asked,
            answered: handed.call.ended,
            acts: Vec::new(),
            beliefs: Vec::new(),
        }
    }

    /// Turns grants, repeats and renewals into what could be believed when.
    fn settle_beliefs(&mut self) {
        let mut news: Vec<(Micros, News)> =
            std::mem::take(&mut self.beliefs).into_iter().map(|(at, until)| (at, News::Left(until))).collect();
        news.extend(self.acts.iter().filter_map(|act| Some((act.began, News::of(act)?))));
        news.sort_by_key(|(at, _)| *at);
        let (mut until, mut cap) = (0, Micros::MAX);
        for (at, news) in news {
            until = match news {
                // A repeat tells what is left of the same lease, counted too early by the time it took.
                News::Left(left) => until.max(left),
                // It may also be shorter than before.
                News::Renewed(renewed) => renewed,
                // Now, or whenever that request arrives: no more is counted on from here.
                News::MayBeShortened(shortened) if shortened < until => {
                    cap = cap.min(shortened);
                    until
                }
                News::MayBeShortened(_) => until,
            };
            until = until.min(cap);
            self.beliefs.push((at, until));
        }
    }

    /// Until when its holder may count on it, as far as it knew at a time.
    pub fn until(&self, at: Micros) -> Micros {
        self.beliefs.iter().rev().find(|(from, _)| *from <= at).map_or(0, |(_, until)| *until)
    }

    /// When its holder first did something that may have ended it.
    pub fn given_up(&self) -> Option<Micros> {
        self.acts.iter().find(|act| act.ends_lease() && act.may_have_happened()).map(|act| act.began)
    }

    /// When its holder first knew that it was ended.
    pub fn ended(&self) -> Option<Micros> {
        self.acts.iter().filter(|act| act.ends_lease() && act.is_ok()).map(|act| act.ended).min()
    }

    /// Whether an act certainly did what it says: giving up what may be given up already is answered as the first time.
    pub fn is_certain(&self, act: &Call) -> bool {
        let mut earlier = self.acts.iter().filter(|e| e.ends_lease() && e.may_have_happened() && e.began < act.began);
        act.is_ok() && (!act.ends_lease() || earlier.all(|earlier| earlier.asked == act.asked))
    }

    /// Whether a failure was certainly reported under it.
    pub fn has_failed(&self) -> bool {
        self.acts.iter().any(|act| matches!(act.asked, Asked::Fail { .. }) && self.is_certain(act))
    }

    /// Whether its holder counts on it at a time.
    pub fn is_counted_on(&self, at: Micros) -> bool {
        self.until(at) > at && self.given_up().is_none_or(|given_up| given_up > at)
    }
}

impl Lease<'_> {
    /// The first moment at which its holder no longer counts on it.
    pub fn first_doubt(&self) -> Micros {
        let mut end = self.beliefs.first().map_or(0, |(_, until)| *until);
        for (at, until) in &self.beliefs {
            if *at >= end {
                break;
            }
            end = *until;
        }
        self.given_up().map_or(end, |given_up| end.min(given_up))
    }
}
