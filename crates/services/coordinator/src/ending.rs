//! What the owner does when it cannot go on as it was: reads its state again, stops, or tells everybody why not.

use crate::failure::Failure;
use crate::handle::turn_away_all;
use crate::owner::{End, Owner};
use crate::recovery::{self, RecoveryError};
use crate::status::Role;
use capstan_ids::Moment;
use capstan_journal::JournalError;
use std::time::Duration;

/// When whoever was answered nothing may ask again: another server leads by then, mostly.
const AWAY_PAUSE: Duration = Duration::from_millis(500);

impl Owner {
    /// Memory is ahead of the log: throws it away and reads it again.
    pub(crate) fn read_again(&mut self, now: Moment, why: &Failure) -> Option<End> {
        self.answer(&Err(why.clone()));
        match recovery::recover(self.journal.as_mut(), now) {
            Ok(recovered) => {
                self.state = recovered.state;
                self.streams = recovered.streams;
                self.next = recovered.next;
                self.housekeeping.abandon();
                // What was granted is ready again, and no event says so.
                self.offer_to_everybody = true;
                self.limits_shared = None;
                None
            }
            Err(RecoveryError::Journal(error)) if recovery::may_pass(&error) => Some(self.stand_by(&error.to_string())),
            Err(error) => Some(self.fail(&error.to_string())),
        }
    }

    /// A quiet moment for the journal. Nothing that was acknowledged waits for it, so a store that is away then has
    /// lost nothing: whether this server leads on is for its leadership to say.
    pub(crate) fn rest(&mut self) -> Result<(), JournalError> {
        match self.journal.idle() {
            Err(error) if recovery::may_pass(&error) => {
                tracing::warn!(%error, "the journal was away in a quiet moment");
                Ok(())
            }
            rested => rested,
        }
    }

    pub(crate) fn fail(&mut self, error: &str) -> End {
        tracing::error!(error, "the journal failed; stopping");
        self.status.set_role(Role::Failed);
        self.tell_everybody(&Failure::JournalBroken);
        End::Broken(error.to_owned())
    }

    pub(crate) fn step_down(&mut self) -> End {
        tracing::warn!(epoch = %self.epoch, "another server leads; stepping down");
        self.status.set_role(Role::Standby);
        self.tell_everybody(&Failure::NotLeader { leader: None });
        End::Fenced
    }

    /// Nobody knows what stands: whoever waits is told so, and the next leader will read it.
    pub(crate) fn stand_by(&mut self, why: &str) -> End {
        tracing::warn!(epoch = %self.epoch, why, "standing by");
        self.status.set_role(Role::Standby);
        self.tell_everybody(&Failure::Away { retry_after: AWAY_PAUSE });
        End::Away(why.to_owned())
    }

    pub(crate) fn stop(&mut self) -> End {
        self.status.set_role(Role::Stopping);
        if let Some(end) = self.record_held() {
            return end;
        }
        // What is still queued is told to go elsewhere; nothing of it was decided.
        self.tell_everybody(&Failure::Stopped);
        if !self.leadership.is_for_ever() {
            // Somebody waits to lead, and its quiet moments are as good.
            return End::Stopped;
        }
        match self.rest() {
            Ok(()) => End::Stopped,
            Err(error) => End::Broken(error.to_string()),
        }
    }

    /// Reports that pipelines made within their second: the next leader would know nothing of them.
    fn record_held(&mut self) -> Option<End> {
        while self.state.registry.holds_reports() {
            let now = self.now();
            self.commit.restart(now.wall);
            if let Err(refusal) = self.room() {
                tracing::warn!(%refusal, "the last reports of pipelines could not be recorded");
                return None;
            }
            // It cannot be refused.
            let _ = self.perform_registry(&capstan_registry::Command::Settle, now);
            if let Some(end) = self.flush(now) {
                return Some(end);
            }
        }
        None
    }

    /// Whoever has not been answered is told why not.
    fn tell_everybody(&mut self, why: &Failure) {
        self.status.close();
        self.answer(&Err(why.clone()));
        for waiter in self.waiters.take_all() {
            drop(waiter.reply.send(Err(why.clone())));
        }
        self.status.set_waiting(0);
        turn_away_all(&self.queue, why);
    }
}
