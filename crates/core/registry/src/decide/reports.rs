//! What pipelines say of themselves, and how little of it the journal needs.

use super::{Decision, Reply};
use crate::answer::Reported;
use crate::command::StatusReport;
use crate::event::Event;
use crate::limits::COUNT_MAX;
use crate::name::PipelineId;
use crate::pipeline::{Pipeline, Report};
use crate::rejection::Rejection;
use crate::resources::Resources;
use crate::state::Registry;
use capstan_ids::{Moment, WallTime};

impl Registry {
    pub(super) fn decide_heartbeat(&self, id: &PipelineId, now: Moment) -> Decision {
        let Some(pipeline) = self.pipelines.get(id) else { return Decision::unknown() };
        let events = heard(id, pipeline, now);
        let recorded = events.iter().any(Event::is_durable);
        Decision::reported(events, if recorded { Reported::Recorded } else { Reported::Noted })
    }

    pub(super) fn decide_status(&self, said: &StatusReport, now: Moment) -> Result<Decision, Rejection> {
        for (field, count) in [
            ("total_records", said.total_records),
            ("failed_records", said.failed_records),
            ("bytes_moved", said.bytes_moved.unwrap_or(0)),
        ] {
            if count > COUNT_MAX {
                return Err(Rejection::OutOfRange { field, expected: "0 to 2^53 - 1", found: count.to_string() });
            }
        }
        let Some(pipeline) = self.pipelines.get(&said.id) else { return Ok(Decision::unknown()) };
        // Bytes that this one leaves out are those of the report it replaces.
        let latest = pipeline.live.held.map_or(pipeline.facts.report, |(_, held)| held);
        let report = Report {
            status: said.status,
            total_records: said.total_records,
            failed_records: said.failed_records,
            bytes_moved: said.bytes_moved.unwrap_or(latest.bytes_moved),
        };
        if report == latest && pipeline.live.held.is_none() {
            return Ok(self.decide_heartbeat(&said.id, now));
        }
        let mut events = heard(&said.id, pipeline, now);
        let until = pipeline.live.status_from();
        if until <= now.monotonic {
            events.push(updated(&said.id, report, now.wall));
            return Ok(Decision::reported(events, Reported::Recorded));
        }
        events.push(held(&said.id, report));
        Ok(Decision::reported(events, Reported::Held { until }))
    }

    pub(super) fn decide_usage(
        &self,
        id: &PipelineId,
        cpu_percent: f64,
        memory_mb: i64,
        now: Moment,
    ) -> Result<Decision, Rejection> {
        let used = Resources::of_a_pipeline(cpu_percent, memory_mb)?;
        let Some(pipeline) = self.pipelines.get(id) else { return Ok(Decision::unknown()) };
        // What has ended uses nothing: a figure that comes after its end would hold room for as long as it is kept.
        if used == pipeline.live.used || pipeline.is_ended() {
            return Ok(self.decide_heartbeat(id, now));
        }
        let mut events = heard(id, pipeline, now);
        let in_turn = pipeline.live.usage_from() <= now.monotonic && self.window.room(now.monotonic) > 0;
        if in_turn && used != pipeline.facts.used {
            events.push(Event::ResourceUsageReported { id: id.clone(), at: now.wall, used });
            return Ok(Decision::reported(events, Reported::Recorded));
        }
        events.push(Event::UsageSeen { id: id.clone(), used });
        Ok(Decision::reported(events, Reported::Noted))
    }
}

impl Decision {
    fn reported(events: Vec<Event>, reported: Reported) -> Self {
        Self { events, reply: Reply::Reported(reported) }
    }

    fn unknown() -> Self {
        Self::reported(Vec::new(), Reported::Unknown)
    }
}

/// What every report is besides: a heartbeat, and for a stale pipeline a return.
fn heard(id: &PipelineId, pipeline: &Pipeline, now: Moment) -> Vec<Event> {
    let mut events = vec![Event::HeartbeatSeen { id: id.clone(), at: now.wall }];
    if pipeline.facts.stale.is_some() {
        events.push(Event::MarkedLive { id: id.clone(), at: now.wall });
    }
    events
}

pub(super) fn updated(id: &PipelineId, report: Report, at: WallTime) -> Event {
    let Report { status, total_records, failed_records, bytes_moved } = report;
    Event::PipelineStatusUpdated { id: id.clone(), at, status, total_records, failed_records, bytes_moved }
}

fn held(id: &PipelineId, report: Report) -> Event {
    let Report { status, total_records, failed_records, bytes_moved } = report;
    Event::StatusHeld { id: id.clone(), status, total_records, failed_records, bytes_moved }
}
