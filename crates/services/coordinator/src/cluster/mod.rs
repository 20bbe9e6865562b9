//! Several servers on one journal: one leads, the others follow the log and are ready to.
//!
//! Two threads. The *seat* keeps this server's place in the election: it gives signs of life or looks at those of the
//! leader, and never waits for anything else. The *turns* follow the log while another server leads, take the lead
//! when the seat has it, and watch the owner while it runs.
//!
//! # Promises
//! - S1 An owner answers only while its own leadership holds by this machine's clock; a later one has a gate of its own.
//! - S2 A leader's first commit stands under its epoch before it answers anything, behind everything that stood before.
//! - S3 A server that loses the lead stands by with a state read anew; nothing of what it had in memory goes on.

mod keeper;
mod seat;
mod shared;
mod term;
mod turns;

pub use term::{Leadership, Term};

use crate::coordinator::Options;
use crate::handle::Handle;
use crate::message::Message;
use capstan_journal::{Candidate, Election, Journal};
use shared::Shared;
use std::error::Error;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::watch;

/// What a store may answer with when it is opened.
pub type StoreError = Box<dyn Error + Send + Sync>;

/// A journal that several servers share, and the register of who leads it. Opened anew after each failure.
pub trait SharedStore: Send + Sync + 'static {
    /// One connection to the journal.
    fn journal(&self) -> Result<Box<dyn Journal>, StoreError>;
    /// One connection to the register, whose calls are bounded well below a term.
    fn election(&self) -> Result<Box<dyn Election>, StoreError>;
}

/// Whose turn it is, as this server knows it.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Another leads, or nobody yet.
    Standby {
        /// Where the leader is reached, where that is known and it is not this server.
        leader: Option<String>,
        /// The highest leadership seen.
        epoch: u64,
        /// Why this server could not lead if it had to, where it could not.
        trouble: Option<String>,
    },
    /// This server.
    Leader(Handle),
    /// Nobody may use this server any more: its journal is damaged, or it was stopped.
    Ended(Option<String>),
}

/// Why a cluster's server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The shared journal cannot be used.
    #[error("the shared journal cannot be used")]
    Store(#[source] StoreError),
    /// No thread could be made.
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// One server of several on a journal.
pub struct Cluster {
    shared: Arc<Shared>,
    turns: watch::Receiver<Turn>,
    threads: Vec<JoinHandle<()>>,
}

impl Cluster {
    /// Opens the store once, so that what is wrong with it is told at once, and takes part in the election.
    ///
    /// Blocks while it connects.
    pub fn start(store: Arc<dyn SharedStore>, options: Options, term: Term) -> Result<Self, ClusterError> {
        let journal = store.journal().map_err(ClusterError::Store)?;
        let election = store.election().map_err(ClusterError::Store)?;
        crate::coordinator::tell_durability(journal.as_ref());
        let me = Candidate { server: one_life(&options), address: options.address.clone() };
        let standby = Turn::Standby { leader: None, epoch: 0, trouble: None };
        let (tell, turns) = watch::channel(standby);
        let shared = Arc::new(Shared::new());
        let seat = seat_thread(Arc::clone(&shared), Arc::clone(&store), election, me, term, &options);
        let mut threads = vec![spawn("seat", seat)?];
        let turns_thread = turns::Turns::new(Arc::clone(&shared), store, options, term, tell);
        match spawn("turns", move || turns_thread.run(journal)) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                shared.stop();
                return Err(error);
            }
        }
        Ok(Self { shared, turns, threads })
    }

    /// Whose turn it is, as it changes.
    pub fn turns(&self) -> watch::Receiver<Turn> {
        self.turns.clone()
    }

    /// Finishes what is queued, leaves its place to another at once, and ends.
    pub async fn stop(mut self) {
        self.shared.stop();
        if let Turn::Leader(handle) = &*self.turns.borrow() {
            handle.status.begin_stopping();
            // It wakes an owner that has nothing to do. One with a full queue sees at its end that it is to stop.
            let _ = handle.queue.try_send(Message::Stop);
        }
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the cluster panicked");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("waiting for the cluster's threads failed");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// No two starts of any server share it.
fn one_life(options: &Options) -> String {
    let moment = options.clock.now();
    format!("{}-{}-{:x}-{:x}", options.address, std::process::id(), moment.wall.micros(), options.seed)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ClusterError> {
    std::thread::Builder::new().name(name.into()).spawn(run).map_err(ClusterError::Thread)
}

/// Keeps the seat until the server stops.
fn seat_thread(
    shared: Arc<Shared>,
    store: Arc<dyn SharedStore>,
    election: Box<dyn Election>,
    me: Candidate,
    term: Term,
    options: &Options,
) -> impl FnOnce() + Send + 'static {
    let clock = Arc::clone(&options.clock);
    move || keeper::Keeper::new(shared, store, election, me, term, clock).run()
}
