//! When the registry is snapshotted and how many snapshots are kept, to the event, in every kind of journal.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "rules/hand_clock.rs"]
#[allow(dead_code, reason = "this file needs only a part of it")]
mod hand_clock;

use capstan_coordinator::{Coordinator, Handle, Options, Retention};
use capstan_ids::{Millis, Position};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions, Journal, SnapshotInfo};
use capstan_journal_cassandra::{CassandraJournal, CassandraOptions};
use capstan_journal_postgres::{PostgresJournal, PostgresOptions};
use capstan_registry::{Command, PipelineId, PipelineName, Register, RulesChange, STREAM};
use hand_clock::HandClock;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

/// Turns of the owner in which it looks at what is due, drops what is not needed, and begins a snapshot.
const TURNS: usize = 8;
/// How long a disk or a database may take for one snapshot.
const PATIENCE: Duration = Duration::from_secs(30);

/// A journal that can be opened again and again. It is opened and read beside the tests' runtime: a database's driver
/// brings its own.
type Open<'a> = &'a dyn Fn() -> Box<dyn Journal>;

/// A server that looks at what is due after every event, and at no other time.
struct Server {
    coordinator: Coordinator,
    handle: Handle,
    clock: HandClock,
}

impl Server {
    fn start(open: Open<'_>, clock: &HandClock) -> Self {
        // The defaults; of a millisecond, the audit keeps nothing but what is kept already.
        let retention = Retention { registry_audit: Millis(1), ..Retention::default() };
        let options = Options { retention, clock: Arc::new(clock.clone()), ..Options::default() };
        let (coordinator, handle) = Coordinator::start(open(), options).unwrap();
        Self { coordinator, handle, clock: clock.clone() }
    }

    /// Snapshots that were finished since it began.
    fn snapshots(&self) -> u64 {
        self.handle.status().snapshots.load(Ordering::Relaxed)
    }

    async fn turns(&self) {
        for _ in 0..TURNS {
            self.handle.read(|_| ()).await.unwrap();
        }
    }

    /// One event, and whatever house is kept after it; answers its position.
    async fn event(&self, command: Command) -> Position {
        let before = self.handle.status().durable();
        self.handle.submit_pipeline(command).await.unwrap();
        let position = self.handle.status().durable();
        assert_eq!(position, before.plus(1), "a command was one event");
        self.clock.pass(Millis::secs(1));
        self.turns().await;
        position
    }

    /// Goes on when so many snapshots are finished, and those that are one too many are dropped.
    async fn finished(&self, snapshots: u64) {
        let began = Instant::now();
        while self.snapshots() < snapshots {
            assert!(began.elapsed() < PATIENCE, "{} of {snapshots} snapshots", self.snapshots());
            self.handle.read(|_| ()).await.unwrap();
        }
        self.turns().await;
    }

    async fn stop(self) {
        self.coordinator.stop().await.unwrap();
    }
}

fn id(number: usize) -> PipelineId {
    PipelineId::new(format!("pipeline-{number}")).unwrap()
}

fn register(number: usize) -> Command {
    Command::Register(Register::new(id(number), PipelineName::new(format!("Pipeline {number}")).unwrap()))
}

/// Pipelines come and go: what happened always outweighs what is there.
fn come_and_go(number: usize) -> Command {
    if number.is_multiple_of(2) { register(number) } else { Command::Unregister { id: id(number - 1) } }
}

/// The registry's snapshots in the store, the oldest first.
fn stored(open: Open<'_>) -> Vec<SnapshotInfo> {
    let mut snapshots = open().snapshots().unwrap();
    snapshots.retain(|snapshot| snapshot.stream.as_str() == STREAM);
    snapshots.sort_unstable_by_key(|snapshot| snapshot.position);
    snapshots
}

/// The rule of 50 and 2: within one life of a server, and over a restart between the 49th event and the 50th.
fn every_50_events_and_two_are_kept(open: Open<'_>) {
    let (runtime, clock) = (Runtime::new().unwrap(), HandClock::new());
    let mut events = Vec::new();
    for (until, kept) in [(49, &[][..]), (50, &[50]), (100, &[50, 100]), (199, &[100, 150]), (200, &[150, 200])] {
        let server = Server::start(open, &clock);
        let already = events.len() / 50;
        runtime.block_on(async {
            while events.len() < until {
                events.push(server.event(come_and_go(events.len())).await);
                server.finished((events.len() / 50 - already) as u64).await;
            }
            server.stop().await;
        });

        let stand_at: Vec<Position> = stored(open).iter().map(|snapshot| snapshot.position).collect();
        let expected: Vec<Position> = kept.iter().map(|nth: &usize| events[nth - 1]).collect();
        assert_eq!(stand_at, expected, "after {until} events");
    }
}

fn embedded(folder: &Path) -> Box<dyn Journal> {
    Box::new(EmbeddedJournal::open(folder, EmbeddedOptions::default()).unwrap())
}

/// The address of a real database; none, and the test is noted as skipped, where there is none.
fn address(variable: &str, test: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        capstan_testkit::skipped(&format!("registry_snapshots::{test}"), &format!("{variable} is not set"));
    }
    url
}

/// A name that no other run of this test has in the database.
fn own() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("registry_{}_{}", std::process::id(), since.as_millis())
}

#[test]
fn the_registry_is_snapshotted_every_50_events_and_two_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    every_50_events_and_two_are_kept(&|| embedded(folder.path()));
}

#[test]
fn in_postgresql_the_registry_is_snapshotted_every_50_events_and_two_are_kept() {
    let Some(url) = address("CAPSTAN_TEST_POSTGRES_URL", "in_postgresql") else { return };
    let and = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{and}schema={}", own());
    let open = || -> Box<dyn Journal> { Box::new(PostgresJournal::connect(&url, PostgresOptions::default()).unwrap()) };
    every_50_events_and_two_are_kept(&open);
}

#[test]
fn in_cassandra_the_registry_is_snapshotted_every_50_events_and_two_are_kept() {
    let Some(url) = address("CAPSTAN_TEST_CASSANDRA_URL", "in_cassandra") else { return };
    let url = format!("{url}/capstan_test?log={}", own());
    let open =
        || -> Box<dyn Journal> { Box::new(CassandraJournal::connect(&url, CassandraOptions::default()).unwrap()) };
    every_50_events_and_two_are_kept(&open);
}

#[tokio::test]
async fn events_that_do_not_outweigh_the_last_snapshot_are_not_enough_however_many() {
    let folder = tempfile::tempdir().unwrap();
    let open = || embedded(folder.path());
    let server = Server::start(&open, &HandClock::new());
    // Nothing happens by itself: nobody becomes stale.
    let patient = RulesChange { stale_after: Some(Millis::secs(7 * 86_400)), ..RulesChange::default() };
    server.event(Command::ChangeRules(patient)).await;
    for number in 1..50 {
        server.event(register(number)).await;
    }
    server.finished(1).await;
    for limit in 1.. {
        let change = RulesChange { memory_mb_max: Some(limit), ..RulesChange::default() };
        server.event(Command::ChangeRules(change)).await;
        // One that has begun is seen here at the latest by the second turn: this waits for no more than its end.
        if server.snapshots() == 2 {
            break;
        }
        assert!(limit < 5_000, "5,000 events outweigh 49 pipelines");
    }
    server.stop().await;

    let [first, second] = &stored(&open)[..] else { panic!("two are kept") };
    assert!(second.position > first.position.plus(60), "50 light ones were enough: {first:?} {second:?}");
    let since = open().read(first.position.plus(1)).unwrap().map(Result::unwrap);
    let weights: Vec<u64> = since
        .flat_map(|recorded| {
            let entries = recorded.commit.entries(recorded.position);
            let counted = entries.filter(|entry| entry.stream.as_str() == STREAM && entry.position <= second.position);
            counted.map(|entry| entry.event.len() as u64).collect::<Vec<_>>()
        })
        .collect();
    let all: u64 = weights.iter().sum();
    let without_the_last = all - weights.last().unwrap();
    assert!(all >= first.bytes && without_the_last < first.bytes, "{without_the_last} < {} <= {all}", first.bytes);
}
