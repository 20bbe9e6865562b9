//! The archive that `mongodump --archive` writes, format 0.1: all collections in one stream.
//!
//! ```text
//! magic · header · a document for each collection · terminator
//! then blocks: a namespace header · documents · terminator
//! and last for each collection a header that says EOF, with the CRC-64 of its documents · terminator
//! ```
//! Collections may be interleaved, block by block. An archive counts as whole only when each of its collections has
//! had its EOF header and its checksum was right; this is checked before anything of it is moved.

mod blocks;
mod index;
mod pack;
mod prelude;
mod read;
mod sink;

pub(crate) use index::Index;
pub(crate) use prelude::Prelude;
pub(crate) use read::{read_between, read_numbered, read_whole, split};
pub(crate) use sink::ArchiveSink;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::gzip::{GzipReader, MemberStart};
use crate::{EndpointError, Result};

/// The first four bytes of an archive, little-endian.
pub(crate) const MAGIC: u32 = 0x8199_e26d;
/// What ends a block.
const TERMINATOR: u32 = 0xffff_ffff;
/// The format we read and write.
const VERSION: &str = "0.1";

/// An archive on disk.
#[derive(Clone, Debug)]
pub(crate) struct ArchiveFile {
    pub path: PathBuf,
    pub gzip: bool,
}

impl ArchiveFile {
    /// The stream from its beginning, unpacked.
    fn open(&self) -> Result<Box<dyn Read>> {
        let file = self.open_raw()?;
        if !self.gzip {
            return Ok(Box::new(file));
        }
        let reader = GzipReader::new(file, MemberStart { compressed: 0, unpacked: 0 });
        Ok(Box::new(reader.map_err(|e| EndpointError::from_io(e, "reading", &self.path))?))
    }

    /// The stream of a plain archive from a byte on.
    fn open_at(&self, offset: u64) -> Result<Box<dyn Read>> {
        let mut file = self.open_raw()?;
        file.seek(SeekFrom::Start(offset)).map_err(|e| EndpointError::from_io(e, "seeking", &self.path))?;
        Ok(Box::new(file))
    }

    fn open_raw(&self) -> Result<File> {
        File::open(&self.path).map_err(|e| EndpointError::from_io(e, "opening", &self.path))
    }
}

/// Whether a path names an archive to be written, and if so whether a packed one.
pub(crate) fn names_archive(path: &Path) -> Option<bool> {
    let name = path.file_name()?.to_str()?;
    if name.ends_with(".archive") { Some(false) } else { name.ends_with(".archive.gz").then_some(true) }
}
