//! What the registry is told of jobs, as any program would tell it of itself: what they do and have moved every half
//! minute, what they use every minute, and every change of what they do at once.
//!
//! What has not changed is a heartbeat and no event. When whom was told lives in memory alone: after a restart or a
//! change of leader everybody's turn comes within half a minute.

use crate::admission::pipeline_of;
use crate::state::{State, Writing};
use capstan_ids::{Millis, Monotonic, SessionName};
use capstan_migration::{End, JobName, Stage};
use capstan_registry::{Command, PipelineStatus, StatusReport};
use capstan_work::{ItemState, SessionState, Usage};
use std::collections::BTreeMap;

/// How often it is told what a job does and has moved.
const STATUS_EVERY: Millis = Millis::secs(30);
/// How often it is told what a job uses.
const USAGE_EVERY: Millis = Millis::secs(60);
/// How often it is looked whose turn it is.
const LOOK_EVERY: Millis = Millis::secs(1);
/// Jobs of one look; the others wait for the next.
const AT_ONCE: usize = 500;
/// The most that the registry counts to.
const COUNT_MAX: u64 = (1 << 53) - 1;

/// What each job was told of last.
#[derive(Debug, Default)]
pub(crate) struct Reporting {
    /// Whether the jobs that there were are in it: it begins empty with a new leader.
    begun: bool,
    next: Monotonic,
    jobs: BTreeMap<JobName, Told>,
}

#[derive(Debug)]
struct Told {
    /// When it was last told anything: the registry's heartbeat.
    heard: Monotonic,
    status_from: Monotonic,
    usage_from: Monotonic,
    /// What the job does, as it was last told.
    status: Option<PipelineStatus>,
    /// Failed items, and how many documents are in their chunks.
    failed: (u64, u64),
}

impl Told {
    fn from(at: Monotonic) -> Self {
        Self { heard: at, status_from: at, usage_from: at, status: None, failed: (0, 0) }
    }
}

impl Reporting {
    /// A job is there from now on.
    pub fn begin(&mut self, job: &JobName, now: Monotonic) {
        self.jobs.insert(job.clone(), Told { usage_from: now + USAGE_EVERY, ..Told::from(now) });
        self.next = self.next.min(now + LOOK_EVERY);
    }

    pub fn forget(&mut self, job: &JobName) {
        self.jobs.remove(job);
    }

    /// When it is to be looked next.
    pub fn next(&self) -> Option<Monotonic> {
        (!self.begun || !self.jobs.is_empty()).then_some(self.next)
    }

    /// The rules have changed, and with them how long may be said nothing.
    pub fn look_at_once(&mut self) {
        self.next = Monotonic(0);
    }
}

impl State {
    /// Tells the registry of the jobs whose turn it is.
    pub(crate) fn report_jobs(&mut self, writing: &mut Writing<'_>) {
        let now = writing.context.moment.monotonic;
        if self.reporting.begun && now < self.reporting.next {
            return;
        }
        if !self.reporting.begun {
            self.begin_reporting(now);
        }
        // A silence that makes others stale must not make jobs so: who coordinates them is here.
        let silence = Millis(self.registry.rules().stale_after.get() / 2);
        let beat = STATUS_EVERY.min(silence.max(LOOK_EVERY));
        let due = self.reporting.jobs.iter().filter(|(_, told)| told.heard + beat <= now || told.status_from <= now);
        let due: Vec<JobName> = due.take(AT_ONCE).map(|(job, _)| job.clone()).collect();
        let mut usage = None;
        for job in &due {
            self.report_job(job, &mut usage, writing);
        }
        self.reporting.next = if due.len() == AT_ONCE {
            now + LOOK_EVERY
        } else {
            let next = self.reporting.jobs.values().map(|told| (told.heard + beat).min(told.status_from)).min();
            next.unwrap_or(now + STATUS_EVERY).max(now + LOOK_EVERY)
        };
        self.settle_jobs(writing);
    }

    /// Everybody's turn comes, one after the other. Jobs that have ended get one too: their last word may be lost.
    fn begin_reporting(&mut self, now: Monotonic) {
        self.reporting.begun = true;
        let jobs: Vec<JobName> = self.jobs.ends().map(|(job, _)| job.clone()).collect();
        let apart = STATUS_EVERY.get() as usize / jobs.len().max(1);
        for (place, job) in jobs.into_iter().enumerate() {
            let turn = now + Millis((place * apart) as u64);
            let heard = Monotonic((turn.0 + LOOK_EVERY.get()).saturating_sub(STATUS_EVERY.get()));
            self.reporting.jobs.insert(job, Told { heard, ..Told::from(turn) });
        }
    }

    fn report_job(
        &mut self,
        job: &JobName,
        usage: &mut Option<BTreeMap<SessionName, Usage>>,
        writing: &mut Writing<'_>,
    ) {
        match self.jobs.end(job) {
            Some(None) => {}
            Some(Some(end)) => {
                self.correct_end(job, end, writing);
                return self.reporting.forget(job);
            }
            None => return self.reporting.forget(job),
        }
        let now = writing.context.moment.monotonic;
        self.keep_room(job, writing);
        let Some(told) = self.reporting.jobs.get_mut(job) else { return };
        told.heard = now;
        let (status, uses) = (told.status_from <= now, told.usage_from <= now);
        if uses {
            told.usage_from = now + USAGE_EVERY;
            let shares = usage.get_or_insert_with(|| self.work.usage_by_session());
            let used = shares.get(&job.session()).copied().unwrap_or_default();
            // Workers on several machines may use more together than one machine has.
            let (cpu_percent, memory_mb) = (used.cpu_percent().min(100.0), used.memory_mb() as i64);
            let _ = self.tell(&Command::ReportUsage { id: pipeline_of(job), cpu_percent, memory_mb }, writing);
        }
        if status {
            self.tell_status(job, writing);
        } else {
            let _ = self.tell(&Command::Heartbeat { id: pipeline_of(job) }, writing);
        }
    }

    /// Tells at once what a job does, where that is something else than before.
    pub(crate) fn tell_changes(&mut self, job: &JobName, writing: &mut Writing<'_>) {
        let status = self.pipeline_status(job);
        if self.reporting.jobs.get(job).is_some_and(|told| told.status != Some(status)) {
            self.tell_status(job, writing);
        }
    }

    fn tell_status(&mut self, job: &JobName, writing: &mut Writing<'_>) {
        let status = self.pipeline_status(job);
        let report = self.status_report(job, status);
        if let Some(told) = self.reporting.jobs.get_mut(job) {
            let now = writing.context.moment.monotonic;
            (told.status, told.status_from, told.heard) = (Some(status), now + STATUS_EVERY, now);
        }
        let _ = self.tell(&Command::UpdateStatus(report), writing);
    }

    /// A job's last word.
    pub(crate) fn tell_end(&mut self, job: &JobName, end: End, writing: &mut Writing<'_>) {
        let report = self.status_report(job, status_of_end(end));
        let _ = self.tell(&Command::UpdateStatus(report), writing);
    }

    /// A job's last word again, where the leader before was gone before it was journalled.
    fn correct_end(&mut self, job: &JobName, end: End, writing: &mut Writing<'_>) {
        let listed = self.registry.pipeline(&pipeline_of(job), writing.context.moment.wall);
        if listed.is_some_and(|pipeline| !pipeline.status.is_ended()) {
            self.tell_end(job, end, writing);
        }
    }

    /// What a job that goes on does, in the registry's words.
    fn pipeline_status(&self, job: &JobName) -> PipelineStatus {
        let session = job.session();
        match self.work.session_state(&session) {
            _ if self.is_held_back(&session) => PipelineStatus::Configured,
            Some(SessionState::Paused) => PipelineStatus::Paused,
            _ => PipelineStatus::Running,
        }
    }

    fn status_report(&mut self, job: &JobName, status: PipelineStatus) -> StatusReport {
        let moved = self.jobs.moved(job).unwrap_or_default();
        let failed = moved.dead_letters.saturating_add(self.documents_of_failed(job));
        StatusReport {
            id: pipeline_of(job),
            status,
            total_records: moved.figures.documents.min(COUNT_MAX),
            failed_records: failed.min(COUNT_MAX),
            bytes_moved: Some(moved.figures.bytes.min(COUNT_MAX)),
        }
    }

    /// Documents of the chunks that have failed, as far as they are known: looked for only where their number changed.
    fn documents_of_failed(&mut self, job: &JobName) -> u64 {
        let session = job.session();
        let items = self.work.count(&session, ItemState::Failed);
        let known = self.reporting.jobs.get(job).map_or((0, 0), |told| told.failed);
        if items == known.0 {
            return known.1;
        }
        let chunk = |stage: Stage| self.jobs.chunk_size(job, stage.unit()?, stage.chunk()?);
        let stages = self.work.failed_items(&session).into_iter().filter_map(|item| item.as_str().parse().ok());
        let documents = stages.filter_map(chunk).map(|size| size.documents).fold(0, u64::saturating_add);
        if let Some(told) = self.reporting.jobs.get_mut(job) {
            told.failed = (items, documents);
        }
        documents
    }
}

fn status_of_end(end: End) -> PipelineStatus {
    match end {
        End::Completed | End::Cancelled => PipelineStatus::Stopped,
        End::CompletedWithFailures | End::Failed => PipelineStatus::Failed,
    }
}
