//! What is counted, and how it is told to Prometheus. Every name stands here, in [`alerts`] or in [`jobs`], with its unit.
//!
//! Labels are bounded: routes are those of the table, methods and statuses are classes, states are enumerated, and only
//! so many jobs and collections have figures of their own. No session, item or worker is ever a label.

pub mod alerts;
pub mod jobs;

use axum::http::{Method, StatusCode};
use capstan_coordinator::{Role, Status};
use capstan_registry::SystemView;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds.
const BUCKETS: [u64; 15] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000, 15_000_000,
    61_000_000,
];
/// How all of this is written.
pub const TEXT_FORM: &str = "text/plain; version=0.0.4; charset=utf-8";
const LEADER: &str = "capstan_coordinator_leader";
const LEADER_HELP: &str = "1 while this server leads.";
const EPOCH: &str = "capstan_coordinator_epoch";
const EPOCH_HELP: &str = "The number of the leadership.";
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "other"];
const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The figures of every route of one server.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Free places of jobs' pools, added up from scrape to scrape.
    pub idle: Arc<jobs::IdleTimes>,
    routes: Arc<Mutex<Vec<Arc<RouteFigures>>>>,
}

/// The figures of one route, counted without a lock.
#[derive(Debug)]
pub struct RouteFigures {
    route: &'static str,
    requests: [[AtomicU64; STATUSES.len()]; METHODS.len()],
    took: [AtomicU64; BUCKETS.len() + 1],
    took_micros: AtomicU64,
}

impl Metrics {
    /// The figures of a route, made when the routes are.
    pub fn route(&self, route: &'static str) -> Arc<RouteFigures> {
        let figures = Arc::new(RouteFigures {
            route,
            requests: Default::default(),
            took: Default::default(),
            took_micros: AtomicU64::new(0),
        });
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&figures));
        figures
    }

    /// The figures of all routes in Prometheus' text form.
    pub fn write(&self, text: &mut String) {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        describe(
            text,
            "capstan_http_requests_total",
            "counter",
            "Requests answered, by route, method and class of status.",
        );
        for figures in &routes {
            figures.write_requests(text);
        }
        describe(
            text,
            "capstan_http_request_seconds",
            "histogram",
            "Time from a request's head to its answer's, by route.",
        );
        for figures in &routes {
            figures.write_times(text);
        }
    }
}

impl RouteFigures {
    /// Counts one answered request.
    pub fn count(&self, method: &Method, status: StatusCode, took: Duration) {
        let method = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
        let status = usize::from(status.as_u16() / 100).clamp(1, STATUSES.len()) - 1;
        let micros = took.as_micros() as u64;
        let bucket = BUCKETS.iter().position(|most| micros <= *most).unwrap_or(BUCKETS.len());
        self.requests[method][status].fetch_add(1, Ordering::Relaxed);
        self.took[bucket].fetch_add(1, Ordering::Relaxed);
        self.took_micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn write_requests(&self, text: &mut String) {
        for (method, statuses) in METHODS.iter().zip(&self.requests) {
            for (status, count) in STATUSES.iter().zip(statuses) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    line(
                        text,
                        format_args!(
                            "capstan_http_requests_total{{route=\"{}\",method=\"{method}\",status=\"{status}\"}} {count}",
                            self.route
                        ),
                    );
                }
            }
        }
    }

    fn write_times(&self, text: &mut String) {
        let counts: Vec<u64> = self.took.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        if all == 0 {
            return;
        }
        let mut below = 0;
        for (most, count) in BUCKETS.iter().zip(&counts) {
            below += count;
            let most = *most as f64 / 1e6;
            line(
                text,
                format_args!("capstan_http_request_seconds_bucket{{route=\"{}\",le=\"{most}\"}} {below}", self.route),
            );
        }
        line(text, format_args!("capstan_http_request_seconds_bucket{{route=\"{}\",le=\"+Inf\"}} {all}", self.route));
        let seconds = self.took_micros.load(Ordering::Relaxed) as f64 / 1e6;
        line(text, format_args!("capstan_http_request_seconds_sum{{route=\"{}\"}} {seconds}", self.route));
        line(text, format_args!("capstan_http_request_seconds_count{{route=\"{}\"}} {all}", self.route));
    }
}

/// The coordinator's figures, read without asking it.
pub fn write_status(text: &mut String, status: &Status) {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counters = [
        ("capstan_coordinator_commands_total", "Commands decided since the start.", &status.commands),
        ("capstan_coordinator_overloaded_total", "Requests refused because the queue was full.", &status.overloaded),
        ("capstan_journal_events_total", "Events made durable since the start.", &status.events),
        ("capstan_journal_flushes_total", "Flushes since the start.", &status.flushes),
        ("capstan_journal_written_bytes_total", "Bytes of events made durable since the start.", &status.bytes),
        ("capstan_journal_snapshots_total", "Snapshots finished since the start.", &status.snapshots),
        ("capstan_journal_snapshots_failed_total", "Snapshots that failed since the start.", &status.snapshots_failed),
        ("coordinator_registrations_total", "Pipelines registered since the start.", &status.registrations),
        (
            "coordinator_unregistrations_total",
            "Pipelines taken out since the start, by whoever asked or by time.",
            &status.unregistrations,
        ),
        ("coordinator_status_updates_total", "Status events of pipelines since the start.", &status.status_updates),
    ];
    for (name, help, counter) in counters {
        describe(text, name, "counter", help);
        line(text, format_args!("{name} {}", read(counter)));
    }
    describe(text, "capstan_journal_flush_seconds_total", "counter", "Time spent in flushes since the start.");
    line(text, format_args!("capstan_journal_flush_seconds_total {}", read(&status.flush_micros) as f64 / 1e6));
    let leads = u64::from(status.role() == Role::Leader);
    let gauges = [
        (LEADER, LEADER_HELP, leads),
        (EPOCH, EPOCH_HELP, status.epoch().get()),
        ("capstan_coordinator_waiting_acquirers", "Acquirers that wait for work now.", read(&status.waiting)),
        ("capstan_journal_durable_position", "Everything up to here is durable.", status.durable().get()),
    ];
    for (name, help, value) in gauges {
        describe(text, name, "gauge", help);
        line(text, format_args!("{name} {value}"));
    }
}

/// Items and sessions by state, over all sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkFigures {
    /// Items by the name of their state.
    pub items: std::collections::BTreeMap<&'static str, u64>,
    /// Sessions by the name of their state.
    pub sessions: std::collections::BTreeMap<&'static str, u64>,
}

impl WorkFigures {
    /// In Prometheus' text form.
    pub fn write(&self, text: &mut String) {
        describe(text, "capstan_work_items", "gauge", "Items of all sessions by state.");
        for (state, count) in &self.items {
            line(text, format_args!("capstan_work_items{{state=\"{state}\"}} {count}"));
        }
        describe(text, "capstan_work_sessions", "gauge", "Sessions by state.");
        for (state, count) in &self.sessions {
            line(text, format_args!("capstan_work_sessions{{state=\"{state}\"}} {count}"));
        }
    }
}

/// All pipelines together, under the names that the seed gives them.
pub fn write_registry(text: &mut String, system: &SystemView) {
    describe(text, "coordinator_pipelines_total", "gauge", "Pipelines by what they last said they are doing.");
    for (status, count) in system.by_status {
        line(text, format_args!("coordinator_pipelines_total{{status=\"{status}\"}} {count}"));
    }
    let room = &system.availability;
    let gauges = [
        ("coordinator_health", "0 idle, 1 healthy, 2 degraded, 3 critical.", system.health as u8 as f64),
        ("coordinator_pipelines_failed", "Pipelines that count as failed in the health.", system.failed as f64),
        ("coordinator_pipelines_stale", "Pipelines that are silent for too long.", system.stale as f64),
        ("coordinator_cpu_percent_total", "CPU that all pipelines use, in percent.", system.used.cpu.as_percent()),
        ("coordinator_memory_mb_total", "Memory that all pipelines use, in MB.", system.used.memory_mb as f64),
        ("coordinator_cpu_percent_claimed", "CPU that is used or reserved, in percent.", room.claimed.cpu.as_percent()),
        ("coordinator_memory_mb_claimed", "Memory that is used or reserved, in MB.", room.claimed.memory_mb as f64),
        ("coordinator_cpu_percent_max", "CPU that may be claimed, in percent.", room.limits.cpu.as_percent()),
        ("coordinator_memory_mb_max", "Memory that may be claimed, in MB.", room.limits.memory_mb as f64),
        ("coordinator_reservations", "Reservations that are held.", system.reservations as f64),
        ("coordinator_reservations_waiting", "Reservations that wait for room.", room.waiting as f64),
    ];
    for (name, help, value) in gauges {
        describe(text, name, "gauge", help);
        line(text, format_args!("{name} {value}"));
    }
}

/// What a server tells that follows another. That it does not lead is told by the same name as that one does.
pub fn write_standby(text: &mut String, epoch: u64, ready: bool) {
    let gauges = [
        (LEADER, LEADER_HELP, 0),
        (EPOCH, EPOCH_HELP, epoch),
        ("capstan_standby_ready", "1 where a standby knows who leads and could lead itself.", u64::from(ready)),
    ];
    for (name, help, value) in gauges {
        describe(text, name, "gauge", help);
        line(text, format_args!("{name} {value}"));
    }
}

/// Which version runs here.
pub fn write_build(text: &mut String, version: &str) {
    describe(text, "capstan_build_info", "gauge", "Always 1; the version is a label.");
    line(text, format_args!("capstan_build_info{{version=\"{version}\"}} 1"));
}

fn describe(text: &mut String, name: &str, sort: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {sort}"));
}

fn line(text: &mut String, written: std::fmt::Arguments<'_>) {
    writeln!(text, "{written}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_what_is_below_each_bound() {
        let metrics = Metrics::default();
        let figures = metrics.route("/x/{id}");
        figures.count(&Method::GET, StatusCode::OK, Duration::from_micros(300));
        figures.count(&Method::GET, StatusCode::NOT_FOUND, Duration::from_millis(3));
        figures.count(&Method::TRACE, StatusCode::OK, Duration::from_secs(100));

        let mut text = String::new();
        metrics.write(&mut text);

        for wanted in [
            "capstan_http_requests_total{route=\"/x/{id}\",method=\"GET\",status=\"2xx\"} 1",
            "capstan_http_requests_total{route=\"/x/{id}\",method=\"GET\",status=\"4xx\"} 1",
            "capstan_http_requests_total{route=\"/x/{id}\",method=\"other\",status=\"2xx\"} 1",
            "capstan_http_request_seconds_bucket{route=\"/x/{id}\",le=\"0.0005\"} 1",
            "capstan_http_request_seconds_bucket{route=\"/x/{id}\",le=\"0.005\"} 2",
            "capstan_http_request_seconds_bucket{route=\"/x/{id}\",le=\"61\"} 2",
            "capstan_http_request_seconds_bucket{route=\"/x/{id}\",le=\"+Inf\"} 3",
            "capstan_http_request_seconds_count{route=\"/x/{id}\"} 3",
        ] {
            assert!(text.lines().any(|line| line == wanted), "{wanted}\n{text}");
        }
    }
}
