//! Jobs from submission to their end, in every order, with repeats: driven as a work core would.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_ids::{GroupName, ItemId, Position, WallTime};
use capstan_migration::{
    Context, End, Figures, JobCommand, JobEvent, JobName, Jobs, Namespace, Rejection, ReportState, Settled, Sharing,
    Spec, Stage, Stamp, UnitId, Verify, WorkIntent, WorkItem, WorkWait,
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// A job, its journal, and as much of a work core as decides what may be done next.
struct Journey {
    jobs: Jobs,
    journal: Vec<(Stamp, Vec<u8>)>,
    job: JobName,
    items: BTreeMap<ItemId, Item>,
    /// Groups whose gate is held.
    held: BTreeSet<String>,
    /// Items that are out of attempts.
    failed: BTreeSet<ItemId>,
    snapshot: Option<(usize, Vec<Vec<u8>>)>,
}

struct Item {
    item: WorkItem,
    /// Its own and its ancestors' groups, and its ancestors themselves.
    groups: BTreeSet<String>,
    done: Option<String>,
}

fn spec(text: &str) -> Box<Spec> {
    Box::new(toml::from_str(text).unwrap())
}

fn submit(text: &str) -> JobCommand {
    JobCommand::Submit { name: None, spec: spec(text) }
}

impl Journey {
    fn begin(text: &str) -> Self {
        let jobs = Jobs::default();
        let decision = jobs.decide(&submit(text), Context::default()).unwrap();
        let [WorkIntent::OpenSession { session, items, gates, .. }] = &decision.work[..] else {
            panic!("{:?}", decision.work)
        };
        let held = gates.iter().map(|(group, _)| group.to_string()).collect();
        let (journal, items_of, failed) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let mut journey =
            Self { jobs, journal, job: decision.job.clone(), items: items_of, held, failed, snapshot: None };
        journey.record(&decision.events);
        assert_eq!(*session, journey.job.session());
        journey.add(items.clone(), None);
        journey
    }

    fn record(&mut self, events: &[JobEvent]) {
        for event in events {
            let number = self.journal.len() as u64 + 1;
            let stamp = Stamp { position: Position::new(number), wall: WallTime(number as i64 * 1_000_000) };
            let mut bytes = Vec::new();
            event.encode(&mut bytes);
            self.jobs.apply(stamp, event);
            self.journal.push((stamp, bytes));
        }
        self.jobs.check().unwrap();
    }

    fn add(&mut self, items: Vec<WorkItem>, parent: Option<&ItemId>) {
        let inherited = parent.map(|parent| {
            let mut groups = self.items[parent].groups.clone();
            groups.insert(format!("item {parent}"));
            groups
        });
        for item in items.into_iter().filter(|item| !item.undo) {
            let mut groups = inherited.clone().unwrap_or_default();
            groups.extend(item.groups.iter().map(GroupName::to_string));
            for wait in &item.waits_for {
                groups.remove(&wanted(wait));
            }
            assert!(!self.items.contains_key(&item.id), "{} comes twice", item.id);
            self.items.insert(item.id.clone(), Item { item, groups, done: None });
        }
    }

    fn is_ready(&self, item: &WorkItem) -> bool {
        item.waits_for.iter().all(|wait| {
            let group = wanted(wait);
            if self.held.contains(&group) {
                return false;
            }
            let itself = |id: &ItemId| matches!(wait, WorkWait::Item(awaited) if awaited == id);
            self.items.iter().all(|(id, other)| other.done.is_some() || !(other.groups.contains(&group) || itself(id)))
        })
    }

    fn ready(&self) -> Vec<ItemId> {
        let open = self.items.values().filter(|item| item.done.is_none() && self.is_ready(&item.item));
        open.map(|item| item.item.id.clone()).filter(|id| !self.failed.contains(id)).collect()
    }

    /// Does a command, and what of it concerns items.
    fn ask(&mut self, command: &JobCommand) -> Result<(), Rejection> {
        let decision = self.jobs.decide(command, Context::default())?;
        self.record(&decision.events);
        for intent in decision.work {
            self.follow(intent);
        }
        Ok(())
    }

    fn follow(&mut self, intent: WorkIntent) {
        match intent {
            WorkIntent::AddItems { items, .. } => self.add(items, None),
            WorkIntent::OpenGate { group, .. } => assert!(self.held.remove(group.as_str()), "{group} was not held"),
            WorkIntent::GiveUpFailed { .. } => assert!(!self.failed.is_empty(), "there is something to give up"),
            WorkIntent::Retry { .. } => self.failed.clear(),
            _ => {}
        }
    }

    /// Nothing is ready: what waits for that begins; whether there was something.
    fn begin_phase(&mut self) -> bool {
        let ended = |item: &Item| item.done.is_some() || self.is_blocked(item) || self.failed.contains(&item.item.id);
        if self.items.values().all(ended) {
            return false;
        }
        let Some((event, work)) = self.jobs.next_phase(&self.job.session()) else { return false };
        self.record(&[event]);
        for intent in work {
            self.follow(intent);
        }
        true
    }

    /// Whether it waits for something that has failed, or for something that does.
    fn is_blocked(&self, item: &Item) -> bool {
        item.item.waits_for.iter().any(|wait| {
            let group = wanted(wait);
            let itself = |id: &ItemId| matches!(wait, WorkWait::Item(awaited) if awaited == id);
            self.items.iter().any(|(id, other)| {
                (other.groups.contains(&group) || itself(id)) && (self.failed.contains(id) || self.is_blocked(other))
            })
        })
    }

    fn complete(&mut self, id: &ItemId, result: &serde_json::Value) -> Result<(), Rejection> {
        let text = result.to_string();
        let completion = self.jobs.completed(&self.job.session(), id, Some(&text), Context::default())?;
        self.record(&completion.events);
        self.add(completion.successors.clone(), Some(id));
        self.items.get_mut(id).unwrap().done = Some(text.clone());
        let again = self.jobs.completed(&self.job.session(), id, Some(&text), Context::default()).unwrap();
        assert_eq!(again.events, [], "a repeat of {id} is no news");
        assert_eq!(again.successors, completion.successors, "a repeat of {id} has the same successors");
        Ok(())
    }

    /// Does what is ready until nothing is, in the order that `choices` say.
    fn run(&mut self, world: &World, choices: &mut impl Iterator<Item = usize>) {
        loop {
            let ready = self.ready();
            if ready.is_empty() {
                if self.begin_phase() {
                    continue;
                }
                return;
            }
            let id = ready[choices.next().unwrap_or(0) % ready.len()].clone();
            let missed = choices.next().unwrap_or(1).is_multiple_of(7);
            let result = world.result(&self.items[&id].item, missed);
            self.complete(&id, &result).unwrap();
            if choices.next().unwrap_or(1).is_multiple_of(5) {
                self.repeat_one(choices.next().unwrap_or(0));
            }
            if choices.next().unwrap_or(1).is_multiple_of(11) {
                self.snapshot = Some((self.journal.len(), self.jobs.snapshot()));
            }
        }
    }

    /// An old completion comes again, long after.
    fn repeat_one(&mut self, choice: usize) {
        let done: Vec<_> = self.items.iter().filter_map(|(id, item)| Some((id, item.done.as_ref()?))).collect();
        let (id, result) = done[choice % done.len()];
        let again = self.jobs.completed(&self.job.session(), id, Some(result), Context::default()).unwrap();
        assert_eq!(again.events, [], "an old {id} is no news");
    }

    fn settle(&mut self, settled: Settled) {
        let events = self.jobs.session_settled(&self.job.session(), settled);
        self.record(&events);
        assert_eq!(self.jobs.session_settled(&self.job.session(), settled), [], "a job ends once");
    }

    fn replayed(&self) -> Jobs {
        let mut jobs = Jobs::default();
        self.replay(&mut jobs, 0);
        jobs
    }

    fn replay(&self, jobs: &mut Jobs, from: usize) {
        for (stamp, bytes) in &self.journal[from..] {
            jobs.apply(*stamp, &JobEvent::decode(bytes).unwrap());
        }
    }

    fn report(&self) -> serde_json::Value {
        serde_json::to_value(self.jobs.report(&self.job, WallTime(0), false).unwrap()).unwrap()
    }
}

fn wanted(wait: &WorkWait) -> String {
    match wait {
        WorkWait::Group(group) => group.to_string(),
        WorkWait::Item(item) => format!("item {item}"),
    }
}

/// What workers would find: for each collection the documents of its chunks.
#[derive(Debug)]
struct World {
    collections: Vec<(String, Vec<u64>)>,
    scan: &'static str,
}

impl World {
    fn result(&self, item: &WorkItem, missed: bool) -> serde_json::Value {
        let payload: serde_json::Value = serde_json::from_str(&item.payload).unwrap();
        let documents = |unit: UnitId, chunk: u32| self.chunks(unit)[chunk as usize];
        match item.id.as_str().parse::<Stage>().unwrap() {
            Stage::Survey { .. } => json!({"units": self.units(), "scan": self.scan}),
            Stage::Plan(unit) => {
                let chunks = self.chunks(unit).iter().enumerate();
                let chunks: Vec<_> =
                    chunks.map(|(n, documents)| json!({"range": {"n": n}, "documents": documents + 1})).collect();
                json!({ "chunks": chunks })
            }
            Stage::Dump { unit, chunk, generation } => {
                let documents = documents(unit, chunk);
                let part = json!({"name": format!("j/{unit}_{chunk}.g{generation}.t1.s0"), "documents": documents,
                    "bytes": documents * 10, "blocks": 1, "stored_bytes": 7, "checksum": "00"});
                let parts = if documents == 0 { vec![] } else { vec![part] };
                json!({"documents": documents, "bytes": documents * 10, "parts": parts, "marker": "m"})
            }
            Stage::Restore { generation, .. } if missed && generation < 3 => json!({"missed": {"reason": "gone"}}),
            Stage::Restore { .. } => {
                let documents = payload["documents"].as_u64().unwrap();
                let parts: Vec<_> = payload["parts"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|part| part["documents"].as_u64().unwrap())
                    .collect();
                assert_eq!(parts.iter().sum::<u64>(), documents, "the payload carries the dump's facts");
                json!({"restored": {"documents": documents, "bytes": documents * 10}})
            }
            Stage::Copy { unit, chunk } => {
                let documents = documents(unit, chunk);
                json!({"restored": {"documents": documents, "bytes": documents * 10}})
            }
            Stage::Verify(unit) => {
                let ranges = self.chunks(unit).len();
                json!({"verdict": {"mode": "hash", "ranges": ranges, "missing": 0, "extra": 0, "different": 0, "repaired": 0}})
            }
            Stage::Index(_) | Stage::Finish | Stage::Sweep | Stage::Abandon => json!({}),
        }
    }

    fn units(&self) -> Vec<serde_json::Value> {
        let unit = |(name, _): &(String, Vec<u64>)| json!({"source": {"database": "shop", "collection": name}, "definition": {}, "documents": 3, "bytes": 30});
        self.collections.iter().map(unit).collect()
    }

    fn chunks(&self, unit: UnitId) -> &[u64] {
        let of = |name: &str| UnitId::of(&Namespace::new("shop", name));
        &self.collections.iter().find(|(name, _)| of(name) == unit).unwrap().1
    }

    /// As plans guess: one more in each chunk than there is.
    fn planned(&self) -> u64 {
        self.documents() + self.collections.iter().map(|(_, chunks)| chunks.len() as u64).sum::<u64>()
    }

    /// One for each chunk that has documents.
    fn parts(&self) -> usize {
        self.collections.iter().flat_map(|(_, chunks)| chunks).filter(|documents| **documents > 0).count()
    }

    fn documents(&self) -> u64 {
        self.collections.iter().flat_map(|(_, chunks)| chunks).sum()
    }
}

fn world() -> impl Strategy<Value = World> {
    let chunks = prop::collection::vec(0_u64..50, 0..5);
    let scan = prop_oneof![Just("after_unit"), Just("after_job"), Just("never")];
    (prop::collection::vec(chunks, 1..4), scan).prop_map(|(collections, scan)| World {
        collections: collections.into_iter().enumerate().map(|(n, chunks)| (format!("c{n}"), chunks)).collect(),
        scan,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_completions_ends_in_the_same_totals(
        world in world(),
        mode in prop::sample::select(MODES.to_vec()),
        choices in prop::collection::vec(any::<u16>(), 0..400),
    ) {
        prop_assume!(mode != "verify" || world.scan != "never");
        let mut journey = Journey::begin(&format!("from = 'dump:a'\nto = 'dump:b'\nmode = '{mode}'"));

        journey.run(&world, &mut choices.into_iter().map(usize::from));
        journey.settle(Settled::Completed);

        prop_assert!(journey.items.values().all(|item| item.done.is_some()), "nothing is left waiting");
        let report = journey.report();
        prop_assert_eq!(&report["state"], "completed");
        prop_assert_eq!(&report["mode"], mode);
        let moved = if matches!(mode, "simulate" | "verify") { 0 } else { world.documents() };
        prop_assert_eq!(report["documents"].as_u64(), Some(moved));
        let planned = (mode == "simulate").then(|| world.planned());
        prop_assert_eq!(report["planned"]["documents"].as_u64(), planned);
        prop_assert_eq!(report["percent"].as_f64(), Some(100.0));
        let proved = mode == "dump-only" || (mode != "simulate" && world.scan != "never");
        prop_assert_eq!(&report["verified"]["mode"], if proved { "hash" } else { "none" });
        prop_assert_eq!(report["dump"].is_string(), mode == "dump-only");
        let kept = if mode == "dump-only" { world.parts() } else { 0 };
        prop_assert_eq!(journey.jobs.parts_in_use(&journey.job).unwrap().count(), kept);

        prop_assert_eq!(&journey.replayed(), &journey.jobs);
        if let Some((length, rows)) = &journey.snapshot {
            let mut jobs = Jobs::restore(rows).unwrap();
            journey.replay(&mut jobs, *length);
            prop_assert_eq!(&jobs, &journey.jobs);
        }
    }
}

const MODES: [&str; 6] = ["dump-and-restore", "direct", "dump-only", "restore-only", "simulate", "verify"];

const SHOP: &str = "from = 'dump:a'\nto = 'dump:b'";

fn shop() -> World {
    World { collections: vec![("orders".into(), vec![5, 3])], scan: "after_unit" }
}

fn id(text: impl Into<String>) -> ItemId {
    ItemId::new(text.into()).unwrap()
}

/// A journey in which everything is dumped and nothing restored yet.
fn dumped() -> (Journey, World, String) {
    let (mut journey, world) = (Journey::begin(SHOP), shop());
    let unit = UnitId::of(&Namespace::new("shop", "orders")).to_string();
    for item in [id("survey"), id(format!("plan:{unit}")), id(format!("dump:{unit}_0")), id(format!("dump:{unit}_1"))] {
        let result = world.result(&journey.items[&item].item, false);
        journey.complete(&item, &result).unwrap();
    }
    (journey, world, unit)
}

#[test]
fn missed_parts_are_dumped_again_under_a_new_generation_until_the_spool_is_given_up() {
    let (mut journey, world, unit) = dumped();
    for generation in 1..=8 {
        let ready = journey.ready();
        let restore =
            ready.iter().find(|item| item.as_str().starts_with(&format!("restore:{unit}_0"))).unwrap().clone();
        journey.complete(&restore, &json!({"missed": {"reason": "cut short"}})).unwrap();
        let dump = id(format!("dump:{unit}_0.g{generation}"));
        let result = world.result(&journey.items[&dump].item, false);
        journey.complete(&dump, &result).unwrap();
    }

    let last = id(format!("restore:{unit}_0.g8"));
    let refused = journey.complete(&last, &json!({"missed": {"reason": "cut short"}})).unwrap_err();

    assert!(matches!(refused, Rejection::SpoolUnreliable { times: 9, .. }), "{refused}");
    assert_eq!(journey.jobs.job(&journey.job).unwrap().dumped, Figures { documents: 8, bytes: 80 }, "counted once");
}

#[test]
fn a_chunk_that_arrives_with_fewer_documents_than_were_dumped_is_refused() {
    let (mut journey, _, unit) = dumped();
    for (documents, bytes, dead_letters) in [(4, 50, 0), (5, 49, 0), (6, 50, 0), (5, 50, 1), (4, 51, 1)] {
        let result = json!({"restored": {"documents": documents, "bytes": bytes, "dead_letters": dead_letters}});
        let refused = journey.complete(&id(format!("restore:{unit}_0")), &result).unwrap_err();
        assert!(matches!(refused, Rejection::BadResult { .. }), "{refused}");
    }
    let with_a_dead_letter = json!({"restored": {"documents": 4, "bytes": 41, "dead_letters": 1}});
    journey.complete(&id(format!("restore:{unit}_0")), &with_a_dead_letter).unwrap();
}

#[test]
fn dead_letters_beyond_what_is_allowed_are_a_failure_whatever_was_verified() {
    let (mut journey, world, unit) = dumped();
    let dead = json!({"restored": {"documents": 4, "bytes": 41, "dead_letters": 1}});
    journey.complete(&id(format!("restore:{unit}_0")), &dead).unwrap();
    journey.run(&world, &mut std::iter::empty());
    journey.settle(Settled::Completed);

    let report = journey.jobs.report(&journey.job, WallTime(0), false).unwrap();
    assert_eq!((report.state, report.dead_letters, report.documents), (ReportState::CompletedWithFailures, 1, 7));
    let retried = journey.jobs.decide(&JobCommand::Retry { job: journey.job.clone() }, Context::default());
    assert!(matches!(retried, Err(Rejection::JobEnded { .. })), "there is nothing to try again");
}

#[test]
fn an_occupied_target_ends_the_job_before_anything_is_written() {
    let mut journey = Journey::begin(SHOP);
    let refused = json!({"units": shop().units(), "refused": [{"what": "shop.orders", "reason": "holds 3 documents"}]});

    journey.complete(&id("survey"), &refused).unwrap();
    journey.settle(Settled::Completed);

    assert_eq!(journey.ready(), [], "nothing follows");
    let view = journey.jobs.job(&journey.job).unwrap();
    assert_eq!((view.ended.map(|(end, _)| end), view.units), (Some(End::Failed), 0));
    assert_eq!(&*view.refused[0].reason, "holds 3 documents");
}

#[test]
fn two_units_that_would_become_one_are_refused() {
    let spec = format!("{SHOP}\nrenames = [{{ from = 'shop.*', to = 'shop.all' }}]");
    let mut journey = Journey::begin(&spec);
    let world = World { collections: vec![("a".into(), vec![]), ("b".into(), vec![])], scan: "after_unit" };

    journey.complete(&id("survey"), &json!({"units": world.units()})).unwrap();

    let refused = journey.jobs.job(&journey.job).unwrap().refused;
    assert_eq!((&*refused[0].what, refused.len()), ("shop.b", 1));
}

#[test]
fn the_same_command_finds_its_job_again_and_starts_anew_once_it_has_ended() {
    let mut journey = Journey::begin(SHOP);
    let again = journey.jobs.decide(&submit(SHOP), Context::default()).unwrap();
    assert_eq!((again.job, again.events.len(), again.work.len()), (journey.job.clone(), 0, 0));

    let slower = submit(&format!("{SHOP}\nverify = 'none'"));
    let refused = journey.jobs.decide(&slower, Context::default()).unwrap_err();
    assert!(matches!(refused, Rejection::JobDiffers { field: "verify", .. }), "{refused}");

    journey.run(&shop(), &mut std::iter::empty());
    journey.settle(Settled::Completed);
    let anew = journey.jobs.decide(&submit(SHOP), Context::default()).unwrap();
    assert_eq!(anew.job.as_str(), format!("{}-2", journey.job));
    let named = JobCommand::Submit { name: Some(journey.job.clone()), spec: spec(SHOP) };
    assert!(matches!(journey.jobs.decide(&named, Context::default()), Err(Rejection::JobEnded { .. })));
}

#[test]
fn a_job_that_failed_in_part_goes_on_when_it_is_tried_again() {
    let (mut journey, world, _) = dumped();
    journey.settle(Settled::CompletedWithFailures);

    let decision = journey.jobs.decide(&JobCommand::Retry { job: journey.job.clone() }, Context::default()).unwrap();
    assert!(matches!(&decision.work[..], [WorkIntent::Retry { items, .. }] if items.is_empty()));
    journey.record(&decision.events);
    journey.run(&world, &mut std::iter::empty());
    journey.settle(Settled::Completed);

    assert_eq!(journey.jobs.job(&journey.job).unwrap().ended.map(|(end, _)| end), Some(End::Completed));
}

#[test]
fn a_cancelled_job_is_cancelled_and_one_that_its_policy_ended_has_failed() {
    for (by_somebody, end) in [(true, End::Cancelled), (false, End::Failed)] {
        let (mut journey, ..) = dumped();
        if by_somebody {
            let cancel = JobCommand::Cancel { job: journey.job.clone(), drop_partial: true, reason: "enough".into() };
            let decision = journey.jobs.decide(&cancel, Context::default()).unwrap();
            journey.record(&decision.events);
            let brief = journey.jobs.brief(&journey.job.session(), &id("abandon"), 0, Sharing::default()).unwrap();
            assert!(brief.text.contains(r#""drop_partial":true"#), "{}", brief.text);
        }
        journey.settle(Settled::Cancelled);
        assert_eq!(journey.jobs.job(&journey.job).unwrap().ended.map(|(end, _)| end), Some(end));
    }
}

#[test]
fn a_brief_tells_what_all_chunks_share_and_keeps_the_order_of_fields() {
    let mut journey = Journey::begin(SHOP);
    let unit = r#"{"source":{"database":"shop","collection":"orders"},"definition":{"b":1,"a":2}}"#;
    let survey = format!(r#"{{"units":[{unit}]}}"#);
    let session = journey.job.session();
    let completion = journey.jobs.completed(&session, &id("survey"), Some(&survey), Context::default()).unwrap();
    journey.record(&completion.events);

    let jobs = journey.replayed();
    let brief = jobs.brief(&session, &completion.successors[0].id, 0, Sharing::default()).unwrap();

    assert_eq!(brief.next, None);
    assert!(brief.text.contains(r#""definition":{"b":1,"a":2}"#), "{}", brief.text);
    let strange = jobs.brief(&session, &id("else"), 0, Sharing::default());
    assert!(matches!(strange, Err(Rejection::NoBrief { .. })));
}

#[test]
fn a_long_brief_comes_in_pages_that_name_every_chunk_once() {
    let world = World { collections: vec![("orders".into(), vec![1; 9_000])], scan: "after_unit" };
    let mut journey = Journey::begin(SHOP);
    let unit = UnitId::of(&Namespace::new("shop", "orders")).to_string();
    for item in [id("survey"), id(format!("plan:{unit}"))] {
        let result = world.result(&journey.items[&item].item, false);
        let completion = journey
            .jobs
            .completed(&journey.job.session(), &item, Some(&result.to_string()), Context::default())
            .unwrap();
        completion.events.iter().for_each(|event| journey.jobs.apply(Stamp::default(), event));
        journey.add(completion.successors, Some(&item));
    }
    for chunk in 0..9_000_u32 {
        let part = json!({"name": "x".repeat(200), "documents": 1, "bytes": 10, "stored": 1, "checksum": "00"});
        let landed = json!({"restored": {"documents": 1, "bytes": 10, "parts": [part]}});
        let dumped = world.result(&journey.items[&id(format!("dump:{unit}_{chunk}"))].item, false);
        for (item, result) in [(format!("dump:{unit}_{chunk}"), dumped), (format!("restore:{unit}_{chunk}"), landed)] {
            let completion = journey
                .jobs
                .completed(&journey.job.session(), &id(item), Some(&result.to_string()), Context::default())
                .unwrap();
            completion.events.iter().for_each(|event| journey.jobs.apply(Stamp::default(), event));
        }
    }

    let (mut chunks, mut pages, mut from) = (Vec::new(), 0, Some(0));
    while let Some(page) = from {
        let brief =
            journey.jobs.brief(&journey.job.session(), &id(format!("index:{unit}")), page, Sharing::default()).unwrap();
        assert!(brief.text.len() < 4 << 20);
        let text: capstan_migration::BriefText = serde_json::from_str(&brief.text).unwrap();
        chunks.extend(text.chunks.iter().map(|chunk| chunk.chunk));
        (from, pages) = (brief.next, pages + 1);
    }

    assert_eq!(chunks, (0..9_000).collect::<Vec<_>>());
    assert!(pages > 1, "9,000 chunks are more than one page");
}

#[test]
fn pools_are_sized_by_cores_where_nothing_is_said() {
    let context = Context { cores: 6, ..Context::default() };
    let command = submit(&format!("{SHOP}\npools = {{ dump = 3 }}"));

    let decision = Jobs::default().decide(&command, context).unwrap();

    let [WorkIntent::OpenSession { policy, .. }] = &decision.work[..] else { panic!("{:?}", decision.work) };
    let sizes: Vec<_> = policy.limits.iter().map(|(name, size)| (name.as_str(), *size)).collect();
    assert_eq!(sizes, [("plan", 6), ("dump", 3), ("restore", 6), ("index", 6), ("verify", 6)]);
    assert_eq!(Verify::default(), Verify::Hash);
}

const KEPT: &str = "from = 'dump:a'\nmode = 'dump-only'";

#[test]
fn a_kept_dump_is_completed_and_proved_with_the_facts_of_every_part() {
    let world = World { collections: vec![("orders".into(), vec![2; 70]), ("empty".into(), vec![])], scan: "never" };
    let mut journey = Journey::begin(KEPT);
    let orders = UnitId::of(&Namespace::new("shop", "orders"));
    while journey.ready().first().is_some_and(|id| id.as_str() != "finish") || journey.begin_phase() {
        let Some(id) = journey.ready().into_iter().find(|id| id.as_str() != "finish") else { break };
        let result = world.result(&journey.items[&id].item, false);
        journey.complete(&id, &result).unwrap();
    }

    let pages = |item: ItemId| {
        let (mut texts, mut from) = (Vec::new(), Some(0));
        while let Some(page) = from {
            let brief = journey.jobs.brief(&journey.job.session(), &item, page, Sharing::default()).unwrap();
            texts.push(serde_json::from_str::<capstan_migration::BriefText>(&brief.text).unwrap());
            from = brief.next;
        }
        texts
    };
    let entries: Vec<_> = pages(id("finish")).into_iter().flat_map(|text| text.units).collect();
    let chunks: Vec<_> = entries
        .iter()
        .filter(|unit| unit.id == orders)
        .flat_map(|unit| &unit.dumped)
        .map(|chunk| chunk.chunk)
        .collect();
    let proved: Vec<_> = pages(id(format!("verify:{orders}")))
        .into_iter()
        .flat_map(|text| text.unit.unwrap().dumped)
        .map(|chunk| (chunk.chunk, chunk.documents, chunk.parts.len()))
        .collect();

    assert_eq!(chunks, (0..70).collect::<Vec<_>>(), "each once, in order, over several entries");
    assert!(entries.iter().any(|unit| unit.source.to_string() == "shop.empty"), "a unit without documents is in it");
    assert_eq!(proved, (0..70).map(|chunk| (chunk, 2, 1)).collect::<Vec<_>>());
}

#[test]
fn what_was_not_dumped_whole_is_not_in_the_dump() {
    let world = World { collections: vec![("a".into(), vec![2]), ("b".into(), vec![2])], scan: "never" };
    let mut journey = Journey::begin(&format!("{KEPT}\nretry = {{ on_exhausted = 'skip' }}"));
    let bad = id(format!("dump:{}_0", UnitId::of(&Namespace::new("shop", "b"))));
    journey.failed.insert(bad);

    journey.run(&world, &mut std::iter::empty());
    let brief = journey.jobs.brief(&journey.job.session(), &id("finish"), 0, Sharing::default()).unwrap();
    journey.settle(Settled::CompletedWithFailures);

    assert!(brief.text.contains("shop") && !brief.text.contains(r#""collection":"b""#), "{}", brief.text);
    let report = journey.report();
    assert_eq!(
        (&report["state"], &report["by_unit"][1]["given_up"]),
        (&json!("completed_with_failures"), &json!(true))
    );
    let retried = journey.ask(&JobCommand::Retry { job: journey.job.clone() });
    assert!(matches!(retried, Err(Rejection::JobEnded { .. })), "its catalogue is written: {retried:?}");
}

fn added(journey: &Journey, pattern: &str) -> JobCommand {
    JobCommand::AddUnits { job: journey.job.clone(), collections: vec![pattern.into()] }
}

proptest! {
    #[test]
    fn units_added_at_any_moment_are_moved_once_and_repeats_change_nothing(
        first in 1_usize..4,
        mode in prop::sample::select(vec!["dump-and-restore", "direct", "dump-only", "restore-only", "simulate"]),
        steps in 1_usize..12,
        choices in prop::collection::vec(any::<u16>(), 0..200),
    ) {
        let all = ["a", "b", "c", "d"].map(|name| (name.to_owned(), vec![3, 4]));
        let world = World { collections: all.to_vec(), scan: "after_unit" };
        let few = World { collections: all[..first].to_vec(), scan: "after_unit" };
        let mut journey = Journey::begin(&format!("from = 'dump:a'\nto = 'dump:b'\nmode = '{mode}'\ninclude = ['shop.*']"));
        let mut choices = choices.into_iter().map(usize::from);
        journey.complete(&id("survey"), &few.result(&journey.items[&id("survey")].item, false)).unwrap();
        for _ in 0..steps {
            let Some(next) = journey.ready().first().cloned() else { break };
            journey.complete(&next, &world.result(&journey.items[&next].item, false)).unwrap();
        }
        let command = added(&journey, "*");
        let taken = journey.ask(&command).is_ok();
        prop_assert_eq!(&*journey.jobs.brief(&journey.job.session(), &id("survey.2"), 0, Sharing::default()).unwrap().text.contains(r#""only":["*"]"#).to_string(), if taken { "true" } else { "false" });

        journey.run(&world, &mut choices);
        journey.settle(Settled::Completed);

        let expected = if taken { &world } else { &few };
        let view = journey.jobs.job(&journey.job).unwrap();
        prop_assert_eq!((view.units, view.percent), (expected.collections.len() as u64, 100.0));
        prop_assert!(journey.items.values().all(|item| item.done.is_some()), "nothing is left waiting");
        prop_assert_eq!(&journey.replayed(), &journey.jobs);
    }
}

#[test]
fn added_units_whose_target_is_taken_are_left_behind_and_the_job_says_so() {
    let mut journey = Journey::begin(&format!(
        "{SHOP}\ninclude = ['shop.orders']\nrenames = [{{ from = 'shop.*', to = 'shop.all' }}]"
    ));
    journey.complete(&id("survey"), &json!({"units": shop().units()})).unwrap();
    journey.ask(&added(&journey, "shop.b")).unwrap();
    let unit = json!({"source": {"database": "shop", "collection": "b"}, "definition": {}});

    journey.complete(&id("survey.2"), &json!({"units": [unit]})).unwrap();
    journey.run(&shop(), &mut std::iter::empty());
    journey.settle(Settled::Completed);

    let report = journey.report();
    assert_eq!((&report["units"], &report["state"]), (&json!(1), &json!("completed_with_failures")));
    assert!(report["refused"][0]["reason"].as_str().unwrap().contains("shop.all"), "{report}");
}

#[test]
fn what_only_the_target_has_counts_as_extra_where_both_sides_are_compared() {
    let mut journey = Journey::begin(&format!("{SHOP}\nmode = 'verify'"));
    let aside = json!([{"what": "shop.old", "reason": "only at the target, with 4 documents"}]);
    let survey = json!({"units": shop().units(), "set_aside": aside, "extra": 4});

    journey.complete(&id("survey"), &survey).unwrap();
    journey.run(&shop(), &mut std::iter::empty());
    journey.settle(Settled::Completed);

    let report = journey.report();
    assert_eq!((&report["verified"]["extra"], &report["state"]), (&json!(4), &json!("completed_with_failures")));
    assert_eq!(report["set_aside"][0]["what"], "shop.old");
}

#[test]
fn items_count_against_the_hosts_that_they_speak_to() {
    let text = "from = 'mongodb://db1,db2/shop'\nto = 'opensearch+https://search/'";
    let mut journey = Journey::begin(text);
    let (world, unit) = (shop(), UnitId::of(&Namespace::new("shop", "orders")));
    for item in [id("survey"), id(format!("plan:{unit}")), id(format!("dump:{unit}_0"))] {
        journey.complete(&item, &world.result(&journey.items[&item].item, false)).unwrap();
    }

    let (source, target) = ("host:db1:27017", "host:search:443");
    for (stage, limits) in [
        ("survey".to_owned(), vec!["jobs", source, target]),
        (format!("plan:{unit}"), vec!["jobs", source, target]),
        (format!("dump:{unit}_0"), vec!["jobs", "operations", source]),
        (format!("restore:{unit}_0"), vec!["jobs", "operations", target]),
        (format!("index:{unit}"), vec!["jobs", target]),
        (format!("verify:{unit}"), vec!["jobs", source, target]),
        ("sweep".to_owned(), vec!["jobs"]),
    ] {
        let found: Vec<_> =
            journey.items[&id(stage.as_str())].item.limits.iter().map(|name| name.to_string()).collect();
        assert_eq!(found, limits, "{stage}");
    }
}

#[test]
fn rates_are_changed_while_it_runs_and_nonsense_is_refused_by_its_field() {
    let mut journey = Journey::begin(SHOP);
    let rates = |documents, operations| capstan_migration::Rates { documents, bytes: None, operations };
    let set = |rates| JobCommand::SetRates { job: journey.job.clone(), rates };

    let decision = journey.jobs.decide(&set(rates(Some(100), Some(3))), Context::default()).unwrap();

    let [WorkIntent::SetLimit { limit, value: Some(3), .. }] = &decision.work[..] else {
        panic!("{:?}", decision.work)
    };
    assert_eq!(limit.as_str(), "operations");
    let refused = journey.jobs.decide(&set(rates(Some(0), Some(4_097))), Context::default()).unwrap_err();
    let Rejection::SpecInvalid(faults) = refused else { panic!("{refused}") };
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["rates.documents", "rates.operations"]);
    journey.record(&decision.events);
    assert_eq!(journey.jobs.job(&journey.job).unwrap().rates, rates(Some(100), Some(3)));
}
