//! The port of workers, answered in the same process.

use crate::failure::Failure;
use crate::handle::Handle;
use async_trait::async_trait;
use capstan_coordination::{
    Acquire, Await, Brief, Coordination, CoordinationError, Fault, Holding, Leased, News, Outcome, Progress, Successor,
};
use capstan_ids::{ItemId, Millis};
use capstan_work::{Answer, Command, Complete, Grant, Holder, NewItem, Rejection, WaitsFor};
use std::time::Duration;

/// When to ask again where nobody said so.
const PAUSE: Duration = Duration::from_secs(1);

#[async_trait]
impl Coordination for Handle {
    async fn acquire(&self, wish: &Acquire) -> Result<Vec<Leased>, CoordinationError> {
        let usage = wish.usage.map(|usage| capstan_work::Usage::new(usage.cpu_percent, usage.memory_mb)).transpose();
        let acquire = capstan_work::Acquire {
            sessions: wish.sessions.clone(),
            worker: wish.worker.clone(),
            kinds: wish.kinds.clone(),
            item: None,
            max: wish.max,
            lease: wish.lease.map(millis),
            key: wish.key.clone(),
            slots: wish.slots,
            usage: usage.map_err(|error| CoordinationError::Refused { reason: error.to_string() })?,
        };
        let acquired = match Handle::acquire(self, acquire, wish.wait).await {
            Ok(acquired) => acquired,
            // Nothing is held yet that could be lost.
            Err(Failure::Rejected(rejection)) => return Err(refused(&rejection)),
            Err(failure) => return Err(failed(failure)),
        };
        match acquired.answer {
            Answer::Granted(grants) => Ok(grants.into_iter().map(|grant| leased(grant, acquired.waited)).collect()),
            _ => Ok(Vec::new()),
        }
    }

    async fn renew(&self, holding: &Holding, news: &News) -> Result<Duration, CoordinationError> {
        let renew = Command::Renew {
            session: holding.session.clone(),
            item: holding.item.clone(),
            holder: Holder::Token(holding.token),
            progress: news.progress.map(figures),
            checkpoint: news.checkpoint.clone(),
            lease: None,
        };
        match self.submit(renew).await.map_err(failed)? {
            Answer::Renewed { lease, .. } => Ok(Duration::from_millis(lease.get())),
            other => Err(CoordinationError::Refused { reason: format!("a renewal was answered with {other:?}") }),
        }
    }

    async fn complete(&self, holding: &Holding, outcome: &Outcome) -> Result<(), CoordinationError> {
        let complete = Command::Complete(Complete {
            session: holding.session.clone(),
            item: holding.item.clone(),
            holder: Holder::Token(holding.token),
            result: outcome.result.clone(),
            done: outcome.done.map(figures),
            successors: outcome.successors.iter().map(successor).collect(),
        });
        self.submit(complete).await.map(drop).map_err(failed)
    }

    async fn fail(&self, holding: &Holding, fault: &Fault) -> Result<(), CoordinationError> {
        let fail = Command::Fail {
            session: holding.session.clone(),
            item: holding.item.clone(),
            holder: Holder::Token(holding.token),
            error: fault.error.clone(),
            permanent: fault.permanent,
            retry_after: fault.retry_after.map(millis),
            checkpoint: fault.checkpoint.clone(),
        };
        self.submit(fail).await.map(drop).map_err(failed)
    }

    async fn release(&self, holding: &Holding, news: &News) -> Result<(), CoordinationError> {
        let release = Command::Release {
            session: holding.session.clone(),
            item: holding.item.clone(),
            holder: Holder::Token(holding.token),
            progress: news.progress.map(figures),
            checkpoint: news.checkpoint.clone(),
        };
        self.submit(release).await.map(drop).map_err(failed)
    }

    async fn brief(&self, holding: &Holding, from: u32) -> Result<Brief, CoordinationError> {
        let asked = holding.clone();
        let (held, brief) = self
            .read(move |state| {
                let item = state.work.item(&asked.session, &asked.item);
                let held = item.is_some_and(|item| item.token == Some(asked.token));
                (held, state.brief(&asked.session, &asked.item, from))
            })
            .await
            .map_err(failed)?;
        if !held {
            return Err(CoordinationError::LeaseLost { reason: "the item is not held under this token".into() });
        }
        let brief = brief.map_err(|rejection| CoordinationError::Refused { reason: rejection.to_string() })?;
        Ok(Brief { text: brief.text, next: brief.next })
    }
}

fn leased(grant: Grant, waited: Duration) -> Leased {
    let body = grant.body.unpack();
    Leased {
        holding: Holding { session: grant.session, item: body.id, token: grant.token },
        kind: body.kind,
        collection: body.index_name,
        part: body.shard_number,
        expected: Progress { documents: body.document_count, bytes: body.total_size_bytes },
        payload: body.payload,
        lease: Duration::from_millis(grant.lease.get()),
        waited,
        attempt: grant.attempt,
        checkpoint: grant.checkpoint,
        progress: Progress { documents: grant.progress.documents, bytes: grant.progress.bytes },
    }
}

fn successor(successor: &Successor) -> NewItem {
    let awaited = |wait: &Await| match wait {
        Await::Group(group) => WaitsFor::Group(group.clone()),
        Await::Item(item) => WaitsFor::Item(ItemId::clone(item)),
    };
    NewItem {
        kind: successor.kind.clone(),
        index_name: successor.collection.clone(),
        shard_number: successor.part,
        document_count: successor.expected.documents,
        total_size_bytes: successor.expected.bytes,
        priority: successor.priority,
        groups: successor.groups.clone(),
        waits_for: successor.waits_for.iter().map(awaited).collect(),
        limits: successor.limits.clone(),
        payload: successor.payload.clone(),
        ..NewItem::new(successor.id.clone())
    }
}

fn figures(progress: Progress) -> capstan_work::Progress {
    capstan_work::Progress { documents: progress.documents, bytes: progress.bytes }
}

fn millis(length: Duration) -> Millis {
    Millis(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

/// What a holder does about a call that did not succeed.
fn failed(failure: Failure) -> CoordinationError {
    let reason = failure.to_string();
    match failure {
        Failure::Rejected(rejection) => rejected(&rejection),
        Failure::JobRejected(_) | Failure::PipelineRejected(_) => CoordinationError::Refused { reason },
        Failure::Overloaded { retry_after } | Failure::Away { retry_after } => {
            CoordinationError::Unavailable { reason, retry_after }
        }
        Failure::Full(_) | Failure::NotLeader { .. } | Failure::JournalBroken | Failure::Stopped => {
            CoordinationError::Unavailable { reason, retry_after: PAUSE }
        }
    }
}

fn refused(rejection: &Rejection) -> CoordinationError {
    CoordinationError::Refused { reason: rejection.to_string() }
}

fn rejected(rejection: &Rejection) -> CoordinationError {
    let reason = rejection.to_string();
    match rejection {
        Rejection::LeaseRevoked { .. } => CoordinationError::Revoked { reason },
        Rejection::SessionUnknown(_)
        | Rejection::SessionEnded(..)
        | Rejection::SessionState { .. }
        | Rejection::ItemUnknown { .. }
        | Rejection::NotHolder { .. }
        | Rejection::LeaseExpired { .. }
        | Rejection::AlreadyCompleted { .. }
        | Rejection::ItemState { .. } => CoordinationError::LeaseLost { reason },
        Rejection::SessionExists(_)
        | Rejection::ItemConflict { .. }
        | Rejection::ItemTwice { .. }
        | Rejection::OtherSuccessors { .. }
        | Rejection::BadSuccessor { .. }
        | Rejection::ResultRefused { .. }
        | Rejection::GroupComplete(_)
        | Rejection::GroupCycle { .. }
        | Rejection::GateUnknown { .. }
        | Rejection::OutOfRange { .. }
        | Rejection::LimitReached { .. } => CoordinationError::Refused { reason },
    }
}
