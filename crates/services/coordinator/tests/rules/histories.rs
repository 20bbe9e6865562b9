//! Histories go on where a page ended, and begin where their time is, however much was before.

use crate::stage::*;
use capstan_coordinator::{FactFilter, FactPage, Retention};
use capstan_ids::{Epoch, Millis, Position, StreamName, WallTime};
use capstan_journal::{Append, Commit, Journal};
use capstan_registry::{Command, Cpu, Event, PipelineId, PipelineName, Register, Resources};

fn pipeline(number: usize) -> PipelineId {
    PipelineId::new(format!("pipeline-{number}")).unwrap()
}

async fn register(server: &Server, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let name = PipelineName::new("x").unwrap();
        server.handle.submit_pipeline(Command::Register(Register::new(pipeline(number), name))).await.unwrap();
        server.pass(Millis(100)).await;
    }
}

async fn page(server: &Server, filter: &FactFilter) -> FactPage {
    server.handle.registry_facts(filter.clone()).await.unwrap()
}

fn positions(page: &FactPage) -> Vec<Position> {
    page.facts.iter().map(|(position, _)| *position).collect()
}

/// Reads page after page until there is none.
async fn walked(server: &Server, mut filter: FactFilter) -> Vec<Position> {
    let mut all = Vec::new();
    loop {
        let page = page(server, &filter).await;
        all.extend(positions(&page));
        assert!(page.facts.len() <= filter.most && (page.next.is_none() || page.facts.len() == filter.most));
        match page.next {
            None => return all,
            next => filter.after = next,
        }
    }
}

#[tokio::test]
async fn the_pages_of_a_history_are_read_from_a_journal_that_is_opened_once() {
    let server = Stage::new().start();
    register(&server, 0..200).await;
    let whole = walked(&server, FactFilter { most: 1_000, ..FactFilter::default() }).await;
    assert_eq!(whole.len(), 200);
    server.stage.script.histories();

    let pages = walked(&server, FactFilter { most: 7, ..FactFilter::default() }).await;

    assert_eq!(pages, whole);
    let reads = server.stage.script.histories();
    assert!(reads.len() <= 2, "once, and once more for what may have come since: {reads:?}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_told_while_a_history_is_read_is_in_its_last_pages_once() {
    let server = Stage::new().start();
    register(&server, 0..20).await;
    let mut filter = FactFilter { most: 8, ..FactFilter::default() };
    let mut all = Vec::new();
    for round in 1.. {
        let page = page(&server, &filter).await;
        all.extend(positions(&page));
        if round <= 3 {
            register(&server, round * 20..round * 20 + 5).await;
        }
        filter.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(all, walked(&server, FactFilter { most: 1_000, ..FactFilter::default() }).await);
    assert_eq!(all.len(), 35);
    server.stop().await;
}

#[tokio::test]
async fn a_page_is_that_of_its_own_filter_whoever_read_the_one_before() {
    let server = Stage::new().start();
    register(&server, 0..30).await;
    let all = page(&server, &FactFilter { most: 5, ..FactFilter::default() }).await;
    let after = all.next;
    let one = FactFilter { pipeline: Some(pipeline(20)), after, most: 5, ..FactFilter::default() };
    assert_eq!(positions(&page(&server, &one).await).len(), 1);
    let next = FactFilter { after, most: 3, ..FactFilter::default() };

    // Twice: the first of them takes what was left open, the second finds its place by itself.
    let [first, second] = [page(&server, &next).await, page(&server, &next).await];

    assert_eq!(positions(&first), positions(&second));
    assert_eq!(positions(&first)[0], after.unwrap().plus(1));
    server.stop().await;
}

#[tokio::test]
async fn a_page_whose_part_of_the_log_is_gone_meanwhile_goes_on_in_the_archive() {
    let retention = Retention { registry_every: 50, held_back_max: 4_096, ..Retention::default() };
    let server = Stage { retention, segment_bytes: 4 << 10, ..Stage::new() }.start();
    register(&server, 0..40).await;
    let first = page(&server, &FactFilter { most: 5, ..FactFilter::default() }).await;

    let mut number = 40;
    while server.stage.disk.names().iter().any(|name| name == "log/00000000000000000001.segment") {
        assert!(number < 4_000, "the log is never cut: {:?}", server.stage.disk.names());
        register(&server, number..number + 10).await;
        number += 10;
    }

    let rest = walked(&server, FactFilter { most: 1_000, after: first.next, ..FactFilter::default() }).await;
    assert_eq!(positions(&first).len() + rest.len(), number);
    server.stop().await;
}

/// A log of so many usage events, ten a commit, a commit every second.
fn long_log(stage: &Stage, events: u64) {
    let stream = StreamName::new("registry").unwrap();
    let mut journal = stage.journal();
    let mut wall = WallTime(1_700_000_000_000_000);
    let commit = |wall: WallTime, events: &[Event]| {
        let mut commit = Commit::new(wall);
        for event in events {
            commit.push(&stream, |bytes| event.encode(bytes));
        }
        commit
    };
    let registered = Event::PipelineRegistered {
        id: pipeline(0),
        at: wall,
        name: PipelineName::new("x").unwrap(),
        group: None,
        priority: 0,
        labels: Default::default(),
    };
    let mut append = |commit: &Commit| {
        let next = journal.tail().unwrap().next;
        assert!(matches!(journal.append(Epoch::new(1), next, commit), Append::Committed));
    };
    append(&commit(wall, &[registered]));
    for second in 0..events / 10 {
        wall = wall + Millis(1_000);
        let used = |each| Resources { cpu: Cpu::from_thousandths(1), memory_mb: second * 10 + each };
        let events: Vec<_> =
            (0..10).map(|each| Event::ResourceUsageReported { id: pipeline(0), at: wall, used: used(each) }).collect();
        append(&commit(wall, &events));
    }
}

#[tokio::test]
async fn a_history_from_a_time_begins_with_the_first_event_that_is_not_older() {
    let stage = Stage { segment_bytes: 256 << 10, ..Stage::new() };
    long_log(&stage, 60_000);
    let server = stage.start();
    let start = 1_700_000_000_000_000;
    // Between two commits, at one, before all, after all, at the last, at the first.
    for seconds in [0.0_f64, 1.0, 0.5, 2_999.5, 3_000.0, 5_999.0, 6_000.0, -5.0, 4_321.000_001] {
        let from = WallTime(start + (seconds * 1e6) as i64);
        let wanted = FactFilter { from: Some(from), most: 1, ..FactFilter::default() };
        let found = page(&server, &wanted).await;

        // The registration is the first event of all; each second after it has ten.
        let second = seconds.ceil() as u64;
        let expected = if seconds <= 0.0 { 1 } else { 2 + (second - 1) * 10 };
        assert_eq!(found.facts[0].0.get(), expected, "{seconds}");
        let until = FactFilter { until: Some(from + Millis(1)), most: 1_000, ..wanted };
        let of_one_moment = if seconds.fract() != 0.0 || seconds < 0.0 {
            0
        } else if seconds == 0.0 {
            1
        } else {
            10
        };
        assert_eq!(page(&server, &until).await.facts.len(), of_one_moment, "{seconds}");
    }
    let late = FactFilter { from: Some(WallTime(start + 6_001_000_000)), most: 5, ..FactFilter::default() };
    assert!(page(&server, &late).await.facts.is_empty());

    let middle = WallTime(start + 3_000_000_000);
    server.stage.script.histories();
    let narrow = FactFilter { from: Some(middle), most: 1, ..FactFilter::default() };
    let first = page(&server, &narrow).await.facts[0].0;
    let reads = server.stage.script.histories();
    let is_near = |read: &&Position| **read <= first && first.get() - read.get() <= 20_000;
    assert!(reads.last().is_some_and(|read| is_near(&read)) && reads.len() < 8, "read from {reads:?} for {first}");
    server.stop().await;
}
