//! Migrations on a server: submitting, looking, steering.

mod chunks;
mod show;

pub use show::{NO_WORKER, document};

use crate::context::Context;
use crate::failure::Failure;
use crate::home::state_folder;
use crate::migration::{self, spec};
use crate::output::Output;
use crate::secrets;
use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A specification with every field, its meaning and its default.
const INIT: &str = include_str!("init.toml");

/// What a report is printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Table,
    /// For programs
    Json,
    /// A page that needs nothing beside it
    Html,
}

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
        /// Where a server of this machine keeps its work, and passwords of addresses beside it; the user's state folder
        /// where nothing is said
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Write a specification with every field, its meaning and its default
    #[command(after_help = "Example:\n  capstan job init >job.toml")]
    Init,
    /// Add collections to a job that is going on; db.coll with * for any characters
    #[command(after_help = "Example:\n  capstan job add nightly shop.customers 'log.*'")]
    Add {
        /// The job
        job: String,
        /// The collections; those that the job knows already are left as they are
        #[arg(value_name = "DB.COLL", required = true)]
        collections: Vec<String>,
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
    /// Show how fast it may go, or change that: documents=5000 bytes=10MiB operations=8, bytes=none
    #[command(after_help = "Example:\n  capstan job rates nightly documents=5000 bytes=none\nWhat is not named stays.")]
    Rates {
        /// The job
        job: String,
        /// New rates, a second but for operations, which are chunks at a time
        #[arg(value_name = "RATE=N", value_parser = crate::input::rate)]
        rates: Vec<(crate::input::Rate, Option<u64>)>,
    },
    /// Show which collections go first, or move some: shop.orders=10; -100 to 100, higher goes first
    #[command(after_help = "Example:\n  capstan job priority nightly shop.orders=10 'log.*=-5'")]
    Priority {
        /// The job
        job: String,
        /// New priorities
        #[arg(value_name = "DB.COLL=N", value_parser = crate::input::priority)]
        priorities: Vec<(String, i16)>,
    },
    /// Draw a map of its chunks by state
    #[command(
        after_help = "Examples:\n  capstan job chunks nightly\n  capstan job chunks nightly shop.orders --output json"
    )]
    Chunks {
        /// The job
        job: String,
        /// One collection of it, as db.coll at the source; none means all
        unit: Option<String>,
    },
    /// Print what it has done; exits with 1 where it did not end well
    Report {
        /// The job
        job: String,
        /// What it is printed as; `--output` holds where nothing is said
        #[arg(long, value_enum)]
        format: Option<ReportFormat>,
    },
    /// Forget a job that has ended
    Forget {
        /// The job
        job: String,
    },
}

/// Does it.
pub async fn run(command: JobCommand, context: &Context) -> Result<(), Failure> {
    if matches!(command, JobCommand::Init) {
        return context.out.text(INIT);
    }
    let client = context.client().await?;
    match command {
        JobCommand::Init => unreachable!("it needs no server and was answered above"),
        JobCommand::Submit { file, job, data_dir } => {
            let mut wanted = spec::settled(spec::read(&file)?)?;
            match context.chosen_server() {
                Some(server) => secrets::refuse(&wanted, server)?,
                None => {
                    let data_dir = data_dir.map_or_else(state_folder, Ok)?;
                    secrets::keep(&mut wanted, &secrets::folder(&data_dir))?;
                }
            }
            let job = client.submit_job(&job.unwrap_or_default(), &spec::json(&wanted)?).await?;
            let name = job.name().to_owned();
            context.out.stream(|| json!({ "job": name }), || name.clone())
        }
        JobCommand::List => {
            let jobs = client.all_jobs().await?;
            context.out.show(|| jobs.iter().map(show::document).collect(), || show::table(&jobs))
        }
        JobCommand::Status { job } => {
            let job = client.job(job);
            let (seen, units) = (job.look().await?, job.units().await?);
            let all = || {
                let mut all = show::document(&seen);
                all["units_list"] = units.iter().map(show::unit_document).collect();
                all
            };
            context.out.show(all, || show::table(std::slice::from_ref(&seen)))?;
            if context.out.is_data() {
                return Ok(());
            }
            for refused in &seen.refused {
                context.out.text(&format!("refused: {refused}\n"))?;
            }
            if let Some(reason) = &seen.reason {
                context.out.text(&format!("{reason}\n"))?;
            }
            for remark in show::remarks(&seen) {
                context.out.text(&format!("{remark}\n"))?;
            }
            context.out.text("\n")?;
            context.out.show(|| Value::Null, || show::stage_table(&seen))?;
            context.out.text("\n")?;
            context.out.show(|| Value::Null, || show::unit_table(&units))
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
            context.out.show(|| pools.iter().map(show::pool_document).collect(), || show::pool_table(&pools))
        }
        JobCommand::Add { job, collections } => Ok(client.job(job).add_units(&collections).await?),
        JobCommand::Rates { job, rates } => {
            let job = client.job(job);
            if !rates.is_empty() {
                let mut now = job.look().await?.rates.unwrap_or_default();
                rates.iter().for_each(|(rate, value)| rate.set(&mut now, *value));
                job.set_rates(now).await?;
            }
            let now = job.look().await?.rates.unwrap_or_default();
            context.out.show(|| show::rates_document(now), || show::rates_table(now))
        }
        JobCommand::Priority { job, priorities } => {
            let job = client.job(job);
            for (collection, priority) in &priorities {
                job.set_priority(collection, *priority).await?;
            }
            let now = job.look().await?.priorities;
            context.out.show(|| show::priorities_document(&now), || show::priorities_table(&now))
        }
        JobCommand::Chunks { job, unit } => chunks::print(&client.job(job), unit.as_deref(), context).await,
        JobCommand::Report { job, format } => {
            let job = client.job(job);
            match format {
                None => migration::report(&job, context).await,
                Some(ReportFormat::Html) => context.out.text(&migration::page(&job, None).await?),
                Some(ReportFormat::Json) => migration::report(&job, &context.with_output(Output::Json)).await,
                Some(ReportFormat::Table) => migration::report(&job, &context.with_output(Output::Table)).await,
            }
        }
        JobCommand::Forget { job } => Ok(client.job(job).forget().await?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_migration::Spec;

    #[test]
    fn every_line_of_the_template_can_be_taken_as_it_stands() {
        let is_setting = |line: &str| {
            let key = line.split_once(" = ").map_or("", |(key, _)| key);
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let taken = |line: &'static str| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line);
        let text: Vec<&str> = INIT.lines().map(taken).collect();

        let spec: Spec = toml::from_str(&text.join("\n")).unwrap();

        let resources = serde_json::to_value(spec.resources).unwrap();
        assert_eq!(resources, json!({ "cpu_percent": 25.0, "memory_mb": 512.0, "priority": 0 }));
        assert_eq!(toml::from_str::<Spec>(INIT).unwrap().resources, Default::default(), "as it comes it says nothing");
    }
}
