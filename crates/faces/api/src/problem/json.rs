//! What is wrong with a body: found on a second reading, so that good bodies pay nothing for it.

use super::{Fact, Problem};
use crate::codes;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use std::fmt;

/// What is wrong with a body, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of what sort.
    pub kind: FaultKind,
    /// The way to the value in question.
    pub path: Vec<Step>,
    /// What was expected and what was found.
    pub message: String,
    /// The field in question, where it is one of an object.
    pub field: Option<String>,
    /// What would have been right, where that is a list.
    pub allowed: Vec<String>,
    /// Counted from 1.
    pub line: u64,
    /// Counted from 1.
    pub column: u64,
}

/// The sorts of faults in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Not JSON.
    Malformed,
    /// A field that is not known.
    UnknownField,
    /// A field that is not there.
    MissingField,
    /// A field that is there twice.
    DuplicateField,
    /// Another type than it must be.
    WrongType,
    /// The right type, a wrong value.
    WrongValue,
}

/// One step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into an object.
    Field(String),
    /// Into an array, counted from 0.
    Index(usize),
}

/// Bodies may hold megabytes; what is said about them may not.
const MESSAGE_CHARS_MAX: usize = 300;

impl Fault {
    /// Reads a body again that could not be read as a `T`, to say where and why.
    pub fn find<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> Self {
        let mut reader = serde_json::Deserializer::from_slice(body);
        match serde_path_to_error::deserialize::<_, T>(&mut reader) {
            Err(found) => Self::describe(found.inner(), steps(found.path())),
            // The value was whole, and something follows it.
            Ok(_) => Self::describe(error, Vec::new()),
        }
    }

    fn describe(error: &serde_json::Error, mut path: Vec<Step>) -> Self {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let text = text.strip_suffix(&place).unwrap_or(&text);
        let kind = match error.classify() {
            serde_json::error::Category::Data => sort(text),
            _ => FaultKind::Malformed,
        };
        let quoted = quoted(text);
        let mut field = None;
        let mut allowed = Vec::new();
        match kind {
            FaultKind::UnknownField | FaultKind::MissingField | FaultKind::DuplicateField => {
                // The way to the object and the field of it, whichever of them the reader had got to.
                if let Some(name) = quoted.first() {
                    field = Some(shortened(name));
                    if !matches!(path.last(), Some(Step::Field(last)) if last == name) {
                        path.push(Step::Field((*name).to_owned()));
                    }
                }
                allowed.extend(quoted.into_iter().skip(1).map(str::to_owned));
            }
            FaultKind::WrongValue if text.starts_with("unknown variant") => {
                allowed.extend(quoted.into_iter().skip(1).map(str::to_owned));
            }
            _ => {}
        }
        if field.is_none() {
            field = path.iter().rev().find_map(|step| match step {
                Step::Field(name) => Some(shortened(name)),
                Step::Index(_) => None,
            });
        }
        Self {
            kind,
            path,
            message: shortened(text),
            field,
            allowed,
            line: error.line() as u64,
            column: error.column() as u64,
        }
    }

    /// The way to the value: `items[3].payload`, or nothing for the body itself.
    pub fn place(&self) -> String {
        let mut place = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if place.is_empty() => place.push_str(&shortened(name)),
                Step::Field(name) => {
                    place.push('.');
                    place.push_str(&shortened(name));
                }
                Step::Index(index) => {
                    let _ = fmt::Write::write_fmt(&mut place, format_args!("[{index}]"));
                }
            }
        }
        place
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let code = match fault.kind {
            FaultKind::Malformed => &codes::REQUEST_MALFORMED,
            FaultKind::UnknownField => &codes::REQUEST_UNKNOWN_FIELD,
            FaultKind::MissingField => &codes::REQUEST_MISSING_FIELD,
            FaultKind::DuplicateField => &codes::REQUEST_DUPLICATE_FIELD,
            FaultKind::WrongType => &codes::REQUEST_WRONG_TYPE,
            FaultKind::WrongValue => &codes::VALUE_INVALID,
        };
        let place = fault.place();
        let at = if place.is_empty() { "the body".to_owned() } else { place.clone() };
        let detail = format!("{at}: {}, at line {} column {}", fault.message, fault.line, fault.column);
        let mut problem = Self::new(code, detail).with("line", fault.line).with("column", fault.column);
        if !place.is_empty() {
            problem = problem.with("field", place);
        }
        if !fault.allowed.is_empty() {
            problem = problem.with("allowed", Fact::List(fault.allowed));
        }
        problem
    }
}

fn sort(text: &str) -> FaultKind {
    match text {
        _ if text.starts_with("unknown field") => FaultKind::UnknownField,
        _ if text.starts_with("missing field") => FaultKind::MissingField,
        _ if text.starts_with("duplicate field") => FaultKind::DuplicateField,
        _ if text.starts_with("invalid type") => FaultKind::WrongType,
        _ => FaultKind::WrongValue,
    }
}

/// What stands between backticks. A field of a hostile name may hold backticks itself: then only the message is odd.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn steps(path: &serde_path_to_error::Path) -> Vec<Step> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Field(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::value::RawValue;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Batch {
        #[expect(dead_code, reason = "only read into")]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        #[expect(dead_code, reason = "only read into")]
        id: String,
        #[expect(dead_code, reason = "only read into")]
        shard: Option<u32>,
        #[expect(dead_code, reason = "only read into")]
        payload: Option<Box<RawValue>>,
    }

    fn fault(body: &str) -> Fault {
        let error = serde_json::from_str::<Batch>(body).unwrap_err();
        Fault::find::<Batch>(body.as_bytes(), &error)
    }

    #[test]
    fn a_fault_names_its_sort_and_its_place() {
        let table = [
            (r#"{"items":[{"id":"a"},{"id":"b","shrad":1}]}"#, FaultKind::UnknownField, "items[1].shrad"),
            (r#"{"items":[{"shard":1}]}"#, FaultKind::MissingField, "items[0].id"),
            (r#"{"items":[{"id":"a","id":"b"}]}"#, FaultKind::DuplicateField, "items[0].id"),
            (r#"{"items":[{"id":7}]}"#, FaultKind::WrongType, "items[0].id"),
            (r#"{"items":[{"id":"a","payload":{"x":[1]},"shard":-1}]}"#, FaultKind::WrongValue, "items[0].shard"),
            (r#"{"items":[{"id":"a",}]}"#, FaultKind::Malformed, ""),
            ("", FaultKind::Malformed, ""),
            (r#"{"items":[]} tail"#, FaultKind::Malformed, ""),
        ];
        for (body, kind, place) in table {
            let fault = fault(body);
            assert_eq!(fault.kind, kind, "{body}: {fault:?}");
            if kind != FaultKind::Malformed {
                assert_eq!(fault.place(), place, "{body}: {fault:?}");
            }
        }
    }

    #[test]
    fn an_unknown_field_is_told_which_there_are() {
        assert_eq!(fault(r#"{"items":[{"idd":"a"}]}"#).allowed, ["id", "shard", "payload"]);
    }

    #[test]
    fn a_hostile_body_does_not_come_back_in_the_message() {
        let fault = fault(&format!(r#"{{"items":[{{"{}":1}}]}}"#, "x".repeat(1 << 20)));
        assert!(fault.message.chars().count() <= 301 && fault.place().chars().count() <= 400, "{}", fault.place());
    }
}
