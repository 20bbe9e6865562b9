//! An event as a watcher is told it.

use super::at;
use capstan_coordinator::{Change, StateEvent};
use capstan_proto::v1;
use capstan_work::{Event, Progress};
use serde_json::{Value, json};

/// What is told of a change; nothing of what concerns no session's work.
pub fn told(change: Change) -> Option<v1::Change> {
    let (position, at) = (change.position.get(), at(&change));
    let StateEvent::Work(session, event) = change.event else { return None };
    let session = session.map_or_else(String::new, |session| session.to_string());
    let mut told = v1::Change { position, at, session, ..Default::default() };
    describe(&mut told, event);
    Some(told)
}

fn describe(told: &mut v1::Change, event: Event) {
    let (name, detail) = match event {
        Event::SessionOpened { .. } => ("session_opened", None),
        Event::SessionUpdated { .. } => ("session_updated", None),
        Event::SessionDeleted => ("session_deleted", None),
        Event::SessionPaused { immediate, reason } => {
            ("session_paused", Some(json!({ "immediate": immediate, "reason": reason })))
        }
        Event::SessionResumed => ("session_resumed", None),
        Event::SessionCancelled { reason } => ("session_cancelled", Some(json!({ "reason": reason }))),
        Event::SessionClosed => ("session_closed", None),
        Event::ItemAdded { body, .. } => {
            told.item_id = Some(body.id().to_owned());
            ("item_added", None)
        }
        Event::ItemGranted { number, worker, length, .. } => {
            told.item_number = Some(number);
            told.worker_id = Some(worker.to_string());
            // The position of a grant is its token.
            told.token = Some(told.position);
            ("item_granted", Some(json!({ "lease_ms": length.get() })))
        }
        Event::LeaseRenewed { number, length, progress, checkpoint } => {
            told.item_number = Some(number);
            let detail =
                json!({ "lease_ms": length.get(), "progress": figures(progress), "checkpoint": checkpoint.is_some() });
            ("lease_renewed", Some(detail))
        }
        Event::ProgressNoted { number, progress } => {
            told.item_number = Some(number);
            ("progress_noted", Some(json!({ "progress": figures(progress) })))
        }
        Event::ItemCompleted { number, done, successors, .. } => {
            told.item_number = Some(number);
            ("item_completed", Some(json!({ "done": figures(done), "successors": successors.is_some() })))
        }
        Event::AttemptFailed { number, error, delay, .. } => {
            told.item_number = Some(number);
            ("attempt_failed", Some(json!({ "error": error, "delay_ms": delay.get() })))
        }
        Event::ItemFailed { number, error, .. } => {
            told.item_number = Some(number);
            ("item_failed", Some(json!({ "error": error })))
        }
        Event::LeaseReleased { number, progress, .. } => {
            told.item_number = Some(number);
            ("lease_released", Some(json!({ "progress": figures(progress) })))
        }
        Event::LeaseExpired { number, counted, progress } => {
            told.item_number = Some(number);
            ("lease_expired", Some(json!({ "counted": counted, "progress": figures(progress) })))
        }
        Event::LeaseRevoked { number, reason, .. } => {
            told.item_number = Some(number);
            ("lease_revoked", Some(json!({ "reason": reason })))
        }
        Event::ItemCancelled { number } => {
            told.item_number = Some(number);
            ("item_cancelled", None)
        }
        Event::ItemRetried { number } => {
            told.item_number = Some(number);
            ("item_retried", None)
        }
        Event::ItemQueued { number } => {
            told.item_number = Some(number);
            ("item_queued", None)
        }
        Event::PrioritySet { number, priority } => {
            told.item_number = Some(number);
            ("priority_set", Some(json!({ "priority": priority })))
        }
        Event::ItemDeleted { number } => {
            told.item_number = Some(number);
            ("item_deleted", None)
        }
        Event::ItemsDeleted => ("items_deleted", None),
        Event::GhostEnded { token } => {
            told.token = Some(token.get());
            ("deleted_lease_ended", None)
        }
        Event::LimitSet { name, value } => {
            ("limit_set", Some(json!({ "name": name.as_str(), "value": value.map(|value| value.get()) })))
        }
        Event::GateHeld { group, gate } => {
            ("gate_held", Some(json!({ "group": group.as_str(), "gate": gate.as_str() })))
        }
        Event::GateOpened { group, gate } => {
            ("gate_opened", Some(json!({ "group": group.as_str(), "gate": gate.as_str() })))
        }
        // These live in memory alone and never reach a watcher.
        Event::LeaseTouched { .. } => ("lease_touched", None),
        Event::ExpiriesSeen => ("expiries_seen", None),
        Event::LeaseStuck { .. } => ("lease_stuck", None),
        Event::LeasesLooked => ("leases_looked", None),
        Event::WorkerSeen { .. } => ("worker_seen", None),
    };
    told.event = name.to_owned();
    told.detail = detail.map(|detail| detail.to_string());
}

fn figures(progress: Progress) -> Value {
    json!({ "documents": progress.documents, "bytes": progress.bytes })
}
