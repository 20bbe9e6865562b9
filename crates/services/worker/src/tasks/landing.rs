//! A chunk on its way into the target: counts it, remembers how to go on, and puts aside what is refused.

use super::dead_letters::DeadLetters;
use super::{Task, target_unit};
use crate::halt::Halt;
use capstan_coordination::Progress;
use capstan_endpoint::{Batch, Checkpoint, ChunkWriter, ErrorClass, PartKey, RefusedDocument};
use capstan_migration::{RestoreResult, TargetPart};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Where a landing got to: what the target has confirmed, and where what is written comes from.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved<P> {
    sink: Checkpoint,
    documents: u64,
    bytes: u64,
    dead_letters: u64,
    /// Where to read on.
    pub place: P,
}

pub(super) struct Landing<'a> {
    task: &'a Task<'a>,
    writer: Box<dyn ChunkWriter>,
    letters: DeadLetters,
    documents: u64,
    bytes: u64,
    dead_letters: u64,
    since_checkpoint: u64,
}

impl<'a> Landing<'a> {
    /// Opens a chunk at the target, or goes on with it. With the place, where it was gone on from.
    pub async fn open<P: DeserializeOwned>(
        task: &'a Task<'a>,
        chunk: u32,
        generation: u32,
    ) -> Result<(Self, Option<P>), Halt> {
        let (sink, unit) = (task.sink().await?, target_unit(task.unit()?)?);
        let token = task.desk.leased.holding.token.get();
        let part = PartKey { chunk, generation, token };
        let saved = task.desk.resumed_from().and_then(|text| serde_json::from_str::<Saved<P>>(text).ok());
        task.desk.may_write()?;
        let resumed = match &saved {
            Some(saved) => match sink.open_chunk(&unit, &part, Some(&saved.sink)).await {
                Err(error) if error.class() == ErrorClass::StartOver => None,
                opened => Some(opened?),
            },
            None => None,
        };
        let letters = DeadLetters::new(task, chunk, generation);
        let landing = |writer, documents, bytes, dead_letters| Self {
            task,
            writer,
            letters,
            documents,
            bytes,
            dead_letters,
            since_checkpoint: 0,
        };
        let (landing, place) = match (resumed, saved) {
            (Some(writer), Some(saved)) => {
                (landing(writer, saved.documents, saved.bytes, saved.dead_letters), Some(saved.place))
            }
            _ => (landing(sink.open_chunk(&unit, &part, None).await?, 0, 0, 0), None),
        };
        landing.tell();
        Ok((landing, place))
    }

    /// Documents that were read, written or refused.
    pub fn seen(&self) -> u64 {
        self.documents + self.dead_letters
    }

    pub async fn write(&mut self, batch: Batch) -> Result<(), Halt> {
        self.task.keep_pace(batch.documents, batch.bytes.len()).await;
        self.task.desk.may_write()?;
        let (documents, bytes) = (u64::from(batch.documents), batch.bytes.len() as u64);
        let refused = self.writer.send(batch).await?;
        self.documents += documents;
        self.bytes += bytes;
        self.since_checkpoint += bytes;
        self.put_aside(refused).await?;
        self.tell();
        Ok(())
    }

    /// What was refused was counted as written when it was taken.
    async fn put_aside(&mut self, refused: Vec<RefusedDocument>) -> Result<(), Halt> {
        if refused.is_empty() {
            return Ok(());
        }
        let lost: u64 = refused.iter().map(|refused| refused.document.len() as u64).sum();
        self.documents -= refused.len() as u64;
        self.bytes -= lost;
        self.dead_letters += refused.len() as u64;
        self.letters.add(refused).await
    }

    /// Waits until the target has answered for everything that it was given.
    async fn settle(&mut self) -> Result<(), Halt> {
        let refused = self.writer.settle().await?;
        self.put_aside(refused).await
    }

    /// Makes a checkpoint where one is due, or the worker stops.
    pub async fn pause<P: Serialize>(&mut self, place: impl FnOnce() -> P) -> Result<(), Halt> {
        let stopping = self.task.desk.is_stopping();
        if !stopping && self.since_checkpoint < self.task.places.options().checkpoint_bytes {
            return Ok(());
        }
        self.task.desk.may_write()?;
        self.settle().await?;
        let sink = self.writer.checkpoint().await?;
        // What was refused must be as durable as what was taken.
        self.letters.flush().await?;
        self.since_checkpoint = 0;
        let (documents, bytes, dead_letters) = (self.documents, self.bytes, self.dead_letters);
        let saved = Saved { sink, documents, bytes, dead_letters, place: place() };
        let text = serde_json::to_string(&saved).expect("a checkpoint is plain data with text keys");
        // A checkpoint that is too long is left out: the one before it still holds.
        if text.len() <= 16 << 10 {
            self.task.desk.checkpoint(text);
        }
        if stopping { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// Takes back what was written, as far as that is possible.
    pub async fn discard(self) -> Result<(), Halt> {
        self.task.desk.may_write()?;
        Ok(self.writer.discard().await?)
    }

    pub async fn seal(mut self) -> Result<RestoreResult, Halt> {
        // What went through last is paid for before the next chunk may begin.
        self.task.keep_pace(0, 0).await;
        self.task.desk.may_write()?;
        self.settle().await?;
        self.letters.flush().await?;
        let facts = self.writer.seal().await?;
        if facts.documents != self.documents {
            let (found, expected) = (facts.documents, self.documents);
            return Err(Halt::start_over(format!("the target sealed {found} documents where {expected} were written")));
        }
        let parts = facts.parts.into_iter().map(|part| TargetPart {
            name: part.name.into(),
            documents: part.documents,
            bytes: part.bytes,
            stored: part.stored,
            checksum: part.checksum.into(),
        });
        Ok(RestoreResult::Restored {
            documents: self.documents,
            bytes: self.bytes,
            dead_letters: self.dead_letters,
            parts: parts.collect(),
        })
    }

    fn tell(&self) {
        self.task.desk.advance(Progress { documents: self.seen(), bytes: self.bytes });
    }
}
