//! Where jobs and the registry meet: each job is a pipeline there, and begins once there is room for it.
//!
//! A job without room is a session that is paused with a reason of ours. Who waits is derived from that reason and from
//! the registry's queue, both of which the journal keeps: a restart or another leader goes on as it was.

use crate::state::{State, Writing};
use capstan_ids::{Millis, Moment, SessionName};
use capstan_migration::{Decision, End, JobCommand, JobEvent, JobName, Rejection as JobRejection, Spec, WorkIntent};
use capstan_registry::{
    Answer, Command, Labels, PipelineGroup, PipelineId, PipelineName, Register, Rejection, Reserve,
};
use capstan_registry::{LabelKey, LabelValue};
use capstan_work::{Command as WorkCommand, SessionState};

/// What the reason begins with that a session without room is paused for.
const WAITS: &str = "waits for room";
/// What jobs are listed under.
const GROUP: &str = "jobs";
/// How long room is held without being renewed, and waited for without being asked for again.
const TERM: Millis = Millis::secs(86_400);

/// What a command about a job comes to in the registry.
pub(crate) struct Entry {
    register: Option<Register>,
    reserve: Option<Reserve>,
}

/// The pipeline that a job is.
pub(crate) fn pipeline_of(job: &JobName) -> PipelineId {
    PipelineId::new(job.session().as_str()).expect("a session's name is short and plain")
}

/// The session of the job that a pipeline is, if it is called like one.
pub(crate) fn session_of(pipeline: &PipelineId) -> Option<SessionName> {
    SessionName::new(pipeline.as_str()).ok().filter(|session| JobName::of_session(session).is_some())
}

/// How a job is listed.
pub(crate) fn registration(job: &JobName, spec: &Spec) -> Register {
    let place = |url| capstan_migration::scheme(url).unwrap_or("spool");
    let (from, to) = (place(&spec.from), place(&spec.to));
    let name: String = format!("{job}: {from} to {to}").chars().take(100).collect();
    let label = |key: &str, value: &str| Some((LabelKey::new(key).ok()?, LabelValue::new(value).ok()?));
    let labels = [("mode", spec.mode.name()), ("from", from), ("to", to)];
    Register {
        group: Some(PipelineGroup::new(GROUP).expect("a plain word")),
        priority: spec.resources.priority.unwrap_or(0),
        labels: labels.into_iter().filter_map(|(key, value)| label(key, value)).collect::<Labels>(),
        ..Register::new(pipeline_of(job), PipelineName::new(name).expect("a job's name and schemes are printable"))
    }
}

/// What a job asks for, with or without waiting for it.
fn request(job: &JobName, spec: &Spec, cores: u32, wait: Option<Millis>) -> Reserve {
    let needs = spec.needs(cores);
    let memory_mb = i64::try_from(needs.memory_mb).unwrap_or(i64::MAX);
    let asked = Reserve::new(pipeline_of(job), needs.cpu_percent, memory_mb);
    Reserve { ttl: TERM, wait, priority: Some(needs.priority), ..asked }
}

impl State {
    /// Why a job waits for room, and how long its way is; none where it does not.
    pub fn waits_for_room(&self, job: &JobName) -> Option<String> {
        self.is_held_back(&job.session()).then(|| self.why_it_waits(&pipeline_of(job)))
    }

    /// Whether a session is paused for want of room.
    pub(crate) fn is_held_back(&self, session: &SessionName) -> bool {
        self.work.pause_reason(session).is_some_and(|reason| reason.starts_with(WAITS))
    }

    fn why_it_waits(&self, id: &PipelineId) -> String {
        let Some(waiting) = self.registry.reservation(id) else {
            return format!("{WAITS}: it has no place in the queue, for it needs more than the limits allow by now");
        };
        let free = self.registry.system().availability.free;
        let ahead = waiting.ahead.unwrap_or(0);
        format!("{WAITS}: {ahead} before it (needs {}, free {free})", waiting.resources)
    }

    /// Whoever waits for room goes on by itself, and by nothing else.
    pub(crate) fn may_go_on(&self, command: &JobCommand) -> Result<(), JobRejection> {
        let JobCommand::Resume { job } = command else { return Ok(()) };
        let Some(why) = self.waits_for_room(job) else { return Ok(()) };
        let problem = format!("it {why}, and goes on by itself; raise the registry's limits, or end what has the room");
        Err(JobRejection::NotTaken { job: job.clone(), what: "resumption", problem })
    }

    /// What a decision about a job comes to in the registry. Refused where there can never be room for it; nothing has
    /// happened then.
    pub(crate) fn decide_entry(
        &self,
        decision: &Decision,
        cores: u32,
        now: Moment,
    ) -> Result<Option<Entry>, Rejection> {
        let job = &decision.job;
        let submitted = decision.events.iter().find_map(|event| match event {
            JobEvent::JobSubmitted { spec, .. } => Some(&**spec),
            _ => None,
        });
        let reopened = decision.events.iter().any(|event| matches!(event, JobEvent::JobReopened { .. }));
        let resumed = decision.work.iter().any(|intent| matches!(intent, WorkIntent::Resume { .. }));
        let Some(spec) =
            submitted.or_else(|| self.jobs.spec(job)).filter(|_| submitted.is_some() || reopened || resumed)
        else {
            return Ok(None);
        };
        let id = pipeline_of(job);
        let listed = self.registry.pipeline(&id, now.wall).is_some();
        let has_place = self.registry.reservation(&id).is_some();
        let register = (submitted.is_some() || !listed).then(|| registration(job, spec));
        let reserve = (submitted.is_some() || !has_place).then(|| request(job, spec, cores, Some(TERM)));
        // What a forgotten job left behind goes first, so the question is asked for somebody who has nothing yet.
        let stranger = PipelineId::new(format!("{id}, anew")).expect("a job's id leaves room for a word");
        if let Some(register) = register.clone() {
            self.registry.decide(&Command::Register(Register { id: stranger.clone(), ..register }), now)?;
        }
        if let Some(reserve) = reserve.clone() {
            self.registry.decide(&Command::Reserve(Reserve { id: stranger, ..reserve }), now)?;
        }
        Ok(Some(Entry { register, reserve }))
    }

    /// Lists a job and asks for room for it. Where there is none its session is paused when it is settled.
    pub(crate) fn enter(&mut self, job: &JobName, entry: Entry, writing: &mut Writing<'_>) {
        if let Some(register) = entry.register {
            let id = register.id.clone();
            // Left by a job of that name that is forgotten, or taken for it beforehand.
            if self.tell(&Command::Unregister { id: id.clone() }, writing).is_err() {
                let _ = self.tell(&Command::Release { id }, writing);
            }
            let done = self.tell(&Command::Register(register), writing);
            debug_assert!(done.is_ok(), "what was decided a moment ago is not refused: {done:?}");
        }
        if let Some(reserve) = entry.reserve {
            let done = self.tell(&Command::Reserve(reserve), writing);
            debug_assert!(done.is_ok(), "what was decided a moment ago is not refused: {done:?}");
        }
        self.reporting.begin(job, writing.context.moment.monotonic);
    }

    /// Brings a job's session in line with the room it has: held back while it is in the queue, and no longer.
    pub(crate) fn heed_room(&mut self, job: &JobName, writing: &mut Writing<'_>) {
        let Some(place) = self.registry.reservation(&pipeline_of(job)) else { return };
        let session = job.session();
        let runs = self.work.session_state(&session) == Some(SessionState::Running);
        let command = match (place.is_held(), self.is_held_back(&session)) {
            (true, true) => WorkCommand::Resume { session },
            (false, false) if runs => {
                let reason = self.why_it_waits(&place.id).into();
                WorkCommand::Pause { session, immediate: false, reason }
            }
            _ => return,
        };
        let done = self.perform_work(&command, writing);
        debug_assert!(done.is_ok(), "an unfinished job's session may be paused and resumed: {done:?}");
    }

    /// What an operator's pause comes to: a session that is held back is paused already, but not for that reason.
    pub(crate) fn as_pause(&self, session: SessionName, immediate: bool, reason: &str) -> Vec<WorkCommand> {
        let resume = self.is_held_back(&session).then(|| WorkCommand::Resume { session: session.clone() });
        // Only we hold back: the same words of somebody else are only words.
        let ours = reason.starts_with(WAITS);
        let reason = if ours { format!("paused: {reason}").into() } else { reason.into() };
        resume.into_iter().chain([WorkCommand::Pause { session, immediate, reason }]).collect()
    }

    /// Renews the room that a job has, and asks for it again where it has lost it; lists it where it is not listed.
    ///
    /// Who runs goes on meanwhile: what it uses counts in any case.
    pub(crate) fn keep_room(&mut self, job: &JobName, writing: &mut Writing<'_>) {
        let id = pipeline_of(job);
        let Some(spec) = self.jobs.spec(job) else { return };
        let (register, wait) = (registration(job, spec), self.is_held_back(&job.session()).then_some(TERM));
        let reserve = match self.registry.reservation(&id) {
            Some(held) if held.is_held() => Reserve {
                ttl: held.ttl,
                priority: Some(held.priority),
                ..Reserve::new(id.clone(), held.resources.cpu.as_percent(), held.resources.memory_mb as i64)
            },
            Some(_) => return,
            None => request(job, spec, writing.cores, wait),
        };
        if self.registry.pipeline(&id, writing.context.moment.wall).is_none() {
            let listed = self.tell(&Command::Register(register), writing);
            if let Err(why) = listed {
                tracing::warn!(%job, %why, "a job could not be listed as a pipeline; it will be tried again");
            }
        }
        // No room, or never: it is asked for again.
        let _ = self.tell(&Command::Reserve(reserve), writing);
    }

    /// Asks again for those who had no place in the queue, because there could never be room for them.
    pub(crate) fn ask_again(&mut self, writing: &mut Writing<'_>) {
        let unfinished = self.jobs.ends().filter(|(_, end)| end.is_none()).map(|(job, _)| job);
        let lost = |job: &&JobName| {
            self.is_held_back(&job.session()) && self.registry.reservation(&pipeline_of(job)).is_none()
        };
        for job in unfinished.filter(lost).cloned().collect::<Vec<_>>() {
            self.keep_room(&job, writing);
        }
    }

    /// The registry's part of what happened to a job.
    pub(crate) fn heed_job(&mut self, event: &JobEvent, writing: &mut Writing<'_>) {
        match event {
            JobEvent::JobEnded { job, end } => self.leave(job, *end, writing),
            JobEvent::JobForgotten { job } => {
                self.reporting.forget(job);
                // It may have been kept long enough before.
                let _ = self.tell(&Command::Unregister { id: pipeline_of(job) }, writing);
            }
            _ => {}
        }
    }

    /// A job that has ended says so once more, and gives its room back.
    fn leave(&mut self, job: &JobName, end: End, writing: &mut Writing<'_>) {
        self.tell_end(job, end, writing);
        self.reporting.forget(job);
        // It may have had none.
        let _ = self.tell(&Command::Release { id: pipeline_of(job) }, writing);
    }

    /// Decides and applies a command of our own about a pipeline; what follows for jobs is settled with the rest.
    pub(crate) fn tell(&mut self, command: &Command, writing: &mut Writing<'_>) -> Result<Answer, Rejection> {
        let moment = writing.context.moment;
        self.registry.perform(command, moment, &mut |event| writing.registry(event))
    }

    /// Whether every job is held back while it waits for room, and no longer.
    pub(crate) fn check_admission(&self) -> Result<(), String> {
        for (job, _) in self.jobs.ends().filter(|(_, end)| end.is_none()) {
            let Some(place) = self.registry.reservation(&pipeline_of(job)) else { continue };
            let session = job.session();
            if place.is_held() && self.is_held_back(&session) {
                return Err(format!("job {job} has room and is held back"));
            }
            if !place.is_held() && self.work.session_state(&session) == Some(SessionState::Running) {
                return Err(format!("job {job} waits for room and runs"));
            }
        }
        Ok(())
    }
}
