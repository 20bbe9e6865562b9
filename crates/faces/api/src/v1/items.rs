//! Items: adding, looking, steering one.

use super::page::{self, Page};
use super::{Answered, leases, perform};
use crate::answer;
use crate::codes;
use crate::problem::{Part, Problem};
use crate::request::{InSession, Json, OnItem, Parameters, PathParameters, check_batch};
use crate::wire::Object;
use crate::wire::item::{GateSpec, ItemAnswer, ItemSpec, lower_all, lower_gates};
use axum::extract::{FromRequest, RawQuery, Request, State};
use axum::http::{Method, StatusCode};
use capstan_coordinator::Handle;
use capstan_ids::{ItemId, Kind, SessionName, WorkerId};
use capstan_work::{Added, Answer, Command, Conflicts, ItemState, ItemView, Rejection};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Items looked at in one go: the owner of the state never stops for longer.
const SLICE: usize = 1_000;
/// Items looked at for one page: a filter that finds little ends the page early, with a cursor to go on from.
const LOOKED_AT_MAX: usize = 50_000;

/// Several new items.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchSpec {
    /// The items.
    #[schema(value_type = Vec<ItemSpec>, max_items = 10000)]
    pub items: Vec<Object<ItemSpec>>,
    /// Gates to hold in groups, in the same step.
    #[serde(default)]
    #[schema(value_type = Vec<GateSpec>)]
    pub gates: Vec<Object<GateSpec>>,
    /// What an item that exists with other content does to the rest.
    #[serde(default)]
    pub conflicts: OnConflict,
}

/// What an item that exists with other content does to the rest.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// The whole batch is refused.
    #[default]
    Refuse,
    /// It is answered as a conflict; the others are added.
    Report,
}

/// What became of a new item.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddedAnswer {
    /// `created`, `unchanged` or `conflict`.
    pub outcome: &'static str,
    /// Which field differs, of a conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
}

/// What became of several new items.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchAnswer {
    /// How many are new.
    pub created: u64,
    /// How many were there with the same content.
    pub unchanged: u64,
    /// How many were there with other content, and stay as they were.
    pub conflicts: u64,
    /// What became of each, in the order they came.
    pub results: Vec<AddedAnswer>,
}

/// A new priority.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrioritySpec {
    /// Higher goes first.
    pub priority: i16,
}

impl From<Added> for AddedAnswer {
    fn from(added: Added) -> Self {
        match added {
            Added::Created => Self { outcome: "created", field: None },
            Added::Unchanged => Self { outcome: "unchanged", field: None },
            Added::Conflict(field) => Self { outcome: "conflict", field: Some(field) },
        }
    }
}

/// Adds one item.
pub async fn add(State(handle): State<Handle>, InSession(session): InSession, Json(spec): Json<ItemSpec>) -> Answered {
    let items = vec![spec.lower()?];
    let command = Command::AddItems { session, items, gates: Vec::new(), conflicts: Conflicts::Refuse };
    match handle.submit(command).await? {
        Answer::Added(mut added) => {
            let added = added.pop().ok_or_else(Problem::internal)?;
            let status = if added == Added::Created { StatusCode::CREATED } else { StatusCode::OK };
            answer::json(status, &AddedAnswer::from(added))
        }
        other => Err(answer::unexpected(&other)),
    }
}

/// Adds several items.
pub async fn add_batch(
    State(handle): State<Handle>,
    InSession(session): InSession,
    Json(spec): Json<BatchSpec>,
) -> Answered {
    check_batch("items", spec.items.len())?;
    let conflicts = match spec.conflicts {
        OnConflict::Refuse => Conflicts::Refuse,
        OnConflict::Report => Conflicts::Report,
    };
    let (items, gates) = (lower_all(spec.items)?, lower_gates(spec.gates));
    match handle.submit(Command::AddItems { session, items, gates, conflicts }).await? {
        Answer::Added(added) => {
            let count = |wanted: fn(&Added) -> bool| added.iter().filter(|added| wanted(added)).count() as u64;
            let answer = BatchAnswer {
                created: count(|added| matches!(added, Added::Created)),
                unchanged: count(|added| matches!(added, Added::Unchanged)),
                conflicts: count(|added| matches!(added, Added::Conflict(_))),
                results: added.into_iter().map(Into::into).collect(),
            };
            answer::json(StatusCode::OK, &answer)
        }
        other => Err(answer::unexpected(&other)),
    }
}

/// Lists items by filters, or answers the one of `?id=`.
pub async fn list(State(handle): State<Handle>, InSession(session): InSession, RawQuery(query): RawQuery) -> Answered {
    let known = ["id", "state", "kind", "worker_id", "cursor", "limit"];
    let parameters = Parameters::read(query.as_deref(), &known)?;
    if let Some(id) = parameters.get("id") {
        return one(&handle, session, ItemId::new(id)?).await;
    }
    let filter = Filter::read(&parameters)?;
    let limit = page::limit(&parameters)?;
    let mut cursor = page::numbered(&parameters)?;
    let mut items = Vec::new();
    for _ in 0..LOOKED_AT_MAX / SLICE {
        let wanted = limit - items.len();
        let slice = slice(&handle, session.clone(), cursor, wanted, filter.clone()).await?;
        items.extend(slice.items.into_iter().map(ItemAnswer));
        match slice.next {
            None => return answer::json(StatusCode::OK, &Page { items, next_cursor: None }),
            Some(next) => cursor = next,
        }
        if items.len() >= limit {
            break;
        }
    }
    answer::json(StatusCode::OK, &Page { items, next_cursor: Some(cursor.to_string()) })
}

/// A part of a session's items, in the order they were made.
#[derive(Debug)]
pub(crate) struct ItemSlice {
    /// Those that are wanted.
    pub items: Vec<ItemView>,
    /// Where to go on; none at the end.
    pub next: Option<u64>,
}

/// Which items are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    state: Option<&'static str>,
    kind: Option<Kind>,
    worker: Option<WorkerId>,
}

impl Filter {
    fn read(parameters: &Parameters<'_>) -> Result<Self, Problem> {
        Ok(Self {
            state: parameters.get("state").map(state_named).transpose()?,
            kind: parameters.get("kind").map(Kind::new).transpose()?,
            worker: parameters.get("worker_id").map(WorkerId::new).transpose()?,
        })
    }

    fn wants(&self, view: &ItemView) -> bool {
        self.state.is_none_or(|state| view.state.name() == state)
            && self.worker.as_ref().is_none_or(|worker| view.worker.as_ref() == Some(worker))
            && self.kind.as_ref().is_none_or(|kind| view.body.unpack().kind == *kind)
    }
}

fn state_named(name: &str) -> Result<&'static str, Problem> {
    let states = [
        ItemState::Waiting,
        ItemState::Blocked,
        ItemState::Ready,
        ItemState::Assigned,
        ItemState::Completed,
        ItemState::Failed,
        ItemState::Cancelled,
    ];
    let names = states.map(ItemState::name);
    names
        .into_iter()
        .find(|known| *known == name)
        .ok_or_else(|| Problem::parameter(Part::Query, "state", &format!("one of {}", names.join(", ")), name))
}

/// Looks at up to [`SLICE`] items from a number on, and takes up to `wanted` of them.
pub(crate) async fn slice(
    handle: &Handle,
    session: SessionName,
    from: u64,
    wanted: usize,
    filter: Filter,
) -> Result<ItemSlice, Problem> {
    let name = session.clone();
    let look = move |state: &capstan_coordinator::State| {
        let mut all = state.work.items_from(&name, from)?;
        let mut items = Vec::new();
        for view in all.by_ref().take(SLICE) {
            let number = view.number;
            if filter.wants(&view) {
                items.push(view);
            }
            if items.len() >= wanted {
                return Some(ItemSlice { items, next: all.next().map(|_| number + 1) });
            }
        }
        let next = all.next().map(|view| view.number);
        Some(ItemSlice { items, next })
    };
    handle.read(look).await?.ok_or_else(|| Rejection::SessionUnknown(session).into())
}

/// One item as it stands.
pub async fn get(State(handle): State<Handle>, at: OnItem) -> Answered {
    one(&handle, at.session, at.item).await
}

async fn one(handle: &Handle, session: SessionName, item: ItemId) -> Answered {
    answer::json(StatusCode::OK, &ItemAnswer(view(handle, session, item).await?))
}

/// One item as it stands.
pub(crate) async fn view(handle: &Handle, session: SessionName, item: ItemId) -> Result<ItemView, Problem> {
    let (name, id) = (session.clone(), item.clone());
    let look =
        move |state: &capstan_coordinator::State| state.work.has_session(&name).then(|| state.work.item(&name, &id));
    match handle.read(look).await? {
        Some(Some(view)) => Ok(view),
        Some(None) => Err(Rejection::ItemUnknown { session, item }.into()),
        None => Err(Rejection::SessionUnknown(session).into()),
    }
}

/// Deletes one item.
pub async fn delete(State(handle): State<Handle>, at: OnItem) -> Answered {
    perform(&handle, Command::DeleteItem { session: at.session, item: at.item }).await
}

/// Deletes the item of `?id=`, or all with `?all=true`.
pub async fn delete_by_query(
    State(handle): State<Handle>,
    InSession(session): InSession,
    RawQuery(query): RawQuery,
) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["id", "all"])?;
    match (parameters.get("id"), parameters.get("all")) {
        (Some(id), None) => perform(&handle, Command::DeleteItem { session, item: ItemId::new(id)? }).await,
        (None, Some("true")) => perform(&handle, Command::DeleteItems { session }).await,
        _ => Err(Problem::no_parameter(Part::Query, "id", "name one item, or say all=true to delete every item")),
    }
}

/// Ends an unfinished item for good.
pub async fn cancel(State(handle): State<Handle>, at: OnItem) -> Answered {
    perform(&handle, Command::CancelItem { session: at.session, item: at.item }).await
}

/// Tries a failed item again.
pub async fn retry(State(handle): State<Handle>, at: OnItem) -> Answered {
    perform(&handle, Command::Retry { session: at.session, items: vec![at.item] }).await
}

/// Moves an unfinished item forward or back.
pub async fn set_priority(State(handle): State<Handle>, at: OnItem, Json(spec): Json<PrioritySpec>) -> Answered {
    let command = Command::SetPriority { session: at.session, item: at.item, priority: spec.priority };
    perform(&handle, command).await
}

/// What can be done with one item, by its name in the path.
const ACTS: [&str; 8] = ["renew", "complete", "complete-and-acquire", "fail", "release", "cancel", "retry", "priority"];

/// `POST /items/{act}?id=…`: acts on an item whose id a path cannot carry.
pub async fn act_by_query(
    State(handle): State<Handle>,
    InSession(session): InSession,
    path: PathParameters,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answered {
    let act = path.get("id")?;
    if !ACTS.contains(&act) {
        return Err(Problem::no_method(&Method::POST, &["GET", "DELETE"]));
    }
    let parameters = Parameters::read(query.as_deref(), &["id"])?;
    let id = parameters.get("id").ok_or_else(|| Problem::no_parameter(Part::Query, "id", "the item's id"))?;
    let at = OnItem { session, item: ItemId::new(id)? };
    let state = State(handle);
    match act {
        "renew" => leases::renew(state, at, Json::from_request(request, &()).await?).await,
        "complete" => leases::complete(state, at, Json::from_request(request, &()).await?).await,
        "complete-and-acquire" => {
            leases::complete_and_acquire(state, at, Json::from_request(request, &()).await?).await
        }
        "fail" => leases::fail(state, at, Json::from_request(request, &()).await?).await,
        "release" => leases::release(state, at, Json::from_request(request, &()).await?).await,
        "cancel" => cancel(state, at).await,
        "retry" => retry(state, at).await,
        "priority" => set_priority(state, at, Json::from_request(request, &()).await?).await,
        _ => Err(Problem::new(&codes::SERVER_INTERNAL, "an act is listed and not known")),
    }
}
