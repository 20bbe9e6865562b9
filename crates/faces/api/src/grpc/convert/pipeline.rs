//! Pipelines, and all of them together.

use super::{Malformed, Named, timestamp};
use crate::registry::Placed;
use crate::wire::fact::FactShape;
use capstan_ids::Millis;
use capstan_proto::v1;
use capstan_registry::{
    Availability, Cost, Cpu, Health, LabelKey, LabelValue, Labels, PipelineGroup, PipelineId, PipelineName,
    PipelineStatus, PipelineView, Register, Reported, ReservationView, Reserve, Resources, Rules, RulesChange,
    StatusReport, SystemView,
};

/// A pipeline's id.
pub fn pipeline_id(text: &str) -> Result<PipelineId, Malformed> {
    PipelineId::new(text).in_field("pipeline_id")
}

/// A group; none for the empty one.
pub fn pipeline_group(text: &str) -> Result<Option<PipelineGroup>, Malformed> {
    if text.is_empty() { Ok(None) } else { PipelineGroup::new(text).in_field("group").map(Some) }
}

fn small(number: i32) -> Result<i16, Malformed> {
    i16::try_from(number).map_err(|_| Malformed::new("priority", "-32,768 to 32,767", number))
}

/// A new pipeline.
pub fn register(request: v1::RegisterPipelineRequest) -> Result<Register, Malformed> {
    let mut labels = Labels::new();
    for (key, value) in &request.labels {
        let field = || format!("labels[{:?}]", key.chars().take(64).collect::<String>());
        labels.insert(LabelKey::new(key).in_field(field())?, LabelValue::new(value).in_field(field())?);
    }
    Ok(Register {
        id: pipeline_id(&request.pipeline_id)?,
        name: PipelineName::new(&request.name).in_field("name")?,
        group: pipeline_group(&request.group)?,
        priority: small(request.priority)?,
        labels,
    })
}

/// What a pipeline may be doing; none for what is not said.
pub fn pipeline_status(number: i32) -> Result<Option<PipelineStatus>, Malformed> {
    let expected = "one of the named statuses";
    match v1::PipelineStatus::try_from(number).map_err(|_| Malformed::new("status", expected, number))? {
        v1::PipelineStatus::Unspecified => Ok(None),
        v1::PipelineStatus::Configured => Ok(Some(PipelineStatus::Configured)),
        v1::PipelineStatus::Running => Ok(Some(PipelineStatus::Running)),
        v1::PipelineStatus::Paused => Ok(Some(PipelineStatus::Paused)),
        v1::PipelineStatus::Stopped => Ok(Some(PipelineStatus::Stopped)),
        v1::PipelineStatus::Failed => Ok(Some(PipelineStatus::Failed)),
    }
}

/// What a pipeline says it is doing.
pub fn status_report(request: v1::UpdatePipelineStatusRequest) -> Result<StatusReport, Malformed> {
    let status = pipeline_status(request.status)?;
    Ok(StatusReport {
        id: pipeline_id(&request.pipeline_id)?,
        status: status.ok_or_else(|| Malformed::missing("status", "what the pipeline is doing"))?,
        total_records: request.total_records,
        failed_records: request.failed_records,
        bytes_moved: request.bytes_moved,
    })
}

/// A request for room.
pub fn reserve(request: &v1::ReserveRequest) -> Result<Reserve, Malformed> {
    let id = pipeline_id(&request.pipeline_id)?;
    let asked = Reserve::new(id, request.cpu_percent, request.memory_mb);
    Ok(Reserve {
        ttl: if request.ttl_ms == 0 { asked.ttl } else { Millis(request.ttl_ms) },
        wait: (request.wait_ms > 0).then_some(Millis(request.wait_ms)),
        priority: request.priority.map(small).transpose()?,
        ..asked
    })
}

/// A change of the rules.
pub fn rules_change(request: &v1::ChangeLimitsRequest) -> RulesChange {
    let rules = |limits: &v1::RegistryLimits| Rules {
        limits: Resources {
            // What is no share of CPU is the limit of no rules, and so never theirs.
            cpu: Cpu::from_thousandths((limits.cpu_percent_max * 1_000.0).round() as u64),
            memory_mb: limits.memory_mb_max,
        },
        stale_after: Millis(limits.stale_after_ms),
        stale_counts_as_failed: limits.stale_counts_as_failed,
        keep_ended: Millis(limits.keep_ended_ms),
    };
    RulesChange {
        cpu_percent_max: request.cpu_percent_max,
        memory_mb_max: request.memory_mb_max,
        stale_after: request.stale_after_ms.map(Millis),
        stale_counts_as_failed: request.stale_counts_as_failed,
        keep_ended: request.keep_ended_ms.map(Millis),
        only_if: request.only_if.as_ref().map(rules),
    }
}

/// The rules as they go out.
pub fn rules(rules: &Rules) -> v1::RegistryLimits {
    v1::RegistryLimits {
        cpu_percent_max: rules.limits.cpu.as_percent(),
        memory_mb_max: rules.limits.memory_mb,
        stale_after_ms: rules.stale_after.get(),
        stale_counts_as_failed: rules.stale_counts_as_failed,
        keep_ended_ms: rules.keep_ended.get(),
    }
}

/// What became of a report.
pub fn outcome(reported: Reported) -> i32 {
    let outcome = match reported {
        Reported::Recorded => v1::ReportOutcome::Recorded,
        Reported::Held { .. } => v1::ReportOutcome::Held,
        Reported::Noted => v1::ReportOutcome::Noted,
        Reported::Unknown => v1::ReportOutcome::Unspecified,
    };
    outcome.into()
}

fn status_number(status: PipelineStatus) -> i32 {
    let status = match status {
        PipelineStatus::Configured => v1::PipelineStatus::Configured,
        PipelineStatus::Running => v1::PipelineStatus::Running,
        PipelineStatus::Paused => v1::PipelineStatus::Paused,
        PipelineStatus::Stopped => v1::PipelineStatus::Stopped,
        PipelineStatus::Failed => v1::PipelineStatus::Failed,
    };
    status.into()
}

fn resources(resources: Resources) -> v1::Resources {
    v1::Resources { cpu_percent: resources.cpu.as_percent(), memory_mb: resources.memory_mb }
}

fn cost(cost: Cost) -> v1::PipelineCost {
    v1::PipelineCost {
        cpu_hours: cost.cpu_seconds() / 3_600.0,
        gb_hours: cost.memory_mb_seconds() / 3_600_000.0,
        bytes_moved: cost.bytes_moved(),
    }
}

/// A pipeline as it stands.
pub fn pipeline(view: PipelineView) -> v1::PipelineInfo {
    v1::PipelineInfo {
        pipeline_id: view.id.to_string(),
        name: view.name.to_string(),
        group: view.group.map(|group| group.to_string()).unwrap_or_default(),
        priority: view.priority.into(),
        labels: view.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        status: status_number(view.status),
        stale_since: view.stale_since.map(timestamp),
        total_records: view.total_records,
        failed_records: view.failed_records,
        cpu_percent: view.used.cpu.as_percent(),
        memory_mb: view.used.memory_mb,
        reserved: view.reserved.map(resources),
        cost: Some(cost(view.cost)),
        registered_at: Some(timestamp(view.registered_at)),
        last_heartbeat: Some(timestamp(view.last_heartbeat)),
        updated_at: Some(timestamp(view.updated_at)),
        ended_at: view.ended_at.map(timestamp),
    }
}

/// Whether there is room.
pub fn availability(room: Availability) -> v1::ResourceAvailability {
    v1::ResourceAvailability {
        available: room.available,
        free: Some(resources(room.free)),
        claimed: Some(resources(room.claimed)),
        limits: Some(resources(room.limits)),
        waiting: room.waiting,
    }
}

/// All pipelines together.
pub fn system(view: SystemView) -> v1::SystemStatus {
    let health = match view.health {
        Health::Idle => v1::Health::Idle,
        Health::Healthy => v1::Health::Healthy,
        Health::Degraded => v1::Health::Degraded,
        Health::Critical => v1::Health::Critical,
    };
    let count = |(status, pipelines): &(PipelineStatus, u64)| v1::PipelineCount {
        status: status_number(*status),
        pipelines: *pipelines,
    };
    v1::SystemStatus {
        health: health.into(),
        pipelines: view.pipelines,
        by_status: view.by_status.iter().map(count).collect(),
        stale: view.stale,
        failed: view.failed,
        total_cpu_percent: view.used.cpu.as_percent(),
        total_memory_mb: view.used.memory_mb,
        availability: Some(availability(view.availability)),
        reservations: view.reservations,
        updated_at: Some(timestamp(view.updated_at)),
    }
}

/// Room that is held or waited for.
pub fn reservation(view: ReservationView) -> v1::Reservation {
    v1::Reservation {
        pipeline_id: view.id.to_string(),
        held: view.is_held(),
        resources: Some(resources(view.resources)),
        ttl_ms: view.ttl.get(),
        priority: view.priority.into(),
        ahead: view.ahead.unwrap_or(0),
        since: Some(timestamp(view.since)),
        expires_at: Some(timestamp(view.expires)),
    }
}

/// Something that happened.
pub fn fact(placed: Placed) -> v1::RegistryFact {
    let shape = FactShape::from(placed);
    v1::RegistryFact {
        position: shape.position,
        at: Some(timestamp(shape.at)),
        pipeline_id: shape.pipeline.unwrap_or_default(),
        event: shape.event.to_owned(),
        details: shape.details.into_iter().collect(),
    }
}
