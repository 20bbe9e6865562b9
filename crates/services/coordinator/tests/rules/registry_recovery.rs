//! Rules 5 and 9 for the registry: whatever it is read back from, it is the same to the last figure.

use crate::stage::*;
use capstan_coordinator::{Retention, StartError};
use capstan_ids::{Millis, Position, WallTime};
use capstan_journal::Journal;
use capstan_registry::{
    Command, Course, LabelKey, LabelValue, Labels, Listing, PipelineGroup, PipelineId, PipelineName, PipelineStatus,
    PipelineView, Register, ReservationView, Reserve, Rules, RulesChange, STREAM, StatusReport, SystemView,
};

/// The names of those that report all the time, and of one that falls silent.
const LOUD: [&str; 5] = ["a", "b", "c", "d", "e"];
const SILENT: &str = "silent";

/// Everything that can be seen of the registry at one moment.
#[derive(Clone, Debug, PartialEq)]
struct Picture {
    system: SystemView,
    rules: Rules,
    course: Course,
    pipelines: Vec<PipelineView>,
    reservations: Vec<ReservationView>,
    queue: Vec<ReservationView>,
}

impl Picture {
    async fn of(server: &Server) -> Self {
        let now = server.stage.clock.wall();
        let seen = server.handle.read(move |state| {
            let registry = &state.registry;
            let pipelines = registry.list(&Listing::default(), now).unwrap().pipelines;
            let reservations = pipelines.iter().filter_map(|pipeline| registry.reservation(&pipeline.id)).collect();
            let (rules, course) = (registry.rules().clone(), registry.course());
            Self { system: registry.system(), rules, course, pipelines, reservations, queue: registry.queue() }
        });
        seen.await.unwrap()
    }

    /// Without what begins anew with every leader: heartbeats and the terms of reservations.
    fn lasting(mut self) -> Self {
        self.pipelines.iter_mut().for_each(|pipeline| pipeline.last_heartbeat = WallTime(0));
        self.reservations.iter_mut().chain(&mut self.queue).for_each(|held| held.expires = WallTime(0));
        self
    }

    /// Without when those were last heard of that were found silent: a snapshot has only when they were found so.
    fn but_for_silence(mut self) -> Self {
        for pipeline in &mut self.pipelines {
            pipeline.last_heartbeat = pipeline.stale_since.unwrap_or(pipeline.last_heartbeat);
        }
        self
    }
}

fn pipeline(name: &str) -> PipelineId {
    PipelineId::new(name).unwrap()
}

fn register(name: &str, priority: i16) -> Command {
    let label = |key: &str, value: &str| (LabelKey::new(key).unwrap(), LabelValue::new(value).unwrap());
    Command::Register(Register {
        group: Some(PipelineGroup::new(format!("group of {name}")).unwrap()),
        priority,
        labels: Labels::from([label("team", name), label("empty", "")]),
        ..Register::new(pipeline(name), PipelineName::new(format!("Pipeline {name}")).unwrap())
    })
}

/// Room for an hour, or a wait of an hour for it.
fn reserve(name: &str, cpu_percent: f64) -> Command {
    let hour = Millis::secs(3_600);
    Command::Reserve(Reserve { ttl: hour, wait: Some(hour), ..Reserve::new(pipeline(name), cpu_percent, 700) })
}

fn status(name: &str, status: PipelineStatus, records: u64) -> Command {
    Command::UpdateStatus(StatusReport {
        id: pipeline(name),
        status,
        total_records: records,
        failed_records: records / 7,
        bytes_moved: Some(records * 1_000),
    })
}

fn usage(name: &str, cpu_percent: f64, memory_mb: i64) -> Command {
    Command::ReportUsage { id: pipeline(name), cpu_percent, memory_mb }
}

/// Pipelines that report, hold room, wait for it, fall silent and change; the same at the same times on any stage.
async fn first_part(server: &Server) {
    let tell = async |command| drop(server.handle.submit_pipeline(command).await.unwrap());
    let rules =
        RulesChange { cpu_percent_max: Some(90.5), stale_after: Some(Millis::secs(10)), ..RulesChange::default() };
    tell(Command::ChangeRules(rules)).await;
    tell(register(SILENT, -3)).await;
    tell(usage(SILENT, 2.5, 64)).await;
    for (priority, name) in (0..).zip(LOUD) {
        tell(register(name, priority)).await;
    }
    for (name, cpu_percent) in [("a", 50.0), ("b", 30.25), ("c", 40.0), ("d", 20.0)] {
        tell(reserve(name, cpu_percent)).await;
    }
    for round in 1..60 {
        server.pass(Millis::secs(1)).await;
        for (number, name) in (1..).zip(LOUD) {
            tell(status(name, PipelineStatus::Running, round * 10 * number)).await;
            tell(usage(name, 0.125 * (round % 16) as f64, (round * number) as i64)).await;
        }
    }
    server.pass(Millis::secs(1)).await;
}

/// What comes after the last snapshot: no time passes, and so none is due.
async fn second_part(server: &Server) {
    let tell = async |command| drop(server.handle.submit_pipeline(command).await.unwrap());
    tell(status("e", PipelineStatus::Failed, 7_777)).await;
    tell(usage("d", 3.5, 512)).await;
    tell(register("late", 9)).await;
    tell(reserve("late", 60.0)).await;
    tell(Command::Release { id: pipeline("b") }).await;
    tell(Command::ChangeRules(RulesChange { memory_mb_max: Some(50_000), ..RulesChange::default() })).await;
    tell(Command::Unregister { id: pipeline("b") }).await;
}

/// The registry's snapshots, the oldest first.
fn snapshots(stage: &Stage) -> Vec<Position> {
    let all = stage.journal().snapshots().unwrap();
    let mut positions: Vec<_> =
        all.iter().filter(|info| info.stream.as_str() == STREAM).map(|info| info.position).collect();
    positions.sort_unstable();
    positions
}

/// Lets the owner turn until there are two snapshots and no more, and the log behind them is cut.
async fn housekeeping_is_done(server: &Server) {
    for _ in 0..50_000 {
        server.look().await;
        let names = server.stage.disk.names();
        let is_whole = |name: &&String| name.starts_with("snapshots/registry@") && name.ends_with(".snapshot");
        let is_cut = !names.iter().any(|name| name == "log/00000000000000000001.segment");
        if is_cut && names.iter().filter(is_whole).count() == 2 {
            return;
        }
    }
    panic!("there are {:?}", server.stage.disk.names());
}

/// Plays it with a snapshot after so many events; answers what was seen in the end.
async fn played(registry_every: u64) -> (Stage, Picture) {
    let retention = Retention { registry_every, registry_audit: Millis(1), ..Retention::default() };
    let stage = Stage { retention, ..Stage::new() };
    let server = stage.start();
    first_part(&server).await;
    if registry_every < u64::MAX {
        housekeeping_is_done(&server).await;
    }
    second_part(&server).await;
    let seen = Picture::of(&server).await;
    server.stop().await;
    (stage, seen)
}

async fn read_back(stage: &Stage) -> Picture {
    let server = stage.start();
    let seen = Picture::of(&server).await;
    server.handle.read(|state| state.check().unwrap()).await.unwrap();
    server.stop().await;
    seen
}

/// What is compared has something of everything in it.
fn is_rich(seen: &Picture) {
    let of = |name: &str| seen.pipelines.iter().find(|found| found.id == pipeline(name)).unwrap();
    assert!(of(SILENT).stale_since.is_some() && of("e").status == PipelineStatus::Failed, "{seen:#?}");
    assert!(of("a").cost.cpu_seconds() > 0.0 && of("a").cost.bytes_moved() > 0 && of("a").used.memory_mb > 0);
    assert!(of("late").labels.len() == 2 && of("late").group.is_some());
    assert!(seen.reservations.iter().any(ReservationView::is_held) && !seen.queue.is_empty(), "{seen:#?}");
}

#[tokio::test]
async fn events_alone_make_the_registry_that_was() {
    let (stage, seen) = played(u64::MAX).await;
    assert_eq!(snapshots(&stage), []);
    is_rich(&seen);

    assert_eq!(read_back(&stage).await.lasting(), seen.lasting());
}

#[tokio::test]
async fn a_snapshot_of_the_registry_and_its_tail_make_what_all_its_events_make() {
    let from_events = read_back(&played(u64::MAX).await.0).await;
    let (stage, seen) = played(20).await;
    assert!(stage.journal().tail().unwrap().first > Position::new(1), "the log was cut");

    let from_snapshot = read_back(&stage).await;

    assert_eq!(from_snapshot.clone().but_for_silence(), from_events.but_for_silence());
    assert_eq!(from_snapshot.lasting(), seen.lasting());
}

#[tokio::test]
async fn a_damaged_newest_snapshot_of_the_registry_is_passed_over_for_the_older_one() {
    let from_events = read_back(&played(u64::MAX).await.0).await;
    let (stage, seen) = played(20).await;
    // Two, and a third where one was finished while the server stopped.
    let kept = snapshots(&stage);
    let (newest, older) = kept.split_last().unwrap();
    assert!(!older.is_empty());
    stage.script.damage_snapshots(*newest);

    let from_the_older = read_back(&stage).await;

    assert_eq!(from_the_older.clone().but_for_silence(), from_events.but_for_silence());
    assert_eq!(from_the_older.lasting(), seen.lasting());
    // And it was the older one that did it: without that, the log that was cut is not enough.
    older.iter().for_each(|position| stage.script.damage_snapshots(*position));
    let refused = stage.try_start().map(|_| ()).unwrap_err();
    assert!(matches!(&refused, StartError::Recovery(error) if error.to_string().contains("no snapshot of registry")));
}
