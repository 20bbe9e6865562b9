//! The registry as it was.

use crate::context::Context;
use crate::failure::Failure;
use crate::render;
use crate::station::{Addresses, Station};
use capstan_client::{Client, v1};
use capstan_journal::EmbeddedOptions;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use std::path::PathBuf;

/// Pipelines of one request.
const PAGE: u32 = 1_000;

/// Which time, and whose journal.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan replay --at 2026-01-31T12:00:00Z
  capstan replay --at 15m
  capstan replay --at 2026-01-31T12:00:00Z --data-dir ./data

With --data-dir no server is asked: the journal there is read by this command, and must not be in use.")]
pub struct ReplayOptions {
    /// The time: 2026-01-31T12:00:00Z, 2026-01-31, or 15m for a quarter of an hour ago
    #[arg(long, value_name = "TIME", value_parser = crate::input::moment)]
    at: Timestamp,
    /// Read the journal of this data directory, on which no server runs
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Prints pipelines, totals, limits and queue as they were.
pub async fn run(options: ReplayOptions, context: &Context) -> Result<(), Failure> {
    let Some(data_dir) = options.data_dir else {
        return print(&context.client().await?, options.at, context).await;
    };
    if !data_dir.join("journal").is_dir() {
        return Err(Failure::Usage(format!("{} holds no journal", data_dir.display())));
    }
    let station = Station::start(&data_dir, &Addresses::free(), EmbeddedOptions::default()).await?;
    let client = Client::connect(station.url()).await?;
    let printed = print(&client, options.at, context).await;
    drop(client);
    let stopped = station.stop().await;
    printed?;
    stopped.map_err(|error| Failure::Failed(error.into()))
}

async fn print(client: &Client, at: Timestamp, context: &Context) -> Result<(), Failure> {
    let mut request = v1::RegistryAtRequest { at: Some(render::timestamp(at)), page_size: PAGE, cursor: String::new() };
    let mut whole = client.registry_at(request.clone()).await?;
    while !whole.next_cursor.is_empty() {
        request.cursor = std::mem::take(&mut whole.next_cursor);
        let page = client.registry_at(request.clone()).await?;
        whole.pipelines.extend(page.pipelines);
        whole.next_cursor = page.next_cursor;
    }
    let system = whole.system.clone().unwrap_or_default();
    if context.out.is_data() {
        let document = || {
            json!({
                "at": render::text(&render::timestamp(at)),
                "system": render::system(&system),
                "limits": whole.limits.as_ref().map(render::registry_limits),
                "queue": whole.queue.iter().map(render::reservation).collect::<Vec<_>>(),
                "pipelines": whole.pipelines.iter().map(render::pipeline).collect::<Vec<_>>(),
            })
        };
        return context.out.show(document, || render::system_table(&system));
    }
    context.out.show(|| json!(null), || render::system_table(&system))?;
    if !whole.pipelines.is_empty() {
        context.out.text("\n")?;
        context.out.show(|| json!(null), || render::pipelines(&whole.pipelines, at))?;
    }
    Ok(())
}
