//! One look at a server, and what came between two.

use super::frame::{Frame, JobFrame, UnitFrame};
use crate::failure::Failure;
use capstan_api::report::State;
use capstan_client::{Client, v1};
use std::collections::HashMap;
use std::time::Instant;

/// Sessions that are listed.
const SESSIONS: u32 = 100;
/// Jobs that are drawn.
const JOBS: usize = 6;
/// Units of a job whose chunks are drawn.
const UNITS: usize = 6;
/// Chunks asked for at a time, and the most of one unit.
const SLICE: u32 = 1_000;
const CHUNKS: usize = 5_000;

/// Looks again and again.
pub struct Looker {
    client: Client,
    /// When each job was last looked at, and how much had arrived.
    before: HashMap<String, (Instant, v1::Figures)>,
}

impl Looker {
    pub fn new(client: Client) -> Self {
        Self { client, before: HashMap::new() }
    }

    pub async fn look(&mut self) -> Result<Frame, Failure> {
        let info = self.client.info().await?;
        let mut frame = Frame { info, ..Frame::default() };
        if frame.info.role != "leader" {
            return Ok(frame);
        }
        frame.workers = self.client.workers().await?;
        let sessions = self.client.sessions(SESSIONS, "").await?;
        frame.more_sessions = !sessions.next_cursor.is_empty();
        // Sessions of jobs are drawn as jobs.
        let statuses = sessions.entries.into_iter().filter_map(|session| session.status);
        frame.sessions = statuses.filter(|status| !status.session.starts_with("job-")).collect();
        let jobs = self.client.all_jobs().await?;
        let is_going_on = |job: &v1::Job| job.ended_at.is_none();
        frame.jobs_ended = jobs.iter().filter(|job| !is_going_on(job)).count();
        let going_on: Vec<v1::Job> = jobs.into_iter().filter(is_going_on).collect();
        frame.jobs_more = going_on.len().saturating_sub(JOBS);
        self.before.retain(|name, _| going_on.iter().any(|job| job.name == *name));
        for job in going_on.into_iter().take(JOBS) {
            frame.jobs.push(self.job(job).await?);
        }
        Ok(frame)
    }

    async fn job(&mut self, job: v1::Job) -> Result<JobFrame, Failure> {
        let (now, restored) = (Instant::now(), moved(&job));
        let before = self.before.insert(job.name.clone(), (now, restored));
        let rate = before.map(|(at, then)| {
            let seconds = (now - at).as_secs_f64().max(0.001);
            let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
            (per_second(restored.documents, then.documents), per_second(restored.bytes, then.bytes))
        });
        let asked = self.client.job(job.name.clone());
        let units = asked.units().await?;
        let running: Vec<&v1::Unit> = units.iter().filter(|unit| unit.chunks > 0 && !unit.finished).collect();
        let mut drawn = Vec::new();
        for unit in running.iter().take(UNITS) {
            let (mut states, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = asked.chunks(&unit.id, SLICE, &cursor).await?;
                states.extend(page.entries.iter().map(|chunk| State::named(&chunk.state)));
                cursor = page.next_cursor;
                if cursor.is_empty() || states.len() >= CHUNKS {
                    break;
                }
            }
            drawn.push(UnitFrame { source: unit.source.clone(), percent: unit.percent, states });
        }
        Ok(JobFrame { units_more: running.len().saturating_sub(UNITS), job, rate, units: drawn })
    }
}

/// What a job has moved: to the target, or into the spool where that is where it ends.
fn moved(job: &v1::Job) -> v1::Figures {
    if job.mode == "dump-only" { job.dumped } else { job.restored }.unwrap_or_default()
}
