//! The operations of pipelines, and of all of them together.

use super::operation::Operation;
use super::operation::Shape::{Inline, Of, PageOf, Text};
use super::v1::body;
use crate::codes::{
    HISTORY_GONE, LIMIT_REACHED, LIMITS_CHANGED, PIPELINE_EXISTS, PIPELINE_NO_ROOM, PIPELINE_TOO_LARGE,
    PIPELINE_UNKNOWN, REQUEST_PARAMETER, RESERVATION_UNKNOWN, SERVER_OVERLOADED, VALUE_INVALID, VALUE_OUT_OF_RANGE,
    WATCH_POSITION_GONE,
};
use serde_json::{Value, json};

const PIPELINES: &str = "pipelines";
const SYSTEM: &str = "system";

pub fn operations() -> Vec<Operation> {
    let mut all = pipelines();
    all.extend(reports());
    all.extend(room());
    all.extend(histories());
    all
}

fn limit(operation: Operation) -> Operation {
    let schema = json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 });
    operation.query("limit", schema, "Entries of a page.").errors(&[&REQUEST_PARAMETER])
}

fn paged(operation: Operation) -> Operation {
    limit(operation.query("cursor", json!({ "type": "string" }), "The `next_cursor` of an earlier page."))
}

fn one(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(method, path, PIPELINES, id, summary).errors(&[&VALUE_INVALID])
}

fn pipelines() -> Vec<Operation> {
    let statuses = json!({ "type": "string", "enum": ["configured", "running", "paused", "stopped", "failed"] });
    vec![
        Operation::new("post", "/api/v1/pipelines", PIPELINES, "registerPipeline", "Make a pipeline known")
            .body(Of("PipelineSpec"))
            .answers(201, "The pipeline, configured, and all of them together.", Of("PipelineAndSystem"))
            .errors(&[&PIPELINE_EXISTS, &LIMIT_REACHED])
            .errors(&body()),
        paged(
            one("get", "/api/v1/pipelines", "listPipelines", "List pipelines by id, ended ones that are kept included")
                .query("status", statuses, "Only those of this status.")
                .query("group", json!({ "type": "string" }), "Only those of this group."),
        )
        .answers(200, "A page of pipelines.", PageOf("Pipeline")),
        one("get", "/api/v1/pipelines/{pipeline}", "getPipeline", "Look at a pipeline")
            .answers(200, "The pipeline.", Of("Pipeline"))
            .errors(&[&PIPELINE_UNKNOWN]),
        one("delete", "/api/v1/pipelines/{pipeline}", "unregisterPipeline", "Take a pipeline out, with its resources")
            .answers(200, "Its last state, and all that remain together.", Of("PipelineAndSystem"))
            .errors(&[&PIPELINE_UNKNOWN]),
    ]
}

fn reports() -> Vec<Operation> {
    let report = |method, path, id, summary| {
        one(method, path, id, summary).answers(200, "What became of it.", Of("Report")).errors(&[&PIPELINE_UNKNOWN])
    };
    vec![
        report("put", "/api/v1/pipelines/{pipeline}/status", "updatePipelineStatus", "Say what a pipeline is doing")
            .body(Of("StatusSpec"))
            .answers(202, "It is held: it came within a second of the one before.", Of("Report"))
            .errors(&body()),
        report("put", "/api/v1/pipelines/{pipeline}/usage", "reportResourceUsage", "Say what a pipeline uses")
            .body(Of("UsageSpec"))
            .errors(&body()),
        report("post", "/api/v1/pipelines/{pipeline}/heartbeat", "heartbeatPipeline", "Say that a pipeline is there"),
        Operation::new(
            "post",
            "/api/v1/pipelines:heartbeat",
            PIPELINES,
            "heartbeatPipelines",
            "Say that many pipelines are there",
        )
        .body(Of("HeartbeatsSpec"))
        .answers(200, "How many were noted, and which are not known.", Of("Heartbeats"))
        .errors(&body()),
    ]
}

fn room() -> Vec<Operation> {
    let system = |method, path, id, summary| Operation::new(method, path, SYSTEM, id, summary);
    let place = "/api/v1/pipelines/{pipeline}/reservation";
    let figure = |most: u64| json!({ "type": "number", "minimum": 0, "maximum": most, "default": 0 });
    let tag = |operation: Operation| operation.answers(200, "The limits; their `ETag` is a header.", Of("Limits"));
    vec![
        one("put", place, "reserveResources", "Check for room and take it in one step, or wait for it")
            .body(Of("ReservationSpec"))
            .answers(200, "It is held.", Of("Reservation"))
            .answers(202, "It is queued: ask again for how many go before it.", Of("Reservation"))
            .errors(&[&PIPELINE_NO_ROOM, &PIPELINE_TOO_LARGE, &LIMIT_REACHED])
            .errors(&body()),
        one("get", place, "getReservation", "See what a pipeline holds or waits for")
            .answers(200, "The reservation.", Of("Reservation"))
            .errors(&[&RESERVATION_UNKNOWN]),
        one("delete", place, "releaseReservation", "Give room back, or stop waiting for it")
            .answers(200, "It is given back.", Of("Done"))
            .errors(&[&RESERVATION_UNKNOWN]),
        system("get", "/api/v1/system", "getSystemStatus", "See how all pipelines are doing together").answers(
            200,
            "Health, counts, totals, room.",
            Of("System"),
        ),
        system("get", "/api/v1/system/availability", "checkResourceAvailability", "See whether something would fit")
            .query("cpu_percent", figure(100), "CPU in percent.")
            .query("memory_mb", figure(100_000_000), "Memory in MB, a whole number.")
            .answers(200, "Whether it fits, and what is free. Takes nothing.", Of("Availability"))
            .errors(&[&REQUEST_PARAMETER, &VALUE_OUT_OF_RANGE]),
        tag(system("get", "/api/v1/system/limits", "getLimits", "Read the limits and rules of all pipelines"))
            .errors(&[]),
        tag(system("patch", "/api/v1/system/limits", "changeLimits", "Change limits while everything runs"))
            .header(
                "If-Match",
                "One `ETag` or several, of limits that were read: if they are none of these any more, nothing happens.",
            )
            .body(Of("LimitsSpec"))
            .errors(&[&LIMITS_CHANGED, &REQUEST_PARAMETER])
            .errors(&body()),
        system("get", "/api/v1/system/queue", "getQueue", "See who waits for room, in the order in which they get it")
            .answers(200, "All of them, at most 1,000.", PageOf("Reservation")),
        system("get", "/api/v1/scale", "getScale", "Ask how many workers are wanted, as an autoscaler does")
            .query("kind", json!({ "type": "string" }), "Of one kind of work only: its `value` is the number.")
            .query(
                "slots",
                json!({ "type": "integer", "minimum": 1, "maximum": 4096, "default": 4 }),
                "Items that one worker does at a time.",
            )
            .answers(
                200,
                "Workers wanted: of a kind, or of all kinds.",
                Inline(json!({ "anyOf": [
                    { "$ref": "#/components/schemas/Scale" },
                    { "$ref": "#/components/schemas/Scales" },
                ] })),
            )
            .errors(&[&REQUEST_PARAMETER, &VALUE_INVALID]),
    ]
}

fn moment() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn histories() -> Vec<Operation> {
    let facts = |operation: Operation| {
        let position = || json!({ "type": "integer", "minimum": 0 });
        limit(
            operation
                .query("from", moment(), "Not older than this.")
                .query("until", moment(), "Older than this.")
                .query("after", position(), "After this position.")
                .query("cursor", position(), "The `next_cursor` of an earlier page; instead of `after`."),
        )
        .answers(200, "A page of facts, oldest first.", PageOf("Fact"))
        .errors(&[&SERVER_OVERLOADED])
    };
    vec![
        facts(one(
            "get",
            "/api/v1/pipelines/{pipeline}/history",
            "pipelineHistory",
            "Read what happened to a pipeline",
        )),
        facts(
            Operation::new("get", "/api/v1/audit", SYSTEM, "readAudit", "Read what happened to all pipelines")
                .query("pipeline", json!({ "type": "string" }), "To this one only.")
                .errors(&[&VALUE_INVALID]),
        ),
        paged(
            Operation::new("get", "/api/v1/registry", SYSTEM, "registryAt", "See the registry as it was at a time")
                .required("at", moment(), "The time."),
        )
        .answers(200, "The registry as it was, and a page of its pipelines.", Of("RegistryThen"))
        .errors(&[&HISTORY_GONE, &SERVER_OVERLOADED]),
        Operation::new("get", "/api/v1/pipelines:watch", "watching", "watchRegistry", "Follow the registry")
            .query(
                "from",
                json!({ "type": "integer", "minimum": 1 }),
                "The first position to show; left out, from now on.",
            )
            .header("Last-Event-ID", "The id of the last event seen: the stream goes on after it.")
            .answers(200, "Server-sent events whose data is a `Fact`.", Text("text/event-stream"))
            .errors(&[&REQUEST_PARAMETER, &WATCH_POSITION_GONE, &VALUE_OUT_OF_RANGE]),
    ]
}
