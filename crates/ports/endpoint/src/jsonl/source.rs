//! Reading extended JSON files: cut at line ends where they have lines, whole where they have not.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::documents::{ReadError, TextDocuments};
use super::layout::{Layout, TextFile};
use super::parse::TextError;
use crate::bson_stream::unreadable;
use crate::dump::layout::WORK;
use crate::gzip::{GzipReader, MemberStart};
use crate::naming::Naming;
use crate::pump::{Outlet, blocking, pump};
use crate::{
    BATCH_BYTES, BATCH_DOCUMENTS, Batch, BatchReader, Cursor, EndpointError, Listing, PlannedChunk, Range, Ranges,
    Result, Source, SourceAbilities, SplitTarget, Unit, Whereabouts,
};

/// Files of extended JSON.
pub(super) struct JsonSource {
    place: String,
    layout: Layout,
}

/// A part of a file's text. Both kinds hold its size as it was when it was cut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum TextRange {
    /// From line start to line start.
    Lines { bytes: [u64; 2], of: u64 },
    /// All of it.
    Whole { of: u64 },
}

/// The place after a document, in bytes of unpacked text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextCursor {
    byte: u64,
}

impl JsonSource {
    /// Opens what is complete; a folder that is still being written is refused.
    pub async fn open(path: PathBuf) -> Result<Self> {
        let unfinished = path.join(WORK);
        if unfinished.exists() {
            let reason = format!("it is being written, or was left unfinished: `{}` is there", unfinished.display());
            return Err(EndpointError::unsupported("reading this folder", path.display().to_string(), reason));
        }
        Self::open_unfinished(path).await
    }

    /// Opens what is there, for whoever writes it.
    pub async fn open_unfinished(path: PathBuf) -> Result<Self> {
        let place = path.display().to_string();
        let layout = blocking(&place, move || Layout::of(&path)).await?;
        Ok(Self { place, layout })
    }

    fn file(&self, unit: &Unit) -> Result<Option<TextFile>> {
        if unit.filter.is_some() {
            return Err(EndpointError::unsupported("a filter", &self.place, "a file is read whole"));
        }
        if !self.layout.listing.units.iter().any(|known| known.namespace == unit.namespace) {
            return Err(EndpointError::Missing { what: format!("`{}`", unit.namespace), place: self.place.clone() });
        }
        Ok(self.layout.files.get(&unit.namespace).cloned())
    }

    fn recall<T: DeserializeOwned>(&self, value: &serde_json::Value) -> Result<T> {
        T::deserialize(value).map_err(|_| {
            let what = format!("the range or cursor {value}");
            EndpointError::unsupported(what, &self.place, "it was made by another kind of source")
        })
    }
}

#[async_trait]
impl Source for JsonSource {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn abilities(&self) -> SourceAbilities {
        SourceAbilities { ranges: Ranges::ByPlace, stable: true, filters: false }
    }

    async fn whereabouts(&self) -> Result<Whereabouts> {
        Whereabouts::of_path("jsonl", Path::new(&self.place)).await
    }

    async fn units(&self) -> Result<Listing> {
        Ok(self.layout.listing.clone())
    }

    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        let Some(file) = self.file(unit)? else { return Ok(Vec::new()) };
        let target = *target;
        blocking(&self.place, move || split(&file, &target)).await
    }

    async fn read(&self, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        let range: TextRange = self.recall(&range.0)?;
        let from: Option<TextCursor> = from.map(|cursor| self.recall(&cursor.0)).transpose()?;
        let Some(file) = self.file(unit)? else { return Ok(pump(self.place.clone(), |_| Ok(()))) };
        let naming = Naming::of(unit);
        Ok(pump(file.path.display().to_string(), move |outlet| read(&file, range, from, naming, outlet)))
    }
}

/// Cuts a file into ranges of about the same size that begin and end at line starts.
fn split(file: &TextFile, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
    if file.size == 0 {
        return Ok(Vec::new());
    }
    let planned = |range: TextRange, bytes| PlannedChunk {
        range: Range(serde_json::to_value(range).expect("numbers are JSON")),
        documents: None,
        bytes,
    };
    if !file.lines {
        return Ok(vec![planned(TextRange::Whole { of: file.size }, (!file.gzip).then_some(file.size))]);
    }
    let by_bytes = file.size.div_ceil(target.bytes.max(1));
    let by_documents = file.size.div_ceil(file.document_bytes.saturating_mul(target.documents.max(1)));
    let pieces = by_bytes.max(by_documents).clamp(1, u64::from(target.chunks_max.max(1)));

    let failed = |e| EndpointError::from_io(e, "looking for line ends in", &file.path);
    let mut input = BufReader::new(File::open(&file.path).map_err(failed)?);
    let mut begin = 0;
    let mut ranges = Vec::new();
    for piece in 1..=pieces {
        let aim = (u128::from(file.size) * u128::from(piece) / u128::from(pieces)) as u64;
        // A long line may have carried the last boundary past this aim.
        let end = if piece == pieces {
            file.size
        } else {
            line_start(&mut input, aim.max(begin), file.size).map_err(failed)?
        };
        if end > begin {
            ranges.push(planned(TextRange::Lines { bytes: [begin, end], of: file.size }, Some(end - begin)));
            begin = end;
        }
    }
    Ok(ranges)
}

/// The first line start at or after a byte; `size` where no line begins any more.
fn line_start(input: &mut BufReader<File>, at: u64, size: u64) -> std::io::Result<u64> {
    let Some(before) = at.checked_sub(1) else { return Ok(0) };
    input.seek(SeekFrom::Start(before))?;
    let mut start = before;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() || start >= size {
            return Ok(size);
        }
        if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            return Ok((start + end as u64 + 1).min(size));
        }
        let length = buffer.len();
        start += length as u64;
        input.consume(length);
    }
}

fn read(file: &TextFile, range: TextRange, from: Option<TextCursor>, naming: Naming, outlet: &Outlet) -> Result<()> {
    let path = &file.path;
    let failed = |e| EndpointError::from_io(e, "reading", path);
    let mut input = File::open(path).map_err(failed)?;
    let found = input.metadata().map_err(failed)?.len();
    let ([begin, end], expected) = match range {
        TextRange::Lines { bytes, of } => (bytes, of),
        TextRange::Whole { of } => ([0, u64::MAX], of),
    };
    let from = from.map_or(begin, |cursor| cursor.byte);
    if found != expected || !(begin..=end).contains(&from) {
        let reason = format!("it had {expected} bytes when it was planned and has {found} now: plan it again");
        return Err(EndpointError::damaged(path.display().to_string(), found, reason));
    }
    if file.gzip {
        let mut unpacked = GzipReader::new(input, MemberStart { compressed: 0, unpacked: 0 }).map_err(failed)?;
        let place = path.display().to_string();
        let skipped = std::io::copy(&mut (&mut unpacked).take(from), &mut std::io::sink())
            .map_err(|e| unreadable(e, &place, 0))?;
        if skipped < from {
            return Err(EndpointError::damaged(
                place,
                skipped,
                format!("the text ends before byte {from}, where reading goes on"),
            ));
        }
        return send(file, TextDocuments::new(unpacked, from, file.arrangement), naming, outlet);
    }
    input.seek(SeekFrom::Start(from)).map_err(failed)?;
    send(file, TextDocuments::new(input.take(end - from), from, file.arrangement), naming, outlet)
}

/// Sends all documents in batches; ends early where nobody takes them any more.
fn send<R: Read>(file: &TextFile, mut documents: TextDocuments<R>, naming: Naming, outlet: &Outlet) -> Result<()> {
    let mut bytes = Vec::with_capacity(BATCH_BYTES + (64 << 10));
    let mut count = 0;
    loop {
        let begin = bytes.len();
        let there_is_more = documents.next(&mut bytes).map_err(|error| located(file, error))?;
        if there_is_more {
            // Its place is where its text ends: that is the same from wherever reading begins.
            naming.name_last(&mut bytes, begin, documents.position());
        }
        count += u32::from(there_is_more);
        let is_full = bytes.len() >= BATCH_BYTES || count >= BATCH_DOCUMENTS;
        if count > 0 && (is_full || !there_is_more) {
            let cursor = TextCursor { byte: documents.position() };
            let cursor = Cursor(serde_json::to_value(cursor).expect("a number is JSON"));
            let room = bytes.len().min(BATCH_BYTES) + (64 << 10);
            let full = std::mem::replace(&mut bytes, Vec::with_capacity(room));
            if outlet.put(Batch { bytes: full.into(), documents: count, cursor }).is_err() {
                return Ok(());
            }
            count = 0;
        }
        if !there_is_more {
            return Ok(());
        }
    }
}

/// An error with the line and the column in it, found by counting from the beginning of the file.
fn located(file: &TextFile, error: ReadError) -> EndpointError {
    let place = file.path.display().to_string();
    match error {
        ReadError::Io(error) => unreadable(error, &place, 0),
        ReadError::Text { offset, error } => {
            let reason = explained(file, &error);
            match line_and_column(&file.path, file.gzip, offset) {
                Ok((line, column)) => {
                    EndpointError::damaged(format!("{place}, line {line}, column {column}"), offset, reason)
                }
                Err(_) => EndpointError::damaged(place, offset, reason),
            }
        }
    }
}

fn explained(file: &TextFile, error: &TextError) -> String {
    if error.ended && file.lines {
        return format!(
            "{error}; a document goes on over the end of the text, or over a line end where the file was cut"
        );
    }
    error.to_string()
}

/// Where a byte of the text stands, counted from 1; a column is a character.
fn line_and_column(path: &Path, gzip: bool, offset: u64) -> std::io::Result<(u64, u64)> {
    let file = File::open(path)?;
    let mut text: Box<dyn Read> = match gzip {
        true => Box::new(GzipReader::new(file, MemberStart { compressed: 0, unpacked: 0 })?.take(offset)),
        false => Box::new(file.take(offset)),
    };
    let (mut line, mut column) = (1, 1);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = text.read(&mut buffer)?;
        if read == 0 {
            return Ok((line, column));
        }
        for byte in &buffer[..read] {
            match byte {
                b'\n' => (line, column) = (line + 1, 1),
                // The later bytes of a character.
                0x80..=0xbf => {}
                _ => column += 1,
            }
        }
    }
}
