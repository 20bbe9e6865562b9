//! What a job has done, for people and scripts. The fields are those that scripts read; others may be added.

use crate::facts::{Figures, SetAside, Verdict};
use crate::name::JobName;
use crate::spec::{Mode, Verify};
use crate::state::{End, Job, Jobs};
use capstan_ids::WallTime;
use serde::Serialize;

/// A job's report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Always `report`: it is one line of a stream of events.
    pub event: &'static str,
    /// The job.
    pub job: JobName,
    /// What it was to do.
    pub mode: Mode,
    /// How it stands.
    pub state: ReportState,
    /// Units found.
    pub units: u64,
    /// Chunks known.
    pub chunks: u64,
    /// Documents that have arrived: at the target, or in the spool where they are kept there. In mode `verify`, which
    /// moves nothing: those of the source that the target was held against.
    pub documents: u64,
    /// Their bytes as BSON.
    pub bytes: u64,
    /// Of a simulation: what would be moved, as far as the source says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<Figures>,
    /// Of a dump that the spool keeps: the name under which it is found again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dump: Option<JobName>,
    /// From submission to the end, or to now.
    pub seconds: f64,
    /// Documents that the target refused for good.
    pub dead_letters: u64,
    /// What was proved.
    pub verified: Verified,
    /// 0 to 100.
    pub percent: f64,
    /// Why it could not be done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<SetAside>,
    /// Found, and left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAside>,
    /// Unit by unit.
    pub by_unit: Vec<UnitReport>,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportState {
    /// Going on.
    Running,
    /// Nothing is handed out.
    Paused,
    /// Everything was moved and proved.
    Completed,
    /// Something was left behind.
    CompletedWithFailures,
    /// It could not be done.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

/// What was proved, over all units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The weakest proof of any unit that has documents: `none` while one was not compared.
    pub mode: Verify,
    /// Ranges that were compared.
    pub ranges: u64,
    /// Documents that the target lacks.
    pub missing: u64,
    /// Documents that only the target has.
    pub extra: u64,
    /// Documents that differ.
    pub different: u64,
    /// Of all these, those that were mended.
    pub repaired: u64,
    /// Of those that differ: they have the same fields with the same values, only in another order.
    pub reordered: u64,
    /// Documents whose fields stand in another order were taken as equal, because the job says so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub field_order_ignored: bool,
}

/// One unit in a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitReport {
    /// Where it was read from, as `db.coll`.
    pub source: String,
    /// Where it went, as `db.coll`.
    pub target: String,
    /// Chunks known.
    pub chunks: u64,
    /// It has no documents of its own, so nothing of it is moved or compared but its definition.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub view: bool,
    /// Documents that have arrived; in mode `verify`, those of the source that were compared.
    pub documents: u64,
    /// Their bytes as BSON.
    pub bytes: u64,
    /// Documents that the target refused for good.
    pub dead_letters: u64,
    /// Complete: at the target, in the spool, or as far as the mode brings it.
    pub finished: bool,
    /// It failed before the whole was made complete, and is not in it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub given_up: bool,
    /// Of a simulation: what would be moved, as far as the source says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<Figures>,
    /// What both sides were found to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verdict>,
    /// Some of what is not the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<SetAside>,
    /// What the target refused of its definition.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAside>,
}

impl Jobs {
    /// A job's report as of `now`; `paused` is what its session says.
    pub fn report(&self, name: &JobName, now: WallTime, paused: bool) -> Option<Report> {
        self.jobs.get(name).map(|job| job.report(now, paused))
    }
}

impl Job {
    fn report(&self, now: WallTime, paused: bool) -> Report {
        let view = self.view();
        let state = match view.ended {
            Some((End::Completed, _)) => ReportState::Completed,
            Some((End::CompletedWithFailures, _)) => ReportState::CompletedWithFailures,
            Some((End::Failed, _)) => ReportState::Failed,
            Some((End::Cancelled, _)) => ReportState::Cancelled,
            None if paused => ReportState::Paused,
            None => ReportState::Running,
        };
        let until = view.ended.map_or(now, |(_, at)| at);
        let mode = view.spec.mode;
        let arrived = match mode {
            Mode::DumpOnly => view.dumped,
            Mode::Verify => self.compared(),
            _ => view.restored,
        };
        Report {
            event: "report",
            job: view.name,
            mode,
            state,
            units: view.units,
            chunks: view.chunks,
            documents: arrived.documents,
            bytes: arrived.bytes,
            planned: (mode == Mode::Simulate).then_some(view.size),
            // Before its catalogue is written nobody finds it.
            dump: (mode == Mode::DumpOnly && self.head.finished).then(|| self.head.name.clone()),
            seconds: until.since(view.submitted).get() as f64 / 1_000.0,
            dead_letters: view.dead_letters,
            verified: self.verified(),
            percent: view.percent,
            refused: view.refused,
            set_aside: self.head.set_aside.clone(),
            by_unit: self.by_unit(),
        }
    }

    fn verified(&self) -> Verified {
        let compared = self.units.iter().filter(|unit| !unit.head.view);
        let modes = compared.clone().map(|unit| unit.head.verdict.map_or(Verify::None, |verdict| verdict.mode));
        let mode = modes.min_by_key(|mode| *mode as u8).unwrap_or(Verify::None);
        let field_order_ignored = mode == Verify::Hash && self.head.spec.ignore_field_order;
        let mut sum = Verified { mode, extra: self.head.extra, field_order_ignored, ..Verified::default() };
        for verdict in compared.filter_map(|unit| unit.head.verdict) {
            sum.ranges += verdict.ranges;
            sum.missing += verdict.missing;
            sum.extra += verdict.extra;
            sum.different += verdict.different;
            sum.repaired += verdict.repaired;
            sum.reordered += verdict.reordered;
        }
        sum
    }

    fn compared(&self) -> Figures {
        let mut sum = Figures::default();
        self.units.iter().filter_map(|unit| unit.head.verdict).for_each(|verdict| sum += verdict.compared);
        sum
    }

    fn by_unit(&self) -> Vec<UnitReport> {
        let units = self.units.iter().map(|unit| {
            let (mode, view) = (self.head.spec.mode, unit.view(self.head.spec.mode));
            let arrived = match mode {
                Mode::DumpOnly => view.dumped,
                Mode::Verify => view.verdict.map(|verdict| verdict.compared).unwrap_or_default(),
                _ => view.restored,
            };
            UnitReport {
                source: view.source.to_string(),
                target: view.target.to_string(),
                chunks: view.chunks,
                view: view.view,
                documents: arrived.documents,
                bytes: arrived.bytes,
                planned: (mode == Mode::Simulate).then_some(view.size),
                given_up: view.given_up,
                dead_letters: view.dead_letters,
                finished: view.finished,
                verified: view.verdict,
                examples: view.examples,
                set_aside: view.set_aside,
            }
        });
        units.collect()
    }
}
