//! The coordinator in the same process is a coordination as workers expect one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use async_trait::async_trait;
use capstan_coordination::conformance::{self, Stage};
use capstan_coordination::{Coordination, Successor};
use capstan_coordinator::{Coordinator, Handle, Options};
use capstan_ids::{Millis, SessionName};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use capstan_work::{Backoff, Command, NewItem, Policy};

struct Embedded(Handle);

#[async_trait]
impl Stage for Embedded {
    fn coordination(&self) -> &dyn Coordination {
        &self.0
    }

    async fn open(&self, session: &SessionName, items: Vec<Successor>) {
        let item = |item: Successor| NewItem {
            kind: item.kind,
            index_name: item.collection,
            shard_number: item.part,
            document_count: item.expected.documents,
            total_size_bytes: item.expected.bytes,
            payload: item.payload,
            ..NewItem::new(item.id)
        };
        let open = Command::OpenSession {
            session: session.clone(),
            policy: Policy { attempts: Some(4), backoff: Backoff::None, lease_min: Millis(100), ..Policy::default() },
            notes: None,
            items: items.into_iter().map(item).collect(),
            gates: Vec::new(),
        };
        self.0.submit(open).await.unwrap();
    }

    async fn revoke(&self, session: &SessionName) {
        let pause = Command::Pause { session: session.clone(), immediate: true, reason: "a test".into() };
        self.0.submit(pause).await.unwrap();
    }

    async fn resume(&self, session: &SessionName) {
        self.0.submit(Command::Resume { session: session.clone() }).await.unwrap();
    }
}

#[tokio::test]
async fn the_coordinator_in_the_same_process_keeps_every_promise_to_workers() {
    let folder = tempfile::tempdir().unwrap();
    let journal = EmbeddedJournal::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let (coordinator, handle) = Coordinator::start(Box::new(journal), Options::default()).unwrap();

    conformance::run(&Embedded(handle)).await;

    coordinator.stop().await.unwrap();
}
