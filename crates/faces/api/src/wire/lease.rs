//! Leases: asking for work, keeping it, ending it.

use super::item::{ItemSpec, Progress, Said, lower_all};
use super::{Named, Object, opaque, time};
use crate::problem::Problem;
use capstan_coordinator::Acquired;
use capstan_ids::{IdempotencyKey, ItemId, Kind, Millis, SessionName, Token, WallTime, WorkerId};
use capstan_work::{Acquire, Answer, Command, Complete, Grant, Holder, NoWork};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;
use utoipa::ToSchema;

/// The most leases of one acquire.
pub const GRANTS_MAX: u32 = 1_000;
/// The longest wait of one acquire.
pub const WAIT_MS_MAX: u64 = 60_000;

/// Asking for work.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcquireSpec {
    /// Who asks. One id for a process and its life: it is what people see.
    #[schema(value_type = String, min_length = 1, max_length = 256, example = "worker-1")]
    pub worker_id: Named<WorkerId>,
    /// Sessions it may be from; none means any. Only where the path names no session.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub sessions: Vec<Named<SessionName>>,
    /// Kinds it can do; none means any.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub kinds: Vec<Named<Kind>>,
    /// One specific item, of one session.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub item_id: Option<Named<ItemId>>,
    /// At most so many.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 1000, default = 1)]
    pub max: u32,
    /// A wished length; the session's bounds hold.
    #[serde(default)]
    pub lease_ms: Option<u64>,
    /// How long to wait for work where there is none. The wait ends with the connection.
    #[serde(default)]
    #[schema(maximum = 60000)]
    pub wait_ms: u64,
}

fn one() -> u32 {
    1
}

impl AcquireSpec {
    /// What it means to the core, in the session of the path or in those it names.
    pub fn lower(
        self,
        session: Option<SessionName>,
        key: Option<IdempotencyKey>,
    ) -> Result<(Acquire, Duration), Problem> {
        if self.wait_ms > WAIT_MS_MAX {
            return Err(Problem::out_of_range("wait_ms", "at most 60000", self.wait_ms));
        }
        if self.max == 0 || self.max > GRANTS_MAX {
            return Err(Problem::out_of_range("max", "1 to 1000", self.max));
        }
        let sessions = match session {
            Some(_) if !self.sessions.is_empty() => {
                return Err(Problem::out_of_range(
                    "sessions",
                    "left out where the path names one",
                    self.sessions.len(),
                ));
            }
            Some(session) => vec![session],
            None => self.sessions.into_iter().map(|session| session.0).collect(),
        };
        let acquire = Acquire {
            sessions,
            worker: self.worker_id.0,
            kinds: self.kinds.into_iter().map(|kind| kind.0).collect(),
            item: self.item_id.map(|item| item.0),
            max: self.max,
            lease: self.lease_ms.map(Millis),
            key,
        };
        Ok((acquire, Duration::from_millis(self.wait_ms)))
    }
}

/// Keeping a lease.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewSpec {
    /// The lease's token.
    pub token: u64,
    /// How far the work has got, where known; replaces what was said before.
    #[serde(default)]
    pub progress: Option<Progress>,
    /// Where to go on from, where it moved: opaque text of at most 16 KiB.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 16384)]
    pub checkpoint: Option<Box<str>>,
    /// A wished length; the session's bounds hold.
    #[serde(default)]
    pub lease_ms: Option<u64>,
}

impl RenewSpec {
    /// What it means to the core.
    pub fn lower(self, session: SessionName, item: ItemId) -> Command {
        Command::Renew {
            session,
            item,
            holder: holder(self.token),
            progress: self.progress.map(Into::into),
            checkpoint: self.checkpoint,
            lease: self.lease_ms.map(Millis),
        }
    }
}

/// Ending an item well.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteSpec {
    /// The lease's token.
    pub token: u64,
    /// What came of it: any JSON of at most 64 KiB.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<Box<RawValue>>,
    /// What this item itself did, where that differs from what was expected of it.
    #[serde(default)]
    pub done: Option<Progress>,
    /// What is left, as items made in the same commit.
    #[serde(default)]
    #[schema(value_type = Vec<ItemSpec>)]
    pub successors: Vec<Object<ItemSpec>>,
}

impl CompleteSpec {
    /// What it means to the core.
    pub fn lower(self, session: SessionName, item: ItemId) -> Result<Complete, Problem> {
        Ok(Complete {
            session,
            item,
            holder: holder(self.token),
            result: opaque("result", self.result)?,
            done: self.done.map(Into::into),
            successors: lower_all(self.successors)?,
        })
    }
}

/// Ending an item well and asking for the next in the same step.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteAndAcquireSpec {
    /// What is done.
    #[schema(value_type = CompleteSpec)]
    pub complete: Object<CompleteSpec>,
    /// What is wanted next, from the same session. The completed token is its key: a repeat answers the same.
    #[schema(value_type = NextSpec)]
    pub acquire: Object<NextSpec>,
}

/// What is wanted next.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NextSpec {
    /// Who asks.
    #[schema(value_type = String, min_length = 1, max_length = 256)]
    pub worker_id: Named<WorkerId>,
    /// Kinds it can do; none means any.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub kinds: Vec<Named<Kind>>,
    /// At most so many.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 1000, default = 1)]
    pub max: u32,
    /// A wished length; the session's bounds hold.
    #[serde(default)]
    pub lease_ms: Option<u64>,
}

impl CompleteAndAcquireSpec {
    /// What it means to the core.
    pub fn lower(self, session: SessionName, item: ItemId) -> Result<Command, Problem> {
        let next = self.acquire.0;
        if next.max == 0 || next.max > GRANTS_MAX {
            return Err(Problem::out_of_range("acquire.max", "1 to 1000", next.max));
        }
        let acquire = Acquire {
            sessions: vec![session.clone()],
            worker: next.worker_id.0,
            kinds: next.kinds.into_iter().map(|kind| kind.0).collect(),
            item: None,
            max: next.max,
            lease: next.lease_ms.map(Millis),
            key: None,
        };
        Ok(Command::CompleteAndAcquire { complete: self.complete.0.lower(session, item)?, acquire })
    }
}

/// Reporting that an attempt failed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FailSpec {
    /// The lease's token.
    pub token: u64,
    /// What went wrong, for people: at most 4 KiB.
    #[schema(value_type = String, max_length = 4096)]
    pub error: Box<str>,
    /// Trying again is of no use: all attempts are used up at once.
    #[serde(default)]
    pub permanent: bool,
    /// The least time before the next attempt, where the cause says.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// Where to go on from, where it moved.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 16384)]
    pub checkpoint: Option<Box<str>>,
}

impl FailSpec {
    /// What it means to the core.
    pub fn lower(self, session: SessionName, item: ItemId) -> Command {
        Command::Fail {
            session,
            item,
            holder: holder(self.token),
            error: self.error,
            permanent: self.permanent,
            retry_after: self.retry_after_ms.map(Millis),
            checkpoint: self.checkpoint,
        }
    }
}

/// Giving a lease back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseSpec {
    /// The lease's token.
    pub token: u64,
    /// How far the work has got, where known.
    #[serde(default)]
    pub progress: Option<Progress>,
    /// Where to go on from, where it moved.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 16384)]
    pub checkpoint: Option<Box<str>>,
}

impl ReleaseSpec {
    /// What it means to the core.
    pub fn lower(self, session: SessionName, item: ItemId) -> Command {
        Command::Release {
            session,
            item,
            holder: holder(self.token),
            progress: self.progress.map(Into::into),
            checkpoint: self.checkpoint,
        }
    }
}

fn holder(token: u64) -> Holder {
    Holder::Token(Token::from_wire(token))
}

/// A lease, and the item with it.
#[derive(Debug)]
pub struct LeaseAnswer(pub Grant);

/// A lease, and the item with it.
#[derive(Serialize, ToSchema)]
#[schema(as = Lease)]
pub struct LeaseShape<'a> {
    /// The item's session.
    pub session: &'a str,
    /// The item's id.
    pub id: &'a str,
    /// What sort of work it is.
    pub kind: &'a str,
    /// What fences the lease: send it with every call about it.
    pub token: u64,
    /// How long it lasts. Count from when you asked, by a clock that never goes back.
    pub lease_ms: u64,
    /// Its end by the server's clock, for people.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub lease_expires_at: WallTime,
    /// 1 for the first.
    pub attempt: u32,
    /// Where an earlier holder has got to.
    pub checkpoint: Option<&'a str>,
    /// How far an earlier holder has got.
    pub progress: Progress,
    /// What its maker said.
    #[serde(flatten)]
    #[schema(inline)]
    pub said: Said<'a>,
    /// Its priority when it was made.
    pub priority: i16,
    /// When it was made.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: WallTime,
    /// When it was first handed out.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: WallTime,
}

impl Serialize for LeaseAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (grant, spec) = (&self.0, self.0.body.unpack());
        let shape = LeaseShape {
            session: grant.session.as_str(),
            id: spec.id.as_str(),
            kind: spec.kind.as_str(),
            token: grant.token.get(),
            lease_ms: grant.lease.get(),
            lease_expires_at: grant.expires,
            attempt: grant.attempt,
            checkpoint: grant.checkpoint.as_deref(),
            progress: grant.progress.into(),
            said: Said::by(&spec),
            priority: spec.priority,
            created_at: grant.created,
            started_at: grant.started,
        };
        shape.serialize(serializer)
    }
}

/// Work, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Acquired)]
pub struct AcquireAnswer {
    /// What is yours now; empty if there is nothing.
    #[schema(value_type = Vec<LeaseShape<'_>>)]
    pub leases: Vec<LeaseAnswer>,
    /// How long the request waited before the grant. The lease is counted from the grant.
    pub waited_ms: u64,
    /// Why there is nothing, where there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nothing: Option<Nothing>,
}

/// Why there is no work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Nothing {
    /// `empty`, `all_done`, `held_by_others`, `at_limit`, `not_yet`, `paused`, `failed`, `other_kinds`, `ended` or
    /// `item_not_pending`.
    pub reason: &'static str,
    /// The same for people.
    pub detail: String,
}

impl AcquireAnswer {
    /// From what the coordinator answered; none if that was an answer to something else.
    pub fn from(acquired: Acquired) -> Option<Self> {
        let waited_ms = acquired.waited.as_millis() as u64;
        match acquired.answer {
            Answer::Granted(grants) => {
                Some(Self { leases: grants.into_iter().map(LeaseAnswer).collect(), waited_ms, nothing: None })
            }
            Answer::Nothing(why) => Some(Self { leases: Vec::new(), waited_ms, nothing: Some(Nothing::from(&why)) }),
            _ => None,
        }
    }
}

impl From<&NoWork> for Nothing {
    fn from(why: &NoWork) -> Self {
        let (reason, detail) = match why {
            NoWork::Empty => ("empty", "there are no items".to_owned()),
            NoWork::AllDone => ("all_done", "all items are done".to_owned()),
            NoWork::HeldByOthers { assigned } => ("held_by_others", format!("{assigned} items are held by others")),
            NoWork::AtLimit => ("at_limit", "items are ready, but a limit on live leases is reached".to_owned()),
            NoWork::NotYet { waiting } => {
                ("not_yet", format!("{waiting} items wait for a time, for a group or for their back-off"))
            }
            NoWork::Paused => ("paused", "the session is paused".to_owned()),
            NoWork::Failed { failed } => {
                ("failed", format!("{failed} items have failed, and what is left waits for them or is failed"))
            }
            NoWork::OtherKinds => ("other_kinds", "items are ready, but none of the kinds asked for".to_owned()),
            NoWork::Ended => ("ended", "the session has ended".to_owned()),
            NoWork::ItemNotPending(item, state) => ("item_not_pending", format!("item {item:?} is {state}")),
        };
        Self { reason, detail }
    }
}

/// A lease goes on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Renewed)]
pub struct RenewAnswer {
    /// Its length from now. Count from when you asked.
    pub lease_ms: u64,
    /// Its end by the server's clock, for people.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub lease_expires_at: WallTime,
}

/// An item is done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Completed)]
pub struct CompleteAnswer {
    /// `completed`, or `deleted` if the item was deleted under its lease.
    pub state: &'static str,
    /// When it was completed.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<WallTime>,
    /// What is yours next, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<LeaseShape<'_>>>)]
    pub leases: Option<Vec<LeaseAnswer>>,
}

/// A failure or a release was taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Returned)]
pub struct ReturnAnswer {
    /// The item's state now, or `deleted` if it was deleted under its lease.
    pub state: &'static str,
    /// Counted failures so far.
    pub attempts: u32,
}
