//! Somebody who makes a change and then asks every server for it: none may answer as if it had not happened.
//!
//! - R1 Whoever asks after a change was acknowledged, whichever server, sees it or is told that there is no answer now.

use crate::asking::ask;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinHandle;

/// Between two changes.
const PACE: Duration = Duration::from_millis(60);
/// A read may wait for longer than a server is ever frozen: its late answer is what is looked for.
const READ_MAX: Duration = Duration::from_secs(12);
const WRITE_MAX: Duration = Duration::from_secs(2);
/// Reads under way at most.
const READS_MAX: usize = 48;

/// What the witness saw.
#[derive(Clone, Debug, Default)]
pub struct Testimony {
    /// Reads that showed the change.
    pub fresh: u64,
    /// Reads that were answered with something else than a state, or not at all.
    pub unanswered: u64,
    /// Reads that did not show it: broken promises.
    pub stale: Vec<String>,
}

/// Somebody at work. Dropping ends it.
#[derive(Debug)]
pub struct Witness {
    seen: Arc<Seen>,
    work: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    fresh: AtomicU64,
    unanswered: AtomicU64,
    stale: Mutex<Vec<String>>,
}

impl Witness {
    /// Begins with the servers that listen at these addresses.
    pub fn start(servers: Vec<String>) -> Self {
        let seen = Arc::new(Seen::default());
        let work = tokio::spawn(work(servers, Arc::clone(&seen)));
        Self { seen, work }
    }

    /// Ends, and tells. Reads that are still under way are not waited for.
    pub async fn finish(self) -> Testimony {
        self.work.abort();
        Testimony {
            fresh: self.seen.fresh.load(Ordering::Relaxed),
            unanswered: self.seen.unanswered.load(Ordering::Relaxed),
            stale: std::mem::take(&mut *self.seen.stale.lock().await),
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn work(servers: Vec<String>, seen: Arc<Seen>) {
    let reads = Arc::new(Semaphore::new(READS_MAX));
    let mut at = 0;
    for change in 0_u64.. {
        // Until it is acknowledged: repeats of an addition are answered as the first.
        loop {
            let server = &servers[at % servers.len()];
            let body = r#"{"name": "witness"}"#;
            let _ = match change {
                0 => ask(server, "POST", "/api/v1/sessions", body, WRITE_MAX).await,
                _ => Ok((0, serde_json::Value::Null)),
            };
            let body = format!(r#"{{"id": "seen-{change}"}}"#);
            match ask(server, "POST", "/api/v1/sessions/witness/items", &body, WRITE_MAX).await {
                Ok((200 | 201, _)) => break,
                _ => {
                    at += 1;
                    tokio::time::sleep(PACE / 4).await;
                }
            }
        }
        for server in &servers {
            // A frozen server holds reads up; who comes now is not let in before some of them have ended.
            let Ok(room) = Arc::clone(&reads).try_acquire_owned() else { continue };
            let (server, seen) = (server.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                read(&server, change, &seen).await;
                drop(room);
            });
        }
        tokio::time::sleep(PACE).await;
    }
}

async fn read(server: &str, change: u64, seen: &Seen) {
    let path = format!("/api/v1/sessions/witness/items/seen-{change}");
    match ask(server, "GET", &path, "", READ_MAX).await {
        Ok((200, _)) => seen.fresh.fetch_add(1, Ordering::Relaxed),
        Ok((404, problem)) => {
            let what = format!("{server} was asked for seen-{change} after that was acknowledged, and said {problem}");
            seen.stale.lock().await.push(what);
            0
        }
        _ => seen.unanswered.fetch_add(1, Ordering::Relaxed),
    };
}
