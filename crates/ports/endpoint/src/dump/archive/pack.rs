//! Writing an archive from the parts of all its units.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::dump::archive::TERMINATOR;
use crate::dump::archive::prelude::{block_header, data_namespace, prelude_bytes};
use crate::parts::{PartFolder, checksum, copy_checked};
use crate::{ChunkFacts, EndpointError, Result, Unit};

/// Bytes gathered before they go to the file.
const BUFFER_BYTES: usize = 1 << 20;

/// A unit with where its parts lie and which of them count.
pub(crate) struct PackedUnit {
    pub unit: Unit,
    pub folder: PartFolder,
    pub chunks: Vec<ChunkFacts>,
}

/// Writes a durable archive of these units, each in one block. Proves every part by its checksum on the way.
pub(crate) fn pack(units: &[PackedUnit], gzip: bool, path: &Path) -> Result<()> {
    let failed = |e| EndpointError::from_io(e, "writing the archive", path);
    let mut out = Out::new(File::create(path).map_err(failed)?, gzip);
    let described: Vec<Unit> = units.iter().map(|packed| packed.unit.clone()).collect();
    out.write_all(&prelude_bytes(&described)).map_err(failed)?;
    for PackedUnit { unit, folder, chunks } in units {
        let namespace = data_namespace(unit);
        out.write_all(block_header(&namespace, None).as_bytes()).map_err(failed)?;
        let mut crc = checksum();
        for part in chunks.iter().flat_map(|chunk| &chunk.parts) {
            copy_checked(&folder.find(part)?, part, &mut |bytes| {
                crc.update(bytes);
                out.write_all(bytes)
            })?;
        }
        out.write_all(&TERMINATOR.to_le_bytes()).map_err(failed)?;
        out.write_all(block_header(&namespace, Some(crc.finalize())).as_bytes()).map_err(failed)?;
        out.write_all(&TERMINATOR.to_le_bytes()).map_err(failed)?;
    }
    out.finish().map_err(failed)
}

/// A file, packed or not.
enum Out {
    Plain(BufWriter<File>),
    Packed(Box<GzEncoder<BufWriter<File>>>),
}

impl Out {
    fn new(file: File, gzip: bool) -> Self {
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        if gzip { Self::Packed(Box::new(GzEncoder::new(file, Compression::default()))) } else { Self::Plain(file) }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Packed(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Packed(encoder) => encoder.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}
