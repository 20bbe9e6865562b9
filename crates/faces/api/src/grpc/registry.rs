//! The `PipelineRegistry` service: what is running, is it healthy, is there room for more.

use super::convert::{self, Malformed};
use super::status::status;
use super::{page, watch_problem};
use crate::problem::Problem;
use crate::registry::{self, Placed, told};
use capstan_coordinator::{Clock, FactFilter, Failure, Handle, State, SystemClock, Watch};
use capstan_ids::{Position, WallTime};
use capstan_proto::v1::{self, pipeline_registry_server::PipelineRegistry};
use capstan_registry::{Listing, PipelineId, Rejection};
use futures::StreamExt;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

/// Messages that wait to be written; whoever reads slower is behind.
const AHEAD: usize = 4;
/// Facts of one message at most.
const FACTS: usize = 256;
/// How often a watcher that has nothing to be told hears how far its watch has come.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

pub struct RegistryCalls {
    pub handle: Handle,
    pub closing: CancellationToken,
    pub tasks: TaskTracker,
}

type Answer<T> = Result<Response<T>, Status>;

fn id(text: &str) -> Result<PipelineId, Status> {
    convert::pipeline_id(text).map_err(status)
}

fn after(cursor: &str) -> Result<Option<PipelineId>, Status> {
    match cursor {
        "" => Ok(None),
        text => PipelineId::new(text).map(Some).map_err(|_| status(page::bad_cursor(text))),
    }
}

fn moment(time: Option<&prost_types::Timestamp>, field: &str) -> Result<Option<WallTime>, Status> {
    time.map(|time| convert::wall_time(time, field)).transpose().map_err(status)
}

impl RegistryCalls {
    async fn read<T: Send + 'static>(&self, look: impl FnOnce(&State) -> T + Send + 'static) -> Result<T, Status> {
        self.handle.read(look).await.map_err(status)
    }
}

#[tonic::async_trait]
impl PipelineRegistry for RegistryCalls {
    async fn register_pipeline(
        &self,
        request: Request<v1::RegisterPipelineRequest>,
    ) -> Answer<v1::RegisterPipelineResponse> {
        let register = convert::register(request.into_inner()).map_err(status)?;
        let (pipeline, system) = registry::register(&self.handle, register).await.map_err(status)?;
        let (pipeline, system) = (Some(convert::pipeline(pipeline)), Some(convert::system(system)));
        Ok(Response::new(v1::RegisterPipelineResponse { pipeline, system }))
    }

    async fn unregister_pipeline(
        &self,
        request: Request<v1::UnregisterPipelineRequest>,
    ) -> Answer<v1::UnregisterPipelineResponse> {
        let id = id(&request.into_inner().pipeline_id)?;
        let (pipeline, system) = registry::unregister(&self.handle, id).await.map_err(status)?;
        let (pipeline, system) = (Some(convert::pipeline(pipeline)), Some(convert::system(system)));
        Ok(Response::new(v1::UnregisterPipelineResponse { pipeline, system }))
    }

    async fn update_pipeline_status(
        &self,
        request: Request<v1::UpdatePipelineStatusRequest>,
    ) -> Answer<v1::UpdatePipelineStatusResponse> {
        let report = convert::status_report(request.into_inner()).map_err(status)?;
        let reported = registry::update_status(&self.handle, report).await.map_err(status)?;
        Ok(Response::new(v1::UpdatePipelineStatusResponse { outcome: convert::outcome(reported) }))
    }

    async fn report_resource_usage(
        &self,
        request: Request<v1::ReportResourceUsageRequest>,
    ) -> Answer<v1::ReportResourceUsageResponse> {
        let v1::ReportResourceUsageRequest { pipeline_id, cpu_percent, memory_mb } = request.into_inner();
        let reported = registry::report_usage(&self.handle, id(&pipeline_id)?, cpu_percent, memory_mb).await;
        let outcome = convert::outcome(reported.map_err(status)?);
        Ok(Response::new(v1::ReportResourceUsageResponse { outcome }))
    }

    async fn heartbeat(&self, request: Request<v1::HeartbeatRequest>) -> Answer<v1::HeartbeatResponse> {
        heard(&self.handle, request.into_inner()).await.map(Response::new).map_err(status)
    }

    type HeartbeatStreamStream = ReceiverStream<Result<v1::HeartbeatResponse, Status>>;

    async fn heartbeat_stream(
        &self,
        request: Request<Streaming<v1::HeartbeatRequest>>,
    ) -> Answer<Self::HeartbeatStreamStream> {
        let (answers, out) = mpsc::channel(AHEAD);
        let (handle, closing, mut requests) = (self.handle.clone(), self.closing.clone(), request.into_inner());
        self.tasks.spawn(async move {
            loop {
                // The next one is read when the answer to this one has found its place: nothing piles up here.
                let answer = tokio::select! {
                    request = requests.next() => match request {
                        Some(Ok(request)) => heard(&handle, request).await,
                        Some(Err(_)) | None => return,
                    },
                    () = closing.cancelled() => Err(Failure::Stopped.into()),
                    () = answers.closed() => return,
                };
                let over = answer.is_err();
                if answers.send(answer.map_err(status)).await.is_err() || over {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(out)))
    }

    async fn get_system_status(&self, _: Request<v1::GetSystemStatusRequest>) -> Answer<v1::GetSystemStatusResponse> {
        let system = self.read(|state| state.registry.system()).await?;
        Ok(Response::new(v1::GetSystemStatusResponse { system: Some(convert::system(system)) }))
    }

    async fn get_pipeline_info(
        &self,
        request: Request<v1::GetPipelineInfoRequest>,
    ) -> Answer<v1::GetPipelineInfoResponse> {
        let id = id(&request.into_inner().pipeline_id)?;
        let (wanted, now) = (id.clone(), SystemClock.now().wall);
        let view = self.read(move |state| state.registry.pipeline(&wanted, now)).await?;
        let view = view.ok_or_else(|| status(Problem::from(Rejection::PipelineUnknown(id))))?;
        Ok(Response::new(v1::GetPipelineInfoResponse { pipeline: Some(convert::pipeline(view)) }))
    }

    async fn list_pipelines(&self, request: Request<v1::ListPipelinesRequest>) -> Answer<v1::ListPipelinesResponse> {
        let v1::ListPipelinesRequest { status: wanted, group, page_size, cursor } = request.into_inner();
        let listing = Listing {
            status: convert::pipeline_status(wanted).map_err(status)?,
            group: convert::pipeline_group(&group).map_err(status)?,
            after: after(&cursor)?,
            most: Some(page::size(page_size).map_err(status)? as u32),
        };
        let now = SystemClock.now().wall;
        let page = self.read(move |state| state.registry.list(&listing, now)).await?;
        let page = page.map_err(|rejection| status(Problem::from(rejection)))?;
        Ok(Response::new(v1::ListPipelinesResponse {
            pipelines: page.pipelines.into_iter().map(convert::pipeline).collect(),
            next_cursor: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    async fn check_resource_availability(
        &self,
        request: Request<v1::CheckResourceAvailabilityRequest>,
    ) -> Answer<v1::CheckResourceAvailabilityResponse> {
        let v1::CheckResourceAvailabilityRequest { cpu_percent, memory_mb } = request.into_inner();
        let room = registry::check(&self.handle, cpu_percent, memory_mb).await.map_err(status)?;
        let availability = Some(convert::availability(room));
        Ok(Response::new(v1::CheckResourceAvailabilityResponse { availability }))
    }

    async fn reserve(&self, request: Request<v1::ReserveRequest>) -> Answer<v1::ReserveResponse> {
        let reserve = convert::reserve(&request.into_inner()).map_err(status)?;
        let view = registry::reserve(&self.handle, reserve).await.map_err(status)?;
        Ok(Response::new(v1::ReserveResponse { reservation: Some(convert::reservation(view)) }))
    }

    async fn get_reservation(&self, request: Request<v1::GetReservationRequest>) -> Answer<v1::GetReservationResponse> {
        let id = id(&request.into_inner().pipeline_id)?;
        let wanted = id.clone();
        let view = self.read(move |state| state.registry.reservation(&wanted)).await?;
        let view = view.ok_or_else(|| status(Problem::from(Rejection::ReservationUnknown(id))))?;
        Ok(Response::new(v1::GetReservationResponse { reservation: Some(convert::reservation(view)) }))
    }

    async fn release_reservation(
        &self,
        request: Request<v1::ReleaseReservationRequest>,
    ) -> Answer<v1::ReleaseReservationResponse> {
        let id = id(&request.into_inner().pipeline_id)?;
        registry::release(&self.handle, id).await.map_err(status)?;
        Ok(Response::new(v1::ReleaseReservationResponse {}))
    }

    async fn get_queue(&self, _: Request<v1::GetQueueRequest>) -> Answer<v1::GetQueueResponse> {
        let queue = self.read(|state| state.registry.queue()).await?;
        let waiting = queue.into_iter().map(convert::reservation).collect();
        Ok(Response::new(v1::GetQueueResponse { waiting }))
    }

    async fn get_limits(&self, _: Request<v1::GetLimitsRequest>) -> Answer<v1::GetLimitsResponse> {
        let rules = self.read(|state| state.registry.rules().clone()).await?;
        Ok(Response::new(v1::GetLimitsResponse { limits: Some(convert::rules(&rules)) }))
    }

    async fn change_limits(&self, request: Request<v1::ChangeLimitsRequest>) -> Answer<v1::ChangeLimitsResponse> {
        let change = convert::rules_change(&request.into_inner());
        let rules = registry::change_rules(&self.handle, change).await.map_err(status)?;
        Ok(Response::new(v1::ChangeLimitsResponse { limits: Some(convert::rules(&rules)) }))
    }

    async fn history(&self, request: Request<v1::HistoryRequest>) -> Answer<v1::HistoryResponse> {
        let v1::HistoryRequest { pipeline_id, from, until, after, page_size } = request.into_inner();
        let after = match after {
            Some(after) if after >= Position::MAX.get() => {
                return Err(status(Malformed::new("after", "the next of an earlier page", after)));
            }
            after => after.map(Position::new),
        };
        let filter = FactFilter {
            pipeline: if pipeline_id.is_empty() { None } else { Some(id(&pipeline_id)?) },
            from: moment(from.as_ref(), "from")?,
            until: moment(until.as_ref(), "until")?,
            after,
            most: page::size(page_size).map_err(status)?,
        };
        let page = registry::facts(&self.handle, filter).await.map_err(status)?;
        let fact = |(position, fact)| convert::fact(Placed { position, fact });
        let facts = page.facts.into_iter().map(fact).collect();
        Ok(Response::new(v1::HistoryResponse { facts, next: page.next.map(Position::get) }))
    }

    async fn registry_at(&self, request: Request<v1::RegistryAtRequest>) -> Answer<v1::RegistryAtResponse> {
        let v1::RegistryAtRequest { at, page_size, cursor } = request.into_inner();
        let at = moment(at.as_ref(), "at")?.ok_or_else(|| status(Malformed::missing("at", "the time to show")))?;
        let most = Some(page::size(page_size).map_err(status)? as u32);
        let listing = Listing { after: after(&cursor)?, most, ..Listing::default() };
        let then = registry::registry_at(&self.handle, at).await.map_err(status)?;
        let page = then.list(&listing, at).map_err(|rejection| status(Problem::from(rejection)))?;
        Ok(Response::new(v1::RegistryAtResponse {
            system: Some(convert::system(then.system())),
            limits: Some(convert::rules(then.rules())),
            queue: then.queue().into_iter().map(convert::reservation).collect(),
            pipelines: page.pipelines.into_iter().map(convert::pipeline).collect(),
            next_cursor: page.next.map(|next| next.to_string()).unwrap_or_default(),
        }))
    }

    type WatchRegistryStream = ReceiverStream<Result<v1::WatchRegistryResponse, Status>>;

    async fn watch_registry(&self, request: Request<v1::WatchRegistryRequest>) -> Answer<Self::WatchRegistryStream> {
        let from = request.into_inner().from;
        if let Some(bad) = from.filter(|from| *from > Position::MAX.get()) {
            return Err(status(Malformed::new("from", "a position", bad)));
        }
        let watch = self.handle.watch(from.map(Position::new), None).await;
        let watch = watch.map_err(|error| status(watch_problem(error)))?;
        let (messages, out) = mpsc::channel(AHEAD);
        let closing = self.closing.clone();
        self.tasks.spawn(async move {
            let last_word = tokio::select! {
                problem = follow(watch, &messages) => problem,
                () = closing.cancelled() => Some(Failure::Stopped.into()),
                () = messages.closed() => None,
            };
            if let Some(problem) = last_word {
                // If the watcher has gone there is nobody to tell.
                let _ = messages.send(Err(status(problem))).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(out)))
    }
}

async fn heard(handle: &Handle, request: v1::HeartbeatRequest) -> Result<v1::HeartbeatResponse, Problem> {
    let ids = request.pipeline_ids;
    if ids.len() > registry::HEARTBEATS_MAX {
        return Err(Problem::too_large("pipeline_ids", "ids", registry::HEARTBEATS_MAX));
    }
    let all = ids.len() as u64;
    let ids = ids.iter().map(|id| convert::pipeline_id(id)).collect::<Result<Vec<_>, _>>()?;
    let unknown = registry::heartbeats(handle, ids).await?;
    let noted = all - unknown.len() as u64;
    Ok(v1::HeartbeatResponse { noted, unknown: unknown.iter().map(ToString::to_string).collect() })
}

/// Ends with why it could not go on, or with nothing once nobody listens.
async fn follow(
    mut watch: Watch,
    messages: &mpsc::Sender<Result<v1::WatchRegistryResponse, Status>>,
) -> Option<Problem> {
    let mut idle = tokio::time::interval(SIGN_OF_LIFE);
    loop {
        let mut facts = Vec::new();
        // The first tick comes at once: a watcher that begins now is told where that is.
        tokio::select! {
            biased;
            change = watch.next() => match change {
                Ok(change) => facts.extend(told(&change).map(convert::fact)),
                Err(error) => return Some(watch_problem(error)),
            },
            _ = idle.tick() => {
                let next = watch.position().get();
                messages.send(Ok(v1::WatchRegistryResponse { facts, next })).await.ok()?;
                continue;
            }
        }
        while facts.len() < FACTS
            && let Some(change) = watch.ready()
        {
            facts.extend(told(&change).map(convert::fact));
        }
        if let Some(last) = facts.last() {
            let next = last.position + 1;
            messages.send(Ok(v1::WatchRegistryResponse { facts, next })).await.ok()?;
        }
    }
}
