//! Items.

use super::malformed::json;
use super::time::{timestamp, wall_time};
use super::{Malformed, Named};
use capstan_ids::{GateName, GroupName, ItemId, Kind, LimitName};
use capstan_proto::v1::{self, AddResult, waits_for::Awaited};
use capstan_work::{Added, Answer, ItemBody, ItemState, ItemView, NewItem, Progress, WaitsFor};

/// The items of a request.
///
/// Items of a batch mostly have the kind of the one before, which is then shared.
pub fn new_items(specs: Vec<v1::ItemSpec>, field: &str) -> Result<Vec<NewItem>, Malformed> {
    let mut last = Kind::backfill();
    let mut items = Vec::with_capacity(specs.len());
    for (index, spec) in specs.into_iter().enumerate() {
        let item = new_item(spec, &last).map_err(|e| e.under(format_args!("{field}[{index}]")))?;
        last.clone_from(&item.kind);
        items.push(item);
    }
    Ok(items)
}

fn new_item(spec: v1::ItemSpec, last: &Kind) -> Result<NewItem, Malformed> {
    let kind = match spec.kind.as_str() {
        same if same == last.as_str() => last.clone(),
        "" => Kind::backfill(),
        other => Kind::new(other).in_field("kind")?,
    };
    Ok(NewItem {
        id: item_id(&spec.id, "id")?,
        kind,
        index_name: spec.index_name.into(),
        shard_number: spec.shard_number,
        document_count: spec.document_count,
        total_size_bytes: spec.total_size_bytes,
        priority: priority(spec.priority)?,
        not_before: spec.not_before.map(|time| wall_time(&time, "not_before")).transpose()?,
        groups: each(&spec.groups, "groups", GroupName::new)?,
        waits_for: awaited(spec.waits_for)?,
        limits: each(&spec.limits, "limits", LimitName::new)?,
        undo: spec.undo,
        payload: json(spec.payload, "payload")?,
    })
}

fn awaited(waits: Vec<v1::WaitsFor>) -> Result<Vec<WaitsFor>, Malformed> {
    let one = |(index, wait): (usize, v1::WaitsFor)| match wait.awaited {
        Some(Awaited::Group(group)) => {
            GroupName::new(group).in_field(format!("waits_for[{index}].group")).map(WaitsFor::Group)
        }
        Some(Awaited::ItemId(item)) => {
            ItemId::new(item).in_field(format!("waits_for[{index}].item_id")).map(WaitsFor::Item)
        }
        None => Err(Malformed::missing(format!("waits_for[{index}]"), "a group or an item_id")),
    };
    waits.into_iter().enumerate().map(one).collect()
}

/// An item's id.
pub fn item_id(text: &str, field: &str) -> Result<ItemId, Malformed> {
    ItemId::new(text).in_field(field)
}

/// A priority.
pub fn priority(number: i32) -> Result<i16, Malformed> {
    i16::try_from(number).map_err(|_| Malformed::new("priority", "-32768 to 32767", number))
}

/// The gates of a request.
pub fn gates(gates: &[v1::Gate]) -> Result<Vec<(GroupName, GateName)>, Malformed> {
    let one = |(index, wire): (usize, &v1::Gate)| {
        gate(&wire.group, &wire.gate).map_err(|e| e.under(format_args!("gates[{index}]")))
    };
    gates.iter().enumerate().map(one).collect()
}

/// A gate and its group.
pub fn gate(group: &str, gate: &str) -> Result<(GroupName, GateName), Malformed> {
    Ok((GroupName::new(group).in_field("group")?, GateName::new(gate).in_field("gate")?))
}

/// Kinds to choose by.
pub fn kinds(kinds: &[String]) -> Result<Vec<Kind>, Malformed> {
    each(kinds, "kinds", Kind::new)
}

/// The ids of a retry.
pub fn retry_ids(ids: &[String]) -> Result<Vec<ItemId>, Malformed> {
    each(ids, "item_ids", ItemId::new)
}

/// Names of one sort.
pub(super) fn each<'a, T>(
    texts: &'a [String],
    field: &str,
    name: impl Fn(&'a str) -> Result<T, capstan_ids::NameError>,
) -> Result<Vec<T>, Malformed> {
    let one = |(index, text): (usize, &'a String)| match name(text) {
        Ok(name) => Ok(name),
        Err(e) => Err(e).in_field(format!("{field}[{index}]")),
    };
    texts.iter().enumerate().map(one).collect()
}

/// What became of added items.
pub fn added(answer: Answer) -> v1::AddItemsResponse {
    let Answer::Added(added) = answer else { unreachable!("an addition is answered item by item, not {answer:?}") };
    let mut answer = v1::AddItemsResponse { results: Vec::with_capacity(added.len()), conflicts: Vec::new() };
    for (index, added) in added.iter().enumerate() {
        let result = match added {
            Added::Created => AddResult::Created,
            Added::Unchanged => AddResult::Unchanged,
            Added::Conflict(field) => {
                let conflict = v1::AddConflict { index: index as u32, field: (*field).to_owned() };
                answer.conflicts.push(conflict);
                AddResult::Conflict
            }
        };
        answer.results.push(result as i32);
    }
    answer
}

/// An item as its maker described it.
pub(super) fn spec(body: &ItemBody) -> v1::ItemSpec {
    let item = body.unpack();
    v1::ItemSpec {
        id: item.id.as_str().to_owned(),
        kind: item.kind.as_str().to_owned(),
        index_name: item.index_name.into(),
        shard_number: item.shard_number,
        document_count: item.document_count,
        total_size_bytes: item.total_size_bytes,
        priority: item.priority.into(),
        not_before: item.not_before.map(timestamp),
        groups: item.groups.iter().map(ToString::to_string).collect(),
        waits_for: item.waits_for.iter().map(wait).collect(),
        limits: item.limits.iter().map(ToString::to_string).collect(),
        undo: item.undo,
        payload: item.payload.map(Into::into),
    }
}

fn wait(wait: &WaitsFor) -> v1::WaitsFor {
    let awaited = match wait {
        WaitsFor::Group(group) => Awaited::Group(group.to_string()),
        WaitsFor::Item(item) => Awaited::ItemId(item.to_string()),
    };
    v1::WaitsFor { awaited: Some(awaited) }
}

/// An item's state; finer states than the wire's are told as the coarser.
pub fn state(state: ItemState) -> v1::ItemState {
    match state {
        ItemState::Waiting | ItemState::Dormant => v1::ItemState::Waiting,
        ItemState::Blocked => v1::ItemState::Blocked,
        ItemState::Delayed | ItemState::Ready => v1::ItemState::Pending,
        ItemState::Assigned => v1::ItemState::Assigned,
        ItemState::Completed => v1::ItemState::Completed,
        ItemState::Failed => v1::ItemState::Failed,
        ItemState::Cancelled => v1::ItemState::Cancelled,
    }
}

/// An item as it stands.
pub fn item(view: ItemView) -> v1::Item {
    v1::Item {
        session: view.session.to_string(),
        number: view.number,
        spec: Some(spec(&view.body)),
        state: state(view.state) as i32,
        revoked: view.revoked.map(Into::into),
        worker_id: view.worker.map(|worker| worker.to_string()),
        token: view.token.map(|token| token.get()),
        lease_granted_at: view.granted.map(timestamp),
        lease_expires_at: view.expires.map(timestamp),
        attempts: view.attempts,
        progress: Some(progress(view.progress)),
        checkpoint: view.checkpoint.map(Into::into),
        result: view.result.map(Into::into),
        last_error: view.last_error.map(Into::into),
        priority: view.priority.into(),
        created_at: Some(timestamp(view.created)),
        started_at: view.started.map(timestamp),
        completed_at: view.completed.map(timestamp),
        progress_at: view.last_progress.map(timestamp),
    }
}

pub(super) fn progress(progress: Progress) -> v1::Progress {
    v1::Progress { documents: progress.documents, bytes: progress.bytes }
}

pub(super) fn domain_progress(progress: v1::Progress) -> Progress {
    Progress { documents: progress.documents, bytes: progress.bytes }
}
