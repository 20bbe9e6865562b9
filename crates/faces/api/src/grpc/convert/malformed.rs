//! Input that means nothing.

use capstan_ids::NameError;
use std::fmt;

/// A field that does not hold what it must; the request is refused whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where, as the `.proto` file names it: `items[3].kind`.
    pub field: String,
    /// What was expected, and what was found.
    pub problem: String,
}

impl Malformed {
    /// A field, what it must be, and what came.
    pub fn new(field: impl Into<String>, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { field: field.into(), problem: format!("must be {expected}, found {found}") }
    }

    /// A field that must be there.
    pub fn missing(field: impl Into<String>, expected: impl fmt::Display) -> Self {
        Self { field: field.into(), problem: format!("is missing; give {expected}") }
    }

    /// The same fault, seen from a message that holds this one.
    #[must_use]
    pub fn under(mut self, outer: impl fmt::Display) -> Self {
        self.field = format!("{outer}.{}", self.field);
        self
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

impl std::error::Error for Malformed {}

/// JSON text, opaque from here on; other faces give it out as it is, so it must be whole.
pub(super) fn json(text: Option<String>, field: &str) -> Result<Option<Box<str>>, Malformed> {
    let Some(text) = text else { return Ok(None) };
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(Some(text.into())),
        Err(e) => Err(Malformed::new(field, "JSON text", e)),
    }
}

/// Says in which field a name stood.
pub trait Named<T> {
    /// The name, or a fault of that field.
    fn in_field(self, field: impl Into<String>) -> Result<T, Malformed>;
}

impl<T> Named<T> for Result<T, NameError> {
    fn in_field(self, field: impl Into<String>) -> Result<T, Malformed> {
        self.map_err(|e| Malformed::new(field, e.expected, format_args!("{:?}", e.found)))
    }
}
