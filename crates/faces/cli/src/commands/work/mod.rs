//! Items and leases.

mod add;
mod lease;
mod limit;
mod list;

use crate::context::Context;
use crate::failure::Failure;
use crate::render;
use clap::{Args, Subcommand};
use serde_json::json;

/// What can be done with items.
#[derive(Debug, Subcommand)]
pub enum WorkCommand {
    /// Add items, named here or read from a file
    Add(Box<add::AddOptions>),
    /// Ask for work; exits with 4 where there is none
    Acquire(lease::AcquireOptions),
    /// Keep a lease, and say how far the work has got
    Renew(lease::RenewOptions),
    /// End an item well
    Complete(lease::CompleteOptions),
    /// Report that an attempt failed
    Fail(lease::FailOptions),
    /// Give a lease back unfinished; no attempt is counted
    Release(lease::ReleaseOptions),
    /// Make failed items pending again with a fresh set of attempts
    Retry {
        /// The session
        session: String,
        /// The items; none means every failed one
        items: Vec<String>,
    },
    /// End an unfinished item for good; a live lease is revoked
    Cancel(ItemOptions),
    /// Remove an item, or all of a session; live leases are revoked
    Delete {
        /// The session
        session: String,
        /// The item
        #[arg(required_unless_present = "all")]
        item: Option<String>,
        /// Every item of the session
        #[arg(long, conflicts_with = "item")]
        all: bool,
    },
    /// Move an unfinished item forward or back
    Priority {
        /// The session
        session: String,
        /// The item
        item: String,
        /// Higher goes first, -32768 to 32767
        #[arg(allow_negative_numbers = true)]
        priority: i16,
    },
    /// List items in the order they were made
    #[command(visible_alias = "ls")]
    List(list::ListOptions),
    /// Show an item
    Get(ItemOptions),
    /// Count a session's items by state
    Status {
        /// The session
        session: String,
    },
    /// Show the limits over all sessions, and what counts against them
    Limits,
    /// Change the limits over all sessions
    #[command(subcommand)]
    Limit(limit::LimitCommand),
    /// Show who works, and what each holds
    Workers {
        /// The session; none means all
        session: Option<String>,
    },
}

/// An item by its id.
#[derive(Args, Debug)]
pub struct ItemOptions {
    /// The session
    session: String,
    /// The item
    item: String,
}

/// Does what was typed.
pub async fn run(command: WorkCommand, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    match command {
        WorkCommand::Add(options) => add::add(*options, &client, context).await,
        WorkCommand::Acquire(options) => lease::acquire(options, &client, context).await,
        WorkCommand::Renew(options) => lease::renew(options, &client, context).await,
        WorkCommand::Complete(options) => lease::complete(options, &client, context).await,
        WorkCommand::Fail(options) => lease::fail(options, &client, context).await,
        WorkCommand::Release(options) => lease::release(options, &client, context).await,
        WorkCommand::Retry { session, items } => {
            let retried = client.session(&session)?.retry(items).await?;
            context.out.stream(
                || json!({ "session": session, "retried": retried }),
                || format!("{retried} items are pending again"),
            )
        }
        WorkCommand::Cancel(ItemOptions { session, item }) => {
            client.session(&session)?.cancel_item(&item).await?;
            done(context, &session, &item, "cancelled")
        }
        WorkCommand::Delete { session, item: Some(item), .. } => {
            client.session(&session)?.delete_item(&item).await?;
            done(context, &session, &item, "deleted")
        }
        WorkCommand::Delete { session, item: None, .. } => {
            let deleted = client.session(&session)?.delete_items().await?;
            context
                .out
                .stream(|| json!({ "session": session, "deleted": deleted }), || format!("{deleted} items deleted"))
        }
        WorkCommand::Priority { session, item, priority } => {
            client.session(&session)?.set_priority(&item, priority).await?;
            done(context, &session, &item, "moved")
        }
        WorkCommand::List(options) => list::list(options, &client, context).await,
        WorkCommand::Get(ItemOptions { session, item }) => {
            let item = client.session(&session)?.item(&item).await?;
            context.out.show(|| render::item(&item), || render::items(std::slice::from_ref(&item)))
        }
        WorkCommand::Status { session } => {
            let status = client.session(&session)?.status().await?;
            context.out.show(|| render::status(&status), || render::status_of_all([&status]))
        }
        WorkCommand::Limits => limit::list(&client, context).await,
        WorkCommand::Limit(command) => limit::run(command, &client, context).await,
        WorkCommand::Workers { session } => {
            let workers = match session {
                Some(session) => client.session(session)?.workers().await?,
                None => client.workers().await?,
            };
            let (json, table) = render::workers(&workers, jiff::Timestamp::now());
            context.out.show(|| json!({ "workers": json }), || table)
        }
    }
}

fn done(context: &Context, session: &str, item: &str, what: &str) -> Result<(), Failure> {
    context.out.stream(|| json!({ "session": session, "id": item, "done": what }), || format!("item {item}: {what}"))
}
