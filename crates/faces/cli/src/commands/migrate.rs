//! Moving data from one endpoint to another, with progress, a report, and a way to stop and go on.

use crate::context::Context;
use crate::failure::Failure;
use crate::home::{Home, state_folder};
use crate::migration::{self, MigrationFlags, Progress, Report, Watched};
use crate::station::Addresses;
use anyhow::Context as _;
use capstan_client::{Client, Error, Job};
use clap::Args;
use std::path::PathBuf;

/// What to move, and where the work is kept.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan migrate --from dump:./backup --to dump:./copy
  capstan migrate --from jsonl:./export --to dump:./dump --include shop.*
  capstan migrate --from dump:./backup --to dump:./out.archive.gz --rename shop.*=store.*
Ctrl-C pauses; the same command goes on. Without --server it runs a server and a worker of its own.")]
pub struct MigrateOptions {
    #[command(flatten)]
    what: MigrationFlags,
    /// The job's name; derived from what is moved where nothing is said
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Where the work is kept when no server is chosen
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Items worked on at a time when no server is chosen; twice the cores where nothing is said
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
}

/// Does it.
pub fn run(options: MigrateOptions, context: &Context) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if context.chosen_server().is_some() {
            let client = context.client().await?;
            return migrate(&client, &options, context).await;
        }
        let data_dir = options.data_dir.clone().map_or_else(state_folder, Ok)?;
        let home = Home::open(&data_dir, &Addresses::free(), options.slots).await?;
        let outcome = migrate(&home.client, &options, context).await;
        home.close().await?;
        outcome
    })
}

/// Submits the job, or finds it, follows it, and reports.
async fn migrate(client: &Client, options: &MigrateOptions, context: &Context) -> Result<(), Failure> {
    let spec = serde_json::to_string(&options.what.spec()?).context("write the specification")?;
    let name = options.job.as_deref().unwrap_or_default();
    let job = match client.submit_job(name, &spec).await {
        Ok(job) => job,
        // A finished job that was asked for by its name: what it did is what is left to say.
        Err(Error::Refused { code, .. }) if code == "job.ended" && !name.is_empty() => {
            return report(&client.job(name), context).await;
        }
        Err(error) => return Err(error.into()),
    };
    let mut progress = Progress::new(context.out.is_json());
    let seen = job.look().await?;
    if matches!(seen.state.as_str(), "paused" | "pausing") {
        progress.say(&format!("job {} goes on where it was paused", job.name()));
        job.resume().await?;
    } else if seen.units > 0 {
        progress.say(&format!("job {} goes on", job.name()));
    }
    let watched = migration::watch(&job, &mut progress).await;
    progress.finish();
    let watched = watched?;
    let outcome = report(&job, context).await;
    if watched == Watched::Paused {
        let why = job.look().await?.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        eprintln!("job {} is paused{why}; the same command goes on", job.name());
    }
    outcome
}

/// Prints the report; an error if the job did not end well.
pub async fn report(job: &Job, context: &Context) -> Result<(), Failure> {
    let text = job.report().await?;
    let report = Report::parse(&text)?;
    let shown = if context.out.is_json() { format!("{text}\n") } else { report.text() };
    let printed = context.out.text(&shown);
    // How it ended is told even where nobody reads along any more.
    if report.is_good() { printed } else { Err(Failure::Said(1)) }
}
