//! Pipelines: what is running, is it healthy, is there room for more.

mod room;
mod story;

use crate::context::Context;
use crate::failure::Failure;
use crate::render;
use capstan_client::{Client, v1};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::collections::HashMap;

/// Pipelines of one request.
const PAGE: u32 = 1_000;

/// What can be done with pipelines.
#[derive(Debug, Subcommand)]
pub enum PipelineCommand {
    /// Make a pipeline known
    #[command(
        after_help = "Example:\n  capstan pipeline register orders \"Orders to search\" --group shop --label team=search"
    )]
    Register(RegisterOptions),
    /// List pipelines, ended ones that are kept included
    #[command(visible_alias = "ls", after_help = "Example:\n  capstan pipeline list --status failed")]
    List {
        /// Only those of this status
        #[arg(long, value_enum)]
        status: Option<StatusWord>,
        /// Only those of this group
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
    },
    /// Show a pipeline, with what it costs
    #[command(after_help = "Example:\n  capstan pipeline get orders --output json")]
    Get(Named),
    /// Say what a pipeline is doing, what it uses, or both
    #[command(
        after_help = "Examples:\n  capstan pipeline report orders --status running --records 1000000 --failed 5\n  capstan pipeline report orders --cpu 15.5 --memory 2048\nA second status within a second is held until that second is over; the last one wins."
    )]
    Report(ReportOptions),
    /// Say that pipelines are there; ends with 4 where one is not registered
    #[command(after_help = "Example:\n  capstan pipeline heartbeat orders customers")]
    Heartbeat {
        /// Which
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Take a pipeline out, with its resources and its reservation
    #[command(visible_alias = "rm", after_help = "Example:\n  capstan pipeline unregister orders")]
    Unregister(Named),
    /// Read what happened, to one pipeline or to all
    #[command(
        after_help = "Examples:\n  capstan pipeline history orders --limit 20\n  capstan pipeline history --from 15m\n  capstan pipeline history --from 2026-01-31T12:00:00Z --until 2026-02-01 --output json"
    )]
    History(story::HistoryOptions),
    /// Follow what happens, a line for each event, until it is stopped
    #[command(after_help = "Examples:\n  capstan pipeline watch\n  capstan pipeline watch --from 1 --output json")]
    Watch {
        /// The first position to show; without, from now on
        #[arg(long, value_name = "POSITION")]
        from: Option<u64>,
    },
    /// Ask whether something would fit; ends with 9 where it does not
    #[command(after_help = "Example:\n  capstan pipeline check --cpu 10 --memory 4096")]
    Check(room::Figures),
    /// Check for room and take it in one step, or wait for it
    #[command(
        after_help = "Example:\n  capstan pipeline reserve orders --cpu 10 --memory 4096 --for 10m --wait 1h\nWhere there is no room it is in the queue afterwards: `capstan pipeline reservation` says when it has some."
    )]
    Reserve(room::ReserveOptions),
    /// Show what a pipeline holds or waits for
    #[command(after_help = "Example:\n  capstan pipeline reservation orders")]
    Reservation(Named),
    /// Give room back, or stop waiting for it
    #[command(after_help = "Example:\n  capstan pipeline release orders")]
    Release(Named),
    /// Show who waits for room, in the order in which they get it
    #[command(after_help = "Example:\n  capstan pipeline queue --output json")]
    Queue,
    /// Show the limits of all pipelines together, or change them
    #[command(after_help = "Examples:\n  capstan pipeline limits\n  capstan pipeline limits --cpu 90 --stale-after 2m")]
    Limits(room::LimitOptions),
}

/// A pipeline by its id.
#[derive(Args, Debug)]
pub struct Named {
    /// The pipeline
    id: String,
}

/// A new pipeline.
#[derive(Args, Debug)]
pub struct RegisterOptions {
    /// Its id; nobody else's while it is registered
    id: String,
    /// What people call it; its id where nothing is said
    name: Option<String>,
    /// What it is listed under
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Its place in the queue for room; higher goes first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_name = "N")]
    priority: i16,
    /// What else is to be known of it; may be given more than once
    #[arg(long, value_parser = label, value_name = "KEY=VALUE")]
    label: Vec<(String, String)>,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("expected KEY=VALUE, found {text:?}"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// What a pipeline says of itself.
#[derive(Args, Debug)]
pub struct ReportOptions {
    /// The pipeline
    id: String,
    /// What it is doing
    #[arg(long, value_enum, required_unless_present = "cpu")]
    status: Option<StatusWord>,
    /// Records so far; left out, they stay what they were
    #[arg(long, requires = "status", value_name = "N")]
    records: Option<u64>,
    /// Records that failed; left out, they stay what they were
    #[arg(long, requires = "status", value_name = "N")]
    failed: Option<u64>,
    /// Bytes moved since it was started; left out, they stay what they were
    #[arg(long, requires = "status", value_name = "N")]
    bytes: Option<u64>,
    /// CPU in percent of what its machines have
    #[arg(long, requires = "memory", value_name = "PERCENT", allow_negative_numbers = true)]
    cpu: Option<f64>,
    /// Memory in MB
    #[arg(long, requires = "cpu", value_name = "MB", allow_negative_numbers = true)]
    memory: Option<i64>,
}

/// What a pipeline is doing.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StatusWord {
    /// Made, and not started
    Configured,
    /// Moving data
    Running,
    /// Stopped for a while
    Paused,
    /// Ended, as intended
    Stopped,
    /// Ended by an error
    Failed,
}

impl From<StatusWord> for v1::PipelineStatus {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Configured => Self::Configured,
            StatusWord::Running => Self::Running,
            StatusWord::Paused => Self::Paused,
            StatusWord::Stopped => Self::Stopped,
            StatusWord::Failed => Self::Failed,
        }
    }
}

/// Does what was typed.
pub async fn run(command: PipelineCommand, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    match command {
        PipelineCommand::Register(options) => register(&client, options, context).await,
        PipelineCommand::List { status, group } => list(&client, status, &group.unwrap_or_default(), context).await,
        PipelineCommand::Get(Named { id }) => show(&client.pipeline(&id).await?, context),
        PipelineCommand::Report(options) => report(&client, options, context).await,
        PipelineCommand::Heartbeat { ids } => heartbeat(&client, ids, context).await,
        PipelineCommand::Unregister(Named { id }) => {
            let answer = client.unregister_pipeline(&id).await?;
            show(&answer.pipeline.unwrap_or_default(), context)
        }
        PipelineCommand::History(options) => story::history(&client, options, context).await,
        PipelineCommand::Watch { from } => story::watch(&client, from, context).await,
        PipelineCommand::Check(figures) => room::check(&client, figures, context).await,
        PipelineCommand::Reserve(options) => room::reserve(&client, options, context).await,
        PipelineCommand::Reservation(Named { id }) => room::show(&client.reservation(&id).await?, context),
        PipelineCommand::Release(Named { id }) => {
            client.release_reservation(&id).await?;
            done(context, &id, "released")
        }
        PipelineCommand::Queue => room::queue(&client, context).await,
        PipelineCommand::Limits(options) => room::limits(&client, options, context).await,
    }
}

fn show(pipeline: &v1::PipelineInfo, context: &Context) -> Result<(), Failure> {
    context.out.show(|| render::pipeline(pipeline), || render::pipeline_sheet(pipeline, jiff::Timestamp::now()))
}

fn done(context: &Context, id: &str, what: &str) -> Result<(), Failure> {
    context.out.stream(|| json!({ "pipeline": id, "done": what }), || format!("pipeline {id}: {what}"))
}

async fn register(client: &Client, options: RegisterOptions, context: &Context) -> Result<(), Failure> {
    let request = v1::RegisterPipelineRequest {
        name: options.name.unwrap_or_else(|| options.id.clone()),
        pipeline_id: options.id,
        group: options.group.unwrap_or_default(),
        priority: options.priority.into(),
        labels: options.label.into_iter().collect::<HashMap<_, _>>(),
    };
    let answer = client.register_pipeline(request).await?;
    show(&answer.pipeline.unwrap_or_default(), context)
}

async fn list(client: &Client, status: Option<StatusWord>, group: &str, context: &Context) -> Result<(), Failure> {
    let status = status.map_or(v1::PipelineStatus::Unspecified, Into::into);
    let (mut pipelines, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.pipelines(status, group, PAGE, &cursor).await?;
        pipelines.extend(page.entries);
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    context.out.show(
        || json!({ "pipelines": pipelines.iter().map(render::pipeline).collect::<Vec<_>>() }),
        || render::pipelines(&pipelines, jiff::Timestamp::now()),
    )
}

async fn report(client: &Client, options: ReportOptions, context: &Context) -> Result<(), Failure> {
    let id = &options.id;
    if let Some(status) = options.status {
        let (records, failed) = match (options.records, options.failed) {
            (Some(records), Some(failed)) => (records, failed),
            (records, failed) => {
                let known = client.pipeline(id).await?;
                (records.unwrap_or(known.total_records), failed.unwrap_or(known.failed_records))
            }
        };
        let outcome = client.update_pipeline_status(id, status.into(), records, failed, options.bytes).await?;
        done(context, id, &format!("status {}", render::outcome(outcome)))?;
    }
    if let (Some(cpu), Some(memory)) = (options.cpu, options.memory) {
        let outcome = client.report_resource_usage(id, cpu, memory).await?;
        done(context, id, &format!("usage {}", render::outcome(outcome)))?;
    }
    Ok(())
}

async fn heartbeat(client: &Client, ids: Vec<String>, context: &Context) -> Result<(), Failure> {
    let unknown = client.heartbeat(ids.clone()).await?;
    for id in ids.iter().filter(|id| !unknown.contains(id)) {
        done(context, id, "heard")?;
    }
    if unknown.is_empty() { Ok(()) } else { Err(Failure::Nothing(format!("not registered: {}", unknown.join(", ")))) }
}
