//! A `.bson.gz` file: cut by numbers of documents.
//!
//! A gzip stream can only be unpacked from the beginning of a member. Files that were joined from parts, as ours
//! are, have a member for each, and a range begins at the nearest. In a file of one member everything before a range is
//! unpacked and skipped; such a file is cut into [`RANGES_MAX`] at most, which bounds the work at about nine readings.

use std::fs::File;
use std::path::Path;

use crate::bson_frames::walk;
use crate::bson_stream::{DocumentStream, Run};
use crate::cut::Cutter;
use crate::dump::places::{DocumentRange, DumpCursor, DumpRange, Entry};
use crate::gzip::{GzipReader, MemberStart};
use crate::naming::Naming;
use crate::pump::Outlet;
use crate::{Batch, EndpointError, PlannedChunk, Result, SplitTarget};

/// Ranges at most in a file that has to be unpacked from its beginning.
const RANGES_MAX: u32 = 16;
/// Members that are remembered at most while a file is cut; beyond, every other one is forgotten.
const ENTRIES_MAX: usize = 100_000;

/// Unpacks the whole file once, checking every checksum and every document's framing, and cuts it by documents.
pub(crate) fn split(path: &Path, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
    let mut documents = PackedDocuments::open(path, Entry::default())?;
    let mut cutter = Cutter::new(target);
    let mut bounded = Cutter::new(&SplitTarget { chunks_max: target.chunks_max.min(RANGES_MAX), ..*target });
    let mut entries = Vec::new();
    let mut number = 0;
    while let Some(run) = documents.next_run()? {
        for document in walk(&run.bytes) {
            cutter.document(number, number + 1, document.len() as u64);
            bounded.document(number, number + 1, document.len() as u64);
            number += 1;
        }
        entries.append(&mut documents.passed);
        while entries.len() > ENTRIES_MAX {
            entries = entries.into_iter().step_by(2).collect();
        }
    }
    let stretches = if entries.len() > 1 { cutter.finish() } else { bounded.finish() };
    let chunk = |stretch: crate::cut::Stretch<u64>| {
        let nearest = entries.partition_point(|entry: &Entry| entry.document <= stretch.start) - 1;
        let range = DocumentRange {
            from: stretch.start,
            to: stretch.end,
            last: stretch.end == number,
            member: entries[nearest],
        };
        PlannedChunk {
            range: (&DumpRange::Documents(range)).into(),
            documents: Some(stretch.documents),
            bytes: Some(stretch.bytes),
        }
    };
    Ok(stretches.into_iter().map(chunk).collect())
}

/// Reads documents by number, from `from.0` on, beginning to unpack at the member `from.1`.
pub(crate) fn read(
    path: &Path,
    range: &DocumentRange,
    (number, entry): (u64, Entry),
    naming: Naming,
    outlet: &Outlet,
) -> Result<()> {
    let mut documents = PackedDocuments::open(path, entry)?;
    documents.skip_to(number)?;
    while documents.number < range.to {
        let Some(run) = documents.next_run_before(range.to)? else {
            return Err(documents.ends_early(range.to));
        };
        documents.passed.clear();
        let cursor = DumpCursor::Document { number: documents.number, member: documents.entry }.into();
        let first = documents.number - u64::from(run.documents);
        let bytes = naming.name_all(run.bytes, |number, _| first + number);
        if outlet.put(Batch { bytes, documents: run.documents, cursor }).is_err() {
            return Ok(());
        }
    }
    if range.last && documents.next_run()?.is_some() {
        let reason = format!("more follows the {} documents that were there when it was cut into ranges", range.to);
        return Err(EndpointError::damaged(&documents.place, documents.end, reason));
    }
    Ok(())
}

/// Reads everything, however much there is.
pub(crate) fn read_whole(path: &Path, (number, entry): (u64, Entry), naming: Naming, outlet: &Outlet) -> Result<()> {
    let mut documents = PackedDocuments::open(path, entry)?;
    documents.skip_to(number)?;
    while let Some(run) = documents.next_run()? {
        documents.passed.clear();
        let cursor = DumpCursor::Document { number: documents.number, member: documents.entry }.into();
        let first = documents.number - u64::from(run.documents);
        let bytes = naming.name_all(run.bytes, |number, _| first + number);
        if outlet.put(Batch { bytes, documents: run.documents, cursor }).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Documents of a compressed file, with their numbers and the last member that began with one.
struct PackedDocuments {
    stream: DocumentStream<GzipReader<File>>,
    place: String,
    /// The number of the next document.
    number: u64,
    /// The offset, unpacked, of the next document.
    end: u64,
    entry: Entry,
    /// Members that began with a document, since these were last taken.
    passed: Vec<Entry>,
}

impl PackedDocuments {
    fn open(path: &Path, entry: Entry) -> Result<Self> {
        let file = File::open(path).map_err(|e| EndpointError::from_io(e, "opening", path))?;
        let at = MemberStart { compressed: entry.compressed, unpacked: entry.unpacked };
        let reader = GzipReader::new(file, at).map_err(|e| EndpointError::from_io(e, "reading", path))?;
        let stream = DocumentStream::new(reader, path, entry.unpacked);
        Ok(Self {
            stream,
            place: path.display().to_string(),
            number: entry.document,
            end: entry.unpacked,
            entry,
            passed: Vec::new(),
        })
    }

    fn next_run(&mut self) -> Result<Option<Run>> {
        self.next_run_before(u64::MAX)
    }

    /// The next run, ending before the document of that number.
    fn next_run_before(&mut self, bound: u64) -> Result<Option<Run>> {
        let most = u64::from(crate::BATCH_DOCUMENTS).min(bound - self.number);
        self.stream.documents_max = u32::try_from(most).expect("at most a batch");
        let Some(run) = self.stream.next_run()? else { return Ok(None) };
        self.note_entry(&run);
        self.number += u64::from(run.documents);
        self.end = run.end;
        Ok(Some(run))
    }

    fn skip_to(&mut self, number: u64) -> Result<()> {
        while self.number < number {
            if self.next_run_before(number)?.is_none() {
                return Err(self.ends_early(number));
            }
            self.passed.clear();
        }
        Ok(())
    }

    /// Remembers the last member that began with a document of this run, or right after it.
    fn note_entry(&mut self, run: &Run) {
        let starts = &mut self.stream.input_mut().starts;
        if starts.iter().all(|start| start.unpacked > run.end) {
            return;
        }
        let (mut at, mut number) = (self.end, self.number);
        let boundaries = walk(&run.bytes).map(<[u8]>::len).chain([0]);
        for length in boundaries {
            if let Some(start) = starts.iter().rfind(|start| start.unpacked == at) {
                self.entry = Entry { compressed: start.compressed, unpacked: at, document: number };
                self.passed.push(self.entry);
            }
            at += length as u64;
            number += 1;
        }
        starts.retain(|start| start.unpacked > run.end);
    }

    fn ends_early(&self, wanted: u64) -> EndpointError {
        let reason = format!("the file ends after {} documents and the range at {wanted}", self.number);
        EndpointError::damaged(&self.place, self.end, reason)
    }
}
