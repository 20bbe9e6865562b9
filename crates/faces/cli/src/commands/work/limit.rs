//! Limits over all sessions together.

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Table;
use capstan_client::Client;
use clap::Subcommand;
use serde_json::{Value, json};

/// What can be done with them.
#[derive(Debug, Subcommand)]
pub enum LimitCommand {
    /// Set a limit on live leases of all sessions together, or lift it with none
    #[command(after_help = "Examples:
  capstan work limit set global 64
  capstan work limit set host:db1:27017 8
  capstan work limit set jobs none")]
    Set {
        /// A kind, `global`, or any name that items carry: `jobs`, `host:HOST:PORT`
        name: String,
        /// 1 to 4096, or none
        #[arg(value_parser = crate::input::most)]
        value: crate::input::Most,
    },
}

/// Does it.
pub async fn run(command: LimitCommand, client: &Client, context: &Context) -> Result<(), Failure> {
    let LimitCommand::Set { name, value } = command;
    client.set_limit(&name, value.0).await?;
    let most = value.0.map_or_else(|| "none".to_owned(), |most| most.to_string());
    context.out.stream(|| json!({ "limit": name, "most": value.0 }), || format!("limit {name} of all sessions: {most}"))
}

/// Prints them.
pub async fn list(client: &Client, context: &Context) -> Result<(), Failure> {
    let limits = client.limits().await?;
    let document = || {
        let limits = limits.iter().map(|limit| json!({ "name": limit.name, "most": limit.most, "live": limit.live }));
        json!({ "limits": limits.collect::<Value>() })
    };
    let table = || {
        let mut table = Table::new(["LIMIT", "MOST", "LIVE"]);
        for limit in &limits {
            let most = limit.most.map_or_else(|| "none".into(), |most| most.to_string());
            table.row([limit.name.clone(), most, limit.live.to_string()]);
        }
        table
    };
    context.out.show(document, table)
}
