//! Follows the log while another leads, and takes the lead when it is this server's turn.

use super::keeper::told;
use super::shared::Shared;
use super::term::{Leadership, Term};
use super::{SharedStore, StoreError, Turn};
use crate::coordinator::{Coordinator, EndError, Options, accession};
use crate::recovery::{Reading, Recovered, RecoveryError};
use crate::settling::{self, Settled};
use capstan_ids::Epoch;
use capstan_journal::{Journal, JournalError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// After a failure it is tried again this soon.
const AGAIN: Duration = Duration::from_millis(500);

/// A standby looks this often at the leader's new snapshots.
const SHELF_LOOK: Duration = Duration::from_secs(10);

/// This server's turns.
pub(crate) struct Turns {
    shared: Arc<Shared>,
    store: Arc<dyn SharedStore>,
    options: Options,
    term: Term,
    tell: watch::Sender<Turn>,
}

/// Why a turn could not go on.
enum Halt {
    /// It may be better in a moment.
    Again(String),
    /// The journal is damaged, or of another version: nobody guesses.
    Never(String),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Again(told(error.as_ref()))
    }
}

impl From<RecoveryError> for Halt {
    fn from(error: RecoveryError) -> Self {
        match &error {
            RecoveryError::Journal(JournalError::Damaged { .. } | JournalError::Version { .. })
            | RecoveryError::Event { .. }
            | RecoveryError::Unsound(_) => Self::Never(told(&error)),
            RecoveryError::Journal(_) => Self::Again(told(&error)),
        }
    }
}

impl Turns {
    pub fn new(
        shared: Arc<Shared>,
        store: Arc<dyn SharedStore>,
        options: Options,
        term: Term,
        tell: watch::Sender<Turn>,
    ) -> Self {
        Self { shared, store, options, term, tell }
    }

    /// Takes turns until the server stops, or its journal turns out to be damaged.
    pub fn run(self, journal: Box<dyn Journal>) {
        let mut journal = Some(journal);
        let (mut end, mut trouble) = (None, None);
        while end.is_none() && !self.is_stopping() {
            match self.turn(journal.take()) {
                Ok(()) => trouble = None,
                Err(Halt::Again(why)) => {
                    // Once, not with each try.
                    if trouble.as_ref() != Some(&why) {
                        tracing::warn!(error = %why, "this server could not lead now; trying again until it can");
                        trouble = Some(why.clone());
                    }
                    self.shared.change(|known| known.followed = None);
                    self.give_up();
                    self.stand_by(Some(why));
                    self.shared.wait(AGAIN, |known| known.stopping);
                }
                Err(Halt::Never(why)) => {
                    tracing::error!(error = %why, "the journal cannot be read; this server stops");
                    self.give_up();
                    end = Some(why);
                }
            }
        }
        self.shared.change(|known| {
            known.stopping = true;
            known.left = true;
        });
        let _ = self.tell.send(Turn::Ended(end));
    }

    fn is_stopping(&self) -> bool {
        self.shared.known().stopping
    }

    /// Follows, and leads once.
    fn turn(&self, journal: Option<Box<dyn Journal>>) -> Result<(), Halt> {
        let mut journal = match journal {
            Some(journal) => journal,
            None => self.store.journal()?,
        };
        let mut reading = Reading::begin(journal.as_mut(), self.options.clock.now())?;
        let Some((epoch, leadership)) = self.follow(journal.as_mut(), &mut reading)? else { return Ok(()) };
        let began = Instant::now();
        let Some(recovered) = self.accede(journal.as_mut(), reading, epoch, &leadership)? else { return Ok(()) };
        tracing::info!(%epoch, milliseconds = began.elapsed().as_millis() as u64, "leads");
        self.lead(journal, recovered, epoch, leadership)
    }

    /// Reads what the leader writes, until this server is elected; nothing if it stops before.
    ///
    /// When the place becomes vacant it reads on at once, while the seat takes it: what the old leader wrote last is
    /// known by then, mostly.
    fn follow(&self, journal: &mut dyn Journal, reading: &mut Reading) -> Result<Option<(Epoch, Leadership)>, Halt> {
        let mut looked = Instant::now();
        loop {
            let (stopping, elected, leader) = {
                let known = self.shared.known();
                (known.stopping, known.elected.clone(), known.leader.clone())
            };
            if stopping {
                return Ok(None);
            }
            if elected.is_some() {
                return Ok(elected);
            }
            self.read_on(journal, reading)?;
            let followed = self.options.clock.now().monotonic;
            self.shared.change(|known| {
                known.highest = known.highest.max(reading.epoch());
                known.followed = Some(followed);
            });
            self.stand_by(None);
            if looked.elapsed() >= SHELF_LOOK {
                // A store that proves snapshots by reading them has not to do so for all of them when this server is elected.
                if let Err(error) = journal.snapshots() {
                    tracing::debug!(%error, "the snapshots could not be looked at");
                }
                looked = Instant::now();
            }
            let look = Duration::from_millis(self.term.look.get());
            self.shared.wait(look, |known| known.stopping || known.elected.is_some() || known.leader != leader);
        }
    }

    /// Reads up to the end of the log, which must be no earlier than this server has seen it.
    ///
    /// Where it is, what somebody was promised is gone, and tokens that are held would be given to others.
    fn read_on(&self, journal: &mut dyn Journal, reading: &mut Reading) -> Result<(), Halt> {
        let end = loop {
            match reading.advance(journal, self.options.clock.now()) {
                Ok(end) => break end,
                // The leader has let go of what this one had not read yet: snapshots hold it.
                Err(RecoveryError::Journal(JournalError::Dropped { .. })) => {
                    *reading = Reading::begin(journal, self.options.clock.now())?;
                }
                Err(error) => return Err(error.into()),
            }
        };
        let reached = self.shared.known().reached;
        if end < reached {
            return Err(Halt::Never(format!(
                "its log ends before position {end}, and this server has seen it end before {reached}: the database was \
                 set back, to a replica that was behind or to an older backup. Find the newer one; or, if what is \
                 missing may be lost, stop all servers, take a backup, restore it into an empty place and start them there"
            )));
        }
        self.shared.change(|known| known.reached = end);
        Ok(())
    }

    /// Puts the accession behind everything that stands; nothing if leadership ends before, or the server stops.
    ///
    /// It is offered where reading has got to. Where that is not the end of the log it is refused, and reading goes on.
    fn accede(
        &self,
        journal: &mut dyn Journal,
        mut reading: Reading,
        epoch: Epoch,
        leadership: &Leadership,
    ) -> Result<Option<Recovered>, Halt> {
        if reading.next() < self.shared.known().reached {
            self.read_on(journal, &mut reading)?;
        }
        loop {
            if reading.epoch() >= epoch {
                tracing::warn!(%epoch, seen = %reading.epoch(), "the journal has seen a higher epoch than this election");
                self.give_up();
                return Ok(None);
            }
            let now = self.options.clock.now();
            let next = reading.next();
            let commit = accession(reading.newest_wall(), now, &self.options.address);
            let holds = || !self.is_stopping() && leadership.holds(self.options.clock.now().monotonic);
            match settling::settle(journal, epoch, next, &commit, holds) {
                Settled::Committed => {
                    let mut recovered = reading.end(journal, self.options.clock.now())?;
                    recovered.next = next.plus(commit.events());
                    return Ok(Some(recovered));
                }
                // The old leader's last commit may have come first: behind it there is room for this one.
                Settled::Fenced if holds() => {
                    self.read_on(journal, &mut reading)?;
                    if reading.next() == next && reading.epoch() < epoch {
                        return Err(Halt::Again(format!("position {next} is refused, and nothing stands there")));
                    }
                }
                Settled::Fenced => return Ok(None),
                Settled::Refused(refusal) => return Err(Halt::Again(refusal.to_string())),
                Settled::Away(error) => return Err(Halt::Again(told(&error))),
                Settled::Broken(error) => return Err(Halt::Never(told(&error))),
            }
        }
    }

    /// Leads until that ends.
    fn lead(
        &self,
        journal: Box<dyn Journal>,
        recovered: Recovered,
        epoch: Epoch,
        leadership: Leadership,
    ) -> Result<(), Halt> {
        let started = Coordinator::lead(journal, recovered, epoch, leadership, self.options.clone());
        let (coordinator, handle) = started.map_err(|error| Halt::Again(told(&error)))?;
        let _ = self.tell.send(Turn::Leader(handle.clone()));
        // Whoever stopped the server before it led has told nobody.
        if self.is_stopping() {
            handle.status.begin_stopping();
            let _ = handle.queue.try_send(crate::message::Message::Stop);
        }
        let ended = coordinator.blocking_ended();
        let reached = handle.status.durable().plus(1);
        self.shared.change(|known| known.reached = known.reached.max(reached));
        self.stand_by(None);
        match ended {
            Ok(()) => Ok(()),
            Err(EndError::Fenced) => {
                self.give_up();
                Ok(())
            }
            Err(EndError::Away(why)) => {
                self.give_up();
                tracing::warn!(why, "stands by until the journal answers");
                Ok(())
            }
            Err(EndError::Broken(why)) => Err(Halt::Never(why)),
        }
    }

    /// The seat is not needed, or cannot be filled.
    fn give_up(&self) {
        self.shared.change(|known| {
            if let Some((epoch, leadership)) = known.elected.take() {
                leadership.end();
                known.give_up = Some(epoch);
            }
        });
    }

    fn stand_by(&self, trouble: Option<String>) {
        let (leader, epoch, away) = {
            let known = self.shared.known();
            let leader = known.leader.clone().filter(|_| known.elected.is_none());
            (leader, known.highest.get(), known.trouble.clone())
        };
        let leader = leader.filter(|address| *address != self.options.address);
        let trouble = trouble.or(away);
        self.tell.send_if_modified(|turn| {
            let same = matches!(turn, Turn::Standby { leader: l, epoch: e, trouble: t } if *l == leader && *e == epoch && *t == trouble);
            if !same {
                *turn = Turn::Standby { leader, epoch, trouble };
            }
            !same
        });
    }
}
