//! The operations of the console's contract.

use super::operation::Operation;
use super::operation::Shape::{ArrayOf, Inline, Of};
use serde_json::json;

pub fn operations() -> Vec<Operation> {
    let mut all = work_items();
    all.extend(sessions());
    all
}

fn work_items() -> Vec<Operation> {
    let tag = "console";
    let said = || {
        Inline(json!({ "type": "object", "required": ["detail"], "properties": { "detail": { "type": "string" } } }))
    };
    let session = |operation: Operation| operation.refuses(404, "There is no such session, or no such item.");
    let held = |operation: Operation| {
        session(operation)
            .answers(200, "The item.", Of("BackfillWorkItem"))
            .refuses(409, "Another worker holds it, or it is completed.")
            .refuses(410, "The lease has run out.")
            .refuses(422, "The body is invalid.")
    };
    let complete = json!({ "anyOf": [{ "type": "string" }, { "$ref": "#/components/schemas/CompleteObject" }] });
    vec![
        session(Operation::new(
            "post",
            "/sessions/{session}/backfill/work-items/",
            tag,
            "consoleCreate",
            "Create a work item",
        ))
        .body(Of("CreateWorkItem"))
        .answers(201, "The item.", Of("BackfillWorkItem"))
        .refuses(409, "It exists.")
        .refuses(422, "The body is invalid."),
        session(Operation::new(
            "get",
            "/sessions/{session}/backfill/work-items/",
            tag,
            "consoleList",
            "List all work items in order of creation",
        ))
        .query("id", json!({ "type": "string" }), "Additional: answers this one item.")
        .answers(200, "The items.", ArrayOf("BackfillWorkItem")),
        session(Operation::new(
            "delete",
            "/sessions/{session}/backfill/work-items/",
            tag,
            "consoleDelete",
            "Delete all work items",
        ))
        .answers(200, "How many.", said()),
        session(Operation::new(
            "post",
            "/sessions/{session}/backfill/work-items/batch",
            tag,
            "consoleBatch",
            "Create work items; those that exist are left out",
        ))
        .body(ArrayOf("CreateWorkItem"))
        .answers(201, "Those created.", ArrayOf("BackfillWorkItem"))
        .refuses(422, "The body is invalid."),
        Operation::new(
            "get",
            "/sessions/{session}/backfill/work-items/acquire",
            tag,
            "consoleAcquire",
            "Acquire the next work item",
        )
        .required("worker_id", json!({ "type": "string" }), "Who asks.")
        .query(
            "lease_seconds",
            json!({ "type": "integer", "minimum": 1, "maximum": 86400 }),
            "Additional: a wished length.",
        )
        .query("idempotency_key", json!({ "type": "string" }), "Additional: a repeat answers with the same lease.")
        .header("Idempotency-Key", "Additional: the same as a header.")
        .answers(200, "A lease.", Of("ConsoleAcquired"))
        .refuses(404, "There is no such session, or nothing to do; `detail` says which and why.")
        .refuses(422, "A parameter is missing or invalid."),
        session(Operation::new(
            "get",
            "/sessions/{session}/backfill/work-items/status",
            tag,
            "consoleStatus",
            "Count the work items",
        ))
        .answers(200, "The counts.", Of("QueueStatus")),
        session(Operation::new(
            "post",
            "/sessions/{session}/backfill/work-items/cleanup-expired",
            tag,
            "consoleSweep",
            "Clean up expired leases",
        ))
        .answers(200, "How many ran out since the last sweep or acquire.", said()),
        session(Operation::new(
            "get",
            "/sessions/{session}/backfill/work-items/{id}",
            tag,
            "consoleGet",
            "Look at a work item",
        ))
        .answers(200, "The item.", Of("BackfillWorkItem")),
        held(Operation::new(
            "put",
            "/sessions/{session}/backfill/work-items/{id}/lease",
            tag,
            "consoleRenew",
            "Renew a lease, with progress",
        ))
        .body(Of("RenewLease")),
        held(Operation::new(
            "put",
            "/sessions/{session}/backfill/work-items/{id}/complete",
            tag,
            "consoleComplete",
            "Complete a work item",
        ))
        .body(Inline(complete)),
    ]
}

fn sessions() -> Vec<Operation> {
    let tag = "console";
    let anything = || Inline(json!({ "type": "object" }));
    vec![
        Operation::new("get", "/sessions/", tag, "consoleSessions", "List sessions").answers(
            200,
            "All of them.",
            ArrayOf("ConsoleSession"),
        ),
        Operation::new(
            "post",
            "/sessions/",
            tag,
            "consoleCreateSession",
            "Create a session: 300 s leases, unlimited attempts, no limits",
        )
        .body(Inline(json!({ "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } })))
        .answers(201, "The session.", Of("ConsoleSession"))
        .refuses(400, "The name has other characters than `A-Z a-z 0-9 _ -`, or not 1 to 50 of them.")
        .refuses(409, "It exists.")
        .refuses(422, "The body is invalid."),
        Operation::new("get", "/sessions/{session}", tag, "consoleGetSession", "Look at a session")
            .answers(200, "The session.", Of("ConsoleSession"))
            .refuses(404, "There is no such session."),
        Operation::new("put", "/sessions/{session}", tag, "consoleUpdateSession", "Keep something with a session")
            .body(anything())
            .answers(200, "The session.", Of("ConsoleSession"))
            .refuses(400, "`env` is not an object, or too large.")
            .refuses(404, "There is no such session.")
            .refuses(422, "The body is invalid."),
        Operation::new("delete", "/sessions/{session}", tag, "consoleDeleteSession", "Delete a session and all in it")
            .answers(200, "It is gone.", anything())
            .refuses(404, "There is no such session."),
        Operation::new("get", "/system/health", tag, "consoleHealth", "Whether the server serves")
            .answers(200, "It does.", anything())
            .answers(503, "It does not, and why.", anything()),
        Operation::new("get", "/system/version", tag, "consoleVersion", "Which version runs").answers(
            200,
            "The version.",
            anything(),
        ),
    ]
}
