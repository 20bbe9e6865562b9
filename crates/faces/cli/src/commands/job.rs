//! Migrations on a server: submitting, looking, steering.

use super::migrate;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Table;
use capstan_client::v1;
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Start a job from a file in TOML or JSON
    #[command(after_help = "Example:\n  capstan job submit job.toml --job nightly")]
    Submit {
        /// The specification
        file: PathBuf,
        /// The job's name; derived from what is moved where nothing is said
        #[arg(long, value_name = "NAME")]
        job: Option<String>,
    },
    /// List the jobs there are
    #[command(visible_alias = "ls")]
    List,
    /// Show how a job stands, unit by unit
    Status {
        /// The job
        job: String,
    },
    /// Stop handing out its work
    Pause {
        /// The job
        job: String,
        /// What runs stops at once and keeps what it has; otherwise it finishes
        #[arg(long)]
        immediate: bool,
    },
    /// Go on; what failed has a fresh set of attempts
    Resume {
        /// The job
        job: String,
    },
    /// Try again what has failed
    Retry {
        /// The job
        job: String,
    },
    /// End it for good
    Cancel {
        /// The job
        job: String,
        /// What the target has of unfinished units goes too
        #[arg(long)]
        drop_partial: bool,
    },
    /// Show its pools, or change their sizes: dump=4 restore=8, dump=none
    Pools {
        /// The job
        job: String,
        /// New sizes
        #[arg(value_name = "KIND=N", value_parser = crate::input::limit)]
        sizes: Vec<(String, Option<u32>)>,
    },
    /// Print what it has done
    Report {
        /// The job
        job: String,
    },
    /// Forget a job that has ended
    Forget {
        /// The job
        job: String,
    },
}

/// Does it.
pub async fn run(command: JobCommand, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    match command {
        JobCommand::Submit { file, job } => {
            let spec = read_spec(&file)?;
            let job = client.submit_job(&job.unwrap_or_default(), &spec).await?;
            let name = job.name().to_owned();
            context.out.stream(|| json!({ "job": name }), || name.clone())
        }
        JobCommand::List => {
            let jobs = client.all_jobs().await?;
            context.out.show(|| jobs.iter().map(document).collect(), || table(&jobs))
        }
        JobCommand::Status { job } => {
            let job = client.job(job);
            let (seen, units) = (job.look().await?, job.units().await?);
            let all = || {
                let mut all = document(&seen);
                all["units_list"] = units.iter().map(unit_document).collect();
                all
            };
            context.out.show(all, || table(std::slice::from_ref(&seen)))?;
            if context.out.is_json() {
                return Ok(());
            }
            for refused in &seen.refused {
                context.out.text(&format!("refused: {refused}\n"))?;
            }
            if let Some(reason) = &seen.reason {
                context.out.text(&format!("{reason}\n"))?;
            }
            context.out.text("\n")?;
            context.out.show(|| Value::Null, || unit_table(&units))
        }
        JobCommand::Pause { job, immediate } => Ok(client.job(job).pause(immediate, "paused by an operator").await?),
        JobCommand::Resume { job } => Ok(client.job(job).resume().await?),
        JobCommand::Retry { job } => Ok(client.job(job).retry().await?),
        JobCommand::Cancel { job, drop_partial } => {
            Ok(client.job(job).cancel(drop_partial, "cancelled by an operator").await?)
        }
        JobCommand::Pools { job, sizes } => {
            let job = client.job(job);
            for (kind, size) in &sizes {
                job.set_pool(kind, *size).await?;
            }
            let pools = job.look().await?.pools;
            context.out.show(|| pools.iter().map(pool_document).collect(), || pool_table(&pools))
        }
        JobCommand::Report { job } => migrate::report(&client.job(job), context).await,
        JobCommand::Forget { job } => Ok(client.job(job).forget().await?),
    }
}

/// A specification as JSON, whatever it was written in.
fn read_spec(file: &PathBuf) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", file.display())))?;
    if file.extension().is_some_and(|extension| extension == "json") || text.trim_start().starts_with('{') {
        return Ok(text);
    }
    let value: Value = toml::from_str(&text).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?;
    Ok(value.to_string())
}

fn document(job: &v1::Job) -> Value {
    let figures = |figures: Option<v1::Figures>| {
        let figures = figures.unwrap_or_default();
        json!({ "documents": figures.documents, "bytes": figures.bytes })
    };
    let running = |kind: &str| job.pools.iter().find(|pool| pool.kind == kind).map_or(0, |pool| pool.running);
    json!({
        "job": job.name, "state": job.state, "reason": job.reason, "refused": job.refused, "percent": job.percent,
        "units": job.units, "units_planned": job.units_planned, "units_finished": job.units_finished,
        "units_verified": job.units_verified,
        "chunks": job.chunks, "chunks_dumped": job.chunks_dumped, "chunks_restored": job.chunks_restored,
        "dumps": { "running": running("dump"), "done": job.chunks_dumped, "total": job.chunks },
        "restores": { "running": running("restore"), "done": job.chunks_restored, "total": job.chunks },
        "size": figures(job.size), "dumped": figures(job.dumped), "restored": figures(job.restored),
        "dead_letters": job.dead_letters, "failed": job.failed, "blocked": job.blocked,
        "pools": job.pools.iter().map(pool_document).collect::<Value>(),
    })
}

fn unit_document(unit: &v1::Unit) -> Value {
    json!({
        "id": unit.id, "source": unit.source, "target": unit.target, "planned": unit.planned, "finished": unit.finished,
        "verified": unit.verified, "chunks": unit.chunks, "chunks_dumped": unit.chunks_dumped,
        "chunks_restored": unit.chunks_restored, "percent": unit.percent,
    })
}

fn pool_document(pool: &v1::Pool) -> Value {
    json!({ "kind": pool.kind, "size": pool.size, "running": pool.running, "ready": pool.ready })
}

fn table(jobs: &[v1::Job]) -> Table {
    let mut table =
        Table::new(["JOB", "STATE", "DONE", "UNITS", "CHUNKS", "DUMPED", "RESTORED", "FAILED", "DEAD LETTERS"]);
    for job in jobs {
        table.row([
            job.name.clone(),
            job.state.clone(),
            format!("{:.1}%", job.percent),
            job.units.to_string(),
            job.chunks.to_string(),
            job.chunks_dumped.to_string(),
            job.chunks_restored.to_string(),
            job.failed.to_string(),
            job.dead_letters.to_string(),
        ]);
    }
    table
}

fn unit_table(units: &[v1::Unit]) -> Table {
    let mut table = Table::new(["FROM", "TO", "DONE", "CHUNKS", "DUMPED", "RESTORED", "COMPLETE", "VERIFIED"]);
    let mark = |is: bool| if is { "yes" } else { "" }.to_owned();
    for unit in units {
        table.row([
            unit.source.clone(),
            unit.target.clone(),
            format!("{:.1}%", unit.percent),
            unit.chunks.to_string(),
            unit.chunks_dumped.to_string(),
            unit.chunks_restored.to_string(),
            mark(unit.finished),
            mark(unit.verified),
        ]);
    }
    table
}

fn pool_table(pools: &[v1::Pool]) -> Table {
    let mut table = Table::new(["POOL", "SIZE", "RUNNING", "READY"]);
    for pool in pools {
        let size = pool.size.map_or_else(|| "none".into(), |size| size.to_string());
        table.row([pool.kind.clone(), size, pool.running.to_string(), pool.ready.to_string()]);
    }
    table
}
