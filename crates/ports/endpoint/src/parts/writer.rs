//! Writing one part of a chunk.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use crc_fast::Digest;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::durable::{make_folder, sync_folder};
use crate::parts::join::copy_checked;
use crate::parts::{PartFolder, checksum};
use crate::pump::blocking;
use crate::{Batch, Checkpoint, ChunkFacts, ChunkWriter, EndpointError, PartFacts, PartKey, RefusedDocument, Result};

/// Parts that a chunk may consist of before a new writer copies what is there into one.
const PARTS_MAX: usize = 24;
/// Times one lease may open the same chunk.
const OPENINGS_MAX: u32 = 10_000;

/// Writes a chunk into a file of its own, after the parts that a checkpoint names.
pub(crate) struct FileChunkWriter {
    key: PartKey,
    place: String,
    earlier: Vec<PartFacts>,
    /// Away while a thread writes; gone for good where that thread was not waited for.
    part: Option<OpenPart>,
}

/// What a checkpoint holds.
#[derive(Serialize, Deserialize)]
struct PartsSoFar {
    parts: Vec<PartFacts>,
}

impl FileChunkWriter {
    /// Opens a new part. Sweeps what older leases left of this chunk, but for what `resume` names.
    pub(crate) async fn open(folder: PartFolder, key: PartKey, resume: Option<&Checkpoint>) -> Result<Self> {
        let place = folder.path.display().to_string();
        let earlier = match resume {
            None => Vec::new(),
            Some(checkpoint) => {
                let lost = |_| EndpointError::Lost {
                    what: "a checkpoint".into(),
                    place: place.clone(),
                    reason: "it was made by another kind of sink".into(),
                };
                PartsSoFar::deserialize(&checkpoint.0).map_err(lost)?.parts
            }
        };
        let (earlier, part) = blocking(&place, move || {
            for part in &earlier {
                folder.find(part)?;
            }
            make_folder(&folder.path)?;
            sweep(&folder.path, key, &earlier)?;
            let mut part = OpenPart::create(&folder, key)?;
            if earlier.len() < PARTS_MAX {
                return Ok((earlier, part));
            }
            part.take_in(&folder, &earlier)?;
            Ok((Vec::new(), part))
        })
        .await?;
        Ok(Self { key, place, earlier, part: Some(part) })
    }

    /// Runs one step on the part in a thread. Where the step failed or was not waited for, nothing more is written.
    async fn step<T: Send + 'static>(
        &mut self,
        step: impl FnOnce(&mut OpenPart) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let Some(mut part) = self.part.take() else {
            let source = std::io::Error::other("an earlier write failed or was given up");
            return Err(EndpointError::Io { place: self.place.clone(), action: "writing on".into(), source });
        };
        let (part, answer) = blocking(&self.place, move || {
            let answer = step(&mut part)?;
            Ok((part, answer))
        })
        .await?;
        self.part = Some(part);
        Ok(answer)
    }

    fn all_parts(&self, own: PartFacts) -> Vec<PartFacts> {
        self.earlier.iter().cloned().chain((own.documents > 0).then_some(own)).collect()
    }
}

#[async_trait]
impl ChunkWriter for FileChunkWriter {
    async fn write(&mut self, batch: Batch) -> Result<Vec<RefusedDocument>> {
        self.step(move |part| part.write(&batch)).await?;
        Ok(Vec::new())
    }

    async fn checkpoint(&mut self) -> Result<Checkpoint> {
        let own = self.step(OpenPart::flush).await?;
        let parts = PartsSoFar { parts: self.all_parts(own) };
        Ok(Checkpoint(serde_json::to_value(parts).expect("names and numbers are JSON")))
    }

    async fn seal(mut self: Box<Self>) -> Result<ChunkFacts> {
        let own = self.step(OpenPart::seal).await?;
        let parts = self.all_parts(own);
        Ok(ChunkFacts {
            chunk: self.key.chunk,
            generation: self.key.generation,
            documents: parts.iter().map(|part| part.documents).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            parts,
        })
    }

    async fn discard(mut self: Box<Self>) -> Result<()> {
        self.step(|part| crate::durable::remove(&part.path)).await
    }
}

/// A part that is being written.
struct OpenPart {
    file: File,
    path: PathBuf,
    encode: crate::parts::Encode,
    gzip: Option<GzEncoder<Vec<u8>>>,
    packs: bool,
    checksum: Digest,
    facts: PartFacts,
}

impl OpenPart {
    fn create(folder: &PartFolder, PartKey { chunk, generation, token }: PartKey) -> Result<Self> {
        for opening in 0..OPENINGS_MAX {
            let name = format!("{chunk:06}-{generation}-{token}-{opening}");
            let path = folder.path.join(format!("{name}.part"));
            if path.with_extension("sealed").exists() {
                continue;
            }
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(EndpointError::from_io(e, "making a part", &path)),
                Ok(file) => {
                    sync_folder(&folder.path)?;
                    let facts = PartFacts { name, documents: 0, bytes: 0, stored: 0, checksum: String::new() };
                    let (encode, packs) = (folder.encode, folder.gzip);
                    return Ok(Self { file, path, encode, gzip: None, packs, checksum: checksum(), facts });
                }
            }
        }
        let reason = format!("one lease opened it {OPENINGS_MAX} times");
        Err(EndpointError::unsupported(
            format!("writing chunk {chunk} again"),
            folder.path.display().to_string(),
            reason,
        ))
    }

    /// Copies parts of earlier writers to the beginning of this one.
    fn take_in(&mut self, folder: &PartFolder, parts: &[PartFacts]) -> Result<()> {
        for part in parts {
            copy_checked(&folder.find(part)?, part, &mut |bytes: &[u8]| {
                self.checksum.update(bytes);
                self.file.write_all(bytes)
            })?;
            self.facts.stored += part.stored;
            self.facts.documents += part.documents;
            self.facts.bytes += part.bytes;
        }
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<()> {
        let stored: Bytes = (self.encode)(batch)?;
        self.facts.documents += u64::from(batch.documents);
        self.facts.bytes += batch.bytes.len() as u64;
        if !self.packs {
            return self.store(&stored);
        }
        let encoder = self.gzip.get_or_insert_with(|| GzEncoder::new(Vec::new(), Compression::default()));
        encoder.write_all(&stored).expect("memory takes everything");
        let packed = std::mem::take(encoder.get_mut());
        self.store(&packed)
    }

    fn store(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| EndpointError::from_io(e, "writing", &self.path))?;
        self.checksum.update(bytes);
        self.facts.stored += bytes.len() as u64;
        Ok(())
    }

    /// Ends the gzip member, so that what is stored can be read by itself, and makes all of it durable.
    fn flush(&mut self) -> Result<PartFacts> {
        if let Some(encoder) = self.gzip.take() {
            let packed = encoder.finish().expect("memory takes everything");
            self.store(&packed)?;
        }
        self.file.sync_data().map_err(|e| EndpointError::from_io(e, "flushing", &self.path))?;
        self.facts.checksum = format!("{:016x}", self.checksum.finalize());
        Ok(self.facts.clone())
    }

    fn seal(&mut self) -> Result<PartFacts> {
        let facts = self.flush()?;
        if facts.documents == 0 {
            crate::durable::remove(&self.path)?;
        } else {
            crate::durable::move_into(&self.path, &self.path.with_extension("sealed"))?;
        }
        Ok(facts)
    }
}

/// Removes parts of this chunk that an older lease or generation wrote, but for those still needed.
fn sweep(folder: &Path, key: PartKey, needed: &[PartFacts]) -> Result<()> {
    let failed = |e| EndpointError::from_io(e, "listing", folder);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let mut numbers = stem.splitn(4, '-').map(str::parse::<u64>);
        let (Some(Ok(chunk)), Some(Ok(generation)), Some(Ok(token)), Some(_)) =
            (numbers.next(), numbers.next(), numbers.next(), numbers.next())
        else {
            continue;
        };
        let older = (generation, token) < (u64::from(key.generation), key.token);
        if chunk == u64::from(key.chunk) && older && needed.iter().all(|part| part.name != stem) {
            crate::durable::remove(&path)?;
        }
    }
    Ok(())
}
