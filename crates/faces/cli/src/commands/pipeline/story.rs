//! What happened, afterwards and as it happens.

use crate::context::Context;
use crate::failure::Failure;
use crate::render;
use capstan_client::{Client, v1};
use clap::Args;
use jiff::Timestamp;

/// Facts of one request.
const PAGE: u32 = 1_000;

/// Which part of the story.
#[derive(Args, Debug)]
pub struct HistoryOptions {
    /// The pipeline; without, all of them and the limits: the audit
    id: Option<String>,
    /// Not older than this, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Older than this
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// After this position
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
}

/// Prints a line for each event, oldest first.
pub async fn history(client: &Client, options: HistoryOptions, context: &Context) -> Result<(), Failure> {
    let mut request = v1::HistoryRequest {
        pipeline_id: options.id.unwrap_or_default(),
        from: options.from.map(render::timestamp),
        until: options.until.map(render::timestamp),
        after: options.after,
        page_size: PAGE,
    };
    loop {
        let page = client.registry_history(request.clone()).await?;
        for fact in &page.facts {
            context.out.stream(|| render::fact(fact), || render::fact_line(fact))?;
        }
        match page.next {
            None => return Ok(()),
            next => request.after = next,
        }
    }
}

/// Prints a line for each event as it comes.
pub async fn watch(client: &Client, from: Option<u64>, context: &Context) -> Result<(), Failure> {
    let mut facts = client.watch_registry(from).await?;
    loop {
        let fact = facts.next().await?;
        context.out.stream(|| render::fact(&fact), || render::fact_line(&fact))?;
    }
}
