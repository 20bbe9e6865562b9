//! Migrations: starting one, looking at it, steering it.

use crate::client::Client;
use crate::error::Error;
use crate::retry::{Repeat, Retry};
use crate::session::Page;
use capstan_proto::v1::jobs_client::JobsClient;
use capstan_proto::v1::{self, Chunk, Unit};
use tonic::transport::Channel;
use tonic::{Response, Status};

/// A job of a server, by its name.
#[derive(Clone, Debug)]
pub struct Job {
    client: Client,
    name: String,
}

impl Client {
    /// Starts a job, or finds the unfinished one of that name and specification; an empty name derives one.
    ///
    /// `spec` is the specification as JSON. Repeating finds the job that the first call started.
    pub async fn submit_job(&self, name: &str, spec: &str) -> Result<Job, Error> {
        let request = v1::SubmitJobRequest { name: name.to_owned(), spec: spec.to_owned() };
        let call = |mut jobs: JobsClient<Channel>| {
            let request = request.clone();
            async move { jobs.submit(request).await }
        };
        Ok(self.job(self.call_jobs(Repeat::Safe, call).await?.job))
    }

    /// A job by its name, without asking whether there is one.
    pub fn job(&self, name: impl Into<String>) -> Job {
        Job { client: self.clone(), name: name.into() }
    }

    /// Every job, ended ones among them, in the order of their names.
    pub async fn all_jobs(&self) -> Result<Vec<v1::Job>, Error> {
        let call = |mut jobs: JobsClient<Channel>| async move { jobs.list(v1::ListJobsRequest {}).await };
        Ok(self.call_jobs(Repeat::Safe, call).await?.jobs)
    }

    async fn call_jobs<T, F>(&self, repeat: Repeat, call: impl Fn(JobsClient<Channel>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut retry = Retry::for_up_to(self.retry_for(), repeat);
        loop {
            match call(self.jobs()).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) => retry.pause(status.into()).await?,
            }
        }
    }
}

impl Job {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The job as it stands.
    pub async fn look(&self) -> Result<v1::Job, Error> {
        let call = |mut jobs: JobsClient<Channel>| {
            let request = v1::GetJobRequest { job: self.name.clone() };
            async move { jobs.get(request).await }
        };
        self.client.call_jobs(Repeat::Safe, call).await?.job.ok_or_else(|| Error::unexpected("a job"))
    }

    /// What it moves, unit by unit.
    pub async fn units(&self) -> Result<Vec<Unit>, Error> {
        let call = |mut jobs: JobsClient<Channel>| {
            let request = v1::UnitsRequest { job: self.name.clone() };
            async move { jobs.units(request).await }
        };
        Ok(self.client.call_jobs(Repeat::Safe, call).await?.units)
    }

    /// A page of a unit's chunks after a cursor; the unit is named by its id, or by its `db.coll` at the source, and the
    /// empty cursor is the beginning.
    pub async fn chunks(&self, unit: &str, page_size: u32, cursor: &str) -> Result<Page<Chunk>, Error> {
        let request =
            v1::ChunksRequest { job: self.name.clone(), unit: unit.to_owned(), page_size, cursor: cursor.to_owned() };
        let call = |mut jobs: JobsClient<Channel>| {
            let request = request.clone();
            async move { jobs.chunks(request).await }
        };
        let answer = self.client.call_jobs(Repeat::Safe, call).await?;
        Ok(Page { entries: answer.chunks, next_cursor: answer.next_cursor })
    }

    /// What it has done, as JSON.
    pub async fn report(&self) -> Result<String, Error> {
        let call = |mut jobs: JobsClient<Channel>| {
            let request = v1::ReportRequest { job: self.name.clone() };
            async move { jobs.report(request).await }
        };
        Ok(self.client.call_jobs(Repeat::Safe, call).await?.report)
    }

    /// Nothing new starts; immediately: what runs stops at once and keeps what it has.
    pub async fn pause(&self, immediate: bool, reason: &str) -> Result<(), Error> {
        let call = |mut jobs: JobsClient<Channel>| {
            let request = v1::PauseJobRequest { job: self.name.clone(), immediate, reason: reason.to_owned() };
            async move { jobs.pause(request).await }
        };
        self.client.call_jobs(Repeat::Safe, call).await.map(drop)
    }

    /// Goes on; what failed has a fresh set of attempts.
    pub async fn resume(&self) -> Result<(), Error> {
        let call = |mut jobs: JobsClient<Channel>| {
            let request = v1::ResumeJobRequest { job: self.name.clone() };
            async move { jobs.resume(request).await }
        };
        self.client.call_jobs(Repeat::Safe, call).await.map(drop)
    }

    /// Tries again what has failed.
    pub async fn retry(&self) -> Result<(), Error> {
        let call = |mut jobs: JobsClient<Channel>| {
            let request = v1::RetryJobRequest { job: self.name.clone() };
            async move { jobs.retry(request).await }
        };
        self.client.call_jobs(Repeat::Safe, call).await.map(drop)
    }

    /// Ends it for good; with `drop_partial` what the target has of unfinished units goes too.
    pub async fn cancel(&self, drop_partial: bool, reason: &str) -> Result<(), Error> {
        let call = |mut jobs: JobsClient<Channel>| {
            let request = v1::CancelJobRequest { job: self.name.clone(), drop_partial, reason: reason.to_owned() };
            async move { jobs.cancel(request).await }
        };
        self.client.call_jobs(Repeat::OnlyIfNothingHappened, call).await.map(drop)
    }

    /// Makes a pool larger or smaller, now and live; none lifts its limit.
    pub async fn set_pool(&self, kind: &str, size: Option<u32>) -> Result<(), Error> {
        let call = |mut jobs: JobsClient<Channel>| {
            let request = v1::SetPoolRequest { job: self.name.clone(), kind: kind.to_owned(), size };
            async move { jobs.set_pool(request).await }
        };
        self.client.call_jobs(Repeat::Safe, call).await.map(drop)
    }

    /// Adds collections, as `db.coll` with wildcards; those that it knows already are left as they are.
    pub async fn add_units(&self, collections: &[String]) -> Result<(), Error> {
        let request = v1::AddUnitsRequest { job: self.name.clone(), collections: collections.to_vec() };
        let call = |mut jobs: JobsClient<Channel>| {
            let request = request.clone();
            async move { jobs.add_units(request).await }
        };
        // A repeat would only look once more for what is there already.
        self.client.call_jobs(Repeat::Safe, call).await.map(drop)
    }

    /// Makes it faster or slower, now and live; what is absent is not limited any more.
    pub async fn set_rates(&self, rates: v1::Rates) -> Result<(), Error> {
        let call = |mut jobs: JobsClient<Channel>| {
            let request = v1::SetRatesRequest { job: self.name.clone(), rates: Some(rates) };
            async move { jobs.set_rates(request).await }
        };
        self.client.call_jobs(Repeat::Safe, call).await.map(drop)
    }

    /// Moves its collections that match a pattern forward or back, now and live; higher goes first.
    pub async fn set_priority(&self, collection: &str, priority: i16) -> Result<(), Error> {
        let priority = v1::UnitPriority { collection: collection.to_owned(), priority: priority.into() };
        let request = v1::SetUnitPriorityRequest { job: self.name.clone(), priority: Some(priority) };
        let call = |mut jobs: JobsClient<Channel>| {
            let request = request.clone();
            async move { jobs.set_unit_priority(request).await }
        };
        self.client.call_jobs(Repeat::Safe, call).await.map(drop)
    }

    /// Forgets it, once it has ended.
    pub async fn forget(&self) -> Result<(), Error> {
        let call = |mut jobs: JobsClient<Channel>| {
            let request = v1::ForgetJobRequest { job: self.name.clone() };
            async move { jobs.forget(request).await }
        };
        self.client.call_jobs(Repeat::OnlyIfNothingHappened, call).await.map(drop)
    }
}
