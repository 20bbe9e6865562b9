//! A lease in the hands of its worker.

use crate::acquire::Acquire;
use crate::client::Client;
use crate::clock;
use crate::error::Error;
use capstan_proto::v1::{self, ask::Request, reply::Answer};
use std::time::Duration;

/// The right to one item until a time. It is given back by completing, failing or releasing it; one that is dropped runs
/// out by itself.
#[derive(Debug)]
pub struct Lease {
    client: Client,
    wire: v1::Lease,
    worker: String,
    /// By this machine's clock since it started.
    ends: Duration,
}

/// How far the work has got.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// In all, earlier holders' share included.
    pub progress: Option<v1::Progress>,
    /// Where to go on from, where it moved: at most 16 KiB.
    pub checkpoint: Option<String>,
}

/// How a piece of work ended well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// What came of it: JSON text, at most 64 KiB.
    pub result: Option<String>,
    /// What this item itself did, where that differs from what was expected of it.
    pub done: Option<v1::Progress>,
    /// What is left, as items made in the same commit.
    pub successors: Vec<v1::ItemSpec>,
}

impl Lease {
    pub(crate) fn new(client: Client, wire: v1::Lease, counted_from: Duration, worker: &str) -> Self {
        let ends = counted_from + Duration::from_millis(wire.lease_ms);
        Self { client, wire, worker: worker.to_owned(), ends }
    }

    /// The item, as its maker described it.
    pub fn item(&self) -> &v1::ItemSpec {
        static NOTHING: std::sync::LazyLock<v1::ItemSpec> = std::sync::LazyLock::new(v1::ItemSpec::default);
        self.wire.item.as_ref().unwrap_or(&NOTHING)
    }

    /// The lease as the server told it: token, attempt, checkpoint, progress and times.
    pub fn told(&self) -> &v1::Lease {
        &self.wire
    }

    /// What fences it.
    pub fn token(&self) -> u64 {
        self.wire.token
    }

    /// The worker that holds it.
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// How much of it is left, by this machine's own clock. Whoever writes must stop before this is nothing.
    pub fn remaining(&self) -> Duration {
        self.ends.saturating_sub(clock::now())
    }

    /// Keeps the lease, and says how far the work has got. A checkpoint is durable when this returns.
    pub async fn renew(&mut self, news: News) -> Result<(), Error> {
        let request = v1::RenewRequest {
            session: self.wire.session.clone(),
            item_id: self.item().id.clone(),
            token: self.wire.token,
            progress: news.progress,
            checkpoint: news.checkpoint,
            ..Default::default()
        };
        // Counted from before the first try: later than that the server cannot have granted less.
        let asked = clock::now();
        match self.client.ask(Request::Renew(request)).await? {
            Answer::Renew(renewed) => {
                self.ends = asked + Duration::from_millis(renewed.lease_ms);
                Ok(())
            }
            _ => Err(Error::unexpected("a renewal")),
        }
    }

    /// Ends the item well, with what came of it as JSON text.
    pub async fn complete(self, result: Option<String>) -> Result<(), Error> {
        self.complete_with(Outcome { result, ..Outcome::default() }).await
    }

    /// Ends the item well, with successors for what is left.
    pub async fn complete_with(self, outcome: Outcome) -> Result<(), Error> {
        match self.client.ask(Request::Complete(self.completion(outcome))).await? {
            Answer::Complete(_) => Ok(()),
            _ => Err(Error::unexpected("a completion")),
        }
    }

    /// Ends the item well and asks for the next in the same step; its waiting time and key are of no meaning here.
    ///
    /// Empty where there is no more work now: then acquire with a wait.
    pub async fn complete_and_acquire(self, outcome: Outcome, next: &Acquire) -> Result<Vec<Self>, Error> {
        let request =
            v1::CompleteAndAcquireRequest { complete: Some(self.completion(outcome)), next: Some(next.next_request()) };
        // Counted from before the first try, which can only make it shorter than it is.
        let asked = clock::now();
        match self.client.ask(Request::CompleteAndAcquire(request)).await? {
            Answer::CompleteAndAcquire(answer) => {
                let lease = |lease| Self::new(self.client.clone(), lease, asked, next.worker_id());
                Ok(answer.leases.into_iter().map(lease).collect())
            }
            _ => Err(Error::unexpected("a completion")),
        }
    }

    fn completion(&self, outcome: Outcome) -> v1::CompleteRequest {
        v1::CompleteRequest {
            session: self.wire.session.clone(),
            item_id: self.item().id.clone(),
            token: self.wire.token,
            worker_id: String::new(),
            result: outcome.result,
            done: outcome.done,
            successors: outcome.successors,
        }
    }

    /// Reports that this attempt failed; where it is permanent, no other follows. Answers the item's state.
    pub async fn fail(self, error: impl Into<String>, permanent: bool) -> Result<v1::ItemState, Error> {
        let request = v1::FailRequest {
            session: self.wire.session.clone(),
            item_id: self.item().id.clone(),
            token: self.wire.token,
            error: error.into(),
            permanent,
            ..Default::default()
        };
        match self.client.ask(Request::Fail(request)).await? {
            Answer::Fail(failed) => Ok(failed.state()),
            _ => Err(Error::unexpected("a failure")),
        }
    }

    /// Gives the lease back unfinished; no attempt is counted.
    pub async fn release(self, news: News) -> Result<(), Error> {
        let request = v1::ReleaseRequest {
            session: self.wire.session.clone(),
            item_id: self.item().id.clone(),
            token: self.wire.token,
            progress: news.progress,
            checkpoint: news.checkpoint,
            ..Default::default()
        };
        match self.client.ask(Request::Release(request)).await? {
            Answer::Release(_) => Ok(()),
            _ => Err(Error::unexpected("a release")),
        }
    }
}
