//! Writing and finding catalogues.

use super::entry::{
    ChunkEntry, Entry, FORMAT, Head, body_name, document, head_name, is_catalogue, pointed_to, pointer, unit,
};
use crate::halt::Halt;
use crate::places::Opened;
use bytes::Bytes;
use capstan_endpoint::Unit;
use capstan_ids::{SessionName, Token};
use capstan_migration::{JobName, SpoolPart};
use capstan_spool::{PartFacts, PartName, PartWriter, SpoolError};
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::sync::Arc;

/// Entries gathered before they are handed to the spool.
const BATCH_BYTES: usize = 512 << 10;

/// A kept dump, as its catalogue says it.
#[derive(Debug)]
pub(crate) struct Catalogue {
    /// The job that made it.
    pub job: JobName,
    pub units: Vec<KeptUnit>,
}

/// A collection of a kept dump.
#[derive(Debug)]
pub(crate) struct KeptUnit {
    pub unit: Unit,
    pub chunks: Vec<ChunkEntry>,
}

/// A catalogue on its way. Nothing of it is visible until [`publish`](Self::publish) has returned.
pub(crate) struct CatalogueWriter {
    opened: Opened,
    session: SessionName,
    token: Token,
    body: Box<dyn PartWriter>,
    batch: Vec<u8>,
    documents: u32,
    head: Head,
    /// The parts that the catalogue speaks of.
    named: HashSet<PartName>,
}

impl CatalogueWriter {
    /// Begins the catalogue of what the job `session` has dumped; `token` is that of the lease.
    pub async fn begin(opened: Opened, session: &SessionName, token: Token, from: &str) -> Result<Self, Halt> {
        let failed = |error: SpoolError| Halt::of_spool(&opened.url, &error);
        let body = opened.spool.begin_part(body_name(session, token, 0)).await.map_err(failed)?;
        let job = JobName::of_session(session).ok_or_else(|| Halt::permanent("only a job's dump is kept"))?;
        let head = Head {
            capstan_dump: FORMAT,
            job: job.to_string(),
            from: from.into(),
            when: bson::DateTime::now(),
            marker: opened.spool.marker().to_string(),
            units: 0,
            chunks: 0,
            documents: 0,
            bytes: 0,
            body: Vec::new(),
        };
        let (session, batch, named) = (session.clone(), Vec::new(), HashSet::new());
        Ok(Self { opened, session, token, body, batch, documents: 0, head, named })
    }

    /// A collection; its chunks follow.
    pub async fn unit(&mut self, definition: &str) -> Result<(), Halt> {
        self.head.units += 1;
        self.add(document(&Entry::Unit(definition.into()))).await
    }

    /// A chunk of the collection before, in its order.
    pub async fn chunk(&mut self, chunk: ChunkEntry) -> Result<(), Halt> {
        self.head.chunks += 1;
        self.head.documents += chunk.documents;
        self.head.bytes += chunk.bytes;
        self.named.extend(chunk.parts.iter().map(|part| part.name.clone()));
        self.add(document(&Entry::Chunk(chunk))).await
    }

    async fn add(&mut self, document: Bytes) -> Result<(), Halt> {
        self.batch.extend_from_slice(&document);
        self.documents += 1;
        if self.batch.len() >= BATCH_BYTES { self.hand_over().await } else { Ok(()) }
    }

    async fn hand_over(&mut self) -> Result<(), Halt> {
        let batch = Bytes::from(std::mem::take(&mut self.batch));
        let documents = std::mem::take(&mut self.documents);
        self.body.write(batch, documents).await.map_err(|error| Halt::of_spool(&self.opened.url, &error))
    }

    /// Makes the dump visible, as a whole. Says which parts belong to it, the catalogue's own among them.
    pub async fn publish(mut self) -> Result<HashSet<PartName>, Halt> {
        if self.documents > 0 {
            self.hand_over().await?;
        }
        let failed = |error: SpoolError| Halt::of_spool(&self.opened.url, &error);
        let body = self.body.seal().await.map_err(failed)?;
        self.named.insert(body.name.clone());
        self.head.body.push(body);
        let spool = &self.opened.spool;
        let mut part = spool.begin_part(head_name(&self.session, self.token, 1)).await.map_err(failed)?;
        part.write(document(&self.head), 1).await.map_err(failed)?;
        let head = part.seal().await.map_err(failed)?;
        let pointer = spool.begin_part(pointer(&head, 2)).await.map_err(failed)?;
        let pointer = pointer.seal().await.map_err(failed)?;
        self.named.extend([head.name, pointer.name]);
        Ok(self.named)
    }
}

/// The sessions whose dumps are kept in a spool.
pub(crate) async fn dumps(opened: &Opened) -> Result<Vec<SessionName>, Halt> {
    let failed = |error| Halt::of_spool(&opened.url, &error);
    let mut dumps = Vec::new();
    for session in opened.spool.jobs().await.map_err(failed)? {
        if JobName::of_session(&session).is_some() && Catalogue::head_of(opened, &session).await?.is_some() {
            dumps.push(session);
        }
    }
    Ok(dumps)
}

impl Catalogue {
    /// The facts of the newest head of a job, if it has one.
    async fn head_of(opened: &Opened, session: &SessionName) -> Result<Option<PartFacts>, Halt> {
        let parts = opened.spool.list(session).await.map_err(|error| Halt::of_spool(&opened.url, &error))?;
        let heads = parts.iter().filter_map(|listed| pointed_to(&listed.name));
        Ok(heads.max_by_key(|head| head.name.token()))
    }

    /// Reads the catalogue of the dump that the job `session` made; none where there is no such dump.
    pub async fn read(opened: &Opened, session: &SessionName) -> Result<Option<Arc<Self>>, Halt> {
        let damaged =
            |what: String| Halt::permanent(format!("the catalogue of the dump in {} is damaged: {what}", opened.url));
        let Some(facts) = Self::head_of(opened, session).await? else { return Ok(None) };
        let mut entries = Entries::open(opened, facts).await?;
        let head: Head = entries.next().await?.ok_or_else(|| damaged("it has no head".into()))?;
        // Only the end proves a part: what was read is believed once there is nothing behind it.
        if entries.next::<Head>().await?.is_some() {
            return Err(damaged("it has two heads".into()));
        }
        if head.capstan_dump > FORMAT {
            let found = head.capstan_dump;
            return Err(Halt::permanent(format!(
                "the dump in {} has format {found}, this program knows up to {FORMAT}; use a newer program",
                opened.url
            )));
        }
        let job = JobName::new(&head.job).map_err(|error| damaged(error.to_string()))?;
        let mut units: Vec<KeptUnit> = Vec::new();
        for body in head.body {
            let mut entries = Entries::open(opened, body).await?;
            while let Some(entry) = entries.next().await? {
                match (entry, units.last_mut()) {
                    (Entry::Unit(definition), _) => {
                        let unit = unit(&definition).map_err(|error| damaged(error.to_string()))?;
                        units.push(KeptUnit { unit, chunks: Vec::new() });
                    }
                    (Entry::Chunk(chunk), Some(unit)) => unit.chunks.push(chunk),
                    (Entry::Chunk(_), None) => return Err(damaged("a chunk of no collection".into())),
                }
            }
        }
        Ok(Some(Arc::new(Self { job, units })))
    }
}

/// The documents of a catalogue's part, one by one.
struct Entries<'a> {
    opened: &'a Opened,
    reader: Box<dyn capstan_spool::PartReader>,
    block: Bytes,
}

impl<'a> Entries<'a> {
    async fn open(opened: &'a Opened, facts: PartFacts) -> Result<Self, Halt> {
        let reader = opened.spool.open_part(&facts).await.map_err(|error| lost(opened, &error))?;
        Ok(Self { opened, reader, block: Bytes::new() })
    }

    async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Halt> {
        while self.block.is_empty() {
            match self.reader.next().await.map_err(|error| lost(self.opened, &error))? {
                Some(block) => self.block = block.bytes,
                None => return Ok(None),
            }
        }
        let document = capstan_endpoint::bson_frames::walk(&self.block).next().expect("a block holds whole documents");
        let document = self.block.split_to(document.len());
        let entry = bson::deserialize_from_slice(&document);
        entry.map(Some).map_err(|error| Halt::permanent(format!("the catalogue is of another version: {error}")))
    }
}

impl Catalogue {
    /// Every part that belongs to what is kept of a job: of its newest catalogue, of that one itself, and of older ones
    /// nothing.
    pub async fn parts(opened: &Opened, session: &SessionName) -> Result<HashSet<PartName>, Halt> {
        let Some(catalogue) = Self::read(opened, session).await? else { return Ok(HashSet::new()) };
        let listed = opened.spool.list(session).await.map_err(|error| Halt::of_spool(&opened.url, &error))?;
        let token = listed.iter().filter_map(|listed| pointed_to(&listed.name)).map(|head| head.name.token()).max();
        let own =
            listed.iter().map(|listed| &listed.name).filter(|name| is_catalogue(name) && Some(name.token()) == token);
        let named = catalogue.units.iter().flat_map(|unit| &unit.chunks).flat_map(|chunk| &chunk.parts);
        Ok(own.chain(named.map(|part| &part.name)).cloned().collect())
    }
}

/// There is nothing to dump again from: a catalogue that is not whole fails for good.
fn lost(opened: &Opened, error: &SpoolError) -> Halt {
    match error.fault() {
        capstan_spool::SpoolFault::DumpAgain => {
            Halt::permanent(format!("the catalogue of the dump in {} is lost: {error}", opened.url))
        }
        _ => Halt::of_spool(&opened.url, error),
    }
}

/// Facts as the job's journal keeps them, and as the spool reads them.
pub(crate) fn facts(part: &SpoolPart) -> Result<PartFacts, Halt> {
    let value = serde_json::to_value(part).expect("facts are plain data");
    serde_json::from_value(value)
        .map_err(|error| Halt::permanent(format!("the facts of a part are of another version: {error}")))
}
