//! What a task and the keeper of its lease share.

use crate::activity::Board;
use crate::clock::Since;
use crate::halt::Halt;
use capstan_coordination::{Leased, News, Progress};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The longest margin before a lease's end in which nothing is written any more.
const MARGIN_MAX: Duration = Duration::from_secs(2);

/// One leased item on its way.
pub(crate) struct Desk {
    pub leased: Leased,
    board: Board,
    stop: CancellationToken,
    notes: Mutex<Notes>,
    noted: Notify,
}

struct Notes {
    /// When the lease ends, by our own clock, at the earliest.
    ends: Since,
    margin: Duration,
    progress: Progress,
    checkpoint: Option<Box<str>>,
    /// A checkpoint has been noted that the coordinator was not told of.
    untold: bool,
}

impl Desk {
    /// `asked` is when the lease was asked for: its length is counted from then.
    pub fn new(leased: Leased, asked: Since, board: Board, stop: CancellationToken) -> Self {
        let length = leased.lease + leased.waited;
        let notes = Notes {
            ends: asked.plus(length),
            margin: margin(leased.lease),
            progress: leased.progress,
            checkpoint: leased.checkpoint.clone(),
            untold: false,
        };
        Self { leased, board, stop, notes: Mutex::new(notes), noted: Notify::new() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        // Each holder only sets plain values: a panic cannot have left them half-set.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asked right before every write: whether the lease certainly lives on for a while.
    pub fn may_write(&self) -> Result<(), Halt> {
        if self.deadline().has_come() { Err(Halt::LeaseOver) } else { Ok(()) }
    }

    /// From when on nothing is written any more.
    pub fn deadline(&self) -> Since {
        let notes = self.notes();
        notes.ends.minus(notes.margin)
    }

    /// A renewal that was asked for at `asked` was answered with a new length.
    pub fn renewed(&self, asked: Since, length: Duration) {
        let mut notes = self.notes();
        notes.ends = notes.ends.max(asked.plus(length));
        notes.margin = margin(length);
    }

    /// How far the work is in all.
    pub fn advance(&self, to: Progress) {
        self.notes().progress = to;
        self.board.advance(&self.leased, to);
    }

    /// From where another could go on; it must be durable already.
    pub fn checkpoint(&self, checkpoint: String) {
        {
            let mut notes = self.notes();
            notes.checkpoint = Some(checkpoint.into());
            notes.untold = true;
        }
        self.noted.notify_one();
    }

    /// Where an earlier holder got to.
    pub fn resumed_from(&self) -> Option<&str> {
        self.leased.checkpoint.as_deref().filter(|checkpoint| !checkpoint.is_empty())
    }

    /// Whether the worker wants to stop: come to a checkpoint and end with [`Halt::Stopped`].
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits until the worker wants to stop.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Waits until a checkpoint has been noted.
    pub async fn noted(&self) {
        self.noted.notified().await;
    }

    /// What there is to say, and whether it must be said soon.
    pub fn news(&self) -> News {
        let mut notes = self.notes();
        let checkpoint = if std::mem::take(&mut notes.untold) { notes.checkpoint.clone() } else { None };
        News { progress: Some(notes.progress), checkpoint }
    }

    /// The last word about an item that is given back.
    pub fn last_news(&self) -> News {
        let notes = self.notes();
        News { progress: Some(notes.progress), checkpoint: notes.checkpoint.clone() }
    }

    /// What was told did not arrive: tell it again.
    pub fn untell(&self, news: &News) {
        if news.checkpoint.is_some() {
            self.notes().untold = true;
        }
    }
}

fn margin(length: Duration) -> Duration {
    (length / 10).min(MARGIN_MAX)
}
