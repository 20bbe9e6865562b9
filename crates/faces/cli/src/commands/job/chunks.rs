//! A job's chunks as a map in the terminal, or one by one for programs.

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{self, ChunkMap};
use capstan_api::report::State;
use capstan_client::{Job, v1};
use serde_json::{Value, json};

/// Chunks asked for at a time.
const SLICE: u32 = 1_000;
/// Rows of one collection where all of them are shown; a cell stands for several chunks then.
const ROWS: usize = 3;

/// Prints the chunks of one unit, or of all.
pub async fn print(job: &Job, unit: Option<&str>, context: &Context) -> Result<(), Failure> {
    let mut units = job.units().await?;
    if let Some(wanted) = unit {
        units.retain(|unit| unit.source == wanted || unit.id == wanted);
        if units.is_empty() {
            // The server says it with its code, and names what to do.
            job.chunks(wanted, 1, "").await?;
        }
    }
    let width = render::columns();
    if !context.out.is_data() {
        context.out.text(&format!("{}\n", ChunkMap::legend(context.out.has_colour())))?;
    }
    for unit in &units {
        let mut states = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = job.chunks(&unit.id, SLICE, &cursor).await?;
            for chunk in &page.entries {
                if context.out.is_data() {
                    context.out.stream(|| document(unit, chunk), String::new)?;
                } else {
                    states.push(State::named(&chunk.state));
                }
            }
            cursor = page.next_cursor;
            if cursor.is_empty() {
                break;
            }
        }
        if !context.out.is_data() {
            let most = if units.len() == 1 && states.len() <= 10_000 { states.len() } else { ROWS * width };
            let map = ChunkMap { name: &unit.source, percent: unit.percent, states: &states };
            context.out.text(&map.text(width, most, context.out.has_colour()))?;
        }
    }
    Ok(())
}

fn document(unit: &v1::Unit, chunk: &v1::Chunk) -> Value {
    let figures = |figures: Option<v1::Figures>| {
        let figures = figures.unwrap_or_default();
        json!({ "documents": figures.documents, "bytes": figures.bytes })
    };
    json!({
        "unit": unit.id, "source": unit.source, "index": chunk.index, "state": chunk.state, "size": figures(chunk.size),
        "progress": figures(chunk.progress), "generation": chunk.generation,
        "range": serde_json::from_str::<Value>(&chunk.range).unwrap_or_else(|_| Value::from(chunk.range.clone())),
        "dead_letters": chunk.dead_letters, "attempts": chunk.attempts, "error": chunk.error, "worker_id": chunk.worker_id,
    })
}
