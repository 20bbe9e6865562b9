//! How many commands a second the owner answers, with so many in flight: `owner_rate [DIRECTORY] [SECONDS]`.
//!
//! Every answer is durable. Each task asks, waits for its answer and asks again; there is no network in between. What
//! a command costs the owner's thread says more than the rate where the machine has other work.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on has failed")]

use capstan_coordinator::{Coordinator, Handle, Options};
use capstan_ids::{ItemId, SessionName, WorkerId};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use capstan_work::{Acquire, Answer, Command, Complete, Conflicts, Grant, Holder, NewItem, Policy};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Enqueue,
    AcquireThenComplete,
    CompleteAndAcquire,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("owner-rate");
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let columns = ("in flight", "commands/s", "flushes/s", "us a flush", "owner ns/command");
    println!("{:<22}{:>10}{:>14}{:>14}{:>12}{:>18}", "", columns.0, columns.1, columns.2, columns.3, columns.4);
    for kind in [Kind::Enqueue, Kind::AcquireThenComplete, Kind::CompleteAndAcquire] {
        for flying in [1, 8, 64, 1_024] {
            runtime.block_on(measure(&directory, kind, flying, Duration::from_secs(seconds)));
        }
    }
}

async fn measure(directory: &Path, kind: Kind, flying: usize, length: Duration) {
    let _ = std::fs::remove_dir_all(directory);
    let journal = EmbeddedJournal::open(directory, EmbeddedOptions::default()).unwrap();
    let (coordinator, handle) = Coordinator::start(Box::new(journal), Options::default()).unwrap();
    let session = SessionName::new("shop").unwrap();
    let policy = Policy { keep_completed: Some(1_000), ..Policy::default() };
    let open = Command::OpenSession { session: session.clone(), policy, notes: None, items: vec![], gates: vec![] };
    handle.submit(open).await.unwrap();
    let items = if matches!(kind, Kind::Enqueue) { 0 } else { 300_000 * length.as_secs() };
    for batch in 0..items / 10_000 {
        let items = (0..10_000).map(|item| new_item(batch * 10_000 + item)).collect();
        handle.submit(add(&session, items)).await.unwrap();
    }
    let status = handle.status();
    let before = (status.flushes.load(Ordering::Relaxed), status.flush_micros.load(Ordering::Relaxed));
    let (ends, answered, next) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (began, spent) = (Instant::now(), owner_nanoseconds());
    let tasks: Vec<_> = (0..flying)
        .map(|task| {
            let (handle, session, ends, answered, next) =
                (handle.clone(), session.clone(), Arc::clone(&ends), Arc::clone(&answered), Arc::clone(&next));
            tokio::spawn(async move {
                let asker = Asker { handle, session, worker: WorkerId::new(format!("worker-{task}")).unwrap() };
                let mut grant = None;
                while !ends.load(Ordering::Relaxed) {
                    let count = asker.ask(kind, &next, &mut grant).await;
                    if count == 0 {
                        break;
                    }
                    answered.fetch_add(count, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(length).await;
    ends.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let took = began.elapsed().as_secs_f64();
    let spent = owner_nanoseconds() - spent;
    let flushes = status.flushes.load(Ordering::Relaxed) - before.0;
    let micros = status.flush_micros.load(Ordering::Relaxed) - before.1;
    println!(
        "{:<22}{flying:>10}{:>14.0}{:>14.0}{:>12.0}{:>18}",
        format!("{kind:?}"),
        answered.load(Ordering::Relaxed) as f64 / took,
        flushes as f64 / took,
        micros as f64 / flushes.max(1) as f64,
        spent / answered.load(Ordering::Relaxed).max(1),
    );
    coordinator.stop().await.unwrap();
}

/// Processor time of the owner's thread so far; 0 where the system does not say.
fn owner_nanoseconds() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let is_owner = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "owner")
    };
    let spent = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.filter(is_owner).filter_map(spent).sum()
}

struct Asker {
    handle: Handle,
    session: SessionName,
    worker: WorkerId,
}

impl Asker {
    /// Asks once; how many commands were answered, none when there is nothing left to do.
    async fn ask(&self, kind: Kind, next: &AtomicU64, grant: &mut Option<Grant>) -> u64 {
        match kind {
            Kind::Enqueue => {
                let item = new_item(next.fetch_add(1, Ordering::Relaxed));
                self.handle.submit(add(&self.session, vec![item])).await.unwrap();
                1
            }
            Kind::AcquireThenComplete => {
                let Some(grant) = self.acquire().await else { return 0 };
                self.handle.submit(Command::Complete(self.completion(&grant))).await.unwrap();
                2
            }
            Kind::CompleteAndAcquire => {
                let Some(held) = grant.take() else {
                    *grant = self.acquire().await;
                    return u64::from(grant.is_some());
                };
                let acquire = Acquire::from(self.session.clone(), self.worker.clone());
                let command = Command::CompleteAndAcquire { complete: self.completion(&held), acquire };
                let Answer::Completed { next, .. } = self.handle.submit(command).await.unwrap() else { return 0 };
                *grant = next.into_iter().next();
                1
            }
        }
    }

    async fn acquire(&self) -> Option<Grant> {
        let acquire = Acquire::from(self.session.clone(), self.worker.clone());
        match self.handle.submit(Command::Acquire(acquire)).await.unwrap() {
            Answer::Granted(grants) => grants.into_iter().next(),
            _ => None,
        }
    }

    fn completion(&self, grant: &Grant) -> Complete {
        Complete::new(self.session.clone(), ItemId::new(grant.body.id()).unwrap(), Holder::Token(grant.token))
    }
}

fn new_item(number: u64) -> NewItem {
    let payload = format!("{{\"order\":{number},\"text\":\"{}\"}}", "x".repeat(96));
    NewItem { payload: Some(payload.into()), ..NewItem::new(ItemId::new(format!("orders/{number}")).unwrap()) }
}

fn add(session: &SessionName, items: Vec<NewItem>) -> Command {
    Command::AddItems { session: session.clone(), items, gates: vec![], conflicts: Conflicts::Refuse }
}
