//! Looks for what is wrong with this machine, a data directory, and a server, and writes it all into a bundle.
//!
//! Only looks: nothing is opened for writing but a probe file, and no secret is read.

mod bundle;
mod finding;
mod local;
mod server;

use self::finding::{Finding, Standing};
use crate::context::Context;
use crate::failure::Failure;
use crate::home::state_folder;
use crate::output::Table;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Where to look.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan doctor
  capstan doctor --data-dir /var/lib/capstan --server http://127.0.0.1:8000
  capstan doctor --bundle support.json
Exits with 0 only where nothing is wrong. The bundle holds no secret: read it before you hand it on.")]
pub struct DoctorOptions {
    /// The data directory; the user's state folder where nothing is said
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write what was found, and more about the server's jobs, to a file in JSON
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// Looks at everything, and says what is wrong.
pub async fn run(options: DoctorOptions, context: &Context) -> Result<(), Failure> {
    let data_dir = options.data_dir.clone().map_or_else(state_folder, Ok)?;
    let mut findings = local::look(&data_dir).await;
    if context.chosen_server().is_some() {
        findings.extend(server::look(context).await);
    }
    if let Some(file) = &options.bundle {
        bundle::write(file, &findings, context).await?;
        eprintln!("wrote {}", file.display());
    }
    context.out.show(|| document(&findings), || table(&findings))?;
    if findings.iter().any(|finding| finding.standing == Standing::Wrong) { Err(Failure::Said(1)) } else { Ok(()) }
}

fn document(findings: &[Finding]) -> Value {
    let wrong = findings.iter().filter(|finding| finding.standing == Standing::Wrong).count();
    json!({ "wrong": wrong, "checks": findings.iter().map(Finding::document).collect::<Value>() })
}

fn table(findings: &[Finding]) -> Table {
    let mut table = Table::new(["CHECK", "STATE", "FOUND"]);
    for finding in findings {
        table.row([finding.check.to_owned(), finding.standing.name().to_owned(), finding.told()]);
    }
    table
}
