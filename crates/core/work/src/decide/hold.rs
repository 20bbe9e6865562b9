//! What a holder may do with its lease, and what a former holder is told.

use super::bounds::{self, PAYLOAD_MAX, TEXT_MAX};
use super::{Decision, Reply};
use crate::answer::Added;
use crate::command::{Complete, Conflicts, Holder, NewItem};
use crate::decide::add::Batch;
use crate::event::Event;
use crate::item::{Item, ItemState, Lease};
use crate::policy::OnExhausted;
use crate::progress::Progress;
use crate::rejection::Rejection;
use crate::session::Session;
use crate::state::{Context, WorkState};
use capstan_ids::{ItemId, Millis, SessionName, Token};

/// What a holder says of a failed attempt.
pub(super) struct Failed<'a> {
    pub error: &'a str,
    pub permanent: bool,
    pub retry_after: Option<Millis>,
    pub checkpoint: Option<&'a str>,
}

/// Where an asker stands to an item.
enum Standing<'a> {
    /// It holds the lease.
    Holds(u64, &'a Lease),
    /// Its lease was ended by itself, and nobody has worked on the item since.
    Ended(u64),
    /// It completed the item.
    Completed(u64),
    /// The item was removed under its lease.
    Ghost(Token),
}

impl Holder {
    fn is_of(&self, worker: &capstan_ids::WorkerId, token: Token) -> bool {
        match self {
            Self::Token(theirs) => *theirs == token,
            Self::Worker(theirs) => theirs == worker,
            Self::WorkerWithToken(who, theirs) => who == worker && *theirs == token,
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(token) => write!(f, "token {token}"),
            Self::Worker(worker) => write!(f, "worker {worker}"),
            Self::WorkerWithToken(worker, token) => write!(f, "worker {worker} with token {token}"),
        }
    }
}

impl WorkState {
    /// Finds the asker's standing; who has none is told why.
    fn standing<'a>(&'a self, session: &'a Session, id: &ItemId, holder: &Holder) -> Result<Standing<'a>, Rejection> {
        let ghost = session.ghosts_of(id.as_str()).find(|(token, ghost)| holder.is_of(&ghost.worker, *token));
        let Some(number) = session.items.find(id.as_str()) else {
            return ghost
                .map(|(token, _)| Standing::Ghost(token))
                .ok_or_else(|| Rejection::ItemUnknown { session: session.name.clone(), item: id.clone() });
        };
        let item = session.item(number);
        let past = item.run.as_ref().and_then(|run| run.last_holder.as_ref());
        let was_theirs = past.filter(|past| holder.is_of(&past.worker, past.token));
        match (item.lease(), was_theirs) {
            (Some(lease), _) if holder.is_of(&lease.worker, lease.token) => Ok(Standing::Holds(number, lease)),
            (Some(lease), _) if ghost.is_none() => {
                Err(not_holder(id, holder, format!("worker {} holds it", lease.worker)))
            }
            (_, Some(_)) if item.state == ItemState::Completed => Ok(Standing::Completed(number)),
            (None, Some(past)) => match past.ran_out {
                Some(at) => Err(Rejection::LeaseExpired { item: id.clone(), at }),
                None => Ok(Standing::Ended(number)),
            },
            _ => match ghost {
                Some((token, _)) => Ok(Standing::Ghost(token)),
                None if item.state == ItemState::Completed => Err(already_completed(id, item)),
                None => Err(not_holder(id, holder, format!("it is {}", item.state.name()))),
            },
        }
    }

    pub(super) fn decide_renew(
        &self,
        name: &SessionName,
        id: &ItemId,
        holder: &Holder,
        progress: Option<Progress>,
        checkpoint: Option<&str>,
        wished: Option<Millis>,
    ) -> Result<Decision, Rejection> {
        bounds::check_checkpoint(checkpoint)?;
        check_progress(progress)?;
        let session = self.known(name)?;
        let (number, lease) = match self.standing(session, id, holder)? {
            Standing::Holds(number, lease) => (number, lease),
            Standing::Ended(number) => {
                return Err(not_holder(id, holder, format!("it is {}", session.item(number).state.name())));
            }
            Standing::Completed(number) => return Err(already_completed(id, session.item(number))),
            Standing::Ghost(_) => {
                return Err(Rejection::LeaseRevoked { item: id.clone(), reason: "the item was removed".into() });
            }
        };
        if let Some(revoked) = &lease.revoked {
            return Err(Rejection::LeaseRevoked { item: id.clone(), reason: revoked.reason.to_string() });
        }
        let item = session.item(number);
        let run = item.run.as_ref().expect("a leased item has run");
        let progress = progress.unwrap_or(run.progress);
        let length =
            wished.map_or(lease.length, |wished| wished.clamp(session.policy.lease_min, session.policy.lease_max));
        let moved = checkpoint.is_some_and(|checkpoint| run.checkpoint.as_deref() != Some(checkpoint));
        let durable = moved || length > lease.length || (!lease.advanced && progress.is_beyond(run.best));
        let event = if durable {
            Event::LeaseRenewed { number, length, progress, checkpoint: checkpoint.filter(|_| moved).map(Into::into) }
        } else {
            Event::LeaseTouched { number, length, progress }
        };
        Ok(Decision::of(name, vec![event], Reply::Renewed { session: name.clone(), number, lease: length }))
    }

    pub(super) fn decide_complete(&self, complete: &Complete) -> Result<Decision, Rejection> {
        let (name, id) = (&complete.session, &complete.item);
        bounds::check_text("result", complete.result.as_deref(), PAYLOAD_MAX, "at most 64 KiB")?;
        check_progress(complete.done)?;
        let session = self.known(name)?;
        let digest = (!complete.successors.is_empty()).then(|| digest(&complete.successors));
        match self.standing(session, id, &complete.holder)? {
            Standing::Holds(number, lease) => {
                let item = session.item(number);
                let mut events = Vec::with_capacity(complete.successors.len() + 1);
                self.check_successors(session, number, complete, &mut events)?;
                let done = complete.done.unwrap_or_else(|| {
                    if complete.successors.is_empty() { item.done_when_completed() } else { item.progress() }
                });
                events.push(Event::ItemCompleted { number, result: complete.result.clone(), done, successors: digest });
                // What is left of a cancelled item is cancelled with it.
                if lease.revoked.as_ref().is_some_and(|revoked| revoked.cancel) {
                    let first = session.items.next_number();
                    let left = first..first + complete.successors.len() as u64;
                    events.extend(left.map(|number| Event::ItemCancelled { number }));
                }
                let reply = Reply::Completed { session: name.clone(), number, token: lease.token, repeated: false };
                Ok(Decision::of(name, events, reply))
            }
            Standing::Completed(number) => {
                let run = session.item(number).run.as_ref().expect("a completed item has run");
                if run.successors != digest {
                    return Err(Rejection::OtherSuccessors { item: id.clone() });
                }
                let token = run.last_holder.as_ref().expect("somebody completed it").token;
                let reply = Reply::Completed { session: name.clone(), number, token, repeated: true };
                Ok(Decision::of(name, Vec::new(), reply))
            }
            Standing::Ended(number) => {
                Err(not_holder(id, &complete.holder, format!("it is {}", session.item(number).state.name())))
            }
            Standing::Ghost(token) => Ok(Decision::done(name, Event::GhostEnded { token })),
        }
    }

    fn check_successors(
        &self,
        session: &Session,
        number: u64,
        complete: &Complete,
        events: &mut Vec<Event>,
    ) -> Result<(), Rejection> {
        let parent = &complete.item;
        let bad = |successor: &NewItem, why| Rejection::BadSuccessor {
            item: parent.clone(),
            successor: successor.id.clone(),
            why,
        };
        for successor in &complete.successors {
            if successor.id == *parent {
                return Err(bad(successor, "is the item itself; release it instead, with a checkpoint"));
            }
            if session.items.find(successor.id.as_str()).is_some() {
                return Err(bad(successor, "exists already; give what is left a new id"));
            }
            if successor.undo {
                return Err(bad(successor, "is an undo item, which nothing can be the rest of"));
            }
        }
        let added = Batch::new(session, Some(number), Conflicts::Refuse).check_all(&complete.successors, events)?;
        match complete.successors.iter().zip(&added).find(|(_, added)| **added != Added::Created) {
            Some((twice, _)) => Err(bad(twice, "comes twice")),
            None => Ok(()),
        }
    }

    pub(super) fn decide_fail(
        &self,
        name: &SessionName,
        id: &ItemId,
        holder: &Holder,
        report: &Failed<'_>,
        context: Context,
    ) -> Result<Decision, Rejection> {
        bounds::check_text("error", Some(report.error), TEXT_MAX, "at most 4 KiB")?;
        bounds::check_checkpoint(report.checkpoint)?;
        let session = self.known(name)?;
        let (number, lease) = match self.standing(session, id, holder)? {
            Standing::Holds(number, lease) => (number, lease),
            other => return self.decide_return_of_ended(session, id, other),
        };
        let item = session.item(number);
        let (progress, checkpoint) = (item.progress(), report.checkpoint.map(Into::into));
        let events = if lease.revoked.is_some() {
            given_back(session, number, progress, checkpoint, context.random)
        } else if report.permanent || is_last_attempt(session, item) {
            let failed = Event::ItemFailed { number, error: report.error.into(), progress, checkpoint, ran_out: false };
            exhausted(session, item, report.error, failed)
        } else {
            let backoff = session.policy.backoff.delay(item.attempts() + 1, context.random);
            let delay = backoff.max(report.retry_after.unwrap_or(Millis::ZERO)).min(Millis::secs(7 * 86_400));
            vec![Event::AttemptFailed { number, error: report.error.into(), delay, progress, checkpoint }]
        };
        Ok(Decision::of(name, events, Reply::Returned { session: name.clone(), number }))
    }

    pub(super) fn decide_release(
        &self,
        name: &SessionName,
        id: &ItemId,
        holder: &Holder,
        progress: Option<Progress>,
        checkpoint: Option<&str>,
        context: Context,
    ) -> Result<Decision, Rejection> {
        bounds::check_checkpoint(checkpoint)?;
        check_progress(progress)?;
        let session = self.known(name)?;
        match self.standing(session, id, holder)? {
            Standing::Holds(number, _) => {
                let progress = progress.unwrap_or_else(|| session.item(number).progress());
                let events = given_back(session, number, progress, checkpoint.map(Into::into), context.random);
                Ok(Decision::of(name, events, Reply::Returned { session: name.clone(), number }))
            }
            other => self.decide_return_of_ended(session, id, other),
        }
    }

    /// Giving back what is given back already changes nothing and is answered as the first time.
    fn decide_return_of_ended(
        &self,
        session: &Session,
        id: &ItemId,
        standing: Standing<'_>,
    ) -> Result<Decision, Rejection> {
        match standing {
            Standing::Ghost(token) => Ok(Decision::done(&session.name, Event::GhostEnded { token })),
            Standing::Completed(number) => Err(already_completed(id, session.item(number))),
            Standing::Ended(number) | Standing::Holds(number, _) => {
                Ok(Decision::of(&session.name, Vec::new(), Reply::Returned { session: session.name.clone(), number }))
            }
        }
    }
}

/// What becomes of an item whose lease is given back, or was taken back and is over now.
pub(super) fn given_back(
    session: &Session,
    number: u64,
    progress: Progress,
    checkpoint: Option<Box<str>>,
    random: u64,
) -> Vec<Event> {
    let item = session.item(number);
    let counted =
        item.lease().and_then(|lease| lease.revoked.as_ref()).filter(|revoked| revoked.counted && !revoked.cancel);
    let Some(revoked) = counted else { return vec![Event::LeaseReleased { number, progress, checkpoint }] };
    let error = revoked.reason.clone();
    if is_last_attempt(session, item) {
        let failed = Event::ItemFailed { number, error: error.clone(), progress, checkpoint, ran_out: false };
        return exhausted(session, item, &error, failed);
    }
    let delay = session.policy.backoff.delay(item.attempts() + 1, random);
    vec![Event::AttemptFailed { number, error, delay, progress, checkpoint }]
}

/// Whether one more counted failure is the last.
pub(super) fn is_last_attempt(session: &Session, item: &Item) -> bool {
    session.policy.attempts.is_some_and(|most| item.attempts() + 1 >= most)
}

/// An item that has failed, and what that does to its session.
pub(super) fn exhausted(session: &Session, item: &Item, error: &str, failed: Event) -> Vec<Event> {
    let reason = || -> Box<str> {
        let text = format!("item {:?} has failed: {error}", item.body.id());
        text.chars().take(TEXT_MAX / 4).collect::<String>().into()
    };
    let mut events = vec![failed];
    match session.policy.on_exhausted {
        OnExhausted::Pause if session.is_running() => {
            events.push(Event::SessionPaused { immediate: false, reason: reason() })
        }
        OnExhausted::Fail if !session.is_cancelled() => events.push(Event::SessionCancelled { reason: reason() }),
        OnExhausted::Pause | OnExhausted::Fail | OnExhausted::Skip => {}
    }
    events
}

fn check_progress(progress: Option<Progress>) -> Result<(), Rejection> {
    let Some(progress) = progress else { return Ok(()) };
    bounds::check_figure("documents_processed", progress.documents)?;
    bounds::check_figure("bytes_processed", progress.bytes)
}

fn not_holder(item: &ItemId, holder: &Holder, state: String) -> Rejection {
    Rejection::NotHolder { item: item.clone(), asker: holder.to_string(), state }
}

fn already_completed(id: &ItemId, item: &Item) -> Rejection {
    let by = item
        .run
        .as_ref()
        .and_then(|run| run.last_holder.as_ref())
        .map_or_else(String::new, |past| past.worker.to_string());
    Rejection::AlreadyCompleted { item: id.clone(), by }
}

/// A digest of a list of successors that stays the same for ever: FNV-1a over their packed bodies.
fn digest(successors: &[NewItem]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for successor in successors {
        for byte in crate::body::ItemBody::pack(successor).as_bytes() {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}
