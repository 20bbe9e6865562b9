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
                None => listing.units.push(unit(server, &database, found).await?),
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
            name if name.starts_with(BUCKETS) || name == "system.views" => Some(""),
            name if name.starts_with("system.") => Some("a collection of the server itself is not moved"),
            name if marks::is_one(name) => Some("the bookkeeping of a job that writes here"),
            _ => None,
        }
    }
}

async fn unit(server: &Server, database: &str, found: Found) -> Result<Unit> {
    let namespace = Namespace::new(database, found.name.as_str());
    let mut unit = Unit { kind: found.kind, uuid: found.uuid, ..Unit::collection(namespace) };
    unit.options = found.options.and_then(|options| ExtJson::from_raw(&options).ok());
    if unit.kind != UnitKind::View {
        let indexes = indexes(server, &unit.namespace).await?;
        unit.indexes = indexes.iter().filter_map(|index| ExtJson::from_raw(index).ok()).collect();
        let size = server.size(database, &stored_in(&unit)).await?;
        unit.estimate = Estimate { documents: size.documents, bytes: size.bytes };
    }
    Ok(unit)
}
