//! Pipelines, the room they share, and what happened to them.

use super::{age, length, text};
use crate::output::Table;
use capstan_client::v1;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// A status as it is written.
pub fn pipeline_status(status: v1::PipelineStatus) -> &'static str {
    match status {
        v1::PipelineStatus::Unspecified => "unknown",
        v1::PipelineStatus::Configured => "configured",
        v1::PipelineStatus::Running => "running",
        v1::PipelineStatus::Paused => "paused",
        v1::PipelineStatus::Stopped => "stopped",
        v1::PipelineStatus::Failed => "failed",
    }
}

fn health(health: v1::Health) -> &'static str {
    match health {
        v1::Health::Unspecified => "unknown",
        v1::Health::Idle => "idle",
        v1::Health::Healthy => "healthy",
        v1::Health::Degraded => "degraded",
        v1::Health::Critical => "critical",
    }
}

/// What became of a report.
pub fn outcome(outcome: v1::ReportOutcome) -> &'static str {
    match outcome {
        v1::ReportOutcome::Unspecified => "unknown",
        v1::ReportOutcome::Recorded => "recorded",
        v1::ReportOutcome::Held => "held",
        v1::ReportOutcome::Noted => "noted",
    }
}

fn resources(resources: Option<&v1::Resources>) -> Value {
    resources.map_or(Value::Null, |both| json!({ "cpu_percent": both.cpu_percent, "memory_mb": both.memory_mb }))
}

/// A pipeline as JSON.
pub fn pipeline(info: &v1::PipelineInfo) -> Value {
    let cost = info.cost.unwrap_or_default();
    json!({
        "id": info.pipeline_id,
        "name": info.name,
        "group": (!info.group.is_empty()).then_some(&info.group),
        "priority": info.priority,
        "labels": info.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>(),
        "status": pipeline_status(info.status()),
        "stale": info.stale_since.is_some(),
        "stale_since": info.stale_since.as_ref().map(text),
        "total_records": info.total_records,
        "failed_records": info.failed_records,
        "cpu_percent": info.cpu_percent,
        "memory_mb": info.memory_mb,
        "reserved": resources(info.reserved.as_ref()),
        "cost": { "cpu_hours": cost.cpu_hours, "gb_hours": cost.gb_hours, "bytes_moved": cost.bytes_moved },
        "registered_at": info.registered_at.as_ref().map(text),
        "last_heartbeat": info.last_heartbeat.as_ref().map(text),
        "updated_at": info.updated_at.as_ref().map(text),
        "ended_at": info.ended_at.as_ref().map(text),
    })
}

/// Everything about a pipeline, a line for each field.
pub fn pipeline_sheet(info: &v1::PipelineInfo, now: Timestamp) -> Table {
    let cost = info.cost.unwrap_or_default();
    let ago = |time: Option<&prost_types::Timestamp>| {
        time.map(|time| format!("{} ({} ago)", text(time), age(time, now))).unwrap_or_default()
    };
    let both = |both: v1::Resources| format!("{} % CPU, {} MB", both.cpu_percent, both.memory_mb);
    let mut labels: Vec<_> = info.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.sort();
    let used = v1::Resources { cpu_percent: info.cpu_percent, memory_mb: info.memory_mb };
    let moved =
        format!("{:.3} CPU-hours, {:.3} GB-hours, {} bytes moved", cost.cpu_hours, cost.gb_hours, cost.bytes_moved);
    let stale = ago(info.stale_since.as_ref());
    let stale = if stale.is_empty() { String::new() } else { format!(", stale since {stale}") };
    let mut table = Table::new(["FIELD", "VALUE"]);
    for (field, value) in [
        ("id", info.pipeline_id.clone()),
        ("name", info.name.clone()),
        ("group", info.group.clone()),
        ("labels", labels.join("  ")),
        ("priority", info.priority.to_string()),
        ("status", format!("{}{stale}", pipeline_status(info.status()))),
        ("records", format!("{}, {} failed", info.total_records, info.failed_records)),
        ("uses", both(used)),
        ("reserved", info.reserved.map(both).unwrap_or_default()),
        ("cost", moved),
        ("registered", ago(info.registered_at.as_ref())),
        ("heard", ago(info.last_heartbeat.as_ref())),
        ("updated", ago(info.updated_at.as_ref())),
        ("ended", ago(info.ended_at.as_ref())),
    ] {
        if !value.is_empty() {
            table.row([field.to_owned(), value]);
        }
    }
    table
}

/// Pipelines as a table.
pub fn pipelines<'a>(infos: impl IntoIterator<Item = &'a v1::PipelineInfo>, now: Timestamp) -> Table {
    let mut table = Table::new(["ID", "NAME", "GROUP", "STATUS", "RECORDS", "FAILED", "CPU %", "MEMORY MB", "HEARD"]);
    for info in infos {
        let stale = if info.stale_since.is_some() { " (stale)" } else { "" };
        table.row([
            info.pipeline_id.clone(),
            info.name.clone(),
            info.group.clone(),
            format!("{}{stale}", pipeline_status(info.status())),
            info.total_records.to_string(),
            info.failed_records.to_string(),
            info.cpu_percent.to_string(),
            info.memory_mb.to_string(),
            info.last_heartbeat.as_ref().map(|heard| age(heard, now)).unwrap_or_default(),
        ]);
    }
    table
}

/// Whether there is room, as JSON.
pub fn availability(room: &v1::ResourceAvailability) -> Value {
    json!({
        "available": room.available,
        "free": resources(room.free.as_ref()),
        "claimed": resources(room.claimed.as_ref()),
        "limits": resources(room.limits.as_ref()),
        "waiting": room.waiting,
    })
}

/// The same as a table.
pub fn room(room: &v1::ResourceAvailability) -> Table {
    let mut table = Table::new(["", "CPU %", "MEMORY MB"]);
    for (what, both) in [("free", room.free), ("claimed", room.claimed), ("limits", room.limits)] {
        let both = both.unwrap_or_default();
        table.row([what.to_owned(), both.cpu_percent.to_string(), both.memory_mb.to_string()]);
    }
    table
}

/// All pipelines together, as JSON.
pub fn system(system: &v1::SystemStatus) -> Value {
    let counts =
        system.by_status.iter().map(|count| (pipeline_status(count.status()).to_owned(), json!(count.pipelines)));
    json!({
        "health": health(system.health()),
        "pipelines": system.pipelines,
        "by_status": counts.collect::<Map<_, _>>(),
        "stale": system.stale,
        "failed": system.failed,
        "total_cpu_percent": system.total_cpu_percent,
        "total_memory_mb": system.total_memory_mb,
        "availability": system.availability.as_ref().map(availability),
        "reservations": system.reservations,
        "updated_at": system.updated_at.as_ref().map(text),
    })
}

/// The same as a row.
pub fn system_table(system: &v1::SystemStatus) -> Table {
    let count = |status: v1::PipelineStatus| {
        system.by_status.iter().find(|count| count.status() == status).map_or(0, |count| count.pipelines).to_string()
    };
    let limits = system.availability.and_then(|room| room.limits).unwrap_or_default();
    let mut table = Table::new(["HEALTH", "PIPELINES", "RUNNING", "FAILED", "STALE", "CPU %", "MEMORY MB", "WAITING"]);
    table.row([
        health(system.health()).to_owned(),
        system.pipelines.to_string(),
        count(v1::PipelineStatus::Running),
        count(v1::PipelineStatus::Failed),
        system.stale.to_string(),
        format!("{} of {}", system.total_cpu_percent, limits.cpu_percent),
        format!("{} of {}", system.total_memory_mb, limits.memory_mb),
        system.availability.map_or(0, |room| room.waiting).to_string(),
    ]);
    table
}

/// Room that is held or waited for, as JSON.
pub fn reservation(reservation: &v1::Reservation) -> Value {
    let both = reservation.resources.unwrap_or_default();
    json!({
        "pipeline": reservation.pipeline_id,
        "state": if reservation.held { "held" } else { "queued" },
        "cpu_percent": both.cpu_percent,
        "memory_mb": both.memory_mb,
        "ttl_seconds": reservation.ttl_ms as f64 / 1_000.0,
        "priority": reservation.priority,
        "ahead": (!reservation.held).then_some(reservation.ahead),
        "since": reservation.since.as_ref().map(text),
        "expires_at": reservation.expires_at.as_ref().map(text),
    })
}

/// The same as a table.
pub fn reservations(all: &[v1::Reservation], now: Timestamp) -> Table {
    let mut table = Table::new(["PIPELINE", "STATE", "CPU %", "MEMORY MB", "PRIORITY", "AHEAD", "SINCE", "ENDS"]);
    for each in all {
        let both = each.resources.unwrap_or_default();
        let when = |time: Option<&prost_types::Timestamp>| time.map(|time| age(time, now)).unwrap_or_default();
        table.row([
            each.pipeline_id.clone(),
            if each.held { "held" } else { "queued" }.to_owned(),
            both.cpu_percent.to_string(),
            both.memory_mb.to_string(),
            each.priority.to_string(),
            if each.held { String::new() } else { each.ahead.to_string() },
            when(each.since.as_ref()),
            when(each.expires_at.as_ref()),
        ]);
    }
    table
}

/// Limits as JSON.
pub fn registry_limits(limits: &v1::RegistryLimits) -> Value {
    json!({
        "cpu_percent_max": limits.cpu_percent_max,
        "memory_mb_max": limits.memory_mb_max,
        "stale_after_seconds": limits.stale_after_ms as f64 / 1_000.0,
        "stale_counts_as_failed": limits.stale_counts_as_failed,
        "keep_ended_seconds": limits.keep_ended_ms as f64 / 1_000.0,
    })
}

/// The same as a table.
pub fn limits_table(limits: &v1::RegistryLimits) -> Table {
    let mut table = Table::new(["LIMIT", "VALUE"]);
    for (name, value) in [
        ("CPU of all together", format!("{} %", limits.cpu_percent_max)),
        ("memory of all together", format!("{} MB", limits.memory_mb_max)),
        ("silence that makes stale", length(limits.stale_after_ms)),
        ("stale counts as failed", if limits.stale_counts_as_failed { "yes" } else { "no" }.to_owned()),
        ("ended ones are kept for", length(limits.keep_ended_ms)),
    ] {
        table.row([name.to_owned(), value]);
    }
    table
}

/// Something that happened, as JSON.
pub fn fact(fact: &v1::RegistryFact) -> Value {
    json!({
        "position": fact.position,
        "at": fact.at.as_ref().map(text),
        "pipeline": (!fact.pipeline_id.is_empty()).then_some(&fact.pipeline_id),
        "event": fact.event,
        "details": details(fact).map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>(),
    })
}

/// The same as a line.
pub fn fact_line(fact: &v1::RegistryFact) -> String {
    let pipeline = if fact.pipeline_id.is_empty() { "*" } else { &fact.pipeline_id };
    let at = fact.at.as_ref().map(text).unwrap_or_default();
    let mut line = format!("{}  {at}  {pipeline}  {}", fact.position, fact.event);
    for (key, value) in details(fact) {
        let is_plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '\\'));
        let value = if is_plain { value.clone() } else { format!("{value:?}") };
        line.push_str(&format!("  {key}={value}"));
    }
    line
}

/// In the order of their names: a map of the wire has none.
fn details(fact: &v1::RegistryFact) -> impl Iterator<Item = (&String, &String)> {
    let mut details: Vec<_> = fact.details.iter().collect();
    details.sort();
    details.into_iter()
}
