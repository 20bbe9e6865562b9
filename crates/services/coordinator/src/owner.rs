//! The owner's loop: take what has queued up, decide, apply, flush once, answer.

use crate::clock::Clock;
use crate::cluster::Leadership;
use crate::failure::Failure;
use crate::feed::Feed;
use crate::handle::{Outcome, PipelineOutcome};
use crate::housekeeping::Housekeeping;
use crate::message::{Message, Pending, weight};
use crate::recovery::{self, Recovered};
use crate::settling::Settled;
use crate::state::{State, Writing};
use crate::status::{Role, Status};
use crate::streams::Streams;
use crate::waiters::Waiters;
use capstan_ids::{Epoch, Millis, Moment, Monotonic, Position};
use capstan_journal::{Commit, Journal, Recorded, Refusal};
use capstan_work::{Command, Context};
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Commands of one flush: more would make the first of them wait for the last.
pub(crate) const BATCH_COMMANDS: usize = 4_096;
/// Bytes of events of one flush.
pub(crate) const BATCH_BYTES: usize = 4 << 20;
/// Steps of passing time in one flush, each of a thousand things at the most.
const BATCH_TICKS: usize = 8;
/// How long a refusal of room stands before the journal is asked again: each time it looks at the disk.
const FULL_PAUSE: Duration = Duration::from_millis(100);
/// While housekeeping has steps to take, one is taken this often at the least.
const HOUSE_PAUSE: Duration = Duration::from_micros(200);
/// After so long without work the durable mark is written.
const IDLE: Duration = Duration::from_secs(1);

/// A leader without work looks this often whether it still leads: standbys and watchers are told in time.
const LEADERSHIP_LOOK: Duration = Duration::from_millis(100);

/// How the owner ended.
#[derive(Debug)]
pub(crate) enum End {
    Stopped,
    Fenced,
    /// The journal does not answer, or leadership could not be extended in time.
    Away(String),
    Broken(String),
}

pub(crate) struct Owner {
    pub(crate) state: State,
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) streams: Streams,
    pub(crate) status: Arc<Status>,
    pub(crate) epoch: Epoch,
    /// Whether answers may be given at all.
    pub(crate) leadership: Leadership,
    /// The position that the next event takes.
    pub(crate) next: Position,
    pub(crate) commit: Commit,
    pub(crate) queue: Receiver<Message>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) waiters: Waiters,
    /// Work may be ready that no event of the next flush speaks of.
    pub(crate) offer_to_everybody: bool,
    /// Whether sessions share limits, where that has been looked up.
    pub(crate) limits_shared: Option<bool>,
    /// When it may be looked again whether some who wait have gone.
    pub(crate) next_crowd_look: Monotonic,
    pub(crate) pending: Vec<Pending>,
    pub(crate) housekeeping: Housekeeping,
    pub(crate) stopping: bool,
    pub(crate) clock: Arc<dyn Clock>,
    random: u64,
    cores: u32,
    /// Why the journal had no room, and when it said so.
    full: Option<(Refusal, Instant)>,
    /// The latest wall time in the log: shown times never go back.
    last_wall: capstan_ids::WallTime,
}

/// What a new owner is made of.
pub(crate) struct Parts {
    pub recovered: Recovered,
    pub journal: Box<dyn Journal>,
    pub epoch: Epoch,
    pub leadership: Leadership,
    pub queue: Receiver<Message>,
    pub feed: Arc<Feed>,
    pub status: Arc<Status>,
    pub clock: Arc<dyn Clock>,
    pub housekeeping: Housekeeping,
    pub random: u64,
    pub cores: u32,
}

impl Owner {
    pub fn new(parts: Parts) -> Self {
        let Parts { recovered, journal, epoch, leadership, queue, feed, status, clock, housekeeping, random, cores } =
            parts;
        Self {
            state: recovered.state,
            journal,
            last_wall: recovered.streams.newest_wall(),
            streams: recovered.streams,
            status,
            epoch,
            leadership,
            next: recovered.next,
            commit: Commit::default(),
            queue,
            feed,
            waiters: Waiters::default(),
            offer_to_everybody: false,
            limits_shared: None,
            next_crowd_look: Monotonic(0),
            pending: Vec::new(),
            housekeeping,
            stopping: false,
            clock,
            random,
            cores,
            full: None,
        }
    }

    /// Runs until it is stopped, fenced or broken.
    pub fn run(mut self) -> End {
        let mut idle_since = Instant::now();
        let mut marked = true;
        loop {
            let first = match self.queue.recv_timeout(self.patience(marked)) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    self.stopping = true;
                    None
                }
            };
            if first.is_some() {
                idle_since = Instant::now();
                marked = false;
            }
            if let Some(end) = self.batch(first) {
                return end;
            }
            // The message that says so finds no place in a full queue, which is worked off first: nothing comes after it.
            if self.stopping || (self.status.role() == Role::Stopping && self.queue.is_empty()) {
                return self.stop();
            }
            self.keep_house();
            if !marked && idle_since.elapsed() >= IDLE {
                marked = true;
                if let Err(error) = self.rest() {
                    return self.fail(&error.to_string());
                }
            }
        }
    }

    /// How long it may wait for a message.
    fn patience(&self, marked: bool) -> Duration {
        if self.housekeeping.is_busy() {
            return HOUSE_PAUSE;
        }
        let now = self.clock.now();
        let alarm = self.state.work.next_alarm().map(|end| end + self.clock.coarseness());
        let registry = self.state.registry.next_alarm().map(|end| end + self.clock.coarseness());
        let reports = self.state.reporting.next();
        let ends = alarm
            .into_iter()
            .chain(registry)
            .chain(reports)
            .chain(self.waiters.next_end())
            .map(|end| end.since(now.monotonic));
        let leaving = self.state.registry.next_leaving();
        let times = self.state.work.next_not_before().into_iter().chain(leaving).map(|at| at.since(now.wall)).min();
        let due = ends.chain(times).min().unwrap_or(Millis::secs(60));
        let mut due = Duration::from_millis(due.get());
        if self.offer_to_everybody {
            due = Duration::ZERO;
        }
        if self.full.is_some() {
            // What is due cannot be done, and stays due.
            due = due.max(FULL_PAUSE);
        }
        if !self.leadership.is_for_ever() {
            due = due.min(LEADERSHIP_LOOK);
        }
        if marked { due } else { due.min(IDLE) }
    }

    /// One flush's worth of work.
    fn batch(&mut self, first: Option<Message>) -> Option<End> {
        let mut now = self.now();
        self.commit.restart(now.wall);
        let room = self.room();
        if room.is_ok() {
            self.pass_time(now);
            let (state, mut writing) = self.writing(now);
            state.adapt(&mut writing);
            state.report_jobs(&mut writing);
        }
        let mut taken = 0;
        let mut message = first;
        while let Some(asked) = message.take() {
            taken += self.take(asked, now, &room);
            if taken >= BATCH_COMMANDS || self.commit.size() >= BATCH_BYTES || self.stopping {
                break;
            }
            message = self.queue.try_recv().ok();
            // Whoever sent it counts its lease from then: an older reading would end the lease before its holder does.
            now.monotonic = self.clock.now().monotonic;
        }
        if room.is_ok() {
            self.hand_out(now);
        }
        self.end_waits(now, &room);
        self.flush(now)
    }

    /// Room for one flush, or why there is none.
    pub(crate) fn room(&mut self) -> Result<(), Refusal> {
        if let Some((refusal, asked)) = &self.full
            && asked.elapsed() < FULL_PAUSE
        {
            return Err(refusal.clone());
        }
        let room = self.journal.reserve(BATCH_BYTES);
        match (&room, &self.full) {
            (Err(refusal), None) => tracing::error!(%refusal, "changes are refused"),
            (Ok(()), Some(_)) => tracing::info!("the journal has room again: changes are taken"),
            _ => {}
        }
        self.full = room.as_ref().err().map(|refusal| (refusal.clone(), Instant::now()));
        room
    }

    pub(crate) fn now(&mut self) -> Moment {
        let mut now = self.clock.now();
        now.wall = recovery::not_before(now.wall, self.last_wall);
        self.last_wall = now.wall;
        now
    }

    pub(crate) fn perform(&mut self, command: &Command, now: Moment) -> Outcome {
        let (state, mut writing) = self.writing(now);
        state.perform(command, &mut writing)
    }

    pub(crate) fn perform_registry(&mut self, command: &capstan_registry::Command, now: Moment) -> PipelineOutcome {
        let (state, mut writing) = self.writing(now);
        state.perform_registry(command, &mut writing)
    }

    /// The state, and where what is decided about it is written.
    fn writing(&mut self, now: Moment) -> (&mut State, Writing<'_>) {
        // Weyl sequence and a mix: jitter needs spread, not secrecy.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let next = self.next.plus(self.commit.events());
        let writing = Writing {
            context: Context { moment: now, next, random: mixed ^ (mixed >> 27) },
            cores: self.cores,
            streams: &mut self.streams,
            commit: &mut self.commit,
            touched: Vec::new(),
            status: &self.status,
        };
        (&mut self.state, writing)
    }

    /// Ends what has run out for certain, whatever the clock left out; a bounded number of steps, so that commands get their turn.
    fn pass_time(&mut self, now: Moment) {
        let late =
            Moment { monotonic: Monotonic(now.monotonic.0.saturating_sub(self.clock.coarseness().get())), ..now };
        for _ in 0..BATCH_TICKS {
            if !self.state.work.is_due(late) {
                break;
            }
            // A tick cannot be refused.
            let _ = self.perform(&Command::Tick, late);
        }
        for _ in 0..BATCH_TICKS {
            if !self.state.registry.is_due(late) {
                return;
            }
            let _ = self.perform_registry(&capstan_registry::Command::Tick, late);
        }
    }

    /// Takes one message; answers how many commands that was.
    fn take(&mut self, message: Message, now: Moment, room: &Result<(), Refusal>) -> usize {
        match message {
            Message::Commands { commands, reply } => {
                let count = commands.len();
                let outcomes = match room {
                    Ok(()) => self.decide_all(&commands, now),
                    Err(full) => Err(Failure::Full(full.clone())),
                };
                self.status.commands.fetch_add(count as u64, Ordering::Relaxed);
                self.pending.push(Pending::Outcomes(reply, outcomes));
                count.max(1)
            }
            Message::Acquire { acquire, wait, reply } => {
                self.status.commands.fetch_add(1, Ordering::Relaxed);
                self.acquire(acquire, wait, reply, now, room);
                1
            }
            Message::Job { command, reply } => {
                let outcome = match room {
                    Ok(()) => {
                        let (state, mut writing) = self.writing(now);
                        state.command_job(&command, &mut writing)
                    }
                    Err(full) => Err(Failure::Full(full.clone())),
                };
                self.pending.push(Pending::Job(reply, outcome));
                1
            }
            Message::Pipelines { commands, reply } => {
                let count = commands.len();
                let outcomes = match room {
                    Ok(()) => Ok(commands.iter().map(|command| self.perform_registry(command, now)).collect()),
                    Err(full) => Err(Failure::Full(full.clone())),
                };
                self.status.commands.fetch_add(count as u64, Ordering::Relaxed);
                self.pending.push(Pending::Pipelines(reply, outcomes));
                count.max(1)
            }
            Message::ReadHistory { look, reply } => {
                let edge = self.housekeeping.audit_edge(now);
                drop(reply.send(Ok(look.open(self.journal.as_mut(), edge))));
                1
            }
            Message::Read(look) => {
                let release = look(Ok(&self.state));
                self.pending.push(Pending::Seen(release));
                1
            }
            Message::ReadLog { from, reply } => {
                drop(reply.send(Ok(self.journal.read(from))));
                1
            }
            Message::WithJournal(act) => {
                act(Ok(self.journal.as_mut()));
                1
            }
            Message::Stop => {
                self.stopping = true;
                1
            }
        }
    }

    fn decide_all(&mut self, commands: &[Command], now: Moment) -> Result<Vec<Outcome>, Failure> {
        let size: usize = commands.iter().map(weight).sum();
        if size > BATCH_BYTES / 2 {
            self.journal.reserve(self.commit.size() + size).map_err(Failure::Full)?;
        }
        Ok(commands.iter().map(|command| self.perform(command, now)).collect())
    }

    /// Makes what was decided durable, then gives the answers.
    pub(crate) fn flush(&mut self, now: Moment) -> Option<End> {
        if self.commit.is_empty() {
            return self.answer_as_leader();
        }
        let began = Instant::now();
        match self.settle() {
            Settled::Committed => {
                let events = self.commit.events();
                self.streams.count(self.next, &self.commit);
                let position = self.next;
                self.next = self.next.plus(events);
                let durable = Position::new(self.next.get() - 1);
                self.status.set_durable(durable);
                self.status.events.fetch_add(events, Ordering::Relaxed);
                self.status.bytes.fetch_add(self.commit.size() as u64, Ordering::Relaxed);
                self.status.flushes.fetch_add(1, Ordering::Relaxed);
                self.status.flush_micros.fetch_add(began.elapsed().as_micros() as u64, Ordering::Relaxed);
                let (epoch, commit) = (self.epoch, &self.commit);
                // Before the answers: who was answered and watches then begins behind what it was answered.
                self.feed.publish(durable, || Recorded { position, epoch, commit: commit.clone() });
                self.answer_as_leader()
            }
            Settled::Refused(refusal) => {
                tracing::error!(%refusal, "the journal took no more than was promised; reading the state again");
                self.read_again(now, &Failure::Full(refusal))
            }
            Settled::Fenced => Some(self.step_down()),
            Settled::Away(error) => Some(self.stand_by(&error.to_string())),
            Settled::Broken(error) => Some(self.fail(&error.to_string())),
        }
    }

    /// Gives the answers, if leadership still holds: another server may have answered something else by now.
    fn answer_as_leader(&mut self) -> Option<End> {
        if !self.leadership.holds(self.clock.now().monotonic) {
            return Some(self.stand_by("leadership could not be extended in time"));
        }
        self.answer(&Ok(()));
        None
    }

    pub(crate) fn answer(&mut self, durable: &Result<(), Failure>) {
        for pending in self.pending.drain(..) {
            pending.give(durable.clone());
        }
    }

    fn keep_house(&mut self) {
        let now = self.clock.now();
        self.housekeeping.step(crate::housekeeping::House {
            state: &mut self.state,
            journal: self.journal.as_mut(),
            streams: &mut self.streams,
            status: &self.status,
            epoch: self.epoch,
            durable: Position::new(self.next.get() - 1),
            now,
        });
    }
}
