//! Measures the pure registry: registrations, reports and reads a second, and a replay of many events.
//!
//! `cargo run --release -p capstan-coordinator --example registry_replay [EVENTS]`, 10,000,000 where nothing is said. It
//! keeps one batch of encoded events at a time, so memory does not grow with their number.

use capstan_ids::{Millis, Moment, Monotonic, WallTime};
use capstan_registry::{Command, Event, Listing, PipelineId, PipelineName, Register, Registry};
use std::time::Instant;

const PIPELINES: usize = 10_000;
const READS: usize = 100_000;

fn main() {
    let wanted = std::env::args().nth(1).map_or(10_000_000, |text| text.parse().expect("a number of events"));
    let ids: Vec<PipelineId> =
        (0..PIPELINES).map(|each| PipelineId::new(format!("pipeline-{each}")).expect("a plain id")).collect();
    let (mut live, mut batch) = (Registry::new(), Vec::new());
    let mut perform = |registry: &mut Registry, command: &Command, now| {
        let done = registry.perform(command, now, &mut |event| batch.push((now, event.clone())));
        done.expect("nothing here is refused");
    };

    let began = Instant::now();
    for id in &ids {
        let name = PipelineName::new(id.as_str()).expect("a plain name");
        perform(&mut live, &Command::Register(Register::new(id.clone(), name)), at(0));
    }
    say("registrations", PIPELINES, began);

    let began = Instant::now();
    let mut reports = 0;
    for second in 1..=10 {
        for (each, id) in ids.iter().enumerate() {
            let memory_mb = (each as i64 + second) % 4;
            let command = Command::ReportUsage { id: id.clone(), cpu_percent: 0.001, memory_mb };
            perform(&mut live, &command, at(second as u64 * 1_000));
            reports += 1;
        }
    }
    say("reports of usage", reports, began);

    let began = Instant::now();
    for each in 0..READS {
        let listing = Listing { after: Some(ids[each % PIPELINES].clone()), most: Some(10), ..Listing::default() };
        std::hint::black_box(live.list(&listing, at(0).wall).expect("a page"));
    }
    say("pages of ten", READS, began);

    replay(&batch, wanted);
}

/// Decodes and applies events until there were enough: what was recorded, then usage of each pipeline in turn.
fn replay(recorded: &[(Moment, Event)], wanted: usize) {
    let encoded: Vec<(Moment, Vec<u8>)> = recorded
        .iter()
        .map(|(now, event)| {
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            (*now, bytes)
        })
        .collect();
    let (registrations, usage) = encoded.split_at(PIPELINES);
    let mut registry = Registry::new();
    let began = Instant::now();
    for (now, bytes) in registrations.iter().chain(usage.iter().cycle()).take(wanted) {
        registry.apply(*now, &Event::decode(bytes).expect("what was encoded decodes"));
    }
    say("events replayed", wanted, began);
    registry.check().expect("every promise holds after the replay");
}

fn at(millis: u64) -> Moment {
    let wall = WallTime(1_700_000_000_000_000) + Millis(millis);
    Moment { monotonic: Monotonic(1_000_000 + millis), wall }
}

fn say(what: &str, count: usize, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{what}: {count} in {seconds:.2} s, {:.0} a second", count as f64 / seconds);
}
