//! Sessions as they come in and go out.

use super::item::{GateSpec, ItemSpec, Progress, lower_all, lower_gates};
use super::policy::{PolicyAnswer, PolicyChangeSpec, PolicySpec};
use super::{Named, Object, opaque, raw, time};
use crate::problem::Problem;
use capstan_ids::{ItemId, SessionName, WallTime};
use capstan_work::{Command, Counts, ItemState, LimitView, Policy, SessionView, WorkerView};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A new session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionSpec {
    /// Its name.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,50}$", example = "shop")]
    pub name: Named<SessionName>,
    /// How its work is handed out.
    #[serde(default)]
    #[schema(value_type = Option<PolicySpec>)]
    pub policy: Option<Object<PolicySpec>>,
    /// What you want to keep with it: any JSON of at most 256 KiB.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub notes: Option<Box<RawValue>>,
    /// Items to begin with: all or nothing.
    #[serde(default)]
    #[schema(value_type = Vec<ItemSpec>, max_items = 10000)]
    pub items: Vec<Object<ItemSpec>>,
    /// Gates to hold from the beginning.
    #[serde(default)]
    #[schema(value_type = Vec<GateSpec>)]
    pub gates: Vec<Object<GateSpec>>,
}

impl SessionSpec {
    /// What it means to the core.
    pub fn lower(self) -> Result<Command, Problem> {
        Ok(Command::OpenSession {
            session: self.name.0,
            policy: self.policy.map_or_else(|| Ok(Policy::default()), |policy| policy.0.lower())?,
            notes: opaque("notes", self.notes)?,
            items: lower_all(self.items)?,
            gates: lower_gates(self.gates),
        })
    }
}

/// What changes of a session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionChangeSpec {
    /// Rules that change; the others stay.
    #[serde(default)]
    #[schema(value_type = Option<PolicyChangeSpec>)]
    pub policy: Option<Object<PolicyChangeSpec>>,
    /// New notes.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub notes: Option<Box<RawValue>>,
}

impl SessionChangeSpec {
    /// What it means to the core.
    pub fn lower(self, session: SessionName) -> Result<Command, Problem> {
        Ok(Command::UpdateSession {
            session,
            change: self.policy.map(|change| change.0.lower()).unwrap_or_default(),
            notes: opaque("notes", self.notes)?,
        })
    }
}

/// Stopping to hand out work.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseSpec {
    /// Leases are taken back at once; otherwise holders finish.
    #[serde(default)]
    pub immediate: bool,
    /// For people.
    #[schema(max_length = 4096)]
    #[serde(default)]
    pub reason: String,
}

/// Ending a session's unfinished work.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelSpec {
    /// For people.
    #[schema(max_length = 4096)]
    #[serde(default)]
    pub reason: String,
}

/// Nothing needs to be said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NothingSpec {}

/// Which failed items are tried again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    /// Their ids; none means every failed one.
    #[schema(value_type = Vec<String>, max_items = 10000)]
    #[serde(default)]
    pub item_ids: Vec<Named<ItemId>>,
}

/// A session as it stands.
#[derive(Debug)]
pub struct SessionAnswer(pub SessionView);

/// A session as it stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionShape<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its rules.
    pub policy: PolicyAnswer,
    /// What is kept with it.
    #[schema(value_type = Option<serde_json::Value>)]
    pub notes: Option<&'a RawValue>,
    /// What it is doing.
    pub status: StatusShape<'a>,
    /// When it was opened.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: WallTime,
    /// When its rules or notes last changed.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: WallTime,
}

/// What a session is doing.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionStatus)]
pub struct StatusShape<'a> {
    /// Its name.
    pub session: &'a str,
    /// `running`, `pausing`, `paused`, `completed`, `completed_with_failures`, `cancelled` or `closed`.
    pub state: &'static str,
    /// Why it is paused or cancelled, or why nothing can move in it any more.
    pub reason: Option<&'a str>,
    /// Items that the next acquirer may have, now or after a time.
    pub pending: u64,
    /// Items under a lease.
    pub assigned: u64,
    /// Items that are done.
    pub completed: u64,
    /// Items that are out of attempts.
    pub failed: u64,
    /// Items whose groups are not empty yet.
    pub waiting: u64,
    /// Items that wait for something that failed or was cancelled.
    pub blocked: u64,
    /// Items that ended undone.
    pub cancelled: u64,
    /// All of these.
    pub total: u64,
    /// Of those assigned, the ones whose holders get no further.
    pub stuck: u64,
    /// Documents and bytes expected in all.
    pub expected: Progress,
    /// Documents and bytes done.
    pub done: Progress,
    /// When the first item was first handed out.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<WallTime>,
    /// Limits, and how many leases count against each.
    pub limits: Vec<LimitShape<'a>>,
}

/// A limit, or a name that leases count against without one.
#[derive(Serialize, ToSchema)]
#[schema(as = Limit)]
pub struct LimitShape<'a> {
    /// Its name.
    pub name: &'a str,
    /// The most there may be; null is no limit.
    pub most: Option<u32>,
    /// Live leases that count against it.
    pub live: u32,
    /// Items ready for it.
    pub ready: u64,
}

impl<'a> From<&'a LimitView> for LimitShape<'a> {
    fn from(limit: &'a LimitView) -> Self {
        let most = limit.most.map(capstan_work::LimitValue::get);
        Self { name: limit.name.as_str(), most, live: limit.live, ready: limit.ready }
    }
}

impl<'a> StatusShape<'a> {
    /// Borrows from a view.
    pub fn of(view: &'a SessionView) -> Self {
        let counts: &Counts = &view.counts;
        Self {
            session: view.name.as_str(),
            state: view.state.name(),
            reason: view.reason.as_deref(),
            pending: counts.pending(),
            assigned: counts.of(ItemState::Assigned),
            completed: counts.of(ItemState::Completed),
            failed: counts.of(ItemState::Failed),
            waiting: counts.of(ItemState::Waiting),
            blocked: counts.of(ItemState::Blocked),
            cancelled: counts.of(ItemState::Cancelled),
            total: counts.total(),
            stuck: view.stuck,
            expected: counts.expected.into(),
            done: counts.done.into(),
            started_at: view.started,
            limits: view.limits.iter().map(Into::into).collect(),
        }
    }
}

/// What a session is doing.
#[derive(Debug)]
pub struct StatusAnswer(pub SessionView);

impl Serialize for StatusAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        StatusShape::of(&self.0).serialize(serializer)
    }
}

impl Serialize for SessionAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = &self.0;
        let shape = SessionShape {
            name: view.name.as_str(),
            policy: (&view.policy).into(),
            notes: raw(view.notes.as_deref()),
            status: StatusShape::of(view),
            created_at: view.created,
            updated_at: view.updated,
        };
        shape.serialize(serializer)
    }
}

/// A worker in a session.
#[derive(Debug)]
pub struct WorkerAnswer(pub WorkerView);

/// A worker in a session.
#[derive(Serialize, ToSchema)]
#[schema(as = Worker)]
pub struct WorkerShape<'a> {
    /// The session.
    pub session: &'a str,
    /// Its id.
    pub worker_id: &'a str,
    /// What it holds.
    pub holds: Vec<HeldShape<'a>>,
    /// Items it completed here.
    pub done: u64,
    /// Attempts of it that failed here.
    pub failed: u64,
    /// How many items it works on at a time, where it says.
    pub slots: Option<u32>,
    /// When it was first seen here.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub first_seen_at: WallTime,
    /// When it was last heard of here.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub last_seen_at: WallTime,
}

/// A lease that a worker holds.
#[derive(Serialize, ToSchema)]
#[schema(as = Held)]
pub struct HeldShape<'a> {
    /// The item.
    pub id: &'a str,
    /// The token.
    pub token: u64,
    /// Since when.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub since: WallTime,
    /// It renews, and gets no further.
    pub stuck: bool,
}

impl Serialize for WorkerAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = &self.0;
        let held = |(id, token, since): &'_ (ItemId, capstan_ids::Token, WallTime)| (token.get(), *since, id.clone());
        let held: Vec<_> = view.holds.iter().map(held).collect();
        let shape = WorkerShape {
            session: view.session.as_str(),
            worker_id: view.worker.as_str(),
            holds: held
                .iter()
                .map(|(token, since, id)| HeldShape {
                    id: id.as_str(),
                    token: *token,
                    since: *since,
                    stuck: view.stuck.contains(id),
                })
                .collect(),
            done: view.done,
            failed: view.failed,
            slots: view.slots,
            first_seen_at: view.first_seen,
            last_seen_at: view.last_seen,
        };
        shape.serialize(serializer)
    }
}
