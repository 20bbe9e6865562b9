//! The standard health service: serving is what a leader does.

use capstan_coordinator::{Handle, Role};
use std::pin::Pin;
use std::time::Duration;
use tokio_stream::{Stream, StreamExt, wrappers::IntervalStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// How soon a watcher hears of a change.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What answers are about: the server as a whole, or what needs a leader.
const SERVICES: [&str; 2] = ["", "capstan.v1.Work"];

pub struct HealthCalls {
    handle: Handle,
    closing: CancellationToken,
}

/// The service over a coordinator's role.
pub fn service(handle: Handle, closing: CancellationToken) -> HealthServer<HealthCalls> {
    HealthServer::new(HealthCalls { handle, closing })
}

fn serving(handle: &Handle) -> ServingStatus {
    match handle.status().role() {
        Role::Leader => ServingStatus::Serving,
        Role::Starting | Role::Standby | Role::Stopping | Role::Failed => ServingStatus::NotServing,
    }
}

#[tonic::async_trait]
impl Health for HealthCalls {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !SERVICES.contains(&service.as_str()) {
            return Err(Status::not_found(format!("no health is kept of {service:?}; ask of {SERVICES:?}")));
        }
        Ok(Response::new(HealthCheckResponse { status: serving(&self.handle) as i32 }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let known = SERVICES.contains(&request.get_ref().service.as_str());
        let (handle, closing) = (self.handle.clone(), self.closing.clone());
        let mut told = None;
        let changes = IntervalStream::new(tokio::time::interval(LOOK_EVERY))
            .take_while(move |_| !closing.is_cancelled())
            .filter_map(move |_| {
                let status = if known { serving(&handle) } else { ServingStatus::ServiceUnknown };
                (told.replace(status) != Some(status)).then(|| Ok(HealthCheckResponse { status: status as i32 }))
            });
        Ok(Response::new(Box::pin(changes)))
    }
}
