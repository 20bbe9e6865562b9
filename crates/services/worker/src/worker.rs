//! Asks for work, and sees each item through.

use crate::activity::{Activity, Board, Ended as Count};
use crate::clock::Since;
use crate::desk::Desk;
use crate::halt::{Halt, throttled_pause};
use crate::holds::{Held, Holds};
use crate::keeper::{self, Ended};
use crate::options::Options;
use crate::places::Places;
use crate::slots::{Slot, Slots};
use crate::tasks::{self, Done};
use crate::wishes::Wishes;
use capstan_coordination::{Acquire, Coordination, CoordinationError, Fault, Leased, News, Outcome};
use futures::FutureExt;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// While all that a worker does is held back, it looks this often whether it still is.
const HOLD_LOOK: Duration = Duration::from_secs(1);
/// How long a look at a spool without room may take before it counts as one that found none.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);
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
    slots: Slots,
    holds: Mutex<Holds>,
}

impl Worker {
    /// A worker that asks this coordinator for work.
    pub fn new(coordination: Arc<dyn Coordination>, options: Options) -> Self {
        let slots = Slots::new(options.slots);
        let (places, board, holds) = (Places::new(options), Board::new(), Mutex::default());
        Self { shared: Arc::new(Shared { coordination, places, board, slots, holds }) }
    }

    /// What it is doing, as it changes.
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.shared.board.subscribe()
    }

    /// From now on it works on so many items at a time, 1 to 4,096: more begin at once, fewer once what runs has ended.
    ///
    /// Leases that were being asked for at this moment are kept, so that a smaller number may be exceeded by those.
    pub fn resize(&self, slots: usize) {
        self.shared.slots.resize(slots.max(1));
    }

    /// Works until `shutdown`; then takes nothing new, gives back what it holds, and returns within seconds.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let (slots, kinds) = (self.shared.slots.size(), self.shared.places.options().kinds.len());
        if slots == 0 || kinds == 0 {
            return Err(WorkerError::NoSlots { slots, kinds });
        }
        let tasks = TaskTracker::new();
        let ended = self.hand_out(&tasks, &shutdown).await;
        shutdown.cancel();
        tasks.close();
        tasks.wait().await;
        ended
    }

    /// Fills free slots with leased items until the worker stops.
    async fn hand_out(&self, tasks: &TaskTracker, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let mut wishes = Wishes::default();
        loop {
            let leased = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                leased = self.next_leases(&mut wishes) => leased,
            };
            let (asked, leases) = leased?;
            for leased in leases {
                let (shared, stop, slot) = (Arc::clone(&self.shared), shutdown.clone(), self.shared.slots.take());
                tasks.spawn(async move { shared.attend(leased, asked, stop, slot).await });
            }
        }
    }

    /// Items for slots that are free, and when they were asked for.
    async fn next_leases(&self, wishes: &mut Wishes) -> Result<(Since, Vec<Leased>), WorkerError> {
        let slots = &self.shared.slots;
        loop {
            let free = slots.free().await;
            let held = self.shared.held().await;
            match wishes.next(self.shared.places.options(), &held, free, slots.size()) {
                Some(wish) => match self.ask(&wish).await {
                    // A session that was asked for by its name is over: that says nothing about this worker.
                    Err(WorkerError::Refused { .. }) if !held.holds.is_empty() && !held.free.is_empty() => {
                        self.shared.holds().forget_seen();
                    }
                    answer => return answer,
                },
                None => tokio::time::sleep(HOLD_LOOK).await,
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

impl Shared {
    fn holds(&self) -> MutexGuard<'_, Holds> {
        // Each holder only sets plain values: a panic cannot have left them half-set.
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may not be asked for now: what was held back is looked at again.
    async fn held(&self) -> Held {
        let due = self.holds().due(Since::now());
        for spool in due {
            let look = tokio::time::timeout(ROOM_PATIENCE, self.places.has_room(&spool)).await;
            // Of a spool that cannot be opened the next item says why, and that counts as its attempt.
            let has_room = look.is_ok_and(|looked| looked.unwrap_or(true));
            if has_room {
                tracing::info!(%spool, "there is room in the spool again; dumping goes on");
            }
            self.holds().looked(&spool, has_room, is_tried(&spool), Since::now());
        }
        let holds = self.holds();
        let (elsewhere, full) = holds.reasons();
        if !elsewhere {
            self.board.elsewhere(None);
        }
        if !full {
            self.board.hold(None);
        }
        holds.held()
    }

    /// Sees one item through, from its lease to its end.
    async fn attend(&self, leased: Leased, asked: Since, stop: CancellationToken, slot: Slot) {
        self.board.begin(&leased);
        self.holds().see(&leased.holding.session);
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
                if desk.leased.kind.as_str() == "dump" {
                    self.holds().found_room(&holding.session);
                }
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
            Halt::Failed(fault) => (self.fail(desk, fault, stop).await, Count::Failed),
            Halt::Throttled { error } => {
                let retry_after = Some(throttled_pause(desk.leased.attempt));
                (self.fail(desk, Fault { error, retry_after, ..Fault::default() }, stop).await, Count::Failed)
            }
            Halt::Stopped => (self.say(desk, &unfinished, stop).await, Count::Returned),
            Halt::NoRoom { spool, reason } => {
                tracing::warn!(%spool, %reason, "no room in the spool; nothing is dumped there until there is");
                let (session, kind, tried) = (&holding.session, &desk.leased.kind, is_tried(&spool));
                self.holds().wait_for_room(session, kind, spool, tried, Since::now());
                self.board.hold(Some(reason));
                (self.say(desk, &unfinished, stop).await, Count::Returned)
            }
            Halt::Elsewhere { reason } => {
                self.leave_to_others(&desk.leased, reason);
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

    async fn fail(&self, desk: &Desk, fault: Fault, stop: &CancellationToken) -> Result<(), CoordinationError> {
        let item = &desk.leased.holding.item;
        tracing::warn!(%item, error = %fault.error, permanent = fault.permanent, "item failed");
        let fault = Fault { checkpoint: fault.checkpoint.or(desk.last_news().checkpoint), ..fault };
        self.say(desk, &LastWord::Failed(fault), stop).await
    }

    /// A worker elsewhere never takes the absence of parts for their loss: it leaves them to those who see them.
    fn leave_to_others(&self, leased: &Leased, reason: String) {
        let session = &leased.holding.session;
        if self.holds().leave(session, &leased.kind, Since::now()) {
            tracing::warn!(%session, %reason, "what lies in another spool is left to other workers");
        }
        self.board.elsewhere(Some(reason));
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

/// Whether a spool cannot be asked for its room, and is tried.
fn is_tried(spool: &str) -> bool {
    !spool.starts_with("file:")
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
