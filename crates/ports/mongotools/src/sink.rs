//! The port for writing: prepared, finished and read back by the native sink, written by mongorestore.
//!
//! # What counts as written
//! A mongorestore confirms what it was given at its end and not before, and says only how many documents it restored and how
//! many failed. Most of those that fail are there already: written by an earlier attempt, or before the job where it merges. Some
//! are there with other bytes, and some the server refuses. Taking all failures for duplicates loses documents; taking them for
//! losses makes every repeated chunk fail. So neither is believed:
//!
//! - A part is what one mongorestore is given. It is kept in a private file until it is confirmed.
//! - It ended with 0, and restored exactly as many documents as it was given, with none failed: the part is written.
//! - It ended by itself and reports anything else of documents: the native writer is given the same part again. That one looks
//!   at what lies at the target under each `_id`, leaves alone what has the same bytes, replaces what differs, writes what is
//!   missing, and says which documents the target refuses. It also writes the rest of the chunk, which is likely to be there too.
//! - It was killed, was silent, or reports no documents at all: the part fails, and the chunk is tried again.
//!
//! A checkpoint ends the part. Nothing in a part that was not confirmed is in any checkpoint, and writing it again is harmless.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use capstan_endpoint::{
    Checkpoint, ChunkFacts, ChunkWriter, EndpointUrl, Mend, Namespace, Occupancy, PartKey, Result, SetAside, Sink,
    SinkAbilities, Source, Unit, UnitKind, Whereabouts, WritePlan,
};
use tokio::sync::OnceCell;

use crate::ToolsOptions;
use crate::address::Address;
use crate::program::{self, Tool};
use crate::running::Employer;
use crate::writer::ToolsWriter;

/// Collections of a deployment, written by mongorestore.
pub(crate) struct ToolsSink {
    native: Arc<dyn Sink>,
    address: Address,
    options: ToolsOptions,
    employer: OnceCell<Employer>,
    troubled: Troubled,
}

/// Units of which a chunk was not written by mongorestore. This process writes them natively, so that the documents that the
/// target refuses are found one by one.
#[derive(Clone, Default)]
pub(crate) struct Troubled(Arc<Mutex<HashSet<Namespace>>>);

impl Troubled {
    pub fn add(&self, unit: &Unit) {
        self.0.lock().expect("nothing panics while it is held").insert(unit.namespace.clone());
    }

    fn has(&self, unit: &Unit) -> bool {
        self.0.lock().expect("nothing panics while it is held").contains(&unit.namespace)
    }
}

impl ToolsSink {
    pub fn new(native: Arc<dyn Sink>, url: &EndpointUrl, options: ToolsOptions) -> Result<Self> {
        let address = Address::of(url)?;
        Ok(Self { native, address, options, employer: OnceCell::new(), troubled: Troubled::default() })
    }

    /// The program, found when it is first needed: reading back for verification needs none.
    async fn employer(&self) -> Result<&Employer> {
        let find = async || {
            let program = program::find(Tool::Mongorestore, &self.options).await?;
            let (address, options) = (self.address.clone(), self.options.clone());
            Ok(Employer { program, address, options, place: self.native.place() })
        };
        self.employer.get_or_try_init(find).await
    }
}

/// What mongorestore refuses to write into a collection that is there already.
fn is_refused_by_mongorestore(unit: &Unit) -> bool {
    unit.kind == UnitKind::TimeSeries || unit.namespace.collection.contains('$')
}

#[async_trait]
impl Sink for ToolsSink {
    fn place(&self) -> String {
        self.native.place()
    }

    fn abilities(&self) -> SinkAbilities {
        self.native.abilities()
    }

    async fn whereabouts(&self) -> Result<Whereabouts> {
        self.native.whereabouts().await
    }

    async fn leave_trace(&self, unit: &Unit) -> Result<Option<String>> {
        self.native.leave_trace(unit).await
    }

    async fn erase_trace(&self, trace: &str) -> Result<()> {
        self.native.erase_trace(trace).await
    }

    async fn occupancy(&self, unit: &Unit) -> Result<Occupancy> {
        self.native.occupancy(unit).await
    }

    async fn prepare(&self, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>> {
        // Before anything is changed at the target.
        self.employer().await?;
        self.native.prepare(unit, plan).await
    }

    async fn open_chunk(
        &self,
        unit: &Unit,
        part: &PartKey,
        resume: Option<&Checkpoint>,
    ) -> Result<Box<dyn ChunkWriter>> {
        let employer = self.employer().await?.clone();
        let mut writer =
            ToolsWriter::open(employer, self.native.clone(), self.troubled.clone(), unit.clone(), *part, resume)?;
        if is_refused_by_mongorestore(unit) || self.troubled.has(unit) {
            writer.go_native().await?;
        }
        Ok(Box::new(writer))
    }

    async fn finish_unit(&self, unit: &Unit, plan: &WritePlan, chunks: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        self.native.finish_unit(unit, plan, chunks).await
    }

    async fn finish_job(&self, units: &[Unit]) -> Result<()> {
        self.native.finish_job(units).await
    }

    async fn abandon(&self) -> Result<()> {
        self.native.abandon().await
    }

    async fn forget(&self) -> Result<()> {
        self.native.forget().await
    }

    async fn scan(&self) -> Result<Arc<dyn Source>> {
        self.native.scan().await
    }

    async fn mender(&self, unit: &Unit) -> Result<Box<dyn Mend>> {
        self.native.mender(unit).await
    }
}
