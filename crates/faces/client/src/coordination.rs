//! The port of workers, answered by a server behind the network.

use crate::client::Client;
use crate::error::{Class, Error};
use crate::retry::random;
use async_trait::async_trait;
use capstan_coordination::{
    Acquire, Await, Brief, Coordination, CoordinationError, Fault, Holding, Leased, News, Outcome, Progress, Successor,
};
use capstan_ids::{ItemId, Kind, NameError, SessionName, Token};
use capstan_proto::v1::{self, ask::Request, reply::Answer, waits_for::Awaited};
use std::time::Duration;
use tonic::Response;

/// Codes that mean to a holder: this is not yours any more.
const LOST: [&str; 8] = [
    "lease.expired",
    "lease.not_held",
    "item.unknown",
    "item.state",
    "item.completed",
    "session.unknown",
    "session.ended",
    "session.state",
];
/// When to ask a server again that gave no advice.
const PAUSE: Duration = Duration::from_secs(1);

#[async_trait]
impl Coordination for Client {
    async fn acquire(&self, wish: &Acquire) -> Result<Vec<Leased>, CoordinationError> {
        let request = v1::AcquireRequest {
            sessions: wish.sessions.iter().map(ToString::to_string).collect(),
            worker_id: wish.worker.to_string(),
            kinds: wish.kinds.iter().map(ToString::to_string).collect(),
            item_id: String::new(),
            max: wish.max,
            lease_ms: wish.lease.map(millis),
            idempotency_key: wish
                .key
                .as_ref()
                .map_or_else(|| format!("{:016x}{:016x}", random(), random()), ToString::to_string),
            wait_ms: millis(wish.wait),
            slots: wish.slots,
            usage: wish.usage.map(|usage| v1::Usage { cpu_percent: usage.cpu_percent, memory_mb: usage.memory_mb }),
        };
        // One try: the worker counts from when it asked, so it must know of every try.
        let answer = self.work().acquire(request).await.map(Response::into_inner).map_err(Error::from)?;
        let waited = Duration::from_millis(answer.waited_ms);
        answer.leases.into_iter().map(|lease| leased(lease, waited)).collect()
    }

    async fn renew(&self, holding: &Holding, news: &News) -> Result<Duration, CoordinationError> {
        let request = v1::RenewRequest {
            session: holding.session.to_string(),
            item_id: holding.item.to_string(),
            token: holding.token.get(),
            progress: news.progress.map(figures),
            checkpoint: news.checkpoint.as_deref().map(str::to_owned),
            ..Default::default()
        };
        match self.ask_once(Request::Renew(request)).await? {
            Answer::Renew(renewed) => Ok(Duration::from_millis(renewed.lease_ms)),
            _ => Err(Error::unexpected("a renewal").into()),
        }
    }

    async fn complete(&self, holding: &Holding, outcome: &Outcome) -> Result<(), CoordinationError> {
        let request = v1::CompleteRequest {
            session: holding.session.to_string(),
            item_id: holding.item.to_string(),
            token: holding.token.get(),
            worker_id: String::new(),
            result: outcome.result.as_deref().map(str::to_owned),
            done: outcome.done.map(figures),
            successors: outcome.successors.iter().map(spec).collect(),
        };
        self.ask_once(Request::Complete(request)).await?;
        Ok(())
    }

    async fn fail(&self, holding: &Holding, fault: &Fault) -> Result<(), CoordinationError> {
        let request = v1::FailRequest {
            session: holding.session.to_string(),
            item_id: holding.item.to_string(),
            token: holding.token.get(),
            worker_id: String::new(),
            error: fault.error.to_string(),
            permanent: fault.permanent,
            retry_after_ms: fault.retry_after.map(millis),
            checkpoint: fault.checkpoint.as_deref().map(str::to_owned),
        };
        self.ask_once(Request::Fail(request)).await?;
        Ok(())
    }

    async fn release(&self, holding: &Holding, news: &News) -> Result<(), CoordinationError> {
        let request = v1::ReleaseRequest {
            session: holding.session.to_string(),
            item_id: holding.item.to_string(),
            token: holding.token.get(),
            worker_id: String::new(),
            progress: news.progress.map(figures),
            checkpoint: news.checkpoint.as_deref().map(str::to_owned),
        };
        self.ask_once(Request::Release(request)).await?;
        Ok(())
    }

    async fn brief(&self, holding: &Holding, from: u32) -> Result<Brief, CoordinationError> {
        let (session, item_id) = (holding.session.to_string(), holding.item.to_string());
        let request = v1::BriefRequest { session, item_id, from };
        let page = self.jobs().brief(request).await.map(Response::into_inner).map_err(|status| {
            // Nothing here is about a lease: an item that is not known is one that belongs to no job.
            match Error::from(status) {
                error if matches!(error.class(), Class::NotFound | Class::Conflict) => {
                    CoordinationError::Refused { reason: error.to_string() }
                }
                error => error.into(),
            }
        })?;
        Ok(Brief { text: page.text.into(), next: page.next })
    }
}

impl From<Error> for CoordinationError {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match (error.code(), error.class()) {
            (Some("lease.revoked"), _) => Self::Revoked { reason },
            (Some(code), _) if LOST.contains(&code) => Self::LeaseLost { reason },
            (_, Class::Overloaded | Class::Exhausted | Class::Unavailable | Class::Internal) => {
                Self::Unavailable { reason, retry_after: error.retry_after().unwrap_or(PAUSE) }
            }
            (
                _,
                Class::Invalid
                | Class::Unauthenticated
                | Class::Forbidden
                | Class::NotFound
                | Class::Conflict
                | Class::Changed
                | Class::Gone
                | Class::TooLarge
                | Class::Unsupported,
            ) => Self::Refused { reason },
        }
    }
}

fn leased(lease: v1::Lease, waited: Duration) -> Result<Leased, CoordinationError> {
    let item = lease.item.ok_or_else(|| Error::unexpected("the item of a lease"))?;
    let foreign = |error: NameError| CoordinationError::from(Error::from(error));
    Ok(Leased {
        holding: Holding {
            session: SessionName::new(&lease.session).map_err(foreign)?,
            item: ItemId::new(&item.id).map_err(foreign)?,
            token: Token::from_wire(lease.token),
        },
        kind: Kind::new(&item.kind).map_err(foreign)?,
        collection: item.index_name.into(),
        part: item.shard_number,
        expected: Progress { documents: item.document_count, bytes: item.total_size_bytes },
        payload: item.payload.map(Into::into),
        lease: Duration::from_millis(lease.lease_ms),
        waited,
        attempt: lease.attempt,
        checkpoint: lease.checkpoint.map(Into::into),
        progress: lease.progress.map_or(Progress::default(), |p| Progress { documents: p.documents, bytes: p.bytes }),
    })
}

fn spec(successor: &Successor) -> v1::ItemSpec {
    let awaited = |wait: &Await| v1::WaitsFor {
        awaited: Some(match wait {
            Await::Group(group) => Awaited::Group(group.to_string()),
            Await::Item(item) => Awaited::ItemId(item.to_string()),
        }),
    };
    v1::ItemSpec {
        id: successor.id.to_string(),
        kind: successor.kind.to_string(),
        index_name: successor.collection.to_string(),
        shard_number: successor.part,
        document_count: successor.expected.documents,
        total_size_bytes: successor.expected.bytes,
        priority: successor.priority.into(),
        not_before: None,
        groups: successor.groups.iter().map(ToString::to_string).collect(),
        waits_for: successor.waits_for.iter().map(awaited).collect(),
        limits: successor.limits.iter().map(ToString::to_string).collect(),
        undo: false,
        payload: successor.payload.as_deref().map(str::to_owned),
    }
}

fn figures(progress: Progress) -> v1::Progress {
    v1::Progress { documents: progress.documents, bytes: progress.bytes }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
