//! Bodies of the contract.

use crate::wire::time;
use crate::wire::{Named, Object};
use capstan_ids::{ItemId, SessionName, Token, WallTime, WorkerId};
use capstan_work::{Complete, Counts, Grant, Holder, ItemState, ItemView, NewItem, Progress, SessionView};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt;
use utoipa::ToSchema;

/// A new work item. Fields that are not known are left alone, as the contract does.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CreateWorkItem {
    /// Its id in the session.
    #[schema(value_type = String, min_length = 1, max_length = 512)]
    pub work_item_id: Named<ItemId>,
    /// The index it is about.
    #[schema(value_type = String)]
    pub index_name: Box<str>,
    /// The shard.
    pub shard_number: u32,
    /// Documents expected.
    pub document_count: u64,
    /// Bytes expected.
    pub total_size_bytes: u64,
}

impl From<CreateWorkItem> for NewItem {
    fn from(create: CreateWorkItem) -> Self {
        Self {
            index_name: create.index_name,
            shard_number: create.shard_number,
            document_count: create.document_count,
            total_size_bytes: create.total_size_bytes,
            ..Self::new(create.work_item_id.0)
        }
    }
}

/// Keeping a lease.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RenewLease {
    /// Who holds it.
    #[schema(value_type = String)]
    pub worker_id: Named<WorkerId>,
    /// How far the work has got; replaces what was said before.
    #[serde(default)]
    #[schema(value_type = Option<WorkProgress>)]
    pub progress: Option<Object<WorkProgress>>,
    /// The lease's token. With it a restarted worker cannot be taken for its former self.
    #[serde(default)]
    pub token: Option<u64>,
}

/// How far the work has got.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
pub struct WorkProgress {
    /// Documents.
    pub documents_processed: u64,
    /// Bytes.
    pub bytes_processed: u64,
}

impl From<WorkProgress> for Progress {
    fn from(progress: WorkProgress) -> Self {
        Self { documents: progress.documents_processed, bytes: progress.bytes_processed }
    }
}

/// Who says so: by worker id, and by token where it is sent.
pub fn holder(worker: WorkerId, token: Option<u64>) -> Holder {
    match token {
        Some(token) => Holder::WorkerWithToken(worker, Token::from_wire(token)),
        None => Holder::Worker(worker),
    }
}

/// The end of an item: a bare worker id, or an object.
#[derive(Debug)]
pub enum CompleteBody {
    /// `"worker-001"`.
    Worker(WorkerId),
    /// `{"worker_id": "worker-001", …}`.
    Object(CompleteObject),
}

/// The end of an item, with what is new.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CompleteObject {
    /// Who held it.
    #[schema(value_type = String)]
    pub worker_id: Named<WorkerId>,
    /// The lease's token.
    #[serde(default)]
    pub token: Option<u64>,
    /// What is left, as items made in the same commit.
    #[serde(default)]
    #[schema(value_type = Vec<CreateWorkItem>)]
    pub successors: Vec<Object<CreateWorkItem>>,
}

impl<'de> Deserialize<'de> for CompleteBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = CompleteBody;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string with the worker's id, or an object")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<CompleteBody, E> {
                WorkerId::new(text).map(CompleteBody::Worker).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CompleteBody, A::Error> {
                let object = CompleteObject::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(CompleteBody::Object(object))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl CompleteBody {
    /// What it means to the core.
    pub fn lower(self, session: SessionName, item: ItemId) -> Complete {
        match self {
            Self::Worker(worker) => Complete::new(session, item, Holder::Worker(worker)),
            Self::Object(object) => Complete {
                successors: object.successors.into_iter().map(|successor| successor.0.into()).collect(),
                ..Complete::new(session, item, holder(object.worker_id.0, object.token))
            },
        }
    }
}

/// A work item as the contract shows it. Nulls are written.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackfillWorkItem {
    /// Its id.
    pub work_item_id: String,
    /// Its session.
    pub session_name: String,
    /// `pending`, `assigned` or `completed`.
    pub status: &'static str,
    /// The index it is about.
    #[schema(value_type = String)]
    pub index_name: Box<str>,
    /// The shard.
    pub shard_number: u32,
    /// Documents expected.
    pub document_count: u64,
    /// Bytes expected.
    pub total_size_bytes: u64,
    /// Who holds it, or completed it.
    pub worker_id: Option<String>,
    /// When its lease ends.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lease_expiry: Option<WallTime>,
    /// Documents done.
    pub documents_processed: u64,
    /// Bytes done.
    pub bytes_processed: u64,
    /// When progress was last heard of.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_progress_update: Option<WallTime>,
    /// When it was made.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: WallTime,
    /// When it was first handed out.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<WallTime>,
    /// When it was completed.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub completed_at: Option<WallTime>,
    /// Additional: its true state, of more than three.
    pub state: &'static str,
    /// Additional: the live lease's token.
    pub token: Option<u64>,
}

/// The three states of the contract, so that total = pending + assigned + completed.
pub const fn contract_status(state: ItemState) -> &'static str {
    match state {
        ItemState::Waiting
        | ItemState::Blocked
        | ItemState::Delayed
        | ItemState::Ready
        | ItemState::Failed
        | ItemState::Dormant => "pending",
        ItemState::Assigned => "assigned",
        ItemState::Completed | ItemState::Cancelled => "completed",
    }
}

impl From<&ItemView> for BackfillWorkItem {
    fn from(view: &ItemView) -> Self {
        let spec = view.body.unpack();
        Self {
            work_item_id: spec.id.to_string(),
            session_name: view.session.to_string(),
            status: contract_status(view.state),
            index_name: spec.index_name,
            shard_number: spec.shard_number,
            document_count: spec.document_count,
            total_size_bytes: spec.total_size_bytes,
            worker_id: view.worker.as_ref().map(ToString::to_string),
            lease_expiry: view.expires,
            documents_processed: view.progress.documents,
            bytes_processed: view.progress.bytes,
            last_progress_update: view.last_progress,
            created_at: view.created,
            started_at: view.started,
            completed_at: view.completed,
            state: if view.revoked.is_some() { "revoked" } else { view.state.name() },
            token: view.token.map(Token::get),
        }
    }
}

impl BackfillWorkItem {
    /// The item of a fresh lease.
    pub fn granted(grant: &Grant, worker: &WorkerId, last_progress: Option<WallTime>) -> Self {
        let spec = grant.body.unpack();
        Self {
            work_item_id: spec.id.to_string(),
            session_name: grant.session.to_string(),
            status: "assigned",
            index_name: spec.index_name,
            shard_number: spec.shard_number,
            document_count: spec.document_count,
            total_size_bytes: spec.total_size_bytes,
            worker_id: Some(worker.to_string()),
            lease_expiry: Some(grant.expires),
            documents_processed: grant.progress.documents,
            bytes_processed: grant.progress.bytes,
            last_progress_update: last_progress,
            created_at: grant.created,
            started_at: Some(grant.started),
            completed_at: None,
            state: "assigned",
            token: Some(grant.token.get()),
        }
    }
}

/// A lease.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsoleAcquired)]
pub struct Acquired {
    /// What is to be done.
    pub work_item: BackfillWorkItem,
    /// How long the lease lasts.
    #[serde(serialize_with = "seconds")]
    #[schema(value_type = f64)]
    pub lease_duration_seconds: u64,
    /// Additional: the lease's token.
    pub token: u64,
}

/// Milliseconds as seconds: a whole number wherever it is one.
fn seconds<S: Serializer>(millis: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    if millis.is_multiple_of(1_000) {
        serializer.serialize_u64(millis / 1_000)
    } else {
        serializer.serialize_f64(*millis as f64 / 1_000.0)
    }
}

/// What a session's queue is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueStatus {
    /// The session.
    pub session_name: String,
    /// All items.
    pub total_work_items: u64,
    /// Those to be done, now or later.
    pub pending_work_items: u64,
    /// Those under a lease.
    pub assigned_work_items: u64,
    /// Those that are over.
    pub completed_work_items: u64,
    /// Documents expected.
    pub total_documents: u64,
    /// Documents done.
    pub total_documents_processed: u64,
    /// Bytes expected.
    pub total_size_bytes: u64,
    /// Bytes done.
    pub total_bytes_processed: u64,
    /// When the first item was first handed out.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<WallTime>,
    /// The time of this call.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub last_update: WallTime,
    /// Additional: what the session is doing.
    pub state: &'static str,
}

impl QueueStatus {
    /// From a session as it stands.
    pub fn of(view: &SessionView, now: WallTime) -> Self {
        let counts: &Counts = &view.counts;
        let (assigned, total) = (counts.of(ItemState::Assigned), counts.total());
        let completed = counts.of(ItemState::Completed) + counts.of(ItemState::Cancelled);
        Self {
            session_name: view.name.to_string(),
            total_work_items: total,
            pending_work_items: total - assigned - completed,
            assigned_work_items: assigned,
            completed_work_items: completed,
            total_documents: counts.expected.documents,
            total_documents_processed: counts.done.documents,
            total_size_bytes: counts.expected.bytes,
            total_bytes_processed: counts.done.bytes,
            started_at: view.started,
            last_update: now,
            state: view.state.name(),
        }
    }
}

/// A session as the contract shows it.
#[derive(Debug)]
pub struct Session(pub SessionView);

#[derive(Serialize)]
struct SessionShape<'a> {
    name: &'a str,
    #[serde(serialize_with = "time::serialize")]
    created: WallTime,
    #[serde(serialize_with = "time::serialize")]
    updated: WallTime,
    env: Option<&'a RawValue>,
    state: &'static str,
}

impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = &self.0;
        let shape = SessionShape {
            name: view.name.as_str(),
            created: view.created,
            updated: view.updated,
            env: crate::wire::raw(view.notes.as_deref()),
            state: view.state.name(),
        };
        shape.serialize(serializer)
    }
}
