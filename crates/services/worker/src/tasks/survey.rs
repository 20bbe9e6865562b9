//! `survey`: what the source has of what the job takes, and whether the target can take it. Writes nothing.

mod apart;

use super::{Done, Task, done, set_aside};
use crate::halt::Halt;
use capstan_endpoint::{ExtJson, Namespace, Occupancy, Ranges, Scan, Sink, Source, Unit, UnitKind};
use capstan_migration::{
    self as migration, FoundUnit, Mode, Pattern, ScanTime, Selection, SetAside, SurveyResult, UNITS_MAX, Verify,
    WriteMode,
};
use serde_json::value::to_raw_value;
use std::collections::HashSet;
use std::sync::Arc;

pub(super) async fn survey(task: &Task<'_>) -> Result<Done, Halt> {
    // A survey is a beginning: what an earlier run of that name had open may show what is not there any more.
    task.places.forget(task.session());
    let selection = task
        .brief
        .selection()
        .map_err(|faults| Halt::permanent(format!("the job's patterns are not understood: {faults:?}")))?;
    let mut survey = Survey { task, selection, names_documents: false, result: SurveyResult::default() };
    if task.spec().mode == Mode::RestoreOnly
        && let Err(aside) = task.places.dump_of(task.spec()).await?
    {
        survey.result.refused.push(aside);
        return Ok(done(&survey.result));
    }
    let (source, sink) = (task.source().await?, survey.sink().await?);
    let listing = source.units().await?;
    survey.result.set_aside = set_aside(listing.set_aside);
    survey.check_abilities(source.as_ref(), sink.as_deref());
    survey.check_include(&listing.units);
    let taken: Vec<Unit> = listing.units.iter().filter(|unit| survey.takes(unit)).cloned().collect();
    if taken.len() > UNITS_MAX {
        let reason =
            format!("has {} collections that the job takes; a job has at most {UNITS_MAX}: use include", taken.len());
        survey.refuse(source.place(), reason);
        return Ok(done(&survey.result));
    }
    if let Some(sink) = &sink {
        survey.check_places(source.as_ref(), sink.as_ref(), &listing.units, &taken).await?;
    }
    survey.names_documents = survey.names_documents(source.as_ref(), sink.as_deref()).await?;
    for unit in taken {
        survey.add(sink.as_deref(), unit).await?;
    }
    if task.spec().mode == Mode::Verify {
        survey.add_what_only_the_target_has().await?;
    }
    Ok(done(&survey.result))
}

struct Survey<'a> {
    task: &'a Task<'a>,
    selection: Selection,
    /// Documents without an `_id` are given one as they are read.
    names_documents: bool,
    result: SurveyResult,
}

impl Survey<'_> {
    /// The target, where the job writes to one, or would.
    async fn sink(&self) -> Result<Option<Arc<dyn Sink>>, Halt> {
        let spec = self.task.spec();
        let wanted = match spec.mode {
            Mode::DumpAndRestore | Mode::Direct | Mode::RestoreOnly => true,
            Mode::Simulate => !spec.to.is_empty(),
            Mode::Verify => spec.repair,
            Mode::DumpOnly => false,
        };
        if wanted { self.task.sink().await.map(Some) } else { Ok(None) }
    }

    fn refuse(&mut self, what: impl Into<Box<str>>, reason: impl Into<Box<str>>) {
        self.result.refused.push(SetAside { what: what.into(), reason: reason.into() });
    }

    fn check_abilities(&mut self, source: &dyn Source, sink: Option<&dyn Sink>) {
        let spec = self.task.spec();
        if !spec.filters.is_empty() && !source.abilities().filters {
            self.refuse(source.place(), "cannot choose documents by a filter; leave `filters` out");
        }
        let Some(sink) = sink else { return };
        let abilities = sink.abilities();
        self.result.scan = match abilities.scan {
            Scan::AfterUnit => ScanTime::AfterUnit,
            Scan::AfterJob => ScanTime::AfterJob,
            Scan::Never => ScanTime::Never,
        };
        if self.result.scan == ScanTime::Never && spec.verify != Verify::None {
            let reason = "the target cannot be read back, so nothing will be verified".into();
            self.result.set_aside.push(SetAside { what: sink.place().into(), reason });
        }
        if spec.write == WriteMode::Merge && !abilities.write_by_id {
            self.refuse(
                sink.place(),
                "cannot merge documents by their _id; choose write mode fail-if-exists or overwrite",
            );
        }
        if spec.repair && !abilities.mends {
            self.refuse(sink.place(), "cannot put single documents right; leave `repair` out");
        }
    }

    /// Where the target finds documents by their `_id`, or nobody can know yet, each must have one that is always the same.
    async fn names_documents(&self, source: &dyn Source, sink: Option<&dyn Sink>) -> Result<bool, Halt> {
        let (task, mode) = (self.task, self.task.spec().mode);
        let by_id = match (mode, sink) {
            (Mode::RestoreOnly, _) => false,
            (Mode::DumpOnly, _) => true,
            (Mode::Verify, None) => {
                let target = task.places.target(task.session(), task.spec()).await?;
                target.abilities().ranges == Ranges::ById
            }
            (_, sink) => sink.is_some_and(|sink| sink.abilities().write_by_id),
        };
        Ok(by_id && source.abilities().stable)
    }

    /// A name without a wildcard that nothing has is a slip of the pen.
    fn check_include(&mut self, units: &[Unit]) {
        let only = &self.task.brief.only;
        for text in if only.is_empty() { &self.task.spec().include } else { only } {
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

    async fn add(&mut self, sink: Option<&dyn Sink>, mut unit: Unit) -> Result<(), Halt> {
        let source = named(&unit.namespace);
        if let Some(query) = self.selection.filter(&source) {
            let filter = ExtJson::parse(query);
            if unit.kind == UnitKind::TimeSeries {
                let reason = "is a time-series collection: a filter would be asked of its buckets, not of what was measured; exclude it, or leave its filter out";
                self.refuse(source.to_string(), reason);
            }
            unit.filter = Some(filter.map_err(|error| Halt::permanent(format!("the filter of {source}: {error}")))?);
        }
        unit.name_documents |= self.names_documents;
        self.note_a_view_of_what_is_renamed(&unit);
        // A name that is none at the target is the job's to refuse, with all others of that sort.
        let protected = self.task.spec().mode != Mode::Verify && self.task.spec().write == WriteMode::FailIfExists;
        if let (Ok(target), Some(sink), true) = (self.selection.target(&source), sink, protected) {
            let namespace = Namespace::new(&*target.database, &*target.collection);
            let written = Unit { namespace, filter: None, name_documents: false, ..unit.clone() };
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

    /// A view is written as it is defined, so it goes on looking at the name that its collection has at the source.
    fn note_a_view_of_what_is_renamed(&mut self, unit: &Unit) {
        let Some(options) = unit.options.as_ref().filter(|_| unit.kind == UnitKind::View) else { return };
        let options = options.to_document();
        let Ok(looked_at) = options.get_str("viewOn") else { return };
        let looked_at = migration::Namespace::new(unit.namespace.database.as_str(), looked_at);
        let view = self.selection.target(&named(&unit.namespace));
        let (Ok(view), Ok(target)) = (view, self.selection.target(&looked_at)) else { return };
        if (&view.database, &looked_at.collection) != (&target.database, &target.collection) {
            let reason = format!(
                "looks at {looked_at}, which is {target} at the target, and still says `{}`: define it anew",
                looked_at.collection
            );
            self.result.set_aside.push(SetAside { what: view.to_string().into(), reason: reason.into() });
        }
    }

    /// Collections that only the target has, among those that the job would take under their names there.
    ///
    /// Where the job takes everything, other databases of the target are none of its business: a server holds many.
    async fn add_what_only_the_target_has(&mut self) -> Result<(), Halt> {
        let expected: HashSet<_> =
            self.result.units.iter().filter_map(|unit| self.selection.target(&unit.source).ok()).collect();
        let databases: HashSet<_> = expected.iter().map(|name| name.database.clone()).collect();
        let everything = self.task.spec().include.is_empty();
        let target = self.task.places.target(self.task.session(), self.task.spec()).await?;
        for unit in target.units().await?.units {
            let name = named(&unit.namespace);
            if expected.contains(&name) || !self.would_become(&name) {
                continue;
            }
            if everything && !databases.contains(&name.database) {
                continue;
            }
            let documents = match (unit.kind, unit.estimate.documents) {
                (UnitKind::View, _) => 0,
                (_, Some(documents)) if documents > 0 => documents,
                _ => {
                    let split = self.task.split_target();
                    super::verify::count(self.task.desk, target.as_ref(), &unit, &split).await?.documents
                }
            };
            self.result.extra += documents;
            let reason = format!("only at the target, with {documents} documents").into();
            self.result.set_aside.push(SetAside { what: name.to_string().into(), reason });
        }
        Ok(())
    }

    /// Whether a collection of the source that the job takes could be called so at the target.
    fn would_become(&self, target: &migration::Namespace) -> bool {
        let is_source = |source: &migration::Namespace| {
            self.selection.takes(source) && self.selection.target(source).as_ref() == Ok(target)
        };
        is_source(target)
            || self.task.spec().renames.iter().any(|rename| {
                let (Ok(from), Ok(to)) = (Pattern::parse(&rename.from), Pattern::parse(&rename.to)) else {
                    return false;
                };
                let name = target.to_string();
                let Some(captures) = to.captures(&name) else { return false };
                // With fewer wildcards on the right, what the others matched cannot be told from the name.
                let filled = rename.from.split('*').zip(captures.iter().copied().chain([""]));
                let source: String = filled.flat_map(|(text, captured)| [text, captured]).collect();
                from.wildcards() == captures.len()
                    && migration::Namespace::parse(&source).is_some_and(|source| is_source(&source))
            })
    }
}

fn named(namespace: &Namespace) -> migration::Namespace {
    migration::Namespace::new(namespace.database.as_str(), namespace.collection.as_str())
}
