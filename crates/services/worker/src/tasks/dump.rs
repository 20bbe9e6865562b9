//! `dump`: reads a chunk into the spool as sealed parts; each sealed part is a checkpoint.

use super::ahead::ReadAhead;
use super::{Done, Task, done, source_unit};
use crate::halt::Halt;
use crate::places::Opened;
use capstan_coordination::Progress;
use capstan_endpoint::{Cursor, Range};
use capstan_migration::{DumpPayload, DumpResult, SPOOL_PARTS_MAX, SpoolPart};
use capstan_spool::{PART_BYTES_MAX, PartFacts, PartName, PartWriter};
use serde::{Deserialize, Serialize};

/// Where a dump got to: what is sealed, and where the source goes on.
#[derive(Serialize, Deserialize)]
struct Saved {
    marker: String,
    parts: Vec<SpoolPart>,
    cursor: Cursor,
}

/// Parts after which parts are made twice as large: a chunk of any size fits into the parts that there may be.
const DOUBLE_EVERY: usize = 8;

pub(super) async fn dump(task: &Task<'_>) -> Result<Done, Halt> {
    let payload: DumpPayload = task.payload()?;
    let unit = source_unit(task.unit()?)?;
    let opened = task.places.spool(task.spec()).await?;
    let saved = saved(task, &opened);
    let range: Range = serde_json::from_str(payload.range.get())
        .map_err(|error| Halt::permanent(format!("the range of this chunk is of another version: {error}")))?;
    let source = task.source().await?;
    let from = saved.as_ref().map(|saved| saved.cursor.clone());
    let mut batches = ReadAhead::start(source.read(&unit, &range, from.as_ref()).await?);
    let parts = saved.map(|saved| saved.parts).unwrap_or_default();
    let mut dump = Dump { task, payload: &payload, opened, parts, part: None, begun: 0, unsealed: 0 };
    dump.tell();
    while let Some(batch) = batches.next().await? {
        task.keep_pace(batch.documents, batch.bytes.len()).await;
        let bytes = batch.bytes.len() as u64;
        dump.write(batch.bytes, batch.documents).await?;
        let full = dump.part.as_ref().is_some_and(|part| part.bytes() + bytes / 2 >= dump.part_bytes());
        if full || task.desk.is_stopping() {
            dump.seal(Some(batch.cursor)).await?;
        }
        if task.desk.is_stopping() {
            return Err(Halt::Stopped);
        }
    }
    dump.seal(None).await?;
    // What went through last is paid for before the next chunk may begin.
    task.keep_pace(0, 0).await;
    let sum = dump.sum();
    let marker = Some(dump.opened.spool.marker().to_string().into());
    Ok(done(&DumpResult { documents: sum.documents, bytes: sum.bytes, parts: dump.parts, marker }))
}

/// What an earlier holder left, if it lies in the spool that this worker sees.
fn saved(task: &Task<'_>, opened: &Opened) -> Option<Saved> {
    let saved: Saved = serde_json::from_str(task.desk.resumed_from()?).ok()?;
    (saved.marker == opened.spool.marker().to_string()).then_some(saved)
}

struct Dump<'a> {
    task: &'a Task<'a>,
    payload: &'a DumpPayload,
    opened: Opened,
    parts: Vec<SpoolPart>,
    part: Option<Box<dyn PartWriter>>,
    /// Parts begun under this lease.
    begun: u32,
    /// Documents in the part that is being written.
    unsealed: u64,
}

impl Dump<'_> {
    /// How large the next part may become.
    fn part_bytes(&self) -> u64 {
        let expected = self.task.desk.leased.expected.bytes / (SPOOL_PARTS_MAX as u64 / 2);
        let doublings = (self.parts.len() / DOUBLE_EVERY) as u32;
        let base = self.task.places.options().part_bytes.max(expected).max(1);
        base.saturating_mul(1 << doublings).min(PART_BYTES_MAX / 2)
    }

    async fn write(&mut self, bytes: bytes::Bytes, documents: u32) -> Result<(), Halt> {
        self.task.desk.may_write()?;
        let part = match &mut self.part {
            Some(part) => part,
            None => {
                let part = self.begin().await?;
                self.part.insert(part)
            }
        };
        part.write(bytes, documents).await.map_err(|error| Halt::of_spool(&self.opened.url, &error))?;
        self.unsealed += u64::from(documents);
        self.tell();
        Ok(())
    }

    async fn begin(&mut self) -> Result<Box<dyn PartWriter>, Halt> {
        if self.parts.len() >= SPOOL_PARTS_MAX {
            let limit = SPOOL_PARTS_MAX;
            return Err(Halt::permanent(format!(
                "this chunk does not fit into {limit} parts; make chunks smaller (`chunks.bytes`)"
            )));
        }
        let failed = |error| Halt::of_spool(&self.opened.url, &error);
        let DumpPayload { unit, chunk, generation, .. } = self.payload;
        let holding = &self.task.desk.leased.holding;
        let name =
            PartName::new(holding.session.clone(), &unit.to_string(), *chunk, *generation, holding.token, self.begun)
                .expect("a unit's id is 16 plain characters");
        self.begun += 1;
        self.opened.spool.begin_part(name).await.map_err(failed)
    }

    /// Seals what is being written. With a cursor the source goes on from there, and that is a checkpoint.
    async fn seal(&mut self, cursor: Option<Cursor>) -> Result<(), Halt> {
        if let Some(part) = self.part.take() {
            self.task.desk.may_write()?;
            let facts = part.seal().await.map_err(|error| Halt::of_spool(&self.opened.url, &error))?;
            self.parts.push(spool_part(&facts));
            self.unsealed = 0;
        }
        if let Some(cursor) = cursor {
            let saved = Saved { marker: self.opened.spool.marker().to_string(), parts: self.parts.clone(), cursor };
            let text = serde_json::to_string(&saved).expect("a checkpoint is plain data with text keys");
            // A checkpoint that is too long is left out: the one before it still holds.
            if text.len() <= 16 << 10 {
                self.task.desk.checkpoint(text);
            }
        }
        Ok(())
    }

    fn sum(&self) -> Progress {
        self.parts.iter().fold(Progress::default(), |sum, part| Progress {
            documents: sum.documents + part.documents,
            bytes: sum.bytes + part.bytes,
        })
    }

    fn tell(&self) {
        let sealed = self.sum();
        let bytes = self.part.as_ref().map_or(0, |part| part.bytes());
        self.task.desk.advance(Progress { documents: sealed.documents + self.unsealed, bytes: sealed.bytes + bytes });
    }
}

fn spool_part(facts: &PartFacts) -> SpoolPart {
    SpoolPart {
        name: facts.name.to_string().into(),
        documents: facts.documents,
        bytes: facts.bytes,
        blocks: facts.blocks,
        stored_bytes: facts.stored_bytes,
        checksum: facts.checksum.to_string().into(),
    }
}
