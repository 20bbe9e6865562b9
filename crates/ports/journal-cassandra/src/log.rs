//! Appending: one conditional batch for each commit.

use crate::chain::{self, Bucket};
use crate::rows::{Head, position as from_column, signed};
use crate::store::{Mode, Query, Store};
use crate::{CassandraOptions, fault, parts, takeover};
use capstan_ids::{Epoch, Position, WallTime};
use capstan_journal::{Append, Commit, JournalError, Recorded, Refusal, Tail};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const JOIN: Query = Query {
    operation: "join the journal",
    text: "SELECT low, low_at, agreement FROM journals WHERE log = ?",
    mode: Mode::Serial,
};
const BEGIN: Query = Query {
    operation: "begin the journal",
    text: "INSERT INTO journals (log, low, low_at, agreement) VALUES (?, 1, 0, ?) IF NOT EXISTS",
    mode: Mode::Conditional,
};
const LOW: Query = Query {
    operation: "read where the log begins",
    text: "SELECT low, low_at FROM journals WHERE log = ?",
    mode: Mode::Read,
};
const TAKE: Query = Query {
    operation: "append",
    text: "BEGIN BATCH \
           UPDATE commits SET next = ?, epoch = ?, bytes = ? WHERE log = ? AND bucket = ? \
           IF next = ? AND epoch <= ? AND successor = null \
           INSERT INTO commits (log, bucket, position, id, made_under, at, events, parts, body) \
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS \
           APPLY BATCH",
    mode: Mode::Conditional,
};
const STANDING: Query = Query {
    operation: "look what stands at a position",
    text: "SELECT id FROM commits WHERE log = ? AND bucket = ? AND position = ?",
    mode: Mode::Read,
};

/// What a row weighs beside its body.
pub(crate) const ROW_BYTES: u64 = 100;
/// An append that finds the log changed looks again; more often than that only where somebody else writes all the time.
const LOOKS_MAX: usize = 4;

/// Where the log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Low {
    pub first: Position,
    /// When the last commit before it was made.
    pub before: WallTime,
}

/// The end of the log, as one server knows it.
pub(crate) struct Log {
    pub store: Arc<Store>,
    /// What all its servers agree about.
    pub agreement: String,
    options: CassandraOptions,
    /// The last bucket, where nothing has happened since that could have changed it.
    last: Option<Bucket>,
    /// An open bucket, or the first, from which the last one is found.
    hint: AtomicU64,
    /// While a restore fills the log from here: the bucket that is being filled, and how far it is.
    pub(crate) filling: Option<Bucket>,
    encoded: Vec<u8>,
    /// Whether there may be parts in the last bucket that count for nothing.
    may_need_sweeping: bool,
}

impl Log {
    /// Joins the log, or begins it. `agreement` is what all its servers agree about.
    pub async fn join(store: Arc<Store>, options: CassandraOptions, agreement: &str) -> Result<Self, JournalError> {
        type Row = (Option<i64>, Option<i64>, Option<String>);
        // Also where the log is there: a server that may not write should say so now, and not when it leads.
        store.applied(&BEGIN, (&store.log, agreement)).await?;
        let row: Option<Row> = store.row(&JOIN, (&store.log,)).await?;
        let found = row.as_ref().and_then(|(_, _, agreement)| agreement.clone()).unwrap_or_default();
        takeover::see_finished(&store, &found)?;
        if found != agreement {
            let what = format!("its other servers use consistency {found}, this one {agreement}; give all the same");
            return Err(fault::unfit(&store.place, what));
        }
        let low = low(&store).await?;
        let hint = AtomicU64::new(chain::newest(&store, low.first).await?.get());
        let agreement = agreement.to_owned();
        let encoded = Vec::new();
        Ok(Self { store, agreement, options, last: None, hint, filling: None, encoded, may_need_sweeping: true })
    }

    /// Where the log ends, looked up now.
    pub async fn look(&mut self) -> Result<Bucket, JournalError> {
        self.last = None;
        let last = self.looked().await?;
        self.last = Some(last);
        Ok(last)
    }

    /// The same, for somebody who only reads.
    pub async fn looked(&self) -> Result<Bucket, JournalError> {
        let last = Bucket::last(&self.store, Position::new(self.hint.load(Ordering::Relaxed))).await?;
        self.see_not_filling(&last)?;
        if last.is_open {
            self.hint.store(last.first.get(), Ordering::Relaxed);
        }
        Ok(last)
    }

    pub async fn tail(&mut self) -> Result<Tail, JournalError> {
        let last = match self.filling {
            Some(filling) => filling,
            None => self.look().await?,
        };
        let low = low(&self.store).await?;
        Ok(Tail { next: last.next, first: low.first, epoch: last.epoch })
    }

    pub fn reserve(&self, bytes: usize) -> Result<(), Refusal> {
        let (size, limit) = (bytes as u64, self.options.commit_bytes_max);
        if size > limit { Err(Refusal::TooLarge { size, limit }) } else { Ok(()) }
    }

    pub async fn append(&mut self, epoch: Epoch, position: Position, commit: &Commit) -> Append {
        if let Err(refusal) = self.reserve(commit.size()) {
            return Append::Refused(refusal);
        }
        if self.filling.is_some() {
            return self.put(&[Recorded { position, epoch, commit: commit.clone() }]).await;
        }
        match self.offer(epoch, position, commit).await {
            Ok(answer) => answer,
            Err(error) => {
                // Whether it stands is not known, and with it neither is what is next.
                self.last = None;
                self.may_need_sweeping = true;
                match error {
                    JournalError::Damaged { .. } => Append::Broken(error),
                    passing => Append::Unknown(passing),
                }
            }
        }
    }

    async fn offer(&mut self, epoch: Epoch, position: Position, commit: &Commit) -> Result<Append, JournalError> {
        let head = Head { position, epoch, at: commit.at(), events: commit.events() };
        let mut body = std::mem::take(&mut self.encoded);
        body.clear();
        commit.encode(&mut body);
        let id = head.id(&self.store.log, &body);
        let mut answer = None;
        for _ in 0..LOOKS_MAX {
            answer = self.try_once(&head, &id, &body).await?;
            if answer.is_some() {
                break;
            }
        }
        self.encoded = body;
        // Somebody else writes here: this one does not lead.
        Ok(answer.unwrap_or(Append::Fenced))
    }

    /// One look and, if the position is the next one, one try; nothing if the log was not as it was known.
    async fn try_once(&mut self, head: &Head, id: &[u8; 16], body: &[u8]) -> Result<Option<Append>, JournalError> {
        let (mut last, is_fresh) = match self.last {
            Some(last) => (last, false),
            None => (self.look().await?, true),
        };
        if head.position < last.next {
            return Ok(Some(if self.stands(head, id).await? { Append::Committed } else { Append::Fenced }));
        }
        if head.epoch < last.epoch {
            return Ok(Some(Append::Fenced));
        }
        if head.position > last.next {
            self.last = None;
            return Ok(is_fresh.then_some(Append::Fenced));
        }
        if last.bytes >= self.options.bucket_bytes {
            let sealed = last.seal(&self.store, head.epoch, last.next).await?;
            self.last = None;
            if !sealed {
                return Ok(None);
            }
            last = self.look().await?;
            if last.next != head.position {
                return Ok(None);
            }
        }
        if !last.is_open {
            last.open(&self.store).await?;
        }
        if !self.take(&mut last, head, id, body).await? {
            self.last = None;
            self.may_need_sweeping |= parts::count(body.len()) > 0;
            return Ok(None);
        }
        self.last = Some(last);
        Ok(Some(Append::Committed))
    }

    /// Puts the commit at the bucket's next position; answers whether it was still the next.
    async fn take(&self, last: &mut Bucket, head: &Head, id: &[u8; 16], body: &[u8]) -> Result<bool, JournalError> {
        let parts = parts::count(body.len());
        let inline = if parts == 0 { body } else { &[] };
        if parts > 0 {
            parts::write(&self.store, last.first, head.position, id, body).await?;
        }
        let after = head.position.plus(head.events);
        let bytes = last.bytes + body.len() as u64 + ROW_BYTES;
        let (log, bucket, at) = (&self.store.log, signed(last.first.get()), signed(head.position.get()));
        let epoch = signed(head.epoch.get());
        let events = i32::try_from(head.events).expect("a commit below 256 MiB has fewer than 2^31 events");
        let (next, at_micros, parts) = (signed(after.get()), head.at.micros(), parts as i32);
        #[rustfmt::skip]
        let values = (
            next, epoch, signed(bytes), log, bucket, at, epoch,
            log, bucket, at, &id[..], epoch, at_micros, events, parts, inline,
        );
        if !self.store.applied(&TAKE, values).await? {
            return Ok(false);
        }
        (last.next, last.epoch, last.bytes) = (after, head.epoch, bytes);
        Ok(true)
    }

    /// Whether this very commit stands at its position, which is below the next.
    pub async fn stands(&self, head: &Head, id: &[u8; 16]) -> Result<bool, JournalError> {
        let low = low(&self.store).await?;
        if head.position < low.first {
            // It is taken, by whatever stood there.
            return Ok(false);
        }
        let bucket = chain::holding(&self.store, head.position, low.first).await?;
        let values = (&self.store.log, signed(bucket.first.get()), signed(head.position.get()));
        let found: Option<(Option<Vec<u8>>,)> = self.store.row(&STANDING, values).await?;
        Ok(found.and_then(|(found,)| found).is_some_and(|found| found == id))
    }

    pub fn bucket_bytes(&self) -> u64 {
        self.options.bucket_bytes
    }

    /// Seals the last bucket, also one that was being filled, and goes on so much higher.
    pub async fn leap(&mut self) -> Result<Position, JournalError> {
        let first = self.tail().await?.next.plus(Position::RESTORE_LEAP);
        if first.plus(Position::RESTORE_LEAP) > Position::MAX {
            let text = "the positions below 2^53 are used up; start a new journal".to_owned();
            return Err(fault::store(&self.store.place, "leap", text));
        }
        match self.filling {
            Some(_) => self.end_filling(first).await?,
            None => self.go_on_at(first).await?,
        }
        Ok(first)
    }

    /// Seals the last bucket and goes on in one that begins at `first`, which is not lower than the next position.
    pub async fn go_on_at(&mut self, first: Position) -> Result<(), JournalError> {
        if let Some(filling) = self.filling {
            assert!(first >= filling.next, "positions never go back");
            return if first == filling.next { Ok(()) } else { self.roll(first).await };
        }
        let mut last = self.look().await?;
        assert!(first >= last.next, "positions never go back");
        if first == last.next {
            return Ok(());
        }
        if !last.is_open {
            last.open(&self.store).await?;
        }
        if !last.seal(&self.store, last.epoch, first).await? {
            return Err(self.written_by_others("leap"));
        }
        self.look().await.map(drop)
    }

    pub fn written_by_others(&self, operation: &'static str) -> JournalError {
        fault::store(&self.store.place, operation, "somebody else writes here; stop all other servers".to_owned())
    }

    /// A quiet moment: deletes what a torn commit has left.
    pub async fn idle(&mut self) -> Result<(), JournalError> {
        if std::mem::take(&mut self.may_need_sweeping) {
            let last = self.look().await?;
            parts::sweep(&self.store, &last).await?;
        }
        Ok(())
    }
}

/// Where the log begins now.
pub(crate) async fn low(store: &Store) -> Result<Low, JournalError> {
    let row: Option<(Option<i64>, Option<i64>)> = store.row(&LOW, (&store.log,)).await?;
    let (first, before) = row.unwrap_or_default();
    Ok(Low { first: from_column(first.unwrap_or(1)), before: WallTime(before.unwrap_or(0)) })
}
