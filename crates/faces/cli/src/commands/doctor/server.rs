//! A server, as its clients see it.

use super::finding::Finding;
use crate::context::Context;

/// Whether it answers, what it does, and whether its jobs need somebody.
pub async fn look(context: &Context) -> Vec<Finding> {
    let check = "server";
    let unanswered = |why: String| Finding::wrong(check, why, "start it, or choose another with --server");
    let client = match context.client().await {
        Ok(client) => client,
        Err(failure) => return vec![unanswered(failure.to_string())],
    };
    let info = match client.info().await {
        Ok(info) => info,
        Err(error) => return vec![unanswered(error.to_string())],
    };
    let told = format!("{} is {} of version {}, epoch {}", info.http_address, info.role, info.version, info.epoch);
    let mut findings = vec![match info.role.as_str() {
        "leader" => Finding::good(check, told),
        "standby" => Finding::noted(check, told),
        _ => Finding::wrong(check, told, "see its log"),
    }];
    if info.version != env!("CARGO_PKG_VERSION") {
        let told = format!("the server has {}, this program {}", info.version, env!("CARGO_PKG_VERSION"));
        findings.push(Finding::noted("versions", told));
    }
    if info.role != "leader" {
        return findings;
    }
    match client.all_jobs().await {
        Ok(jobs) => {
            let waiting: Vec<&str> = jobs
                .iter()
                .filter(|job| job.state == "paused" && job.failed > 0)
                .map(|job| job.name.as_str())
                .collect();
            findings.push(if waiting.is_empty() {
                Finding::good("jobs", format!("{} in all, none waits for somebody", jobs.len()))
            } else {
                Finding::wrong(
                    "jobs",
                    format!("{} paused with failed items: {}", waiting.len(), waiting.join(", ")),
                    "look at `capstan job status`, then `capstan job resume` or `cancel`",
                )
            });
        }
        Err(error) => findings.push(Finding::wrong("jobs", error.to_string(), "see the server's log")),
    }
    findings
}
