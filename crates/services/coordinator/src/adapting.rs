//! Pools that find their own size, looked at every few seconds.

use crate::state::{State, Writing};
use capstan_ids::{Kind, LimitName, Millis, Monotonic};
use capstan_migration::{ADAPT_EVERY_MS, Controller, JobName, Sample};
use capstan_work::{Command, LimitValue, SessionState};
use std::collections::HashMap;

/// What is known of the pools that adapt; in memory alone, so that after a restart they begin anew.
#[derive(Debug, Default)]
pub(crate) struct Adapting {
    next: Monotonic,
    pools: HashMap<(JobName, Kind), Pool>,
}

#[derive(Debug)]
struct Pool {
    controller: Controller,
    /// Bytes moved and attempts failed of its kind, as of the last look: a target that fails says nothing about how many
    /// should read the source.
    seen: (u64, u64),
}

impl State {
    /// Sizes the pools that adapt by themselves, where it is time to look at them.
    pub(crate) fn adapt(&mut self, writing: &mut Writing<'_>) {
        let now = writing.context.moment.monotonic;
        if now < self.adapting.next {
            return;
        }
        self.adapting.next = now + Millis(ADAPT_EVERY_MS);
        let pools: Vec<(JobName, Kind, Option<u32>)> =
            self.jobs.adaptive_pools().map(|(job, kind, most)| (job.clone(), kind, most)).collect();
        let mut known = std::mem::take(&mut self.adapting.pools);
        for (job, kind, most) in pools {
            let session = job.session();
            // What is paused says nothing about what would be fast.
            if self.work.session_state(&session) != Some(SessionState::Running) {
                continue;
            }
            let seen = (self.moved(&job, &kind), self.work.failed_attempts(&session, &kind));
            let name = LimitName::from(&kind);
            let key = (job, kind);
            let pool = known.remove(&key);
            let pool = match pool {
                Some(Pool { mut controller, seen: before }) => {
                    controller.look(Sample {
                        bytes: seen.0.saturating_sub(before.0),
                        failed: seen.1.saturating_sub(before.1),
                        live: self.work.leases_under(&session, &name),
                    });
                    Pool { controller, seen }
                }
                None => Pool { controller: Controller::new(most), seen },
            };
            let set =
                Command::SetLimit { session: Some(session), name, value: LimitValue::new(pool.controller.size()) };
            let done = self.perform_work(&set, writing);
            debug_assert!(done.is_ok(), "a running session takes limits: {done:?}");
            self.adapting.pools.insert(key, pool);
        }
    }

    /// Bytes that items of a kind have moved so far: those that are done, and those that run.
    fn moved(&self, job: &JobName, kind: &Kind) -> u64 {
        let done = self.jobs.job(job).map_or(0, |view| match kind.as_str() {
            "dump" => view.dumped.bytes,
            _ => view.restored.bytes,
        });
        done.saturating_add(self.work.leased_progress(&job.session(), kind).bytes)
    }
}
