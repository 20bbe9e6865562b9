//! The items of each stage: what they wait for, and what they tell their workers.

use crate::facts::{Cut, Dumped};
use crate::item::{Stage, WorkItem, WorkWait};
use crate::name::{Namespace, UnitId};
use crate::payload::{CopyPayload, DumpPayload, RestorePayload, UnitPayload, raw, text};
use crate::result::{FoundUnit, ScanTime};
use crate::spec::{Mode, Spec, Verify};
use capstan_ids::GroupName;

/// The group of all items that end with a unit being complete at the target.
const COMPLETE_UNITS: &str = "units";
/// The group of all items that read the spool or the target.
const VERIFIED_UNITS: &str = "verified";

fn group(name: impl AsRef<str>) -> GroupName {
    GroupName::new(name).expect("names of groups are short and plain")
}

/// Plan, dumps and restores of a unit, whatever became of them.
fn unit_group(unit: UnitId) -> GroupName {
    group(format!("unit:{unit}"))
}

fn item(stage: Stage, collection: &str, payload: Box<str>) -> WorkItem {
    WorkItem {
        id: stage.item(),
        kind: stage.kind(),
        // Longer names are shown shortened; the whole name is in the unit's definition.
        collection: collection.chars().take(128).collect::<String>().into(),
        part: stage.chunk().unwrap_or_default(),
        documents: 0,
        bytes: 0,
        priority: stage.priority(),
        groups: Vec::new(),
        waits_for: Vec::new(),
        payload,
        undo: false,
    }
}

pub(crate) fn survey() -> WorkItem {
    item(Stage::Survey, "", "{}".into())
}

/// Opens when the job is cancelled.
pub(crate) fn abandon() -> WorkItem {
    WorkItem { undo: true, ..item(Stage::Abandon, "", "{}".into()) }
}

/// Everything that follows once the units are known, but their chunks.
pub(crate) fn of_units(spec: &Spec, found: &[FoundUnit], scan: ScanTime) -> Vec<WorkItem> {
    let mut items = Vec::with_capacity(found.len() * 3 + 2);
    for unit in found {
        items.push(plan(unit));
    }
    for unit in found {
        items.push(index(unit));
    }
    items.push(WorkItem {
        waits_for: vec![WorkWait::Group(group(COMPLETE_UNITS))],
        ..item(Stage::Finish, "", "{}".into())
    });
    let verified = found.iter().filter(|unit| spec.verify != Verify::None && scan != ScanTime::Never && !unit.view);
    let before = items.len();
    items.extend(verified.map(|unit| verify(unit, scan)));
    if spec.mode == Mode::DumpAndRestore {
        let mut waits_for = vec![WorkWait::Item(Stage::Finish.item())];
        if items.len() > before {
            waits_for.push(WorkWait::Group(group(VERIFIED_UNITS)));
        }
        items.push(WorkItem { waits_for, ..item(Stage::Sweep, "", "{}".into()) });
    }
    items
}

fn of_unit(stage: fn(UnitId) -> Stage, found: &FoundUnit) -> WorkItem {
    let unit = UnitId::of(&found.source);
    let expected = (found.documents.unwrap_or_default(), found.bytes.unwrap_or_default());
    let item = item(stage(unit), &found.source.to_string(), text(&UnitPayload { unit }));
    match stage(unit) {
        // Only what moves or reads documents is expected to get through them.
        Stage::Verify(_) => WorkItem { documents: expected.0, bytes: expected.1, ..item },
        _ => item,
    }
}

fn plan(found: &FoundUnit) -> WorkItem {
    let groups = vec![unit_group(UnitId::of(&found.source))];
    WorkItem { groups, ..of_unit(Stage::Plan, found) }
}

fn index(found: &FoundUnit) -> WorkItem {
    WorkItem {
        groups: vec![group(COMPLETE_UNITS)],
        waits_for: vec![WorkWait::Group(unit_group(UnitId::of(&found.source)))],
        ..of_unit(Stage::Index, found)
    }
}

fn verify(found: &FoundUnit, scan: ScanTime) -> WorkItem {
    let awaited = match scan {
        ScanTime::AfterJob => Stage::Finish,
        ScanTime::AfterUnit | ScanTime::Never => Stage::Index(UnitId::of(&found.source)),
    };
    WorkItem {
        groups: vec![group(VERIFIED_UNITS)],
        waits_for: vec![WorkWait::Item(awaited.item())],
        ..of_unit(Stage::Verify, found)
    }
}

/// The first item of a chunk: in the group of its plan, whose successor it is.
pub(crate) fn read(mode: Mode, unit: UnitId, source: &Namespace, chunk: u32, cut: &Cut) -> WorkItem {
    if mode != Mode::Direct {
        return dump(unit, source, chunk, 0, cut);
    }
    let payload = text(&CopyPayload { unit, chunk, range: raw(&cut.range) });
    expecting(item(Stage::Copy { unit, chunk }, &source.to_string(), payload), cut)
}

pub(crate) fn dump(unit: UnitId, source: &Namespace, chunk: u32, generation: u32, cut: &Cut) -> WorkItem {
    let payload = text(&DumpPayload { unit, chunk, generation, range: raw(&cut.range) });
    expecting(item(Stage::Dump { unit, chunk, generation }, &source.to_string(), payload), cut)
}

fn expecting(item: WorkItem, cut: &Cut) -> WorkItem {
    WorkItem { documents: cut.documents.unwrap_or_default(), bytes: cut.bytes.unwrap_or_default(), ..item }
}

pub(crate) fn restore(unit: UnitId, source: &Namespace, chunk: u32, generation: u32, dumped: &Dumped) -> WorkItem {
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
        ..item(Stage::Restore { unit, chunk, generation }, &source.to_string(), payload)
    }
}
