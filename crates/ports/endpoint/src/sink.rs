//! The port for writing.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Batch, EndpointError, Mend, Result, SetAside, Source, Unit, Whereabouts};

/// Something data is written to, opened for one job.
///
/// The order of calls: `occupancy` (any time) · `prepare` of a unit · its chunks, in any order, in parallel, each by
/// `open_chunk` · `finish_unit` with the facts of all its chunks · after all units `finish_job`. Each may be
/// called again after a crash, with the same arguments, and ends in the same state.
///
/// Promises, which the conformance suite checks for every adapter:
/// - T1 nothing of a chunk is visible, or it is harmless to write it again, until `finish_unit` has returned;
/// - T2 what `checkpoint` returned for is durable, and a writer resumed from it goes on exactly there;
/// - T3 only the parts that facts name are taken, whatever other writers of that chunk have left;
/// - T4 what was written is what is read back, byte for byte, in chunk order where the store has an order;
/// - T5 `finish_unit` and `finish_job` may be repeated.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Which place this is, for people. No secrets.
    fn place(&self) -> String;

    fn abilities(&self) -> SinkAbilities;

    /// Who this is, whatever its address says.
    async fn whereabouts(&self) -> Result<Whereabouts> {
        Ok(Whereabouts::Unknown)
    }

    /// Leaves something small that only this place can show, for [`Source::sees`], in bookkeeping of its own and in the
    /// database of this unit; `None` where whereabouts tell all there is to tell. Take it back by `erase_trace`.
    async fn leave_trace(&self, _unit: &Unit) -> Result<Option<String>> {
        Ok(None)
    }

    /// Takes a trace back.
    async fn erase_trace(&self, _trace: &str) -> Result<()> {
        Ok(())
    }

    /// What the target holds of this unit now.
    async fn occupancy(&self, unit: &Unit) -> Result<Occupancy>;

    /// Makes a unit ready to be written: refuses, drops or keeps what is there, and creates what must exist first.
    ///
    /// Returns what the target refused of options and indexes. A refusal for write mode changes nothing.
    async fn prepare(&self, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>>;

    /// Opens a chunk for writing, or goes on from a checkpoint of an earlier writer of the same chunk and generation.
    ///
    /// Fails with class [`StartOver`](crate::ErrorClass::StartOver) where what the checkpoint speaks of is gone.
    async fn open_chunk(
        &self,
        unit: &Unit,
        part: &PartKey,
        resume: Option<&Checkpoint>,
    ) -> Result<Box<dyn ChunkWriter>>;

    /// Makes a unit complete: joins its parts, builds its indexes.
    ///
    /// `chunks` are the facts of all its chunks in order of their index. Returns what the target refused.
    async fn finish_unit(&self, unit: &Unit, plan: &WritePlan, chunks: &[ChunkFacts]) -> Result<Vec<SetAside>>;

    /// Makes the whole complete, after all units; an archive is written here.
    async fn finish_job(&self, units: &[Unit]) -> Result<()>;

    /// Removes what this job left unfinished. Finished units stay.
    async fn abandon(&self) -> Result<()>;

    /// Removes what it remembers of this job for itself, and nothing that was written: the job ends as it stands.
    async fn forget(&self) -> Result<()> {
        Ok(())
    }

    /// The same place, to be read for verification, as soon as the ability `scan` says so.
    async fn scan(&self) -> Result<Arc<dyn Source>>;

    /// Opens a unit that was written, to put single documents of it right. Refused without the ability `mends`.
    async fn mender(&self, unit: &Unit) -> Result<Box<dyn Mend>> {
        let reason = "it does not replace or remove single documents; write the unit anew";
        Err(EndpointError::unsupported(format!("mending {}", unit.namespace), self.place(), reason))
    }
}

/// Writes one chunk. Dropping it without `seal` leaves nothing but what a checkpoint can be resumed from.
#[async_trait]
pub trait ChunkWriter: Send {
    /// Takes a batch. Documents that the target refuses for good come back with the reason and the rest is written.
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>>;

    /// The same, but may return while some batches, a bounded number of them, are still on their way.
    ///
    /// What is refused of those, and how they fail, is told by a later call of this or of [`settle`](Self::settle). Once one
    /// has failed, the writer is of no more use.
    async fn send(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        self.write(batch).await
    }

    /// Waits for all batches that are on their way. After `send` this comes before `checkpoint` and `seal`, which give
    /// nothing back.
    async fn settle(&mut self) -> Result<Vec<RefusedDocument>> {
        Ok(Vec::new())
    }

    /// Makes all that was written durable, and says how to go on from there.
    async fn checkpoint(&mut self) -> Result<Checkpoint>;

    /// Makes the chunk durable and complete, and says what it holds.
    async fn seal(self: Box<Self>) -> Result<ChunkFacts>;

    /// Takes back what this writer itself has left, as far as that is possible. What an earlier writer left stays.
    async fn discard(self: Box<Self>) -> Result<()>;
}

/// Which writing of which chunk this is. All of it is in the name of the part, so that no two writers share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartKey {
    /// The chunk's index in its unit.
    pub chunk: u32,
    /// How often the chunk has been dumped anew.
    pub generation: u32,
    /// The fencing token of the lease under which this is written.
    pub token: u64,
}

/// How to go on in a chunk, known only to the sink that made it. At most 8 KiB as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checkpoint(pub serde_json::Value);

/// What a sealed chunk holds. Kept in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkFacts {
    pub chunk: u32,
    pub generation: u32,
    pub documents: u64,
    /// Bytes of BSON, uncompressed.
    pub bytes: u64,
    /// In order; none where documents go straight to their place. Several where a writer went on after another's end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartFacts>,
}

/// One part of a chunk, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFacts {
    pub name: String,
    pub documents: u64,
    /// Bytes of BSON, uncompressed.
    pub bytes: u64,
    /// Bytes in the store; more than these may lie there and are not taken.
    pub stored: u64,
    /// CRC-64/XZ of the stored bytes, 16 hexadecimal digits.
    pub checksum: String,
}

/// A document that the target will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedDocument {
    pub document: Bytes,
    pub reason: String,
}

/// What lies where a unit is to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occupancy {
    /// Nothing of that name, or an empty collection.
    Vacant,
    /// Something. `holds` says what, for people.
    Occupied { holds: String },
}

/// How a job writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WritePlan {
    #[serde(default)]
    pub mode: WriteMode,
    #[serde(default)]
    pub indexes: IndexTime,
    /// By when what `prepare` drops has to be gone for certain: nothing may be dropped any more once somebody else could
    /// prepare the same unit. Nothing else is bound by it. Without one there is nobody else.
    #[serde(skip)]
    pub deadline: Option<Instant>,
}

/// What happens to what the target holds already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteMode {
    /// A unit that holds anything is refused before anything is written.
    #[default]
    FailIfExists,
    /// What is there goes first.
    Overwrite,
    /// What is there stays; documents of the same `_id` are replaced. Needs `write_by_id`.
    Merge,
}

/// When indexes are built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexTime {
    /// In `prepare`.
    Before,
    /// In `finish_unit`.
    #[default]
    After,
    None,
}

/// What a sink can do, so that nobody has to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkAbilities {
    /// A range of `_id`s can be found and compared, and a chunk is a range there too.
    pub ordered_ranges: bool,
    /// Writing a document again replaces it, so overlaps do no harm.
    pub write_by_id: bool,
    /// When it can be read for verification.
    pub scan: Scan,
    /// Keeps options and index definitions.
    pub definitions: bool,
    /// Gives back exactly the bytes that were written.
    pub exact_bytes: bool,
    /// Replaces and removes single documents: see [`Mend`].
    #[serde(default)]
    pub mends: bool,
}

/// When what was written can be read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scan {
    AfterUnit,
    AfterJob,
    Never,
}
