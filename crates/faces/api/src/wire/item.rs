//! Items as they come in and go out.

use super::{Named, Object, opaque, raw, time};
use crate::problem::Problem;
use capstan_ids::{GateName, GroupName, ItemId, Kind, LimitName, WallTime};
use capstan_work::{ItemView, NewItem, WaitsFor};
use serde::de::{Deserializer, Error};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A new item.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemSpec {
    /// Its id in the session: any characters, also `/` and spaces.
    #[schema(value_type = String, min_length = 1, max_length = 512, example = "orders/0")]
    pub id: Named<ItemId>,
    /// What sort of work it is; names the pool that limits it.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]{1,32}$", default = "backfill")]
    pub kind: Option<Named<Kind>>,
    /// The index or collection it is about.
    #[serde(default)]
    #[schema(value_type = String, max_length = 512)]
    pub index_name: Box<str>,
    /// The part of it.
    #[serde(default)]
    pub shard_number: u32,
    /// Documents expected.
    #[serde(default)]
    #[schema(maximum = 9007199254740991_u64)]
    pub document_count: u64,
    /// Bytes expected.
    #[serde(default)]
    #[schema(maximum = 9007199254740991_u64)]
    pub total_size_bytes: u64,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i16,
    /// Not handed out before this time.
    #[serde(default, deserialize_with = "moment")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_before: Option<WallTime>,
    /// Groups it belongs to.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 16)]
    pub groups: Vec<Named<GroupName>>,
    /// Groups, or items with all their successors, that must be done first.
    #[serde(default)]
    #[schema(max_items = 64)]
    pub waits_for: Vec<Awaited>,
    /// Further limits it counts against, beside its kind and `global`.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 8)]
    pub limits: Vec<Named<LimitName>>,
    /// Becomes pending only when the session is cancelled, to undo what was done.
    #[serde(default)]
    pub undo: bool,
    /// What the worker needs to know: any JSON of at most 64 KiB.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    pub payload: Option<Box<RawValue>>,
}

/// What an item waits for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// Every item of a group, and whatever came of them.
    #[schema(value_type = String)]
    Group(Named<GroupName>),
    /// One item, and whatever came of it.
    #[schema(value_type = String)]
    Item(Named<ItemId>),
}

/// A gate in a group.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GateSpec {
    /// The group.
    #[schema(value_type = String, min_length = 1, max_length = 256)]
    pub group: Named<GroupName>,
    /// The gate.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    pub gate: Named<GateName>,
}

impl ItemSpec {
    /// What it means to the core.
    pub fn lower(self) -> Result<NewItem, Problem> {
        Ok(NewItem {
            id: self.id.0,
            kind: self.kind.map_or_else(Kind::backfill, |kind| kind.0),
            index_name: self.index_name,
            shard_number: self.shard_number,
            document_count: self.document_count,
            total_size_bytes: self.total_size_bytes,
            priority: self.priority,
            not_before: self.not_before,
            groups: self.groups.into_iter().map(|group| group.0).collect(),
            waits_for: self.waits_for.into_iter().map(Awaited::lower).collect(),
            limits: self.limits.into_iter().map(|limit| limit.0).collect(),
            undo: self.undo,
            payload: opaque("payload", self.payload)?,
        })
    }
}

impl Awaited {
    fn lower(self) -> WaitsFor {
        match self {
            Self::Group(group) => WaitsFor::Group(group.0),
            Self::Item(item) => WaitsFor::Item(item.0),
        }
    }
}

/// What a list of new items means to the core.
pub fn lower_all(items: Vec<Object<ItemSpec>>) -> Result<Vec<NewItem>, Problem> {
    items.into_iter().map(|item| item.0.lower()).collect()
}

/// What a list of gates means to the core.
pub fn lower_gates(gates: Vec<Object<GateSpec>>) -> Vec<(GroupName, GateName)> {
    gates.into_iter().map(|gate| (gate.0.group.0, gate.0.gate.0)).collect()
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<WallTime>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let expected = || D::Error::custom("expected a time such as 2026-01-31T12:00:00Z (RFC 3339)");
    time::parse(&text).map(Some).ok_or_else(expected)
}

/// Documents and bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Documents.
    #[schema(maximum = 9007199254740991_u64)]
    pub documents: u64,
    /// Bytes.
    #[schema(maximum = 9007199254740991_u64)]
    pub bytes: u64,
}

impl From<capstan_work::Progress> for Progress {
    fn from(progress: capstan_work::Progress) -> Self {
        Self { documents: progress.documents, bytes: progress.bytes }
    }
}

impl From<Progress> for capstan_work::Progress {
    fn from(progress: Progress) -> Self {
        Self { documents: progress.documents, bytes: progress.bytes }
    }
}

/// An item as it stands.
#[derive(Debug)]
pub struct ItemAnswer(pub ItemView);

/// An item as it stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Item)]
pub struct ItemShape<'a> {
    /// Its session.
    pub session: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its number in the session: the order of creation.
    pub number: u64,
    /// What sort of work it is.
    pub kind: &'a str,
    /// What its maker said, and everything else besides.
    #[serde(flatten)]
    #[schema(inline)]
    pub said: Said<'a>,
    /// `waiting`, `blocked`, `pending`, `assigned`, `completed`, `failed` or `cancelled`.
    pub state: &'static str,
    /// Why its lease was taken back, if it was.
    pub revoked: Option<&'a str>,
    /// Who holds it, or, once it is completed, who completed it.
    pub worker_id: Option<&'a str>,
    /// The live lease's token.
    pub token: Option<u64>,
    /// When the live lease was granted.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lease_granted_at: Option<WallTime>,
    /// When the live lease ends, as shown to people.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lease_expires_at: Option<WallTime>,
    /// Counted failures so far.
    pub attempts: u32,
    /// How far it has got.
    pub progress: Progress,
    /// Where to go on from.
    pub checkpoint: Option<&'a str>,
    /// What came of it.
    #[schema(value_type = Option<serde_json::Value>)]
    pub result: Option<&'a RawValue>,
    /// What went wrong last.
    pub last_error: Option<&'a str>,
    /// Its priority now.
    pub priority: i16,
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
    /// When progress was last heard of.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub progress_at: Option<WallTime>,
}

/// What an item's maker said of it, as it is told to whoever looks or works.
#[derive(Serialize, ToSchema)]
pub struct Said<'a> {
    /// The index or collection it is about.
    pub index_name: &'a str,
    /// The part of it.
    pub shard_number: u32,
    /// Documents expected.
    pub document_count: u64,
    /// Bytes expected.
    pub total_size_bytes: u64,
    /// Not handed out before this time.
    #[serde(serialize_with = "time::serialize_option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub not_before: Option<WallTime>,
    /// Groups it belongs to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<&'a str>,
    /// Groups it waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<AwaitedShape<'a>>,
    /// Further limits it counts against.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<&'a str>,
    /// Becomes pending only when the session is cancelled.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub undo: bool,
    /// What the worker needs to know.
    #[schema(value_type = Option<serde_json::Value>)]
    pub payload: Option<&'a RawValue>,
}

/// What an item waits for.
#[derive(Serialize, ToSchema)]
#[schema(as = WaitsFor)]
#[serde(rename_all = "snake_case")]
pub enum AwaitedShape<'a> {
    /// Every item of a group.
    Group(&'a str),
    /// One item.
    Item(&'a str),
}

impl<'a> Said<'a> {
    /// Borrows from an unpacked item.
    pub fn by(spec: &'a NewItem) -> Self {
        let awaited = |wait: &'a WaitsFor| match wait {
            WaitsFor::Group(group) => AwaitedShape::Group(group.as_str()),
            WaitsFor::Item(item) => AwaitedShape::Item(item.as_str()),
        };
        Self {
            index_name: &spec.index_name,
            shard_number: spec.shard_number,
            document_count: spec.document_count,
            total_size_bytes: spec.total_size_bytes,
            not_before: spec.not_before,
            groups: spec.groups.iter().map(GroupName::as_str).collect(),
            waits_for: spec.waits_for.iter().map(awaited).collect(),
            limits: spec.limits.iter().map(LimitName::as_str).collect(),
            undo: spec.undo,
            payload: raw(spec.payload.as_deref()),
        }
    }
}

impl Serialize for ItemAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (view, spec) = (&self.0, self.0.body.unpack());
        let shape = ItemShape {
            session: view.session.as_str(),
            id: spec.id.as_str(),
            number: view.number,
            kind: spec.kind.as_str(),
            said: Said::by(&spec),
            state: view.state.name(),
            revoked: view.revoked.as_deref(),
            worker_id: view.worker.as_ref().map(capstan_ids::WorkerId::as_str),
            token: view.token.map(capstan_ids::Token::get),
            lease_granted_at: view.granted,
            lease_expires_at: view.expires,
            attempts: view.attempts,
            progress: view.progress.into(),
            checkpoint: view.checkpoint.as_deref(),
            result: raw(view.result.as_deref()),
            last_error: view.last_error.as_deref(),
            priority: view.priority,
            created_at: view.created,
            started_at: view.started,
            completed_at: view.completed,
            progress_at: view.last_progress,
        };
        shape.serialize(serializer)
    }
}
