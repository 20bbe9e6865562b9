//! Adding items.

use crate::context::Context;
use crate::failure::Failure;
use crate::input::{self, Items};
use crate::render;
use capstan_client::{Client, Item, Session, v1};
use clap::Args;
use futures::StreamExt;
use futures::stream::FuturesOrdered;

/// Items of one request when they come from a file.
const BATCH: usize = 1_000;
/// Requests of a file that are on their way at once; the client puts them into one frame.
const AHEAD: usize = 8;

/// Which items, and what of them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan work add shop orders/0 orders/1 --kind dump --payload '{\"db\":\"shop\"}'
  capstan work add shop --file items.jsonl
  seq -f '{\"id\":\"chunk-%g\"}' 1000 | capstan work add shop --file -

A file holds a JSON list of items, or one item as JSON on each line, with the fields of the REST API. All items named
here are added together or not at all; those of a file are added 1,000 at a time. Adding an item again changes nothing.")]
pub struct AddOptions {
    /// The session
    session: String,
    /// Ids of items to add
    #[arg(required_unless_present = "file")]
    ids: Vec<String>,
    /// Read items from a file, or from stdin where it is -
    #[arg(long, short, value_name = "FILE", conflicts_with = "ids")]
    file: Option<String>,
    /// Add what can be added, and answer which items exist with other content
    #[arg(long)]
    each: bool,
    #[command(flatten)]
    details: Details,
}

/// What all items that are named here have.
#[derive(Args, Debug)]
#[group(id = "details", multiple = true, conflicts_with = "file")]
struct Details {
    /// What sort of work it is
    #[arg(long, default_value = "backfill")]
    kind: String,
    /// The index or collection it is about
    #[arg(long, default_value = "", value_name = "NAME")]
    index_name: String,
    /// The part of it
    #[arg(long, default_value_t = 0, value_name = "N")]
    shard_number: u32,
    /// Documents expected
    #[arg(long, default_value_t = 0, value_name = "N")]
    documents: u64,
    /// Bytes expected
    #[arg(long, default_value_t = 0, value_name = "N")]
    bytes: u64,
    /// Higher goes first, -32768 to 32767
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_name = "N")]
    priority: i16,
    /// Not handed out before this time, such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    not_before: Option<jiff::Timestamp>,
    /// A group it belongs to; repeat for more
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// A group that must be done first; repeat for more
    #[arg(long = "waits-for-group", value_name = "NAME")]
    waits_for_groups: Vec<String>,
    /// An item that must be done first; repeat for more
    #[arg(long = "waits-for", value_name = "ID")]
    waits_for: Vec<String>,
    /// A further limit it counts against, such as host:db1; repeat for more
    #[arg(long = "limit", value_name = "NAME")]
    limits: Vec<String>,
    /// Becomes pending only when the session is cancelled, to undo what was done
    #[arg(long)]
    undo: bool,
    /// What the worker needs to know, as JSON
    #[arg(long, value_parser = input::json, value_name = "JSON")]
    payload: Option<String>,
}

impl Details {
    fn item(&self, id: &str) -> Item {
        use v1::waits_for::Awaited;
        let groups = self.waits_for_groups.iter().cloned().map(Awaited::Group);
        let items = self.waits_for.iter().cloned().map(Awaited::ItemId);
        Item {
            id: id.to_owned(),
            kind: self.kind.clone(),
            index_name: self.index_name.clone(),
            shard_number: self.shard_number,
            document_count: self.documents,
            total_size_bytes: self.bytes,
            priority: self.priority.into(),
            not_before: self.not_before.map(render::timestamp),
            groups: self.groups.clone(),
            waits_for: groups.chain(items).map(|awaited| v1::WaitsFor { awaited: Some(awaited) }).collect(),
            limits: self.limits.clone(),
            undo: self.undo,
            payload: self.payload.clone(),
        }
    }
}

/// What has become of items so far.
#[derive(Default)]
struct Sum {
    created: u64,
    unchanged: u64,
    conflicts: Vec<(String, String)>,
}

/// Adds them, and prints what became of them.
pub async fn add(options: AddOptions, client: &Client, context: &Context) -> Result<(), Failure> {
    let session = client.session(&options.session)?;
    let mut sum = Sum::default();
    match &options.file {
        None => {
            let items: Vec<_> = options.ids.iter().map(|id| options.details.item(id)).collect();
            sum.take(add_batch(session, items, options.each).await?);
        }
        Some(file) => {
            let mut items = Items::open(file)?;
            // Batches go out in the order of the file, so that the items queue in it.
            let mut on_their_way = FuturesOrdered::new();
            loop {
                let batch = items.batch(BATCH)?;
                let last = batch.is_empty();
                if !last {
                    on_their_way.push_back(add_batch(session.clone(), batch, options.each));
                }
                while on_their_way.len() > if last { 0 } else { AHEAD } {
                    sum.take(on_their_way.next().await.expect("its length was looked at")?);
                }
                if last {
                    break;
                }
            }
        }
    }
    let (json, table) = render::added(sum.created, sum.unchanged, &sum.conflicts);
    context.out.show(|| json, || table)?;
    for (id, field) in &sum.conflicts {
        eprintln!("item {id} exists with another {field}, and stays as it was");
    }
    Ok(())
}

/// Which items were sent, and what became of them.
type Added = (Vec<String>, v1::AddItemsResponse);

async fn add_batch(session: Session, items: Vec<Item>, each: bool) -> Result<Added, Failure> {
    let ids = if each { items.iter().map(|item| item.id.clone()).collect() } else { Vec::new() };
    let added = if each { session.add_each(items).await? } else { session.add(items).await? };
    Ok((ids, added))
}

impl Sum {
    fn take(&mut self, (ids, added): Added) {
        for result in added.results() {
            match result {
                v1::AddResult::Created => self.created += 1,
                v1::AddResult::Unchanged => self.unchanged += 1,
                v1::AddResult::Conflict | v1::AddResult::Unspecified => {}
            }
        }
        let named = |conflict: v1::AddConflict| Some((ids.get(conflict.index as usize)?.clone(), conflict.field));
        self.conflicts.extend(added.conflicts.into_iter().filter_map(named));
    }
}
