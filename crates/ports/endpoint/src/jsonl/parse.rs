//! Extended JSON text straight to raw BSON: one pass, no tree in between.
//!
//! The grammar is JSON's (RFC 8259), and the bare words `NaN`, `Infinity` and `-Infinity` that older exports hold. A number
//! without fraction or exponent becomes an int32 where it fits, else an int64, else a double; every other number a
//! double, correctly rounded. Fields keep their order, and a name that comes twice stays twice. An object whose first name
//! is one of the `$` forms is written as a document first and then made into the value it stands for: see [`wrapper`].
//!
//! [`wrapper`]: super::wrapper

use super::wrapper;
use crate::bson_frames::DOCUMENT_BYTES_MAX;
use std::borrow::Cow;

/// How deep objects and arrays may lie in each other, `$` forms included. Servers refuse more than 100 of BSON.
pub const NESTING_MAX: usize = 200;

/// What a document may take while it is read: a `$` form takes more than the value it becomes, base64 a third more.
const WORKING_BYTES_MAX: usize = 2 * DOCUMENT_BYTES_MAX;

pub(super) const DOUBLE: u8 = 0x01;
pub(super) const STRING: u8 = 0x02;
pub(super) const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
const BOOLEAN: u8 = 0x08;
const NULL: u8 = 0x0a;
pub(super) const INT32: u8 = 0x10;
pub(super) const INT64: u8 = 0x12;

/// Why a text is not a document, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected, {found} found")]
pub struct TextError {
    /// The byte of the text where it goes wrong.
    pub at: usize,
    /// What would have been right.
    pub expected: Cow<'static, str>,
    /// What is there instead, shortened.
    pub found: String,
    /// The text may only be too short: more of it might make a document.
    pub ended: bool,
}

/// Appends the document that `text` begins with to `out`, and says how many bytes of the text it took.
///
/// White space before it is passed over, what comes after it is not looked at. After an error `out` is as it was.
///
/// ```
/// use capstan_endpoint::jsonl::parse_document;
/// let mut out = Vec::new();
/// assert_eq!(parse_document(br#" {"a":1} rest"#, &mut out), Ok(8));
/// assert_eq!(out, b"\x0c\0\0\0\x10a\0\x01\0\0\0\0");
/// ```
pub fn parse_document(text: &[u8], out: &mut Vec<u8>) -> Result<usize, TextError> {
    let base = out.len();
    let mut parser = Parser { text, at: 0, out, base, depth: 0 };
    match parser.top() {
        Ok(()) => Ok(parser.at),
        Err(error) => {
            out.truncate(base);
            Err(*error)
        }
    }
}

/// Boxed: results travel through every call, errors come once.
pub(super) type Parsed<T = ()> = Result<T, Box<TextError>>;

pub(super) struct Parser<'t, 'o> {
    pub(super) text: &'t [u8],
    pub(super) at: usize,
    pub(super) out: &'o mut Vec<u8>,
    /// Where the document begins in `out`.
    base: usize,
    depth: usize,
}

impl Parser<'_, '_> {
    fn top(&mut self) -> Parsed {
        let begin = self.skip_white();
        if self.peek() != Some(b'{') {
            return Err(self.wrong("a document, which begins with {"));
        }
        let is_wrapper = self.object()?;
        if is_wrapper && wrapper::resolve(self.out, self.base).map_err(|e| e.at(begin))?.is_some() {
            return Err(Box::new(TextError {
                at: begin,
                expected: "a document".into(),
                found: "a single value in its $ form".into(),
                ended: false,
            }));
        }
        self.check_size(DOCUMENT_BYTES_MAX)
    }

    /// Writes the value at hand to `out`, and its type to `out[tag]`.
    fn value(&mut self, tag: usize) -> Parsed {
        self.check_size(WORKING_BYTES_MAX)?;
        let kind = match self.peek() {
            Some(b'"') => {
                self.at += 1;
                self.string_value()?;
                STRING
            }
            Some(b'{') => {
                let (begin, start) = (self.at, self.out.len());
                let is_wrapper = self.object()?;
                let wrapped =
                    if is_wrapper { wrapper::resolve(self.out, start).map_err(|e| e.at(begin))? } else { None };
                wrapped.unwrap_or(DOCUMENT)
            }
            Some(b'[') => {
                self.array()?;
                ARRAY
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word(b"true", &[1], BOOLEAN)?,
            Some(b'f') => self.word(b"false", &[0], BOOLEAN)?,
            Some(b'n') => self.word(b"null", &[], NULL)?,
            Some(b'N') => self.word(b"NaN", &f64::NAN.to_le_bytes(), DOUBLE)?,
            Some(b'I') => self.word(b"Infinity", &f64::INFINITY.to_le_bytes(), DOUBLE)?,
            _ => return Err(self.wrong("a value")),
        };
        self.out[tag] = kind;
        Ok(())
    }

    /// Writes an object as a document; true if its first name is one of the `$` forms.
    fn object(&mut self) -> Parsed<bool> {
        let start = self.open()?;
        let mut is_wrapper = false;
        let mut first = true;
        if !self.closes(b'}') {
            loop {
                if self.peek() != Some(b'"') {
                    return Err(self.wrong("a field name in double quotes"));
                }
                self.at += 1;
                let tag = self.out.len();
                self.out.push(0);
                self.name()?;
                if first {
                    is_wrapper = wrapper::begins(&self.out[tag + 1..]);
                    first = false;
                }
                self.out.push(0);
                self.skip_white();
                if self.peek() != Some(b':') {
                    return Err(self.wrong("a colon"));
                }
                self.at += 1;
                self.skip_white();
                self.value(tag)?;
                if !self.goes_on(b'}', "a comma or }")? {
                    break;
                }
            }
        }
        self.close(start)?;
        Ok(is_wrapper)
    }

    fn array(&mut self) -> Parsed {
        let start = self.open()?;
        let mut index = 0_u32;
        if !self.closes(b']') {
            loop {
                let tag = self.out.len();
                self.out.push(0);
                push_index(self.out, index);
                self.value(tag)?;
                index += 1;
                if !self.goes_on(b']', "a comma or ]")? {
                    break;
                }
            }
        }
        self.close(start)
    }

    /// Enters what begins here, and leaves room for its length.
    fn open(&mut self) -> Parsed<usize> {
        if self.depth == NESTING_MAX {
            let found = "one more".into();
            return Err(Box::new(TextError {
                at: self.at,
                expected: "at most 200 levels of nesting".into(),
                found,
                ended: false,
            }));
        }
        self.depth += 1;
        self.at += 1;
        self.skip_white();
        let start = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        Ok(start)
    }

    fn close(&mut self, start: usize) -> Parsed {
        self.depth -= 1;
        self.out.push(0);
        self.check_size(WORKING_BYTES_MAX)?;
        let length = (self.out.len() - start) as u32;
        self.out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    /// Takes the closing bracket of something empty.
    fn closes(&mut self, bracket: u8) -> bool {
        let closes = self.peek() == Some(bracket);
        self.at += usize::from(closes);
        closes
    }

    /// After a value: true at a comma, false at the closing bracket.
    fn goes_on(&mut self, bracket: u8, expected: &'static str) -> Parsed<bool> {
        self.skip_white();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_white();
                Ok(true)
            }
            Some(found) if found == bracket => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(self.wrong(expected)),
        }
    }

    fn word(&mut self, word: &'static [u8], value: &[u8], tag: u8) -> Parsed<u8> {
        let rest = &self.text[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            self.out.extend_from_slice(value);
            return Ok(tag);
        }
        let mut error = self.wrong(String::from_utf8_lossy(word).into_owned());
        error.ended = word.starts_with(rest);
        Err(error)
    }

    /// Writes a number that begins with a digit or a minus.
    fn number(&mut self) -> Parsed<u8> {
        let begin = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        if negative && self.peek() == Some(b'I') {
            return self.word(b"Infinity", &f64::NEG_INFINITY.to_le_bytes(), DOUBLE);
        }
        let digits = self.at;
        // Nineteen digits are below 2^64: no step can overflow.
        let mut magnitude = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            if self.at - digits < 19 {
                magnitude = magnitude * 10 + u64::from(digit - b'0');
            }
            self.at += 1;
        }
        let count = self.at - digits;
        if count == 0 {
            return Err(self.wrong("a digit"));
        }
        if count > 1 && self.text[digits] == b'0' {
            self.at = digits;
            return Err(self.wrong("a number without leading zeros"));
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        if integer && count <= 19 {
            let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
            if let Ok(value) = i32::try_from(value) {
                self.out.extend_from_slice(&value.to_le_bytes());
                return Ok(INT32);
            }
            if let Ok(value) = i64::try_from(value) {
                self.out.extend_from_slice(&value.to_le_bytes());
                return Ok(INT64);
            }
        }
        let text = std::str::from_utf8(&self.text[begin..self.at]).expect("digits are ASCII");
        let value: f64 = text.parse().expect("the grammar of JSON's numbers is part of Rust's");
        if value.is_infinite() {
            self.at = begin;
            return Err(self.wrong("a number that a double can hold"));
        }
        self.out.extend_from_slice(&value.to_le_bytes());
        Ok(DOUBLE)
    }

    fn digits(&mut self) -> Parsed {
        let begin = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == begin { Err(self.wrong("a digit")) } else { Ok(()) }
    }

    fn check_size(&self, bytes_max: usize) -> Parsed {
        if self.out.len() - self.base <= bytes_max {
            return Ok(());
        }
        let expected = format!("a document of at most {DOCUMENT_BYTES_MAX} bytes of BSON").into();
        Err(Box::new(TextError { at: self.at, expected, found: "a larger one".into(), ended: false }))
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_white(&mut self) -> usize {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
        self.at
    }

    pub(super) fn wrong(&self, expected: impl Into<Cow<'static, str>>) -> Box<TextError> {
        let rest = &self.text[self.at..];
        let found = match rest {
            [] => "the end".into(),
            _ => {
                let shown = String::from_utf8_lossy(&rest[..rest.len().min(20)]).into_owned();
                format!("{shown:?}")
            }
        };
        Box::new(TextError { at: self.at, expected: expected.into(), found, ended: rest.is_empty() })
    }
}

/// Writes an array index as a field name with its zero.
fn push_index(out: &mut Vec<u8>, index: u32) {
    let mut digits = [0; 11];
    let mut begin = 10;
    let mut rest = index;
    loop {
        begin -= 1;
        digits[begin] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[begin..]);
}
