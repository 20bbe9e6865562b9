//! A plain `.bson` file: cut by bytes, so every range begins without reading what lies before it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::bson_frames::walk;
use crate::bson_stream::DocumentStream;
use crate::cut::Cutter;
use crate::dump::places::{DumpCursor, DumpRange};
use crate::naming::Naming;
use crate::pump::Outlet;
use crate::{Batch, EndpointError, PlannedChunk, Result, SplitTarget};

/// Walks the whole file once, checking every document's framing, and cuts it at boundaries of documents.
///
/// Costs one reading of the file, so a file that is cut short is refused before anything of it is moved.
pub(crate) fn split(path: &Path, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
    let mut stream = DocumentStream::new(open(path)?, path, 0);
    let mut cutter = Cutter::new(target);
    let mut at = 0;
    while let Some(run) = stream.next_run()? {
        for document in walk(&run.bytes) {
            let end = at + document.len() as u64;
            cutter.document(at, end, document.len() as u64);
            at = end;
        }
    }
    let chunk = |stretch: crate::cut::Stretch<u64>| PlannedChunk {
        range: (&DumpRange::Bytes([stretch.start, stretch.end])).into(),
        documents: Some(stretch.documents),
        bytes: Some(stretch.bytes),
    };
    Ok(cutter.finish().into_iter().map(chunk).collect())
}

/// Reads the documents between two bytes.
pub(crate) fn read(path: &Path, [start, end]: [u64; 2], from: u64, naming: Naming, outlet: &Outlet) -> Result<()> {
    let mut file = open(path)?;
    let length = length(&file, path)?;
    if start > from || from > end || end > length {
        let reason =
            format!("documents from byte {from} of the range {start} to {end} are wanted: the file has {length} bytes");
        return Err(EndpointError::damaged(path.display().to_string(), length.min(end), reason));
    }
    file.seek(SeekFrom::Start(from)).map_err(|e| EndpointError::from_io(e, "seeking", path))?;
    let mut stream = DocumentStream::new(file.take(end - from), path, from);
    let mut reached = from;
    while let Some(run) = stream.next_run()? {
        reached = run.end;
        let cursor = DumpCursor::Byte(run.end).into();
        let begin = run.end - run.bytes.len() as u64;
        let bytes = naming.name_all(run.bytes, |_, before| begin + before);
        if outlet.put(Batch { bytes, documents: run.documents, cursor }).is_err() {
            return Ok(());
        }
    }
    if reached < end {
        let reason = format!("the file ends at byte {reached} and the range at {end}: it was cut while it was read");
        return Err(EndpointError::damaged(path.display().to_string(), reached, reason));
    }
    Ok(())
}

/// The bytes from 0 to the end of the file.
pub(crate) fn whole(path: &Path) -> Result<[u64; 2]> {
    Ok([0, length(&open(path)?, path)?])
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| EndpointError::from_io(e, "opening", path))
}

fn length(file: &File, path: &Path) -> Result<u64> {
    Ok(file.metadata().map_err(|e| EndpointError::from_io(e, "reading the length", path))?.len())
}
