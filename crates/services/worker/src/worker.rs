//! Asks for work, and sees each item through.

use crate::activity::{Activity, Board, Ended as Count};
use crate::clock::Since;
use crate::desk::Desk;
use crate::halt::Halt;
use crate::keeper::{self, Ended};
use crate::options::Options;
use crate::places::Places;
use crate::tasks::{self, Done};
use capstan_coordination::{Acquire, Coordination, CoordinationError, Fault, Leased, News, Outcome};
use capstan_ids::{IdempotencyKey, Kind};
use futures::FutureExt;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// While dumping is held back, it is looked this often whether there is room again.
const HOLD_LOOK: Duration = Duration::from_secs(1);
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How long a worker that stops tries to give its items back; the coordinator takes them back by itself after that.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Does leased work until it is told to stop.
pub struct Worker {
    shared: Arc<Shared>,
}

/// Why a worker cannot go on at all.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The coordinator does not give this worker work.
    #[error("the coordinator refuses to give work to {worker}: {reason}")]
    Refused {
        /// Its id.
        worker: String,
        /// Why.
        reason: String,
    },
    /// Nothing could be worked on.
    #[error("a worker needs at least one slot and one kind of work; it has {slots} slots and {kinds} kinds")]
    NoSlots {
        /// How many it has.
        slots: usize,
        /// How many it has.
        kinds: usize,
    },
}

struct Shared {
    coordination: Arc<dyn Coordination>,
    places: Places,
    board: Board,
    /// The spool without room, while dumping is held back.
    hold: Mutex<Option<String>>,
}

impl Worker {
    /// A worker that asks this coordinator for work.
    pub fn new(coordination: Arc<dyn Coordination>, options: Options) -> Self {
        let (places, board, hold) = (Places::new(options), Board::new(), Mutex::new(None));
        Self { shared: Arc::new(Shared { coordination, places, board, hold }) }
    }

    /// What it is doing, as it changes.
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.shared.board.subscribe()
    }

    /// Works until `shutdown`; then takes nothing new, gives back what it holds, and returns within seconds.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let options = self.shared.places.options();
        let (slots, kinds) = (options.slots.min(1_000), options.kinds.len());
        if slots == 0 || kinds == 0 {
            return Err(WorkerError::NoSlots { slots, kinds });
        }
        let tasks = TaskTracker::new();
        let free = Arc::new(Semaphore::new(slots));
        let ended = self.hand_out(&tasks, &free, &shutdown).await;
        shutdown.cancel();
        tasks.close();
        tasks.wait().await;
        ended
    }

    /// Fills free slots with leased items until the worker stops.
    async fn hand_out(
        &self,
        tasks: &TaskTracker,
        free: &Arc<Semaphore>,
        shutdown: &CancellationToken,
    ) -> Result<(), WorkerError> {
        let mut wishes = Wishes::default();
        loop {
            let first = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                slot = Arc::clone(free).acquire_owned() => slot.expect("the semaphore is never closed"),
            };
            let mut slots = vec![first];
            while let Ok(slot) = Arc::clone(free).try_acquire_owned() {
                slots.push(slot);
            }
            let held = self.shared.holds().await;
            let wish = wishes.next(self.shared.places.options(), held, slots.len());
            let (asked, leases) = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                answer = self.ask(&wish) => answer?,
            };
            for (leased, slot) in leases.into_iter().zip(slots) {
                let (shared, stop) = (Arc::clone(&self.shared), shutdown.clone());
                tasks.spawn(async move { shared.attend(leased, asked, stop, slot).await });
            }
        }
    }

    /// Asks until there is an answer; also when the asking that was answered began.
    async fn ask(&self, wish: &Acquire) -> Result<(Since, Vec<Leased>), WorkerError> {
        loop {
            let asked = Since::now();
            let (reason, pause) = match self.shared.coordination.acquire(wish).await {
                Ok(leased) => {
                    self.shared.board.away(None);
                    return Ok((asked, leased));
                }
                Err(CoordinationError::Refused { reason }) => {
                    return Err(WorkerError::Refused { worker: wish.worker.to_string(), reason });
                }
                Err(CoordinationError::Unavailable { reason, retry_after }) => (reason, retry_after),
                Err(error) => (error.to_string(), RETRY_MAX),
            };
            tracing::warn!(%reason, "no answer to a request for work; asking again");
            self.shared.board.away(Some(reason));
            tokio::time::sleep(pause.clamp(RETRY_MIN, RETRY_MAX)).await;
        }
    }
}

/// Requests for work, each with a key of its own.
#[derive(Default)]
struct Wishes {
    made: u64,
    began: Option<u128>,
}

impl Wishes {
    fn next(&mut self, options: &Options, held: bool, max: usize) -> Acquire {
        // No two lives of a worker share a beginning, so no two requests share a key.
        let began = *self.began.get_or_insert_with(|| Since::now().as_nanos());
        self.made += 1;
        let key = format!("{}-{began}-{}", std::process::id(), self.made);
        let wanted = |kind: &&Kind| !held || kind.as_str() != "dump";
        Acquire {
            worker: options.id.clone(),
            kinds: options.kinds.iter().filter(wanted).cloned().collect(),
            sessions: options.sessions.clone(),
            max: u32::try_from(max).unwrap_or(u32::MAX),
            lease: None,
            wait: if held { options.wait.min(HOLD_LOOK) } else { options.wait },
            key: Some(IdempotencyKey::new(key).expect("digits and dashes")),
        }
    }
}

impl Shared {
    /// Whether nothing may be dumped now: a spool was full, and still is.
    async fn holds(&self) -> bool {
        let Some(spool) = self.hold.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return false };
        let reserve = self.places.options().spool_reserve;
        let dumps_only = self.places.options().kinds.iter().all(|kind| kind.as_str() == "dump");
        if self.places.room(&spool).await.is_some_and(|room| room < reserve) {
            if dumps_only {
                // There is nothing else to ask for: wait, rather than ask for any kind.
                tokio::time::sleep(HOLD_LOOK).await;
            }
            return !dumps_only;
        }
        *self.hold.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.board.hold(None);
        false
    }

    /// Sees one item through, from its lease to its end.
    async fn attend(&self, leased: Leased, asked: Since, stop: CancellationToken, slot: OwnedSemaphorePermit) {
        self.board.begin(&leased);
        let desk = Desk::new(leased, asked, self.board.clone(), stop.clone());
        let count = self.perform(&desk, &stop).await;
        self.board.end(&desk.leased, count);
        drop(slot);
    }

    async fn perform(&self, desk: &Desk, stop: &CancellationToken) -> Count {
        let holding = &desk.leased.holding;
        let out_of_patience = async {
            stop.cancelled().await;
            tokio::time::sleep(self.places.options().grace).await;
        };
        let task = tasks::perform(desk, &self.places, self.coordination.as_ref());
        let ended = tokio::select! {
            biased;
            ended = keeper::keep(desk, self.coordination.as_ref()) => Err(ended),
            done = AssertUnwindSafe(task).catch_unwind() => Ok(done),
            () = out_of_patience => Ok(Ok(Err(Halt::Stopped))),
        };
        // From here on the task is gone: nothing is written any more.
        match ended {
            Ok(Ok(Ok(done))) => self.complete(desk, done, stop).await,
            Ok(Ok(Err(halt))) => self.give_back(desk, halt, stop).await,
            Ok(Err(panic)) => {
                let fault = Fault { error: panic_text(panic.as_ref()).into(), ..Fault::default() };
                self.give_back(desk, Halt::Failed(fault), stop).await
            }
            Err(Ended::Lost(reason)) => {
                tracing::warn!(item = %holding.item, %reason, "lease lost; its task was ended");
                Count::Returned
            }
            Err(Ended::Revoked(reason)) => {
                tracing::info!(item = %holding.item, %reason, "lease revoked; its task was ended");
                self.give_back(desk, Halt::Stopped, stop).await
            }
            Err(Ended::Refused(reason)) => {
                let halt = Halt::start_over(format!("the coordinator refused a renewal: {reason}"));
                self.give_back(desk, halt, stop).await
            }
        }
    }

    async fn complete(&self, desk: &Desk, done: Done, stop: &CancellationToken) -> Count {
        let Done { outcome, unneeded } = done;
        let holding = &desk.leased.holding;
        match self.say(desk, &LastWord::Done(outcome), stop).await {
            Ok(()) => {
                for (spool, part) in unneeded {
                    if let Err(error) = spool.delete(&part).await {
                        // The job's last item sweeps what is left.
                        tracing::warn!(%part, %error, "a part that is not needed any more could not be deleted");
                    }
                }
                Count::Completed
            }
            Err(CoordinationError::Refused { reason }) => self.give_back(desk, Halt::start_over(reason), stop).await,
            Err(CoordinationError::Revoked { .. }) => self.give_back(desk, Halt::Stopped, stop).await,
            Err(error) => {
                tracing::warn!(item = %holding.item, %error, "what was done could not be reported");
                Count::Returned
            }
        }
    }

    /// Gives an item back that is not done.
    async fn give_back(&self, desk: &Desk, halt: Halt, stop: &CancellationToken) -> Count {
        let holding = &desk.leased.holding;
        let unfinished = LastWord::Unfinished(desk.last_news());
        let (given, count) = match halt {
            Halt::Failed(fault) => {
                tracing::warn!(item = %holding.item, error = %fault.error, permanent = fault.permanent, "item failed");
                let fault = Fault { checkpoint: fault.checkpoint.or(desk.last_news().checkpoint), ..fault };
                (self.say(desk, &LastWord::Failed(fault), stop).await, Count::Failed)
            }
            Halt::Stopped => (self.say(desk, &unfinished, stop).await, Count::Returned),
            Halt::NoRoom { spool, reason } => {
                tracing::warn!(%spool, %reason, "no room in the spool; nothing is dumped until there is");
                *self.hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(spool);
                self.board.hold(Some(reason));
                (self.say(desk, &unfinished, stop).await, Count::Returned)
            }
            Halt::LeaseOver => return Count::Returned,
        };
        if let Err(error) = given {
            // Whoever gave the lease takes it back at its end.
            tracing::warn!(item = %holding.item, %error, "an item could not be given back");
        }
        count
    }

    /// Repeats what gets no answer, while the lease and as long again may last; less when the worker stops.
    async fn say(&self, desk: &Desk, word: &LastWord, stop: &CancellationToken) -> Result<(), CoordinationError> {
        let holding = &desk.leased.holding;
        let call = async || match word {
            LastWord::Done(outcome) => self.coordination.complete(holding, outcome).await,
            LastWord::Failed(fault) => self.coordination.fail(holding, fault).await,
            LastWord::Unfinished(news) => self.coordination.release(holding, news).await,
        };
        let until = desk.deadline().plus(desk.leased.lease);
        let stopped = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::pin!(stopped);
        loop {
            let answer = tokio::select! {
                answer = call() => answer,
                () = &mut stopped => Err(stopping()),
            };
            let Err(CoordinationError::Unavailable { retry_after, .. }) = &answer else { return answer };
            if until.has_come() {
                return answer;
            }
            tokio::select! {
                () = tokio::time::sleep((*retry_after).clamp(RETRY_MIN, RETRY_MAX)) => {}
                () = &mut stopped => return answer,
            }
        }
    }
}

/// How an item is given back.
enum LastWord {
    Done(Outcome),
    Failed(Fault),
    Unfinished(News),
}

fn stopping() -> CoordinationError {
    CoordinationError::Unavailable { reason: "this worker stops".into(), retry_after: Duration::ZERO }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the task panicked: {}", text.unwrap_or("without a message"))
}
