//! Measures reading the history of the registry from a long journal: its last page, a time near its end, and all of it.
//!
//! `cargo run --release -p capstan-coordinator --example history_pages [EVENTS]`, 1,000,000 where nothing is said. The
//! journal is on the disk that the system keeps temporary files on, and was written a moment ago.

use capstan_coordinator::{Coordinator, FactFilter, Handle, Options};
use capstan_ids::{Epoch, Millis, Position, StreamName, WallTime};
use capstan_journal::{Append, Commit, EmbeddedJournal, EmbeddedOptions, Journal};
use capstan_registry::{Cpu, Event, PipelineId, PipelineName, Resources};
use std::time::Instant;

const PIPELINES: usize = 1_000;
const EVENTS_OF_A_COMMIT: u64 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let events = std::env::args().nth(1).map_or(1_000_000, |text| text.parse().expect("a number of events"));
    let folder = std::env::temp_dir().join(format!("capstan-history-{}", std::process::id()));
    let mut journal = EmbeddedJournal::open(&folder, EmbeddedOptions::default())?;
    let newest = write(&mut journal, events);
    let (coordinator, handle) = Coordinator::start(Box::new(journal), Options::default())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(&handle, newest))?;
    runtime.block_on(coordinator.stop())?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Usage of each pipeline in turn, a commit every second; the time of the last one.
fn write(journal: &mut EmbeddedJournal, events: u64) -> WallTime {
    let stream = StreamName::new("registry").expect("a plain name");
    let ids: Vec<PipelineId> =
        (0..PIPELINES).map(|each| PipelineId::new(format!("pipeline-{each}")).expect("a plain id")).collect();
    let mut wall = WallTime(1_700_000_000_000_000);
    let mut next = journal.tail().expect("it was opened a moment ago").next;
    let mut append = |wall: WallTime, events: &[Event]| {
        let mut commit = Commit::new(wall);
        events.iter().for_each(|event| commit.push(&stream, |bytes| event.encode(bytes)));
        assert!(
            matches!(journal.append(Epoch::new(1), next, &commit), Append::Committed),
            "the disk is full or broken"
        );
        next = next.plus(commit.events());
    };
    let registered = |id: &PipelineId| Event::PipelineRegistered {
        id: id.clone(),
        at: wall,
        name: PipelineName::new(id.as_str()).expect("a plain name"),
        group: None,
        priority: 0,
        labels: Default::default(),
    };
    append(wall, &ids.iter().map(registered).collect::<Vec<_>>());
    for second in 1..=events / EVENTS_OF_A_COMMIT {
        wall = wall + Millis(1_000);
        let used = Resources { cpu: Cpu::from_thousandths(second % 10), memory_mb: second };
        let usage = |each: u64| {
            let id = ids[(second * EVENTS_OF_A_COMMIT + each) as usize % PIPELINES].clone();
            Event::ResourceUsageReported { id, at: wall, used }
        };
        append(wall, &(0..EVENTS_OF_A_COMMIT).map(usage).collect::<Vec<_>>());
    }
    wall
}

async fn measure(handle: &Handle, newest: WallTime) -> Result<(), Box<dyn std::error::Error>> {
    let last = Position::new(handle.status().durable().get() - 1_000);
    let of_position = FactFilter { after: Some(last), most: 100, ..FactFilter::default() };
    timed(handle, "a page after a position near the end", of_position).await?;
    let of_time = FactFilter { from: Some(WallTime(newest.micros() - 5_000_000)), most: 100, ..FactFilter::default() };
    timed(handle, "a page from a time near the end", of_time.clone()).await?;
    let half = WallTime((newest.micros() + 1_700_000_000_000_000) / 2);
    timed(handle, "a page from a time in the middle", FactFilter { from: Some(half), ..of_time }).await?;

    let mut filter = FactFilter { most: 1_000, ..FactFilter::default() };
    let (began, mut facts, mut pages) = (Instant::now(), 0, 0);
    loop {
        let page = handle.registry_facts(filter.clone()).await?;
        (facts, pages) = (facts + page.facts.len(), pages + 1);
        match page.next {
            None => break,
            next => filter.after = next,
        }
    }
    println!("all of it, {facts} facts in {pages} pages: {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

async fn timed(handle: &Handle, what: &str, filter: FactFilter) -> Result<(), Box<dyn std::error::Error>> {
    let mut times = Vec::new();
    for _ in 0..7 {
        let began = Instant::now();
        assert!(!handle.registry_facts(filter.clone()).await?.facts.is_empty(), "there are facts to read");
        times.push(began.elapsed());
    }
    times.sort();
    println!("{what}: {:.1} ms", times[3].as_secs_f64() * 1e3);
    Ok(())
}
