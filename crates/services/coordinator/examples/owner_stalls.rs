//! How long one step may keep the owner from everybody else: `owner_stalls [DIRECTORY] [ITEMS]`.
//!
//! A reader asks again and again while large things happen, and the longest wait during each of them is printed.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on has failed")]

use capstan_coordinator::{Coordinator, Handle, Options, Retention};
use capstan_ids::{GroupName, ItemId, Millis, SessionName, WorkerId};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use capstan_work::{Acquire, Command, Conflicts, NewItem, Policy};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[tokio::main(worker_threads = 1)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("owner-stalls");
    let items: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let _ = std::fs::remove_dir_all(&directory);
    let start = || {
        let journal = EmbeddedJournal::open(&directory, EmbeddedOptions::default()).unwrap();
        let retention = Retention { session_every: 500_000, ..Retention::default() };
        Coordinator::start(Box::new(journal), Options { retention, ..Options::default() }).unwrap()
    };
    let (coordinator, handle) = start();
    let shop = SessionName::new("shop").unwrap();
    let open = |session: &SessionName| Command::OpenSession {
        session: session.clone(),
        policy: Policy { lease: Millis::secs(5), lease_min: Millis::secs(1), ..Policy::default() },
        notes: None,
        items: vec![],
        gates: vec![],
    };
    handle.submit(open(&shop)).await.unwrap();
    let filling = fill(&handle, &shop, items, |number| NewItem {
        groups: vec![GroupName::new(format!("unit-{}", number / 10)).unwrap()],
        ..NewItem::new(ItemId::new(format!("orders/{number}")).unwrap())
    });
    during("fill, snapshots in the background", &handle, filling).await;
    during("snapshot", &handle, snapshot(&handle)).await;
    let view = handle.clone();
    let name = shop.clone();
    during("view of the session", &handle, async move {
        view.read(move |state| state.work.session(&name)).await.unwrap();
    })
    .await;
    let (list, name) = (handle.clone(), shop.clone());
    during("list of 10,000 items", &handle, async move {
        let page = move |state: &capstan_coordinator::State| {
            state.work.items_from(&name, 500_000).unwrap().take(10_000).collect::<Vec<_>>().len()
        };
        list.read(page).await.unwrap();
    })
    .await;
    let leases = async {
        for round in 0..items / 100 / 1_000 {
            let worker = WorkerId::new(format!("worker-{round}")).unwrap();
            let acquire = Acquire { max: 1_000, ..Acquire::from(shop.clone(), worker) };
            handle.submit(Command::Acquire(acquire)).await.unwrap();
        }
    };
    during("lease of 1 %", &handle, leases).await;
    during("their end, all at once", &handle, tokio::time::sleep(Duration::from_secs(6))).await;
    let reason = "measured".into();
    during("cancel", &handle, submit(&handle, Command::Cancel { session: shop.clone(), reason })).await;
    during("delete", &handle, submit(&handle, Command::DeleteSession { session: shop.clone() })).await;
    during("trim after it", &handle, tokio::time::sleep(Duration::from_secs(4))).await;
    coordinator.stop().await.unwrap();
    let began = Instant::now();
    let (coordinator, _handle) = start();
    println!("{:<40}{:>10} ms", "start again", began.elapsed().as_millis());
    coordinator.stop().await.unwrap();
}

async fn submit(handle: &Handle, command: Command) {
    handle.submit(command).await.unwrap();
}

async fn snapshot(handle: &Handle) {
    let before = handle.status().snapshots.load(Ordering::Relaxed);
    let began = Instant::now();
    while handle.status().snapshots.load(Ordering::Relaxed) == before && began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn fill(handle: &Handle, session: &SessionName, items: usize, item: impl Fn(usize) -> NewItem) {
    for batch in 0..items.div_ceil(10_000) {
        let items = (batch * 10_000..(batch + 1) * 10_000).map(&item).collect();
        let add = Command::AddItems { session: session.clone(), items, gates: vec![], conflicts: Conflicts::Refuse };
        handle.submit(add).await.unwrap();
    }
}

/// The longest time a reader waited while `what` went on.
async fn during(what: &str, handle: &Handle, work: impl Future<Output = ()>) {
    let (ends, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let reader = tokio::spawn({
        let (handle, ends, longest) = (handle.clone(), Arc::clone(&ends), Arc::clone(&longest));
        async move {
            while !ends.load(Ordering::Relaxed) {
                let asked = Instant::now();
                handle.read(|_| ()).await.unwrap();
                longest.fetch_max(asked.elapsed().as_micros() as u64, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    let began = Instant::now();
    work.await;
    let took = began.elapsed();
    ends.store(true, Ordering::Relaxed);
    reader.await.unwrap();
    let longest = longest.load(Ordering::Relaxed) as f64 / 1_000.0;
    println!("{what:<40}{:>10.0} ms, longest wait {longest:>8.1} ms", took.as_secs_f64() * 1_000.0);
}
