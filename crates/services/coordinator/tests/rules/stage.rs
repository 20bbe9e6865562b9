//! A server on a disk in memory, and short words for what the tests ask of it.

use crate::hand_clock::HandClock;
use crate::scripted::{Script, ScriptedJournal};
use capstan_coordinator::{Acquired, Coordinator, Failure, Handle, Options, Retention, StartError};
use capstan_ids::{ItemId, Millis, Position, SessionName, WorkerId};
use capstan_journal::embedded::faulty::FaultyDisk;
use capstan_journal::{EmbeddedJournal, EmbeddedOptions, Journal, Recorded};
use capstan_work::{Acquire, Answer, Command, Complete, Conflicts, Grant, Holder, ItemState, NewItem, Policy};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What outlives a server, and how one is set up.
#[derive(Clone)]
pub struct Stage {
    pub disk: FaultyDisk,
    pub script: Script,
    pub clock: HandClock,
    pub queue: usize,
    pub segment_bytes: u64,
    pub retention: Retention,
}

/// A running server.
pub struct Server {
    pub coordinator: Coordinator,
    pub handle: Handle,
    pub stage: Stage,
}

impl Stage {
    pub fn new() -> Self {
        let (disk, script, clock) = (FaultyDisk::new(), Script::new(), HandClock::new());
        Self { disk, script, clock, queue: 1_024, segment_bytes: 16 << 10, retention: Retention::default() }
    }

    pub fn journal(&self) -> EmbeddedJournal {
        let options = EmbeddedOptions {
            segment_bytes: self.segment_bytes,
            prepare_in_background: false,
            identity: Some(7),
            ..EmbeddedOptions::default()
        };
        EmbeddedJournal::open_in(self.disk.files(), options).unwrap()
    }

    pub fn try_start(&self) -> Result<Server, StartError> {
        let journal = ScriptedJournal { journal: self.journal(), script: self.script.clone() };
        let options = Options {
            address: "here:1".into(),
            queue: self.queue,
            retention: self.retention,
            clock: Arc::new(self.clock.clone()),
            seed: 7,
            cores: 2,
        };
        let (coordinator, handle) = Coordinator::start(Box::new(journal), options)?;
        Ok(Server { coordinator, handle, stage: self.clone() })
    }

    pub fn start(&self) -> Server {
        self.try_start().unwrap()
    }

    /// What stands in the log of a server that has ended.
    pub fn log(&self) -> Vec<Recorded> {
        let mut journal = self.journal();
        let first = journal.tail().unwrap().first;
        journal.read(first).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    }
}

impl Server {
    /// With a session `shop` of so many items.
    pub async fn with_items(self, items: usize) -> Self {
        self.open(&shop(), items).await;
        self
    }

    pub async fn open(&self, session: &SessionName, items: usize) {
        let items = (0..items).map(item).collect();
        self.handle.submit(open(session, items)).await.unwrap();
    }

    pub async fn acquire(&self) -> Grant {
        let answer = self.handle.submit(Command::Acquire(for_alice())).await.unwrap();
        let Answer::Granted(mut grants) = answer else { panic!("there was work: {answer:?}") };
        grants.remove(0)
    }

    pub async fn count(&self, state: ItemState) -> u64 {
        self.handle.read(move |all| all.work.session(&shop()).unwrap().counts.of(state)).await.unwrap()
    }

    /// Lets time pass, and the owner see it.
    pub async fn pass(&self, time: Millis) {
        self.stage.clock.pass(time);
        self.look().await;
    }

    /// One turn of the owner, which begins after everything asked before.
    pub async fn look(&self) {
        self.handle.read(|_| ()).await.unwrap();
    }

    /// Asks for work and waits for it, in a task of its own that has asked already.
    pub async fn wait(&self, acquire: Acquire) -> JoinHandle<Result<Acquired, Failure>> {
        let waiting = self.asked(move |handle| async move { handle.acquire(acquire, Duration::from_secs(30)).await });
        let waiting = waiting.await;
        self.look().await;
        waiting
    }

    /// Starts a task, and goes on once it has asked: tests run on one thread, and take turns.
    pub async fn asked<T, F>(&self, ask: impl FnOnce(Handle) -> F) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let task = tokio::spawn(ask(self.handle.clone()));
        tokio::task::yield_now().await;
        task
    }

    pub async fn stop(self) {
        self.coordinator.stop().await.unwrap();
    }
}

/// Whether a future has come to its end by now.
pub fn is_done<F: Future + Unpin>(future: &mut F) -> bool {
    matches!(std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(_))
}

pub fn shop() -> SessionName {
    SessionName::new("shop").unwrap()
}

pub fn named(session: &str) -> SessionName {
    SessionName::new(session).unwrap()
}

pub fn worker(name: &str) -> WorkerId {
    WorkerId::new(name).unwrap()
}

pub fn for_alice() -> Acquire {
    Acquire::from(shop(), worker("alice"))
}

pub fn id(number: usize) -> ItemId {
    ItemId::new(format!("orders/{number}")).unwrap()
}

pub fn item(number: usize) -> NewItem {
    NewItem::new(id(number))
}

pub fn open(session: &SessionName, items: Vec<NewItem>) -> Command {
    Command::OpenSession { session: session.clone(), policy: Policy::default(), notes: None, items, gates: vec![] }
}

pub fn add(session: &SessionName, numbers: impl IntoIterator<Item = usize>) -> Command {
    let items = numbers.into_iter().map(item).collect();
    Command::AddItems { session: session.clone(), items, gates: vec![], conflicts: Conflicts::Refuse }
}

pub fn complete(grant: &Grant) -> Command {
    Command::Complete(Complete::new(
        grant.session.clone(),
        ItemId::new(grant.body.id()).unwrap(),
        Holder::Token(grant.token),
    ))
}

pub fn position(number: u64) -> Position {
    Position::new(number)
}
