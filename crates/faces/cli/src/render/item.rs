//! Items.

use super::{opaque, text};
use crate::output::Table;
use capstan_client::{Item, v1};
use serde_json::{Map, Value, json};

/// A state as it is written.
pub const fn state_name(state: v1::ItemState) -> &'static str {
    match state {
        v1::ItemState::Unspecified => "unknown",
        v1::ItemState::Waiting => "waiting",
        v1::ItemState::Blocked => "blocked",
        v1::ItemState::Pending => "pending",
        v1::ItemState::Assigned => "assigned",
        v1::ItemState::Completed => "completed",
        v1::ItemState::Failed => "failed",
        v1::ItemState::Cancelled => "cancelled",
        v1::ItemState::Deleted => "deleted",
    }
}

pub(super) fn progress(progress: Option<&v1::Progress>) -> Value {
    let progress = progress.copied().unwrap_or_default();
    json!({ "documents": progress.documents, "bytes": progress.bytes })
}

/// What its maker said of an item.
pub(super) fn spec(item: &Item) -> Map<String, Value> {
    let awaited = |wait: &v1::WaitsFor| match &wait.awaited {
        Some(v1::waits_for::Awaited::Group(group)) => json!({ "group": group }),
        Some(v1::waits_for::Awaited::ItemId(item)) => json!({ "item": item }),
        None => Value::Null,
    };
    let fields = json!({
        "id": item.id,
        "kind": item.kind,
        "index_name": item.index_name,
        "shard_number": item.shard_number,
        "document_count": item.document_count,
        "total_size_bytes": item.total_size_bytes,
        "priority": item.priority,
        "not_before": item.not_before.as_ref().map(text),
        "groups": item.groups,
        "waits_for": item.waits_for.iter().map(awaited).collect::<Vec<_>>(),
        "limits": item.limits,
        "undo": item.undo,
        "payload": opaque(item.payload.as_deref()),
    });
    match fields {
        Value::Object(fields) => fields,
        _ => unreachable!("an object was written"),
    }
}

/// An item as it stands.
pub fn item(item: &v1::Item) -> Value {
    let mut fields = spec(item.spec.as_ref().unwrap_or(&Item::default()));
    let lease = item.token.map(|token| {
        json!({
            "worker_id": item.worker_id,
            "token": token,
            "granted_at": item.lease_granted_at.as_ref().map(text),
            "expires_at": item.lease_expires_at.as_ref().map(text),
            "revoked": item.revoked,
        })
    });
    let standing = json!({
        "session": item.session,
        "number": item.number,
        "state": state_name(item.state()),
        "worker_id": item.worker_id,
        "lease": lease,
        "attempts": item.attempts,
        "progress": progress(item.progress.as_ref()),
        "checkpoint": item.checkpoint,
        "result": opaque(item.result.as_deref()),
        "last_error": item.last_error,
        "priority": item.priority,
        "created_at": item.created_at.as_ref().map(text),
        "started_at": item.started_at.as_ref().map(text),
        "completed_at": item.completed_at.as_ref().map(text),
        "progress_at": item.progress_at.as_ref().map(text),
    });
    let Value::Object(standing) = standing else { unreachable!("an object was written") };
    fields.extend(standing);
    Value::Object(fields)
}

/// The heading of [`row`].
const HEADING: [&str; 7] = ["ID", "KIND", "STATE", "WORKER", "DONE", "ATTEMPTS", "LAST ERROR"];

/// An item as a row.
fn row(item: &v1::Item) -> [String; 7] {
    let nothing = Item::default();
    let spec = item.spec.as_ref().unwrap_or(&nothing);
    let done = item.progress.unwrap_or_default().documents;
    let done = match (done, spec.document_count) {
        (0, 0) => String::new(),
        (done, 0) => done.to_string(),
        (done, expected) => format!("{done}/{expected}"),
    };
    [
        spec.id.clone(),
        spec.kind.clone(),
        state_name(item.state()).to_owned(),
        item.worker_id.clone().unwrap_or_default(),
        done,
        item.attempts.to_string(),
        shortened(item.last_error.as_deref().unwrap_or_default()),
    ]
}

/// Items as rows.
pub fn items(items: &[v1::Item]) -> Table {
    let mut table = Table::new(HEADING);
    for item in items {
        table.row(row(item));
    }
    table
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= 60 { line.to_owned() } else { line.chars().take(59).chain(['…']).collect() }
}

/// What became of added items, in numbers.
pub fn added(created: u64, unchanged: u64, conflicts: &[(String, String)]) -> (Value, Table) {
    let told = |(id, field): &(String, String)| json!({ "id": id, "field": field });
    let json = json!({
        "created": created,
        "unchanged": unchanged,
        "conflicts": conflicts.iter().map(told).collect::<Vec<_>>(),
    });
    let mut table = Table::new(["CREATED", "UNCHANGED", "CONFLICTS"]);
    table.row([created.to_string(), unchanged.to_string(), conflicts.len().to_string()]);
    (json, table)
}
