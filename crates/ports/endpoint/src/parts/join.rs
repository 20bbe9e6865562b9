//! From the parts of all chunks to one file.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::parts::{PartFolder, checksum, is_sealed};
use crate::{ChunkFacts, EndpointError, PartFacts, Result};

const COPY_BYTES: usize = 1 << 20;

/// A durable file that holds a whole unit and waits to be moved to its place.
#[derive(Debug)]
pub(crate) struct Joined {
    pub path: PathBuf,
    pub length: u64,
}

/// Joins the parts that the facts name, in order, checking the checksum of each.
///
/// A unit that is one sealed part is that part: it is not written again, and only its length is looked at.
pub(crate) fn join(folder: &PartFolder, chunks: &[ChunkFacts]) -> Result<Joined> {
    let parts: Vec<&PartFacts> = chunks.iter().flat_map(|chunk| &chunk.parts).collect();
    if let [part] = parts[..] {
        let path = folder.find(part)?;
        let length = path.metadata().map_err(|e| EndpointError::from_io(e, "looking up", &path))?.len();
        if is_sealed(&path) && length == part.stored {
            return Ok(Joined { path, length });
        }
    }
    crate::durable::make_folder(&folder.path)?;
    let path = folder.path.join("joined");
    let failed = |e| EndpointError::from_io(e, "joining parts", &path);
    let mut file = File::create(&path).map_err(failed)?;
    let mut length = 0;
    for part in parts {
        copy_checked(&folder.find(part)?, part, &mut |bytes| file.write_all(bytes))?;
        length += part.stored;
    }
    if length == 0 && folder.gzip {
        // A gzip file of no bytes at all is none: readers expect a member, be it an empty one.
        let empty = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let bytes = empty.finish().expect("memory takes everything");
        file.write_all(&bytes).map_err(failed)?;
        length = bytes.len() as u64;
    }
    file.sync_all().map_err(failed)?;
    crate::durable::sync_folder(&folder.path)?;
    Ok(Joined { path, length })
}

/// Gives the stored bytes of a part to `sink`, no more than the facts say, and proves them by the checksum.
pub(crate) fn copy_checked(path: &Path, part: &PartFacts, sink: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<()> {
    let failed = |e| EndpointError::from_io(e, "copying a part", path);
    let mut file = File::open(path).map_err(failed)?.take(part.stored);
    let mut buffer = vec![0; COPY_BYTES];
    let mut digest = checksum();
    let mut copied = 0;
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        sink(&buffer[..read]).map_err(failed)?;
        copied += read as u64;
    }
    let found = format!("{:016x}", digest.finalize());
    if copied == part.stored && found == part.checksum {
        return Ok(());
    }
    let reason =
        format!("{copied} bytes with checksum {found} were found, {} with {} expected", part.stored, part.checksum);
    Err(EndpointError::Lost { what: format!("part {}", part.name), place: path.display().to_string(), reason })
}
