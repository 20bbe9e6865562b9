//! Live progress: bars on a terminal, a line now and then elsewhere, JSON lines for programs.

use capstan_api::report::{grouped, size};
use capstan_client::v1;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Without a terminal a line is enough every so often.
const PLAIN_EVERY: Duration = Duration::from_secs(2);
/// Units that are shown at a time; the others count in the total.
const BARS_MAX: usize = 12;

/// One look at a job.
pub struct Snapshot<'a> {
    /// The job.
    pub job: &'a v1::Job,
    /// Its units.
    pub units: &'a [v1::Unit],
}

/// Shows how a job goes.
pub struct Progress {
    form: Form,
    /// The last seconds' bytes, for a rate that follows.
    rate: Rate,
}

enum Form {
    Bars { all: MultiProgress, total: ProgressBar, units: BTreeMap<String, ProgressBar> },
    Plain { last: Option<Instant>, said: String },
    Json { said: String },
}

#[derive(Default)]
struct Rate {
    looks: std::collections::VecDeque<(Instant, u64, u64)>,
}

impl Rate {
    const WINDOW: Duration = Duration::from_secs(5);

    /// Documents and bytes a second over the last few seconds.
    fn after(&mut self, documents: u64, bytes: u64) -> (f64, f64) {
        let now = Instant::now();
        self.looks.push_back((now, documents, bytes));
        while self.looks.len() > 2 && self.looks.front().is_some_and(|(at, ..)| now - *at > Self::WINDOW) {
            self.looks.pop_front();
        }
        let Some((since, first_documents, first_bytes)) = self.looks.front() else { return (0.0, 0.0) };
        let seconds = (now - *since).as_secs_f64();
        if seconds < 0.05 {
            return (0.0, 0.0);
        }
        (
            documents.saturating_sub(*first_documents) as f64 / seconds,
            bytes.saturating_sub(*first_bytes) as f64 / seconds,
        )
    }
}

impl Progress {
    /// Bars on a terminal, lines elsewhere, JSON lines on stdout if programs read along.
    pub fn new(json: bool) -> Self {
        let form = if json {
            Form::Json { said: String::new() }
        } else if std::io::stderr().is_terminal() {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            let total = all.add(ProgressBar::new(0));
            total.set_style(style("{prefix:>28.bold} {bar:24.green} {percent:>3}%  {wide_msg}"));
            total.set_prefix("total");
            Form::Bars { all, total, units: BTreeMap::new() }
        } else {
            Form::Plain { last: None, said: String::new() }
        };
        Self { form, rate: Rate::default() }
    }

    /// Says something beside the progress.
    pub fn say(&self, text: &str) {
        match &self.form {
            Form::Bars { all, .. } => {
                // A terminal that has gone away needs no word.
                let _ = all.println(text);
            }
            Form::Plain { .. } | Form::Json { .. } => eprintln!("{text}"),
        }
    }

    /// Shows where the job is now.
    pub fn show(&mut self, now: &Snapshot<'_>) {
        let job = now.job;
        let (_, moved) = moved(job);
        let whole = job.size.unwrap_or_default();
        let rate = self.rate.after(moved.documents, moved.bytes);
        match &mut self.form {
            Form::Bars { all, total, units } => {
                total.set_length(1_000);
                total.set_position((job.percent * 10.0) as u64);
                total.set_message(told(job, rate, whole.bytes.saturating_sub(moved.bytes)));
                let running = |unit: &&v1::Unit| unit.planned && !unit.finished && unit.chunks > 0;
                let shown: Vec<&v1::Unit> = now.units.iter().filter(running).take(BARS_MAX).collect();
                units.retain(|id, bar| {
                    let keep = shown.iter().any(|unit| unit.id == *id);
                    if !keep {
                        bar.finish_and_clear();
                        all.remove(bar);
                    }
                    keep
                });
                for unit in shown {
                    let bar = units.entry(unit.id.clone()).or_insert_with(|| {
                        let bar = all.insert_before(total, ProgressBar::new(1_000));
                        bar.set_style(style("{prefix:>28} {bar:24} {percent:>3}%  {wide_msg}"));
                        bar.set_prefix(shortened(&unit.source));
                        bar
                    });
                    bar.set_position((unit.percent * 10.0) as u64);
                    bar.set_message(format!("{} of {} chunks", unit.chunks_restored, unit.chunks));
                }
            }
            Form::Plain { last, said } => {
                let text =
                    format!("{:>5.1}%  {}", job.percent, told(job, rate, whole.bytes.saturating_sub(moved.bytes)));
                if text != *said && last.is_none_or(|last| last.elapsed() >= PLAIN_EVERY) {
                    eprintln!("{text}");
                    *last = Some(Instant::now());
                    *said = text;
                }
            }
            Form::Json { said } => {
                let line = json!({
                    "event": "progress", "job": job.name, "state": job.state, "percent": job.percent,
                    "units": job.units, "units_finished": job.units_finished, "units_verified": job.units_verified,
                    "chunks": job.chunks, "chunks_dumped": job.chunks_dumped, "chunks_restored": job.chunks_restored,
                    "documents": moved.documents, "bytes": moved.bytes, "dead_letters": job.dead_letters,
                })
                .to_string();
                if line != *said {
                    // Whoever read along may have gone away; the migration goes on.
                    let _ = writeln!(std::io::stdout(), "{line}");
                    *said = line;
                }
            }
        }
    }

    /// Clears the bars, so that what follows stands alone.
    pub fn finish(self) {
        if let Form::Bars { all, total, units } = self.form {
            units.values().for_each(ProgressBar::finish_and_clear);
            total.finish_and_clear();
            let _ = all.clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant").progress_chars("━╸─")
}

fn told(job: &v1::Job, (documents, bytes): (f64, f64), left: u64) -> String {
    let (chunks, moved) = moved(job);
    let stage = match () {
        () if job.state == "waiting" => job.reason.clone().unwrap_or_else(|| job.state.clone()),
        () if job.state != "running" => job.state.clone(),
        () if !job.connected => "no worker is connected".into(),
        () if job.units == 0 => "surveying".into(),
        () if mode(job) == "verify" => format!("verifying, {} of {} collections", job.units_verified, job.units),
        () if job.units_planned < job.units => format!("planning {} of {} collections", job.units_planned, job.units),
        () if mode(job) == "simulate" => "planned".into(),
        () if chunks < job.chunks => format!("{chunks} of {} chunks", job.chunks),
        () if job.units_finished < job.units => "completing".into(),
        () => format!("verifying, {} of {} collections", job.units_verified, job.units),
    };
    let eta = if bytes > 1.0 && left > 0 { format!(", {} left", duration(left as f64 / bytes)) } else { String::new() };
    let rate = if bytes > 1.0 {
        format!(", {}/s, {}/s", grouped(documents as u64), size(bytes as u64))
    } else {
        String::new()
    };
    match mode(job).as_str() {
        // What is compared is counted by the report; nothing is moved.
        "verify" => stage,
        "simulate" => {
            let found = job.size.unwrap_or_default();
            format!("{stage}, {} documents, {} found", grouped(found.documents), size(found.bytes))
        }
        _ => format!("{stage}, {} documents, {}{rate}{eta}", grouped(moved.documents), size(moved.bytes)),
    }
}

/// Which way the job goes, as its specification says it.
fn mode(job: &v1::Job) -> String {
    let spec = serde_json::from_str::<serde_json::Value>(&job.spec).unwrap_or_default();
    spec["mode"].as_str().unwrap_or("dump-and-restore").to_owned()
}

/// Chunks and figures that have come where the job brings them: to the target, or to a dump that is kept.
fn moved(job: &v1::Job) -> (u64, v1::Figures) {
    match mode(job).as_str() {
        "dump-only" => (job.chunks_dumped, job.dumped.unwrap_or_default()),
        _ => (job.chunks_restored, job.restored.unwrap_or_default()),
    }
}

fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= 28 { name.to_owned() } else { name.chars().take(27).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_the_stage_and_how_much() {
        let figures = |documents, bytes| Some(v1::Figures { documents, bytes });
        let job = v1::Job {
            state: "running".into(),
            connected: true,
            units: 2,
            units_planned: 2,
            chunks: 8,
            chunks_restored: 3,
            restored: figures(1_500, 3 << 20),
            ..Default::default()
        };

        assert_eq!(
            told(&job, (500.0, 1_048_576.0), 5 << 20),
            "3 of 8 chunks, 1,500 documents, 3.0 MiB, 500/s, 1.0 MiB/s, 5 s left"
        );
        let alone = v1::Job { connected: false, ..job.clone() };
        assert_eq!(told(&alone, (0.0, 0.0), 0), "no worker is connected, 1,500 documents, 3.0 MiB");
        assert_eq!(told(&v1::Job { state: "paused".into(), ..job }, (0.0, 0.0), 0), "paused, 1,500 documents, 3.0 MiB");
    }

    #[test]
    fn a_mode_that_moves_nothing_says_so() {
        let of = |mode: &str| v1::Job {
            state: "completed".into(),
            size: Some(v1::Figures { documents: 1_500, bytes: 3 << 20 }),
            spec: format!("{{\"mode\":\"{mode}\"}}"),
            ..Default::default()
        };
        assert_eq!(told(&of("simulate"), (0.0, 0.0), 0), "completed, 1,500 documents, 3.0 MiB found");
        assert_eq!(told(&of("verify"), (0.0, 0.0), 0), "completed");
    }

    #[test]
    fn times_are_told_in_two_units() {
        assert_eq!(
            (duration(5.2), duration(61.0), duration(7_322.0)),
            ("6 s".into(), "1 min 1 s".into(), "2 h 2 min".into())
        );
    }
}
