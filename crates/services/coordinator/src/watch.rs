//! Following what happens, from a position on and without gaps.

use crate::failure::Failure;
use crate::feed::{Feed, Reach, TAKE_BYTES};
use crate::handle::Handle;
use crate::message::{Log, Message};
use crate::state::StateEvent;
use capstan_ids::{Position, SessionName, WallTime};
use capstan_journal::{JournalError, Recorded};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{oneshot, watch};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where it stands.
    pub position: Position,
    /// When it happened.
    pub at: WallTime,
    /// What happened, and to what.
    pub event: StateEvent,
}

/// Why a watch cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The position is no longer kept.
    #[error("position {asked} is no longer kept; begin at {first}, after reading the state anew")]
    Dropped {
        /// What was asked for.
        asked: Position,
        /// Where to begin.
        first: Position,
    },
    /// The position has not come yet.
    #[error("position {asked} lies beyond the end, which is {end}; begin there")]
    Ahead {
        /// What was asked for.
        asked: Position,
        /// The last position there is.
        end: Position,
    },
    /// The log could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The server does not answer.
    #[error(transparent)]
    Failure(#[from] Failure),
}

impl WatchError {
    fn of(error: JournalError) -> Self {
        match error {
            JournalError::Dropped { asked, first } => Self::Dropped { asked, first },
            other => Self::Journal(other),
        }
    }
}

/// A stream of changes. Ask [`Watch::next`] again and again; dropping it ends it.
///
/// However slow its reader is, it holds a bounded part of the log: what it has not taken is read again later.
pub struct Watch {
    handle: Handle,
    session: Option<SessionName>,
    /// The next position to show.
    next: Position,
    ready: VecDeque<Change>,
    /// Where it reads while it is further behind than the window goes back. Never shared: the lock makes it `Sync`.
    log: Mutex<Option<Log>>,
    reach: watch::Receiver<Reach>,
    _member: Member,
}

/// Keeps the feed's window filled while it lives.
#[derive(Debug)]
struct Member(Arc<Feed>);

impl Drop for Member {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Watch {
    pub(crate) async fn begin(
        handle: &Handle,
        from: Option<Position>,
        session: Option<SessionName>,
    ) -> Result<Self, WatchError> {
        let reach = handle.feed.join();
        let member = Member(Arc::clone(&handle.feed));
        let end = reach.borrow().durable;
        let next = from.unwrap_or(end.plus(1));
        if next > end.plus(1) {
            return Err(WatchError::Ahead { asked: next, end });
        }
        let (ready, log) = (VecDeque::new(), Mutex::default());
        let mut watch = Self { handle: handle.clone(), session, next, ready, log, reach, _member: member };
        if next <= end {
            watch.catch_up().await?;
        }
        Ok(watch)
    }

    /// The position after the last one shown or passed over: where to begin again.
    pub fn position(&self) -> Position {
        self.next
    }

    /// The next change, when it comes.
    pub async fn next(&mut self) -> Result<Change, WatchError> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            let reach = *self.reach.borrow_and_update();
            if self.next <= reach.durable {
                self.catch_up().await?;
            } else if reach.ended || self.reach.changed().await.is_err() {
                return Err(self.handle.gone().into());
            }
        }
    }

    /// A change that needs not be waited for, nor read: to be told together with the one that was.
    pub fn ready(&mut self) -> Option<Change> {
        self.ready.pop_front()
    }

    /// Makes some more changes ready, from the window if it has them, from the log otherwise.
    async fn catch_up(&mut self) -> Result<(), WatchError> {
        let reading = self.log.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let log = match reading {
            Some(log) => log,
            None => match self.handle.feed.since(self.next) {
                Some(commits) => return commits.iter().try_for_each(|recorded| self.take(recorded)),
                None => self.open_log().await?,
            },
        };
        let (commits, log) =
            tokio::task::spawn_blocking(move || read_some(log)).await.map_err(|_| self.handle.gone())??;
        *self.log.get_mut().unwrap_or_else(PoisonError::into_inner) = log;
        commits.iter().try_for_each(|recorded| self.take(recorded))
    }

    async fn open_log(&self) -> Result<Log, WatchError> {
        let (reply, answer) = oneshot::channel();
        self.handle.send(Message::ReadLog { from: self.next, reply })?;
        answer.await.map_err(|_| self.handle.gone())??.map_err(WatchError::of)
    }

    fn take(&mut self, recorded: &Recorded) -> Result<(), WatchError> {
        for entry in recorded.commit.entries(recorded.position) {
            if entry.position < self.next {
                continue;
            }
            let wanted = match &self.session {
                Some(session) => crate::streams::session_of(entry.stream).as_ref() == Some(session),
                None => entry.stream.as_str() != crate::streams::LEADER,
            };
            if wanted {
                let event = StateEvent::decode(entry.stream, entry.event).map_err(|what| JournalError::Damaged {
                    position: entry.position,
                    place: format!("stream {}", entry.stream),
                    offset: 0,
                    what,
                })?;
                self.ready.push_back(Change { position: entry.position, at: recorded.commit.at(), event });
            }
            self.next = entry.position.plus(1);
        }
        Ok(())
    }
}

/// Reads a bounded part of the log; what is left of it, if there is anything.
fn read_some(mut log: Log) -> Result<(Vec<Recorded>, Option<Log>), WatchError> {
    let (mut commits, mut bytes) = (Vec::new(), 0);
    while bytes < TAKE_BYTES {
        let Some(recorded) = log.next() else { return Ok((commits, None)) };
        let recorded = recorded.map_err(WatchError::of)?;
        bytes += recorded.commit.size();
        commits.push(recorded);
    }
    Ok((commits, Some(log)))
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("session", &self.session).field("next", &self.next).finish_non_exhaustive()
    }
}
