//! The `Jobs` service: migrations.

use super::convert::{self, Malformed};
use super::page;
use super::status::status;
use crate::look::{ChunkLook, JobLook, find_unit};
use crate::problem::Problem;
use capstan_coordinator::{Clock, Handle, State, SystemClock};
use capstan_ids::{ItemId, Kind, SessionName};
use capstan_migration::{JobCommand, JobName, Rates, Rejection, Spec, SpecFault, UnitView};
use capstan_proto::v1::{self, jobs_server::Jobs};
use capstan_work::SessionState;
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
        let job = self.read(move |state| JobLook::of(state, &seen)).await?.ok_or_else(|| unknown(&wanted))?;
        Ok(Response::new(v1::GetJobResponse { job: Some(convert::job(&job)) }))
    }

    async fn list(&self, _: Request<v1::ListJobsRequest>) -> Answer<v1::ListJobsResponse> {
        let looks: Vec<JobLook> = self
            .read(|state| {
                let names: Vec<JobName> = state.jobs.jobs().map(|job| job.name).collect();
                names.iter().filter_map(|name| JobLook::of(state, name)).collect()
            })
            .await?;
        Ok(Response::new(v1::ListJobsResponse { jobs: looks.iter().map(convert::job).collect() }))
    }

    async fn units(&self, request: Request<v1::UnitsRequest>) -> Answer<v1::UnitsResponse> {
        let wanted = name(&request.into_inner().job)?;
        let seen = wanted.clone();
        let look = move |state: &State| -> Option<Vec<v1::Unit>> {
            let failed = state.failed_chunks(&seen);
            let count = |unit: &UnitView| failed.get(&unit.id).copied().unwrap_or_default();
            Some(
                state
                    .jobs
                    .units(&seen)?
                    .map(|unit| (count(&unit), unit))
                    .map(|(n, unit)| convert::unit(unit, n))
                    .collect(),
            )
        };
        let units = self.read(look).await?;
        Ok(Response::new(v1::UnitsResponse { units: units.ok_or_else(|| unknown(&wanted))? }))
    }

    async fn chunks(&self, request: Request<v1::ChunksRequest>) -> Answer<v1::ChunksResponse> {
        let v1::ChunksRequest { job, unit, page_size, cursor } = request.into_inner();
        let (wanted, size) = (name(&job)?, page::size(page_size).map_err(status)?);
        let from: usize = match cursor.as_str() {
            "" => 0,
            text => text.parse().map_err(|_| status(page::bad_cursor(text)))?,
        };
        let (seen, text) = (wanted.clone(), unit.clone());
        let look = move |state: &State| -> Option<Option<Vec<ChunkLook>>> {
            let Some(unit) = find_unit(state, &seen, &text)? else { return Some(None) };
            Some(ChunkLook::page(state, &seen, unit, from).map(|chunks| chunks.take(size + 1).collect()))
        };
        let chunks = self.read(look).await?.ok_or_else(|| unknown(&wanted))?;
        let mut chunks = chunks.ok_or_else(|| status(Problem::no_unit(&wanted, &unit)))?;
        let more = chunks.len() > size;
        chunks.truncate(size);
        let next_cursor = if more { (from + size).to_string() } else { String::new() };
        Ok(Response::new(v1::ChunksResponse { chunks: chunks.iter().map(convert::chunk).collect(), next_cursor }))
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

    async fn add_units(&self, request: Request<v1::AddUnitsRequest>) -> Answer<v1::AddUnitsResponse> {
        let v1::AddUnitsRequest { job, collections } = request.into_inner();
        self.command(JobCommand::AddUnits { job: name(&job)?, collections }).await?;
        Ok(Response::new(v1::AddUnitsResponse {}))
    }

    async fn set_rates(&self, request: Request<v1::SetRatesRequest>) -> Answer<v1::SetRatesResponse> {
        let v1::SetRatesRequest { job, rates } = request.into_inner();
        let rates =
            rates.ok_or_else(|| status(Malformed::missing("rates", "all rates; an absent one is not limited")))?;
        let v1::Rates { documents, bytes, operations } = rates;
        let rates = Rates { documents, bytes, operations };
        self.command(JobCommand::SetRates { job: name(&job)?, rates }).await?;
        Ok(Response::new(v1::SetRatesResponse {}))
    }

    async fn set_unit_priority(
        &self,
        request: Request<v1::SetUnitPriorityRequest>,
    ) -> Answer<v1::SetUnitPriorityResponse> {
        let v1::SetUnitPriorityRequest { job, priority } = request.into_inner();
        let ranked = priority.ok_or_else(|| status(Malformed::missing("priority", "a collection and its priority")))?;
        let wrong = || status(Malformed::new("priority.priority", "-100 to 100", ranked.priority));
        let priority = i16::try_from(ranked.priority).map_err(|_| wrong())?;
        let collection = ranked.collection;
        self.command(JobCommand::SetPriority { job: name(&job)?, collection, priority }).await?;
        Ok(Response::new(v1::SetUnitPriorityResponse {}))
    }

    async fn forget(&self, request: Request<v1::ForgetJobRequest>) -> Answer<v1::ForgetJobResponse> {
        self.command(JobCommand::Forget { job: name(&request.into_inner().job)? }).await?;
        Ok(Response::new(v1::ForgetJobResponse {}))
    }

    async fn brief(&self, request: Request<v1::BriefRequest>) -> Answer<v1::BriefResponse> {
        let v1::BriefRequest { session, item_id, from } = request.into_inner();
        let session = SessionName::new(&session).map_err(|error| status(Problem::from(error)))?;
        let item = ItemId::new(&item_id).map_err(|error| status(Problem::from(error)))?;
        let brief = self.read(move |state| state.brief(&session, &item, from)).await?;
        let brief = brief.map_err(|rejection| status(Problem::from(rejection)))?;
        Ok(Response::new(v1::BriefResponse { text: brief.text.into(), next: brief.next }))
    }
}
