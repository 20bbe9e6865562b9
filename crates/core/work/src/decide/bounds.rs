//! Stated limits on what comes in. docs/limits.md lists them.

use crate::command::NewItem;
use crate::groups::Group;
use crate::policy::{Attempts, Backoff, Policy, PolicyChange};
use crate::rejection::Rejection;
use crate::session::Session;
use capstan_ids::Millis;

/// Items of one command.
pub(crate) const BATCH_MAX: usize = 10_000;
/// Grants of one acquire.
pub(crate) const GRANTS_MAX: u32 = 1_000;
/// Sessions or kinds that one acquire names.
pub(crate) const NAMES_MAX: usize = 1_000;
/// Bytes of a payload or a result.
pub(crate) const PAYLOAD_MAX: usize = 64 * 1024;
/// Bytes of a checkpoint.
pub(crate) const CHECKPOINT_MAX: usize = 16 * 1024;
/// Bytes of an error or a reason.
pub(crate) const TEXT_MAX: usize = 4 * 1024;
/// Bytes of an index name.
const INDEX_NAME_MAX: usize = 512;
/// Bytes of a session's notes.
const NOTES_MAX: usize = 256 * 1024;
/// Groups of one item.
const GROUPS_MAX: usize = 16;
/// Waits of one item.
const WAITS_MAX: usize = 64;
/// Limits of one item, beside its kind and `global`.
const ITEM_LIMITS_MAX: usize = 8;
/// Gates of one group, held or opened.
const GATES_MAX: usize = 1_000;
/// Groups of one session.
pub(crate) const SESSION_GROUPS_MAX: usize = 1_000_000;
/// Names that leases of one session count against.
pub(crate) const SESSION_LIMITS_MAX: usize = 4_096;
/// Documents or bytes: what JSON readers hold exactly.
const FIGURE_MAX: u64 = (1 << 53) - 1;
const LEASE_MIN: Millis = Millis(10);
const LEASE_MAX: Millis = Millis::secs(7 * 86_400);

fn out_of_range(field: &'static str, expected: &'static str, found: impl ToString) -> Rejection {
    Rejection::OutOfRange { field, expected, found: found.to_string() }
}

pub(crate) fn check_text(
    field: &'static str,
    text: Option<&str>,
    most: usize,
    expected: &'static str,
) -> Result<(), Rejection> {
    match text {
        Some(text) if text.len() > most => Err(out_of_range(field, expected, format!("{} bytes", text.len()))),
        _ => Ok(()),
    }
}

pub(crate) fn check_checkpoint(checkpoint: Option<&str>) -> Result<(), Rejection> {
    check_text("checkpoint", checkpoint, CHECKPOINT_MAX, "at most 16 KiB")
}

pub(crate) fn check_figure(field: &'static str, figure: u64) -> Result<(), Rejection> {
    if figure > FIGURE_MAX { Err(out_of_range(field, "0 to 2^53 - 1", figure)) } else { Ok(()) }
}

pub(crate) fn check_item(item: &NewItem) -> Result<(), Rejection> {
    check_text("payload", item.payload.as_deref(), PAYLOAD_MAX, "at most 64 KiB")?;
    check_text("index_name", Some(&item.index_name), INDEX_NAME_MAX, "at most 512 bytes")?;
    check_figure("document_count", item.document_count)?;
    check_figure("total_size_bytes", item.total_size_bytes)?;
    if item.groups.len() > GROUPS_MAX {
        return Err(out_of_range("groups", "at most 16", item.groups.len()));
    }
    if item.waits_for.len() > WAITS_MAX {
        return Err(out_of_range("waits_for", "at most 64", item.waits_for.len()));
    }
    if item.limits.len() > ITEM_LIMITS_MAX {
        return Err(out_of_range("limits", "at most 8", item.limits.len()));
    }
    if item.undo && !item.waits_for.is_empty() {
        let expected = "none for an undo item, which waits for the end of every lease";
        return Err(out_of_range("waits_for", expected, item.waits_for.len()));
    }
    if item.undo && !item.groups.is_empty() {
        return Err(out_of_range("groups", "none for an undo item, which belongs to no group", item.groups.len()));
    }
    Ok(())
}

/// Whether a group, known or new, takes `more` gates.
pub(crate) fn check_gates(session: &Session, group: Option<&Group>, more: usize) -> Result<(), Rejection> {
    let gates = group.map_or(0, |group| group.gates.len() + group.opened.len());
    if gates + more > GATES_MAX {
        let advice = "use several groups";
        return Err(Rejection::LimitReached { what: "gates of one group", limit: GATES_MAX as u64, advice });
    }
    if group.is_none() && session.groups.len() + more > SESSION_GROUPS_MAX {
        let (what, advice) = ("groups in one session", "use several sessions");
        return Err(Rejection::LimitReached { what, limit: SESSION_GROUPS_MAX as u64, advice });
    }
    Ok(())
}

pub(crate) fn check_notes(notes: Option<&str>) -> Result<(), Rejection> {
    check_text("notes", notes, NOTES_MAX, "at most 256 KiB")
}

pub(crate) fn check_policy(policy: &Policy) -> Result<(), Rejection> {
    if policy.lease_min < LEASE_MIN || policy.lease_max > LEASE_MAX || policy.lease_min > policy.lease_max {
        let found = format!("{} to {} ms", policy.lease_min.get(), policy.lease_max.get());
        return Err(out_of_range("lease_min and lease_max", "10 ms to 7 days, the shorter first", found));
    }
    if policy.lease < policy.lease_min || policy.lease > policy.lease_max {
        return Err(out_of_range(
            "lease",
            "between the session's shortest and longest",
            format!("{} ms", policy.lease.get()),
        ));
    }
    if policy.attempts.is_some_and(|attempts| attempts == 0 || attempts > 1_000_000) {
        return Err(out_of_range("attempts", "1 to 1,000,000, or unlimited", policy.attempts.unwrap_or_default()));
    }
    if policy.weight == 0 || policy.weight > 1_000 {
        return Err(out_of_range("weight", "1 to 1,000", policy.weight));
    }
    if let Backoff::Exponential { initial, cap } = policy.backoff
        && (initial == Millis::ZERO || cap < initial || cap > LEASE_MAX)
    {
        let found = format!("{} to {} ms", initial.get(), cap.get());
        return Err(out_of_range("backoff", "1 ms to 7 days, the cap not below the first", found));
    }
    if let Some(after) = policy.stuck_after.filter(|after| *after == Millis::ZERO || *after > LEASE_MAX) {
        return Err(out_of_range("stuck_after", "1 ms to 7 days, or none", format!("{} ms", after.get())));
    }
    if policy.limits.len() > SESSION_LIMITS_MAX {
        return Err(out_of_range("limits", "at most 4,096", policy.limits.len()));
    }
    Ok(())
}

pub(crate) fn check_change(change: &PolicyChange, policy: &Policy) -> Result<Policy, Rejection> {
    if let Some(Attempts::Limited(0)) = change.attempts {
        return Err(out_of_range("attempts", "1 to 1,000,000, or unlimited", 0));
    }
    let changed = change.applied_to(policy);
    check_policy(&changed)?;
    Ok(changed)
}
