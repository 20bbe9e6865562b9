//! The registry: what is running, is it healthy, is there room for more.

use crate::client::Client;
use crate::error::Error;
use crate::reopening::{Frame, Reopening};
use crate::retry::{Repeat, Retry};
use crate::session::Page;
use capstan_proto::v1::pipeline_registry_client::PipelineRegistryClient;
use capstan_proto::v1::{self, PipelineInfo, PipelineStatus, ReportOutcome, Reservation, SystemStatus};
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

type Calls = PipelineRegistryClient<Channel>;

/// One call, made again and again while that is safe and may help.
macro_rules! call {
    ($client:expr, $repeat:ident, $method:ident, $request:expr) => {{
        let request = $request;
        let call = |mut calls: Calls| {
            let request = request.clone();
            async move { calls.$method(request).await }
        };
        $client.call_registry(Repeat::$repeat, call).await
    }};
}

impl Client {
    /// Makes a pipeline known; its state, and all pipelines together.
    pub async fn register_pipeline(
        &self,
        request: v1::RegisterPipelineRequest,
    ) -> Result<v1::RegisterPipelineResponse, Error> {
        // After a lost answer a repeat would be refused for the pipeline that it registered itself.
        call!(self, OnlyIfNothingHappened, register_pipeline, request)
    }

    /// Takes a pipeline out; its last state, and all that remain together.
    pub async fn unregister_pipeline(&self, id: &str) -> Result<v1::UnregisterPipelineResponse, Error> {
        let request = v1::UnregisterPipelineRequest { pipeline_id: id.to_owned() };
        call!(self, OnlyIfNothingHappened, unregister_pipeline, request)
    }

    /// Says what a pipeline is doing, and how far it has got.
    pub async fn update_pipeline_status(
        &self,
        id: &str,
        status: PipelineStatus,
        total_records: u64,
        failed_records: u64,
        bytes_moved: Option<u64>,
    ) -> Result<ReportOutcome, Error> {
        let request = v1::UpdatePipelineStatusRequest {
            pipeline_id: id.to_owned(),
            status: status.into(),
            total_records,
            failed_records,
            bytes_moved,
        };
        Ok(call!(self, Safe, update_pipeline_status, request)?.outcome())
    }

    /// Says what a pipeline uses: CPU in percent of what its machines have, memory in MB.
    pub async fn report_resource_usage(
        &self,
        id: &str,
        cpu_percent: f64,
        memory_mb: i64,
    ) -> Result<ReportOutcome, Error> {
        let request = v1::ReportResourceUsageRequest { pipeline_id: id.to_owned(), cpu_percent, memory_mb };
        Ok(call!(self, Safe, report_resource_usage, request)?.outcome())
    }

    /// Says that pipelines are there, at most 10,000 at once; those that are not known.
    pub async fn heartbeat(&self, ids: Vec<String>) -> Result<Vec<String>, Error> {
        Ok(call!(self, Safe, heartbeat, v1::HeartbeatRequest { pipeline_ids: ids })?.unknown)
    }

    /// All pipelines together.
    pub async fn system_status(&self) -> Result<SystemStatus, Error> {
        let answer = call!(self, Safe, get_system_status, v1::GetSystemStatusRequest {})?;
        answer.system.ok_or_else(|| Error::unexpected("the status of the system"))
    }

    /// One pipeline.
    pub async fn pipeline(&self, id: &str) -> Result<PipelineInfo, Error> {
        let request = v1::GetPipelineInfoRequest { pipeline_id: id.to_owned() };
        call!(self, Safe, get_pipeline_info, request)?.pipeline.ok_or_else(|| Error::unexpected("a pipeline"))
    }

    /// A page of pipelines in the order of their ids; unspecified and empty mean all, the empty cursor the beginning.
    pub async fn pipelines(
        &self,
        status: PipelineStatus,
        group: &str,
        page_size: u32,
        cursor: &str,
    ) -> Result<Page<PipelineInfo>, Error> {
        let request = v1::ListPipelinesRequest {
            status: status.into(),
            group: group.to_owned(),
            page_size,
            cursor: cursor.to_owned(),
        };
        let answer = call!(self, Safe, list_pipelines, request)?;
        Ok(Page { entries: answer.pipelines, next_cursor: answer.next_cursor })
    }

    /// Whether something would fit; takes nothing.
    pub async fn check_resources(&self, cpu_percent: f64, memory_mb: i64) -> Result<v1::ResourceAvailability, Error> {
        let request = v1::CheckResourceAvailabilityRequest { cpu_percent, memory_mb };
        let answer = call!(self, Safe, check_resource_availability, request)?;
        answer.availability.ok_or_else(|| Error::unexpected("whether there is room"))
    }

    /// Checks for room and takes it in one step, or a place in the queue for it.
    ///
    /// Refused with [`Class::Overloaded`](crate::Class::Overloaded) where there is none and nobody is to wait.
    pub async fn reserve(&self, request: v1::ReserveRequest) -> Result<Reservation, Error> {
        // Asking again where there is no room is the caller's choice: it can say how long to wait.
        let answer = self.registry().reserve(request).await?.into_inner();
        answer.reservation.ok_or_else(|| Error::unexpected("a reservation"))
    }

    /// What a pipeline holds or waits for.
    pub async fn reservation(&self, id: &str) -> Result<Reservation, Error> {
        let request = v1::GetReservationRequest { pipeline_id: id.to_owned() };
        call!(self, Safe, get_reservation, request)?.reservation.ok_or_else(|| Error::unexpected("a reservation"))
    }

    /// Gives room back, or stops waiting for it.
    pub async fn release_reservation(&self, id: &str) -> Result<(), Error> {
        let request = v1::ReleaseReservationRequest { pipeline_id: id.to_owned() };
        call!(self, OnlyIfNothingHappened, release_reservation, request).map(drop)
    }

    /// Everybody who waits for room, in the order in which they get it.
    pub async fn reservation_queue(&self) -> Result<Vec<Reservation>, Error> {
        Ok(call!(self, Safe, get_queue, v1::GetQueueRequest {})?.waiting)
    }

    /// The limits of all pipelines together.
    pub async fn registry_limits(&self) -> Result<v1::RegistryLimits, Error> {
        let answer = call!(self, Safe, get_limits, v1::GetLimitsRequest {})?;
        answer.limits.ok_or_else(|| Error::unexpected("limits"))
    }

    /// Changes limits while everything runs: only what is named.
    pub async fn change_registry_limits(&self, request: v1::ChangeLimitsRequest) -> Result<v1::RegistryLimits, Error> {
        let answer = call!(self, OnlyIfNothingHappened, change_limits, request)?;
        answer.limits.ok_or_else(|| Error::unexpected("limits"))
    }

    /// What happened to pipelines, oldest first, a page at a time.
    pub async fn registry_history(&self, request: v1::HistoryRequest) -> Result<v1::HistoryResponse, Error> {
        call!(self, Safe, history, request)
    }

    /// The registry as it was at a time, with a page of its pipelines.
    pub async fn registry_at(&self, request: v1::RegistryAtRequest) -> Result<v1::RegistryAtResponse, Error> {
        call!(self, Safe, registry_at, request)
    }

    /// Follows what is journalled of the registry from a position on, or from now on.
    pub async fn watch_registry(&self, from: Option<u64>) -> Result<RegistryWatch, Error> {
        let messages = Reopening::opened(open(self, from).await?, from);
        Ok(RegistryWatch { client: self.clone(), messages })
    }

    async fn call_registry<T, F>(&self, repeat: Repeat, call: impl Fn(Calls) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut retry = Retry::for_up_to(self.retry_for(), repeat);
        loop {
            match call(self.registry()).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => retry.pause(status.into()).await?,
            }
        }
    }
}

/// Facts in their order, without gaps: where the stream breaks, it is opened again at the next position.
#[derive(Debug)]
pub struct RegistryWatch {
    client: Client,
    messages: Reopening<v1::WatchRegistryResponse>,
}

impl Frame for v1::WatchRegistryResponse {
    type Change = v1::RegistryFact;

    fn unpack(self) -> (u64, Vec<v1::RegistryFact>) {
        (self.next, self.facts)
    }
}

impl RegistryWatch {
    /// The next fact, when it comes.
    pub async fn next(&mut self) -> Result<v1::RegistryFact, Error> {
        let client = &self.client;
        self.messages.next(async |from| open(client, from).await).await
    }
}

async fn open(client: &Client, from: Option<u64>) -> Result<Streaming<v1::WatchRegistryResponse>, Error> {
    let request = v1::WatchRegistryRequest { from };
    Ok(client.registry().watch_registry(request).await?.into_inner())
}
