//! Jobs, units and chunks.

use super::timestamp;
use crate::look::{ChunkLook, JobLook, reason, word};
use capstan_coordinator::StageStatus;
use capstan_migration::{Figures, UnitView, Verdict};
use capstan_proto::v1;
use capstan_work::ItemState;

/// A job as it stands.
pub fn job(look: &JobLook) -> v1::Job {
    let view = &look.view;
    v1::Job {
        name: view.name.to_string(),
        spec: serde_json::to_string(&view.spec).unwrap_or_default(),
        state: look.state().to_owned(),
        reason: look.reason(),
        submitted_at: Some(timestamp(view.submitted)),
        ended_at: view.ended.map(|(_, at)| timestamp(at)),
        refused: view.refused.iter().map(reason).collect(),
        units: view.units,
        units_planned: view.units_planned,
        units_finished: view.units_finished,
        units_verified: view.units_verified,
        chunks: view.chunks,
        chunks_dumped: view.chunks_dumped,
        chunks_restored: view.chunks_restored,
        size: Some(figures(view.size)),
        dumped: Some(figures(view.dumped)),
        restored: Some(figures(view.restored)),
        dead_letters: view.dead_letters,
        percent: view.percent,
        pools: look
            .pools()
            .iter()
            .map(|pool| v1::Pool {
                kind: pool.kind.to_string(),
                size: pool.size,
                running: pool.running,
                ready: pool.ready,
            })
            .collect(),
        failed: look.items(ItemState::Failed),
        blocked: look.items(ItemState::Blocked),
        mode: view.spec.mode.name().to_owned(),
        idle: look.is_idle(),
        stages: look.stages().iter().map(stage).collect(),
        active_units: look
            .status
            .iter()
            .flat_map(|status| status.active_units.iter().map(ToString::to_string))
            .collect(),
        stuck: look.stuck(),
        slots: look.status.as_ref().and_then(|status| status.slots),
        connected: look.is_connected(),
        rates: Some(rates(view.rates)),
        priorities: view
            .priorities
            .iter()
            .map(|priority| v1::UnitPriority {
                collection: priority.collection.clone(),
                priority: priority.priority.into(),
            })
            .collect(),
    }
}

pub(super) fn stage(stage: &StageStatus) -> v1::StageStatus {
    v1::StageStatus {
        kind: stage.kind.to_string(),
        pending: stage.pending,
        running: stage.running,
        done: stage.done,
        failed: stage.failed,
        waiting: stage.waiting,
        blocked: stage.blocked,
        cancelled: stage.cancelled,
    }
}

/// A unit as it stands, with how many of its chunks have failed.
pub fn unit(view: UnitView, chunks_failed: u64) -> v1::Unit {
    v1::Unit {
        id: view.id.to_string(),
        source: view.source.to_string(),
        target: view.target.to_string(),
        view: view.view,
        planned: view.planned,
        finished: view.finished,
        verified: view.verdict.is_some(),
        chunks: view.chunks,
        chunks_dumped: view.chunks_dumped,
        chunks_restored: view.chunks_restored,
        size: Some(figures(view.size)),
        dumped: Some(figures(view.dumped)),
        restored: Some(figures(view.restored)),
        percent: view.percent,
        dead_letters: view.dead_letters,
        verdict: view.verdict.map(verdict),
        given_up: view.given_up,
        chunks_failed,
    }
}

/// A chunk, and what is being done with it.
pub fn chunk(look: &ChunkLook) -> v1::Chunk {
    let (view, item) = (&look.view, look.item.as_ref());
    v1::Chunk {
        index: view.index,
        state: look.state().to_owned(),
        size: Some(figures(view.size)),
        generation: view.generation,
        range: view.range.to_string(),
        dead_letters: view.dead_letters,
        attempts: item.map_or(0, |item| item.attempts),
        error: look.error().map(str::to_owned),
        worker_id: look.worker().map(str::to_owned),
        progress: Some(figures(look.progress())),
    }
}

pub(super) fn verdict(verdict: Verdict) -> v1::Verdict {
    v1::Verdict {
        mode: word(&verdict.mode),
        ranges: verdict.ranges,
        missing: verdict.missing,
        extra: verdict.extra,
        different: verdict.different,
        repaired: verdict.repaired,
        reordered: verdict.reordered,
        compared: Some(figures(verdict.compared)),
    }
}

fn rates(rates: capstan_migration::Rates) -> v1::Rates {
    v1::Rates { documents: rates.documents, bytes: rates.bytes, operations: rates.operations }
}

fn figures(figures: Figures) -> v1::Figures {
    v1::Figures { documents: figures.documents, bytes: figures.bytes }
}
