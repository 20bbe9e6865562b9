//! The operations under `/api/v1`, and the server's own.

use super::operation::Operation;
use super::operation::Shape::{EachOf, Inline, Of, PageOf, Text};
use crate::codes::{Code, RESULT_REFUSED};
use crate::codes::{
    GATE_UNKNOWN, GROUP_COMPLETE, GROUP_CYCLE, ITEM_COMPLETED, ITEM_CONFLICT, ITEM_STATE, ITEM_TWICE, ITEM_UNKNOWN,
    LEASE_EXPIRED, LEASE_NOT_HELD, LEASE_REVOKED, LIMIT_REACHED, REQUEST_MALFORMED, REQUEST_MEDIA_TYPE,
    REQUEST_MISSING_FIELD, REQUEST_PARAMETER, REQUEST_TOO_LARGE, REQUEST_UNKNOWN_FIELD, REQUEST_WRONG_TYPE,
    ROUTE_UNKNOWN, SESSION_ENDED, SESSION_EXISTS, SESSION_STATE, SESSION_UNKNOWN, SUCCESSORS_DIFFER,
    SUCCESSORS_INVALID, VALUE_INVALID, VALUE_OUT_OF_RANGE, WATCH_POSITION_GONE,
};
use serde_json::json;

/// What any body can be refused for.
fn body() -> Vec<&'static Code> {
    vec![
        &REQUEST_MALFORMED,
        &REQUEST_MEDIA_TYPE,
        &REQUEST_TOO_LARGE,
        &REQUEST_UNKNOWN_FIELD,
        &REQUEST_MISSING_FIELD,
        &REQUEST_WRONG_TYPE,
        &VALUE_INVALID,
        &VALUE_OUT_OF_RANGE,
    ]
}

/// What a holder can be told.
fn lease() -> Vec<&'static Code> {
    vec![&SESSION_UNKNOWN, &ITEM_UNKNOWN, &LEASE_NOT_HELD, &ITEM_COMPLETED, &LEASE_EXPIRED, &LEASE_REVOKED]
}

pub fn operations() -> Vec<Operation> {
    let mut all = sessions();
    all.extend(items());
    all.extend(leases());
    all.extend(limits());
    all.extend(server());
    all
}

fn sessions() -> Vec<Operation> {
    let tag = "sessions";
    let steer = |path, id, summary, shape: Option<&'static str>| {
        let operation = Operation::new("post", path, tag, id, summary)
            .answers(200, "What the session is doing now.", Of("SessionStatus"))
            .errors(&[&SESSION_UNKNOWN, &SESSION_ENDED, &SESSION_STATE])
            .errors(&body());
        match shape {
            Some(shape) => operation.body(Of(shape)),
            None => operation,
        }
    };
    vec![
        Operation::new("get", "/api/v1/sessions", tag, "listSessions", "List sessions by name")
            .query("cursor", json!({ "type": "string" }), "The `next_cursor` of an earlier page.")
            .query(
                "limit",
                json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
                "Entries of a page.",
            )
            .answers(200, "A page of sessions.", PageOf("Session"))
            .errors(&[&REQUEST_PARAMETER]),
        Operation::new("post", "/api/v1/sessions", tag, "openSession", "Open a session, with its first items if any")
            .body(Of("SessionSpec"))
            .answers(201, "The session.", Of("Session"))
            .errors(&[&SESSION_EXISTS, &ITEM_TWICE, &GROUP_CYCLE, &LIMIT_REACHED])
            .errors(&body()),
        Operation::new("get", "/api/v1/sessions/{session}", tag, "getSession", "Look at a session")
            .answers(200, "The session.", Of("Session"))
            .errors(&[&SESSION_UNKNOWN, &VALUE_INVALID]),
        Operation::new(
            "patch",
            "/api/v1/sessions/{session}",
            tag,
            "changeSession",
            "Change a session's rules or notes",
        )
        .body(Of("SessionChangeSpec"))
        .answers(200, "The session after the change.", Of("Session"))
        .errors(&[&SESSION_UNKNOWN, &SESSION_ENDED])
        .errors(&body()),
        Operation::new(
            "delete",
            "/api/v1/sessions/{session}",
            tag,
            "deleteSession",
            "Delete a session and all in it; leases are revoked",
        )
        .answers(200, "It is gone.", Of("Done"))
        .errors(&[&SESSION_UNKNOWN, &VALUE_INVALID]),
        Operation::new(
            "get",
            "/api/v1/sessions/{session}/status",
            tag,
            "sessionStatus",
            "Count a session's items by state, in constant time",
        )
        .answers(200, "What the session is doing.", Of("SessionStatus"))
        .errors(&[&SESSION_UNKNOWN, &VALUE_INVALID]),
        Operation::new(
            "get",
            "/api/v1/sessions/{session}/workers",
            tag,
            "sessionWorkers",
            "See who holds what in a session",
        )
        .answers(200, "Its workers.", PageOf("Worker"))
        .errors(&[&SESSION_UNKNOWN, &VALUE_INVALID]),
        Operation::new("get", "/api/v1/workers", tag, "allWorkers", "See who holds what in all sessions")
            .answers(200, "All workers.", PageOf("Worker"))
            .errors(&[]),
        steer("/api/v1/sessions/{session}/pause", "pauseSession", "Stop handing out work", Some("PauseSpec")),
        steer(
            "/api/v1/sessions/{session}/resume",
            "resumeSession",
            "Go on; failed items get a fresh set of attempts",
            None,
        ),
        steer(
            "/api/v1/sessions/{session}/cancel",
            "cancelSession",
            "End what is unfinished, then open the undo items",
            Some("CancelSpec"),
        ),
        steer(
            "/api/v1/sessions/{session}/close",
            "closeSession",
            "End a session: nothing changes in it any more",
            None,
        ),
        Operation::new(
            "post",
            "/api/v1/sessions/{session}/retry",
            tag,
            "retryItems",
            "Try failed items again, all or some",
        )
        .body(Of("RetrySpec"))
        .answers(200, "How many.", Of("Counted"))
        .errors(&[&SESSION_UNKNOWN, &SESSION_ENDED, &ITEM_UNKNOWN, &ITEM_STATE])
        .errors(&body()),
        Operation::new("post", "/api/v1/sessions/{session}/gates", tag, "holdGate", "Hold a gate in a group")
            .body(Of("GateSpec"))
            .answers(200, "It is held.", Of("Done"))
            .errors(&[&SESSION_UNKNOWN, &SESSION_ENDED, &GROUP_COMPLETE])
            .errors(&body()),
        Operation::new("post", "/api/v1/sessions/{session}/gates:open", tag, "openGate", "Open a gate")
            .body(Of("GateSpec"))
            .answers(200, "It is open.", Of("Done"))
            .errors(&[&SESSION_UNKNOWN, &SESSION_ENDED, &GATE_UNKNOWN])
            .errors(&body()),
    ]
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

fn limits() -> Vec<Operation> {
    let tag = "limits";
    let set = |path, id, summary| {
        Operation::new("put", path, tag, id, summary)
            .body(Of("LimitSpec"))
            .answers(200, "It holds.", Of("Done"))
            .errors(&[&SESSION_UNKNOWN, &SESSION_ENDED, &LIMIT_REACHED])
            .errors(&body())
    };
    let lift = |path, id, summary| {
        Operation::new("delete", path, tag, id, summary).answers(200, "There is none.", Of("Done")).errors(&[
            &SESSION_UNKNOWN,
            &SESSION_ENDED,
            &VALUE_INVALID,
        ])
    };
    vec![
        Operation::new(
            "get",
            "/api/v1/sessions/{session}/limits",
            tag,
            "listLimits",
            "See a session's limits and what counts against them",
        )
        .answers(200, "Its limits.", PageOf("Limit"))
        .errors(&[&SESSION_UNKNOWN, &VALUE_INVALID]),
        set("/api/v1/sessions/{session}/limits/{limit}", "setLimit", "Limit live leases of a session, now and live"),
        lift("/api/v1/sessions/{session}/limits/{limit}", "liftLimit", "Lift a limit of a session"),
        Operation::new("get", "/api/v1/limits", tag, "listSharedLimits", "See the limits over all sessions")
            .answers(200, "The limits.", PageOf("Limit"))
            .errors(&[]),
        set("/api/v1/limits/{limit}", "setSharedLimit", "Limit live leases of all sessions together"),
        lift("/api/v1/limits/{limit}", "liftSharedLimit", "Lift a limit over all sessions"),
    ]
}

fn server() -> Vec<Operation> {
    let (watching, server) = ("watching", "server");
    let watch = |path, id, summary| {
        Operation::new("get", path, watching, id, summary)
            .query("from", json!({ "type": "integer", "minimum": 1 }), "The first position to be told; left out means from now on.")
            .header("Last-Event-ID", "Where a stream that broke off had got to; goes before `from`.")
            .answers(200, "Server-sent events: `id` is the position, `event` what happened, `data` a Change. A comment every 15 s where nothing happens. A last event `problem` says why the stream ends.", Text("text/event-stream"))
            .errors(&[&SESSION_UNKNOWN, &REQUEST_PARAMETER, &VALUE_INVALID, &VALUE_OUT_OF_RANGE, &WATCH_POSITION_GONE])
    };
    let anything = || Inline(json!({ "type": "object" }));
    vec![
        watch("/api/v1/sessions/{session}/watch", "watchSession", "Follow what happens in a session, without gaps"),
        watch("/api/v1/watch", "watchAll", "Follow what happens in all sessions, without gaps"),
        Operation::new("get", "/api/v1/errors/{code}", server, "errorPage", "Read what an error means and what to do")
            .answers(200, "The page.", Text("text/markdown"))
            .errors(&[&ROUTE_UNKNOWN]),
        Operation::new("get", "/api/v1/openapi.json", server, "openapi", "Get this document").answers(
            200,
            "The document.",
            anything(),
        ),
        Operation::new("get", "/api/v1/docs", server, "docs", "Read this document").answers(
            200,
            "A page.",
            Text("text/html"),
        ),
        Operation::new("get", "/health/live", server, "live", "Whether the server lives")
            .answers(200, "It does.", anything())
            .answers(503, "Its journal has failed.", anything()),
        Operation::new("get", "/health/ready", server, "ready", "Whether the server serves")
            .answers(200, "It does.", Of("Readiness"))
            .answers(503, "It does not, and why.", Of("Readiness")),
        Operation::new("get", "/metrics", server, "metrics", "Figures for Prometheus").answers(
            200,
            "The figures.",
            Text("text/plain"),
        ),
    ]
}
