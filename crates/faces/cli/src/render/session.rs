//! Sessions and workers.

use super::item::progress;
use super::{age, opaque, text};
use crate::output::Table;
use capstan_client::v1;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

fn state_name(state: v1::SessionState) -> &'static str {
    match state {
        v1::SessionState::Unspecified => "unknown",
        v1::SessionState::Running => "running",
        v1::SessionState::Pausing => "pausing",
        v1::SessionState::Paused => "paused",
        v1::SessionState::Completed => "completed",
        v1::SessionState::CompletedWithFailures => "completed_with_failures",
        v1::SessionState::Cancelled => "cancelled",
        v1::SessionState::Closed => "closed",
    }
}

/// What a session is doing.
pub fn status(status: &v1::SessionStatus) -> Value {
    let limit = |limit: &v1::LimitStatus| json!({ "name": limit.name, "most": limit.most, "live": limit.live, "ready": limit.ready });
    json!({
        "session": status.session,
        "state": state_name(status.state()),
        "reason": status.reason,
        "pending": status.pending,
        "assigned": status.assigned,
        "completed": status.completed,
        "failed": status.failed,
        "waiting": status.waiting,
        "blocked": status.blocked,
        "cancelled": status.cancelled,
        "total": status.total,
        "stuck": status.stuck,
        "expected": progress(status.expected.as_ref()),
        "done": progress(status.done.as_ref()),
        "limits": status.limits.iter().map(limit).collect::<Vec<_>>(),
    })
}

/// What sessions are doing, as rows.
pub fn status_of_all<'a>(all: impl IntoIterator<Item = &'a v1::SessionStatus>) -> Table {
    let heading = [
        "SESSION",
        "STATE",
        "PENDING",
        "ASSIGNED",
        "COMPLETED",
        "FAILED",
        "WAITING",
        "BLOCKED",
        "CANCELLED",
        "TOTAL",
        "REASON",
    ];
    let mut table = Table::new(heading);
    for status in all {
        table.row([
            status.session.clone(),
            state_name(status.state()).to_owned(),
            status.pending.to_string(),
            status.assigned.to_string(),
            status.completed.to_string(),
            status.failed.to_string(),
            status.waiting.to_string(),
            status.blocked.to_string(),
            status.cancelled.to_string(),
            status.total.to_string(),
            status.reason.clone().unwrap_or_default(),
        ]);
    }
    table
}

/// A session's rules.
pub(super) fn policy(policy: &v1::Policy) -> Value {
    let growth = match policy.lease_growth() {
        v1::LeaseGrowth::Doubling => "doubling",
        v1::LeaseGrowth::Fixed | v1::LeaseGrowth::Unspecified => "fixed",
    };
    let backoff = match policy.backoff.unwrap_or_default() {
        v1::Backoff { initial_ms: 0, cap_ms: 0 } => json!("none"),
        v1::Backoff { initial_ms, cap_ms } => json!({ "exponential": { "initial_ms": initial_ms, "cap_ms": cap_ms } }),
    };
    let on_exhausted = match policy.on_exhausted() {
        v1::OnExhausted::Pause | v1::OnExhausted::Unspecified => "pause",
        v1::OnExhausted::Skip => "skip",
        v1::OnExhausted::Fail => "fail",
    };
    let unlimited = || json!("unlimited");
    let limits: Map<_, _> = policy.limits.iter().map(|limit| (limit.name.clone(), json!(limit.value))).collect();
    json!({
        "lease_ms": policy.lease_ms,
        "lease_min_ms": policy.lease_min_ms,
        "lease_max_ms": policy.lease_max_ms,
        "lease_growth": growth,
        "attempts": policy.attempts.filter(|most| *most > 0).map_or_else(unlimited, |most| json!(most)),
        "backoff": backoff,
        "on_exhausted": on_exhausted,
        "weight": policy.weight,
        "limits": limits,
        "keep_completed": policy.keep_completed.map_or_else(unlimited, |most| json!(most)),
        "stuck_after_ms": policy.stuck_after_ms,
        "revoke_stuck": policy.revoke_stuck,
    })
}

/// A session as it stands.
pub fn session(session: &v1::Session) -> Value {
    json!({
        "name": session.name,
        "policy": session.policy.as_ref().map(policy),
        "notes": opaque(session.notes.as_deref()),
        "status": session.status.as_ref().map(status),
        "created_at": session.created_at.as_ref().map(text),
        "updated_at": session.updated_at.as_ref().map(text),
        "started_at": session.started_at.as_ref().map(text),
    })
}

/// Sessions as rows.
pub fn sessions(sessions: &[v1::Session], now: Timestamp) -> Table {
    let mut table = Table::new(["NAME", "STATE", "DONE", "PENDING", "ASSIGNED", "FAILED", "AGE"]);
    for session in sessions {
        let nothing = v1::SessionStatus::default();
        let status = session.status.as_ref().unwrap_or(&nothing);
        table.row([
            session.name.clone(),
            state_name(status.state()).to_owned(),
            format!("{}/{}", status.completed, status.total),
            status.pending.to_string(),
            status.assigned.to_string(),
            status.failed.to_string(),
            session.created_at.as_ref().map(|at| age(at, now)).unwrap_or_default(),
        ]);
    }
    table
}

/// Workers, as JSON and as rows: one for each lease, and one for a worker that holds none.
pub fn workers(workers: &[v1::Worker], now: Timestamp) -> (Value, Table) {
    let held = |held: &v1::Holding| json!({ "id": held.item_id, "token": held.token, "since": held.since.as_ref().map(text), "stuck": held.stuck });
    let told = |worker: &v1::Worker| {
        json!({
            "session": worker.session,
            "worker_id": worker.worker_id,
            "holds": worker.holds.iter().map(held).collect::<Vec<_>>(),
            "done": worker.done,
            "failed": worker.failed,
            "slots": worker.slots,
            "first_seen_at": worker.first_seen_at.as_ref().map(text),
            "last_seen_at": worker.last_seen_at.as_ref().map(text),
        })
    };
    let mut table = Table::new(["SESSION", "WORKER", "HOLDS", "SINCE", "DONE", "FAILED", "SEEN"]);
    for worker in workers {
        let row = |item: &str, since: String| {
            [
                worker.session.clone(),
                worker.worker_id.clone(),
                item.to_owned(),
                since,
                worker.done.to_string(),
                worker.failed.to_string(),
                worker.last_seen_at.as_ref().map(|at| age(at, now)).unwrap_or_default(),
            ]
        };
        for held in &worker.holds {
            let since = held.since.as_ref().map(|at| age(at, now)).unwrap_or_default();
            table.row(row(&held.item_id, if held.stuck { format!("{since} (stuck)") } else { since }));
        }
        if worker.holds.is_empty() {
            table.row(row("", String::new()));
        }
    }
    (Value::Array(workers.iter().map(told).collect()), table)
}
