//! Part files: how a chunk is written where nothing can be written twice.
//!
//! Each writing of a chunk has a file of its own, named after chunk, generation and token, in a folder of the job. A
//! writer that goes on after another's checkpoint does not touch the other's file, which its owner may still be
//! writing: the chunk then consists of the beginning of the one and the whole of the other. What is not named by the
//! facts is never read, and is swept.
//!
//! `NAME.part` is being written; `NAME.sealed` was closed by its writer and never changes.

mod join;
mod receipt;
mod writer;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

use crate::{Batch, EndpointError, Namespace, PartFacts, Result};

pub(crate) use join::{copy_checked, join};
pub(crate) use receipt::Receipt;
pub(crate) use writer::FileChunkWriter;

/// Turns a batch into what is stored.
pub(crate) type Encode = fn(&Batch) -> Result<Bytes>;

/// The folder in which the parts of one unit lie.
#[derive(Clone, Debug)]
pub(crate) struct PartFolder {
    pub path: PathBuf,
    pub gzip: bool,
    pub encode: Encode,
}

/// The name of a unit's folder among those of its job.
pub(crate) fn unit_folder(namespace: &Namespace) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(namespace.to_string().as_bytes()))
}

/// The checksum kept of stored bytes: CRC-64/XZ.
pub(crate) fn checksum() -> Digest {
    Digest::new(CrcAlgorithm::Crc64Xz)
}

impl PartFolder {
    /// The file of a part, sealed or not, of which at least `stored` bytes are there.
    pub(crate) fn find(&self, part: &PartFacts) -> Result<PathBuf> {
        let lost = |reason: String| EndpointError::Lost {
            what: format!("part {}", part.name),
            place: self.path.display().to_string(),
            reason,
        };
        if part.name.is_empty() || part.name.contains(|c: char| !c.is_ascii_digit() && c != '-') {
            return Err(lost("the name is not that of a part".into()));
        }
        let candidates = ["sealed", "part"].map(|ending| self.path.join(format!("{}.{ending}", part.name)));
        let Some(path) = candidates.into_iter().find(|path| path.is_file()) else {
            return Err(lost("no such file".into()));
        };
        let length = path.metadata().map_err(|e| EndpointError::from_io(e, "looking up", &path))?.len();
        if length < part.stored { Err(lost(format!("it has {length} of {} bytes", part.stored))) } else { Ok(path) }
    }
}

/// True for a part that its writer closed.
pub(crate) fn is_sealed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "sealed")
}
