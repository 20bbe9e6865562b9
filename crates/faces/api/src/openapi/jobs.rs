//! The operations of jobs.

use super::operation::Operation;
use super::operation::Shape::{Inline, Of, PageOf};
use super::v1::body;
use crate::codes::{
    Code, JOB_DIFFERS, JOB_ENDED, JOB_SPEC_INVALID, JOB_STATE, JOB_TOO_MANY, JOB_UNFINISHED, JOB_UNIT_UNKNOWN,
    JOB_UNKNOWN, REQUEST_PARAMETER, VALUE_INVALID,
};
use serde_json::json;

const TAG: &str = "jobs";

fn paged(operation: Operation) -> Operation {
    operation
        .query("cursor", json!({ "type": "string" }), "The `next_cursor` of an earlier page.")
        .query(
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
            "Entries of a page.",
        )
        .errors(&[&REQUEST_PARAMETER])
}

fn look(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new("get", path, TAG, id, summary).errors(&[&JOB_UNKNOWN, &VALUE_INVALID])
}

fn steer(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new("post", path, TAG, id, summary)
        .answers(200, "The job after that.", Of("Job"))
        .errors(&[&JOB_UNKNOWN, &JOB_ENDED])
        .errors(&body())
}

fn put(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new("put", path, TAG, id, summary)
        .errors(&[&JOB_UNKNOWN, &JOB_ENDED, &JOB_STATE, &JOB_SPEC_INVALID])
        .errors(&body())
}

pub fn operations() -> Vec<Operation> {
    let mut all = looks();
    all.extend(acts());
    all
}

fn looks() -> Vec<Operation> {
    vec![
        paged(Operation::new("get", "/api/v1/jobs", TAG, "listJobs", "List jobs by name, ended ones among them"))
            .answers(200, "A page of jobs.", PageOf("Job"))
            .errors(&[&VALUE_INVALID]),
        look("/api/v1/jobs/{job}", "getJob", "Look at a job").answers(200, "The job.", Of("Job")),
        paged(look("/api/v1/jobs/{job}/units", "listUnits", "See what a job moves, unit by unit")).answers(
            200,
            "A page of units, in the source's order.",
            PageOf("Unit"),
        ),
        paged(look("/api/v1/jobs/{job}/units/{unit}/chunks", "listChunks", "See a unit, chunk by chunk"))
            .answers(200, "A page of chunks, in their order.", PageOf("Chunk"))
            .errors(&[&JOB_UNIT_UNKNOWN]),
        look("/api/v1/jobs/{job}/pools", "listPools", "See how many of which kind work at a time").answers(
            200,
            "Its pools.",
            PageOf("Pool"),
        ),
        look("/api/v1/jobs/{job}/rates", "getRates", "See how fast a job may go").answers(
            200,
            "Its rates.",
            Of("Rates"),
        ),
        look("/api/v1/jobs/{job}/priorities", "listPriorities", "See which collections go before others").answers(
            200,
            "Its priorities; the first that matches a collection is taken.",
            PageOf("UnitPriority"),
        ),
        look("/api/v1/jobs/{job}/report", "jobReport", "Read what a job has done and what was proved")
            .query(
                "format",
                json!({ "type": "string", "enum": ["json", "html"] }),
                "Left out: HTML where `Accept` has it, else JSON.",
            )
            .errors(&[&REQUEST_PARAMETER])
            .answers(
                200,
                "The report; as HTML a page that needs nothing beside it.",
                Inline(json!({ "type": "object" })),
            ),
        paged(look(
            "/api/v1/jobs/{job}/dead-letters",
            "listDeadLetters",
            "See which chunks have documents that the target refused for good",
        ))
        .answers(
            200,
            "A page of them. The documents and the reasons lie with the workers that wrote the chunks.",
            PageOf("DeadLetters"),
        ),
    ]
}

fn acts() -> Vec<Operation> {
    let submitting: [&'static Code; 4] = [&JOB_SPEC_INVALID, &JOB_DIFFERS, &JOB_ENDED, &JOB_TOO_MANY];
    vec![
        Operation::new("post", "/api/v1/jobs", TAG, "submitJob", "Start a job, or find it going on")
            .body(Of("JobSpec"))
            .answers(201, "The job: begun, or the unfinished one of that name and specification.", Of("Job"))
            .errors(&submitting)
            .errors(&body()),
        Operation::new("delete", "/api/v1/jobs/{job}", TAG, "forgetJob", "Forget a job that has ended")
            .answers(200, "It is forgotten.", Of("Done"))
            .errors(&[&JOB_UNKNOWN, &JOB_UNFINISHED, &VALUE_INVALID]),
        steer("/api/v1/jobs/{job}/units", "addUnits", "Add collections to a job that is going on")
            .body(Of("UnitsSpec"))
            .errors(&[&JOB_SPEC_INVALID, &JOB_STATE]),
        steer("/api/v1/jobs/{job}/pause", "pauseJob", "Stop handing out a job's work").body(Of("JobPauseSpec")),
        steer("/api/v1/jobs/{job}/resume", "resumeJob", "Go on; what failed gets a fresh set of attempts"),
        steer("/api/v1/jobs/{job}/retry", "retryJob", "Try again what has failed"),
        steer("/api/v1/jobs/{job}/cancel", "cancelJob", "End a job for good").body(Of("JobCancelSpec")),
        put("/api/v1/jobs/{job}/pools", "setPools", "Make pools larger or smaller, now and live")
            .body(Of("PoolsSpec"))
            .answers(200, "Its pools.", PageOf("Pool")),
        put("/api/v1/jobs/{job}/rates", "setRates", "Make a job faster or slower, now and live")
            .body(Of("Rates"))
            .answers(200, "Its rates.", Of("Rates")),
        put("/api/v1/jobs/{job}/priorities", "setUnitPriority", "Move collections forward or back, now and live")
            .body(Of("UnitPriority"))
            .answers(200, "Its priorities.", PageOf("UnitPriority")),
    ]
}
