//! What happened, afterwards and as it happens.

use crate::context::Context;
use crate::failure::Failure;
use crate::{input, render};
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
    /// Not older than this: 2026-01-31T12:00:00Z, 2026-01-31, or 15m for a quarter of an hour ago
    #[arg(long, value_name = "TIME", value_parser = input::moment)]
    from: Option<Timestamp>,
    /// Older than this
    #[arg(long, value_name = "TIME", value_parser = input::moment)]
    until: Option<Timestamp>,
    /// After this position
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// At most so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
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
    let (mut left, mut is_empty) = (options.limit.unwrap_or(u64::MAX), true);
    while left > 0 {
        request.page_size = left.min(PAGE.into()) as u32;
        let page = client.registry_history(request.clone()).await?;
        left -= page.facts.len() as u64;
        is_empty &= page.facts.is_empty();
        for fact in &page.facts {
            context.out.stream(|| render::fact(fact), || render::fact_line(fact))?;
        }
        match page.next {
            None => break,
            next => request.after = next,
        }
    }
    if is_empty {
        eprintln!("nothing is kept of that");
    }
    Ok(())
}

/// Prints a line for each event as it comes.
pub async fn watch(client: &Client, from: Option<u64>, context: &Context) -> Result<(), Failure> {
    let mut facts = client.watch_registry(from).await?;
    loop {
        let fact = facts.next().await?;
        context.out.stream(|| render::fact(&fact), || render::fact_line(&fact))?;
    }
}
