//! A coordinator in this process: no sockets between, so that a fault found here is not the network's.

use super::{Desk, Door, SESSION, client_of, worker_id};
use crate::history::{
    Answer, Asked, EndItem, Ending, Granted, Held, ItemName, NewItem, Outcome, Refusal, Rules, State, Wish,
};
use anyhow::{Context, Result};
use capstan_coordinator::{Acquired, Failure, Handle};
use capstan_ids::{IdempotencyKey, ItemId, Kind, LimitName, Millis, SessionName, Token, WorkerId};
use capstan_work::{
    Acquire, Added, Backoff, Command, Complete, Conflicts, Counts, Holder, ItemState, LimitValue, OnExhausted, Policy,
    Progress, Rejection, WaitsFor,
};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Where the coordinator is now; nowhere while it is down.
#[derive(Clone, Default)]
pub struct Inside(Arc<RwLock<Option<Handle>>>);

impl Inside {
    /// It is up.
    pub fn set(&self, handle: Option<Handle>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    fn get(&self) -> Option<Handle> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Door for Inside {
    const FRAME_MAX: usize = 4;

    async fn ask(&mut self, client: u32, asks: &[Asked]) -> Vec<Outcome> {
        let Some(handle) = self.get() else { return vec![Outcome::Unknown; asks.len()] };
        if let [Asked::Acquire(wish)] = asks {
            let waits = Duration::from_millis(wish.wait_ms);
            let acquired = handle.acquire(acquire(client, wish, true), waits).await;
            return vec![outcome(acquired.map(|Acquired { answer, waited }| (answer, waited)))];
        }
        let commands = asks.iter().map(|asked| command(client, asked)).collect();
        match handle.submit_many(commands).await {
            Ok(outcomes) => outcomes
                .into_iter()
                .map(|each| outcome(each.map(|answer| (answer, Duration::ZERO)).map_err(Failure::from)))
                .collect(),
            Err(_) => vec![Outcome::Unknown; asks.len()],
        }
    }
}

impl Desk for Inside {
    async fn open(&mut self, rules: &Rules) -> Result<()> {
        let limit = |(kind, most): &(&str, usize)| {
            Some((LimitName::new(kind).ok()?, LimitValue::new(u32::try_from(*most).ok()?)?))
        };
        let policy = Policy {
            lease: Millis(1_000),
            attempts: Some(rules.attempts),
            backoff: Backoff::Exponential { initial: Millis(20), cap: Millis(200) },
            on_exhausted: OnExhausted::Skip,
            limits: rules.limits.iter().filter_map(limit).collect(),
            keep_completed: None,
            ..Policy::default()
        };
        let open = Command::OpenSession { session: session(), policy, notes: None, items: vec![], gates: vec![] };
        self.get().context("the coordinator is down")?.submit(open).await?;
        Ok(())
    }

    async fn unfinished(&mut self) -> Result<u64> {
        let handle = self.get().context("the coordinator is down")?;
        let counts = handle.read(|state| state.work.session(&session()).map(|view| view.counts)).await?;
        Ok(counts.context("the session is gone")?.unfinished())
    }

    async fn ending(&mut self) -> Result<Ending> {
        let handle = self.get().context("the coordinator is down")?;
        let seen = handle.read(|state| {
            let items = state.work.items_from(&session(), 0)?.map(|view| EndItem {
                id: view.body.id().into(),
                state: state_of(view.state),
                attempts: view.attempts,
                checkpoint: view.checkpoint.map(Arc::from),
                worker: view.worker.as_ref().and_then(|worker| client_of(worker.as_str())),
            });
            let items = items.collect();
            let counts = state.work.session(&session())?.counts;
            Some(Ending { items, counted: counted(&counts), total: counts.total() })
        });
        seen.await?.context("the session is gone")
    }
}

fn counted(counts: &Counts) -> Vec<(State, u64)> {
    let of = |state| match state {
        State::Pending => counts.pending(),
        State::Waiting => counts.of(ItemState::Waiting),
        State::Blocked => counts.of(ItemState::Blocked),
        State::Assigned => counts.of(ItemState::Assigned),
        State::Completed => counts.of(ItemState::Completed),
        State::Failed => counts.of(ItemState::Failed),
        State::Cancelled => counts.of(ItemState::Cancelled),
    };
    State::ALL.map(|state| (state, of(state))).to_vec()
}

fn state_of(state: ItemState) -> State {
    match state {
        ItemState::Waiting | ItemState::Dormant => State::Waiting,
        ItemState::Blocked => State::Blocked,
        ItemState::Delayed | ItemState::Ready => State::Pending,
        ItemState::Assigned => State::Assigned,
        ItemState::Completed => State::Completed,
        ItemState::Failed => State::Failed,
        ItemState::Cancelled => State::Cancelled,
    }
}

fn session() -> SessionName {
    SessionName::new(SESSION).expect("a constant of the right form")
}

fn item(name: &ItemName) -> ItemId {
    ItemId::new(name).expect("players make short ids")
}

fn holder(held: &Held) -> Holder {
    Holder::Token(Token::from_wire(held.token))
}

fn acquire(client: u32, wish: &Wish, keyed: bool) -> Acquire {
    Acquire {
        kinds: wish.kind.iter().filter_map(|kind| Kind::new(kind).ok()).collect(),
        max: wish.max,
        lease: Some(Millis(wish.lease_ms)),
        key: IdempotencyKey::new(&wish.key).ok().filter(|_| keyed),
        ..Acquire::from(session(), WorkerId::new(worker_id(client)).expect("short and printable"))
    }
}

fn new_item(new: &NewItem) -> capstan_work::NewItem {
    capstan_work::NewItem {
        kind: Kind::new(new.kind).expect("kinds of proofs are of the right form"),
        priority: new.priority,
        waits_for: new.waits_for.iter().map(|awaited| WaitsFor::Item(item(awaited))).collect(),
        document_count: 10,
        ..capstan_work::NewItem::new(item(&new.id))
    }
}

fn command(client: u32, asked: &Asked) -> Command {
    let session = session();
    match asked {
        Asked::Add(items) => {
            let items = items.iter().map(new_item).collect();
            Command::AddItems { session, items, gates: vec![], conflicts: Conflicts::Refuse }
        }
        Asked::Acquire(wish) => Command::Acquire(acquire(client, wish, true)),
        Asked::Renew { held, lease_ms, progress, checkpoint } => Command::Renew {
            session,
            item: item(&held.item),
            holder: holder(held),
            progress: progress.map(|documents| Progress { documents, bytes: 0 }),
            checkpoint: checkpoint.as_deref().map(Into::into),
            lease: lease_ms.map(Millis),
        },
        Asked::Complete { held, successors, next } => {
            let successors = successors.iter().map(new_item).collect();
            let complete = Complete { successors, ..Complete::new(session, item(&held.item), holder(held)) };
            match next {
                None => Command::Complete(complete),
                Some(wish) => Command::CompleteAndAcquire { complete, acquire: acquire(client, wish, false) },
            }
        }
        Asked::Fail { held, permanent, checkpoint } => Command::Fail {
            session,
            item: item(&held.item),
            holder: holder(held),
            error: "a proof says so".into(),
            permanent: *permanent,
            retry_after: None,
            checkpoint: checkpoint.as_deref().map(Into::into),
        },
        Asked::Release { held, checkpoint } => Command::Release {
            session,
            item: item(&held.item),
            holder: holder(held),
            progress: None,
            checkpoint: checkpoint.as_deref().map(Into::into),
        },
    }
}

fn outcome(outcome: Result<(capstan_work::Answer, Duration), Failure>) -> Outcome {
    use capstan_work::Answer as Told;
    let (answer, waited) = match outcome {
        Ok(answered) => answered,
        Err(Failure::Rejected(rejection)) => return Outcome::Refused(refusal(&rejection)),
        Err(Failure::Overloaded { .. } | Failure::Full(_)) => return Outcome::Refused(Refusal::Busy),
        Err(_) => return Outcome::Unknown,
    };
    let waited_ms = waited.as_millis() as u64;
    Outcome::Ok(match answer {
        Told::Added(added) => Answer::Added(added.iter().map(|added| *added == Added::Created).collect()),
        Told::Granted(grants) => Answer::Leases { leases: grants.into_iter().map(granted).collect(), waited_ms },
        Told::Nothing(_) => Answer::Leases { leases: vec![], waited_ms },
        Told::Renewed { lease, .. } => Answer::Renewed(lease.get()),
        Told::Completed { next, .. } => Answer::Completed(next.into_iter().map(granted).collect()),
        _ => Answer::Returned,
    })
}

fn granted(grant: capstan_work::Grant) -> Granted {
    Granted {
        item: grant.body.id().into(),
        kind: grant.body.unpack().kind.as_str().into(),
        token: grant.token.get(),
        lease_ms: grant.lease.get(),
        attempt: grant.attempt,
        checkpoint: grant.checkpoint.map(Arc::from),
        progress: grant.progress.documents,
    }
}

fn refusal(rejection: &Rejection) -> Refusal {
    match rejection {
        Rejection::NotHolder { .. } => Refusal::NotHeld,
        Rejection::LeaseExpired { .. } => Refusal::Expired,
        Rejection::LeaseRevoked { .. } => Refusal::Revoked,
        Rejection::AlreadyCompleted { .. } => Refusal::Completed,
        Rejection::ItemUnknown { .. } => Refusal::ItemUnknown,
        other => Refusal::Other(other.to_string().into()),
    }
}
