//! Looking into a `$` form: a document that the parser has just written.

use std::ops::Range;

use super::parse::{DOCUMENT, DOUBLE, INT32, INT64, STRING};
use super::wrapper::{
    BINARY, BOOLEAN, CODE, CODE_WITH_SCOPE, DATE, DB_POINTER, DECIMAL128, Misfit, OBJECT_ID, REGEX, SYMBOL, TIMESTAMP,
};

/// The first fields of a document that this parser has written, and how many there are.
pub(super) struct Form<'a> {
    fields: [Field<'a>; 2],
    pub(super) count: usize,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Field<'a> {
    pub(super) tag: u8,
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

impl<'a> Form<'a> {
    /// The bytes are our own: their lengths and terminators are right.
    pub(super) fn of(document: &'a [u8]) -> Self {
        let mut form = Self { fields: [Field::default(); 2], count: 0 };
        let mut at = 4;
        while document[at] != 0 {
            let name_end = at + 1 + document[at + 1..].iter().position(|b| *b == 0).expect("a name ends in zero");
            let value = name_end + 1..name_end + 1 + value_length(document[at], &document[name_end + 1..]);
            if let Some(room) = form.fields.get_mut(form.count) {
                *room = Field {
                    tag: document[at],
                    name: &document[at + 1..name_end],
                    value: &document[Range::clone(&value)],
                };
            }
            form.count += 1;
            at = value.end;
        }
        form
    }

    pub(super) fn field(&self, index: usize) -> Field<'a> {
        self.fields[index]
    }

    /// The value of a form that has one field.
    pub(super) fn single(&self) -> Result<Field<'a>, Misfit> {
        if self.count == 1 {
            return Ok(self.fields[0]);
        }
        let name = String::from_utf8_lossy(self.fields[0].name);
        Err(Misfit {
            expected: format!("{name} and nothing beside it").into(),
            found: format!("{} fields", self.count),
        })
    }

    /// The values of a form that has these two fields, in either order.
    pub(super) fn pair(&self, one: &[u8], other: &[u8]) -> Option<(Field<'a>, Field<'a>)> {
        let [first, second] = self.fields;
        match self.count {
            2 if first.name == one && second.name == other => Some((first, second)),
            2 if first.name == other && second.name == one => Some((second, first)),
            _ => None,
        }
    }

    pub(super) fn misfit(&self, expected: &'static str) -> Misfit {
        let shown = match self.fields[0].string() {
            Some(text) => format!("{:?}", String::from_utf8_lossy(&text[..text.len().min(40)])),
            None => format!("a value of BSON type {:#04x}", self.fields[0].tag),
        };
        Misfit { expected: expected.into(), found: shown }
    }
}

impl<'a> Field<'a> {
    pub(super) fn is(&self, tag: u8, value: &[u8]) -> bool {
        self.tag == tag && self.value == value
    }

    pub(super) fn string(&self) -> Option<&'a [u8]> {
        (self.tag == STRING).then(|| &self.value[4..self.value.len() - 1])
    }

    pub(super) fn document(&self) -> Option<&'a [u8]> {
        (self.tag == DOCUMENT).then_some(self.value)
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self.tag {
            INT32 => Some(i32::from_le_bytes(self.value.try_into().ok()?).into()),
            INT64 => Some(i64::from_le_bytes(self.value.try_into().ok()?)),
            _ => None,
        }
    }

    /// An integer, or the text of one.
    pub(super) fn number_or_text(&self) -> Option<i64> {
        match self.string() {
            // Rust would take a plus.
            Some(text) if text.first() != Some(&b'+') => std::str::from_utf8(text).ok()?.parse().ok(),
            Some(_) => None,
            None => self.integer(),
        }
    }

    pub(super) fn double(&self) -> Option<f64> {
        match self.string() {
            Some(b"NaN") => Some(f64::NAN),
            Some(b"Infinity") => Some(f64::INFINITY),
            Some(b"-Infinity") => Some(f64::NEG_INFINITY),
            // Rust would also take `inf` and other words; too large a number is none.
            Some(text) if text.iter().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) => {
                std::str::from_utf8(text).ok()?.parse().ok().filter(|n: &f64| n.is_finite())
            }
            Some(_) => None,
            None if self.tag == DOUBLE => Some(f64::from_le_bytes(self.value.try_into().ok()?)),
            None => self.integer().map(|n| n as f64),
        }
    }
}

/// How long the value of a type is that begins here. Only types that this parser writes.
fn value_length(tag: u8, value: &[u8]) -> usize {
    let prefix = || u32::from_le_bytes(*value.first_chunk().expect("a length has four bytes")) as usize;
    match tag {
        BOOLEAN => 1,
        INT32 => 4,
        DOUBLE | DATE | TIMESTAMP | INT64 => 8,
        OBJECT_ID => 12,
        DECIMAL128 => 16,
        STRING | CODE | SYMBOL => 4 + prefix(),
        BINARY => 5 + prefix(),
        DB_POINTER => 4 + prefix() + 12,
        DOCUMENT | 0x04 | CODE_WITH_SCOPE => prefix(),
        REGEX => {
            let text = |bytes: &[u8]| 1 + bytes.iter().position(|b| *b == 0).expect("a regex part ends in zero");
            let pattern = text(value);
            pattern + text(&value[pattern..])
        }
        _ => 0,
    }
}
