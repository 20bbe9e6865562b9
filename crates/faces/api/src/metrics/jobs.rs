//! What is counted of jobs: pools in use and idle, how far each collection is, what went wrong.
//!
//! Labels are bounded: of the jobs that have not ended so many, and of their collections so many; the rest is summed. A
//! job is `job_name`: `job` is Prometheus' own word for what it scrapes.

use super::{describe, line};
use capstan_coordinator::{JobStatus, PoolStatus, State};
use capstan_ids::WallTime;
use capstan_migration::{JobView, UnitView};
use capstan_work::SessionState;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Jobs with figures of their own: the first by name that have not ended.
pub const JOBS_MAX: usize = 50;
/// Collections with figures of their own, over all jobs; what is beyond counts as `(others)` of its job.
pub const COLLECTIONS_MAX: usize = 1_000;
const OTHERS: &str = "(others)";

/// One job as it is counted.
#[derive(Debug)]
pub struct JobFigures {
    view: JobView,
    status: JobStatus,
    units: Vec<UnitView>,
    /// Its session takes work, and it does not wait for room.
    active: bool,
}

/// What it takes a look at the state to know.
pub fn look(state: &State, now: WallTime) -> Vec<JobFigures> {
    let unfinished = state.jobs.jobs().filter(|job| job.ended.is_none()).take(JOBS_MAX);
    let mut room = COLLECTIONS_MAX;
    unfinished
        .filter_map(|view| {
            let units: Vec<_> = state.jobs.units(&view.name)?.take(room).collect();
            room -= units.len();
            let status = state.job_status(&view.name, now)?;
            let session = state.work.session(&view.name.session());
            let running = session.is_some_and(|session| session.state == SessionState::Running);
            Some(JobFigures { active: running && status.waits_for_room.is_none(), status, units, view })
        })
        .collect()
}

/// A pool, by its job and its kind.
type PoolKey = (String, String);

/// Places of pools that nobody works in, added up from one scrape to the next.
#[derive(Debug, Default)]
pub struct IdleTimes(Mutex<HashMap<PoolKey, (Instant, f64)>>);

impl IdleTimes {
    /// Adds what passed since the last scrape with as many free places as there are now; forgets jobs that have ended.
    fn seconds(&self, jobs: &[JobFigures], now: Instant) -> HashMap<PoolKey, f64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = HashMap::new();
        for (job, pool) in pools(jobs) {
            let key = (job.view.name.to_string(), pool.kind.to_string());
            let (since, before) = known.get(&key).copied().unwrap_or((now, 0.0));
            let free = pool.size.map_or(0, |size| size.saturating_sub(pool.running));
            let passed = now.saturating_duration_since(since).as_secs_f64();
            next.insert(key, (now, before + passed * f64::from(free)));
        }
        *known = next;
        known.iter().map(|(key, (_, seconds))| (key.clone(), *seconds)).collect()
    }
}

fn pools(jobs: &[JobFigures]) -> impl Iterator<Item = (&JobFigures, &PoolStatus)> {
    jobs.iter().flat_map(|job| job.status.pools.iter().map(move |pool| (job, pool)))
}

/// The figures of jobs in Prometheus' text form.
pub fn write(text: &mut String, jobs: &[JobFigures], idle: &IdleTimes, now: Instant) {
    write_pools(text, jobs, idle, now);
    write_troubles(text, jobs);
    write_collections(text, jobs);
}

fn write_pools(text: &mut String, jobs: &[JobFigures], idle: &IdleTimes, now: Instant) {
    let idle = idle.seconds(jobs, now);
    let idle_of = |job: &JobFigures, pool: &PoolStatus| {
        idle.get(&(job.view.name.to_string(), pool.kind.to_string())).copied().unwrap_or_default()
    };
    let mut tell = |name: &str, sort, help, value: &dyn Fn(&JobFigures, &PoolStatus) -> Option<f64>| {
        describe(text, name, sort, help);
        for (job, pool) in pools(jobs) {
            if let Some(value) = value(job, pool) {
                let job = &job.view.name;
                line(text, format_args!("{name}{{job_name=\"{job}\",kind=\"{}\"}} {value}", pool.kind));
            }
        }
    };
    tell("capstan_job_pool_size", "gauge", "Items of a kind that may be worked on at a time.", &|_, pool| {
        pool.size.map(f64::from)
    });
    tell("capstan_job_pool_running", "gauge", "Items of a kind that are worked on.", &|_, pool| {
        Some(f64::from(pool.running))
    });
    tell("capstan_job_pool_ready", "gauge", "Items of a kind that wait for a worker or a place.", &|_, pool| {
        Some(pool.ready as f64)
    });
    tell("capstan_job_pool_utilisation", "gauge", "How much of a pool is in use, 0 to 1.", &|_, pool| {
        pool.utilisation()
    });
    tell(
        "capstan_job_pool_idle_seconds_total",
        "counter",
        "Seconds that places of a pool were free, added up at each scrape.",
        &|job, pool| Some(idle_of(job, pool)),
    );
}

fn write_troubles(text: &mut String, jobs: &[JobFigures]) {
    let mut tell = |name: &str, sort, help, value: &dyn Fn(&JobFigures) -> u64| {
        describe(text, name, sort, help);
        for job in jobs {
            line(text, format_args!("{name}{{job_name=\"{}\"}} {}", job.view.name, value(job)));
        }
    };
    tell("capstan_job_active", "gauge", "1 where a job may work: neither paused nor waiting for room.", &|job| {
        u64::from(job.active)
    });
    tell("capstan_job_stuck_leases", "gauge", "Leases whose holders get no further.", &|job| job.status.stuck);
    tell("capstan_job_failed_items", "gauge", "Items that are out of attempts.", &|job| {
        job.status.stages.iter().map(|stage| stage.failed).sum()
    });
    tell("capstan_job_dead_letters_total", "counter", "Documents that the target refused for good.", &|job| {
        job.view.dead_letters
    });
}

fn write_collections(text: &mut String, jobs: &[JobFigures]) {
    let mut tell = |name: &str, help, of_unit: fn(&UnitView) -> u64, of_job: fn(&JobView) -> u64| {
        describe(text, name, "counter", help);
        for job in jobs {
            let mut row = |collection: &str, value: u64| {
                let (job, collection) = (&job.view.name, escaped(collection));
                line(text, format_args!("{name}{{job_name=\"{job}\",collection=\"{collection}\"}} {value}"));
            };
            job.units.iter().for_each(|unit| row(&unit.source.to_string(), of_unit(unit)));
            if (job.units.len() as u64) < job.view.units {
                let shown: u64 = job.units.iter().map(of_unit).sum();
                row(OTHERS, of_job(&job.view).saturating_sub(shown));
            }
        }
    };
    tell(
        "capstan_job_collection_documents_read_total",
        "Documents of a collection that were read.",
        |unit| unit.dumped.documents,
        |job| job.dumped.documents,
    );
    tell(
        "capstan_job_collection_bytes_read_total",
        "Bytes of BSON of a collection that were read.",
        |unit| unit.dumped.bytes,
        |job| job.dumped.bytes,
    );
    tell(
        "capstan_job_collection_documents_written_total",
        "Documents of a collection that have arrived.",
        |unit| unit.restored.documents,
        |job| job.restored.documents,
    );
    tell(
        "capstan_job_collection_bytes_written_total",
        "Bytes of BSON of a collection that have arrived.",
        |unit| unit.restored.bytes,
        |job| job.restored.bytes,
    );
}

/// As the text form wants values of labels.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_never_ends_early() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
