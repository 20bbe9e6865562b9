//! Reading a dump, whatever its form.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::bson_frames::claimed_length;
use crate::dump::archive::{self, ArchiveFile, Index, MAGIC, Prelude};
use crate::dump::layout::{DataFile, Layout, WORK};
use crate::dump::places::{DumpCursor, DumpRange, Entry, recall};
use crate::dump::{bson_file, gzip_file};
use crate::gzip::{GzipReader, MemberStart, begins_member};
use crate::naming::Naming;
use crate::pump::{blocking, pump};
use crate::{
    BatchReader, Cursor, EndpointError, Listing, Namespace, PlannedChunk, Range, Ranges, Result, Source,
    SourceAbilities, SplitTarget, Unit, UnitKind, Whereabouts,
};

/// A directory, a file or an archive that mongodump could have written.
pub(crate) struct DumpSource {
    place: String,
    shape: Shape,
}

enum Shape {
    Files(Layout),
    Archive {
        file: ArchiveFile,
        listing: Listing,
        /// Made by reading the whole archive, once.
        index: OnceCell<Arc<Index>>,
    },
}

/// What a path turns out to be.
enum Form {
    Directory,
    BsonFile { gzip: bool },
    Archive { gzip: bool },
}

impl DumpSource {
    /// Opens a dump that is complete. One that is still being written is refused.
    pub(crate) async fn open(path: PathBuf) -> Result<Self> {
        let unfinished = path.join(WORK);
        if unfinished.exists() {
            let reason = format!(
                "it is being written, or was left unfinished: `{}` is there; resume or cancel that job",
                unfinished.display()
            );
            return Err(EndpointError::unsupported("reading this dump", path.display().to_string(), reason));
        }
        Self::open_unfinished(path).await
    }

    /// Opens what is there, for whoever writes it.
    pub(crate) async fn open_unfinished(path: PathBuf) -> Result<Self> {
        let place = path.display().to_string();
        let shape = blocking(&place, move || match form(&path)? {
            Form::Directory => Layout::of_directory(&path).map(Shape::Files),
            Form::BsonFile { gzip } => Layout::of_file(&path, gzip).map(Shape::Files),
            Form::Archive { gzip } => {
                let file = ArchiveFile { path, gzip };
                let listing = Prelude::of(&file)?.listing;
                Ok(Shape::Archive { file, listing, index: OnceCell::new() })
            }
        })
        .await?;
        Ok(Self { place, shape })
    }

    fn listing(&self) -> &Listing {
        match &self.shape {
            Shape::Files(layout) => &layout.listing,
            Shape::Archive { listing, .. } => listing,
        }
    }

    fn check(&self, unit: &Unit) -> Result<()> {
        if unit.filter.is_some() {
            return Err(EndpointError::unsupported("a filter", &self.place, "a dump is read whole"));
        }
        if self.listing().units.iter().any(|known| known.namespace == unit.namespace) {
            return Ok(());
        }
        Err(EndpointError::Missing { what: format!("`{}`", unit.namespace), place: self.place.clone() })
    }

    fn read_nothing(&self) -> Box<dyn BatchReader> {
        pump(self.place.clone(), |_| Ok(()))
    }
}

#[async_trait]
impl Source for DumpSource {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn abilities(&self) -> SourceAbilities {
        let packed = match &self.shape {
            Shape::Files(layout) => layout.files.values().any(|file| file.gzip),
            Shape::Archive { file, .. } => file.gzip,
        };
        SourceAbilities { ranges: if packed { Ranges::ByCount } else { Ranges::ByPlace }, stable: true, filters: false }
    }

    async fn whereabouts(&self) -> Result<Whereabouts> {
        Whereabouts::of_path("dump", Path::new(&self.place)).await
    }

    async fn units(&self) -> Result<Listing> {
        Ok(self.listing().clone())
    }

    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>> {
        self.check(unit)?;
        let target = *target;
        match &self.shape {
            Shape::Files(layout) => {
                let Some(file) = layout.files.get(&unit.namespace).cloned() else { return Ok(Vec::new()) };
                blocking(&self.place, move || match file.gzip {
                    false => bson_file::split(&file.path, &target),
                    true => gzip_file::split(&file.path, &target),
                })
                .await
            }
            Shape::Archive { file, index, .. } => {
                let index = index_of(file, index, &self.place).await?;
                let extent = index.extent(unit).filter(|_| unit.kind != UnitKind::View);
                let Some(extent) = extent.cloned() else { return Ok(Vec::new()) };
                let file = file.clone();
                blocking(&self.place, move || archive::split(&file, &extent, &target)).await
            }
        }
    }

    async fn read(&self, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Result<Box<dyn BatchReader>> {
        self.check(unit)?;
        let range: DumpRange = recall(&range.0, &self.place)?;
        let from: Option<DumpCursor> = from.map(|cursor| recall(&cursor.0, &self.place)).transpose()?;
        let naming = Naming::of(unit);
        let read = match &self.shape {
            _ if unit.kind == UnitKind::View => Some(self.read_nothing()),
            Shape::Files(layout) => match layout.files.get(&unit.namespace) {
                None => Some(self.read_nothing()),
                Some(DataFile { path, gzip: false, .. }) => read_bson(path.clone(), &range, from, naming),
                Some(DataFile { path, gzip: true, .. }) => read_packed(path.clone(), &range, from, naming),
            },
            Shape::Archive { file, index, .. } => {
                // A range by bytes says nothing of the name under which the documents lie.
                let namespace = match (unit.kind, &range) {
                    (UnitKind::TimeSeries, _) => {
                        let index = index_of(file, index, &self.place).await?;
                        index.extent(unit).map_or_else(|| unit.namespace.clone(), |extent| extent.namespace.clone())
                    }
                    _ => unit.namespace.clone(),
                };
                read_archive(file.clone(), namespace, &range, from, naming)
            }
        };
        read.ok_or_else(|| {
            let what = format!("the range {range:?} from {from:?}");
            EndpointError::unsupported(what, &self.place, "it was made by another kind of source")
        })
    }
}

async fn index_of(file: &ArchiveFile, index: &OnceCell<Arc<Index>>, place: &str) -> Result<Arc<Index>> {
    let make = || {
        let file = file.clone();
        async move { blocking(place, move || Index::of(&file)).await.map(Arc::new) }
    };
    index.get_or_try_init(make).await.cloned()
}

fn read_bson(
    path: PathBuf,
    range: &DumpRange,
    from: Option<DumpCursor>,
    naming: Naming,
) -> Option<Box<dyn BatchReader>> {
    let range = match range {
        DumpRange::Bytes(range) => Some(*range),
        DumpRange::Whole => None,
        DumpRange::Documents(_) | DumpRange::Archive(_) => return None,
    };
    let from = match from {
        None => None,
        Some(DumpCursor::Byte(at)) => Some(at),
        Some(DumpCursor::Document { .. } | DumpCursor::Archive(_)) => return None,
    };
    Some(pump(path.display().to_string(), move |outlet| {
        let range = range.map_or_else(|| bson_file::whole(&path), Ok)?;
        bson_file::read(&path, range, from.unwrap_or(range[0]), naming, outlet)
    }))
}

fn read_packed(
    path: PathBuf,
    range: &DumpRange,
    from: Option<DumpCursor>,
    naming: Naming,
) -> Option<Box<dyn BatchReader>> {
    let range = match range {
        DumpRange::Documents(range) => Some(range.clone()),
        DumpRange::Whole => None,
        DumpRange::Bytes(_) | DumpRange::Archive(_) => return None,
    };
    let first = range.as_ref().map_or((0, Entry::default()), |range| (range.from, range.member));
    let from = match from {
        None => first,
        Some(DumpCursor::Document { number, member }) => (number, member),
        Some(DumpCursor::Byte(_) | DumpCursor::Archive(_)) => return None,
    };
    Some(pump(path.display().to_string(), move |outlet| match range {
        Some(range) => gzip_file::read(&path, &range, from, naming, outlet),
        None => gzip_file::read_whole(&path, from, naming, outlet),
    }))
}

fn read_archive(
    file: ArchiveFile,
    namespace: Namespace,
    range: &DumpRange,
    from: Option<DumpCursor>,
    naming: Naming,
) -> Option<Box<dyn BatchReader>> {
    let place = file.path.display().to_string();
    match (range.clone(), from) {
        (DumpRange::Archive(range), None | Some(DumpCursor::Archive(_))) if !file.gzip => {
            let from = if let Some(DumpCursor::Archive(at)) = from { at } else { range[0] };
            Some(pump(place, move |outlet| archive::read_between(&file, &namespace, range, from, naming, outlet)))
        }
        (DumpRange::Documents(range), None | Some(DumpCursor::Document { .. })) => {
            let from = if let Some(DumpCursor::Document { number, .. }) = from { number } else { range.from };
            Some(pump(place, move |outlet| archive::read_numbered(&file, &namespace, &range, from, naming, outlet)))
        }
        (DumpRange::Whole, None | Some(DumpCursor::Document { .. })) => {
            let from = if let Some(DumpCursor::Document { number, .. }) = from { number } else { 0 };
            Some(pump(place, move |outlet| archive::read_whole(&file, &namespace, from, naming, outlet)))
        }
        _ => None,
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
    if head == MAGIC.to_le_bytes() {
        return Ok(Form::Archive { gzip: false });
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Four bytes can begin both a gzip member and a document of 559,903 bytes or more; then the name tells.
    if begins_member(&head) && !(name.ends_with(".bson") && matches!(claimed_length(&head), Ok(Some(_)))) {
        return if unpacks_to_archive(path)? {
            Ok(Form::Archive { gzip: true })
        } else {
            Ok(Form::BsonFile { gzip: true })
        };
    }
    if name.contains(".archive") {
        let reason = "it does not begin as an archive of mongodump does";
        return Err(EndpointError::damaged(path.display().to_string(), 0, reason));
    }
    Ok(Form::BsonFile { gzip: false })
}

fn unpacks_to_archive(path: &Path) -> Result<bool> {
    let failed = |e| crate::bson_stream::unreadable(e, &path.display().to_string(), 0);
    let file = File::open(path).map_err(|e| EndpointError::from_io(e, "opening", path))?;
    let mut head = Vec::new();
    let reader = GzipReader::new(file, MemberStart { compressed: 0, unpacked: 0 }).map_err(failed)?;
    reader.take(4).read_to_end(&mut head).map_err(failed)?;
    Ok(head == MAGIC.to_le_bytes())
}
