//! What workers ask: for work, to keep it, to end it.

use super::item::{ItemSpec, Progress, lower_all};
use super::{Named, Object, opaque};
use crate::problem::Problem;
use capstan_ids::{IdempotencyKey, ItemId, Kind, Millis, SessionName, Token, WorkerId};
use capstan_work::{Acquire, Command, Complete, Holder, Usage, UsageError};
use serde::Deserialize;
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
    /// How many items the worker works on at a time in all, where it says.
    #[serde(default)]
    pub slots: Option<u32>,
    /// What the worker uses of its machine, where it measures that.
    #[serde(default)]
    #[schema(value_type = Option<WorkerUsageSpec>)]
    pub usage: Option<Object<WorkerUsageSpec>>,
}

/// What a worker's whole process uses of its machine. It is divided among the sessions whose leases the worker holds, and a
/// job passes its share on to the registry. What is left out of a request stays as it was said before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkerUsageSpec {
    /// CPU in percent of the whole machine.
    #[schema(minimum = 0, maximum = 100, example = 12.5)]
    pub cpu_percent: f64,
    /// Memory in MB.
    #[schema(minimum = 0, maximum = 100000000, example = 256)]
    pub memory_mb: u64,
}

impl WorkerUsageSpec {
    /// What it means to the core; `field` is where it stands in the body.
    fn lower(self, field: &str) -> Result<Usage, Problem> {
        let refused =
            |error: UsageError| Problem::out_of_range(&format!("{field}.{}", error.field), error.expected, error.found);
        Usage::new(self.cpu_percent, self.memory_mb).map_err(refused)
    }
}

fn usage(said: Option<Object<WorkerUsageSpec>>, field: &str) -> Result<Option<Usage>, Problem> {
    said.map(|said| said.0.lower(field)).transpose()
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
            slots: self.slots,
            usage: usage(self.usage, "usage")?,
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
    /// How many items the worker works on at a time in all, where it says.
    #[serde(default)]
    pub slots: Option<u32>,
    /// What the worker uses of its machine, where it measures that.
    #[serde(default)]
    #[schema(value_type = Option<WorkerUsageSpec>)]
    pub usage: Option<Object<WorkerUsageSpec>>,
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
            slots: next.slots,
            usage: usage(next.usage, "acquire.usage")?,
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
