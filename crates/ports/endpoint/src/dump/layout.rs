//! Finding what lies in a dump directory: which files are which collection's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::dump::metadata::Metadata;
use crate::dump::names::{BUCKETS, collection_of};
use crate::gzip::{GzipReader, MemberStart, begins_member};
use crate::{EndpointError, Estimate, Listing, Namespace, Result, SetAside, Unit, UnitKind};

/// Where unfinished work lies in a directory that is being written.
pub(crate) const WORK: &str = ".capstan";
/// A metadata file larger than this is refused.
const METADATA_BYTES_MAX: u64 = 64 << 20;

/// A file of documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DataFile {
    pub path: PathBuf,
    pub gzip: bool,
    pub stored: u64,
}

/// What was found: units, and the files of those that have documents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub listing: Listing,
    pub files: BTreeMap<Namespace, DataFile>,
}

impl Layout {
    /// Looks at a directory: one database's if collections lie right in it, else one database in each folder.
    pub(crate) fn of_directory(root: &Path) -> Result<Self> {
        let mut layout = Self::default();
        let (mut folders, mut collections, mut others) = (Vec::new(), false, Vec::new());
        for path in sorted_entries(root)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != WORK {
                    folders.push(path);
                }
            } else if name == "oplog.bson" || name == "oplog.bson.gz" {
                others.push((path, "an oplog is not a collection"));
            } else if Role::of(&name).is_some() {
                collections = true;
            } else if !is_prelude(&name) {
                others.push((path, "it is no part of a dump"));
            }
        }
        if collections {
            for folder in folders {
                layout.set_aside(&folder, "collections lie beside it, so this is the directory of one database");
            }
            layout.add_database(root, &database_name(root)?)?;
            return Ok(layout);
        }
        for (path, reason) in others {
            layout.set_aside(&path, reason);
        }
        for folder in folders {
            layout.add_database(&folder, &database_name(&folder)?)?;
        }
        Ok(layout)
    }

    /// Takes a single file of documents, with the metadata beside it if there are any.
    pub(crate) fn of_file(path: &Path, gzip: bool) -> Result<Self> {
        let mut layout = Self::default();
        let folder = path.canonicalize().map_err(|e| EndpointError::from_io(e, "looking up", path))?;
        let folder = folder.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.trim_end_matches(".gz").trim_end_matches(".bson");
        let metadata = [format!("{stem}.metadata.json"), format!("{stem}.metadata.json.gz")]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|path| path.exists());
        // A file that lies anywhere may be in a folder that could be no database.
        let database = database_name(folder).unwrap_or_else(|_| "test".into());
        let files = Files { documents: Some((path.to_owned(), gzip)), metadata };
        layout.add_collection(&database, stem, &files, &BTreeMap::new())?;
        Ok(layout)
    }

    fn add_database(&mut self, folder: &Path, database: &str) -> Result<()> {
        let mut collections: BTreeMap<String, Files> = BTreeMap::new();
        for path in sorted_entries(folder)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                self.set_aside(&path, "its name is not UTF-8");
                continue;
            };
            if path.is_dir() {
                self.set_aside(&path, "a dump has no folders in a database's folder");
                continue;
            }
            match Role::of(name) {
                None if is_prelude(name) => {}
                None => self.set_aside(&path, "it is no part of a dump"),
                Some((stem, Role::Documents { gzip })) => {
                    let files = collections.entry(stem.to_owned()).or_default();
                    if let Some((other, _)) = files.documents.replace((path.clone(), gzip)) {
                        return Err(twice(&other, &path));
                    }
                }
                Some((stem, Role::Metadata)) => {
                    let files = collections.entry(stem.to_owned()).or_default();
                    if let Some(other) = files.metadata.replace(path.clone()) {
                        return Err(twice(&other, &path));
                    }
                }
            }
        }
        for (stem, files) in &collections {
            self.add_collection(database, stem, files, &collections)?;
        }
        Ok(())
    }

    fn add_collection(
        &mut self,
        database: &str,
        stem: &str,
        files: &Files,
        siblings: &BTreeMap<String, Files>,
    ) -> Result<()> {
        let metadata = files.metadata.as_deref().map(read_metadata).transpose()?;
        let shown = files.documents.as_ref().map(|(path, _)| path).or(files.metadata.as_ref());
        let shown = shown.expect("a stem comes from a file").clone();
        let named = collection_of(stem).map_err(|reason| {
            EndpointError::damaged(
                shown.display().to_string(),
                0,
                format!("the file name is not one of a dump: {reason}"),
            )
        })?;
        let Some(collection) = named.or_else(|| metadata.as_ref().and_then(|metadata| metadata.collection.clone()))
        else {
            let reason = "the name is cut, and no metadata beside it gives the whole name";
            return Err(EndpointError::damaged(shown.display().to_string(), 0, reason));
        };
        if let Some(reason) = not_a_collection(database, &collection) {
            self.set_aside(&shown, reason);
            return Ok(());
        }
        // The documents of a time-series collection lie in the file of its buckets.
        let mut documents = files.documents.clone();
        if let Some(measured) = collection.strip_prefix(BUCKETS) {
            if siblings.get(&crate::dump::names::file_stem(measured)).is_some_and(|files| files.metadata.is_some()) {
                return Ok(());
            }
            self.set_aside(&shown, "buckets without the metadata of their time-series collection");
            return Ok(());
        }
        let mut unit = metadata.unwrap_or_default().into_unit(Namespace::new(database, collection));
        if unit.kind == UnitKind::TimeSeries {
            let buckets = crate::dump::names::file_stem(&format!("{BUCKETS}{}", unit.namespace.collection));
            documents = siblings.get(&buckets).and_then(|files| files.documents.clone()).or(documents);
        }
        let data = documents.map(|(path, gzip)| data_file(path, gzip)).transpose()?;
        self.add_unit(&mut unit, data)
    }

    fn add_unit(&mut self, unit: &mut Unit, data: Option<DataFile>) -> Result<()> {
        match data {
            Some(data) if unit.kind == UnitKind::View && !is_empty(&data)? => {
                self.set_aside(&data.path, "documents of a view: they come from the collection that it shows");
            }
            Some(data) if unit.kind != UnitKind::View => {
                unit.estimate = estimate(&data)?;
                self.files.insert(unit.namespace.clone(), data);
            }
            Some(_) => {}
            None if unit.kind != UnitKind::View => {
                unit.estimate = Estimate { documents: Some(0), bytes: Some(0) };
            }
            None => {}
        }
        self.listing.units.push(unit.clone());
        Ok(())
    }

    fn set_aside(&mut self, path: &Path, reason: &str) {
        self.listing.set_aside.push(SetAside { what: path.display().to_string(), reason: reason.into() });
    }
}

/// The files of one stem.
#[derive(Clone, Debug, Default)]
struct Files {
    documents: Option<(PathBuf, bool)>,
    metadata: Option<PathBuf>,
}

/// What a file is by its name.
enum Role {
    Documents { gzip: bool },
    Metadata,
}

impl Role {
    fn of(name: &str) -> Option<(&str, Role)> {
        for (ending, role) in [
            (".bson", Role::Documents { gzip: false }),
            (".bson.gz", Role::Documents { gzip: true }),
            (".metadata.json", Role::Metadata),
            (".metadata.json.gz", Role::Metadata),
        ] {
            if let Some(stem) = name.strip_suffix(ending) {
                return Some((stem, role));
            }
        }
        None
    }
}

fn is_prelude(name: &str) -> bool {
    name == "prelude.json" || name == "prelude.json.gz"
}

/// Why a collection of a dump is the server's own affair, if it is.
pub(crate) fn not_a_collection(database: &str, collection: &str) -> Option<&'static str> {
    if collection.starts_with('$') || database == "admin" && collection.starts_with("system.") {
        return Some("users, roles and settings of a server are not moved");
    }
    match collection {
        "system.indexes" | "system.namespaces" | "system.profile" | "system.views" => {
            Some("the server keeps this collection itself")
        }
        _ => None,
    }
}

fn twice(one: &Path, other: &Path) -> EndpointError {
    let reason = format!("{} is of the same collection: which one counts cannot be told", one.display());
    EndpointError::damaged(other.display().to_string(), 0, reason)
}

/// A folder's real name, `.` and `..` resolved.
fn database_name(folder: &Path) -> Result<String> {
    let real = folder.canonicalize().map_err(|e| EndpointError::from_io(e, "looking up", folder))?;
    let name = real.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let namespace = Namespace::new(name, "collection");
    crate::dump::names::check(&namespace, &folder.display().to_string()).map_err(|_| {
        let reason = format!("the folder `{name}` could not be a database: give it the name of the database it holds");
        EndpointError::damaged(folder.display().to_string(), 0, reason)
    })?;
    Ok(name.into())
}

fn sorted_entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| EndpointError::from_io(e, "listing", folder);
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let mut paths = entries.map(|entry| Ok(entry.map_err(failed)?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn data_file(path: PathBuf, gzip: bool) -> Result<DataFile> {
    let stored = path.metadata().map_err(|e| EndpointError::from_io(e, "looking up", &path))?.len();
    Ok(DataFile { path, gzip, stored })
}

fn estimate(data: &DataFile) -> Result<Estimate> {
    if is_empty(data)? {
        return Ok(Estimate { documents: Some(0), bytes: Some(0) });
    }
    Ok(Estimate { documents: None, bytes: (!data.gzip).then_some(data.stored) })
}

/// Whether a file holds no byte, unpacked.
pub(crate) fn is_empty(data: &DataFile) -> Result<bool> {
    if !data.gzip || data.stored == 0 {
        return Ok(data.stored == 0);
    }
    let failed = |e| crate::bson_stream::unreadable(e, &data.path.display().to_string(), 0);
    let file = File::open(&data.path).map_err(|e| EndpointError::from_io(e, "opening", &data.path))?;
    let mut reader = GzipReader::new(file, MemberStart { compressed: 0, unpacked: 0 }).map_err(failed)?;
    Ok(reader.read(&mut [0]).map_err(failed)? == 0)
}

pub(crate) fn read_metadata(path: &Path) -> Result<Metadata> {
    let place = path.display().to_string();
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| EndpointError::from_io(e, "opening", path))?;
    let failed = |e| crate::bson_stream::unreadable(e, &place, 0);
    file.take(METADATA_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if begins_member(&bytes) {
        let packed = std::mem::take(&mut bytes);
        let reader = flate2::read::MultiGzDecoder::new(&packed[..]);
        reader.take(METADATA_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > METADATA_BYTES_MAX {
        return Err(EndpointError::damaged(place, METADATA_BYTES_MAX, "metadata are larger than 64 MiB"));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| EndpointError::damaged(&place, e.valid_up_to() as u64, "metadata are not UTF-8"))?;
    Metadata::parse(text)
        .map_err(|reason| EndpointError::damaged(&place, 0, format!("metadata are not understood: {reason}")))
}
