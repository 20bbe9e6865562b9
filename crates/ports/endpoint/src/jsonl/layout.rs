//! Which files are which collection's.
//!
//! A name is told in this order: by the metadata beside a file (`NAME.metadata.json`, which says the collection; the folder
//! is the database); in a folder given as the place, by a dot (`shop.orders.jsonl` is `orders` of `shop`); else the file is
//! the collection and its folder the database, `test` where the folder's name could be none. Only the metadata undo the
//! escapes of our own file names: `100%.json` of somebody else is the collection `100%`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::documents::{Arrangement, arrangement, is_lines};
use crate::dump::layout::{WORK, read_metadata};
use crate::dump::metadata::Metadata;
use crate::dump::names;
use crate::gzip::{GzipReader, MemberStart, begins_member};
use crate::{EndpointError, Estimate, Listing, Namespace, Result, SetAside, Unit, UnitKind};

/// How much of a file is looked at to tell its form.
const HEAD_BYTES: u64 = 256 << 10;
const ENDINGS: [&str; 3] = ["jsonl", "ndjson", "json"];
const METADATA_ENDINGS: [&str; 2] = [".metadata.json", ".metadata.json.gz"];

/// A file of documents.
#[derive(Clone, Debug)]
pub(super) struct TextFile {
    pub path: PathBuf,
    /// Its size when it was looked at; a file that has another size later is not read.
    pub size: u64,
    pub gzip: bool,
    pub arrangement: Arrangement,
    /// It can be cut at line ends.
    pub lines: bool,
    /// Bytes to a document in the part that was looked at.
    pub document_bytes: u64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub listing: Listing,
    pub files: BTreeMap<Namespace, TextFile>,
}

impl Layout {
    /// Looks at a folder and the folders in it, or at one file.
    pub fn of(place: &Path) -> Result<Self> {
        let mut layout = Self::default();
        let about = place.metadata().map_err(|e| EndpointError::from_io(e, "looking up", place))?;
        if !about.is_dir() {
            layout.add_file(place, &database_of(place.parent().unwrap_or(Path::new(".")))?)?;
            return Ok(layout);
        }
        let database = database_of(&place.join("."))?;
        for path in entries(place)? {
            if !path.is_dir() {
                layout.add_entry(&path, &database)?;
            } else if path.file_name().is_none_or(|name| name != WORK) {
                let database = database_of(&path)?;
                for path in entries(&path)? {
                    if path.is_dir() {
                        layout.set_aside(&path, "folders of folders are not looked into");
                    } else {
                        layout.add_entry(&path, &database)?;
                    }
                }
            }
        }
        layout.listing.units.sort_by(|a, b| a.namespace.cmp(&b.namespace));
        Ok(layout)
    }

    fn add_entry(&mut self, path: &Path, database: &str) -> Result<()> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            self.set_aside(path, "its name is not UTF-8");
            return Ok(());
        };
        if METADATA_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            return self.add_view(path, database);
        }
        if stem_of(name).is_none() {
            self.set_aside(path, "its name does not end in .json, .jsonl or .ndjson, with or without .gz");
            return Ok(());
        }
        self.add_file(path, database)
    }

    fn add_file(&mut self, path: &Path, database: &str) -> Result<()> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = stem_of(name).unwrap_or(name);
        let beside = METADATA_ENDINGS.map(|ending| path.with_file_name(format!("{stem}{ending}")));
        let unit = match beside.iter().find(|beside| beside.is_file() && *beside != path) {
            Some(beside) => unit_of(beside, stem, database)?,
            None => {
                let (database, collection) = match stem.split_once('.') {
                    Some((database, collection)) if !database.is_empty() && !collection.is_empty() => {
                        (database, collection)
                    }
                    _ => (database, stem),
                };
                Unit::collection(Namespace::new(database, collection))
            }
        };
        names::check(&unit.namespace, &path.display().to_string())?;
        let file = TextFile::look_at(path)?;
        if unit.kind == UnitKind::View {
            if file.size > 0 {
                self.set_aside(path, "documents of a view: they come from the collection that it shows");
            }
            return Ok(());
        }
        if let Some(other) = self.files.get(&unit.namespace) {
            let reason = format!(
                "{} is of the collection `{}` too: which one counts cannot be told",
                other.path.display(),
                unit.namespace
            );
            return Err(EndpointError::damaged(path.display().to_string(), 0, reason));
        }
        let estimate = file.estimate();
        self.files.insert(unit.namespace.clone(), file);
        self.listing.units.push(Unit { estimate, ..unit });
        Ok(())
    }

    /// Takes metadata that stand for themselves: a view's. Those of a collection count where its documents lie.
    fn add_view(&mut self, path: &Path, database: &str) -> Result<()> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = METADATA_ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
        let unit = match unit_of(path, stem, database) {
            Ok(unit) => unit,
            // Somebody's collection may happen to be called `x.metadata`.
            Err(EndpointError::Damaged { .. }) => {
                self.set_aside(path, "it is named like the metadata of a collection, and is something else");
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        if unit.kind == UnitKind::View {
            self.listing.units.push(unit);
        }
        Ok(())
    }

    fn set_aside(&mut self, path: &Path, reason: &str) {
        self.listing.set_aside.push(SetAside { what: path.display().to_string(), reason: reason.into() });
    }
}

impl TextFile {
    /// Tells a file's form by its first bytes.
    pub fn look_at(path: &Path) -> Result<Self> {
        let failed = |e| EndpointError::from_io(e, "looking into", path);
        let mut file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut head = Vec::new();
        (&mut file).take(HEAD_BYTES).read_to_end(&mut head).map_err(failed)?;
        let gzip = begins_member(&head);
        if gzip {
            head.clear();
            let unpacked = GzipReader::new(file, MemberStart { compressed: 0, unpacked: 0 }).map_err(failed)?;
            let read = unpacked.take(HEAD_BYTES).read_to_end(&mut head);
            read.map_err(|e| crate::bson_stream::unreadable(e, &path.display().to_string(), 0))?;
        }
        let lines = head.iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(Self {
            path: path.into(),
            size,
            gzip,
            arrangement: arrangement(&head),
            lines: !gzip && is_lines(&head),
            document_bytes: (head.len() as u64 / lines.max(1)).max(1),
        })
    }

    fn estimate(&self) -> Estimate {
        match (self.size, self.gzip) {
            (0, _) => Estimate { documents: Some(0), bytes: Some(0) },
            (_, true) => Estimate::default(),
            (size, false) => {
                Estimate { documents: self.lines.then(|| size.div_ceil(self.document_bytes)), bytes: Some(size) }
            }
        }
    }
}

/// What stands before `.json`, `.jsonl` or `.ndjson`, with or without `.gz`.
fn stem_of(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let (stem, ending) = name.rsplit_once('.')?;
    (!stem.is_empty() && ENDINGS.contains(&ending)).then_some(stem)
}

fn unit_of(metadata: &Path, stem: &str, database: &str) -> Result<Unit> {
    let Metadata { collection, .. } = &read_metadata(metadata)?;
    let collection =
        collection.clone().or_else(|| names::collection_of(stem).ok().flatten()).unwrap_or_else(|| stem.into());
    Ok(read_metadata(metadata)?.into_unit(Namespace::new(database, collection)))
}

/// The database that a folder stands for.
fn database_of(folder: &Path) -> Result<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let real = folder.canonicalize().map_err(|e| EndpointError::from_io(e, "looking up", folder))?;
    let name = real.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let possible = names::check(&Namespace::new(name, "collection"), "").is_ok();
    Ok(if possible { name.into() } else { "test".into() })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| EndpointError::from_io(e, "listing", folder);
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths = entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
