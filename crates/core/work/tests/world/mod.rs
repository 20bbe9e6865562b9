//! A small deterministic world around the core: its state, its journal, and a clock that only tests move.
//!
//! Every command is preceded by what is due, and followed by a check of every promise: once by the crate's own
//! checker, and once by a [`Ledger`] that reads nothing but the events.

#![allow(dead_code, unused_imports, reason = "each test file uses its part of the world")]

pub mod asking;
pub mod ledger;
pub mod portrait;

pub use asking::*;
pub use ledger::Ledger;
pub use portrait::portrait;

use capstan_ids::{ItemId, Millis, Moment, Monotonic, Position, SessionName, Token, WallTime, WorkerId};
use capstan_work::{
    Acquire, Answer, Command, Complete, Context, Event, Grant, Holder, ItemView, NewItem, NoWork, Policy, Progress,
    Rejection, SessionView, Stamp, WorkState,
};

/// Where an event stands, when it happened, and to whom.
#[derive(Clone, Debug)]
pub struct Entry {
    pub position: Position,
    pub wall: WallTime,
    pub session: Option<SessionName>,
    pub event: Event,
}

#[derive(Debug)]
pub struct World {
    pub work: WorkState,
    pub journal: Vec<Entry>,
    pub now: Moment,
    pub next: Position,
    pub random: u64,
    pub ledger: Ledger,
}

/// The wall clock when a world begins: far from the monotonic one, so that nobody mistakes one for the other.
pub const DAWN: WallTime = WallTime(1_790_000_000_000_000);

impl World {
    pub fn new() -> Self {
        Self {
            work: WorkState::new(),
            journal: Vec::new(),
            now: Moment { monotonic: Monotonic(5_000), wall: DAWN },
            next: Position::new(1),
            random: 0x9e37_79b9,
            ledger: Ledger::default(),
        }
    }

    /// A world with one session, `shop`, of this policy.
    pub fn with(policy: Policy) -> Self {
        let mut world = Self::new();
        world.open("shop", policy);
        world
    }

    /// One with the default policy and some plain items.
    pub fn with_items(ids: &[&str]) -> Self {
        let mut world = Self::with(Policy::default());
        world.add(ids.iter().map(|id| item(id)).collect());
        world
    }

    pub fn open(&mut self, name: &str, policy: Policy) {
        let command =
            Command::OpenSession { session: session(name), policy, notes: None, items: vec![], gates: vec![] };
        self.perform(&command).expect("a new session opens");
    }

    /// Performs a command as the coordinator would: first what is due, then the command, then every check.
    pub fn perform(&mut self, command: &Command) -> Result<Answer, Rejection> {
        self.settle();
        let before = self.journal.len();
        let outcome = self.perform_now(command);
        if outcome.is_err() {
            assert_eq!(self.journal.len(), before, "a rejection journals nothing: {command:?}");
        }
        outcome
    }

    /// Lets everything happen that is due.
    pub fn settle(&mut self) {
        let mut steps = 0;
        while self.work.is_due(self.now) {
            self.perform_now(&Command::Tick).expect("a tick is never refused");
            steps += 1;
            assert!(steps < 100_000, "time never comes to rest");
        }
    }

    /// Performs a command without looking at what is due.
    pub fn perform_now(&mut self, command: &Command) -> Result<Answer, Rejection> {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let context = Context { moment: self.now, next: self.next, random: self.random >> 16 };
        let (journal, next, wall, ledger) = (&mut self.journal, &mut self.next, self.now.wall, &mut self.ledger);
        let outcome = self.work.perform(command, context, &mut |session, event| {
            let entry = Entry { position: *next, wall, session: session.cloned(), event: event.clone() };
            ledger.see(&entry);
            journal.push(entry);
            *next = next.plus(1);
        });
        if let Err(violation) = self.work.check() {
            panic!("{violation}\nafter {command:?}\nanswered {outcome:?}");
        }
        outcome
    }

    /// Moves both clocks.
    pub fn pass(&mut self, time: Millis) {
        self.now.monotonic = self.now.monotonic + time;
        self.now.wall = self.now.wall + time;
    }

    /// Moves the wall clock alone, either way.
    pub fn shift_wall_clock(&mut self, micros: i64) {
        self.now.wall = WallTime(self.now.wall.micros() + micros);
    }

    /// The server dies and another reads its journal: memory is what the events make of it, and leases begin anew.
    pub fn crash(&mut self) {
        self.work = self.replayed();
        self.now.monotonic = Monotonic(17);
        self.work.restart_terms(self.now.monotonic);
        self.work.check().expect("what the journal tells is sound");
    }

    /// The state that the journal alone makes.
    pub fn replayed(&self) -> WorkState {
        let mut work = WorkState::new();
        replay(&mut work, &self.journal, self.now.monotonic);
        work
    }

    pub fn add(&mut self, items: Vec<NewItem>) -> Answer {
        self.perform(&adding(items)).expect("the items are sound")
    }

    pub fn acquire(&mut self, worker: &str) -> Option<Grant> {
        self.acquire_many(worker, 1).pop()
    }

    pub fn acquire_many(&mut self, worker: &str, max: u32) -> Vec<Grant> {
        match self.ask(Acquire { max, ..Acquire::from(session("shop"), self::worker(worker)) }) {
            Answer::Granted(grants) => grants,
            Answer::Nothing(_) => Vec::new(),
            other => panic!("an acquire answered {other:?}"),
        }
    }

    /// Acquires and says why there is nothing.
    pub fn nothing_for(&mut self, worker: &str) -> NoWork {
        match self.ask(Acquire::from(session("shop"), self::worker(worker))) {
            Answer::Nothing(why) => why,
            other => panic!("there was work: {other:?}"),
        }
    }

    pub fn ask(&mut self, acquire: Acquire) -> Answer {
        self.perform(&Command::Acquire(acquire)).expect("the request is sound")
    }

    pub fn complete(&mut self, grant: &Grant) -> Result<ItemView, Rejection> {
        self.complete_with(grant, vec![])
    }

    pub fn complete_with(&mut self, grant: &Grant, successors: Vec<NewItem>) -> Result<ItemView, Rejection> {
        let complete = Complete { successors, ..Complete::new(grant.session.clone(), id_of(grant), holder(grant)) };
        match self.perform(&Command::Complete(complete))? {
            Answer::Completed { item, .. } => Ok(*item),
            other => panic!("a completion answered {other:?}"),
        }
    }

    pub fn fail(&mut self, grant: &Grant) -> Result<ItemView, Rejection> {
        returned(self.perform(&failing(grant))?)
    }

    pub fn release(&mut self, grant: &Grant) -> Result<ItemView, Rejection> {
        returned(self.perform(&releasing(grant))?)
    }

    pub fn renew(&mut self, grant: &Grant, documents: Option<u64>) -> Result<ItemView, Rejection> {
        match self.perform(&renewing(grant, documents, None))? {
            Answer::Renewed { item, .. } => Ok(*item),
            other => panic!("a renewal answered {other:?}"),
        }
    }

    pub fn view(&self) -> SessionView {
        self.work.session(&session("shop")).expect("the session is there")
    }

    pub fn item(&self, id: &str) -> ItemView {
        self.work.item(&session("shop"), &self::id(id)).expect("the item is there")
    }

    pub fn state_of(&self, id: &str) -> &'static str {
        self.item(id).state.name()
    }

    /// Live leases of a name in `shop`.
    pub fn live(&self, limit: &str) -> u32 {
        self.view().limits.iter().find(|view| view.name.as_str() == limit).map_or(0, |view| view.live)
    }

    /// Events since a place in the journal.
    pub fn events_since(&self, from: usize) -> Vec<&Event> {
        self.journal[from..].iter().map(|entry| &entry.event).collect()
    }
}

/// Applies journalled events as a starting server does.
pub fn replay<'a>(work: &mut WorkState, entries: impl IntoIterator<Item = &'a Entry>, now: Monotonic) {
    for entry in entries {
        let moment = Moment { monotonic: now, wall: entry.wall };
        work.apply(Stamp { position: entry.position, moment }, entry.session.as_ref(), &entry.event);
    }
}

fn returned(answer: Answer) -> Result<ItemView, Rejection> {
    match answer {
        Answer::Returned { item } => Ok(*item),
        other => panic!("a return answered {other:?}"),
    }
}

/// A grant's facts that a later call needs.
pub fn holder(grant: &Grant) -> Holder {
    Holder::Token(grant.token)
}

pub fn tokens(grants: &[Grant]) -> Vec<Token> {
    grants.iter().map(|grant| grant.token).collect()
}

pub fn ids(grants: &[Grant]) -> Vec<&str> {
    grants.iter().map(|grant| grant.body.id()).collect()
}

pub fn documents(documents: u64) -> Progress {
    Progress { documents, bytes: 0 }
}

pub fn id_of(grant: &Grant) -> ItemId {
    id(grant.body.id())
}

pub fn worker_named(name: &str) -> WorkerId {
    worker(name)
}
