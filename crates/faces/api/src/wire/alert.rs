//! What a webhook gets: one JSON document, described in docs/alerts.md.

use super::room::SystemShape;
use super::time;
use capstan_ids::WallTime;
use capstan_registry::{Alert, Health, PipelineView, Severity};
use serde::Serialize;

/// Goes up where a field changes its meaning or goes away; new fields may come at any time.
const VERSION: u32 = 1;
/// Pipelines that the sentence names.
const NAMED_MAX: usize = 5;
/// Characters of an id in the sentence.
const ID_CHARS_MAX: usize = 64;

/// What is wrong, or no longer.
#[derive(Debug, Serialize)]
pub struct AlertShape {
    version: u32,
    id: String,
    severity: &'static str,
    reminder: u64,
    health: &'static str,
    previous: &'static str,
    #[serde(serialize_with = "time::serialize")]
    since: WallTime,
    #[serde(serialize_with = "time::serialize_option")]
    trouble_since: Option<WallTime>,
    #[serde(serialize_with = "time::serialize")]
    at: WallTime,
    text: String,
    system: SystemShape,
    pipelines: Vec<TroubledShape>,
    pipelines_in_trouble: u64,
    server: String,
}

/// A pipeline that has failed or is stale.
#[derive(Debug, Serialize)]
struct TroubledShape {
    id: String,
    name: String,
    group: Option<String>,
    status: &'static str,
    stale: bool,
}

impl AlertShape {
    /// An alert of a server that is reached at an address.
    pub fn of(alert: Alert, server: &str) -> Self {
        Self {
            text: sentence(&alert, server),
            version: VERSION,
            id: alert.id,
            severity: alert.severity.name(),
            reminder: alert.reminder,
            health: alert.course.health.name(),
            previous: alert.course.before.name(),
            since: alert.course.since,
            trouble_since: alert.course.trouble_since,
            at: alert.at,
            system: alert.system.into(),
            pipelines: alert.troubled.into_iter().map(TroubledShape::from).collect(),
            pipelines_in_trouble: alert.troubled_total,
            server: server.to_owned(),
        }
    }

    /// As it is sent.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain fields can be written")
    }
}

impl From<PipelineView> for TroubledShape {
    fn from(view: PipelineView) -> Self {
        Self {
            id: view.id.to_string(),
            name: view.name.to_string(),
            group: view.group.map(|group| group.to_string()),
            status: view.status.name(),
            stale: view.stale_since.is_some(),
        }
    }
}

/// One sentence or two for people.
///
/// Chat programs take marks in it for links, and for calls to everybody in a room: of what clients chose it holds ids
/// alone, without such marks.
fn sentence(alert: &Alert, server: &str) -> String {
    let (course, system) = (&alert.course, &alert.system);
    let still = if alert.reminder > 0 { "still " } else { "" };
    let since = time::text(course.since);
    let stands = format!("health is {still}{} since {since}, and was {} before.", course.health, course.before);
    let told = match (alert.severity, course.health) {
        (Severity::Resolved, Health::Idle) => "There are no pipelines.".to_owned(),
        (Severity::Resolved, _) => format!("None of {} pipelines has failed.", system.pipelines),
        _ => {
            let trouble = if alert.troubled_total == 1 { "has failed or is stale" } else { "have failed or are stale" };
            format!("{} of {} pipelines {trouble}: {}.", alert.troubled_total, system.pipelines, names(alert))
        }
    };
    format!("Capstan {}: {stands} {told} {server}", alert.severity)
}

fn names(alert: &Alert) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_./:".contains(c) { c } else { '?' };
    let quoted = |pipeline: &PipelineView| {
        let id: String = pipeline.id.as_str().chars().map(plain).take(ID_CHARS_MAX).collect();
        format!("`{id}`")
    };
    let named: Vec<_> = alert.troubled.iter().take(NAMED_MAX).map(quoted).collect();
    match alert.troubled_total - named.len() as u64 {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_ids::{Millis, Moment, Monotonic};
    use capstan_registry::{
        AlertPolicy, Alerting, Command, Course, PipelineGroup, PipelineId, PipelineName, PipelineStatus, Register,
        Registry, StatusReport,
    };
    use serde_json::Value;

    /// A registry of so many pipelines, of which these have failed.
    fn alert(ids: &[&str], failed: usize) -> Alert {
        let now = Moment { monotonic: Monotonic(5_000), wall: WallTime(1_790_000_000_000_000) };
        let mut registry = Registry::new();
        let mut ask = |command| registry.perform(&command, now, &mut |_| {}).unwrap();
        for (at, id) in ids.iter().enumerate() {
            let id = PipelineId::new(id).unwrap();
            let group = Some(PipelineGroup::new("shop").unwrap());
            let name = PipelineName::new("Orders <b>").unwrap();
            ask(Command::Register(Register { group, ..Register::new(id.clone(), name) }));
            if at < failed {
                let status = PipelineStatus::Failed;
                let report = StatusReport { id, status, total_records: 0, failed_records: 0, bytes_moved: None };
                ask(Command::UpdateStatus(report));
            }
        }
        let policy = AlertPolicy { hold: Millis::ZERO, repeat: None };
        Alerting::begin(policy, &Course::START, now).look(&registry, now).expect("something is wrong")
    }

    #[test]
    fn a_webhook_gets_this_document() {
        let shape = AlertShape::of(alert(&["a", "b"], 1), "http://capstan:8000");
        let document: Value = serde_json::from_slice(&shape.to_json()).unwrap();
        insta::assert_json_snapshot!(document);
    }

    #[test]
    fn the_sentence_names_some_and_calls_nobody() {
        let ids = ["<!channel>", "@all", "a`b", "c", "d", "e", "f", "g"];
        let text = sentence(&alert(&ids, 8), "http://capstan:8000");
        assert_eq!(
            text,
            "Capstan alert: health is critical since 2026-09-21T14:13:20.000000Z, and was healthy before. 8 of 8 pipelines \
             have failed or are stale: `??channel?`, `?all`, `a?b`, `c`, `d` and 3 more. http://capstan:8000"
        );
    }
}
