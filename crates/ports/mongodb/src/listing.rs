//! What a deployment holds: its collections with all that defines them.

use bson::{RawDocument, RawDocumentBuf, doc};
use capstan_endpoint::{Estimate, ExtJson, Listing, Namespace, Result, SetAside, Unit, UnitKind};

use crate::fault;
use crate::marks;
use crate::range::raw;
use crate::server::Server;

/// Databases that are the server's own.
const OWN: [&str; 3] = ["admin", "config", "local"];
/// What a time-series collection keeps its documents in.
const BUCKETS: &str = "system.buckets.";

/// The collection that a unit's documents lie in.
pub(crate) fn stored_in(unit: &Unit) -> String {
    match unit.kind {
        UnitKind::TimeSeries => format!("{BUCKETS}{}", unit.namespace.collection),
        UnitKind::Collection | UnitKind::View => unit.namespace.collection.clone(),
    }
}

/// Whether a collection is the one that a time-series collection keeps its documents in.
pub(crate) fn is_buckets(collection: &str) -> bool {
    collection.starts_with(BUCKETS)
}

/// Everything there is, in the order of its names.
pub(crate) async fn list(server: &Server) -> Result<Listing> {
    let mut listing = Listing::default();
    for database in databases(server).await? {
        if OWN.contains(&database.as_str()) {
            let reason = "a database of the server itself is not moved; users and roles are created at the target";
            listing.set_aside.push(SetAside { what: database, reason: reason.into() });
            continue;
        }
        for found in collections(server, &database, None).await? {
            match found.left_out() {
                Some("") => {}
                Some(reason) => {
                    listing
                        .set_aside
                        .push(SetAside { what: format!("{database}.{}", found.name), reason: reason.into() });
                }
                None => {
                    let (unit, lost) = unit(server, &database, found).await?;
                    listing.units.push(unit);
                    listing.set_aside.extend(lost);
                }
            }
        }
    }
    listing.units.sort_by(|one, other| one.namespace.cmp(&other.namespace));
    listing.set_aside.sort_by(|one, other| one.what.cmp(&other.what));
    Ok(listing)
}

/// The names of all databases, or of the one that the address names.
pub(crate) async fn databases(server: &Server) -> Result<Vec<String>> {
    if let Some(only) = &server.only {
        return Ok(vec![only.clone()]);
    }
    let answer = server.command("admin", doc! { "listDatabases": 1, "nameOnly": true }, "listing databases").await?;
    let entries = answer.get_array("databases").map(Vec::as_slice).unwrap_or_default();
    let names = entries.iter().filter_map(|entry| entry.as_document()?.get_str("name").ok());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// A collection as `listCollections` shows it.
pub(crate) struct Found {
    pub name: String,
    pub kind: UnitKind,
    pub options: Option<RawDocumentBuf>,
    pub uuid: Option<String>,
}

/// The collections of a database, or those of one name.
pub(crate) async fn collections(server: &Server, database: &str, name: Option<&str>) -> Result<Vec<Found>> {
    let mut command = doc! { "listCollections": 1, "cursor": {} };
    if let Some(name) = name {
        command.insert("filter", doc! { "name": name });
    }
    let entries = server.gather(database, raw(&command), "listing collections").await?;
    let mut found: Vec<Found> = entries.iter().filter_map(|entry| Found::of(entry)).collect();
    // A server may know no filter.
    found.retain(|found| name.is_none_or(|name| found.name == name));
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// The indexes of a collection, as `listIndexes` shows them.
pub(crate) async fn indexes(server: &Server, namespace: &Namespace) -> Result<Vec<RawDocumentBuf>> {
    let command = doc! { "listIndexes": &namespace.collection, "cursor": {} };
    match server.try_gather(&namespace.database, raw(&command)).await {
        // It was dropped since it was listed.
        Err(error) if fault::code(&error) == Some(fault::NAMESPACE_NOT_FOUND) => Ok(Vec::new()),
        answer => answer.map_err(|error| server.failed("listing indexes", &error)),
    }
}

impl Found {
    fn of(entry: &RawDocument) -> Option<Self> {
        let options = entry.get_document("options").ok().filter(|options| !options.is_empty());
        let kind = match entry.get_str("type") {
            Ok("view") => UnitKind::View,
            Ok("timeseries") => UnitKind::TimeSeries,
            _ => UnitKind::Collection,
        };
        let uuid = entry.get_document("info").ok().and_then(|info| info.get_binary("uuid").ok());
        Some(Self {
            name: entry.get_str("name").ok()?.to_owned(),
            kind,
            options: options.map(RawDocument::to_owned),
            uuid: uuid.map(|uuid| uuid.bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        })
    }

    /// Why it is no unit; an empty reason where it is a part of one.
    fn left_out(&self) -> Option<&'static str> {
        match self.name.as_str() {
            name if is_buckets(name) || name == "system.views" => Some(""),
            name if name.starts_with("system.") => Some("a collection of the server itself is not moved"),
            name if marks::is_one(name) => Some("the bookkeeping of a job that writes here"),
            _ => None,
        }
    }
}

/// A collection as a unit, and what of its definition cannot be told.
async fn unit(server: &Server, database: &str, found: Found) -> Result<(Unit, Vec<SetAside>)> {
    let namespace = Namespace::new(database, found.name.as_str());
    let mut unit = Unit { kind: found.kind, uuid: found.uuid, ..Unit::collection(namespace) };
    let mut lost = Vec::new();
    if let Some(options) = found.options {
        unit.options = told(&options, format!("the options of {}", unit.namespace), &mut lost);
    }
    if unit.kind != UnitKind::View {
        for index in indexes(server, &unit.namespace).await? {
            let name = index.get_str("name").unwrap_or("without a name");
            unit.indexes.extend(told(&index, format!("index {name} of {}", unit.namespace), &mut lost));
        }
        let size = server.size(database, &stored_in(&unit)).await?;
        unit.estimate = Estimate { documents: size.documents, bytes: size.bytes };
    }
    Ok((unit, lost))
}

/// A definition as text, or a word of why it is not moved.
fn told(definition: &RawDocument, what: String, lost: &mut Vec<SetAside>) -> Option<ExtJson> {
    let failed = match ExtJson::from_raw(definition) {
        // What is not read back as the same would define something else.
        Ok(text) if ExtJson::parse(text.as_str()).is_ok_and(|again| again == text) => return Some(text),
        Ok(_) => "it is another one when it is read back from extended JSON".to_owned(),
        Err(error) => match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    };
    lost.push(SetAside { what, reason: format!("it is not moved: {failed}") });
    None
}
