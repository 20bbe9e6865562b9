//! What would happen: reads the state, changes nothing.

use crate::answer::Answer;
use crate::command::{Acquire, Command};
use crate::event::{Event, GrantKey};
use crate::rejection::Rejection;
use crate::session::{Mode, Session};
use crate::state::{Context, Stamp, WorkState};
use capstan_ids::{SessionName, Token};

mod acquire;
mod add;
mod bounds;
mod hold;
mod lifecycle;
mod tick;

/// What a command comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What happens, with the session it happens to; none for all of them.
    pub events: Vec<(Option<SessionName>, Event)>,
    /// What is answered once that is applied.
    pub(crate) reply: Reply,
}

/// How the answer is made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// It is known.
    Answer(Answer),
    /// The lease after the renewal.
    Renewed { session: SessionName, number: u64, lease: capstan_ids::Millis },
    /// The item after its completion, and what the holder gets next.
    Completed { session: SessionName, number: u64, token: Token, repeated: bool },
    /// The item after its return.
    Returned { session: SessionName, number: u64 },
}

impl Decision {
    fn answered(answer: Answer) -> Self {
        Self { events: Vec::new(), reply: Reply::Answer(answer) }
    }

    /// One event of a session, and nothing more to say.
    fn done(session: &SessionName, event: Event) -> Self {
        Self { events: vec![(Some(session.clone()), event)], reply: Reply::Answer(Answer::Done) }
    }

    fn of(session: &SessionName, events: Vec<Event>, reply: Reply) -> Self {
        Self { events: events.into_iter().map(|event| (Some(session.clone()), event)).collect(), reply }
    }
}

impl WorkState {
    /// Says what a command would come to, without changing anything.
    ///
    /// Of [`Command::CompleteAndAcquire`] only the completion: what comes next is decided once that is applied.
    pub fn decide(&self, command: &Command, context: Context) -> Result<Decision, Rejection> {
        match command {
            Command::OpenSession { session, policy, notes, items, gates } => {
                self.decide_open(session, policy, notes.as_deref(), items, gates)
            }
            Command::UpdateSession { session, change, notes } => self.decide_update(session, change, notes.as_deref()),
            Command::DeleteSession { session } => {
                self.known(session)?;
                Ok(Decision::done(session, Event::SessionDeleted))
            }
            Command::AddItems { session, items, gates, conflicts } => {
                self.decide_add(session, items, gates, *conflicts)
            }
            Command::DeleteItem { session, item } => {
                let number = self.known_item(session, item)?;
                Ok(Decision::done(session, Event::ItemDeleted { number }))
            }
            Command::DeleteItems { session } => {
                let known = self.known(session)?;
                let reply = Reply::Answer(Answer::Counted(known.items.len()));
                Ok(Decision::of(session, vec![Event::ItemsDeleted], reply))
            }
            Command::Acquire(acquire) => self.decide_acquire(acquire, None, context),
            Command::Renew { session, item, holder, progress, checkpoint, lease } => {
                self.decide_renew(session, item, holder, *progress, checkpoint.as_deref(), *lease)
            }
            Command::Complete(complete) => self.decide_complete(complete),
            Command::CompleteAndAcquire { complete, acquire } => {
                self.check_acquire(acquire)?;
                self.decide_complete(complete)
            }
            Command::Fail { session, item, holder, error, permanent, retry_after, checkpoint } => {
                let report = hold::Failed {
                    error,
                    permanent: *permanent,
                    retry_after: *retry_after,
                    checkpoint: checkpoint.as_deref(),
                };
                self.decide_fail(session, item, holder, &report, context)
            }
            Command::Release { session, item, holder, progress, checkpoint } => {
                self.decide_release(session, item, holder, *progress, checkpoint.as_deref(), context)
            }
            Command::Retry { session, items } => self.decide_retry(session, items),
            Command::CancelItem { session, item } => self.decide_cancel_item(session, item),
            Command::SetPriority { session, item, priority } => self.decide_priority(session, item, *priority),
            Command::SetLimit { session, name, value } => self.decide_limit(session.as_ref(), name, *value),
            Command::HoldGate { session, group, gate } => self.decide_hold_gate(session, group, gate),
            Command::OpenGate { session, group, gate } => self.decide_open_gate(session, group, gate),
            Command::Pause { session, immediate, reason } => self.decide_pause(session, *immediate, reason),
            Command::Resume { session } => self.decide_resume(session),
            Command::Cancel { session, reason } => self.decide_cancel(session, reason),
            Command::Close { session } => self.decide_close(session),
            Command::Sweep { session } => {
                let seen = self.known(session)?.unseen_expiries;
                Ok(Decision::of(session, vec![Event::ExpiriesSeen], Reply::Answer(Answer::Counted(seen))))
            }
            Command::Tick => Ok(self.decide_tick(context)),
        }
    }

    /// Decides a command, applies it, hands each event that is to be journalled to `record`, and answers.
    ///
    /// A rejection has changed nothing. The answer may be told once every recorded event is durable.
    pub fn perform(
        &mut self,
        command: &Command,
        mut context: Context,
        record: &mut dyn FnMut(Option<&SessionName>, &Event),
    ) -> Result<Answer, Rejection> {
        let decision = self.decide(command, context)?;
        self.apply_all(&decision, &mut context, record);
        let Reply::Completed { session, number, token, repeated } = decision.reply else {
            return Ok(self.answer(decision.reply, context));
        };
        let item = Box::new(self.sessions[&session].item_view(number));
        let Command::CompleteAndAcquire { acquire, .. } = command else {
            return Ok(Answer::Completed { item, next: Vec::new() });
        };
        let key = GrantKey::After(token);
        let acquire = Acquire { key: None, ..acquire.clone() };
        let next = if repeated {
            // Only what the first call was given: whoever repeats it late must not strand new work.
            self.regranted(&acquire.worker, &key, context).unwrap_or_default()
        } else {
            // It was checked before the completion: what can still be refused is an item that went with it.
            match self.decide_acquire(&acquire, Some(key), context) {
                Ok(next) => {
                    self.apply_all(&next, &mut context, record);
                    if let Reply::Answer(Answer::Granted(grants)) = next.reply { grants } else { Vec::new() }
                }
                Err(_) => Vec::new(),
            }
        };
        Ok(Answer::Completed { item, next })
    }

    fn apply_all(
        &mut self,
        decision: &Decision,
        context: &mut Context,
        record: &mut dyn FnMut(Option<&SessionName>, &Event),
    ) {
        for (session, event) in &decision.events {
            self.apply(Stamp { position: context.next, moment: context.moment }, session.as_ref(), event);
            if event.is_durable() {
                record(session.as_ref(), event);
                context.next = context.next.plus(1);
            }
        }
    }

    fn answer(&self, reply: Reply, context: Context) -> Answer {
        match reply {
            Reply::Answer(answer) => answer,
            Reply::Renewed { session, number, lease } => Answer::Renewed {
                lease,
                expires: context.moment.wall + lease,
                item: Box::new(self.sessions[&session].item_view(number)),
            },
            Reply::Completed { session, number, .. } => {
                Answer::Completed { item: Box::new(self.sessions[&session].item_view(number)), next: Vec::new() }
            }
            Reply::Returned { session, number } => {
                Answer::Returned { item: Box::new(self.sessions[&session].item_view(number)) }
            }
        }
    }

    pub(crate) fn known(&self, name: &SessionName) -> Result<&Session, Rejection> {
        self.live_session(name).ok_or_else(|| Rejection::SessionUnknown(name.clone()))
    }

    /// A session that still takes changes.
    pub(crate) fn open(&self, name: &SessionName) -> Result<&Session, Rejection> {
        let session = self.known(name)?;
        match session.mode {
            Mode::Cancelled(_) | Mode::Closed => Err(Rejection::SessionEnded(name.clone(), session.state().name())),
            Mode::Running | Mode::Paused(_) | Mode::Deleted => Ok(session),
        }
    }

    pub(crate) fn known_item(&self, session: &SessionName, item: &capstan_ids::ItemId) -> Result<u64, Rejection> {
        self.known(session)?
            .items
            .find(item.as_str())
            .ok_or_else(|| Rejection::ItemUnknown { session: session.clone(), item: item.clone() })
    }
}
