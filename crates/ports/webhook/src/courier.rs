//! One address, one message at a time, the newest first.

use crate::pause::Patience;
use crate::post::{Attempt, Webhook};
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The same whenever the same is sent; visible ASCII. It goes along as `Idempotency-Key`.
    pub id: String,
    /// JSON.
    pub body: Bytes,
    /// Whoever put it in knows it by this.
    pub mark: usize,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The receiver took it.
    Sent,
    /// The receiver refused it, or gave no good answer for too long.
    Failed,
    /// A newer one took its place. Whether the receiver has it is not known.
    Superseded,
    /// Delivering ended first. Whether the receiver has it is not known.
    Dropped,
}

/// Where messages are put in for one address. Never waits, and holds one.
#[derive(Clone)]
pub struct Mailbox(Arc<Slot>);

/// Takes messages out of its mailbox and delivers them.
pub struct Courier {
    webhook: Webhook,
    slot: Arc<Slot>,
}

type Tell = Box<dyn Fn(&Letter, Fate) + Send + Sync>;

struct Slot {
    letter: Mutex<Option<Letter>>,
    filled: Notify,
    tell: Tell,
}

impl Slot {
    fn exchange(&self, letter: Option<Letter>) -> Option<Letter> {
        std::mem::replace(&mut *self.letter.lock().unwrap_or_else(PoisonError::into_inner), letter)
    }

    fn is_filled(&self) -> bool {
        self.letter.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl Mailbox {
    /// Puts a message in; one that is still in it is superseded.
    pub fn put(&self, letter: Letter) {
        if let Some(before) = self.0.exchange(Some(letter)) {
            (self.0.tell)(&before, Fate::Superseded);
        }
        self.0.filled.notify_one();
    }
}

impl Courier {
    /// A courier and its mailbox; `tell` learns the fate of every message that is put in, exactly once.
    pub fn new(webhook: Webhook, tell: impl Fn(&Letter, Fate) + Send + Sync + 'static) -> (Mailbox, Self) {
        let slot = Slot { letter: Mutex::default(), filled: Notify::new(), tell: Box::new(tell) };
        let slot = Arc::new(slot);
        (Mailbox(Arc::clone(&slot)), Self { webhook, slot })
    }

    /// Delivers until it is told to stop; what is under way then is dropped.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let Some(letter) = self.slot.exchange(None) else {
                tokio::select! {
                    () = self.slot.filled.notified() => continue,
                    () = stop.cancelled() => break,
                }
            };
            let fate = tokio::select! {
                fate = self.deliver(&letter) => fate,
                () = stop.cancelled() => Fate::Dropped,
            };
            (self.slot.tell)(&letter, fate);
        }
        if let Some(letter) = self.slot.exchange(None) {
            (self.slot.tell)(&letter, Fate::Dropped);
        }
    }

    /// Tries until it is taken or refused, time is up, or there is a newer one. What is on its way is never cut off for
    /// a newer one.
    async fn deliver(&self, letter: &Letter) -> Fate {
        let (to, id) = (self.webhook.address(), letter.id.as_str());
        let patience: &Patience = &self.webhook.patience;
        let begun = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (why, asked) = match self.webhook.attempt(letter).await {
                Attempt::Taken => {
                    tracing::info!(%to, id, attempts, "delivered to a webhook");
                    return Fate::Sent;
                }
                Attempt::Refused { why } => {
                    tracing::error!(%to, id, attempts, why, "refused by a webhook, and not tried again: see to the receiver");
                    return Fate::Failed;
                }
                Attempt::Again { why, asked } => (why, asked),
            };
            let rest = patience.rest_after(attempts, asked);
            if begun.elapsed() + rest > patience.give_up {
                tracing::error!(%to, id, attempts, why, "not delivered to a webhook, and given up: see to the receiver");
                return Fate::Failed;
            }
            tracing::warn!(%to, id, attempts, why, again_in_ms = rest.as_millis() as u64, "not delivered to a webhook yet");
            if !self.rested(rest).await {
                tracing::info!(%to, id, attempts, "superseded by a newer message before it was delivered");
                return Fate::Superseded;
            }
        }
    }

    /// Whether nothing newer came while it rested.
    async fn rested(&self, rest: Duration) -> bool {
        let over = sleep(rest);
        tokio::pin!(over);
        while !self.slot.is_filled() {
            tokio::select! {
                () = &mut over => return !self.slot.is_filled(),
                () = self.slot.filled.notified() => {}
            }
        }
        false
    }
}
