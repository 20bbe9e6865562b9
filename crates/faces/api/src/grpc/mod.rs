//! gRPC over one coordinator: the services of `crates/ports/proto`, with health and reflection.
//!
//! A call converts what came, asks the coordinator, and converts what it says: there is no state here but what waits.
//! The exchange is the fast way in: a frame of many requests is one hop and one flush.

mod calls;
mod convert;
mod exchange;
mod health;
mod jobs;
mod page;
mod registry;
mod service;
mod status;
mod system;
mod watch;

pub(crate) use convert::{chunk as chunk_message, job as job_message, unit as unit_message};
pub use status::status;
pub(crate) use watch::{name_items, problem as watch_problem, told};

use self::calls::Calls;
use self::jobs::JobCalls;
use self::registry::RegistryCalls;
use self::service::WorkCalls;
use self::system::SystemCalls;
use axum::Router;
use capstan_coordinator::Handle;
use capstan_proto::v1::jobs_server::JobsServer;
use capstan_proto::v1::pipeline_registry_server::PipelineRegistryServer;
use capstan_proto::v1::system_server::SystemServer;
use capstan_proto::v1::work_server::WorkServer;
use capstan_proto::{DESCRIPTORS, MESSAGE_BYTES_MAX};
use std::convert::Infallible;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::{Service, ServiceExt};

/// Where this server is reached.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    /// `HOST:PORT` of the HTTP listener.
    pub http: String,
    /// `HOST:PORT` of the gRPC listener.
    pub grpc: String,
    /// What others are told to ask: `http://HOST:PORT`.
    pub advertised: String,
}

/// The services as routes, without a fallback, to be served alone or beside other routes on one listener.
///
/// `closing` ends long polls and streams, so that a graceful stop does not wait for them; `tasks` holds what runs for
/// open streams.
pub fn routes(handle: Handle, listening: Listening, closing: CancellationToken, tasks: TaskTracker) -> Router {
    let calls = Calls { handle: handle.clone(), closing: closing.clone() };
    let registry = RegistryCalls { handle: handle.clone(), closing: closing.clone(), tasks: tasks.clone() };
    let work = WorkServer::new(WorkCalls { calls, tasks })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    const SOUND: &str = "the descriptors are generated with the code";
    let mut router = Router::new();
    router = add(router, work);
    let jobs = JobsServer::new(JobCalls { handle: handle.clone() }).max_encoding_message_size(MESSAGE_BYTES_MAX);
    router = add(router, jobs);
    router = add(router, PipelineRegistryServer::new(registry).max_encoding_message_size(MESSAGE_BYTES_MAX));
    router = add(router, SystemServer::new(SystemCalls { handle: handle.clone(), listening }));
    router = add(router, health::service(handle, closing));
    router = add(router, reflection().build_v1().expect(SOUND));
    add(router, reflection().build_v1alpha().expect(SOUND))
}

/// The same, with an answer for services and calls that are not known: for a listener of its own.
pub fn with_fallback(router: Router) -> Router {
    router.fallback(async || {
        let unknown = "no such service or call; ask by reflection, or use the HTTP port for REST";
        tonic::Status::unimplemented(unknown).into_http::<axum::body::Body>()
    })
}

fn add<S>(router: Router, service: S) -> Router
where
    S: Service<axum::http::Request<Body>, Response = axum::http::Response<Body>, Error = Infallible>,
    S: NamedService + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let service = service.map_request(|request: axum::extract::Request| request.map(Body::new));
    router.route_service(&format!("/{}/{{*call}}", S::NAME), service)
}
