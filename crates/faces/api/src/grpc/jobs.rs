//! The `Jobs` service: migrations.

use super::convert::{Malformed, timestamp};
use super::status::status;
use crate::problem::Problem;
use capstan_coordinator::{Clock, Handle, State, SystemClock};
use capstan_ids::{ItemId, Kind, SessionName};
use capstan_migration::{Figures, JobCommand, JobName, JobView, Rejection, Spec, SpecFault, UnitView};
use capstan_proto::v1::{self, jobs_server::Jobs};
use capstan_work::{ItemState, SessionState, SessionView};
use tonic::{Request, Response, Status};

pub struct JobCalls {
    pub handle: Handle,
}

type Answer<T> = Result<Response<T>, Status>;

/// A job that is not there when it is looked at.
fn unknown(job: &JobName) -> Status {
    status(Problem::from(Rejection::JobUnknown(job.clone())))
}

fn name(text: &str) -> Result<JobName, Status> {
    JobName::new(text).map_err(|error| status(Malformed::new("job", error, format_args!("{text:?}"))))
}

impl JobCalls {
    async fn command(&self, command: JobCommand) -> Result<JobName, Status> {
        self.handle.command_job(command).await.map_err(status)
    }

    async fn read<T: Send + 'static>(&self, look: impl FnOnce(&State) -> T + Send + 'static) -> Result<T, Status> {
        self.handle.read(look).await.map_err(status)
    }
}

#[tonic::async_trait]
impl Jobs for JobCalls {
    async fn submit(&self, request: Request<v1::SubmitJobRequest>) -> Answer<v1::SubmitJobResponse> {
        let v1::SubmitJobRequest { name: wished, spec } = request.into_inner();
        let wished = if wished.is_empty() { None } else { Some(name(&wished)?) };
        let spec: Spec = serde_json::from_str(&spec).map_err(|error| {
            let fault = SpecFault { field: "spec".into(), problem: format!("is not what a job is made of: {error}") };
            status(Problem::from(Rejection::SpecInvalid(vec![fault])))
        })?;
        let job = self.command(JobCommand::Submit { name: wished, spec: Box::new(spec) }).await?;
        Ok(Response::new(v1::SubmitJobResponse { job: job.to_string() }))
    }

    async fn get(&self, request: Request<v1::GetJobRequest>) -> Answer<v1::GetJobResponse> {
        let wanted = name(&request.into_inner().job)?;
        let seen = wanted.clone();
        let job = self.read(move |state| look(state, &seen)).await?.ok_or_else(|| unknown(&wanted))?;
        Ok(Response::new(v1::GetJobResponse { job: Some(job) }))
    }

    async fn list(&self, _: Request<v1::ListJobsRequest>) -> Answer<v1::ListJobsResponse> {
        let jobs = self
            .read(|state| {
                let names: Vec<JobName> = state.jobs.jobs().map(|job| job.name).collect();
                names.iter().filter_map(|name| look(state, name)).collect()
            })
            .await?;
        Ok(Response::new(v1::ListJobsResponse { jobs }))
    }

    async fn units(&self, request: Request<v1::UnitsRequest>) -> Answer<v1::UnitsResponse> {
        let wanted = name(&request.into_inner().job)?;
        let seen = wanted.clone();
        let units = self.read(move |state| state.jobs.units(&seen).map(|units| units.map(unit).collect())).await?;
        Ok(Response::new(v1::UnitsResponse { units: units.ok_or_else(|| unknown(&wanted))? }))
    }

    async fn report(&self, request: Request<v1::ReportRequest>) -> Answer<v1::ReportResponse> {
        let wanted = name(&request.into_inner().job)?;
        let (seen, now) = (wanted.clone(), SystemClock.now().wall);
        let report = self
            .read(move |state| {
                let paused = matches!(
                    state.work.session_state(&seen.session()),
                    Some(SessionState::Pausing | SessionState::Paused)
                );
                state.jobs.report(&seen, now, paused)
            })
            .await?
            .ok_or_else(|| unknown(&wanted))?;
        let report = serde_json::to_string(&report).map_err(|_| status(Problem::internal()))?;
        Ok(Response::new(v1::ReportResponse { report }))
    }

    async fn pause(&self, request: Request<v1::PauseJobRequest>) -> Answer<v1::PauseJobResponse> {
        let v1::PauseJobRequest { job, immediate, reason } = request.into_inner();
        self.command(JobCommand::Pause { job: name(&job)?, immediate, reason: reason.into() }).await?;
        Ok(Response::new(v1::PauseJobResponse {}))
    }

    async fn resume(&self, request: Request<v1::ResumeJobRequest>) -> Answer<v1::ResumeJobResponse> {
        self.command(JobCommand::Resume { job: name(&request.into_inner().job)? }).await?;
        Ok(Response::new(v1::ResumeJobResponse {}))
    }

    async fn retry(&self, request: Request<v1::RetryJobRequest>) -> Answer<v1::RetryJobResponse> {
        self.command(JobCommand::Retry { job: name(&request.into_inner().job)? }).await?;
        Ok(Response::new(v1::RetryJobResponse {}))
    }

    async fn cancel(&self, request: Request<v1::CancelJobRequest>) -> Answer<v1::CancelJobResponse> {
        let v1::CancelJobRequest { job, drop_partial, reason } = request.into_inner();
        self.command(JobCommand::Cancel { job: name(&job)?, drop_partial, reason: reason.into() }).await?;
        Ok(Response::new(v1::CancelJobResponse {}))
    }

    async fn set_pool(&self, request: Request<v1::SetPoolRequest>) -> Answer<v1::SetPoolResponse> {
        let v1::SetPoolRequest { job, kind, size } = request.into_inner();
        let kind = Kind::new(&kind).map_err(|error| status(Problem::from(error)))?;
        self.command(JobCommand::SetPool { job: name(&job)?, kind, size }).await?;
        Ok(Response::new(v1::SetPoolResponse {}))
    }

    async fn forget(&self, request: Request<v1::ForgetJobRequest>) -> Answer<v1::ForgetJobResponse> {
        self.command(JobCommand::Forget { job: name(&request.into_inner().job)? }).await?;
        Ok(Response::new(v1::ForgetJobResponse {}))
    }

    async fn brief(&self, request: Request<v1::BriefRequest>) -> Answer<v1::BriefResponse> {
        let v1::BriefRequest { session, item_id, from } = request.into_inner();
        let session = SessionName::new(&session).map_err(|error| status(Problem::from(error)))?;
        let item = ItemId::new(&item_id).map_err(|error| status(Problem::from(error)))?;
        let brief = self.read(move |state| state.jobs.brief(&session, &item, from)).await?;
        let brief = brief.map_err(|rejection| status(Problem::from(rejection)))?;
        Ok(Response::new(v1::BriefResponse { text: brief.text.into(), next: brief.next }))
    }
}

/// A job with what its session says of it.
fn look(state: &State, name: &JobName) -> Option<v1::Job> {
    Some(job(state.jobs.job(name)?, state.work.session(&name.session()).as_ref()))
}

fn job(view: JobView, session: Option<&SessionView>) -> v1::Job {
    let count = |item_state| session.map_or(0, |session| session.counts.of(item_state));
    v1::Job {
        name: view.name.to_string(),
        spec: serde_json::to_string(&view.spec).unwrap_or_default(),
        state: state_name(&view, session).to_owned(),
        reason: view
            .cancelled
            .as_deref()
            .map(str::to_owned)
            .or_else(|| session.and_then(|session| session.reason.clone())),
        submitted_at: Some(timestamp(view.submitted)),
        ended_at: view.ended.map(|(_, at)| timestamp(at)),
        refused: view.refused.iter().map(|refused| format!("{} {}", refused.what, refused.reason)).collect(),
        units: view.units,
        units_planned: view.units_planned,
        units_finished: view.units_finished,
        units_verified: view.units_verified,
        chunks: view.chunks,
        chunks_dumped: view.chunks_dumped,
        chunks_restored: view.chunks_restored,
        size: Some(figures(view.size)),
        dumped: Some(figures(view.dumped)),
        restored: Some(figures(view.restored)),
        dead_letters: view.dead_letters,
        percent: view.percent,
        pools: session.map(pools).unwrap_or_default(),
        failed: count(ItemState::Failed),
        blocked: count(ItemState::Blocked),
    }
}

fn state_name(view: &JobView, session: Option<&SessionView>) -> &'static str {
    match (view.ended, session.map(|session| session.state)) {
        (Some((end, _)), _) => end.name(),
        (None, Some(SessionState::Pausing)) => "pausing",
        (None, Some(SessionState::Paused)) => "paused",
        (None, _) => "running",
    }
}

/// The limits that are named after kinds of a job's work.
fn pools(session: &SessionView) -> Vec<v1::Pool> {
    const KINDS: [&str; 5] = ["plan", "dump", "restore", "index", "verify"];
    let known = session.limits.iter().filter(|limit| KINDS.contains(&limit.name.as_str()));
    let pool = |limit: &capstan_work::LimitView| v1::Pool {
        kind: limit.name.to_string(),
        size: limit.most.map(capstan_work::LimitValue::get),
        running: limit.live,
        ready: limit.ready,
    };
    known.map(pool).collect()
}

fn unit(view: UnitView) -> v1::Unit {
    v1::Unit {
        id: view.id.to_string(),
        source: view.source.to_string(),
        target: view.target.to_string(),
        view: view.view,
        planned: view.planned,
        finished: view.finished,
        verified: view.verdict.is_some(),
        chunks: view.chunks,
        chunks_dumped: view.chunks_dumped,
        chunks_restored: view.chunks_restored,
        size: Some(figures(view.size)),
        dumped: Some(figures(view.dumped)),
        restored: Some(figures(view.restored)),
        percent: view.percent,
    }
}

fn figures(figures: Figures) -> v1::Figures {
    v1::Figures { documents: figures.documents, bytes: figures.bytes }
}
