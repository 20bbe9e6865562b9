//! What is counted of alerts. By severity and never by receiver: an address may hold a secret.

use super::{describe, line};
use capstan_registry::Severity;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of this server's alerts since its start: each of them once for each receiver.
#[derive(Clone, Debug, Default)]
pub struct AlertFigures(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: [AtomicU64; Severity::ALL.len()],
    failed: AtomicU64,
    superseded: AtomicU64,
    pending: AtomicU64,
}

impl AlertFigures {
    /// One more is to be delivered.
    pub fn begin(&self) {
        self.0.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// One arrived.
    pub fn sent(&self, severity: Severity) {
        self.end(&self.0.sent[severity as usize]);
    }

    /// One was refused or given up.
    pub fn failed(&self) {
        self.end(&self.0.failed);
    }

    /// One gave way to a newer one.
    pub fn superseded(&self) {
        self.end(&self.0.superseded);
    }

    /// One is left to the next leader.
    pub fn left(&self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }

    fn end(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
        self.left();
    }

    /// In Prometheus' text form.
    pub(crate) fn write(&self, text: &mut String) {
        let counts = &*self.0;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let name = "coordinator_alerts_sent_total";
        describe(text, name, "counter", "Alerts, warnings and ends of them that receivers took since the start.");
        for severity in Severity::ALL {
            line(text, format_args!("{name}{{severity=\"{severity}\"}} {}", read(&counts.sent[severity as usize])));
        }
        for (name, sort, help, counter) in [
            ("coordinator_alerts_failed_total", "counter", "Alerts that were refused or given up.", &counts.failed),
            (
                "coordinator_alerts_superseded_total",
                "counter",
                "Alerts that gave way to a newer one before they were delivered.",
                &counts.superseded,
            ),
            ("coordinator_alerts_pending", "gauge", "Alerts that are to be delivered.", &counts.pending),
        ] {
            describe(text, name, sort, help);
            line(text, format_args!("{name} {}", read(counter)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_is_pending_until_its_fate_is_counted() {
        let figures = AlertFigures::default();
        (0..6).for_each(|_| figures.begin());
        figures.sent(Severity::Alert);
        figures.sent(Severity::Resolved);
        figures.failed();
        figures.superseded();
        figures.left();

        let mut text = String::new();
        figures.write(&mut text);

        for wanted in [
            "coordinator_alerts_sent_total{severity=\"alert\"} 1",
            "coordinator_alerts_sent_total{severity=\"warning\"} 0",
            "coordinator_alerts_sent_total{severity=\"resolved\"} 1",
            "coordinator_alerts_failed_total 1",
            "coordinator_alerts_superseded_total 1",
            "coordinator_alerts_pending 1",
        ] {
            assert!(text.lines().any(|line| line == wanted), "{wanted}\n{text}");
        }
    }
}
