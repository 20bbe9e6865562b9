//! How fast the core decides and applies, alone: no journal, no network, one thread.
//!
//! `cargo run --release -p capstan-work --example throughput`

use capstan_ids::{ItemId, Millis, Moment, Monotonic, Position, SessionName, WallTime, WorkerId};
use capstan_work::{
    Acquire, Answer, Command, Complete, Conflicts, Context, Event, Grant, Holder, NewItem, Policy, Progress, Slice,
    WorkState,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

const MILLION: u64 = 1_000_000;
const ROUNDS: u64 = 300_000;

/// The core with a journal that only encodes.
struct Core {
    work: WorkState,
    next: Position,
    now: Moment,
    buffer: Vec<u8>,
    journalled: u64,
    shop: SessionName,
    alice: WorkerId,
}

impl Core {
    fn new() -> Self {
        let shop = SessionName::new("shop").expect("a valid name");
        let alice = WorkerId::new("alice").expect("a valid name");
        let now = Moment { monotonic: Monotonic(1), wall: WallTime(1_790_000_000_000_000) };
        let (work, next) = (WorkState::new(), Position::new(1));
        let mut core = Self { work, next, now, buffer: Vec::new(), journalled: 0, shop, alice };
        let (session, policy) = (core.shop.clone(), Policy::job());
        core.ask(Command::OpenSession { session, policy, notes: None, items: vec![], gates: vec![] });
        core
    }

    fn ask(&mut self, command: Command) -> Answer {
        let context = Context { moment: self.now, next: self.next, random: 7 };
        let (next, buffer) = (&mut self.next, &mut self.buffer);
        buffer.clear();
        let answer = self.work.perform(&command, context, &mut |_, event: &Event| {
            event.encode(buffer);
            *next = next.plus(1);
        });
        self.journalled += self.buffer.len() as u64;
        black_box(answer.expect("the requests are sound"))
    }

    fn add(&mut self, from: u64, count: u64, batch: u64) {
        for first in (from..from + count).step_by(batch as usize) {
            let items = (first..first + batch).map(item).collect();
            let session = self.shop.clone();
            self.ask(Command::AddItems { session, items, gates: vec![], conflicts: Conflicts::Refuse });
        }
    }

    fn acquire(&mut self, max: u32) -> Vec<Grant> {
        let acquire = Acquire { max, ..Acquire::from(self.shop.clone(), self.alice.clone()) };
        match self.ask(Command::Acquire(acquire)) {
            Answer::Granted(grants) => grants,
            other => panic!("there was no work: {other:?}"),
        }
    }

    fn completing(&self, grant: &Grant) -> Complete {
        let id = ItemId::new(grant.body.id()).expect("a valid id");
        Complete::new(self.shop.clone(), id, Holder::Token(grant.token))
    }
}

/// A pending item with a payload of 128 bytes.
fn item(number: u64) -> NewItem {
    let payload = Some(format!("{{\"p\":\"{}\"}}", "x".repeat(120)).into());
    NewItem { payload, document_count: 1_000, ..NewItem::new(ItemId::new(format!("orders/{number}")).expect("valid")) }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}

fn say(what: &str, count: u64, took: Duration) {
    let per_second = count as f64 / took.as_secs_f64();
    println!("{what:<48} {per_second:>12.0} /s   {:>8.0} ns", took.as_nanos() as f64 / count as f64);
}

fn timed<T>(what: &str, count: u64, act: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let outcome = act();
    say(what, count, begin.elapsed());
    outcome
}

fn pause<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let outcome = act();
    println!("{what:<48} {:>12.2} ms", begin.elapsed().as_secs_f64() * 1e3);
    outcome
}

fn main() {
    let mut core = Core::new();
    core.add(0, 1, 1);
    let (empty, journalled) = (resident_bytes(), core.journalled);
    timed("add, one item a command", MILLION, || core.add(1, MILLION, 1));
    println!("memory per pending item: {} bytes", (resident_bytes() - empty) / MILLION);
    println!("journalled per pending item: {} bytes", (core.journalled - journalled) / MILLION);
    timed("add, 1,000 items a command", MILLION, || core.add(2 * MILLION, MILLION, 1_000));

    timed("acquire, then complete (pairs)", ROUNDS, || {
        for _ in 0..ROUNDS {
            let grant = core.acquire(1).remove(0);
            let complete = core.completing(&grant);
            core.ask(Command::Complete(complete));
        }
    });
    timed("complete and acquire, fused", ROUNDS, || {
        let mut grant = core.acquire(1).remove(0);
        for _ in 0..ROUNDS {
            let complete = core.completing(&grant);
            let acquire = Acquire::from(core.shop.clone(), core.alice.clone());
            let Answer::Completed { next, .. } = core.ask(Command::CompleteAndAcquire { complete, acquire }) else {
                panic!("it was held")
            };
            grant = next.into_iter().next().expect("there is more");
        }
    });
    timed("acquire 50, complete each (items)", ROUNDS, || {
        for _ in 0..ROUNDS / 50 {
            for grant in core.acquire(50) {
                let complete = core.completing(&grant);
                core.ask(Command::Complete(complete));
            }
        }
    });
    let held: Vec<Grant> = (0..10).flat_map(|_| core.acquire(1_000)).collect();
    timed("renew with progress, 10,000 leases", 50 * held.len() as u64, || {
        for round in 1..=50 {
            core.now.monotonic = core.now.monotonic + Millis(200);
            for grant in &held {
                let progress = Some(Progress { documents: round, bytes: round * 1_000 });
                let item = ItemId::new(grant.body.id()).expect("a valid id");
                let (session, holder) = (core.shop.clone(), Holder::Token(grant.token));
                core.ask(Command::Renew { session, item, holder, progress, checkpoint: None, lease: None });
            }
        }
    });

    pauses(core);
}

/// What the owner of the state stops for, with a million items and more.
fn pauses(mut core: Core) {
    println!();
    let shop = core.shop.clone();
    pause("status of the session", || black_box(core.work.session(&shop)));
    pause("workers and what they hold", || black_box(core.work.workers(None)));
    pause("begin a snapshot", || black_box(core.work.begin_snapshot(&shop)));
    let (mut longest, mut rows) = (Duration::ZERO, 0);
    loop {
        let begin = Instant::now();
        let Slice::Rows(slice) = core.work.snapshot_slice(&shop, 2_000) else { break };
        longest = longest.max(begin.elapsed());
        rows += slice.len();
    }
    println!("{:<48} {:>12.2} ms   ({rows} rows)", "the longest slice of 2,000 rows", longest.as_secs_f64() * 1e3);
    let reason: Box<str> = "bench".into();
    let session = shop.clone();
    let (immediate, pausing) = (true, reason.clone());
    pause("pause at once, 10,000 leases", || core.ask(Command::Pause { session, immediate, reason: pausing }));
    let session = shop.clone();
    pause("resume", || core.ask(Command::Resume { session }));
    let session = shop.clone();
    pause("cancel", || core.ask(Command::Cancel { session, reason }));
    pause("delete the session", || core.ask(Command::DeleteSession { session: shop }));
}
