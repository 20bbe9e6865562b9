//! The description of the REST interface, made from the routes' own types, and a page to read it.
//!
//! The document is checked in as `docs/openapi.json`; a test compares it with what this makes, and another asks the
//! server for every operation it lists.

mod console;
mod jobs;
mod operation;
mod registry;
mod schemas;
mod v1;
mod work;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, json};

/// The OpenAPI 3.1 document, as it is checked in.
pub fn openapi() -> String {
    let mut paths = Map::new();
    for operation in v1::operations().into_iter().chain(console::operations()) {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.describe();
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Capstan",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Coordinates data in motion: sessions of leased work items, by REST.",
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "tags": [
            { "name": "sessions", "description": "Namespaces of work with a policy." },
            { "name": "items", "description": "Units of leased work." },
            { "name": "leases", "description": "Asking for work, keeping it, ending it." },
            { "name": "limits", "description": "How many leases may live at once." },
            { "name": "jobs", "description": "Migrations: moving collections from one endpoint to another." },
            { "name": "pipelines", "description": "What is running: registering, reporting, asking for room." },
            { "name": "system", "description": "All pipelines together: health, room, limits, what happened." },
            { "name": "watching", "description": "What happens, as it happens." },
            { "name": "console", "description": "The console's contract, as clients written for it expect it." },
            { "name": "server", "description": "Health, figures, and this description." },
        ],
        "paths": paths,
        "components": { "schemas": schemas::all(), "responses": { "Problem": {
            "description": "An error with a stable code; its class decides the status.",
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        } } },
    });
    let mut text = serde_json::to_string_pretty(&document).expect("JSON of text and numbers");
    text.push('\n');
    text
}

const DESCRIPTION: &str = "An item's id may hold any characters. In a path it is percent-encoded; what a path cannot \
    carry goes into the query: `GET /api/v1/sessions/{session}/items?id=…` is the item, and \
    `POST /api/v1/sessions/{session}/items/{act}?id=…` acts on it. `X-Request-ID` is handed back. Times are RFC 3339 in \
    UTC with microseconds. Bodies are at most 16 MiB, batches 10,000 items, payloads 64 KiB, checkpoints 16 KiB.";

/// The document, for whoever asks.
pub async fn document() -> Response<Body> {
    crate::answer::json_bytes(StatusCode::OK, Body::from(openapi()))
}

/// A page that shows the document and asks nobody outside.
pub async fn viewer() -> Response<Body> {
    let mut response = Response::new(Body::from(include_str!("viewer.html")));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}
