//! What everybody else holds of the coordinator: a way to ask, and nothing of the state.

use crate::failure::Failure;
use crate::feed::Feed;
use crate::history::Parked;
use crate::message::{Message, Release};
use crate::state::State;
use crate::status::{Role, Status};
use crate::watch::{Watch, WatchError};
use capstan_ids::{Position, SessionName};
use capstan_migration::{JobCommand, JobName};
use capstan_work::{Acquire, Answer, Command, Rejection};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;

/// The longest an acquirer may wait for work in one request.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// The most commands of one submission.
pub const COMMANDS_MAX: usize = 10_000;

/// Asks the owner. Cheap to clone; every answer is durable before it is given.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) queue: Sender<Message>,
    /// The queue's other end, for what came into it when nobody took anything from it any more.
    pub(crate) rest: Receiver<Message>,
    pub(crate) status: Arc<Status>,
    pub(crate) feed: Arc<Feed>,
    /// Histories that are being read page by page.
    pub(crate) parked: Arc<Parked>,
}

/// What became of one command of several.
pub type Outcome = Result<Answer, Rejection>;
/// What became of one command about a pipeline.
pub type PipelineOutcome = Result<capstan_registry::Answer, capstan_registry::Rejection>;

impl Handle {
    /// Decides one command and answers when what it saw and did is durable.
    pub async fn submit(&self, command: Command) -> Result<Answer, Failure> {
        let mut outcomes = self.submit_many(vec![command]).await?;
        Ok(outcomes.pop().expect("one outcome for one command")?)
    }

    /// Decides commands in their order, each by itself, and answers for all of them after one flush.
    ///
    /// At most [`COMMANDS_MAX`] of them.
    pub async fn submit_many(&self, commands: Vec<Command>) -> Result<Vec<Outcome>, Failure> {
        debug_assert!(commands.len() <= COMMANDS_MAX);
        let (reply, answer) = oneshot::channel();
        self.send(Message::Commands { commands, reply })?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Asks for work, and waits for it up to `wait` (at most [`WAIT_MAX`]) where there is none.
    ///
    /// The wait ends when the returned future is dropped. Where work came, how long the caller waited for it is part
    /// of the answer: the lease is counted from the grant.
    pub async fn acquire(&self, acquire: Acquire, wait: Duration) -> Result<Acquired, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Acquire { acquire, wait: wait.min(WAIT_MAX), reply })?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Decides a command about a job; the job it is about.
    pub async fn command_job(&self, command: JobCommand) -> Result<JobName, Failure> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Job { command: Box::new(command), reply })?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Decides commands about pipelines in their order, each by itself, and answers for all of them after one flush.
    ///
    /// Heartbeats and reports that change nothing need no flush: they are only noted.
    pub async fn submit_pipelines(
        &self,
        commands: Vec<capstan_registry::Command>,
    ) -> Result<Vec<PipelineOutcome>, Failure> {
        debug_assert!(commands.len() <= COMMANDS_MAX);
        let (reply, answer) = oneshot::channel();
        self.send(Message::Pipelines { commands, reply })?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Decides one command about a pipeline.
    pub async fn submit_pipeline(
        &self,
        command: capstan_registry::Command,
    ) -> Result<capstan_registry::Answer, Failure> {
        let mut outcomes = self.submit_pipelines(vec![command]).await?;
        Ok(outcomes.pop().expect("one outcome for one command")?)
    }

    /// Looks at the state, between two commands, and answers when what was seen is durable.
    ///
    /// `look` runs on the owner's thread: it copies out what it needs and does nothing slow.
    pub async fn read<T: Send + 'static>(&self, look: impl FnOnce(&State) -> T + Send + 'static) -> Result<T, Failure> {
        let (reply, answer) = oneshot::channel();
        let look = Box::new(move |state: Result<&State, Failure>| -> Release {
            let seen = state.map(look);
            Box::new(move |durable| {
                // Nobody waits any more: nothing to tell.
                let _ = reply.send(durable.and(seen));
            })
        });
        self.send(Message::Read(look))?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Follows what happens from a position on, without gaps; only what is durable is shown.
    pub async fn watch(&self, from: Option<Position>, session: Option<SessionName>) -> Result<Watch, WatchError> {
        Watch::begin(self, from, session).await
    }

    /// What this server is doing, without asking the owner.
    pub fn status(&self) -> &Status {
        &self.status
    }

    pub(crate) fn send(&self, message: Message) -> Result<(), Failure> {
        if self.status.role() == Role::Stopping {
            return Err(Failure::Stopped);
        }
        if self.status.is_closed() {
            return Err(self.gone());
        }
        match self.queue.try_send(message) {
            Ok(()) => {
                // The queue keeps what comes after the owner's last look at it, for ever: nobody may wait for that.
                if self.status.is_closed() {
                    self.clear();
                }
                Ok(())
            }
            Err(TrySendError::Full(_)) => {
                self.status.overloaded.fetch_add(1, Ordering::Relaxed);
                Err(Failure::Overloaded { retry_after: Duration::from_millis(100) })
            }
            Err(TrySendError::Disconnected(_)) => Err(self.gone()),
        }
    }

    /// Why nobody answers any more.
    pub(crate) fn gone(&self) -> Failure {
        self.status.why_gone()
    }

    fn clear(&self) {
        turn_away_all(&self.rest, &self.gone());
    }
}

/// Turns away everything in a queue.
pub(crate) fn turn_away_all(queue: &Receiver<Message>, why: &Failure) {
    for message in queue.try_iter() {
        message.turn_away(why);
    }
}

/// Work, or why there is none, and how long it was waited for.
#[derive(Clone, Debug, PartialEq)]
pub struct Acquired {
    /// Grants or nothing.
    pub answer: Answer,
    /// How long the request waited before the grant.
    pub waited: Duration,
}
