//! Reading one collection of an archive.
//!
//! A plain archive is cut by bytes: a range begins at one of the collection's documents and passes over what lies
//! between from other collections. A packed one is cut by numbers of documents; everything before a range is unpacked
//! and passed over, so there are [`PACKED_RANGES_MAX`] ranges of a collection at most.

use std::io::Read;

use crate::bson_stream::Run;
use crate::cut::Cutter;
use crate::dump::archive::blocks::{Blocks, Event};
use crate::dump::archive::index::Extent;
use crate::dump::archive::{ArchiveFile, Prelude};
use crate::dump::places::{DocumentRange, DumpCursor, DumpRange, Entry};
use crate::naming::Naming;
use crate::parts::checksum;
use crate::pump::Outlet;
use crate::{BATCH_BYTES, BATCH_DOCUMENTS, Batch, EndpointError, Namespace, PlannedChunk, Result, SplitTarget};

/// Ranges at most of a collection in a packed archive.
const PACKED_RANGES_MAX: u64 = 4;

/// Cuts a collection. A plain archive is read once more from the collection's first document to its last.
pub(crate) fn split(archive: &ArchiveFile, extent: &Extent, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
    if extent.documents == 0 {
        return Ok(Vec::new());
    }
    if archive.gzip {
        return Ok(split_by_number(extent, target));
    }
    let mut cutter = Cutter::new(target);
    let mut documents = Documents::between(archive, &extent.namespace, extent.start)?;
    let mut document = Vec::new();
    while documents.blocks.position() < extent.end {
        document.clear();
        if let Next::Document { start } = documents.next(&mut document)? {
            cutter.document(start, documents.blocks.position(), document.len() as u64);
        }
    }
    let chunk = |stretch: crate::cut::Stretch<u64>| PlannedChunk {
        range: (&DumpRange::Archive([stretch.start, stretch.end])).into(),
        documents: Some(stretch.documents),
        bytes: Some(stretch.bytes),
    };
    Ok(cutter.finish().into_iter().map(chunk).collect())
}

fn split_by_number(extent: &Extent, target: &SplitTarget) -> Vec<PlannedChunk> {
    let wanted = (extent.documents.div_ceil(target.documents.max(1))).max(extent.bytes.div_ceil(target.bytes.max(1)));
    let most = PACKED_RANGES_MAX.min(u64::from(target.chunks_max.max(1))).min(extent.documents);
    let each = extent.documents.div_ceil(wanted.clamp(1, most));
    let starts = (0..extent.documents).step_by(usize::try_from(each).unwrap_or(usize::MAX));
    let chunk = |from: u64| {
        let to = (from + each).min(extent.documents);
        let range = DocumentRange { from, to, last: to == extent.documents, member: Entry::default() };
        PlannedChunk { range: (&DumpRange::Documents(range)).into(), documents: Some(to - from), bytes: None }
    };
    starts.map(chunk).collect()
}

/// Reads the collection's documents between two bytes of a plain archive.
pub(crate) fn read_between(
    archive: &ArchiveFile,
    namespace: &Namespace,
    [start, end]: [u64; 2],
    from: u64,
    naming: Naming,
    outlet: &Outlet,
) -> Result<()> {
    if from < start || from > end {
        let reason = format!("documents from byte {from} of the range {start} to {end} are wanted");
        return Err(EndpointError::damaged(archive.path.display().to_string(), from, reason));
    }
    let mut documents = Documents::between(archive, namespace, from)?;
    let mut gathered = Gathered::default();
    while documents.blocks.position() < end {
        let begin = gathered.bytes.len();
        match documents.next(&mut gathered.bytes)? {
            Next::Document { start } => {
                naming.name_last(&mut gathered.bytes, begin, start);
                gathered.documents += 1;
                gathered.end = documents.blocks.position();
                if gathered.put_if_full(outlet, |run| DumpCursor::Archive(run.end)).is_break() {
                    return Ok(());
                }
            }
            Next::Other => {}
            Next::Ended { .. } | Next::End => {
                return Err(EndpointError::damaged(
                    archive.path.display().to_string(),
                    documents.blocks.position(),
                    format!("`{namespace}` ends before the range does, at byte {end}"),
                ));
            }
        }
    }
    // Whoever reads sees the end of the channel either way.
    let _ = gathered.put(outlet, |run| DumpCursor::Archive(run.end));
    Ok(())
}

/// Reads documents by number, from `number` on. A range that is the last ends with the collection's checksum.
pub(crate) fn read_numbered(
    archive: &ArchiveFile,
    namespace: &Namespace,
    range: &DocumentRange,
    number: u64,
    naming: Naming,
    outlet: &Outlet,
) -> Result<()> {
    read_from_start(archive, namespace, number, (!range.last).then_some(range.to), naming, outlet)
}

/// Reads all documents, and checks their checksum at the end.
pub(crate) fn read_whole(
    archive: &ArchiveFile,
    namespace: &Namespace,
    number: u64,
    naming: Naming,
    outlet: &Outlet,
) -> Result<()> {
    read_from_start(archive, namespace, number, None, naming, outlet)
}

fn read_from_start(
    archive: &ArchiveFile,
    namespace: &Namespace,
    from: u64,
    to: Option<u64>,
    naming: Naming,
    outlet: &Outlet,
) -> Result<()> {
    let damaged = |at, reason: String| EndpointError::damaged(archive.path.display().to_string(), at, reason);
    let (_, blocks) = Prelude::read(archive.open()?, &archive.path)?;
    let mut documents = Documents { blocks, namespace: namespace.clone(), ours: false };
    let (mut number, mut crc, mut gathered) = (0, checksum(), Gathered::default());
    while to.is_none_or(|to| number < to) {
        let length = gathered.bytes.len();
        match documents.next(&mut gathered.bytes)? {
            Next::Document { .. } => {
                number += 1;
                crc.update(&gathered.bytes[length..]);
                if number <= from {
                    gathered.bytes.truncate(length);
                    continue;
                }
                naming.name_last(&mut gathered.bytes, length, number - 1);
                gathered.documents += 1;
                let cursor = |_: &Run| DumpCursor::Document { number, member: Entry::default() };
                if gathered.put_if_full(outlet, cursor).is_break() {
                    return Ok(());
                }
            }
            Next::Other => {}
            Next::Ended { checksum } => {
                let computed = crc.finalize();
                if computed == checksum && to.is_none() && number >= from {
                    break;
                }
                let at = documents.blocks.position();
                let reason = format!(
                    "`{namespace}` ends after {number} documents with CRC-64 {computed:016x}, {checksum:016x} is written"
                );
                return Err(damaged(at, reason));
            }
            Next::End => {
                let at = documents.blocks.position();
                return Err(damaged(at, format!("the archive is cut short: `{namespace}` has no end")));
            }
        }
    }
    let _ = gathered.put(outlet, |_| DumpCursor::Document { number, member: Entry::default() });
    Ok(())
}

/// The documents of one collection among those of others.
struct Documents<R> {
    blocks: Blocks<R>,
    namespace: Namespace,
    /// The block at hand is of our collection.
    ours: bool,
}

enum Next {
    /// One of ours was appended; it began there.
    Document {
        start: u64,
    },
    /// Something that is not ours was passed over.
    Other,
    Ended {
        checksum: u64,
    },
    End,
}

impl Documents<Box<dyn Read>> {
    /// Begins at a place between two documents of this collection, or after its last in a block.
    fn between(archive: &ArchiveFile, namespace: &Namespace, offset: u64) -> Result<Self> {
        let blocks = Blocks::new(archive.open_at(offset)?, &archive.path, offset, true);
        Ok(Self { blocks, namespace: namespace.clone(), ours: true })
    }
}

impl<R: Read> Documents<R> {
    fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Next> {
        let (start, length) = (self.blocks.position(), buffer.len());
        match self.blocks.next(buffer)? {
            Event::Document if self.ours => return Ok(Next::Document { start }),
            Event::Document => buffer.truncate(length),
            Event::Begin(namespace) => self.ours = namespace == self.namespace,
            Event::Ended { namespace, checksum } if namespace == self.namespace => return Ok(Next::Ended { checksum }),
            Event::Ended { .. } => {}
            Event::End => return Ok(Next::End),
        }
        Ok(Next::Other)
    }
}

/// Documents on their way into a batch.
#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    documents: u32,
    end: u64,
}

impl Gathered {
    fn put_if_full(&mut self, outlet: &Outlet, cursor: impl Fn(&Run) -> DumpCursor) -> std::ops::ControlFlow<()> {
        if self.bytes.len() < BATCH_BYTES && self.documents < BATCH_DOCUMENTS {
            return std::ops::ControlFlow::Continue(());
        }
        self.put(outlet, cursor)
    }

    /// Hands over what there is. Breaks when nobody reads any more.
    fn put(&mut self, outlet: &Outlet, cursor: impl Fn(&Run) -> DumpCursor) -> std::ops::ControlFlow<()> {
        if self.documents == 0 {
            return std::ops::ControlFlow::Continue(());
        }
        let gathered = std::mem::take(self);
        let run = Run { bytes: gathered.bytes.into(), documents: gathered.documents, end: gathered.end };
        let cursor = cursor(&run).into();
        match outlet.put(Batch { bytes: run.bytes, documents: run.documents, cursor }) {
            Ok(()) => std::ops::ControlFlow::Continue(()),
            Err(_) => std::ops::ControlFlow::Break(()),
        }
    }
}
