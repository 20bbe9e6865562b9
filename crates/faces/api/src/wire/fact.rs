//! What happened to pipelines, as it is told.

use super::time;
use crate::registry::Placed;
use capstan_ids::WallTime;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Something that happened to a pipeline, or to the limits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fact)]
pub struct FactShape {
    /// Its place in the journal.
    pub position: u64,
    /// When it happened.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub at: WallTime,
    /// To which pipeline; null for the limits.
    pub pipeline: Option<String>,
    /// What happened, such as `PipelineRegistered`. There may be new ones.
    pub event: &'static str,
    /// The rest, by name. Labels are `label.KEY`.
    pub details: BTreeMap<String, String>,
}

impl From<Placed> for FactShape {
    fn from(Placed { position, fact }: Placed) -> Self {
        let detail = |(name, value): (&str, String)| match (name, value.split_once('=')) {
            ("label", Some((key, value))) => (format!("label.{key}"), value.to_owned()),
            _ => (name.to_owned(), value),
        };
        Self {
            position: position.get(),
            at: fact.at,
            pipeline: fact.pipeline.map(|id| id.to_string()),
            event: fact.what,
            details: fact.details.into_iter().map(detail).collect(),
        }
    }
}
