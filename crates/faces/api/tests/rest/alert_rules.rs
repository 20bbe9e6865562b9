//! The alert rules that are shipped: everything they name is exported by a server, and leads somewhere.

use crate::expression::{self, Named};
use crate::world::World;
use axum::body::Body;
use axum::http::Request;
use capstan_api::{Lines, Standby, standby};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Labels that Prometheus adds to what it scrapes.
const OF_THE_TARGET: [&str; 2] = ["instance", "job"];
/// A metric that Prometheus makes itself.
const UP: &str = "up";

struct Rule {
    alert: String,
    expression: String,
    severity: String,
    annotations: BTreeMap<String, String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

fn rules() -> Vec<Rule> {
    let text = std::fs::read_to_string(root().join("deploy/prometheus/capstan.rules.yml")).unwrap();
    let documents = Yaml::load_from_str(&text).unwrap();
    let text_of = |node: &Yaml<'_>| node.as_str().unwrap_or_else(|| panic!("{node:?} is no text")).to_owned();
    let field = |node: &Yaml<'_>, name: &str| {
        text_of(node.as_mapping_get(name).unwrap_or_else(|| panic!("there is no {name} in {node:?}")))
    };
    let groups = documents[0].as_mapping_get("groups").unwrap().as_vec().unwrap();
    let rules = groups.iter().flat_map(|group| group.as_mapping_get("rules").unwrap().as_vec().unwrap());
    let rules = rules.map(|rule| Rule {
        alert: field(rule, "alert"),
        expression: field(rule, "expr"),
        severity: field(rule.as_mapping_get("labels").unwrap(), "severity"),
        annotations: rule
            .as_mapping_get("annotations")
            .unwrap()
            .as_mapping()
            .unwrap()
            .iter()
            .map(|(name, value)| (text_of(name), text_of(value)))
            .collect(),
    });
    rules.collect()
}

/// Metrics with their labels, and each label with the values it was seen with.
#[derive(Default)]
struct Exported(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Exported {
    fn add(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let sample = line.rsplit_once(' ').unwrap().0;
            let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
            let metric = self.0.entry(name.to_owned()).or_default();
            for label in labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
                let (label, value) = label.split_once("=\"").unwrap();
                metric.entry(label.to_owned()).or_default().insert(value.trim_end_matches('"').to_owned());
            }
        }
    }

    /// What of an expression no server exports.
    fn lacks(&self, named: &Named) -> Vec<String> {
        let mut lacking = Vec::new();
        for (name, matchers) in named.metrics.iter().filter(|(name, _)| name != UP) {
            let Some(labels) = self.0.get(name) else {
                lacking.push(name.clone());
                continue;
            };
            for (label, value) in matchers {
                let seen = labels.get(label);
                if !seen.is_some_and(|seen| value.as_ref().is_none_or(|value| seen.contains(value))) {
                    lacking.push(format!("{name}{{{label}={value:?}}}, seen were {seen:?}"));
                }
            }
            let grouped = named.groups.iter().filter(|label| !self.has(name, label));
            lacking.extend(grouped.map(|label| format!("{name} by {label}")));
        }
        lacking
    }

    fn has(&self, metric: &str, label: &str) -> bool {
        OF_THE_TARGET.contains(&label) || self.0.get(metric).is_some_and(|labels| labels.contains_key(label))
    }
}

/// What a leader, one that has stopped and a standby export, with a job, a pipeline, items and requests that failed.
async fn exported() -> Exported {
    let mut exported = Exported::default();
    let world = World::with_items(&["a", "b"]).await;
    world.acquire("w").await;
    let spec = json!({ "from": "dump:/from", "to": "dump:/to" });
    world.post("/api/v1/jobs", json!({ "name": "shop", "spec": spec })).await.with(201);
    let wish = json!({ "worker_id": "w", "kinds": ["plan"] });
    let lease = world.post("/api/v1/sessions/job-shop/acquire", wish).await.with(200)["leases"][0].clone();
    let units = json!([{ "source": { "database": "shop", "collection": "orders" }, "definition": {} }]);
    let done = json!({ "token": lease["token"], "result": { "units": units } });
    let path = format!("/api/v1/sessions/job-shop/items/{}/complete", lease["id"].as_str().unwrap());
    world.post(&path, done).await.with(200);
    exported.add(&world.get("/metrics").await.text());

    let world = world.stop().await;
    assert_eq!(world.get("/api/v1/system").await.status, 503);
    exported.add(&world.get("/metrics").await.text());

    let follower = Standby {
        leader: Some("http://127.0.0.1:1".into()),
        epoch: 7,
        trouble: None,
        version: "1.2.3".into(),
        over: CancellationToken::new(),
        lines: Lines::default(),
    };
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = standby(follower).oneshot(request).await.unwrap();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    for line in ["capstan_coordinator_leader 0", "capstan_coordinator_epoch 7", "capstan_standby_ready 1"] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
    exported.add(&text);
    exported
}

#[tokio::test]
async fn every_metric_and_label_of_every_rule_is_exported() {
    let exported = exported().await;

    for Rule { alert, expression, annotations, .. } in rules() {
        let named = expression::named(&expression);
        assert!(!named.metrics.is_empty(), "{alert} looks at nothing");
        assert_eq!(exported.lacks(&named), Vec::<String>::new(), "{alert}: {expression}");
        for (annotation, text) in annotations {
            for after in text.split("$labels.").skip(1) {
                let label = after.split(|each: char| !each.is_ascii_alphanumeric() && each != '_').next().unwrap();
                let known = named.metrics.iter().any(|(metric, _)| exported.has(metric, label));
                assert!(known, "{alert} names the label {label} in its {annotation}, and nothing has that");
            }
        }
    }
}

#[tokio::test]
async fn a_metric_a_label_or_a_value_that_nobody_exports_is_found() {
    let exported = exported().await;
    for (wrong, what) in [
        ("coordinator_helth == 3", "coordinator_helth"),
        (r#"coordinator_pipelines_total{state="failed"}"#, "state"),
        (r#"coordinator_pipelines_total{status="faild"}"#, "faild"),
        ("sum by (session) (capstan_work_items)", "capstan_work_items by session"),
    ] {
        let lacking = exported.lacks(&expression::named(wrong));
        assert!(lacking.len() == 1 && lacking[0].contains(what), "{wrong}: {lacking:?}");
    }
}

#[tokio::test]
async fn a_paused_job_is_not_active_and_nobody_is_called_for_it() {
    let world = World::empty();
    let spec = json!({ "from": "dump:/from", "to": "dump:/to" });
    world.post("/api/v1/jobs", json!({ "name": "shop", "spec": spec })).await.with(201);
    let active = async || {
        let text = world.get("/metrics").await.text();
        text.lines().find_map(|line| line.strip_prefix("capstan_job_active{job_name=\"shop\"} ").map(str::to_owned))
    };
    assert_eq!(active().await.as_deref(), Some("1"));

    world.post("/api/v1/jobs/shop/pause", json!({})).await.with(200);

    assert_eq!(active().await.as_deref(), Some("0"));
}

#[test]
fn every_rule_has_a_severity_and_words_and_leads_to_a_page() {
    let rules = rules();
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.alert.as_str()).collect();
    assert_eq!(names.len(), rules.len(), "every alert has a name of its own");
    for Rule { alert, severity, annotations, .. } in &rules {
        assert!(["warning", "critical"].contains(&severity.as_str()), "{alert}: {severity}");
        let names: Vec<&str> = annotations.keys().map(String::as_str).collect();
        assert_eq!(names, ["description", "runbook_url", "summary"], "{alert}");
        assert!(annotations.values().all(|text| !text.trim().is_empty()), "{alert}");
        let (page, place) = annotations["runbook_url"].split_once('#').unwrap();
        assert_eq!(place, alert.to_lowercase(), "{alert}");
        let text = std::fs::read_to_string(root().join(page)).unwrap_or_else(|why| panic!("{alert}: {page}: {why}"));
        assert!(text.lines().any(|line| line == format!("### {alert}")), "{page} says nothing of {alert}");
        assert!(text.contains(&format!("| [{alert}](#{place}) | {severity} |")), "{alert} is not in the table");
    }
    let of = |name: &str| &rules.iter().find(|rule| rule.alert == name).unwrap().severity;
    assert_eq!(
        (of("CapstanRegistryCritical").as_str(), of("CapstanRegistryDegraded").as_str()),
        ("critical", "warning")
    );
}

#[test]
fn promtool_takes_the_rules_and_their_cases() {
    const NAME: &str = "alert_rules::promtool_takes_the_rules_and_their_cases";
    let Some(promtool) = std::env::var_os("CAPSTAN_TEST_PROMTOOL") else {
        return capstan_testkit::skipped(NAME, "CAPSTAN_TEST_PROMTOOL is not set");
    };
    for (command, file) in [("check", "capstan.rules.yml"), ("test", "capstan.rules.test.yml")] {
        let output = std::process::Command::new(&promtool)
            .args([command, "rules", file])
            .current_dir(root().join("deploy/prometheus"))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "promtool {command} rules {file}:\n{}", String::from_utf8_lossy(&said));
    }
}
