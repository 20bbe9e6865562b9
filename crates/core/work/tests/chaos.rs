//! Random lives: commands, old tokens, jumping clocks, crashes and snapshots in any order keep every promise.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]
#![allow(clippy::manual_is_multiple_of, reason = "bytes choose what happens; nothing here is about divisors")]

mod world;

use capstan_ids::{ItemId, Millis, Monotonic, SessionName, Token, WallTime, WorkerId};
use capstan_work::{
    Acquire, Answer, Attempts, Backoff, Command, Complete, Conflicts, Event, Holder, ItemState, LeaseGrowth,
    LimitValue, NewItem, NoWork, OnExhausted, Policy, PolicyChange, Progress, Slice, WaitsFor, WorkState,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use world::*;

const SESSIONS: [&str; 3] = ["red", "green", "blue"];
const WORKERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const GROUPS: [&str; 4] = ["g0", "g1", "g2", "g3"];
const KINDS: [&str; 3] = ["dump", "restore", "index"];
const LIMITS: [&str; 3] = ["host:db1", "dump", "global"];

/// Lives per property; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(128)
}

/// One step: what to do, and bytes to choose with.
type Step = [u8; 7];

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<Step>(), 1..most)
}

/// A life: a world, every grant it ever gave, and snapshots under way.
struct Life {
    world: World,
    grants: Vec<(SessionName, ItemId, WorkerId, Token)>,
    open: BTreeMap<SessionName, Saved>,
    whole: BTreeMap<SessionName, Saved>,
}

/// A snapshot: its first row, the others, and how much of the journal it covers.
#[derive(Clone)]
struct Saved {
    header: Vec<u8>,
    rows: Vec<Vec<u8>>,
    covers: usize,
}

fn pick<'a>(from: &[&'a str], by: u8) -> &'a str {
    from[by as usize % from.len()]
}

impl Life {
    fn new() -> Self {
        let mut world = World::new();
        for name in SESSIONS {
            world.open(name, policy(name.len() as u8));
        }
        Self { world, grants: Vec::new(), open: BTreeMap::new(), whole: BTreeMap::new() }
    }

    fn live(&mut self, steps: &[Step]) {
        for step in steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: &Step) {
        let name = session(pick(&SESSIONS, step[1]));
        match step[0] % 64 {
            60 => self.world.crash(),
            61 => self.pass(step),
            62 => self.begin_snapshot(&name),
            63 => self.go_on_with_snapshots(u64::from(step[2] % 8) + 1),
            54..=59 => self.pass(step),
            _ => {
                let command = self.command(&name, step);
                self.do_command(&command);
            }
        }
        self.go_on_with_snapshots(1);
    }

    fn pass(&mut self, step: &Step) {
        let by = [1, 50, 1_000, 5_000, 11_000, 40_000, 400_000][step[2] as usize % 7];
        self.world.pass(Millis(by));
        if step[3] % 8 == 0 {
            self.world.shift_wall_clock(i64::from(step[4] as i8) * 1_000_000);
        }
        self.world.settle();
    }

    fn do_command(&mut self, command: &Command) {
        self.world.settle();
        let before = portrait(&self.world.work);
        match self.world.perform_now(command) {
            Ok(Answer::Granted(grants)) => {
                for grant in &grants {
                    self.note(grant);
                }
            }
            Ok(Answer::Completed { next, .. }) => {
                for grant in &next {
                    self.note(grant);
                }
            }
            Ok(Answer::Nothing(why)) => self.nothing_means_nothing(command, &why),
            Ok(_) => {}
            Err(_) => assert_eq!(before, portrait(&self.world.work), "a rejection changed something: {command:?}"),
        }
    }

    fn note(&mut self, grant: &capstan_work::Grant) {
        // A repeat answers with leases that were noted before.
        let known = (grant.session.clone(), id(grant.body.id()), worker("?"), grant.token);
        let item = self.world.work.item(&known.0, &known.1).expect("what is granted is there");
        assert_eq!((item.state, item.token), (ItemState::Assigned, Some(grant.token)));
        let holder = item.worker.expect("somebody holds it");
        self.grants.push((known.0, known.1, holder, known.3));
    }

    /// W10: who is told that there is nothing could not have been given anything.
    fn nothing_means_nothing(&self, command: &Command, why: &NoWork) {
        let Command::Acquire(acquire) = command else { panic!("{command:?} asked for nothing") };
        let left = grantable(&self.world.work, acquire);
        assert!(left.is_empty(), "{left:?} could be granted to {acquire:?}, which was told {why:?}");
    }

    fn command(&self, name: &SessionName, step: &Step) -> Command {
        let [_, _, a, b, c, d, e] = *step;
        let an_item = id(&format!("i{}", a % 24));
        let (grant_session, grant_item, holder) = self.some_holder(a, b);
        let progress = match c % 4 {
            0 => None,
            _ => Some(Progress { documents: u64::from(c), bytes: u64::from(d) }),
        };
        let checkpoint: Option<Box<str>> = (d % 3 == 0).then(|| format!("c{}", e % 4).into());
        match step[0] % 64 {
            0..=9 => Command::AddItems {
                session: name.clone(),
                items: (0..=(b % 4)).map(|n| new_item(a.wrapping_add(n), c.wrapping_add(n), d, e)).collect(),
                gates: if b % 16 == 0 { vec![(group(pick(&GROUPS, c)), gate("ready"))] } else { vec![] },
                conflicts: if b % 2 == 0 { Conflicts::Report } else { Conflicts::Refuse },
            },
            10..=21 => Command::Acquire(acquire(name, step)),
            22..=25 => Command::Renew {
                session: grant_session,
                item: grant_item,
                holder,
                progress,
                checkpoint,
                lease: (e % 3 == 0).then(|| secs(u64::from(e))),
            },
            26..=31 => Command::Complete(self.completion(step)),
            32..=35 => Command::CompleteAndAcquire { complete: self.completion(step), acquire: acquire(name, step) },
            36..=38 => Command::Fail {
                session: grant_session,
                item: grant_item,
                holder,
                error: "broken".into(),
                permanent: c % 4 == 0,
                retry_after: (c % 5 == 0).then(|| secs(u64::from(d % 60))),
                checkpoint,
            },
            39..=40 => Command::Release { session: grant_session, item: grant_item, holder, progress, checkpoint },
            41 => Command::Retry { session: name.clone(), items: if b % 2 == 0 { vec![] } else { vec![an_item] } },
            42 => Command::CancelItem { session: name.clone(), item: an_item },
            43 => Command::SetPriority { session: name.clone(), item: an_item, priority: i16::from(b % 3) },
            44 => Command::SetLimit {
                session: (b % 3 != 0).then(|| name.clone()),
                name: limit(pick(&LIMITS, c)),
                value: LimitValue::new(u32::from(d % 5)),
            },
            45 => Command::HoldGate { session: name.clone(), group: group(pick(&GROUPS, a)), gate: gate("ready") },
            46 => Command::OpenGate { session: name.clone(), group: group(pick(&GROUPS, a)), gate: gate("ready") },
            47 => Command::Pause { session: name.clone(), immediate: b % 2 == 0, reason: "because".into() },
            48..=49 => Command::Resume { session: name.clone() },
            50 => match b % 6 {
                0 => Command::Cancel { session: name.clone(), reason: "enough".into() },
                1 => Command::Close { session: name.clone() },
                2 => Command::DeleteItems { session: name.clone() },
                3 => Command::DeleteSession { session: name.clone() },
                _ => Command::UpdateSession { session: name.clone(), change: change(c), notes: None },
            },
            51 => Command::DeleteItem { session: name.clone(), item: an_item },
            52 => Command::Sweep { session: name.clone() },
            _ => Command::OpenSession {
                session: name.clone(),
                policy: policy(a),
                notes: Some("{}".into()),
                items: vec![new_item(b, c, d, e)],
                gates: vec![],
            },
        }
    }

    /// Somebody who was granted something once, lately or long ago, or somebody who never was.
    fn some_holder(&self, a: u8, b: u8) -> (SessionName, ItemId, Holder) {
        let Some(back) = self.grants.len().checked_sub(1 + usize::from(a % 12)) else {
            return (session(SESSIONS[0]), id("i0"), Holder::Worker(worker(pick(&WORKERS, b))));
        };
        let (session, item, worker, token) = self.grants[back].clone();
        let holder = match b % 8 {
            0 => Holder::Worker(worker),
            1 => Holder::WorkerWithToken(worker, token),
            2 => Holder::Token(Token::from_wire(u64::from(b))),
            _ => Holder::Token(token),
        };
        (session, item, holder)
    }

    fn completion(&self, step: &Step) -> Complete {
        let [_, _, a, b, c, d, e] = *step;
        let (session, item, holder) = self.some_holder(a, b);
        let successors = match e % 4 {
            0 => (0..=(c % 2)).map(|n| new_item(c.wrapping_add(n * 7), d, e, a)).collect(),
            _ => vec![],
        };
        let done = (d % 3 == 0).then(|| Progress { documents: u64::from(d), bytes: 1 });
        Complete { successors, done, result: Some("\"ok\"".into()), ..Complete::new(session, item, holder) }
    }

    fn begin_snapshot(&mut self, name: &SessionName) {
        if let Some(header) = self.world.work.begin_snapshot(name) {
            let saved = Saved { header, rows: Vec::new(), covers: self.world.journal.len() };
            self.open.insert(name.clone(), saved);
        }
    }

    fn go_on_with_snapshots(&mut self, most: u64) {
        let names: Vec<SessionName> = self.open.keys().cloned().collect();
        for name in names {
            match self.world.work.snapshot_slice(&name, most) {
                Slice::Rows(rows) => self.open.get_mut(&name).expect("it is under way").rows.extend(rows),
                Slice::Whole => {
                    let saved = self.open.remove(&name).expect("it is under way");
                    self.whole.insert(name, saved);
                }
                Slice::Abandoned => {
                    self.open.remove(&name);
                }
            }
        }
    }

    /// What a server makes of the snapshots there are and of the journal after each.
    fn restored(&self) -> WorkState {
        let mut work = WorkState::new();
        let now = self.world.now.monotonic;
        for saved in self.whole.values() {
            let mut restore = work.restore_session(&saved.header, now).expect("the header reads");
            for row in &saved.rows {
                restore.row(row).expect("the row reads");
            }
            restore.finish();
        }
        work.check().expect("what snapshots make is sound");
        let tail = self.world.journal.iter().enumerate().filter(|(index, entry)| {
            let saved = entry.session.as_ref().and_then(|session| self.whole.get(session));
            saved.is_none_or(|saved| *index >= saved.covers)
        });
        replay(&mut work, tail.map(|(_, entry)| entry), now);
        work.restart_terms(now);
        work
    }
}

fn new_item(a: u8, b: u8, c: u8, d: u8) -> NewItem {
    NewItem {
        kind: kind(pick(&KINDS, b)),
        document_count: u64::from(c % 5) * 10,
        priority: i16::from(d % 3),
        not_before: (c % 7 == 0).then(|| WallTime(DAWN.micros() + i64::from(d) * 1_000_000)),
        groups: if b % 3 == 0 && d % 8 != 0 { vec![group(pick(&GROUPS, c / 3))] } else { vec![] },
        waits_for: match c % 6 {
            0 => vec![WaitsFor::Group(group(pick(&GROUPS, d)))],
            1 => vec![WaitsFor::Item(id(&format!("i{}", d % 24)))],
            _ => vec![],
        },
        limits: if b % 4 == 0 { vec![limit("host:db1")] } else { vec![] },
        undo: d % 8 == 0,
        ..item(&format!("i{}", a % 24))
    }
}

fn policy(a: u8) -> Policy {
    Policy {
        lease: secs(30),
        attempts: [Some(1), Some(2), Some(4), None][a as usize % 4],
        on_exhausted: [OnExhausted::Skip, OnExhausted::Pause, OnExhausted::Skip, OnExhausted::Fail][a as usize / 4 % 4],
        backoff: if a % 3 == 0 { Backoff::Exponential { initial: secs(1), cap: secs(60) } } else { Backoff::None },
        growth: if a % 5 == 0 { LeaseGrowth::Doubling } else { LeaseGrowth::Fixed },
        keep_completed: [None, Some(2), Some(0), Some(10)][a as usize / 2 % 4],
        limits: if a % 2 == 0 { vec![(limit("dump"), most(2))] } else { vec![] },
        weight: 1 + u32::from(a % 4),
        stuck_after: (a % 3 != 1).then(|| secs(20)),
        revoke_stuck: a % 2 == 1,
        ..Policy::default()
    }
}

fn change(c: u8) -> PolicyChange {
    PolicyChange {
        attempts: Some(if c % 2 == 0 { Attempts::Unlimited } else { Attempts::Limited(3) }),
        lease: (c % 3 == 0).then(|| secs(u64::from(c))),
        ..PolicyChange::default()
    }
}

fn acquire(name: &SessionName, step: &Step) -> Acquire {
    let [_, _, a, b, c, d, e] = *step;
    let item = (e % 16 == 0).then(|| id(&format!("i{}", c % 24)));
    Acquire {
        sessions: if item.is_some() || b % 3 != 0 { vec![name.clone()] } else { vec![] },
        worker: worker(pick(&WORKERS, a)),
        kinds: if c % 3 == 0 { vec![kind(pick(&KINDS, c / 3))] } else { vec![] },
        item,
        max: u32::from(d % 4),
        lease: (d % 5 == 0).then(|| secs(u64::from(e % 90))),
        key: (d % 6 == 0).then(|| key(&format!("k{}", e % 3))),
        slots: (a % 2 == 0).then_some(u32::from(b % 9)),
        usage: (a % 3 == 0).then(|| capstan_work::Usage::new(f64::from(b % 100), u64::from(a)).unwrap()),
    }
}

/// Everything that an acquire could be given, by what is shown alone.
fn grantable(work: &WorkState, acquire: &Acquire) -> Vec<(SessionName, String)> {
    let everywhere = work.limits();
    let mut found = Vec::new();
    for view in work.sessions_after(None) {
        let asked = acquire.sessions.is_empty() || acquire.sessions.contains(&view.name);
        if !asked || !matches!(view.state.name(), "running" | "cancelled") {
            continue;
        }
        for item in work.items_from(&view.name, 0).expect("it was just listed") {
            let body = item.body.unpack();
            let wanted = acquire.kinds.is_empty() || acquire.kinds.contains(&body.kind);
            let named = acquire.item.as_ref().is_none_or(|id| *id == body.id);
            let mut names: Vec<String> = body.limits.iter().map(ToString::to_string).collect();
            names.extend([body.kind.to_string(), "global".to_owned()]);
            let room = names.iter().all(|name| {
                let mut limits = view.limits.iter().chain(&everywhere).filter(|limit| limit.name.as_str() == name);
                limits.all(|limit| limit.most.is_none_or(|most| limit.live < most.get()))
            });
            if item.state == ItemState::Ready && wanted && named && room {
                found.push((view.name.clone(), body.id.to_string()));
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    /// W1 to W10 after every step: the crate's own checker and the ledger look each time.
    #[test]
    fn every_promise_holds_after_every_step(steps in steps(250)) {
        Life::new().live(&steps);
    }

    /// W3: what the journal holds makes the state again.
    #[test]
    fn a_replay_of_the_journal_is_the_state(steps in steps(250)) {
        let mut life = Life::new();
        life.live(&steps);

        prop_assert_eq!(portrait(&life.world.replayed()), portrait(&life.world.work));
    }

    /// W3: a server that has read the journal decides as the one before it would have.
    #[test]
    fn a_server_that_has_replayed_decides_the_same(before in steps(150), after in steps(60)) {
        let mut life = Life::new();
        life.live(&before);
        // Progress that only memory has reaches the journal within ten seconds.
        life.world.pass(secs(11));
        life.world.settle();
        let replayed = life.world.replayed();
        let mut heir = Life::new();
        heir.world.work = replayed;
        heir.world.journal.clone_from(&life.world.journal);
        heir.world.ledger = life.world.ledger.clone();
        (heir.world.now, heir.world.next, heir.world.random) = (life.world.now, life.world.next, life.world.random);
        heir.grants.clone_from(&life.grants);
        life.world.work.restart_terms(life.world.now.monotonic);
        heir.world.work.restart_terms(heir.world.now.monotonic);

        let from = life.world.journal.len();
        for step in after.iter().filter(|step| step[0] % 64 < 60) {
            life.step(step);
            heir.step(step);
            prop_assert_eq!(
                life.world.events_since(from), heir.world.events_since(from), "they part at {:?}", step
            );
        }
        prop_assert_eq!(portrait(&life.world.work), portrait(&heir.world.work));
    }

    /// W3: snapshots taken in slices while commands go on, and the journal after each, make the state again.
    #[test]
    fn snapshots_and_the_journal_after_them_are_the_state(steps in steps(300), begins in prop::collection::vec(any::<(u8, u8)>(), 1..8)) {
        let mut life = Life::new();
        for (index, step) in steps.iter().enumerate() {
            for (at, of) in &begins {
                if index == usize::from(*at) % steps.len() {
                    life.begin_snapshot(&session(pick(&SESSIONS, *of)));
                }
            }
            life.step(step);
        }

        let restored = life.restored();
        if let Err(violation) = restored.check() {
            panic!("{violation}");
        }
        prop_assert_eq!(portrait(&restored), portrait(&life.world.work));
    }

    /// Every event that such a life brings reads back as it was.
    #[test]
    fn every_event_reads_back_as_it_was_written(steps in steps(250)) {
        let mut life = Life::new();
        life.live(&steps);

        for entry in &life.world.journal {
            let mut bytes = Vec::new();
            entry.event.encode(&mut bytes);
            prop_assert_eq!(&Event::decode(&bytes).unwrap(), &entry.event);
        }
    }

    #[test]
    fn bytes_that_are_no_event_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Event::decode(&bytes);
        let mut work = WorkState::new();
        let _ = work.restore_shared(&bytes);
        let _ = work.restore_session(&bytes, Monotonic(0)).map(|restore| restore.finish());
        let _ = work.check();
    }

    /// A snapshot with any byte changed is either refused or read: there is a checksum below for what it means.
    #[test]
    fn a_damaged_snapshot_never_panics(steps in steps(120), row in any::<usize>(), at in any::<usize>(), to in any::<u8>()) {
        let mut life = Life::new();
        life.live(&steps);
        let name = session(SESSIONS[row % 3]);
        let Some(header) = life.world.work.begin_snapshot(&name) else { return Ok(()) };
        let mut rows = vec![header];
        while let Slice::Rows(more) = life.world.work.snapshot_slice(&name, 100) {
            rows.extend(more);
        }
        let damaged = row % rows.len();
        let at = at % rows[damaged].len();
        rows[damaged][at] = to;

        let mut work = WorkState::new();
        if let Ok(mut restore) = work.restore_session(&rows[0], Monotonic(0))
            && rows[1..].iter().all(|row| restore.row(row).is_ok())
        {
            restore.finish();
        }
    }
}
