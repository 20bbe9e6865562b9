//! Requests that meet the owner's end.

use capstan_coordinator::{Coordinator, Options};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use std::time::Duration;
use tokio::task::JoinSet;

/// A request queued between the owner's last look at its queue and the end of the queue was never answered: whoever
/// had sent it waited for ever. Kills under load showed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_an_owner_that_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..40 {
        let options = EmbeddedOptions { segment_bytes: 1 << 16, ..EmbeddedOptions::default() };
        let journal = EmbeddedJournal::open(dir.path(), options).unwrap();
        let (coordinator, handle) = Coordinator::start(Box::new(journal), Options::default()).unwrap();
        let mut asking = JoinSet::new();
        for _ in 0..16 {
            let handle = handle.clone();
            asking.spawn(async move { while handle.read(|_| ()).await.is_ok() {} });
        }
        handle.read(|_| ()).await.unwrap();

        coordinator.stop().await.unwrap();

        let all = tokio::time::timeout(Duration::from_secs(10), asking.join_all()).await;
        assert!(all.is_ok(), "somebody still waits");
    }
}
