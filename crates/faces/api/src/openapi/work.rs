//! The operations of items and leases.

use super::operation::Operation;
use super::operation::Shape::{EachOf, Inline, Of};
use super::v1::body;
use crate::codes::{
    Code, GROUP_COMPLETE, GROUP_CYCLE, ITEM_COMPLETED, ITEM_CONFLICT, ITEM_STATE, ITEM_TWICE, ITEM_UNKNOWN,
    LEASE_EXPIRED, LEASE_NOT_HELD, LEASE_REVOKED, LIMIT_REACHED, REQUEST_PARAMETER, RESULT_REFUSED, SESSION_ENDED,
    SESSION_UNKNOWN, SUCCESSORS_DIFFER, SUCCESSORS_INVALID, VALUE_INVALID,
};
use serde_json::json;

/// What a holder can be told.
fn lease() -> Vec<&'static Code> {
    vec![&SESSION_UNKNOWN, &ITEM_UNKNOWN, &LEASE_NOT_HELD, &ITEM_COMPLETED, &LEASE_EXPIRED, &LEASE_REVOKED]
}

pub fn operations() -> Vec<Operation> {
    let mut all = items();
    all.extend(leases());
    all
}

fn items() -> Vec<Operation> {
    let tag = "items";
    let adding: [&'static Code; 8] = [
        &SESSION_UNKNOWN,
        &SESSION_ENDED,
        &ITEM_UNKNOWN,
        &ITEM_CONFLICT,
        &ITEM_TWICE,
        &GROUP_COMPLETE,
        &GROUP_CYCLE,
        &LIMIT_REACHED,
    ];
    let state = json!({
        "type": "string",
        "enum": ["waiting", "blocked", "pending", "assigned", "completed", "failed", "cancelled"],
    });
    let act = |path, id, summary| {
        Operation::new("post", path, tag, id, summary).errors(&[
            &SESSION_UNKNOWN,
            &SESSION_ENDED,
            &ITEM_UNKNOWN,
            &ITEM_STATE,
            &VALUE_INVALID,
        ])
    };
    vec![
        Operation::new(
            "get",
            "/api/v1/sessions/{session}/items",
            tag,
            "listItems",
            "List items in the order of their making",
        )
        .query("id", json!({ "type": "string" }), "Answers this one item, whatever characters are in its id.")
        .query("state", state, "Only those in this state.")
        .query("kind", json!({ "type": "string" }), "Only those of this kind.")
        .query("worker_id", json!({ "type": "string" }), "Only those held or completed by this worker.")
        .query("cursor", json!({ "type": "string" }), "The `next_cursor` of an earlier page.")
        .query(
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
            "Entries of a page.",
        )
        .answers(
            200,
            "A page of items, which a filter may leave short; or one item where `id` is given.",
            Inline(json!({ "anyOf": [
                    { "type": "object", "required": ["items", "next_cursor"], "properties": {
                        "items": { "type": "array", "items": { "$ref": "#/components/schemas/Item" } },
                        "next_cursor": { "type": ["string", "null"] },
                    } },
                    { "$ref": "#/components/schemas/Item" },
                ] })),
        )
        .errors(&[&SESSION_UNKNOWN, &ITEM_UNKNOWN, &REQUEST_PARAMETER, &VALUE_INVALID]),
        Operation::new(
            "post",
            "/api/v1/sessions/{session}/items",
            tag,
            "addItem",
            "Add an item; the same again changes nothing",
        )
        .body(Of("ItemSpec"))
        .answers(201, "It is new.", Of("AddedAnswer"))
        .answers(200, "It was there with the same content.", Of("AddedAnswer"))
        .errors(&adding)
        .errors(&body()),
        Operation::new(
            "delete",
            "/api/v1/sessions/{session}/items",
            tag,
            "deleteItems",
            "Delete the item of `id`, or all items",
        )
        .query("id", json!({ "type": "string" }), "The item, whatever characters are in its id.")
        .query("all", json!({ "type": "string", "enum": ["true"] }), "Every item.")
        .answers(
            200,
            "It is gone, or how many are gone.",
            Inline(json!({ "anyOf": [
                { "$ref": "#/components/schemas/Done" }, { "$ref": "#/components/schemas/Counted" },
            ] })),
        )
        .errors(&[&SESSION_UNKNOWN, &ITEM_UNKNOWN, &REQUEST_PARAMETER, &VALUE_INVALID]),
        Operation::new(
            "post",
            "/api/v1/sessions/{session}/items:batch",
            tag,
            "addItems",
            "Add up to 10,000 items, all or nothing unless asked otherwise",
        )
        .body(Of("BatchSpec"))
        .answers(200, "What became of each.", Of("BatchAnswer"))
        .errors(&adding)
        .errors(&body()),
        Operation::new("get", "/api/v1/sessions/{session}/items/{id}", tag, "getItem", "Look at an item")
            .answers(200, "The item.", Of("Item"))
            .errors(&[&SESSION_UNKNOWN, &ITEM_UNKNOWN, &VALUE_INVALID]),
        Operation::new(
            "delete",
            "/api/v1/sessions/{session}/items/{id}",
            tag,
            "deleteItem",
            "Delete an item; its lease is revoked",
        )
        .answers(200, "It is gone.", Of("Done"))
        .errors(&[&SESSION_UNKNOWN, &ITEM_UNKNOWN, &VALUE_INVALID]),
        act("/api/v1/sessions/{session}/items/{id}/cancel", "cancelItem", "End an unfinished item for good").answers(
            200,
            "It is cancelled, or revoked until its holder stops.",
            Of("Done"),
        ),
        act("/api/v1/sessions/{session}/items/{id}/retry", "retryItem", "Try a failed item again").answers(
            200,
            "How many: 1.",
            Of("Counted"),
        ),
        act("/api/v1/sessions/{session}/items/{id}/priority", "setPriority", "Move an unfinished item forward or back")
            .body(Of("PrioritySpec"))
            .answers(200, "It is moved.", Of("Done"))
            .errors(&body()),
    ]
}

fn leases() -> Vec<Operation> {
    let tag = "leases";
    let on_item = |path, id, summary, shape, what, answer| {
        Operation::new("post", path, tag, id, summary)
            .body(Of(shape))
            .answers(200, what, Of(answer))
            .errors(&lease())
            .errors(&body())
    };
    let acquire = |path, id, summary| {
        Operation::new("post", path, tag, id, summary)
            .header("Idempotency-Key", "A repeat with the same key and worker answers with the leases that still live.")
            .body(Of("AcquireSpec"))
            .answers(200, "Work, or why there is none.", Of("Acquired"))
            .errors(&[&SESSION_UNKNOWN, &ITEM_UNKNOWN, &REQUEST_PARAMETER])
            .errors(&body())
    };
    let successors: [&'static Code; 6] =
        [&SUCCESSORS_DIFFER, &SUCCESSORS_INVALID, &GROUP_COMPLETE, &GROUP_CYCLE, &LIMIT_REACHED, &RESULT_REFUSED];
    vec![
        acquire("/api/v1/sessions/{session}/acquire", "acquire", "Ask a session for work, and wait for it if wished"),
        acquire("/api/v1/acquire", "acquireAnywhere", "Ask several sessions, or any, for work"),
        on_item(
            "/api/v1/sessions/{session}/items/{id}/renew",
            "renew",
            "Keep a lease, and say how far the work is",
            "RenewSpec",
            "It goes on.",
            "Renewed",
        ),
        on_item(
            "/api/v1/sessions/{session}/items/{id}/complete",
            "complete",
            "End an item well, with successors for what is left",
            "CompleteSpec",
            "It is done.",
            "Completed",
        )
        .errors(&successors),
        on_item(
            "/api/v1/sessions/{session}/items/{id}/complete-and-acquire",
            "completeAndAcquire",
            "End an item well and get the next in the same step",
            "CompleteAndAcquireSpec",
            "It is done, and what is next.",
            "Completed",
        )
        .errors(&successors),
        on_item(
            "/api/v1/sessions/{session}/items/{id}/fail",
            "fail",
            "Report that an attempt failed",
            "FailSpec",
            "It is taken.",
            "Returned",
        ),
        on_item(
            "/api/v1/sessions/{session}/items/{id}/release",
            "release",
            "Give a lease back; no attempt is counted",
            "ReleaseSpec",
            "It is given back.",
            "Returned",
        ),
        Operation::new(
            "post",
            "/api/v1/sessions/{session}/leases:renew",
            tag,
            "renewMany",
            "Keep several leases, each by itself",
        )
        .body(Of("RenewManySpec"))
        .answers(200, "What became of each, in their order.", EachOf("Renewed"))
        .errors(&body()),
        Operation::new(
            "post",
            "/api/v1/sessions/{session}/leases:complete",
            tag,
            "completeMany",
            "End several items well, each by itself",
        )
        .body(Of("CompleteManySpec"))
        .answers(200, "What became of each, in their order.", EachOf("Completed"))
        .errors(&body()),
    ]
}
