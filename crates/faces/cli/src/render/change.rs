//! Changes, as a watcher sees them.

use super::{opaque, text};
use capstan_client::v1;
use serde_json::{Value, json};

/// A change as JSON.
pub fn change(change: &v1::Change) -> Value {
    json!({
        "position": change.position,
        "at": change.at.as_ref().map(text),
        "session": (!change.session.is_empty()).then_some(&change.session),
        "event": change.event,
        "item_id": change.item_id,
        "item_number": change.item_number,
        "worker_id": change.worker_id,
        "token": change.token,
        "detail": opaque(change.detail.as_deref()),
    })
}

/// A change as a line.
pub fn change_line(change: &v1::Change) -> String {
    let mut line = format!("{}  {}  ", change.position, change.at.as_ref().map(text).unwrap_or_default());
    line.push_str(if change.session.is_empty() { "*" } else { &change.session });
    line.push_str("  ");
    line.push_str(&change.event);
    let number = change.item_number.map(|number| format!("#{number}"));
    let parts = [change.item_id.as_ref().or(number.as_ref()), change.worker_id.as_ref(), change.detail.as_ref()];
    for part in parts.into_iter().flatten() {
        line.push_str("  ");
        line.push_str(part);
    }
    line
}
