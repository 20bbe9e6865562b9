//! A job that somebody waits for: submitted or found, followed to its end or its pause, and reported.

use super::{Progress, Report, Watched, page, spec, watch};
use crate::context::Context;
use crate::failure::Failure;
use crate::home::{Home, dead_letters, state_folder};
use crate::secrets;
use crate::station::Addresses;
use anyhow::Context as _;
use capstan_client::{Client, Error, Job};
use capstan_migration::Spec;
use clap::Args;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Where a job is done that somebody waits for, what it is called, and where its report goes.
#[derive(Args, Clone, Debug)]
pub struct ErrandFlags {
    /// The job's name; derived from what is moved where nothing is said
    #[arg(long, value_name = "NAME")]
    pub job: Option<String>,
    /// Where the work is kept when no server is chosen
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Items worked on at a time when no server is chosen; follows the pools where nothing is said
    #[arg(long, value_name = "N")]
    pub slots: Option<usize>,
    /// Write the report to a file too: a page where it ends in .html, JSON where it ends in .json
    #[arg(long, value_name = "FILE", value_parser = report_file)]
    pub report: Option<PathBuf>,
}

fn report_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "json") => Ok(path),
        _ => Err(format!("expected a file that ends in .html or .json, found {text:?}")),
    }
}

/// Does it on the server that was chosen, or in this process.
pub fn run(mut spec: Spec, flags: &ErrandFlags, context: &Context) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Some(server) = context.chosen_server() {
            secrets::refuse(&spec, server)?;
            let client = context.client().await?;
            return follow(&client, &spec, flags, None, context).await;
        }
        let data_dir = flags.data_dir.clone().map_or_else(state_folder, Ok)?;
        secrets::keep(&mut spec, &secrets::folder(&data_dir))?;
        let home = Home::open(&data_dir, &Addresses::free(), flags.slots).await?;
        let outcome = follow(&home.client, &spec, flags, Some(&dead_letters(&data_dir)), context).await;
        home.close().await?;
        outcome
    })
}

/// How a job begins that somebody waits for.
#[derive(Debug, PartialEq, Eq)]
enum Beginning {
    New,
    Found,
    /// It was there, and paused.
    Resumed,
}

impl Beginning {
    /// A job that was made by this very command and has failed already keeps its attempts: it is not resumed.
    fn of(was_there: bool, state: &str) -> Self {
        match (was_there, state) {
            (false, _) => Self::New,
            (true, "paused" | "pausing") => Self::Resumed,
            (true, _) => Self::Found,
        }
    }
}

/// Submits the job, or finds it, follows it, and reports.
async fn follow(
    client: &Client,
    what: &Spec,
    flags: &ErrandFlags,
    dead_letters: Option<&Path>,
    context: &Context,
) -> Result<(), Failure> {
    let name = flags.job.as_deref().unwrap_or_default();
    // What is there before is found; whatever else comes of the submission is new, however soon it fails.
    let known: HashSet<String> = client.all_jobs().await?.into_iter().map(|job| job.name).collect();
    let job = match client.submit_job(name, &spec::json(what)?).await {
        Ok(job) => job,
        // A finished job that was asked for by its name: what it did is what is left to say.
        Err(Error::Refused { code, .. }) if code == "job.ended" && !name.is_empty() => {
            let job = client.job(name);
            file(&job, flags, dead_letters).await?;
            return report(&job, context).await;
        }
        Err(error) => return Err(error.into()),
    };
    let mut progress = Progress::new(context.out.is_json());
    let seen = job.look().await?;
    match Beginning::of(known.contains(job.name()), &seen.state) {
        Beginning::Resumed => {
            progress.say(&format!("job {} goes on where it was paused", job.name()));
            job.resume().await?;
        }
        Beginning::Found => progress.say(&format!("job {} goes on", job.name())),
        Beginning::New => {}
    }
    let watched = watch(&job, &mut progress).await;
    progress.finish();
    let watched = watched?;
    let filed = file(&job, flags, dead_letters).await;
    let outcome = report(&job, context).await;
    if watched == Watched::Paused {
        let why = job.look().await?.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        eprintln!("job {} is paused{why}; the same command goes on", job.name());
    }
    filed.and(outcome)
}

/// Writes the report to the file that was named, if one was.
async fn file(job: &Job, flags: &ErrandFlags, dead_letters: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = &flags.report else { return Ok(()) };
    let html = path.extension().is_some_and(|extension| extension == "html");
    let text = if html { page(job, dead_letters).await? } else { format!("{}\n", job.report().await?) };
    std::fs::write(path, text).with_context(|| format!("write the report to {}", path.display()))?;
    Ok(())
}

/// Prints the report; an error if the job did not end well.
pub async fn report(job: &Job, context: &Context) -> Result<(), Failure> {
    let text = job.report().await?;
    let report = Report::parse(&text)?;
    let value = || serde_json::from_str(&text).unwrap_or_default();
    let printed = if context.out.is_json() {
        // The line as the server wrote it: its fields keep their order.
        context.out.text(&format!("{text}\n"))
    } else if context.out.is_data() {
        context.out.stream(value, String::new)
    } else {
        context.out.text(&report.text())
    };
    // How it ended is told even where nobody reads along any more.
    if report.is_good() { printed } else { Err(Failure::Said(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that failed before it was looked at was resumed, and so had twice its attempts.
    #[test]
    fn only_a_job_that_was_there_is_resumed() {
        assert_eq!(Beginning::of(false, "paused"), Beginning::New);
        assert_eq!(Beginning::of(true, "paused"), Beginning::Resumed);
        assert_eq!(Beginning::of(true, "pausing"), Beginning::Resumed);
        assert_eq!(Beginning::of(true, "running"), Beginning::Found);
    }
}
