//! One measurement after another, each on a session of its own.

use crate::case::Case;
use crate::measure::{Tally, Window};
use crate::row::Row;
use crate::transport::{Transport, grpc, http, stream};
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{AddItemsRequest, CreateSessionRequest, DeleteSessionRequest, ItemSpec};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tonic::transport::{Channel, Endpoint};

/// Bytes of every item's payload.
const PAYLOAD_BYTES: usize = 128;
/// Items of a preparing request.
const PREPARED_AT_ONCE: u64 = 10_000;
/// Not counted, before each window.
const WARM_UP: Duration = Duration::from_millis(500);

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the server is: `http://HOST:PORT`.
    pub server: String,
    /// Which cases; those that a transport does not have are left out.
    pub cases: Vec<Case>,
    /// How it is asked.
    pub transport: Transport,
    /// How many closed loops.
    pub clients: usize,
    /// Requests outstanding on the stream; over HTTP and unary gRPC one a client.
    pub in_flight: usize,
    /// How long each window is.
    pub seconds: u64,
}

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The address is none.
    #[error("the server's address must be http://HOST:PORT, found {0:?}")]
    Address(String),
    /// The server could not be reached.
    #[error("no connection to {server}")]
    Connection {
        /// Where.
        server: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// What a measurement needs could not be prepared.
    #[error("the session for {case} could not be prepared: {status}")]
    Preparation {
        /// Of which case.
        case: &'static str,
        /// What the server said.
        status: tonic::Status,
    },
    /// A connection failed.
    #[error("a connection failed")]
    Io(#[from] std::io::Error),
    /// Nothing was done, or something failed so often that a figure would mean nothing.
    #[error("{case} over {transport} did nothing but fail: {error}")]
    Failed {
        /// Which case.
        case: &'static str,
        /// How it was asked.
        transport: &'static str,
        /// The first failure.
        error: String,
    },
}

/// What the clients of one measurement share.
#[derive(Debug)]
pub(crate) struct Ground {
    pub session: String,
    pub payload: String,
    /// Ids are never used twice.
    ids: AtomicU64,
}

impl Ground {
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    pub fn item(&self) -> ItemSpec {
        ItemSpec { id: format!("job-{}", self.next_id()), payload: Some(self.payload.clone()), ..Default::default() }
    }
}

/// Measures what the plan says; each row is shown as soon as it is there.
pub async fn run(plan: &Plan, mut show: impl FnMut(Row)) -> Result<(), LoadError> {
    let cases: Vec<Case> = plan.cases.iter().copied().filter(|case| plan.transport.has(*case)).collect();
    let mut setup =
        WorkClient::new(connect(&plan.server).await?).max_decoding_message_size(capstan_proto::MESSAGE_BYTES_MAX);
    for case in cases {
        let ground = prepare(&mut setup, case, plan).await?;
        let window = Window::after(WARM_UP, Duration::from_secs(plan.seconds));
        let tally = match plan.transport {
            Transport::Http => http::run(plan, case, &ground, window).await,
            Transport::Grpc => grpc::run(plan, case, &ground, window).await,
            Transport::Stream => stream::run(plan, case, &ground, window).await,
        };
        let gone = setup.delete_session(DeleteSessionRequest { session: ground.session.clone() }).await;
        let tally = tally?;
        gone.map_err(|status| LoadError::Preparation { case: case.name(), status })?;
        if tally.done == 0 {
            let error = tally.first_error.unwrap_or_else(|| "no request ended in time".into());
            return Err(LoadError::Failed { case: case.name(), transport: plan.transport.name(), error });
        }
        if let Some(error) = &tally.first_error {
            eprintln!(
                "{} over {}: {} requests failed, the first: {error}",
                case.name(),
                plan.transport.name(),
                tally.errors
            );
        }
        show(row(plan, case, &tally));
    }
    Ok(())
}

fn row(plan: &Plan, case: Case, tally: &Tally) -> Row {
    let clients = if case == Case::Handover { 1 } else { plan.clients };
    let in_flight =
        if plan.transport == Transport::Stream && case != Case::Handover { plan.in_flight } else { clients };
    Row {
        system: "capstan",
        case: case.name(),
        transport: plan.transport.name(),
        clients,
        in_flight,
        durability: "before_ack",
        per_second: tally.per_second(),
        p50_ms: tally.quantile_ms(0.5),
        p99_ms: tally.quantile_ms(0.99),
        errors: tally.errors,
    }
}

pub(crate) async fn connect(server: &str) -> Result<Channel, LoadError> {
    let endpoint = Endpoint::from_shared(server.to_owned()).map_err(|_| LoadError::Address(server.to_owned()))?;
    let endpoint =
        endpoint.tcp_nodelay(true).initial_stream_window_size(4 << 20).initial_connection_window_size(16 << 20);
    endpoint.connect().await.map_err(|source| LoadError::Connection { server: server.to_owned(), source })
}

/// A session for one measurement, filled as its case needs it.
async fn prepare(setup: &mut WorkClient<Channel>, case: Case, plan: &Plan) -> Result<Arc<Ground>, LoadError> {
    let failed = |status| LoadError::Preparation { case: case.name(), status };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let session = format!("bench-{}-{}-{:x}", case.name(), plan.transport.name(), since.as_micros());
    let payload = format!("{{\"bench\":\"{}\"}}", "x".repeat(PAYLOAD_BYTES - 12));
    setup
        .create_session(CreateSessionRequest { session: session.clone(), ..Default::default() })
        .await
        .map_err(failed)?;
    let ground = Arc::new(Ground { session, payload, ids: AtomicU64::new(1) });
    let wanted = case.appetite(plan.clients, plan.transport == Transport::Stream) * (plan.seconds + 1);
    let wanted = if case == Case::Renew { RENEWED } else { wanted };
    let mut added = 0;
    while added < wanted {
        let items = (0..PREPARED_AT_ONCE.min(wanted - added)).map(|_| ground.item()).collect::<Vec<_>>();
        added += items.len() as u64;
        let request = AddItemsRequest { session: ground.session.clone(), items, ..Default::default() };
        setup.add_items(request).await.map_err(failed)?;
    }
    Ok(ground)
}

/// Leases that are renewed.
pub(crate) const RENEWED: u64 = 10_000;
