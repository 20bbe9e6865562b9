//! A server on a free port with a journal in a temporary directory.

use capstan_api::grpc::{self, Listening};
use capstan_client::{Client, Item, Options, Policy, Session};
use capstan_coordinator::Coordinator;
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub struct Server {
    pub address: SocketAddr,
    coordinator: Coordinator,
    closing: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    tasks: TaskTracker,
}

impl Server {
    pub async fn start(folder: &Path) -> Self {
        Self::start_at(folder, "127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(folder: &Path, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let journal = EmbeddedJournal::open(folder, EmbeddedOptions::default()).unwrap();
        let (coordinator, handle) =
            Coordinator::start(Box::new(journal), capstan_coordinator::Options::default()).unwrap();
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        let listening = Listening { grpc: address.to_string(), ..Listening::default() };
        let routes = grpc::with_fallback(grpc::routes(handle, listening, closing.clone(), tasks.clone()));
        let serving = tokio::spawn(capstan_api::serve(listener, routes, closing.clone()));
        Self { address, coordinator, closing, serving, tasks }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.url()).await.unwrap()
    }

    /// A client that never repeats a call.
    pub async fn impatient_client(&self) -> Client {
        let options = Options { retry_for: Duration::ZERO, ..Options::default() };
        Client::connect_with(self.url(), options).await.unwrap()
    }

    pub async fn stop(self) {
        self.closing.cancel();
        self.serving.await.unwrap().unwrap();
        self.tasks.close();
        self.tasks.wait().await;
        self.coordinator.stop().await.unwrap();
    }
}

/// An item with nothing else said.
pub fn item(id: &str) -> Item {
    Item { id: id.into(), ..Item::default() }
}

/// A session with these items.
pub async fn session_with(client: &Client, name: &str, ids: &[&str]) -> Session {
    let session = client.create_session(name, Policy::default()).await.unwrap();
    session.add(ids.iter().map(|id| item(id)).collect()).await.unwrap();
    session
}
