//! The beginning of an archive: which collections it holds, and what defines them.

use std::io::Read;
use std::path::Path;

use bson::{RawDocumentBuf, rawdoc};

use crate::dump::archive::blocks::{Blocks, Item, valid_document};
use crate::dump::archive::{ArchiveFile, MAGIC, TERMINATOR, VERSION};
use crate::dump::directory_sink::SERVER_VERSION;
use crate::dump::layout::not_a_collection;
use crate::dump::metadata::{Metadata, kind_name};
use crate::dump::names::BUCKETS;
use crate::{EndpointError, Listing, Namespace, Result, SetAside, Unit, UnitKind};

/// What an archive says about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prelude {
    pub listing: Listing,
    /// All namespaces it announces, offered as units or not.
    pub announced: Vec<(Namespace, UnitKind)>,
}

impl Prelude {
    /// Reads the beginning of an archive.
    pub(crate) fn of(archive: &ArchiveFile) -> Result<Self> {
        let (prelude, _) = Self::read(archive.open()?, &archive.path)?;
        Ok(prelude)
    }

    /// Reads a prelude and gives the stream as it stands before the first block.
    pub(crate) fn read<R: Read>(mut input: R, path: &Path) -> Result<(Self, Blocks<R>)> {
        let place = path.display().to_string();
        let mut magic = Vec::new();
        (&mut input).take(4).read_to_end(&mut magic).map_err(|e| crate::bson_stream::unreadable(e, &place, 0))?;
        if magic != MAGIC.to_le_bytes() {
            return Err(EndpointError::damaged(place, 0, "it does not begin as an archive of mongodump does"));
        }
        // Documents up to the first terminator lie as in a block.
        let mut blocks = Blocks::new(input, path, 4, false);
        let mut prelude = Self::default();
        let mut buffer = Vec::new();
        let mut first = true;
        loop {
            let at = blocks.position();
            let damaged = |reason: String| EndpointError::damaged(&place, at, reason);
            buffer.clear();
            match blocks.item(&mut buffer)? {
                Item::End => return Err(damaged("the archive is cut short: it ends inside its prelude".into())),
                Item::Terminator if first => return Err(damaged("the archive has no header".into())),
                Item::Terminator => return Ok((prelude, blocks)),
                Item::Document if first => check_header(&buffer).map_err(damaged)?,
                Item::Document => prelude.add(&buffer).map_err(damaged)?,
            }
            first = false;
        }
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        let document = valid_document(bytes)?;
        let text = |name| document.get_str(name).map_err(|e| format!("a collection is not described: {e}"));
        let namespace = Namespace::new(text("db")?, text("collection")?);
        let mut metadata = Metadata::parse(document.get_str("metadata").unwrap_or_default())
            .map_err(|reason| format!("the metadata of `{namespace}` are not understood: {reason}"))?;
        match document.get_str("type") {
            Ok("view") => metadata.kind = UnitKind::View,
            Ok("timeseries") => metadata.kind = UnitKind::TimeSeries,
            _ => {}
        }
        if self.announced.iter().any(|(known, _)| *known == namespace) {
            return Err(format!("`{namespace}` is announced twice"));
        }
        self.announced.push((namespace.clone(), metadata.kind));
        let aside = match namespace.database.is_empty() {
            true => Some("an oplog is not a collection"),
            false => not_a_collection(&namespace.database, &namespace.collection),
        };
        match aside {
            Some(reason) => {
                self.listing.set_aside.push(SetAside { what: namespace.to_string(), reason: reason.into() });
            }
            None => self.listing.units.push(metadata.into_unit(namespace)),
        }
        Ok(())
    }
}

fn check_header(bytes: &[u8]) -> Result<(), String> {
    let document = valid_document(bytes)?;
    match document.get_str("version") {
        Ok(VERSION) => Ok(()),
        Ok(other) => Err(format!("the archive is of format {other}, {VERSION} is expected")),
        Err(e) => Err(format!("the archive does not say its format: {e}")),
    }
}

/// The namespace under which the documents of a unit lie in an archive of ours.
pub(crate) fn data_namespace(unit: &Unit) -> Namespace {
    let Namespace { database, collection } = &unit.namespace;
    match unit.kind {
        UnitKind::TimeSeries => Namespace::new(database, format!("{BUCKETS}{collection}")),
        UnitKind::Collection | UnitKind::View => unit.namespace.clone(),
    }
}

/// The bytes of a prelude for these units.
pub(crate) fn prelude_bytes(units: &[Unit]) -> Vec<u8> {
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    let header = rawdoc! {
        "concurrent_collections": 1_i32,
        "version": VERSION,
        "server_version": SERVER_VERSION,
        "tool_version": concat!("capstan ", env!("CARGO_PKG_VERSION")),
    };
    bytes.extend_from_slice(header.as_bytes());
    for unit in units {
        let described = rawdoc! {
            "db": unit.namespace.database.as_str(),
            "collection": unit.namespace.collection.as_str(),
            "metadata": Metadata::text_of(unit),
            "size": 0_i32,
            "type": kind_name(unit.kind),
        };
        bytes.extend_from_slice(described.as_bytes());
    }
    bytes.extend_from_slice(&TERMINATOR.to_le_bytes());
    bytes
}

/// The header of a block, or of a collection's end.
pub(crate) fn block_header(namespace: &Namespace, ended: Option<u64>) -> RawDocumentBuf {
    rawdoc! {
        "db": namespace.database.as_str(),
        "collection": namespace.collection.as_str(),
        "EOF": ended.is_some(),
        "CRC": ended.unwrap_or(0).cast_signed(),
    }
}
