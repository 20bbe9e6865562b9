//! Whether the job would write over what it reads: told by what the places are, never by how they are written.

use super::{Survey, named};
use crate::halt::Halt;
use capstan_endpoint::{Namespace, Sink, Source, Unit, Whereabouts};
use capstan_migration::{Mode, SetAside, WriteMode};
use std::collections::{HashMap, HashSet};

/// A unit whose target has the name of a collection that is read.
struct Doubtful {
    target: Namespace,
    unit: Unit,
    /// The collection of the target's name at the source.
    read: Option<String>,
}

impl Survey<'_> {
    /// Refuses what would be read and written at once. Files must lie apart; on one server, collections must.
    pub(super) async fn check_places(
        &mut self,
        source: &dyn Source,
        sink: &dyn Sink,
        listed: &[Unit],
        taken: &[Unit],
    ) -> Result<(), Halt> {
        if self.task.spec().mode == Mode::Verify {
            // What is the same is equal, and nothing is mended.
            return Ok(());
        }
        let (read, written) = (source.whereabouts().await?, sink.whereabouts().await?);
        match (&read, &written) {
            (Whereabouts::Files(_), Whereabouts::Files(_)) if read.meets(&written) => {
                let reason = format!(
                    "leads to what is read from {}, or one lies inside the other, so the job would destroy what it reads; choose a place apart",
                    source.place()
                );
                self.refuse(sink.place(), reason);
            }
            (Whereabouts::Servers(_), Whereabouts::Servers(_)) => {
                let doubtful = self.doubtful(listed, taken);
                if !doubtful.is_empty() && self.are_one(source, sink, read.meets(&written), &doubtful).await? {
                    for Doubtful { target, .. } in doubtful {
                        let reason = "is read by this job too, and both addresses lead to the same server, so the job would destroy what it reads; rename it (`renames`), or choose another server";
                        self.refuse(target.to_string(), reason);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What is to be written under a name that is read. Of units that are added, any name at the source counts: others may
    /// be read at this moment.
    fn doubtful(&self, listed: &[Unit], taken: &[Unit]) -> Vec<Doubtful> {
        let read = if self.task.brief.only.is_empty() { taken } else { listed };
        let read: HashMap<&Namespace, &Unit> = read.iter().map(|unit| (&unit.namespace, unit)).collect();
        let doubtful = taken.iter().filter_map(|unit| {
            let target = self.selection.target(&named(&unit.namespace)).ok()?;
            let target = Namespace::new(&*target.database, &*target.collection);
            let there = read.get(&target)?;
            let unit = Unit { namespace: target.clone(), filter: None, name_documents: false, ..unit.clone() };
            Some(Doubtful { target, unit, read: there.uuid.clone() })
        });
        doubtful.collect()
    }

    /// Whether both are one server.
    async fn are_one(
        &mut self,
        source: &dyn Source,
        sink: &dyn Sink,
        share_an_address: bool,
        doubtful: &[Doubtful],
    ) -> Result<bool, Halt> {
        if share_an_address {
            return Ok(true);
        }
        let there = sink.scan().await?.units().await?.units;
        let there: HashMap<Namespace, Option<String>> =
            there.into_iter().map(|unit| (unit.namespace, unit.uuid)).collect();
        let uuids: HashSet<_> = doubtful.iter().filter_map(|doubtful| doubtful.read.as_ref()).collect();
        if doubtful
            .iter()
            .any(|doubtful| matches!(there.get(&doubtful.target), Some(Some(uuid)) if uuids.contains(uuid)))
        {
            return Ok(true);
        }
        // What one place has and the other lacks, or has as another collection, shows that they are two.
        let shown = |doubtful: &&Doubtful| match (there.get(&doubtful.target), &doubtful.read) {
            (None, _) | (Some(Some(_)), Some(_)) => true,
            (Some(None), _) | (Some(Some(_)), None) => false,
        };
        let (false, Some(first)) = (doubtful.iter().any(|one| shown(&one)), doubtful.first()) else { return Ok(false) };
        let spec = self.task.spec();
        if spec.write == WriteMode::FailIfExists {
            // What holds anything is refused without this, and of what is empty nothing can be lost.
            return Ok(false);
        }
        if spec.mode == Mode::Simulate {
            let reason =
                "whether this is the server that is read from was not tried, because a simulation writes nothing";
            self.result.set_aside.push(SetAside { what: sink.place().into(), reason: reason.into() });
            return Ok(false);
        }
        self.task.desk.may_write()?;
        let Some(trace) = sink.leave_trace(&first.unit).await? else { return Ok(false) };
        let seen = source.sees(&trace).await;
        sink.erase_trace(&trace).await?;
        Ok(seen?)
    }
}
