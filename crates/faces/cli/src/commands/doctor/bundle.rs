//! What was found, in one file to hand on. It holds no secret: jobs hold none, and the secrets folder is not read.

use super::finding::Finding;
use crate::context::Context;
use crate::failure::Failure;
use crate::render;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::Path;

/// Jobs that a bundle lists.
const JOBS_MAX: usize = 100;

/// Writes it.
pub async fn write(file: &Path, findings: &[Finding], context: &Context) -> Result<(), Failure> {
    let mut bundle = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "at": jiff::Timestamp::now().to_string(),
        "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "checks": findings.iter().map(Finding::document).collect::<Value>(),
    });
    if context.chosen_server().is_some() {
        bundle["server"] =
            about_the_server(context).await.unwrap_or_else(|failure| json!({ "error": failure.to_string() }));
    }
    let text = format!("{bundle:#}\n");
    std::fs::write(file, text).with_context(|| format!("write the bundle to {}", file.display()))?;
    Ok(())
}

async fn about_the_server(context: &Context) -> Result<Value, Failure> {
    let client = context.client().await?;
    let jobs = client.all_jobs().await?;
    let workers = render::workers(&client.workers().await?, jiff::Timestamp::now()).0;
    Ok(json!({
        "jobs": jobs.iter().take(JOBS_MAX).map(|job| {
            let spec: Value = serde_json::from_str(&job.spec).unwrap_or_default();
            json!({ "status": crate::commands::job::document(job), "spec": spec })
        }).collect::<Value>(),
        "jobs_in_all": jobs.len(),
        "workers": workers,
    }))
}
