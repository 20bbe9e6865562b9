//! The `Work` service: which call is answered by what.

use super::calls::Calls;
use super::status::status;
use super::{exchange, watch};
use crate::problem::Problem;
use capstan_proto::v1::{self, work_server::Work};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

pub struct WorkCalls {
    pub calls: Calls,
    /// What runs for open streams.
    pub tasks: TaskTracker,
}

type Answer<T> = Result<Response<T>, Status>;

fn told<T>(answer: Result<T, Problem>) -> Answer<T> {
    answer.map(Response::new).map_err(status)
}

#[tonic::async_trait]
impl Work for WorkCalls {
    async fn create_session(&self, request: Request<v1::CreateSessionRequest>) -> Answer<v1::CreateSessionResponse> {
        told(self.calls.create_session(request.into_inner()).await)
    }

    async fn get_session(&self, request: Request<v1::GetSessionRequest>) -> Answer<v1::GetSessionResponse> {
        told(self.calls.get_session(request.into_inner()).await)
    }

    async fn list_sessions(&self, request: Request<v1::ListSessionsRequest>) -> Answer<v1::ListSessionsResponse> {
        told(self.calls.list_sessions(request.into_inner()).await)
    }

    async fn update_session(&self, request: Request<v1::UpdateSessionRequest>) -> Answer<v1::UpdateSessionResponse> {
        told(self.calls.update_session(request.into_inner()).await)
    }

    async fn delete_session(&self, request: Request<v1::DeleteSessionRequest>) -> Answer<v1::DeleteSessionResponse> {
        told(self.calls.delete_session(request.into_inner()).await)
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Answer<v1::PauseResponse> {
        told(self.calls.pause(request.into_inner()).await)
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Answer<v1::ResumeResponse> {
        told(self.calls.resume(request.into_inner()).await)
    }

    async fn cancel_session(&self, request: Request<v1::CancelSessionRequest>) -> Answer<v1::CancelSessionResponse> {
        told(self.calls.cancel_session(request.into_inner()).await)
    }

    async fn close_session(&self, request: Request<v1::CloseSessionRequest>) -> Answer<v1::CloseSessionResponse> {
        told(self.calls.close_session(request.into_inner()).await)
    }

    async fn set_limit(&self, request: Request<v1::SetLimitRequest>) -> Answer<v1::SetLimitResponse> {
        told(self.calls.set_limit(request.into_inner()).await)
    }

    async fn shared_limits(&self, request: Request<v1::SharedLimitsRequest>) -> Answer<v1::SharedLimitsResponse> {
        told(self.calls.shared_limits(request.into_inner()).await)
    }

    async fn hold_gate(&self, request: Request<v1::HoldGateRequest>) -> Answer<v1::HoldGateResponse> {
        told(self.calls.hold_gate(request.into_inner()).await)
    }

    async fn open_gate(&self, request: Request<v1::OpenGateRequest>) -> Answer<v1::OpenGateResponse> {
        told(self.calls.open_gate(request.into_inner()).await)
    }

    async fn session_status(&self, request: Request<v1::SessionStatusRequest>) -> Answer<v1::SessionStatusResponse> {
        told(self.calls.session_status(request.into_inner()).await)
    }

    async fn workers(&self, request: Request<v1::WorkersRequest>) -> Answer<v1::WorkersResponse> {
        told(self.calls.workers(request.into_inner()).await)
    }

    async fn add_items(&self, request: Request<v1::AddItemsRequest>) -> Answer<v1::AddItemsResponse> {
        told(self.calls.add_items(request.into_inner()).await)
    }

    async fn add_items_stream(
        &self,
        request: Request<Streaming<v1::AddItemsRequest>>,
    ) -> Answer<v1::AddItemsStreamResponse> {
        self.calls.add_items_stream(request.into_inner()).await.map(Response::new)
    }

    async fn get_item(&self, request: Request<v1::GetItemRequest>) -> Answer<v1::GetItemResponse> {
        told(self.calls.get_item(request.into_inner()).await)
    }

    async fn list_items(&self, request: Request<v1::ListItemsRequest>) -> Answer<v1::ListItemsResponse> {
        told(self.calls.list_items(request.into_inner()).await)
    }

    async fn delete_item(&self, request: Request<v1::DeleteItemRequest>) -> Answer<v1::DeleteItemResponse> {
        told(self.calls.delete_item(request.into_inner()).await)
    }

    async fn delete_items(&self, request: Request<v1::DeleteItemsRequest>) -> Answer<v1::DeleteItemsResponse> {
        told(self.calls.delete_items(request.into_inner()).await)
    }

    async fn cancel_item(&self, request: Request<v1::CancelItemRequest>) -> Answer<v1::CancelItemResponse> {
        told(self.calls.cancel_item(request.into_inner()).await)
    }

    async fn retry(&self, request: Request<v1::RetryRequest>) -> Answer<v1::RetryResponse> {
        told(self.calls.retry(request.into_inner()).await)
    }

    async fn set_priority(&self, request: Request<v1::SetPriorityRequest>) -> Answer<v1::SetPriorityResponse> {
        told(self.calls.set_priority(request.into_inner()).await)
    }

    async fn acquire(&self, request: Request<v1::AcquireRequest>) -> Answer<v1::AcquireResponse> {
        told(self.calls.acquire(request.into_inner()).await)
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Answer<v1::RenewResponse> {
        told(self.calls.renew(request.into_inner()).await)
    }

    async fn renew_many(&self, request: Request<v1::RenewManyRequest>) -> Answer<v1::RenewManyResponse> {
        told(self.calls.renew_many(request.into_inner()).await)
    }

    async fn complete(&self, request: Request<v1::CompleteRequest>) -> Answer<v1::CompleteResponse> {
        told(self.calls.complete(request.into_inner()).await)
    }

    async fn complete_and_acquire(
        &self,
        request: Request<v1::CompleteAndAcquireRequest>,
    ) -> Answer<v1::CompleteAndAcquireResponse> {
        told(self.calls.complete_and_acquire(request.into_inner()).await)
    }

    async fn fail(&self, request: Request<v1::FailRequest>) -> Answer<v1::FailResponse> {
        told(self.calls.fail(request.into_inner()).await)
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Answer<v1::ReleaseResponse> {
        told(self.calls.release(request.into_inner()).await)
    }

    type ExchangeStream = ReceiverStream<Result<v1::ExchangeResponse, Status>>;

    async fn exchange(&self, request: Request<Streaming<v1::ExchangeRequest>>) -> Answer<Self::ExchangeStream> {
        let answers = exchange::begin(self.calls.clone(), &self.tasks, request.into_inner());
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    type WatchStream = watch::Changes;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Self::WatchStream> {
        told(watch::begin(&self.calls, &self.tasks, request.into_inner()).await)
    }
}
