//! Where the migration core and the work core meet: what one wants of the other, in one commit.

use crate::failure::Failure;
use crate::state::{State, Writing};
use capstan_ids::{ItemId, SessionName};
use capstan_migration::{
    JobCommand, JobEvent, JobName, OnExhausted as JobPolicy, Settled, Stamp, WorkIntent, WorkItem, WorkPolicy, WorkWait,
};
use capstan_work::{
    Answer, Backoff, Command, Complete, Conflicts, LimitValue, NewItem, OnExhausted, Policy, Rejection, SessionState,
    WaitsFor,
};

impl State {
    /// Decides a job's command in both cores, then applies it in both.
    pub(crate) fn command_job(&mut self, command: &JobCommand, writing: &mut Writing<'_>) -> Result<JobName, Failure> {
        let context = capstan_migration::Context { moment: writing.context.moment, cores: writing.cores };
        self.may_go_on(command)?;
        let decision = self.jobs.decide(command, context)?;
        let commands: Vec<Command> = decision.work.iter().flat_map(|intent| self.as_commands(intent)).collect();
        for command in &commands {
            self.work.decide(command, writing.context)?;
        }
        let entry = self.decide_entry(&decision, writing.cores, writing.context.moment)?;
        for event in &decision.events {
            self.record_job(event, writing);
        }
        for command in &commands {
            self.perform_work(command, writing)?;
        }
        if let Some(entry) = entry {
            self.enter(&decision.job, entry, writing);
        }
        // Also where nothing happened in it: a job that goes on may have nothing left to do.
        writing.touched.push(decision.job.session());
        self.settle_jobs(writing);
        Ok(decision.job)
    }

    /// Completes an item of a job: its facts go to the job, and what follows becomes its successors.
    ///
    /// Nothing else may add successors to a job's items: the job knows what follows.
    pub(crate) fn complete_for_job(
        &mut self,
        complete: &Complete,
        command: &Command,
        writing: &mut Writing<'_>,
    ) -> Result<Answer, Rejection> {
        // First whether the holder may: who has lost its lease is told that, whatever it brings.
        let bare = Complete { result: None, successors: Vec::new(), ..complete.clone() };
        match self.work.decide(&Command::Complete(bare), writing.context) {
            Ok(_) | Err(Rejection::OtherSuccessors { .. }) => {}
            Err(rejection) => return Err(rejection),
        }
        let context = capstan_migration::Context { moment: writing.context.moment, cores: writing.cores };
        let refused = |problem: String| Rejection::ResultRefused { item: complete.item.clone(), problem };
        let completion = self
            .jobs
            .completed(&complete.session, &complete.item, complete.result.as_deref(), context)
            .map_err(|rejection| refused(rejection.to_string()))?;
        let successors = completion.successors.iter().map(as_item).collect::<Vec<_>>();
        let session = complete.session.clone();
        let complete = Complete { result: completion.result, successors, ..complete.clone() };
        let command = match command {
            Command::CompleteAndAcquire { acquire, .. } => {
                Command::CompleteAndAcquire { complete, acquire: acquire.clone() }
            }
            _ => Command::Complete(complete),
        };
        let answer = self.perform_work(&command, writing)?;
        for event in &completion.events {
            self.record_job(event, writing);
        }
        if !completion.priorities.is_empty() {
            let (session, items) = (session, completion.priorities);
            for command in self.as_commands(&WorkIntent::SetPriorities { session, items }) {
                self.perform_work(&command, writing)?;
            }
        }
        Ok(answer)
    }

    fn record_job(&mut self, event: &JobEvent, writing: &mut Writing<'_>) {
        let stamp = Stamp { position: writing.context.next, wall: writing.context.moment.wall };
        self.jobs.apply(stamp, event);
        writing.job(event);
        self.heed_job(event, writing);
    }

    /// Ends the jobs whose sessions have come to rest, begins what waits for the rest of a job, and holds back those for
    /// whom there is no room, as long as that is so.
    pub(crate) fn settle_jobs(&mut self, writing: &mut Writing<'_>) {
        while let Some(session) = writing.touched.pop() {
            self.settle_session(&session, writing);
            let goes_on = |job: &JobName| self.jobs.end(job) == Some(None);
            if let Some(job) = JobName::of_session(&session).filter(goes_on) {
                self.heed_room(&job, writing);
                self.tell_changes(&job, writing);
            }
        }
    }

    fn settle_session(&mut self, session: &SessionName, writing: &mut Writing<'_>) {
        let settled = match self.work.session_state(session) {
            Some(SessionState::Completed) => Settled::Completed,
            Some(SessionState::CompletedWithFailures) => Settled::CompletedWithFailures,
            Some(SessionState::Cancelled) if self.work.is_still(session) => Settled::Cancelled,
            // Somebody deleted it under its job.
            None => Settled::Cancelled,
            Some(SessionState::Running) if self.work.only_waits(session) => {
                self.begin_phase(session, writing);
                return;
            }
            _ => return,
        };
        let events = self.jobs.session_settled(session, settled);
        for event in &events {
            self.record_job(event, writing);
        }
        // What ended well takes nothing more; what failed can still be tried again.
        if settled == Settled::Completed && !events.is_empty() {
            let closed = self.perform_work(&Command::Close { session: session.clone() }, writing);
            debug_assert!(closed.is_ok(), "a session whose items are all done has no live leases: {closed:?}");
        }
    }
}

impl State {
    /// Nothing of a job can move any more but what waits for exactly that: it begins.
    fn begin_phase(&mut self, session: &SessionName, writing: &mut Writing<'_>) {
        let Some((event, work)) = self.jobs.next_phase(session) else { return };
        let commands: Vec<Command> = work.iter().flat_map(|intent| self.as_commands(intent)).collect();
        // Jobs of older versions hold no gates: what ends them waits for their units.
        if commands.iter().any(|command| self.work.decide(command, writing.context).is_err()) {
            return;
        }
        self.record_job(&event, writing);
        for command in &commands {
            let done = self.perform_work(command, writing);
            debug_assert!(done.is_ok(), "what was decided a moment ago is not refused: {done:?}");
        }
    }

    /// What an intent comes to, as the session stands.
    fn as_commands(&self, intent: &WorkIntent) -> Vec<Command> {
        let command = match intent.clone() {
            WorkIntent::OpenSession { session, policy, items, gates } => Command::OpenSession {
                session,
                policy: as_policy(&policy),
                notes: None,
                items: items.iter().map(as_item).collect(),
                gates,
            },
            WorkIntent::AddItems { session, items } => Command::AddItems {
                session,
                items: items.iter().map(as_item).collect(),
                gates: Vec::new(),
                conflicts: Conflicts::Refuse,
            },
            WorkIntent::OpenGate { session, group, gate } => Command::OpenGate { session, group, gate },
            WorkIntent::GiveUpFailed { session } => {
                let failed = self.work.broken_items(&session).into_iter();
                return failed.map(|item| Command::CancelItem { session: session.clone(), item }).collect();
            }
            WorkIntent::SetPriorities { session, items } => {
                let known = |(item, priority): (ItemId, i16)| {
                    let now = self.work.priority_of_unfinished(&session, &item)?;
                    let command = Command::SetPriority { session: session.clone(), item, priority };
                    (now != priority).then_some(command)
                };
                return items.into_iter().filter_map(known).collect();
            }
            WorkIntent::Pause { session, immediate, reason } => return self.as_pause(session, immediate, &reason),
            WorkIntent::Resume { session } => Command::Resume { session },
            WorkIntent::Retry { session, items } => Command::Retry { session, items },
            WorkIntent::Cancel { session, reason } => Command::Cancel { session, reason },
            WorkIntent::SetLimit { session, limit, value } => {
                Command::SetLimit { session: Some(session), name: limit, value: value.and_then(LimitValue::new) }
            }
            WorkIntent::DeleteSession { session } => Command::DeleteSession { session },
        };
        vec![command]
    }
}

/// Whether a session is a job's.
pub(crate) fn is_of_a_job(session: &SessionName) -> bool {
    JobName::of_session(session).is_some()
}

fn as_policy(policy: &WorkPolicy) -> Policy {
    Policy {
        lease: policy.lease,
        attempts: Some(policy.attempts),
        backoff: policy.backoff.map_or(Backoff::None, |(initial, cap)| Backoff::Exponential { initial, cap }),
        on_exhausted: match policy.on_exhausted {
            JobPolicy::Pause => OnExhausted::Pause,
            JobPolicy::Skip => OnExhausted::Skip,
            JobPolicy::Fail => OnExhausted::Fail,
        },
        limits: policy.limits.iter().filter_map(|(name, size)| Some((name.clone(), LimitValue::new(*size)?))).collect(),
        stuck_after: Some(policy.stuck_after),
        revoke_stuck: policy.revoke_stuck,
        ..Policy::job()
    }
}

fn as_item(item: &WorkItem) -> NewItem {
    NewItem {
        kind: item.kind.clone(),
        index_name: item.collection.clone(),
        shard_number: item.part,
        document_count: item.documents,
        total_size_bytes: item.bytes,
        priority: item.priority,
        groups: item.groups.clone(),
        waits_for: item.waits_for.iter().map(as_wait).collect(),
        limits: item.limits.clone(),
        undo: item.undo,
        payload: Some(item.payload.clone()),
        ..NewItem::new(item.id.clone())
    }
}

fn as_wait(wait: &WorkWait) -> WaitsFor {
    match wait {
        WorkWait::Group(group) => WaitsFor::Group(group.clone()),
        WorkWait::Item(item) => WaitsFor::Item(item.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jobs_own_sessions_are_its() {
        let session = |name| SessionName::new(name).unwrap();
        assert!(is_of_a_job(&session("job-shop")));
        assert!(!is_of_a_job(&session("shop")));
    }
}
