//! Reading a dump, whatever its form.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::bson_frames::claimed_length;
use crate::dump::layout::{DataFile, Layout, WORK};
use crate::dump::places::{DumpCursor, DumpRange, Entry, recall};
use crate::dump::{bson_file, gzip_file};
use crate::gzip::begins_member;
use crate::pump::{blocking, pump};
use crate::{
    BatchReader, Cursor, EndpointError, Listing, PlannedChunk, Range, Ranges, Result, Source, SourceAbilities,
    SplitTarget, Unit,
};

/// A directory, a file or an archive that mongodump could have written.
pub(crate) struct DumpSource {
    place: String,
    layout: Layout,
}

/// What a path turns out to be.
enum Form {
    Directory,
    BsonFile { gzip: bool },
}

impl DumpSource {
    /// Opens a dump that is complete. One that is still being written is refused.
    pub(crate) async fn open(path: PathBuf) -> Result<Self> {
        let unfinished = path.join(WORK);
        if unfinished.exists() {
            let reason = format!("it is being written, or was left unfinished: `{}` is there", unfinished.display());
            return Err(EndpointError::unsupported("reading this dump", path.display().to_string(), reason));
        }
        Self::open_unfinished(path).await
    }

    /// Opens what is there, for whoever writes it.
    pub(crate) async fn open_unfinished(path: PathBuf) -> Result<Self> {
        let place = path.display().to_string();
        let layout = blocking(&place, move || match form(&path)? {
            Form::Directory => Layout::of_directory(&path),
            Form::BsonFile { gzip } => Layout::of_file(&path, gzip),
        })
        .await?;
        Ok(Self { place, layout })
    }

    fn file(&self, unit: &Unit) -> Result<Option<DataFile>> {
        if unit.filter.is_some() {
            return Err(EndpointError::unsupported("a filter", &self.place, "a dump is read whole"));
        }
        if !self.layout.listing.units.iter().any(|known| known.namespace == unit.namespace) {
            return Err(EndpointError::Missing { what: format!("`{}`", unit.namespace), place: self.place.clone() });
        }
        Ok(self.layout.files.get(&unit.namespace).cloned())
    }
}

#[async_trait]
impl Source for DumpSource {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn abilities(&self) -> SourceAbilities {
        let packed = self.layout.files.values().any(|file| file.gzip);
        SourceAbilities { ranges: if packed { Ranges::ByCount } else { Ranges::ByPlace }, stable: true, filters: false }
    }

    async fn units(&self) -> Result<Listing> {
        Ok(self.layout.listing.clone())
    }

    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        let Some(file) = self.file(unit)? else { return Ok(Vec::new()) };
        let target = *target;
        blocking(&self.place, move || match file.gzip {
            false => bson_file::split(&file.path, &target),
            true => gzip_file::split(&file.path, &target),
        })
        .await
    }

    async fn read(&self, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        let range: DumpRange = recall(&range.0, &self.place)?;
        let from: Option<DumpCursor> = from.map(|cursor| recall(&cursor.0, &self.place)).transpose()?;
        let Some(DataFile { path, gzip, .. }) = self.file(unit)? else {
            return Ok(pump(self.place.clone(), |_| Ok(())));
        };
        let place = path.display().to_string();
        match (gzip, range, from) {
            (false, range @ (DumpRange::Whole | DumpRange::Bytes(_)), None | Some(DumpCursor::Byte(_))) => {
                Ok(pump(place, move |outlet| {
                    let range = if let DumpRange::Bytes(range) = range { range } else { bson_file::whole(&path)? };
                    let from = if let Some(DumpCursor::Byte(at)) = from { at } else { range[0] };
                    bson_file::read(&path, range, from, outlet)
                }))
            }
            (true, range @ (DumpRange::Whole | DumpRange::Documents(_)), None | Some(DumpCursor::Document { .. })) => {
                Ok(pump(place, move |outlet| {
                    let at = |first| match from {
                        Some(DumpCursor::Document { number, member }) => (number, member),
                        _ => first,
                    };
                    match range {
                        DumpRange::Documents(range) => {
                            gzip_file::read(&path, &range, at((range.from, range.member)), outlet)
                        }
                        _ => gzip_file::read_whole(&path, at((0, Entry::default())), outlet),
                    }
                }))
            }
            (_, range, from) => {
                let what = format!("the range {range:?} from {from:?}");
                Err(EndpointError::unsupported(what, place, "it was made by another kind of source"))
            }
        }
    }
}

/// Tells what a path is by looking at it.
fn form(path: &Path) -> Result<Form> {
    let about = path.metadata().map_err(|e| EndpointError::from_io(e, "looking up", path))?;
    if about.is_dir() {
        return Ok(Form::Directory);
    }
    let mut head = Vec::new();
    let file = File::open(path).map_err(|e| EndpointError::from_io(e, "opening", path))?;
    file.take(4).read_to_end(&mut head).map_err(|e| EndpointError::from_io(e, "reading", path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Four bytes can begin both a gzip member and a document of 559,903 bytes or more; then the name tells.
    if begins_member(&head) && !(name.ends_with(".bson") && matches!(claimed_length(&head), Ok(Some(_)))) {
        return Ok(Form::BsonFile { gzip: true });
    }
    Ok(Form::BsonFile { gzip: false })
}
