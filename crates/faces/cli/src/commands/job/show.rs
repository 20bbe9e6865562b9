//! Jobs, units and pools as JSON with stable fields and as tables.

use crate::output::Table;
use capstan_client::v1;
use serde_json::{Value, json};

/// What is said of a job that goes on and has nobody to do it.
pub const NO_WORKER: &str = "no worker is connected; start one with `capstan worker`";

/// A job as programs read it.
pub fn document(job: &v1::Job) -> Value {
    let figures = |figures: Option<v1::Figures>| {
        let figures = figures.unwrap_or_default();
        json!({ "documents": figures.documents, "bytes": figures.bytes })
    };
    let stage = |kind: &str| {
        let stage = job.stages.iter().find(|stage| stage.kind == kind).cloned().unwrap_or_default();
        json!({
            "pending": stage.pending, "running": stage.running, "done": stage.done, "failed": stage.failed,
            "waiting": stage.waiting, "blocked": stage.blocked, "total": job.chunks,
        })
    };
    json!({
        "job": job.name, "state": job.state, "reason": job.reason, "refused": job.refused, "percent": job.percent,
        "units": job.units, "units_planned": job.units_planned, "units_finished": job.units_finished,
        "units_verified": job.units_verified,
        "chunks": job.chunks, "chunks_dumped": job.chunks_dumped, "chunks_restored": job.chunks_restored,
        "dumps": stage("dump"), "restores": stage("restore"), "stuck": job.stuck, "slots": job.slots,
        "connected": job.connected,
        "active_units": job.active_units,
        "size": figures(job.size), "dumped": figures(job.dumped), "restored": figures(job.restored),
        "dead_letters": job.dead_letters, "failed": job.failed, "blocked": job.blocked,
        "pools": job.pools.iter().map(pool_document).collect::<Value>(),
        "mode": job.mode, "idle": job.idle, "rates": rates_document(job.rates.unwrap_or_default()),
        "priorities": priorities_document(&job.priorities),
    })
}

/// A unit as programs read it.
pub fn unit_document(unit: &v1::Unit) -> Value {
    json!({
        "id": unit.id, "source": unit.source, "target": unit.target, "planned": unit.planned, "finished": unit.finished,
        "verified": unit.verified, "chunks": unit.chunks, "chunks_dumped": unit.chunks_dumped,
        "chunks_restored": unit.chunks_restored, "chunks_failed": unit.chunks_failed, "dead_letters": unit.dead_letters,
        "given_up": unit.given_up, "percent": unit.percent,
    })
}

/// A pool as programs read it.
pub fn pool_document(pool: &v1::Pool) -> Value {
    json!({ "kind": pool.kind, "size": pool.size, "running": pool.running, "ready": pool.ready })
}

/// A row for each job.
pub fn table(jobs: &[v1::Job]) -> Table {
    let mut table =
        Table::new(["JOB", "STATE", "DONE", "UNITS", "CHUNKS", "DUMPED", "RESTORED", "FAILED", "DEAD LETTERS"]);
    for job in jobs {
        table.row([
            job.name.clone(),
            job.state.clone(),
            format!("{:.1}%", job.percent),
            job.units.to_string(),
            job.chunks.to_string(),
            job.chunks_dumped.to_string(),
            job.chunks_restored.to_string(),
            job.failed.to_string(),
            job.dead_letters.to_string(),
        ]);
    }
    table
}

/// A row for each unit.
pub fn unit_table(units: &[v1::Unit]) -> Table {
    let mut table = Table::new(["FROM", "TO", "DONE", "CHUNKS", "DUMPED", "RESTORED", "COMPLETE", "VERIFIED"]);
    let mark = |is: bool| if is { "yes" } else { "" }.to_owned();
    for unit in units {
        table.row([
            unit.source.clone(),
            unit.target.clone(),
            format!("{:.1}%", unit.percent),
            unit.chunks.to_string(),
            unit.chunks_dumped.to_string(),
            unit.chunks_restored.to_string(),
            mark(unit.finished),
            mark(unit.verified),
        ]);
    }
    table
}

/// A row for each pool.
pub fn pool_table(pools: &[v1::Pool]) -> Table {
    let mut table = Table::new(["POOL", "SIZE", "RUNNING", "READY"]);
    for pool in pools {
        let size = pool.size.map_or_else(|| "none".into(), |size| size.to_string());
        table.row([pool.kind.clone(), size, pool.running.to_string(), pool.ready.to_string()]);
    }
    table
}

/// Rates as programs read them; null is not limited.
pub fn rates_document(rates: v1::Rates) -> Value {
    json!({ "documents": rates.documents, "bytes": rates.bytes, "operations": rates.operations })
}

/// Rates on one row.
pub fn rates_table(rates: v1::Rates) -> Table {
    let shown = |rate: Option<u64>| rate.map_or_else(|| "not limited".into(), |rate| rate.to_string());
    let mut table = Table::new(["DOCUMENTS/S", "BYTES/S", "CHUNKS AT A TIME"]);
    table.row([shown(rates.documents), shown(rates.bytes), shown(rates.operations.map(u64::from))]);
    table
}

/// Priorities as programs read them.
pub fn priorities_document(priorities: &[v1::UnitPriority]) -> Value {
    let entry = |ranked: &v1::UnitPriority| json!({ "collection": ranked.collection, "priority": ranked.priority });
    priorities.iter().map(entry).collect()
}

/// A row for each pattern, in the order in which they are tried.
pub fn priorities_table(priorities: &[v1::UnitPriority]) -> Table {
    let mut table = Table::new(["COLLECTIONS", "PRIORITY"]);
    for ranked in priorities {
        table.row([ranked.collection.clone(), ranked.priority.to_string()]);
    }
    table
}

/// A row for each stage that has items.
pub fn stage_table(job: &v1::Job) -> Table {
    let mut table = Table::new(["STAGE", "PENDING", "RUNNING", "DONE", "FAILED", "WAITING", "BLOCKED"]);
    for stage in &job.stages {
        let counts = [stage.pending, stage.running, stage.done, stage.failed, stage.waiting, stage.blocked];
        if counts.iter().any(|count| *count > 0) {
            let mut row = vec![stage.kind.clone()];
            row.extend(counts.iter().map(u64::to_string));
            table.row(row);
        }
    }
    table
}

/// What is worth a line beside the tables: that nobody works or could, that workers are stuck, that pools wait for slots.
pub fn remarks(job: &v1::Job) -> Vec<String> {
    let mut remarks = Vec::new();
    if !job.connected && job.ended_at.is_none() {
        remarks.push(NO_WORKER.to_owned());
    } else if job.idle && job.ended_at.is_none() {
        remarks.push("idle: no worker holds anything of it".to_owned());
    }
    if job.stuck > 0 {
        remarks.push(format!("stuck: {} leases get no further", job.stuck));
    }
    if let Some(slots) = job.slots {
        for pool in &job.pools {
            if let Some(size) = pool.size.filter(|size| u64::from(*size) > slots && pool.ready > 0) {
                remarks.push(format!("pool {}={size}, but connected workers have {slots} slots", pool.kind));
            }
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_without_a_worker_says_so_until_it_has_ended() {
        let alone = v1::Job { idle: true, ..Default::default() };
        assert_eq!(remarks(&alone), [NO_WORKER]);
        let served = v1::Job { connected: true, ..alone.clone() };
        assert_eq!(remarks(&served), ["idle: no worker holds anything of it"]);
        let ended = v1::Job { ended_at: Some(prost_types::Timestamp::default()), ..alone };
        assert!(remarks(&ended).is_empty());
        assert_eq!(document(&served)["connected"], true);
    }

    #[test]
    fn a_pool_that_is_larger_than_what_workers_can_do_is_told() {
        let pool = v1::Pool { kind: "dump".into(), size: Some(8), running: 4, ready: 1 };
        let job = v1::Job { connected: true, slots: Some(4), pools: vec![pool], ..Default::default() };
        assert_eq!(remarks(&job), ["pool dump=8, but connected workers have 4 slots"]);
    }
}
