//! Following what happens, from a position on and without gaps.

use crate::failure::Failure;
use crate::feed::Feed;
use crate::handle::Handle;
use crate::message::Message;
use crate::state::StateEvent;
use capstan_ids::{Position, SessionName, WallTime};
use capstan_journal::{JournalError, Recorded};
use std::collections::VecDeque;
use std::sync::Arc;
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

/// A stream of changes. Ask [`Watch::next`] again and again; dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    handle: Handle,
    session: Option<SessionName>,
    /// The next position to show.
    next: Position,
    ready: VecDeque<Change>,
    durable: watch::Receiver<Position>,
    _member: Member,
}

/// Keeps the feed's window filled while it lives.
#[derive(Debug)]
struct Member(Arc<Feed>);

impl Drop for Member {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Commits read from the log in one go, so that a watcher far behind does not hold memory for all of it.
const CATCH_UP: usize = 1_024;

impl Watch {
    pub(crate) async fn begin(
        handle: &Handle,
        from: Option<Position>,
        session: Option<SessionName>,
    ) -> Result<Self, WatchError> {
        let durable = handle.feed.begin();
        let member = Member(Arc::clone(&handle.feed));
        let end = *durable.borrow();
        let next = from.unwrap_or(end.plus(1));
        if next > end.plus(1) {
            return Err(WatchError::Ahead { asked: next, end });
        }
        let mut watch =
            Self { handle: handle.clone(), session, next, ready: VecDeque::new(), durable, _member: member };
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
            let end = *self.durable.borrow_and_update();
            if self.next <= end {
                self.catch_up().await?;
            } else if self.durable.changed().await.is_err() {
                return Err(Failure::Stopped.into());
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), WatchError> {
        if let Some(commits) = self.handle.feed.since(self.next) {
            return commits.iter().try_for_each(|recorded| self.take(recorded));
        }
        let (reply, answer) = oneshot::channel();
        self.handle.send(Message::ReadLog { from: self.next, reply })?;
        let log = answer.await.map_err(|_| Failure::Stopped)?.map_err(|error| match error {
            JournalError::Dropped { asked, first } => WatchError::Dropped { asked, first },
            other => other.into(),
        })?;
        let commits = tokio::task::spawn_blocking(move || log.take(CATCH_UP).collect::<Result<Vec<_>, _>>())
            .await
            .map_err(|_| Failure::Stopped)??;
        commits.iter().try_for_each(|recorded| self.take(recorded))
    }

    fn take(&mut self, recorded: &Recorded) -> Result<(), WatchError> {
        for entry in recorded.commit.entries(recorded.position) {
            if entry.position < self.next {
                continue;
            }
            self.next = entry.position.plus(1);
            let wanted = match &self.session {
                Some(session) => crate::streams::session_of(entry.stream).as_ref() == Some(session),
                None => entry.stream.as_str() != crate::streams::LEADER,
            };
            if wanted && let Ok(event) = StateEvent::decode(entry.stream, entry.event) {
                self.ready.push_back(Change { position: entry.position, at: recorded.commit.at(), event });
            }
        }
        Ok(())
    }
}
