//! The port of workers, over the network.

use crate::server::Server;
use async_trait::async_trait;
use capstan_client::{Client, Item, Policy, v1};
use capstan_coordination::conformance::{self, Stage};
use capstan_coordination::{Coordination, Successor};
use capstan_ids::SessionName;

struct Remote(Client);

#[async_trait]
impl Stage for Remote {
    fn coordination(&self) -> &dyn Coordination {
        &self.0
    }

    async fn open(&self, session: &SessionName, items: Vec<Successor>) {
        let item = |item: Successor| Item {
            id: item.id.to_string(),
            kind: item.kind.to_string(),
            index_name: item.collection.into(),
            shard_number: item.part,
            document_count: item.expected.documents,
            total_size_bytes: item.expected.bytes,
            payload: item.payload.map(Into::into),
            ..Item::default()
        };
        let request = v1::CreateSessionRequest {
            session: session.to_string(),
            policy: Some(Policy { attempts: Some(4), lease_min_ms: Some(100), ..Policy::default() }),
            items: items.into_iter().map(item).collect(),
            ..Default::default()
        };
        self.0.create_session_with(request).await.unwrap();
    }

    async fn revoke(&self, session: &SessionName) {
        self.0.session(session.as_str()).unwrap().pause(true, "a test").await.unwrap();
    }

    async fn resume(&self, session: &SessionName) {
        self.0.session(session.as_str()).unwrap().resume().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_behind_the_network_keeps_every_promise_to_workers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;

    conformance::run(&Remote(server.client().await)).await;

    server.stop().await;
}
