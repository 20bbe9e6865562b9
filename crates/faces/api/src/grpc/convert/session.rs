//! Sessions, their rules and counts, and workers.

use super::item::progress;
use super::malformed::json;
use super::time::timestamp;
use super::{Malformed, Named};
use capstan_ids::{LimitName, Millis, SessionName};
use capstan_proto::v1;
use capstan_work::{
    Attempts, Backoff, ItemState, LeaseGrowth, LimitValue, LimitView, OnExhausted, Policy, PolicyChange, SessionState,
    SessionView, WorkerView,
};

/// A session's name.
pub fn session_name(text: &str) -> Result<SessionName, Malformed> {
    SessionName::new(text).in_field("session")
}

/// What an owner keeps with its session.
pub fn notes(text: Option<String>) -> Result<Option<Box<str>>, Malformed> {
    json(text, "notes")
}

/// A session's rules, with the defaults for what was left out.
pub fn policy(wire: v1::Policy) -> Result<Policy, Malformed> {
    let defaults = Policy::default();
    let keep = match (wire.keep_all_completed, wire.keep_completed) {
        (true, None) => None,
        (true, Some(_)) => {
            return Err(Malformed::new("keep_completed", "left out where keep_all_completed is set", "a number"));
        }
        (false, keep) => keep.or(defaults.keep_completed),
    };
    Ok(Policy {
        lease: wire.lease_ms.map_or(defaults.lease, Millis),
        lease_min: wire.lease_min_ms.map_or(defaults.lease_min, Millis),
        lease_max: wire.lease_max_ms.map_or(defaults.lease_max, Millis),
        growth: growth(wire.lease_growth)?.unwrap_or(defaults.growth),
        attempts: wire.attempts.map_or(defaults.attempts, |most| (most > 0).then_some(most)),
        backoff: wire.backoff.map_or(defaults.backoff, backoff),
        on_exhausted: on_exhausted(wire.on_exhausted)?.unwrap_or(defaults.on_exhausted),
        weight: wire.weight.unwrap_or(defaults.weight),
        limits: limits(&wire.limits)?,
        keep_completed: keep,
        stuck_after: wire.stuck_after_ms.filter(|after| *after > 0).map(Millis),
        revoke_stuck: wire.revoke_stuck,
    })
}

/// What changes in a session's rules.
pub fn policy_change(wire: v1::PolicyChange) -> Result<PolicyChange, Malformed> {
    Ok(PolicyChange {
        lease: wire.lease_ms.map(Millis),
        lease_max: wire.lease_max_ms.map(Millis),
        growth: growth(wire.lease_growth)?,
        attempts: wire.attempts.map(|most| if most == 0 { Attempts::Unlimited } else { Attempts::Limited(most) }),
        backoff: wire.backoff.map(backoff),
        on_exhausted: on_exhausted(wire.on_exhausted)?,
        weight: wire.weight,
        stuck_after: wire.stuck_after_ms.map(Millis),
        revoke_stuck: wire.revoke_stuck,
    })
}

fn growth(number: i32) -> Result<Option<LeaseGrowth>, Malformed> {
    match v1::LeaseGrowth::try_from(number) {
        Ok(v1::LeaseGrowth::Unspecified) => Ok(None),
        Ok(v1::LeaseGrowth::Fixed) => Ok(Some(LeaseGrowth::Fixed)),
        Ok(v1::LeaseGrowth::Doubling) => Ok(Some(LeaseGrowth::Doubling)),
        Err(_) => Err(Malformed::new("lease_growth", "FIXED or DOUBLING", number)),
    }
}

fn on_exhausted(number: i32) -> Result<Option<OnExhausted>, Malformed> {
    match v1::OnExhausted::try_from(number) {
        Ok(v1::OnExhausted::Unspecified) => Ok(None),
        Ok(v1::OnExhausted::Pause) => Ok(Some(OnExhausted::Pause)),
        Ok(v1::OnExhausted::Skip) => Ok(Some(OnExhausted::Skip)),
        Ok(v1::OnExhausted::Fail) => Ok(Some(OnExhausted::Fail)),
        Err(_) => Err(Malformed::new("on_exhausted", "PAUSE, SKIP or FAIL", number)),
    }
}

fn backoff(wire: v1::Backoff) -> Backoff {
    match wire {
        v1::Backoff { initial_ms: 0, cap_ms: 0 } => Backoff::None,
        v1::Backoff { initial_ms, cap_ms } => Backoff::Exponential { initial: Millis(initial_ms), cap: Millis(cap_ms) },
    }
}

fn limits(wire: &[v1::Limit]) -> Result<Vec<(LimitName, LimitValue)>, Malformed> {
    let one = |(index, wire): (usize, &v1::Limit)| {
        let (name, value) =
            limit(&wire.name, Some(wire.value)).map_err(|e| e.under(format_args!("limits[{index}]")))?;
        Ok((name, value.expect("a value was given")))
    };
    wire.iter().enumerate().map(one).collect()
}

/// A limit's name and value.
pub fn limit(name: &str, value: Option<u32>) -> Result<(LimitName, Option<LimitValue>), Malformed> {
    let checked = |number| {
        let expected = format_args!("1 to {}", LimitValue::MAX).to_string();
        LimitValue::new(number).ok_or_else(|| Malformed::new("value", expected, number))
    };
    Ok((LimitName::new(name).in_field("name")?, value.map(checked).transpose()?))
}

/// A session as it stands.
pub fn session(view: SessionView) -> v1::Session {
    v1::Session {
        name: view.name.to_string(),
        policy: Some(wire_policy(&view.policy)),
        created_at: Some(timestamp(view.created)),
        updated_at: Some(timestamp(view.updated)),
        started_at: view.started.map(timestamp),
        status: Some(status(&view)),
        notes: view.notes.map(Into::into),
    }
}

/// What a session is doing.
pub fn status(view: &SessionView) -> v1::SessionStatus {
    let counts = &view.counts;
    v1::SessionStatus {
        session: view.name.to_string(),
        state: state(view.state) as i32,
        reason: view.reason.clone(),
        pending: counts.pending(),
        assigned: counts.of(ItemState::Assigned),
        completed: counts.of(ItemState::Completed),
        failed: counts.of(ItemState::Failed),
        waiting: counts.of(ItemState::Waiting),
        blocked: counts.of(ItemState::Blocked),
        cancelled: counts.of(ItemState::Cancelled),
        total: counts.total(),
        expected: Some(progress(counts.expected)),
        done: Some(progress(counts.done)),
        limits: view.limits.iter().map(limit_status).collect(),
        stuck: view.stuck,
    }
}

/// A limit, and what counts against it.
pub fn limit_status(view: &LimitView) -> v1::LimitStatus {
    v1::LimitStatus {
        name: view.name.to_string(),
        most: view.most.map(LimitValue::get),
        live: view.live,
        ready: view.ready,
    }
}

fn state(state: SessionState) -> v1::SessionState {
    match state {
        SessionState::Running => v1::SessionState::Running,
        SessionState::Pausing => v1::SessionState::Pausing,
        SessionState::Paused => v1::SessionState::Paused,
        SessionState::Completed => v1::SessionState::Completed,
        SessionState::CompletedWithFailures => v1::SessionState::CompletedWithFailures,
        SessionState::Cancelled => v1::SessionState::Cancelled,
        SessionState::Closed => v1::SessionState::Closed,
    }
}

/// A session's rules, nothing left out.
pub(super) fn wire_policy(policy: &Policy) -> v1::Policy {
    v1::Policy {
        lease_ms: Some(policy.lease.get()),
        lease_min_ms: Some(policy.lease_min.get()),
        lease_max_ms: Some(policy.lease_max.get()),
        lease_growth: match policy.growth {
            LeaseGrowth::Fixed => v1::LeaseGrowth::Fixed,
            LeaseGrowth::Doubling => v1::LeaseGrowth::Doubling,
        } as i32,
        attempts: Some(policy.attempts.unwrap_or(0)),
        backoff: Some(match policy.backoff {
            Backoff::None => v1::Backoff::default(),
            Backoff::Exponential { initial, cap } => v1::Backoff { initial_ms: initial.get(), cap_ms: cap.get() },
        }),
        on_exhausted: match policy.on_exhausted {
            OnExhausted::Pause => v1::OnExhausted::Pause,
            OnExhausted::Skip => v1::OnExhausted::Skip,
            OnExhausted::Fail => v1::OnExhausted::Fail,
        } as i32,
        weight: Some(policy.weight),
        limits: policy
            .limits
            .iter()
            .map(|(name, value)| v1::Limit { name: name.to_string(), value: value.get() })
            .collect(),
        keep_completed: policy.keep_completed,
        keep_all_completed: policy.keep_completed.is_none(),
        stuck_after_ms: policy.stuck_after.map(Millis::get),
        revoke_stuck: policy.revoke_stuck,
    }
}

/// A worker of a session.
pub fn worker(view: &WorkerView) -> v1::Worker {
    let holding =
        |(item, token, since): &(capstan_ids::ItemId, capstan_ids::Token, capstan_ids::WallTime)| v1::Holding {
            item_id: item.to_string(),
            token: token.get(),
            since: Some(timestamp(*since)),
            stuck: view.stuck.contains(item),
        };
    v1::Worker {
        session: view.session.to_string(),
        worker_id: view.worker.to_string(),
        holds: view.holds.iter().map(holding).collect(),
        done: view.done,
        failed: view.failed,
        first_seen_at: Some(timestamp(view.first_seen)),
        last_seen_at: Some(timestamp(view.last_seen)),
        slots: view.slots,
    }
}
