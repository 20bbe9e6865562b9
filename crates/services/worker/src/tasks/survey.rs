//! `survey`: what the source has of what the job takes, and whether the target can take it. Writes nothing.

use super::{Done, Task, done, set_aside};
use crate::halt::Halt;
use capstan_endpoint::{ExtJson, Namespace, Occupancy, Scan, Sink, Source, Unit, UnitKind};
use capstan_migration::{
    FoundUnit, Pattern, ScanTime, Selection, SetAside, SurveyResult, UNITS_MAX, Verify, WriteMode,
};
use serde_json::value::to_raw_value;

pub(super) async fn survey(task: &Task<'_>) -> Result<Done, Halt> {
    // A survey is a beginning: what an earlier run of that name had open may show what is not there any more.
    task.places.forget(task.session());
    let (source, sink) = (task.source().await?, task.sink().await?);
    let selection = Selection::of(task.spec())
        .map_err(|faults| Halt::permanent(format!("the job's patterns are not understood: {faults:?}")))?;
    let listing = source.units().await?;
    let mut survey = Survey { task, selection, result: SurveyResult::default() };
    survey.result.set_aside = set_aside(listing.set_aside);
    survey.check_abilities(source.as_ref(), sink.as_ref());
    survey.check_include(&listing.units);
    let taken: Vec<Unit> = listing.units.into_iter().filter(|unit| survey.takes(unit)).collect();
    if taken.len() > UNITS_MAX {
        let reason =
            format!("has {} collections that the job takes; a job has at most {UNITS_MAX}: use include", taken.len());
        survey.refuse(source.place(), reason);
        return Ok(done(&survey.result));
    }
    for unit in taken {
        survey.add(sink.as_ref(), unit).await?;
    }
    Ok(done(&survey.result))
}

struct Survey<'a> {
    task: &'a Task<'a>,
    selection: Selection,
    result: SurveyResult,
}

impl Survey<'_> {
    fn refuse(&mut self, what: impl Into<Box<str>>, reason: impl Into<Box<str>>) {
        self.result.refused.push(SetAside { what: what.into(), reason: reason.into() });
    }

    fn check_abilities(&mut self, source: &dyn Source, sink: &dyn Sink) {
        let spec = self.task.spec();
        self.result.scan = match sink.abilities().scan {
            Scan::AfterUnit => ScanTime::AfterUnit,
            Scan::AfterJob => ScanTime::AfterJob,
            Scan::Never => ScanTime::Never,
        };
        if self.result.scan == ScanTime::Never && spec.verify != Verify::None {
            let reason = "the target cannot be read back, so nothing will be verified".into();
            self.result.set_aside.push(SetAside { what: sink.place().into(), reason });
        }
        if !spec.filters.is_empty() && !source.abilities().filters {
            self.refuse(source.place(), "cannot choose documents by a filter; leave `filters` out");
        }
        if spec.write == WriteMode::Merge && !sink.abilities().write_by_id {
            self.refuse(
                sink.place(),
                "cannot merge documents by their _id; choose write mode fail-if-exists or overwrite",
            );
        }
    }

    /// A name without a wildcard that nothing has is a slip of the pen.
    fn check_include(&mut self, units: &[Unit]) {
        for text in &self.task.spec().include {
            let Ok(pattern) = Pattern::parse(text) else { continue };
            if units.iter().any(|unit| pattern.matches(&unit.namespace.to_string())) {
                continue;
            }
            if pattern.wildcards() == 0 {
                self.refuse(text.as_str(), "is not there; correct the name in `include`");
            } else {
                self.result.set_aside.push(SetAside { what: text.as_str().into(), reason: "matches nothing".into() });
            }
        }
    }

    fn takes(&self, unit: &Unit) -> bool {
        self.selection.takes(&named(&unit.namespace))
    }

    async fn add(&mut self, sink: &dyn Sink, mut unit: Unit) -> Result<(), Halt> {
        let source = named(&unit.namespace);
        if let Some(query) = self.selection.filter(&source) {
            let filter = ExtJson::parse(query);
            unit.filter = Some(filter.map_err(|error| Halt::permanent(format!("the filter of {source}: {error}")))?);
        }
        // A name that is none at the target is the job's to refuse, with all others of that sort.
        if let Ok(target) = self.selection.target(&source)
            && self.task.spec().write == WriteMode::FailIfExists
        {
            let namespace = Namespace::new(&*target.database, &*target.collection);
            let written = Unit { namespace, filter: None, ..unit.clone() };
            if let Occupancy::Occupied { holds } = sink.occupancy(&written).await? {
                self.refuse(
                    target.to_string(),
                    format!("{holds}; choose write mode overwrite or merge, or another target"),
                );
            }
        }
        let definition = to_raw_value(&unit).expect("units are plain data with text keys");
        self.result.units.push(FoundUnit {
            source,
            definition,
            view: unit.kind == UnitKind::View,
            documents: unit.estimate.documents,
            bytes: unit.estimate.bytes,
        });
        Ok(())
    }
}

fn named(namespace: &Namespace) -> capstan_migration::Namespace {
    capstan_migration::Namespace::new(namespace.database.as_str(), namespace.collection.as_str())
}
