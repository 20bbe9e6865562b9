//! The client: one connection, and everything that is asked over it.

use crate::acquire::{Acquire, Acquired};
use crate::clock;
use crate::error::Error;
use crate::exchange::Exchange;
use crate::lease::Lease;
use crate::retry::{Repeat, Retry};
use crate::session::{Page, Session};
use capstan_ids::SessionName;
use capstan_proto::MESSAGE_BYTES_MAX;
use capstan_proto::v1::jobs_client::JobsClient;
use capstan_proto::v1::pipeline_registry_client::PipelineRegistryClient;
use capstan_proto::v1::system_client::SystemClient;
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{self, ask::Request, reply::Answer};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

/// How a client behaves. The defaults are right for a worker.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long to try to connect.
    pub connect_timeout: Duration,
    /// How long a call that got no answer is repeated; zero means never.
    pub retry_for: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), retry_for: Duration::from_secs(30) }
    }
}

/// A server, as a caller sees it. Cheap to clone: clones share the connection and the stream.
#[derive(Clone, Debug)]
pub struct Client {
    work: WorkClient<Channel>,
    jobs: JobsClient<Channel>,
    registry: PipelineRegistryClient<Channel>,
    system: SystemClient<Channel>,
    exchange: Exchange,
    options: Options,
}

impl Client {
    /// Connects to a server: `http://HOST:PORT`, its HTTP or its gRPC port.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, Error> {
        Self::connect_with(url, Options::default()).await
    }

    /// Connects with other options.
    pub async fn connect_with(url: impl AsRef<str>, options: Options) -> Result<Self, Error> {
        let url = url.as_ref();
        let bad = || Error::Invalid { field: "url", expected: "http://HOST:PORT".into(), found: format!("{url:?}") };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| bad())?;
        if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none() {
            return Err(bad());
        }
        let endpoint = endpoint
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true);
        let channel = endpoint.connect().await.map_err(|error| unreachable(url, &error))?;
        let work = WorkClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let exchange = Exchange::over(work.clone());
        let jobs = JobsClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let registry = PipelineRegistryClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self { work, jobs, registry, system: SystemClient::new(channel), exchange, options })
    }

    /// What the server is doing.
    pub async fn info(&self) -> Result<v1::InfoResponse, Error> {
        let mut system = self.system.clone();
        Ok(system.info(v1::InfoRequest {}).await?.into_inner())
    }

    /// Opens a session. Refused with [`Class::Conflict`](crate::Class::Conflict) where there is one of that name.
    pub async fn create_session(&self, name: impl AsRef<str>, policy: v1::Policy) -> Result<Session, Error> {
        let session = self.session(&name)?;
        let request =
            v1::CreateSessionRequest { session: name.as_ref().into(), policy: Some(policy), ..Default::default() };
        self.create_session_with(request).await?;
        Ok(session)
    }

    /// Opens a session with its first items and gates: all of it or nothing.
    pub async fn create_session_with(&self, request: v1::CreateSessionRequest) -> Result<Session, Error> {
        let session = self.session(&request.session)?;
        let call = |mut work: WorkClient<Channel>| {
            let request = request.clone();
            async move { work.create_session(request).await }
        };
        // After a lost answer a repeat would be refused for the session that it made itself.
        self.call(Repeat::OnlyIfNothingHappened, call).await?;
        Ok(session)
    }

    /// A session by its name, without asking whether there is one.
    pub fn session(&self, name: impl AsRef<str>) -> Result<Session, Error> {
        Ok(Session::new(self.clone(), SessionName::new(name)?))
    }

    /// A page of sessions after a cursor, in the order of their names; the empty cursor is the beginning.
    pub async fn sessions(&self, page_size: u32, cursor: &str) -> Result<Page<v1::Session>, Error> {
        let request = v1::ListSessionsRequest { page_size, cursor: cursor.to_owned() };
        let call = |mut work: WorkClient<Channel>| {
            let request = request.clone();
            async move { work.list_sessions(request).await }
        };
        let answer = self.call(Repeat::Safe, call).await?;
        Ok(Page { entries: answer.sessions, next_cursor: answer.next_cursor })
    }

    /// The workers of all sessions.
    pub async fn workers(&self) -> Result<Vec<v1::Worker>, Error> {
        self.workers_of("").await
    }

    pub(crate) async fn workers_of(&self, session: &str) -> Result<Vec<v1::Worker>, Error> {
        let call = |mut work: WorkClient<Channel>| {
            let request = v1::WorkersRequest { session: session.to_owned() };
            async move { work.workers(request).await }
        };
        Ok(self.call(Repeat::Safe, call).await?.workers)
    }

    /// Limits live leases of all sessions together; no value lifts the limit.
    pub async fn set_limit(&self, name: &str, value: Option<u32>) -> Result<(), Error> {
        self.set_limit_of("", name, value).await
    }

    /// The limits over all sessions together.
    pub async fn limits(&self) -> Result<Vec<v1::LimitStatus>, Error> {
        let call = |mut work: WorkClient<Channel>| async move { work.shared_limits(v1::SharedLimitsRequest {}).await };
        Ok(self.call(Repeat::Safe, call).await?.limits)
    }

    pub(crate) async fn set_limit_of(&self, session: &str, name: &str, value: Option<u32>) -> Result<(), Error> {
        let call = |mut work: WorkClient<Channel>| {
            let request = v1::SetLimitRequest { session: session.to_owned(), name: name.to_owned(), value };
            async move { work.set_limit(request).await }
        };
        self.call(Repeat::Safe, call).await?;
        Ok(())
    }

    /// Asks for work, and waits for it if wished. Dropping the future ends the waiting.
    pub async fn acquire(&self, wish: &Acquire) -> Result<Acquired, Error> {
        let request = wish.request();
        let mut retry = Retry::for_up_to(self.options.retry_for, Repeat::Safe);
        loop {
            // Each try counts from when it asked: a repeat is told what is left of the leases then.
            let asked = clock::now();
            // What waits is a call of its own: dropping it tells the server, which a stream has no way to do.
            let answer = if request.wait_ms > 0 {
                self.work.clone().acquire(request.clone()).await.map(Response::into_inner).map_err(Error::from)
            } else {
                self.exchange.ask(Request::Acquire(request.clone())).await.and_then(|answer| match answer {
                    Answer::Acquire(answer) => Ok(answer),
                    _ => Err(Error::unexpected("leases")),
                })
            };
            match answer {
                Ok(answer) => return Ok(self.acquired(answer, asked, wish.worker_id())),
                Err(error) => retry.pause(error).await?,
            }
        }
    }

    fn acquired(&self, answer: v1::AcquireResponse, asked: Duration, worker: &str) -> Acquired {
        let waited = Duration::from_millis(answer.waited_ms);
        let lease = |lease| Lease::new(self.clone(), lease, asked + waited, worker);
        Acquired { leases: answer.leases.into_iter().map(lease).collect(), waited, nothing: answer.nothing }
    }

    /// Keeps many leases in one request. The leases' own deadlines do not move: use [`Lease::renew`] for those.
    pub async fn renew_many(
        &self,
        renewals: Vec<v1::RenewRequest>,
    ) -> Result<Vec<Result<v1::RenewResponse, Error>>, Error> {
        let request = v1::RenewManyRequest { renewals };
        let call = |mut work: WorkClient<Channel>| {
            let request = request.clone();
            async move { work.renew_many(request).await }
        };
        let answer = self.call(Repeat::Safe, call).await?;
        let outcome = |outcome: v1::RenewOutcome| match outcome.outcome {
            Some(v1::renew_outcome::Outcome::Renewed(renewed)) => Ok(renewed),
            Some(v1::renew_outcome::Outcome::Problem(problem)) => Err(problem.into()),
            None => Err(Error::unexpected("an outcome")),
        };
        Ok(answer.outcomes.into_iter().map(outcome).collect())
    }

    /// The generated client, for what has no call of its own here. Nothing is repeated.
    pub fn work(&self) -> WorkClient<Channel> {
        self.work.clone()
    }

    pub(crate) fn registry(&self) -> PipelineRegistryClient<Channel> {
        self.registry.clone()
    }

    /// The generated client of migrations. Nothing is repeated.
    pub fn jobs(&self) -> JobsClient<Channel> {
        self.jobs.clone()
    }

    /// How long a call that got no answer is repeated.
    pub(crate) fn retry_for(&self) -> Duration {
        self.options.retry_for
    }

    /// Sends one ask over the shared stream, again and again while that is safe and may help.
    pub async fn ask(&self, request: Request) -> Result<Answer, Error> {
        if self.options.retry_for.is_zero() {
            return self.exchange.ask(request).await;
        }
        let mut retry = Retry::for_up_to(self.options.retry_for, Repeat::Safe);
        loop {
            match self.exchange.ask(request.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => retry.pause(error).await?,
            }
        }
    }

    /// Sends one ask over the shared stream, once: whoever asks does the repeating.
    pub(crate) async fn ask_once(&self, request: Request) -> Result<Answer, Error> {
        self.exchange.ask(request).await
    }

    /// Makes a unary call, again and again while that is safe and may help.
    pub(crate) async fn call<T, F>(&self, repeat: Repeat, call: impl Fn(WorkClient<Channel>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut retry = Retry::for_up_to(self.options.retry_for, repeat);
        loop {
            match call(self.work.clone()).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => retry.pause(status.into()).await?,
            }
        }
    }
}

fn unreachable(url: &str, error: &dyn std::error::Error) -> Error {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Error::Unreachable { message: format!("{url}: {cause}") }
}
