//! Leases.

use super::item::{progress, spec};
use super::{compact, text};
use crate::output::Table;
use capstan_client::{Acquired, Item, v1};
use serde_json::{Value, json};

fn lease(lease: &v1::Lease) -> Value {
    let mut fields = spec(lease.item.as_ref().unwrap_or(&Item::default()));
    let granted = json!({
        "session": lease.session,
        "token": lease.token,
        "lease_ms": lease.lease_ms,
        "lease_expires_at": lease.lease_expires_at.as_ref().map(text),
        "attempt": lease.attempt,
        "checkpoint": lease.checkpoint,
        "progress": progress(lease.progress.as_ref()),
        "created_at": lease.created_at.as_ref().map(text),
        "started_at": lease.started_at.as_ref().map(text),
    });
    let Value::Object(granted) = granted else { unreachable!("an object was written") };
    fields.extend(granted);
    Value::Object(fields)
}

/// What came of asking, as JSON.
pub fn acquired(acquired: &Acquired) -> Value {
    let leases = acquired.leases.iter().map(|held| lease(held.told())).collect::<Vec<_>>();
    json!({ "leases": leases, "waited_ms": acquired.waited.as_millis() as u64, "nothing": nothing_json(acquired.nothing.as_ref()) })
}

fn nothing_json(nothing: Option<&v1::NoWork>) -> Value {
    nothing.map_or(Value::Null, |why| json!({ "reason": reason_name(why.reason()), "items": why.items }))
}

/// Leases as JSON.
pub fn told(leases: &[v1::Lease]) -> Value {
    leases.iter().map(lease).collect()
}

/// Leases as rows.
pub fn leases(leases: &[v1::Lease]) -> Table {
    let mut table = Table::new(["SESSION", "ID", "KIND", "TOKEN", "LEASE", "ATTEMPT", "CHECKPOINT", "PAYLOAD"]);
    for held in leases {
        let item = held.item.clone().unwrap_or_default();
        table.row([
            held.session.clone(),
            item.id,
            item.kind,
            held.token.to_string(),
            format!("{}s", held.lease_ms as f64 / 1_000.0),
            held.attempt.to_string(),
            held.checkpoint.clone().unwrap_or_default(),
            item.payload.as_deref().map(compact).unwrap_or_default(),
        ]);
    }
    table
}

fn reason_name(reason: v1::NoWorkReason) -> &'static str {
    use v1::NoWorkReason;
    match reason {
        NoWorkReason::Unspecified => "unknown",
        NoWorkReason::Empty => "empty",
        NoWorkReason::AllDone => "all_done",
        NoWorkReason::HeldByOthers => "held_by_others",
        NoWorkReason::AtLimit => "at_limit",
        NoWorkReason::NotYet => "not_yet",
        NoWorkReason::Paused => "paused",
        NoWorkReason::Failed => "failed",
        NoWorkReason::OtherKinds => "other_kinds",
        NoWorkReason::Ended => "ended",
        NoWorkReason::ItemNotPending => "item_not_pending",
    }
}

/// Why there was no work, for people.
pub fn nothing(nothing: Option<&v1::NoWork>) -> String {
    use v1::NoWorkReason;
    let Some(nothing) = nothing else { return "no work".to_owned() };
    let items = nothing.items;
    match nothing.reason() {
        NoWorkReason::Unspecified => "no work".to_owned(),
        NoWorkReason::Empty => "no work: there is no item at all".to_owned(),
        NoWorkReason::AllDone => "no work: everything is done".to_owned(),
        NoWorkReason::HeldByOthers => format!("no work now: others hold what is left ({items} leases)"),
        NoWorkReason::AtLimit => "no work now: what is left is ready, but a limit is reached".to_owned(),
        NoWorkReason::NotYet => format!("no work now: what is left is not ready yet ({items} items)"),
        NoWorkReason::Paused => "no work: the session is paused".to_owned(),
        NoWorkReason::Failed => {
            format!("no work: what is left has failed, or waits for something that has ({items} items)")
        }
        NoWorkReason::OtherKinds => "no work of these kinds".to_owned(),
        NoWorkReason::Ended => "no work: the session has ended".to_owned(),
        NoWorkReason::ItemNotPending => format!("the item is not to be had now: it is {}", nothing.item_state),
    }
}
