//! One operation, as a row of a table, and how it is described.

use crate::codes::Code;
use crate::problem::Class;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What one method of one path does.
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub tag: &'static str,
    pub id: &'static str,
    pub summary: &'static str,
    pub query: Vec<Parameter>,
    pub headers: Vec<Parameter>,
    pub body: Option<Shape>,
    pub answers: Vec<(u16, &'static str, Shape)>,
    pub errors: Vec<&'static Code>,
    /// Errors in the console's shape: statuses and what they mean.
    pub refusals: Vec<(u16, &'static str)>,
}

/// A parameter of a query or a header.
pub struct Parameter {
    pub name: &'static str,
    pub required: bool,
    pub schema: Value,
    pub what: &'static str,
}

/// What a body looks like.
#[derive(Clone)]
pub enum Shape {
    /// A named schema.
    Of(&'static str),
    /// A page of them.
    PageOf(&'static str),
    /// An array of them.
    ArrayOf(&'static str),
    /// The outcomes of several.
    EachOf(&'static str),
    /// Anything else.
    Inline(Value),
    /// Text of another kind than JSON.
    Text(&'static str),
}

impl Operation {
    pub fn new(
        method: &'static str,
        path: &'static str,
        tag: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            tag,
            id,
            summary,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
            errors: Vec::new(),
            refusals: Vec::new(),
        }
    }

    pub fn body(mut self, body: Shape) -> Self {
        self.body = Some(body);
        self
    }

    pub fn query(mut self, name: &'static str, schema: Value, what: &'static str) -> Self {
        self.query.push(Parameter { name, required: false, schema, what });
        self
    }

    pub fn required(mut self, name: &'static str, schema: Value, what: &'static str) -> Self {
        self.query.push(Parameter { name, required: true, schema, what });
        self
    }

    pub fn header(mut self, name: &'static str, what: &'static str) -> Self {
        self.headers.push(Parameter {
            name,
            required: false,
            schema: json!({ "type": "string", "maxLength": 128 }),
            what,
        });
        self
    }

    pub fn answers(mut self, status: u16, what: &'static str, shape: Shape) -> Self {
        self.answers.push((status, what, shape));
        self
    }

    pub fn errors(mut self, errors: &[&'static Code]) -> Self {
        self.errors.extend(errors);
        self
    }

    pub fn refuses(mut self, status: u16, what: &'static str) -> Self {
        self.refusals.push((status, what));
        self
    }

    /// The operation object of the document.
    pub fn describe(&self) -> Value {
        let mut operation = json!({
            "tags": [self.tag],
            "operationId": self.id,
            "summary": self.summary,
            "parameters": self.parameters(),
            "responses": self.responses(),
        });
        if let Some(body) = &self.body {
            operation["requestBody"] = json!({ "required": true, "content": body.content() });
        }
        operation
    }

    fn parameters(&self) -> Vec<Value> {
        let in_path = self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        let in_path = in_path.map(|name| {
            let (schema, what) = path_parameter(name);
            json!({ "name": name, "in": "path", "required": true, "schema": schema, "description": what })
        });
        let other = |place: &'static str| {
            move |parameter: &Parameter| {
                json!({
                    "name": parameter.name,
                    "in": place,
                    "required": parameter.required,
                    "schema": parameter.schema,
                    "description": parameter.what,
                })
            }
        };
        in_path.chain(self.query.iter().map(other("query"))).chain(self.headers.iter().map(other("header"))).collect()
    }

    fn responses(&self) -> Value {
        let mut responses = json!({});
        for (status, what, shape) in &self.answers {
            responses[status.to_string()] = json!({ "description": what, "content": shape.content() });
        }
        for (status, what) in &self.refusals {
            let shape = if *status == 422 { "ConsoleInvalid" } else { "ConsoleError" };
            responses[status.to_string()] = json!({ "description": what, "content": Shape::Of(shape).content() });
        }
        let mut by_class: BTreeMap<u16, Vec<&Code>> = BTreeMap::new();
        for code in &self.errors {
            by_class.entry(code.class.http().as_u16()).or_default().push(code);
        }
        for (status, codes) in by_class {
            let what: Vec<String> = codes.iter().map(|code| format!("`{code}`: {}", code.title)).collect();
            responses[status.to_string()] = problem(&what.join("; "));
        }
        if !self.errors.is_empty() {
            let other = [Class::Overloaded, Class::Exhausted, Class::Unavailable, Class::Internal];
            let other = other.map(|class| format!("{} ({})", class.http().as_u16(), class.name()));
            responses["default"] = problem(&format!("Any other error, such as {}.", other.join(", ")));
        }
        responses
    }
}

fn problem(what: &str) -> Value {
    let content = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    json!({ "description": what, "content": content })
}

fn path_parameter(name: &str) -> (Value, &'static str) {
    match name {
        "session" => (json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,50}$" }), "The session's name."),
        "id" => (
            json!({ "type": "string", "minLength": 1, "maxLength": 512 }),
            "The item's id, percent-encoded: a `/` in it is `%2F`.",
        ),
        "limit" => (
            json!({ "type": "string", "minLength": 1, "maxLength": 128 }),
            "The limit's name, percent-encoded: a kind, `global`, or any name that items carry.",
        ),
        "pipeline" => (
            json!({ "type": "string", "minLength": 1, "maxLength": 256 }),
            "The pipeline's id, percent-encoded: a `/` in it is `%2F`.",
        ),
        "job" => (json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,46}$" }), "The job's name."),
        "unit" => (json!({ "type": "string" }), "The unit's id, or its `db.coll` at the source, percent-encoded."),
        "code" => (json!({ "type": "string" }), "The error's code."),
        _ => (json!({ "type": "string" }), "A part of the path."),
    }
}

impl Shape {
    fn content(&self) -> Value {
        let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let (form, schema) = match self {
            Self::Of(name) => ("application/json", of(name)),
            Self::PageOf(name) => (
                "application/json",
                json!({
                    "type": "object",
                    "required": ["items", "next_cursor"],
                    "properties": {
                        "items": { "type": "array", "items": of(name) },
                        "next_cursor": {
                            "type": ["string", "null"],
                            "description": "Where the next page begins; null on the last.",
                        },
                    },
                }),
            ),
            Self::ArrayOf(name) => ("application/json", json!({ "type": "array", "items": of(name) })),
            Self::EachOf(name) => {
                let refused = json!({
                    "type": "object", "required": ["problem"], "properties": { "problem": of("Problem") },
                });
                let results = json!({ "type": "array", "items": { "oneOf": [of(name), refused] } });
                (
                    "application/json",
                    json!({ "type": "object", "required": ["results"], "properties": { "results": results } }),
                )
            }
            Self::Inline(schema) => ("application/json", schema.clone()),
            Self::Text(form) => (*form, json!({ "type": "string" })),
        };
        json!({ form: { "schema": schema } })
    }
}
