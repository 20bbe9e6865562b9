//! Grants, renewals, and the ends of leases.

use super::{Applying, Due, Ended, ItemState, Lease, Past, Revoked, Token};
use crate::event::GrantKey;
use crate::limits::GLOBAL;
use crate::progress::Progress;
use crate::session::{WORKERS_KEPT, WorkerRecord};
use capstan_ids::{LimitName, Millis, WorkerId};

/// Progress that only memory has is noted in the journal this often.
pub(crate) const NOTE_EVERY: Millis = Millis::secs(10);
/// What a grant costs a session of weight 1 in its turn.
const TURN: u64 = 1 << 20;

impl Applying<'_> {
    pub(super) fn grant(&mut self, number: u64, worker: &WorkerId, length: Millis, key: Option<&GrantKey>) {
        let (token, moment) = (Token::granted_at(self.stamp.position), self.stamp.moment);
        let deadline = moment.monotonic + length;
        let (was, lane, priority) = self.session.change(number, |item| {
            let was = item.state;
            item.state = ItemState::Assigned;
            let run = item.run_mut();
            run.grants = run.grants.saturating_add(1);
            run.started.get_or_insert(moment.wall);
            run.lease = Some(Lease {
                worker: worker.clone(),
                token,
                granted: moment.wall,
                length,
                expires: moment.wall + length,
                key: key.cloned(),
                revoked: None,
                advanced: false,
                checkpointed: false,
                deadline,
                moved: moment.monotonic,
                stuck: false,
            });
            (was, item.lane, item.priority)
        });
        debug_assert_eq!(was, ItemState::Ready, "only ready items are granted (W1)");
        self.session.leased.insert(number);
        self.session.lanes.take(lane, priority, &self.session.items);
        self.count_lease(lane);
        self.shared.alarm(deadline, &self.session.name, Due::Item(number));
        if let Some(key) = key {
            self.shared.remember(worker, key, &self.session.name, number);
        }
        self.see_worker(worker).held += 1;
        self.session.started.get_or_insert(moment.wall);
        let turn = TURN / u64::from(self.session.policy.weight.max(1));
        self.session.served = self.session.served.saturating_add(turn);
        self.session.unseen_expiries = 0;
        self.expect_look();
    }

    /// Counts a lease of `lane` against its limits, here and over all sessions.
    pub(crate) fn count_lease(&mut self, lane: u32) {
        for place in &self.session.lanes.at(lane).limits {
            self.session.limits.granted(*place);
            let name = self.session.limits.at(*place).name.clone();
            let shared = self.shared.limits.place(&name);
            self.shared.limits.granted(shared);
        }
    }

    fn uncount_lease(&mut self, lane: u32) {
        for place in &self.session.lanes.at(lane).limits {
            self.session.limits.ended(*place);
            let name = self.session.limits.at(*place).name.clone();
            let shared = self.shared.limits.place(&name);
            self.shared.limits.ended(shared);
        }
    }

    pub(crate) fn see_worker(&mut self, worker: &WorkerId) -> &mut WorkerRecord {
        let wall = self.stamp.moment.wall;
        if self.session.workers.len() >= WORKERS_KEPT && !self.session.workers.contains_key(worker) {
            self.session.forget_idle_workers();
        }
        let record = self.session.workers.entry(worker.clone()).or_insert_with(|| WorkerRecord {
            held: 0,
            done: 0,
            failed: 0,
            first_seen: wall,
            last_seen: wall,
        });
        record.last_seen = record.last_seen.max(wall);
        record
    }

    pub(super) fn renew(&mut self, number: u64, length: Millis, progress: Progress) {
        let best = self.session.item(number).run.as_ref().map_or(Progress::NONE, |run| run.best);
        self.extend(number, length, progress);
        self.session.change(number, |item| {
            let run = item.run_mut();
            if let Some(lease) = &mut run.lease {
                lease.advanced |= progress.is_beyond(best);
                lease.length = lease.length.max(length);
            }
        });
    }

    pub(super) fn touch(&mut self, number: u64, length: Millis, progress: Progress) {
        let changed = self.session.item(number).progress() != progress;
        self.extend(number, length, progress);
        let due = self.stamp.moment.monotonic + NOTE_EVERY;
        let name = self.session.name.clone();
        let Some(item) = self.session.items.get_mut(number) else { return };
        let run = item.run_mut();
        if changed && run.unnoted.is_none() {
            run.unnoted = Some(due);
            self.shared.unnoted.insert((due, name, number));
        }
    }

    fn extend(&mut self, number: u64, length: Millis, progress: Progress) {
        let moment = self.stamp.moment;
        let deadline = moment.monotonic + length;
        let (before, stood_still) = self.session.change(number, |item| {
            let run = item.run_mut();
            let moved = std::mem::replace(&mut run.progress, progress) != progress;
            run.last_progress = Some(moment.wall);
            let lease = run.lease.as_mut().expect("only live leases are renewed");
            lease.expires = moment.wall + length;
            (std::mem::replace(&mut lease.deadline, deadline), moved && lease.move_on(moment.monotonic))
        });
        if stood_still {
            self.unmark_stuck();
        }
        if before != deadline {
            self.shared.silence(before, &self.session.name, Due::Item(number));
            self.shared.alarm(deadline, &self.session.name, Due::Item(number));
        }
        if let Some(worker) = self.session.lease(number).map(|lease| lease.worker.clone()) {
            self.see_worker(&worker);
        }
    }

    /// What is durable now: the progress, and a checkpoint if it moved.
    pub(super) fn note(&mut self, number: u64, checkpoint: Option<&str>) {
        self.forget_unnoted(number);
        let now = self.stamp.moment.monotonic;
        let stood_still = self.session.change(number, |item| {
            let run = item.run_mut();
            run.best = run.best.max(run.progress);
            let Some(checkpoint) = checkpoint else { return false };
            let moved = run.checkpoint.as_deref() != Some(checkpoint);
            run.checkpoint = Some(checkpoint.into());
            let Some(lease) = &mut run.lease else { return false };
            lease.checkpointed |= moved;
            moved && lease.move_on(now)
        });
        if stood_still {
            self.unmark_stuck();
        }
    }

    pub(super) fn forget_unnoted(&mut self, number: u64) {
        let due = self.session.items.get(number).and_then(|item| item.run.as_ref()).and_then(|run| run.unnoted);
        if let Some(due) = due {
            self.shared.unnoted.remove(&(due, self.session.name.clone(), number));
            if let Some(item) = self.session.items.get_mut(number) {
                item.run_mut().unnoted = None;
            }
        }
    }

    /// Ends a lease, however it ended, and frees all it took. The item's state is the caller's to set.
    pub(super) fn end_lease(
        &mut self,
        number: u64,
        progress: Progress,
        checkpoint: Option<&str>,
        ran_out: bool,
        failed: bool,
    ) -> Lease {
        self.session.change(number, |item| item.run_mut().progress = progress);
        self.note(number, checkpoint);
        let (lease, lane) = self.session.change(number, |item| {
            let run = item.run_mut();
            let lease = run.lease.take().expect("only live leases end");
            run.last_holder = Some(Past {
                worker: lease.worker.clone(),
                token: lease.token,
                ran_out: ran_out.then_some(lease.expires),
            });
            (lease, item.lane)
        });
        self.session.leased.remove(&number);
        self.session.stuck -= u64::from(lease.stuck);
        self.uncount_lease(lane);
        self.shared.silence(lease.deadline, &self.session.name, Due::Item(number));
        if let Some(key) = &lease.key {
            self.shared.forget(&lease.worker, key, &self.session.name, number);
        }
        let record = self.see_worker(&lease.worker);
        record.held = record.held.saturating_sub(1);
        record.failed += u64::from(failed);
        if failed {
            self.session.lanes.note_failure(lane);
        }
        lease
    }

    pub(super) fn complete(&mut self, number: u64, result: Option<&str>, done: Progress, successors: Option<u64>) {
        let progress = self.session.item(number).progress();
        let lease = self.end_lease(number, progress, None, false, false);
        self.see_worker(&lease.worker).done += 1;
        let ended = Ended { at: self.stamp.moment.wall, position: self.stamp.position, done };
        self.session.change(number, |item| {
            item.state = ItemState::Completed;
            let run = item.run_mut();
            run.progress = done;
            run.result = result.map(Into::into);
            run.successors = successors;
            run.ended = Some(ended);
            run.last_error = None;
        });
        self.leave_groups(number);
        self.session.completed.push_back(number);
        self.forget_completed();
    }

    /// Lets go of completed items beyond what the policy keeps.
    pub(super) fn forget_completed(&mut self) {
        let Some(keep) = self.session.policy.keep_completed else { return };
        // The last one stays whatever the policy says: its completion is about to be answered with it.
        while self.session.completed.len() > keep.max(1) as usize {
            let Some(number) = self.session.completed.pop_front() else { return };
            if let Some(item) = self.session.items.remove(number) {
                self.session.forgotten.enter(&item);
                self.session.tallies.leave(&item);
            }
        }
    }

    pub(super) fn fail(
        &mut self,
        number: u64,
        error: &str,
        progress: Progress,
        checkpoint: Option<&str>,
        ran_out: bool,
    ) {
        self.end_lease(number, progress, checkpoint, ran_out, true);
        self.session.change(number, |item| {
            item.state = ItemState::Failed;
            let run = item.run_mut();
            run.attempts = run.attempts.saturating_add(1);
            run.last_error = Some(error.into());
        });
        self.break_groups(number);
    }

    pub(super) fn expire(&mut self, number: u64, counted: bool, progress: Progress) {
        let lease = self.end_lease(number, progress, None, true, counted);
        self.session.change(number, |item| {
            let run = item.run_mut();
            if counted {
                run.attempts = run.attempts.saturating_add(1);
                run.forgiven = 0;
                run.last_error = Some(format!("the lease of {} ran out", lease.worker).into());
            } else if lease.advanced {
                run.forgiven = 0;
            } else {
                run.forgiven = run.forgiven.saturating_add(1);
            }
        });
        self.session.unseen_expiries += 1;
        self.requeue(number);
    }

    pub(super) fn revoke(&mut self, number: u64, reason: &str, cancel: bool, counted: bool) {
        self.session.change(number, |item| {
            if let Some(lease) = &mut item.run_mut().lease {
                let before = lease.revoked.as_ref();
                let cancel = cancel || before.is_some_and(|revoked| revoked.cancel);
                let counted = counted || before.is_some_and(|revoked| revoked.counted);
                lease.revoked = Some(Revoked { reason: reason.into(), cancel, counted });
            }
        });
    }
}

impl super::Session {
    /// Forgets the half of the workers that hold nothing and were seen longest ago.
    fn forget_idle_workers(&mut self) {
        let mut idle: Vec<_> = self
            .workers
            .iter()
            .filter(|(_, record)| record.held == 0)
            .map(|(id, record)| (record.last_seen, id.clone()))
            .collect();
        idle.sort_unstable();
        idle.truncate(idle.len().div_ceil(2));
        for (_, id) in idle {
            self.workers.remove(&id);
        }
    }

    /// The names of all limits that an item of these limits counts against: its kind, `global`, and its own.
    pub(crate) fn limit_names(kind: &capstan_ids::Kind, own: &[LimitName]) -> Vec<LimitName> {
        let mut names = vec![LimitName::from(kind), LimitName::new(GLOBAL).expect("a valid name")];
        names.extend(own.iter().cloned());
        names.sort_unstable();
        names.dedup();
        names
    }
}
