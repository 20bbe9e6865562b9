//! The operations of sessions, limits and the server itself.

use super::operation::Operation;
use super::operation::Shape::{Inline, Of, PageOf, Text};
use super::{jobs, registry, work};
use crate::codes::{
    Code, GATE_UNKNOWN, GROUP_COMPLETE, GROUP_CYCLE, ITEM_STATE, ITEM_TWICE, ITEM_UNKNOWN, LIMIT_REACHED,
    REQUEST_MALFORMED, REQUEST_MEDIA_TYPE, REQUEST_MISSING_FIELD, REQUEST_PARAMETER, REQUEST_TOO_LARGE,
    REQUEST_UNKNOWN_FIELD, REQUEST_WRONG_TYPE, ROUTE_UNKNOWN, SESSION_ENDED, SESSION_EXISTS, SESSION_STATE,
    SESSION_UNKNOWN, VALUE_INVALID, VALUE_OUT_OF_RANGE, WATCH_POSITION_GONE,
};
use serde_json::json;

/// What any body can be refused for.
pub(super) fn body() -> Vec<&'static Code> {
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

pub fn operations() -> Vec<Operation> {
    let mut all = sessions();
    all.extend(work::operations());
    all.extend(limits());
    all.extend(jobs::operations());
    all.extend(registry::operations());
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
        Operation::new(
            "get",
            "/api/v1/backup",
            server,
            "backup",
            "Take a backup of the journal, while the server runs",
        )
        .answers(
            200,
            "A backup as docs/journal.md draws it. One that breaks off is none.",
            Text("application/octet-stream"),
        ),
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
