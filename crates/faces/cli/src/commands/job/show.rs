//! Jobs, units and pools as JSON with stable fields and as tables.

use crate::output::Table;
use capstan_client::v1;
use serde_json::{Value, json};

/// A job as programs read it.
pub fn document(job: &v1::Job) -> Value {
    let figures = |figures: Option<v1::Figures>| {
        let figures = figures.unwrap_or_default();
        json!({ "documents": figures.documents, "bytes": figures.bytes })
    };
    let running = |kind: &str| job.pools.iter().find(|pool| pool.kind == kind).map_or(0, |pool| pool.running);
    json!({
        "job": job.name, "state": job.state, "reason": job.reason, "refused": job.refused, "percent": job.percent,
        "units": job.units, "units_planned": job.units_planned, "units_finished": job.units_finished,
        "units_verified": job.units_verified,
        "chunks": job.chunks, "chunks_dumped": job.chunks_dumped, "chunks_restored": job.chunks_restored,
        "dumps": { "running": running("dump"), "done": job.chunks_dumped, "total": job.chunks },
        "restores": { "running": running("restore"), "done": job.chunks_restored, "total": job.chunks },
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
        "chunks_restored": unit.chunks_restored, "percent": unit.percent,
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
