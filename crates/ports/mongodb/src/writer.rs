//! Writes a chunk: documents in groups that the server takes at once, each exactly once.

use std::collections::HashMap;

use async_trait::async_trait;
use bson::RawDocumentBuf;
use bytes::Bytes;
use capstan_endpoint::{
    Batch, Checkpoint, ChunkFacts, ChunkWriter, EndpointError, ErrorClass, PartKey, RefusedDocument, Result, element,
};
use serde::{Deserialize, Serialize};

use crate::compose::Composer;
use crate::id::Id;
use crate::write::{Target, Verb};

/// Bytes of documents in one command. A command may have 16 MiB and a little, and a single document may fill that.
const GROUP_BYTES: usize = 8 << 20;
/// Documents in one command.
const GROUP_DOCUMENTS: usize = 1_000;
/// From so many documents on, duplicates among a group show that this stretch was written before.
const TELLING_GROUP: usize = 8;

/// What was written of a chunk. All of it is durable: every write was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    pub documents: u64,
    pub bytes: u64,
}

/// Tells our checkpoints from those of other sinks.
#[derive(Serialize, Deserialize)]
struct Saved {
    mongodb: Written,
}

pub(crate) struct MongoWriter {
    target: Target,
    part: PartKey,
    written: Written,
    /// This stretch may have been written before: look first, instead of provoking an error for each document.
    looking: bool,
}

impl MongoWriter {
    pub fn open(target: Target, part: &PartKey, resume: Option<&Checkpoint>) -> Result<Self> {
        let written = match resume {
            None => Written::default(),
            Some(checkpoint) => match Saved::deserialize(&checkpoint.0) {
                Ok(saved) => saved.mongodb,
                Err(error) => {
                    return Err(EndpointError::Lost {
                        what: "a checkpoint".into(),
                        place: target.server.place().into(),
                        reason: format!("it was made by another kind of sink ({error})"),
                    });
                }
            },
        };
        Ok(Self { target, part: *part, written, looking: resume.is_some() })
    }

    /// Writes documents that fit into one command.
    async fn group(&mut self, documents: &[&[u8]], refused: &mut Vec<RefusedDocument>) -> Result<()> {
        let (mut new, mut changed) = (documents.to_vec(), Vec::new());
        if self.looking {
            let there = self.there(documents).await?;
            self.looking = !there.is_empty();
            new.retain(|document| match there.state_of(document) {
                State::Missing => true,
                State::Same => false,
                State::Different => {
                    changed.push(*document);
                    false
                }
            });
        }
        let outcome = self.target.write(Verb::Insert, &new).await?;
        refused.extend(outcome.refused.into_iter().map(|(place, reason)| letter(new[place], reason)));
        if documents.len() >= TELLING_GROUP && outcome.duplicates.len() * 2 >= documents.len() {
            self.looking = true;
        }
        if !outcome.duplicates.is_empty() {
            let there =
                self.there(&outcome.duplicates.iter().map(|(place, _)| new[*place]).collect::<Vec<_>>()).await?;
            for (place, reason) in outcome.duplicates {
                match there.state_of(new[place]) {
                    State::Same => {}
                    State::Different => changed.push(new[place]),
                    // Not its `_id`, then, but the key of another unique index, or an `_id` equal in value only.
                    State::Missing => refused.push(letter(new[place], reason)),
                }
            }
        }
        let outcome = self.target.write(Verb::Replace, &changed).await?;
        let turned_away = outcome.refused.into_iter().chain(outcome.duplicates);
        refused.extend(turned_away.map(|(place, reason)| letter(changed[place], reason)));
        Ok(())
    }

    /// What the target holds under the `_id`s of these documents.
    async fn there(&self, documents: &[&[u8]]) -> Result<There> {
        let mut there = There::default();
        let mut waiting = vec![documents];
        while let Some(some) = waiting.pop() {
            let command = self.look(some);
            match self.target.server.gather(&self.target.database, command, "looking for documents").await {
                Ok(found) => there.found(found),
                Err(error) => {
                    let of_a_document = error.class() == ErrorClass::Permanent
                        || error.class() == ErrorClass::Transient && self.target.server.answers().await;
                    match some {
                        _ if !of_a_document => return Err(error),
                        // The server cannot be asked about it: it is written whatever is there.
                        [one] => there.unknown(one),
                        _ => {
                            let (first, second) = some.split_at(some.len() / 2);
                            waiting.extend([first, second]);
                        }
                    }
                }
            }
        }
        Ok(there)
    }

    fn look(&self, documents: &[&[u8]]) -> RawDocumentBuf {
        let ids = documents.iter().filter_map(|document| element::id_of(document)).map(|id| (id.kind, id.value));
        let among = Composer::new().array("$in", ids).finish();
        let filter = Composer::new().document("_id", &among).finish();
        let batch = i32::try_from(GROUP_DOCUMENTS).expect("a thousand");
        Composer::new()
            .string("find", &self.target.collection)
            .document("filter", &filter)
            .int32("batchSize", batch)
            .into_raw()
    }
}

/// What lies at the target under some `_id`s.
#[derive(Default)]
struct There(HashMap<Id, Option<RawDocumentBuf>>);

enum State {
    Missing,
    Same,
    Different,
}

impl There {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn found(&mut self, documents: Vec<RawDocumentBuf>) {
        let identified =
            documents.into_iter().filter_map(|document| Some((Id::of(document.as_bytes())?, Some(document))));
        self.0.extend(identified);
    }

    fn unknown(&mut self, document: &[u8]) {
        self.0.extend(Id::of(document).map(|id| (id, None)));
    }

    fn state_of(&self, document: &[u8]) -> State {
        match Id::of(document).and_then(|id| self.0.get(&id)) {
            None => State::Missing,
            Some(Some(found)) if found.as_bytes() == document => State::Same,
            Some(_) => State::Different,
        }
    }
}

fn letter(document: &[u8], reason: String) -> RefusedDocument {
    RefusedDocument { document: Bytes::copy_from_slice(document), reason }
}

#[async_trait]
impl ChunkWriter for MongoWriter {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        let mut refused = Vec::new();
        let limits = self.target.server.limits;
        let (mut group, mut bytes) = (Vec::new(), 0);
        for document in batch.iter() {
            if document.len() > limits.document {
                let reason = format!("it has {} bytes, and the target takes {}", document.len(), limits.document);
                refused.push(letter(document, reason));
                continue;
            }
            if bytes + document.len() > GROUP_BYTES || group.len() >= limits.documents.min(GROUP_DOCUMENTS) {
                self.group(&group, &mut refused).await?;
                group.clear();
                bytes = 0;
            }
            bytes += document.len();
            group.push(document);
        }
        self.group(&group, &mut refused).await?;
        let lost: u64 = refused.iter().map(|refused| refused.document.len() as u64).sum();
        self.written.documents += u64::from(batch.documents) - refused.len() as u64;
        self.written.bytes += batch.bytes.len() as u64 - lost;
        Ok(refused)
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        let saved = Saved { mongodb: self.written };
        Ok(Checkpoint(serde_json::to_value(saved).expect("numbers are JSON")))
    }

    async fn seal(self: Box<Self>) -> Result<ChunkFacts> {
        let PartKey { chunk, generation, .. } = self.part;
        let Written { documents, bytes } = self.written;
        Ok(ChunkFacts { chunk, generation, documents, bytes, parts: Vec::new() })
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        // Who wrote a document last is not known any more, so none is taken away; writing again does no harm.
        Ok(())
    }
}
