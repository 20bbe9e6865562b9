//! Starting and stopping the owner.

use crate::clock::{Clock, SystemClock};
use crate::cluster::Leadership;
use crate::feed::Feed;
use crate::handle::{Handle, turn_away_all};
use crate::housekeeping::{Housekeeping, Retention};
use crate::message::Message;
use crate::owner::{End, Owner, Parts};
use crate::recovery::{self, Recovered, RecoveryError};
use crate::settling::{self, Settled};
use crate::status::{Role, Status};
use crate::streams;
use capstan_ids::{Epoch, Moment, Position, WallTime};
use capstan_journal::{Commit, Durability, Journal};
use crossbeam_channel::Receiver;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a stop waits before it asks a full queue again.
const STOP_PAUSE: Duration = Duration::from_millis(5);

/// How a coordinator is set up. The defaults are right for a server.
#[derive(Clone)]
pub struct Options {
    /// The address others reach this server at; stands in the log with its leadership.
    pub address: String,
    /// Requests that may wait for the owner; one more is turned away.
    pub queue: usize,
    /// What is kept of the log.
    pub retention: Retention,
    /// Where it reads the time.
    pub clock: Arc<dyn Clock>,
    /// Where jitter begins.
    pub seed: u64,
    /// Cores of the machine: pools of jobs are sized by them.
    pub cores: u32,
}

impl Default for Options {
    fn default() -> Self {
        let clock = SystemClock;
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let seed = clock.now().wall.micros().unsigned_abs() ^ (u64::from(std::process::id()) << 32);
        Self {
            address: String::new(),
            queue: 65_536,
            retention: Retention::default(),
            clock: Arc::new(clock),
            seed,
            cores,
        }
    }
}

/// Why a coordinator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state could not be read back.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// It could not take the lead.
    #[error("leadership could not be written to the journal: {0}")]
    Accession(String),
    /// No thread could be made.
    #[error("the owner's thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// Why a coordinator ended.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndError {
    /// Another server leads.
    #[error("another server leads this journal")]
    Fenced,
    /// The journal has not answered for too long.
    #[error("the journal does not answer: {0}")]
    Away(String),
    /// The journal failed.
    #[error("the journal failed: {0}")]
    Broken(String),
}

/// A running owner.
#[derive(Debug)]
pub struct Coordinator {
    handle: Handle,
    ended: oneshot::Receiver<End>,
}

impl Coordinator {
    /// Reads the state back, takes the lead, and starts the owner. Blocks while it reads.
    ///
    /// For a journal that only this process can open; servers that share one start a [`Cluster`](crate::Cluster).
    pub fn start(mut journal: Box<dyn Journal>, options: Options) -> Result<(Self, Handle), StartError> {
        let now = options.clock.now();
        let mut recovered = recovery::recover(journal.as_mut(), now)?;
        recovered.facts.tell(recovered.next);
        tell_durability(journal.as_ref());
        let epoch = recovered.epoch.next();
        let commit = accession(recovered.streams.newest_wall(), now, &options.address);
        recovered.next = match settling::settle(journal.as_mut(), epoch, recovered.next, &commit, || true) {
            Settled::Committed => recovered.next.plus(commit.events()),
            Settled::Fenced => return Err(StartError::Accession("another server leads".into())),
            Settled::Refused(refusal) => return Err(StartError::Accession(refusal.to_string())),
            Settled::Away(error) | Settled::Broken(error) => return Err(StartError::Accession(error.to_string())),
        };
        Self::lead(journal, recovered, epoch, Leadership::for_ever(), options)
    }

    /// Starts the owner of a state whose accession is durable.
    pub(crate) fn lead(
        journal: Box<dyn Journal>,
        recovered: Recovered,
        epoch: Epoch,
        leadership: Leadership,
        options: Options,
    ) -> Result<(Self, Handle), StartError> {
        let durable = Position::new(recovered.next.get() - 1);
        let status = Arc::new(Status::default());
        status.set_epoch(epoch);
        status.set_durable(durable);
        status.set_role(Role::Leader);
        let feed = Arc::new(Feed::new(durable));
        let (sender, queue) = crossbeam_channel::bounded(options.queue);
        let closing = Closing { status: Arc::clone(&status), feed: Arc::clone(&feed), rest: queue.clone() };
        let handle = Handle {
            queue: sender,
            rest: queue.clone(),
            status: Arc::clone(&status),
            feed: Arc::clone(&feed),
            parked: Arc::default(),
        };
        let housekeeping = Housekeeping::new(options.retention, recovered.streams.newest_wall(), options.clock.now());
        let parts = Parts {
            recovered,
            journal,
            epoch,
            leadership,
            queue,
            feed,
            status,
            clock: options.clock,
            housekeeping,
            random: options.seed,
            cores: options.cores,
        };
        let (tell, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("owner".into())
            .spawn(move || {
                let closing = closing;
                let end = Owner::new(parts).run();
                drop(closing);
                drop(tell.send(end));
            })
            .map_err(StartError::Thread)?;
        Ok((Self { handle: handle.clone(), ended }, handle))
    }

    /// Finishes what is queued, writes the durable mark, and ends. What comes later is turned away.
    pub async fn stop(mut self) -> Result<(), EndError> {
        self.handle.status.begin_stopping();
        // A full queue takes it too in a moment: nothing else comes into it any more.
        while self.handle.queue.try_send(Message::Stop).is_err() && !self.handle.status.is_closed() {
            tokio::time::sleep(STOP_PAUSE).await;
        }
        // It may have ended by itself meanwhile: that is told here too.
        self.ended().await
    }

    /// Waits until the owner has ended.
    pub(crate) fn blocking_ended(self) -> Result<(), EndError> {
        told(self.ended.blocking_recv())
    }

    /// Resolves when the owner has ended by itself; a server must stop then.
    pub async fn ended(&mut self) -> Result<(), EndError> {
        told((&mut self.ended).await)
    }
}

fn told(ended: Result<End, oneshot::error::RecvError>) -> Result<(), EndError> {
    match ended {
        Ok(End::Stopped) => Ok(()),
        Ok(End::Fenced) => Err(EndError::Fenced),
        Ok(End::Away(why)) => Err(EndError::Away(why)),
        Ok(End::Broken(error)) => Err(EndError::Broken(error)),
        Err(_) => Err(EndError::Broken("the owner's thread panicked".into())),
    }
}

/// Closes the door behind an owner that has ended, be it by a panic: nobody may wait for it for ever.
struct Closing {
    status: Arc<Status>,
    feed: Arc<Feed>,
    rest: Receiver<Message>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        if self.status.role() == Role::Leader {
            self.status.set_role(Role::Failed);
        }
        // In this order: whoever sends and does not see the end is seen below.
        self.status.close();
        turn_away_all(&self.rest, &self.status.why_gone());
        self.feed.end();
    }
}

/// A leader's first commit says who it is; before it stands, nothing is answered.
pub(crate) fn accession(newest: WallTime, now: Moment, address: &str) -> Commit {
    let mut commit = Commit::new(recovery::not_before(now.wall, newest));
    commit.push(&streams::named(streams::LEADER), |buffer| buffer.extend_from_slice(address.as_bytes()));
    commit
}

pub(crate) fn tell_durability(journal: &dyn Journal) {
    if let Durability::Later(why) = journal.durability() {
        tracing::warn!(
            why,
            "the journal acknowledges before it is durable: a power cut can lose what was acknowledged"
        );
    }
}
