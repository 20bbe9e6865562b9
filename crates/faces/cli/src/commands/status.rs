//! What the server and its sessions are doing.

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Table;
use crate::render;
use capstan_client::v1;
use clap::Args;
use serde_json::json;

/// Sessions that are listed with the server's status; `capstan session list` has all.
const SESSIONS: u32 = 1_000;

/// Nothing to choose.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  capstan status\n  capstan status --server http://10.0.0.7:8000 --output json")]
pub struct StatusOptions {}

/// Prints the server's role and the counts of its sessions.
pub async fn run(_: StatusOptions, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let info = client.info().await?;
    // A standby answers for itself alone.
    let sessions = if info.role == "leader" { client.sessions(SESSIONS, "").await?.entries } else { Vec::new() };
    let system = if info.role == "leader" { Some(client.system_status().await?) } else { None };
    let statuses: Vec<_> = sessions.iter().filter_map(|session| session.status.as_ref()).collect();
    if context.out.is_data() {
        let sessions = statuses.iter().map(|status| render::status(status)).collect::<Vec<_>>();
        let system = system.as_ref().map(render::system);
        let document = json!({ "server": server(&info), "sessions": sessions, "system": system });
        return context.out.show(|| document, || Table::new([]));
    }
    let mut table = Table::new(["SERVER", "VERSION", "ROLE", "EPOCH", "GRPC", "POSITION", "WAITING"]);
    table.row([
        info.http_address.clone(),
        info.version.clone(),
        info.role.clone(),
        info.epoch.to_string(),
        info.grpc_address.clone(),
        info.durable_position.to_string(),
        info.waiting.to_string(),
    ]);
    context.out.show(|| json!(null), || table)?;
    if let Some(system) = system {
        context.out.text("\n")?;
        context.out.show(|| json!(null), || render::system_table(&system))?;
    }
    if !statuses.is_empty() {
        context.out.text("\n")?;
        context.out.show(|| json!(null), || render::status_of_all(statuses))?;
    }
    Ok(())
}

fn server(info: &v1::InfoResponse) -> serde_json::Value {
    json!({
        "version": info.version,
        "role": info.role,
        "leader": info.leader,
        "epoch": info.epoch,
        "http_address": info.http_address,
        "grpc_address": info.grpc_address,
        "durable_position": info.durable_position,
        "waiting": info.waiting,
    })
}
