//! What there is to move: collections with everything that defines them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ExtJson;

/// The name of a collection in a database. Any non-empty UTF-8; adapters escape what their store cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Namespace {
    pub database: String,
    pub collection: String,
}

impl Namespace {
    pub fn new(database: impl Into<String>, collection: impl Into<String>) -> Self {
        Self { database: database.into(), collection: collection.into() }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.collection)
    }
}

/// What a unit is in its database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    /// Documents, options and indexes.
    #[default]
    Collection,
    /// A definition without documents of its own: it is written, never read or compared.
    View,
    /// A time-series collection. Its documents here are its *buckets*, as `system.buckets.NAME` holds them and
    /// as mongodump writes them.
    TimeSeries,
}

/// A collection with all that defines it. Small, and journalled as JSON in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    pub namespace: Namespace,
    #[serde(default)]
    pub kind: UnitKind,
    /// The collection's options (`capped`, `validator`, `viewOn`, `timeseries`, `collation` …), as `listCollections` gives them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ExtJson>,
    /// The indexes as `listIndexes` gives them, `_id_` included where the source says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<ExtJson>,
    /// The collection's UUID in hexadecimal without dashes, where the source knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Only documents that match are read. Sources without the ability `filters` refuse a unit that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<ExtJson>,
    /// Documents without an `_id` are given one as they are read, the same each time, by sources that are `stable`. Without
    /// this every byte is as it lies there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub name_documents: bool,
    /// How much there seems to be, for planning and for percentages; never for proof.
    #[serde(default)]
    pub estimate: Estimate,
}

impl Unit {
    /// A plain collection of which nothing more is known.
    pub fn collection(namespace: Namespace) -> Self {
        Self {
            namespace,
            kind: UnitKind::Collection,
            options: None,
            indexes: Vec::new(),
            uuid: None,
            filter: None,
            name_documents: false,
            estimate: Estimate::default(),
        }
    }
}

/// A guess at a size. `None` where even a guess would cost a full read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<u64>,
    /// Bytes of BSON, uncompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// What a source found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// In an order that stays the same while the source does.
    pub units: Vec<Unit>,
    /// Found, and not offered as a unit.
    pub set_aside: Vec<SetAside>,
}

/// Something an adapter knows of and leaves out, with the reason, so that a report can list it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    pub what: String,
    pub reason: String,
}
