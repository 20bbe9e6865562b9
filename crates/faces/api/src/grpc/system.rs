//! The server itself.

use super::Listening;
use capstan_coordinator::Handle;
use capstan_proto::v1::system_server::System;
use capstan_proto::v1::{InfoRequest, InfoResponse};
use std::sync::atomic::Ordering;
use tonic::{Request, Response, Status};

pub struct SystemCalls {
    pub handle: Handle,
    pub listening: Listening,
}

#[tonic::async_trait]
impl System for SystemCalls {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        let status = self.handle.status();
        let leads = status.role() == capstan_coordinator::Role::Leader;
        Ok(Response::new(InfoResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: status.role().name().to_owned(),
            leader: leads.then(|| self.listening.advertised.clone()),
            epoch: status.epoch().get(),
            http_address: self.listening.http.clone(),
            grpc_address: self.listening.grpc.clone(),
            durable_position: status.durable().get(),
            waiting: status.waiting.load(Ordering::Relaxed),
        }))
    }
}
