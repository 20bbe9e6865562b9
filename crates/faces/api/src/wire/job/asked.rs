//! What is asked of a job: to begin, to pause or end, and to go on otherwise.

use capstan_migration::{Priority, Rates, Spec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A new job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Its name; left out, one is derived from what it does, so that the same request finds it again.
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,46}$", example = "nightly")]
    pub name: Option<String>,
    /// What it is to do, as `capstan job init` describes it. No password in it: `secret:NAME` stands for one.
    #[schema(value_type = serde_json::Value, example = json!({ "from": "dump:/backup", "to": "dump:/copy" }))]
    pub spec: Spec,
}

/// Stopping to hand out a job's work.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobPauseSpec {
    /// What runs stops at once and keeps what it has; otherwise it finishes.
    #[serde(default)]
    pub immediate: bool,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 4096)]
    pub reason: String,
}

/// Ending a job for good.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobCancelSpec {
    /// What the target has of unfinished units goes too.
    #[serde(default)]
    pub drop_partial: bool,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 4096)]
    pub reason: String,
}

/// New sizes of pools by kind; null lifts a limit. Pools that are not named stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct PoolsSpec(pub BTreeMap<String, Option<u32>>);

/// Collections to be added to a job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitsSpec {
    /// `db.coll` with wildcards; those that the job knows already are left as they are.
    #[schema(min_items = 1, max_items = 1000)]
    pub collections: Vec<String>,
}

/// How fast a job may go; null and what is left out is not limited.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = Rates)]
#[serde(deny_unknown_fields)]
pub struct RatesShape {
    /// Documents a second, read and written each.
    #[serde(default)]
    pub documents: Option<u64>,
    /// Bytes of BSON a second, read and written each.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Chunks that are read or written at a time.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 4096)]
    pub operations: Option<u32>,
}

impl From<Rates> for RatesShape {
    fn from(Rates { documents, bytes, operations }: Rates) -> Self {
        Self { documents, bytes, operations }
    }
}

impl From<RatesShape> for Rates {
    fn from(RatesShape { documents, bytes, operations }: RatesShape) -> Self {
        Self { documents, bytes, operations }
    }
}

/// How soon a collection's turn comes.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = UnitPriority)]
#[serde(deny_unknown_fields)]
pub struct PriorityShape {
    /// `db.coll` with wildcards.
    #[schema(example = "shop.orders")]
    pub collection: String,
    /// Higher goes first.
    #[schema(minimum = -100, maximum = 100)]
    pub priority: i16,
}

impl From<Priority> for PriorityShape {
    fn from(Priority { collection, priority }: Priority) -> Self {
        Self { collection, priority }
    }
}
