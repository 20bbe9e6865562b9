//! What is drawn, as text.

use crate::commands::job::NO_WORKER;
use crate::render::{ChunkMap, cells};
use capstan_api::report::{State, grouped, size};
use capstan_client::v1;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Workers and sessions that are listed.
const ROWS: usize = 12;

/// One look at a server.
#[derive(Debug, Default)]
pub struct Frame {
    pub info: v1::InfoResponse,
    pub sessions: Vec<v1::SessionStatus>,
    pub more_sessions: bool,
    pub jobs: Vec<JobFrame>,
    pub jobs_more: usize,
    pub jobs_ended: usize,
    pub workers: Vec<v1::Worker>,
}

/// A job that goes on.
#[derive(Debug, Default)]
pub struct JobFrame {
    pub job: v1::Job,
    /// Documents and bytes a second since the look before, if there was one.
    pub rate: Option<(f64, f64)>,
    pub units: Vec<UnitFrame>,
    pub units_more: usize,
}

/// A unit that something is left to do for.
#[derive(Debug, Default)]
pub struct UnitFrame {
    pub source: String,
    pub percent: f64,
    pub states: Vec<State>,
}

/// Text of at most so many lines and columns.
struct Lines {
    text: String,
    width: usize,
    left: usize,
}

impl Lines {
    /// A line, cut to the width; it has no colour but where it is a heading.
    fn put(&mut self, line: &str, bold: bool) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let cut: String = line.chars().take(self.width).collect();
        let cut = cut.trim_end();
        if bold {
            writeln!(self.text, "\u{1b}[1m{cut}\u{1b}[0m").expect("writing to a string cannot fail");
        } else {
            writeln!(self.text, "{cut}").expect("writing to a string cannot fail");
        }
    }

    /// A line that fits already and may hold colour.
    fn put_whole(&mut self, line: &str) {
        if self.left > 0 {
            self.left -= 1;
            self.text.push_str(line);
            self.text.push('\n');
        }
    }
}

impl Frame {
    /// As people see it.
    pub fn text(&self, width: usize, height: usize, colour: bool) -> String {
        let mut lines = Lines { text: String::new(), width, left: height };
        let info = &self.info;
        let head = format!(
            "capstan {}  {}  {}  epoch {}  position {}  waiting {}",
            info.version, info.http_address, info.role, info.epoch, info.durable_position, info.waiting
        );
        lines.put(&head, colour);
        self.jobs(&mut lines, colour);
        self.workers(&mut lines, colour);
        self.sessions(&mut lines, colour);
        lines.text
    }

    fn jobs(&self, lines: &mut Lines, colour: bool) {
        lines.put("", false);
        lines.put(&format!("JOBS  {} going on, {} ended", self.jobs.len() + self.jobs_more, self.jobs_ended), colour);
        for (place, drawn) in self.jobs.iter().enumerate() {
            drawn.lines(lines, colour);
            if place + 1 < self.jobs.len() {
                lines.put("", false);
            }
        }
        if self.jobs.iter().any(|job| !job.units.is_empty()) {
            lines.put_whole(&format!("  {}", ChunkMap::legend(colour)));
        }
        if self.jobs_more > 0 {
            lines.put(&format!("  and {} more", self.jobs_more), false);
        }
    }

    fn workers(&self, lines: &mut Lines, colour: bool) {
        let holding = self.workers.iter().map(|worker| worker.holds.len()).sum::<usize>();
        lines.put("", false);
        lines.put(&format!("WORKERS  {}, holding {holding}", self.workers.len()), colour);
        for worker in self.workers.iter().take(ROWS) {
            let slots = worker.slots.map_or_else(String::new, |slots| format!(" of {slots}"));
            let stuck = worker.holds.iter().filter(|held| held.stuck).count();
            let stuck = if stuck > 0 { format!(", {stuck} stuck") } else { String::new() };
            let items: Vec<&str> = worker.holds.iter().map(|held| held.item_id.as_str()).collect();
            let line = format!(
                "  {:<20} {:<24} {}{slots} held{stuck}, {} done, {} failed  {}",
                worker.worker_id,
                worker.session,
                worker.holds.len(),
                grouped(worker.done),
                grouped(worker.failed),
                items.join(" ")
            );
            lines.put(&line, false);
        }
        more(lines, self.workers.len(), false);
    }

    fn sessions(&self, lines: &mut Lines, colour: bool) {
        if self.sessions.is_empty() {
            return;
        }
        lines.put("", false);
        lines.put("SESSIONS                  PENDING  ASSIGNED  COMPLETED  FAILED  WAITING  BLOCKED", colour);
        for status in self.sessions.iter().take(ROWS) {
            let line = format!(
                "  {:<22} {:>8}  {:>8}  {:>9}  {:>6}  {:>7}  {:>7}",
                status.session,
                grouped(status.pending),
                grouped(status.assigned),
                grouped(status.completed),
                grouped(status.failed),
                grouped(status.waiting),
                grouped(status.blocked)
            );
            lines.put(&line, false);
        }
        more(lines, self.sessions.len(), self.more_sessions);
    }

    /// As programs read it.
    pub fn document(&self) -> Value {
        let job = |drawn: &JobFrame| {
            json!({
                "job": drawn.job.name, "state": drawn.job.state, "mode": drawn.job.mode, "percent": drawn.job.percent,
                "connected": drawn.job.connected,
                "units": drawn.units.iter().map(|unit| {
                    let count = |state: State| unit.states.iter().filter(|known| **known == state).count();
                    let chunks: Value = State::ALL.iter().map(|state| (state.name().to_owned(), json!(count(*state)))).collect::<serde_json::Map<_, _>>().into();
                    json!({ "source": unit.source, "percent": unit.percent, "chunks": chunks })
                }).collect::<Value>(),
            })
        };
        json!({
            "server": { "version": self.info.version, "role": self.info.role, "http_address": self.info.http_address },
            "jobs": self.jobs.iter().map(job).collect::<Value>(),
            "jobs_ended": self.jobs_ended,
            "workers": self.workers.len(),
            "sessions": self.sessions.len(),
        })
    }
}

fn more(lines: &mut Lines, count: usize, beyond: bool) {
    match (count.saturating_sub(ROWS), beyond) {
        (0, false) => {}
        (more, false) => lines.put(&format!("  and {more} more"), false),
        (more, true) => lines.put(&format!("  and {more} more, and others"), false),
    }
}

impl JobFrame {
    fn lines(&self, lines: &mut Lines, colour: bool) {
        let job = &self.job;
        let rate = match self.rate {
            Some((documents, bytes)) if job.state == "running" => {
                format!("  {}/s  {}/s", grouped(documents as u64), size(bytes as u64))
            }
            _ => String::new(),
        };
        let letters =
            if job.dead_letters > 0 { format!("  {} refused", grouped(job.dead_letters)) } else { String::new() };
        let failed = if job.failed > 0 { format!("  {} failed", grouped(job.failed)) } else { String::new() };
        let stuck = if job.stuck > 0 { format!("  {} stuck", grouped(job.stuck)) } else { String::new() };
        lines.put(
            &format!("  {}  {}  {}  {:.1}%{rate}{failed}{stuck}{letters}", job.name, job.mode, job.state, job.percent),
            colour,
        );
        if let Some(reason) = &job.reason {
            lines.put(&format!("    {reason}"), false);
        }
        if !job.connected {
            lines.put(&format!("    {NO_WORKER}"), false);
        }
        let pools = job.pools.iter().map(|pool| match pool.size {
            Some(size) => format!("{} {}/{size}", pool.kind, pool.running),
            None => format!("{} {}", pool.kind, pool.running),
        });
        lines.put(&format!("    pools  {}", pools.collect::<Vec<_>>().join("  ")), false);
        let name = self.units.iter().map(|unit| unit.source.chars().count()).max().unwrap_or(0).min(32);
        let room = lines.width.saturating_sub(name + 14).max(10);
        for unit in &self.units {
            let short: String = unit.source.chars().take(32).collect();
            let mut line = format!("    {short:<name$} {:>5.1}%  ", unit.percent);
            cells(&mut line, &State::folded(&unit.states, room), colour);
            lines.put_whole(&line);
        }
        if self.units_more > 0 {
            lines.put(&format!("    and {} more collections", self.units_more), false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_frame() -> Frame {
        use State::*;
        let job = v1::Job {
            name: "nightly".into(),
            mode: "dump-and-restore".into(),
            state: "running".into(),
            percent: 41.7,
            failed: 1,
            connected: true,
            pools: vec![
                v1::Pool { kind: "dump".into(), size: Some(4), running: 2, ready: 9 },
                v1::Pool { kind: "restore".into(), size: None, running: 1, ready: 0 },
            ],
            ..Default::default()
        };
        let states = vec![Restored, Restored, Failed, Restoring, Dumped, Dumping, Planned, Planned];
        let unit = UnitFrame { source: "shop.orders".into(), percent: 25.0, states };
        let held = v1::Holding { item_id: "dump:0123456789abcdef_5".into(), stuck: true, ..Default::default() };
        let worker = v1::Worker {
            worker_id: "host-7".into(),
            session: "job-nightly".into(),
            holds: vec![held],
            done: 1_234,
            slots: Some(8),
            ..Default::default()
        };
        let status =
            v1::SessionStatus { session: "thumbnails".into(), pending: 12, completed: 30_000, ..Default::default() };
        Frame {
            info: v1::InfoResponse {
                version: "0.1.0".into(),
                http_address: "127.0.0.1:8000".into(),
                role: "leader".into(),
                epoch: 3,
                durable_position: 977,
                ..Default::default()
            },
            jobs: vec![JobFrame { job, rate: Some((1_500.0, 3_145_728.0)), units: vec![unit], units_more: 2 }],
            jobs_ended: 4,
            workers: vec![worker],
            sessions: vec![status],
            ..Default::default()
        }
    }

    #[test]
    fn a_frame_shows_jobs_with_their_chunks_workers_and_sessions() {
        insta::assert_snapshot!(a_frame().text(110, 50, false));
    }

    #[test]
    fn a_job_that_nobody_works_for_says_so() {
        let mut frame = a_frame();
        assert!(!frame.text(110, 50, false).contains(NO_WORKER));
        frame.jobs[0].job.connected = false;
        assert!(frame.text(110, 50, false).contains(&format!("    {NO_WORKER}\n")));
        assert_eq!(frame.document()["jobs"][0]["connected"], false);
    }

    #[test]
    fn a_frame_fits_into_its_terminal() {
        let text = a_frame().text(40, 6, false);
        assert_eq!(text.lines().count(), 6);
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }
}
