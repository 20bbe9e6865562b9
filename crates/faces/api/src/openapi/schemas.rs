//! The schemas, taken from the types that are read and written.

use crate::console;
use crate::health::Readiness;
use crate::v1::watch::ChangeShape;
use crate::v1::{Counted, Done, items, leases};
use crate::wire::{fact, grant, item, job, lease, pipeline, policy, room, session};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// Every named schema.
pub fn all() -> Value {
    let mut schemas = Schemas::default();
    schemas.add::<item::ItemSpec>();
    schemas.add::<item::GateSpec>();
    schemas.add::<item::ItemShape<'_>>();
    schemas.add::<item::Progress>();
    schemas.add::<items::BatchSpec>();
    schemas.add::<items::AddedAnswer>();
    schemas.add::<items::BatchAnswer>();
    schemas.add::<items::PrioritySpec>();
    schemas.add::<lease::AcquireSpec>();
    schemas.add::<grant::AcquireAnswer>();
    schemas.add::<lease::RenewSpec>();
    schemas.add::<grant::RenewAnswer>();
    schemas.add::<lease::CompleteSpec>();
    schemas.add::<lease::CompleteAndAcquireSpec>();
    schemas.add::<grant::CompleteAnswer>();
    schemas.add::<lease::FailSpec>();
    schemas.add::<lease::ReleaseSpec>();
    schemas.add::<grant::ReturnAnswer>();
    schemas.add::<leases::RenewManySpec>();
    schemas.add::<leases::CompleteManySpec>();
    schemas.add::<policy::LimitSpec>();
    schemas.add::<session::SessionSpec>();
    schemas.add::<session::SessionChangeSpec>();
    schemas.add::<session::PauseSpec>();
    schemas.add::<session::CancelSpec>();
    schemas.add::<session::RetrySpec>();
    schemas.add::<session::SessionShape<'_>>();
    schemas.add::<session::StatusShape<'_>>();
    schemas.add::<session::LimitShape<'_>>();
    schemas.add::<session::WorkerShape<'_>>();
    schemas.add::<job::JobSpec>();
    schemas.add::<job::JobPauseSpec>();
    schemas.add::<job::JobCancelSpec>();
    schemas.add::<job::PoolsSpec>();
    schemas.add::<job::UnitsSpec>();
    schemas.add::<job::RatesShape>();
    schemas.add::<job::PriorityShape>();
    schemas.add::<job::JobShape>();
    schemas.add::<job::UnitShape>();
    schemas.add::<job::ChunkShape>();
    schemas.add::<job::DeadLettersShape>();
    schemas.add::<pipeline::PipelineSpec>();
    schemas.add::<pipeline::StatusSpec>();
    schemas.add::<pipeline::UsageSpec>();
    schemas.add::<pipeline::HeartbeatsSpec>();
    schemas.add::<pipeline::HeartbeatsShape>();
    schemas.add::<pipeline::ReportShape>();
    schemas.add::<pipeline::PipelineAndSystemShape>();
    schemas.add::<room::ReservationSpec>();
    schemas.add::<room::ReservationShape>();
    schemas.add::<room::LimitsSpec>();
    schemas.add::<room::LimitsShape>();
    schemas.add::<room::RegistryShape>();
    schemas.add::<room::ScalesShape>();
    schemas.add::<fact::FactShape>();
    schemas.add::<ChangeShape<'_>>();
    schemas.add::<Done>();
    schemas.add::<Counted>();
    schemas.add::<Readiness>();
    schemas.add::<console::CreateWorkItem>();
    schemas.add::<console::RenewLease>();
    schemas.add::<console::CompleteObject>();
    schemas.add::<console::BackfillWorkItem>();
    schemas.add::<console::Acquired>();
    schemas.add::<console::QueueStatus>();
    schemas.by_hand();
    Value::Object(schemas.0)
}

/// Flattened fields come as parts of an `allOf`: one object with all fields says the same and is easier to read.
fn flat(mut schema: Value) -> Value {
    let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut).map(std::mem::take) else { return schema };
    let mut whole = json!({ "type": "object", "properties": {}, "required": [] });
    if let Some(what) = schema.get("description") {
        whole["description"] = what.clone();
    }
    for mut part in parts.into_iter().map(flat) {
        if let (Some(to), Some(from)) = (whole["properties"].as_object_mut(), part["properties"].as_object_mut()) {
            to.append(from);
        }
        if let (Some(to), Some(from)) = (whole["required"].as_array_mut(), part["required"].as_array_mut()) {
            to.append(from);
        }
    }
    whole
}

#[derive(Default)]
struct Schemas(Map<String, Value>);

impl Schemas {
    fn add<T: ToSchema>(&mut self) {
        let mut found: Vec<(String, RefOr<Schema>)> = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        for (name, schema) in found {
            let schema = serde_json::to_value(schema).expect("schemas are JSON");
            self.0.entry(name).or_insert(flat(schema));
        }
    }

    /// Those whose types write themselves.
    fn by_hand(&mut self) {
        let text = json!({ "type": "string" });
        self.0.insert(
            "Problem".into(),
            json!({
                "type": "object",
                "description": "An error after RFC 9457. Further fields carry the facts, by code.",
                "required": ["type", "title", "status", "detail", "code", "class", "retry"],
                "properties": {
                    "type": { "type": "string", "description": "Where the server gives out the code's page." },
                    "title": text,
                    "status": { "type": "integer", "minimum": 400, "maximum": 599 },
                    "detail": text,
                    "code": { "type": "string", "description": "Stable." },
                    "class": { "type": "string", "description": "Decides the status." },
                    "retry": { "type": "string", "enum": ["never", "later", "when_freed"] },
                    "retry_after_ms": { "type": "integer", "minimum": 0 },
                },
                "additionalProperties": true,
            }),
        );
        self.0.insert(
            "ConsoleError".into(),
            json!({ "type": "object", "required": ["detail"], "properties": { "detail": {} } }),
        );
        self.0.insert(
            "ConsoleInvalid".into(),
            json!({
                "type": "object",
                "required": ["detail"],
                "properties": { "detail": { "type": "array", "items": {
                    "type": "object",
                    "required": ["loc", "msg", "type"],
                    "properties": {
                        "loc": { "type": "array", "items": { "type": ["string", "integer"] } },
                        "msg": text,
                        "type": text,
                    },
                } } },
            }),
        );
        let moment = json!({ "type": "string", "format": "date-time" });
        self.0.insert(
            "ConsoleSession".into(),
            json!({
                "type": "object",
                "required": ["name", "created", "updated", "env"],
                "properties": {
                    "name": text,
                    "created": moment,
                    "updated": moment,
                    "env": { "description": "Whatever its owner keeps with it." },
                    "state": { "type": "string", "description": "Additional: what the session is doing." },
                },
            }),
        );
    }
}
