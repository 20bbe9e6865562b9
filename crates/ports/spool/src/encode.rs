//! Turns batches into the bytes of a part, wherever those go.

use crate::error::SpoolError;
use crate::facts::{Checksum, PartFacts};
use crate::format::{BlockHead, Compression, End, header};
use crate::name::PartName;
use bytes::Bytes;
use std::io::Write;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Writes one part to `W`, block by block. Blocks its thread while it compresses.
pub(crate) struct Encoder<W> {
    write: W,
    place: String,
    name: PartName,
    compressor: Option<zstd::bulk::Compressor<'static>>,
    sum: Xxh3,
    stored: u64,
    blocks: u32,
    documents: u64,
    bytes: u64,
    gathered: Vec<u8>,
    packed: Vec<u8>,
}

impl<W: Write> Encoder<W> {
    pub fn begin(write: W, place: String, name: PartName, compression: Compression) -> Result<Self, SpoolError> {
        let compressor = match compression {
            Compression::None => None,
            Compression::Zstd(level) => Some(
                zstd::bulk::Compressor::new(level.clamp(1, 19).into())
                    .map_err(|e| SpoolError::io("start compressing", place.clone(), e))?,
            ),
        };
        let first = header(compression, &name);
        let mut part = Self {
            write,
            place,
            name,
            compressor,
            sum: Xxh3::new(),
            stored: 0,
            blocks: 0,
            documents: 0,
            bytes: 0,
            gathered: Vec::new(),
            packed: Vec::new(),
        };
        part.put(&first)?;
        Ok(part)
    }

    /// Writes the batches as one block; together they are within the limit of a batch.
    pub fn block(&mut self, batches: &[Bytes], documents: u32) -> Result<(), SpoolError> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let raw: &[u8] = match batches {
            [one] => one,
            many => {
                gathered.clear();
                many.iter().for_each(|batch| gathered.extend_from_slice(batch));
                &gathered
            }
        };
        let written = self.put_block(raw, documents);
        self.gathered = gathered;
        written
    }

    fn put_block(&mut self, raw: &[u8], documents: u32) -> Result<(), SpoolError> {
        let mut packed = std::mem::take(&mut self.packed);
        let payload = match &mut self.compressor {
            Some(compressor) => {
                packed.clear();
                packed.reserve(zstd::zstd_safe::compress_bound(raw.len()));
                compressor
                    .compress_to_buffer(raw, &mut packed)
                    .map_err(|e| SpoolError::io("compress", self.place.clone(), e))?;
                // Equal lengths mean "as it is", so what did not shrink is stored as it is.
                if packed.len() < raw.len() { packed.as_slice() } else { raw }
            }
            None => raw,
        };
        let head = BlockHead {
            index: self.blocks,
            documents,
            raw: raw.len() as u32,
            stored: payload.len() as u32,
            payload_sum: xxh3_64(payload),
        };
        self.put(&head.to_bytes())?;
        self.put(payload)?;
        self.packed = packed;
        self.blocks += 1;
        self.documents += u64::from(documents);
        self.bytes += raw.len() as u64;
        Ok(())
    }

    /// Writes the end record. What was written so far is not durable yet; that is the store's part.
    pub fn finish(mut self) -> Result<(W, PartFacts), SpoolError> {
        let end = End { blocks: self.blocks, documents: self.documents, raw: self.bytes, offset: self.stored };
        self.put(&end.to_bytes())?;
        self.write.flush().map_err(|e| SpoolError::io("write a part", self.place.clone(), e))?;
        let facts = PartFacts {
            name: self.name,
            documents: self.documents,
            bytes: self.bytes,
            blocks: self.blocks,
            stored_bytes: self.stored,
            checksum: Checksum(self.sum.digest()),
        };
        Ok((self.write, facts))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.write.write_all(bytes).map_err(|e| SpoolError::io("write a part", self.place.clone(), e))?;
        self.sum.update(bytes);
        self.stored += bytes.len() as u64;
        Ok(())
    }
}

/// Whether `batch` is exactly `documents` BSON documents, by their length prefixes.
pub(crate) fn check_batch(name: &PartName, batch: &[u8], documents: u32) -> Result<(), SpoolError> {
    let refused = |what: String| Err(SpoolError::Batch { part: name.clone(), what });
    let (mut at, mut found) = (0, 0_u32);
    while at < batch.len() {
        let length = batch[at..].first_chunk().map(|prefix| u32::from_le_bytes(*prefix) as usize);
        match length {
            Some(length) if length >= 5 && length <= batch.len() - at => at += length,
            _ => {
                return refused(format!("document {found} at byte {at} does not end within the {} bytes", batch.len()));
            }
        }
        found += 1;
    }
    if found != documents {
        return refused(format!("{documents} documents expected, {found} found"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// Takes so many bytes, then has no room.
    struct Small(usize);

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() > self.0 {
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error()));
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn write_to(room: usize) -> Result<PartFacts, SpoolError> {
        let name: PartName = "shop/4fa3_1.g1.t9.s0".parse().unwrap();
        let mut part = Encoder::begin(Small(room), "test".into(), name, Compression::None)?;
        part.block(&[Bytes::from_static(b"\x05\0\0\0\0")], 1)?;
        part.finish().map(|(_, facts)| facts)
    }

    #[test]
    fn a_full_disk_is_said_to_be_full_at_every_byte() {
        let whole = write_to(usize::MAX).unwrap().stored_bytes as usize;

        assert!(write_to(whole).is_ok());
        for room in 0..whole {
            let error = write_to(room).unwrap_err();
            assert!(matches!(error, SpoolError::Full { .. }), "{room}: {error}");
        }
    }

    #[test]
    fn a_batch_must_be_what_it_is_said_to_be() {
        let name: PartName = "shop/4fa3_1.g1.t9.s0".parse().unwrap();
        let two = b"\x05\0\0\0\0\x05\0\0\0\0";

        assert!(check_batch(&name, two, 2).is_ok());
        assert!(check_batch(&name, b"", 0).is_ok());
        for (batch, documents) in
            [(&two[..], 1), (two, 3), (&two[..9], 2), (b"\x04\0\0\0", 1), (b"\xff\xff\xff\xff\0", 1), (b"\x05\0", 1)]
        {
            assert!(
                matches!(check_batch(&name, batch, documents), Err(SpoolError::Batch { .. })),
                "{batch:?} {documents}"
            );
        }
    }
}
