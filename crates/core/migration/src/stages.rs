//! The items of each stage: what they wait for, what they count against, and what they tell their workers.

use crate::address::host;
use crate::facts::{Cut, Dumped};
use crate::item::{Stage, WorkItem, WorkWait};
use crate::name::{Namespace, UnitId};
use crate::payload::{CopyPayload, DumpPayload, RestorePayload, UnitPayload, raw, text};
use crate::phase::Phase;
use crate::result::{FoundUnit, ScanTime};
use crate::selection::Ranking;
use crate::spec::{Mode, Spec, Verify};
use capstan_ids::{GroupName, LimitName};

/// What every item that moves documents counts against.
pub(crate) const OPERATIONS: &str = "operations";
/// What every item of any job counts against: a limit for operators, over all sessions.
const JOBS: &str = "jobs";

fn group(name: impl AsRef<str>) -> GroupName {
    GroupName::new(name).expect("names of groups are short and plain")
}

pub(crate) fn limit(name: impl AsRef<str>) -> LimitName {
    LimitName::new(name).expect("names of limits are short and plain")
}

/// Plan, dumps and restores of a unit, whatever became of them.
fn unit_group(unit: UnitId) -> GroupName {
    group(format!("unit:{unit}"))
}

/// Makes the items of one job.
pub(crate) struct Stages<'a> {
    spec: &'a Spec,
    /// The source's and the target's host, where they have one.
    source: Option<LimitName>,
    target: Option<LimitName>,
    ranking: Ranking,
}

impl<'a> Stages<'a> {
    pub fn of(spec: &'a Spec) -> Self {
        // A name that no limit can have is nobody's host.
        let place = |url: &str| LimitName::new(format!("host:{}", host(url)?)).ok();
        Self { spec, source: place(&spec.from), target: place(&spec.to), ranking: Ranking::of(&spec.priorities) }
    }

    fn item(&self, stage: Stage, source: Option<&Namespace>, payload: Box<str>) -> WorkItem {
        let collection = source.map(Namespace::to_string).unwrap_or_default();
        WorkItem {
            id: stage.item(),
            kind: stage.kind(),
            part: stage.chunk().unwrap_or_default(),
            documents: 0,
            bytes: 0,
            priority: stage.priority() + self.ranking.of_collection(&collection).unwrap_or_default(),
            // Longer names are shown shortened; the whole name is in the unit's definition.
            collection: collection.chars().take(128).collect::<String>().into(),
            groups: Vec::new(),
            waits_for: Vec::new(),
            limits: self.limits(stage),
            payload,
            undo: false,
        }
    }

    fn limits(&self, stage: Stage) -> Vec<LimitName> {
        let (reads, writes, moves) = match stage {
            Stage::Survey { .. } | Stage::Plan(_) | Stage::Verify(_) => (true, true, false),
            Stage::Dump { .. } => (true, false, true),
            Stage::Restore { .. } => (false, true, true),
            Stage::Copy { .. } => (true, true, true),
            Stage::Index(_) => (false, true, false),
            Stage::Finish | Stage::Sweep | Stage::Abandon => (false, false, false),
        };
        let mut limits = vec![limit(JOBS)];
        limits.extend(moves.then(|| limit(OPERATIONS)));
        limits.extend(self.source.clone().filter(|_| reads));
        limits.extend(self.target.clone().filter(|_| writes));
        limits.dedup();
        limits
    }

    pub fn survey(&self, round: u32) -> WorkItem {
        self.item(Stage::Survey { round }, None, "{}".into())
    }

    /// Opens when the job is cancelled.
    pub fn abandon(&self) -> WorkItem {
        WorkItem { undo: true, ..self.item(Stage::Abandon, None, "{}".into()) }
    }

    /// Everything that follows once units are known, but their chunks; the first survey also brings what ends the job.
    pub fn of_units(&self, found: &[&FoundUnit], scan: ScanTime, first: bool) -> Vec<WorkItem> {
        let mode = self.spec.mode;
        let mut items = Vec::with_capacity(found.len() * 3 + 2);
        if mode != Mode::Verify {
            items.extend(found.iter().map(|unit| self.plan(unit)));
        }
        if mode.completes_units() {
            items.extend(found.iter().map(|unit| self.index(unit)));
        }
        if first && mode.has_finish() {
            items.push(self.behind(Phase::Finishing, Stage::Finish));
        }
        if verifies(self.spec, scan) {
            items.extend(found.iter().filter(|unit| !unit.view).map(|unit| self.verify(unit, scan)));
        }
        if first && mode == Mode::DumpAndRestore {
            items.push(self.behind(Phase::Sweeping, Stage::Sweep));
        }
        items
    }

    /// An item that waits for a phase.
    fn behind(&self, phase: Phase, stage: Stage) -> WorkItem {
        let (group, _) = phase.gate().expect("every phase but the first has a gate");
        WorkItem { waits_for: vec![WorkWait::Group(group)], ..self.item(stage, None, "{}".into()) }
    }

    fn of_unit(&self, stage: Stage, found: &FoundUnit) -> WorkItem {
        let item = self.item(stage, Some(&found.source), text(&UnitPayload { unit: UnitId::of(&found.source) }));
        let expected = (found.documents.unwrap_or_default(), found.bytes.unwrap_or_default());
        match stage {
            // Only what moves or reads documents is expected to get through them.
            Stage::Verify(_) => WorkItem { documents: expected.0, bytes: expected.1, ..item },
            _ => item,
        }
    }

    fn plan(&self, found: &FoundUnit) -> WorkItem {
        let unit = UnitId::of(&found.source);
        WorkItem { groups: vec![unit_group(unit)], ..self.of_unit(Stage::Plan(unit), found) }
    }

    fn index(&self, found: &FoundUnit) -> WorkItem {
        let unit = UnitId::of(&found.source);
        WorkItem { waits_for: vec![WorkWait::Group(unit_group(unit))], ..self.of_unit(Stage::Index(unit), found) }
    }

    fn verify(&self, found: &FoundUnit, scan: ScanTime) -> WorkItem {
        let unit = UnitId::of(&found.source);
        let done = |stage: Stage| WorkWait::Item(stage.item());
        let waits_for = match (self.spec.mode, scan) {
            (Mode::Verify, _) => Vec::new(),
            // A unit that was not dumped whole has nothing to be proved.
            (Mode::DumpOnly, _) => vec![done(Stage::Finish), WorkWait::Group(unit_group(unit))],
            (_, ScanTime::AfterJob) => vec![done(Stage::Finish), done(Stage::Index(unit))],
            (_, ScanTime::AfterUnit | ScanTime::Never) => vec![done(Stage::Index(unit))],
        };
        WorkItem { waits_for, ..self.of_unit(Stage::Verify(unit), found) }
    }

    /// The first item of a chunk: in the group of its plan, whose successor it is. A simulation has none.
    pub fn read(&self, unit: UnitId, source: &Namespace, chunk: u32, cut: &Cut) -> Option<WorkItem> {
        match self.spec.mode {
            Mode::DumpAndRestore | Mode::DumpOnly => Some(self.dump(unit, source, chunk, 0, cut)),
            Mode::Direct | Mode::RestoreOnly => {
                let payload = text(&CopyPayload { unit, chunk, range: raw(&cut.range) });
                Some(expecting(self.item(Stage::Copy { unit, chunk }, Some(source), payload), cut))
            }
            Mode::Simulate | Mode::Verify => None,
        }
    }

    pub fn dump(&self, unit: UnitId, source: &Namespace, chunk: u32, generation: u32, cut: &Cut) -> WorkItem {
        let payload = text(&DumpPayload { unit, chunk, generation, range: raw(&cut.range) });
        expecting(self.item(Stage::Dump { unit, chunk, generation }, Some(source), payload), cut)
    }

    pub fn restore(&self, unit: UnitId, source: &Namespace, chunk: u32, generation: u32, dumped: &Dumped) -> WorkItem {
        let payload = text(&RestorePayload {
            unit,
            chunk,
            generation,
            documents: dumped.figures.documents,
            bytes: dumped.figures.bytes,
            parts: dumped.parts.clone(),
            marker: dumped.marker.clone(),
        });
        WorkItem {
            documents: dumped.figures.documents,
            bytes: dumped.figures.bytes,
            ..self.item(Stage::Restore { unit, chunk, generation }, Some(source), payload)
        }
    }
}

fn expecting(item: WorkItem, cut: &Cut) -> WorkItem {
    WorkItem { documents: cut.documents.unwrap_or_default(), bytes: cut.bytes.unwrap_or_default(), ..item }
}

/// Whether units with documents are compared in the end.
pub(crate) fn verifies(spec: &Spec, scan: ScanTime) -> bool {
    let readable = match spec.mode {
        Mode::Simulate => false,
        // What is proved lies in the spool, which can always be read.
        Mode::DumpOnly => true,
        _ => scan != ScanTime::Never,
    };
    spec.verify != Verify::None && readable
}
