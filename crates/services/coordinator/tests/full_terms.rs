//! What a holder may count on after a restart.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_coordinator::{Clock, Coordinator, Handle, Options};
use capstan_ids::{ItemId, Millis, Moment, Monotonic, SessionName, WallTime, WorkerId};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use capstan_work::{Acquire, Answer, Command, Holder, NewItem, Policy};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock that stands until it is turned, in milliseconds.
#[derive(Default)]
struct Turned(AtomicU64);

impl Clock for Turned {
    fn now(&self) -> Moment {
        let now = self.0.load(Ordering::SeqCst);
        Moment { monotonic: Monotonic(now), wall: WallTime(now as i64 * 1_000) }
    }
}

fn start(dir: &Path, clock: &Arc<Turned>) -> (Coordinator, Handle) {
    let journal = EmbeddedJournal::open(dir, EmbeddedOptions::default()).unwrap();
    let options = Options { clock: Arc::clone(clock) as Arc<dyn Clock>, ..Options::default() };
    Coordinator::start(Box::new(journal), options).unwrap()
}

async fn acquire(handle: &Handle, worker: &str, lease: Millis) -> Answer {
    let acquire = Acquire::from(SessionName::new("shop").unwrap(), WorkerId::new(worker).unwrap());
    handle.submit(Command::Acquire(Acquire { lease: Some(lease), ..acquire })).await.unwrap()
}

/// A renewal that is journalled for its checkpoint wished for less, one that only memory has made it long again. The
/// restart gave the lease what the journalled one had said, and the item to the next worker while the first still held
/// it. `prove kills` showed it.
#[tokio::test]
async fn a_lease_shortened_in_the_journal_and_lengthened_in_memory_has_its_full_term_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Turned::default());
    let (coordinator, handle) = start(dir.path(), &clock);
    let (session, id) = (SessionName::new("shop").unwrap(), ItemId::new("orders/1").unwrap());
    let items = vec![NewItem::new(id.clone())];
    let open =
        Command::OpenSession { session: session.clone(), policy: Policy::default(), notes: None, items, gates: vec![] };
    handle.submit(open).await.unwrap();
    let Answer::Granted(grants) = acquire(&handle, "alice", Millis(5_000)).await else { panic!("there was work") };
    let renew = |checkpoint: Option<&str>, lease| Command::Renew {
        session: session.clone(),
        item: id.clone(),
        holder: Holder::Token(grants[0].token),
        progress: None,
        checkpoint: checkpoint.map(Into::into),
        lease,
    };
    handle.submit(renew(Some("halfway"), Some(Millis(500)))).await.unwrap();
    let last = handle.submit(renew(None, None)).await.unwrap();
    assert!(matches!(last, Answer::Renewed { lease: Millis(5_000), .. }), "{last:?}");

    coordinator.stop().await.unwrap();
    let (coordinator, handle) = start(dir.path(), &clock);

    clock.0.store(4_999, Ordering::SeqCst);
    assert!(matches!(acquire(&handle, "bob", Millis(5_000)).await, Answer::Nothing(_)), "alice still holds it");
    clock.0.store(5_001, Ordering::SeqCst);
    assert!(matches!(acquire(&handle, "bob", Millis(5_000)).await, Answer::Granted(_)));
    coordinator.stop().await.unwrap();
}
