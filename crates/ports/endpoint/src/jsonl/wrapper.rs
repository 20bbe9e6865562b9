//! The `$` forms: objects that stand for a value JSON has no word for.
//!
//! Canonical and relaxed Extended JSON v2, and the older forms that mongoimport still reads: `$date` with a bare number,
//! `$binary` beside `$type`, `$regex` beside `$options`, `$uuid`, numbers where v2 has strings. Which form an object is, its
//! first name decides. The names that are query operators too (`$regex`, `$options`, `$type`) fall back to a plain document
//! where the rest does not fit; `$ref` beside `$id` always is one. Of any other form, more or other fields are an error.

use super::base64;
use super::date;
use super::form::{Field, Form};
use super::parse::{DOUBLE, INT32, INT64, TextError};
use std::borrow::Cow;

pub(super) const BINARY: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
pub(super) const OBJECT_ID: u8 = 0x07;
pub(super) const BOOLEAN: u8 = 0x08;
pub(super) const DATE: u8 = 0x09;
pub(super) const REGEX: u8 = 0x0b;
pub(super) const DB_POINTER: u8 = 0x0c;
pub(super) const CODE: u8 = 0x0d;
pub(super) const SYMBOL: u8 = 0x0e;
pub(super) const CODE_WITH_SCOPE: u8 = 0x0f;
pub(super) const TIMESTAMP: u8 = 0x11;
pub(super) const DECIMAL128: u8 = 0x13;
const MAX_KEY: u8 = 0x7f;
const MIN_KEY: u8 = 0xff;

const BINARY_OLD: u8 = 0x02;
const BINARY_UUID: u8 = 0x04;

/// Whether an object whose first field has this name may stand for a value.
pub(super) fn begins(name: &[u8]) -> bool {
    name.first() == Some(&b'$')
        && matches!(
            name,
            b"$oid"
                | b"$date"
                | b"$numberInt"
                | b"$numberLong"
                | b"$numberDouble"
                | b"$numberDecimal"
                | b"$binary"
                | b"$uuid"
                | b"$timestamp"
                | b"$regularExpression"
                | b"$regex"
                | b"$options"
                | b"$type"
                | b"$code"
                | b"$scope"
                | b"$symbol"
                | b"$dbPointer"
                | b"$undefined"
                | b"$minKey"
                | b"$maxKey"
        )
}

/// What does not fit in a `$` form.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) expected: Cow<'static, str>,
    pub(super) found: String,
}

impl Misfit {
    /// As an error about the object that begins there.
    pub fn at(self, at: usize) -> Box<TextError> {
        Box::new(TextError { at, expected: self.expected, found: self.found, ended: false })
    }
}

/// Makes the document that was just written from `start` on into the value it stands for, and says its type.
///
/// `None` leaves it the document it is.
pub(super) fn resolve(out: &mut Vec<u8>, start: usize) -> Result<Option<u8>, Misfit> {
    let Some((tag, value)) = value(&Form::of(&out[start..]))? else { return Ok(None) };
    out.truncate(start);
    out.extend_from_slice(value.as_slice());
    Ok(Some(tag))
}

/// The bytes of a value; most are short.
enum Bytes {
    Short([u8; 16], usize),
    Long(Vec<u8>),
}

impl Bytes {
    fn short<const N: usize>(bytes: [u8; N]) -> Self {
        let mut room = [0; 16];
        room[..N].copy_from_slice(&bytes);
        Self::Short(room, N)
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short(bytes, length) => &bytes[..*length],
            Self::Long(bytes) => bytes,
        }
    }
}

fn value(form: &Form<'_>) -> Result<Option<(u8, Bytes)>, Misfit> {
    let first = form.field(0);
    let wrapped = match first.name {
        b"$oid" => {
            let digits = form.single()?.string().and_then(hex::<12>);
            (OBJECT_ID, Bytes::short(digits.ok_or_else(|| form.misfit("24 hexadecimal digits as $oid"))?))
        }
        b"$date" => {
            let value = form.single()?;
            let millis = match value.string() {
                Some(text) => date::millis(text),
                None => value.integer(),
            };
            let millis = millis
                .ok_or_else(|| form.misfit("a date such as 2026-01-31T09:30:00.000Z or milliseconds as $date"))?;
            (DATE, Bytes::short(millis.to_le_bytes()))
        }
        b"$numberInt" => {
            let number = form.single()?.number_or_text().and_then(|n| i32::try_from(n).ok());
            (INT32, Bytes::short(number.ok_or_else(|| form.misfit("an int32 as $numberInt"))?.to_le_bytes()))
        }
        b"$numberLong" => {
            let number = form.single()?.number_or_text();
            (INT64, Bytes::short(number.ok_or_else(|| form.misfit("an int64 as $numberLong"))?.to_le_bytes()))
        }
        b"$numberDouble" => {
            let number = form.single()?.double();
            (DOUBLE, Bytes::short(number.ok_or_else(|| form.misfit("a double as $numberDouble"))?.to_le_bytes()))
        }
        b"$numberDecimal" => {
            let text = form.single()?.string().and_then(|text| std::str::from_utf8(text).ok());
            let number = text.and_then(|text| text.parse::<bson::Decimal128>().ok());
            (DECIMAL128, Bytes::short(number.ok_or_else(|| form.misfit("a decimal number as $numberDecimal"))?.bytes()))
        }
        b"$binary" | b"$type" => return binary(form),
        b"$uuid" => {
            let uuid = form.single()?.string().and_then(uuid);
            let uuid = uuid.ok_or_else(|| form.misfit("a UUID with its four dashes as $uuid"))?;
            (BINARY, Bytes::Long(binary_value(BINARY_UUID, &uuid)))
        }
        b"$timestamp" => (TIMESTAMP, timestamp(form)?),
        b"$regularExpression" | b"$regex" | b"$options" => return regex(form),
        b"$code" | b"$scope" => code(form)?,
        b"$symbol" => {
            let symbol = form.single()?;
            symbol.string().ok_or_else(|| form.misfit("a string as $symbol"))?;
            (SYMBOL, Bytes::Long(symbol.value.to_vec()))
        }
        b"$dbPointer" => (DB_POINTER, db_pointer(form)?),
        b"$undefined" if form.single()?.is(BOOLEAN, &[1]) => (UNDEFINED, Bytes::short([])),
        b"$minKey" if form.single()?.integer() == Some(1) => (MIN_KEY, Bytes::short([])),
        b"$maxKey" if form.single()?.integer() == Some(1) => (MAX_KEY, Bytes::short([])),
        b"$undefined" => return Err(form.misfit("true as $undefined")),
        b"$minKey" | b"$maxKey" => return Err(form.misfit("1 as $minKey or $maxKey")),
        _ => return Ok(None),
    };
    Ok(Some(wrapped))
}

fn binary(form: &Form<'_>) -> Result<Option<(u8, Bytes)>, Misfit> {
    let (base64, subtype) = match form.pair(b"$binary", b"$type") {
        Some((data, kind)) if data.string().is_some() => {
            let number = kind.integer().and_then(|n| u8::try_from(n).ok());
            (data.string(), number.or_else(|| kind.string().and_then(byte)))
        }
        _ if form.field(0).name == b"$type" => return Ok(None),
        _ => {
            let inner = Form::of(
                form.single()?
                    .document()
                    .ok_or_else(|| form.misfit("base64 and subType, or a string and $type, as $binary"))?,
            );
            let pair = inner.pair(b"base64", b"subType");
            (pair.and_then(|(data, _)| data.string()), pair.and_then(|(_, kind)| kind.string()).and_then(byte))
        }
    };
    let Some(subtype) = subtype else {
        return Err(form.misfit("one or two hexadecimal digits as the subtype of $binary"));
    };
    let data = base64.and_then(base64::decode).ok_or_else(|| form.misfit("padded base64 as $binary"))?;
    Ok(Some((BINARY, Bytes::Long(binary_value(subtype, &data)))))
}

fn binary_value(subtype: u8, data: &[u8]) -> Vec<u8> {
    // The old subtype holds its length once more inside.
    let inner = if subtype == BINARY_OLD { 4 } else { 0 };
    let mut value = Vec::with_capacity(5 + inner + data.len());
    value.extend_from_slice(&((data.len() + inner) as u32).to_le_bytes());
    value.push(subtype);
    if inner > 0 {
        value.extend_from_slice(&(data.len() as u32).to_le_bytes());
    }
    value.extend_from_slice(data);
    value
}

fn timestamp(form: &Form<'_>) -> Result<Bytes, Misfit> {
    let misfit = || form.misfit("t and i, each from 0 to 4294967295, as $timestamp");
    let inner = Form::of(form.single()?.document().ok_or_else(misfit)?);
    let (time, increment) = inner.pair(b"t", b"i").ok_or_else(misfit)?;
    let part = |field: Field<'_>| field.integer().and_then(|n| u32::try_from(n).ok()).ok_or_else(misfit);
    Ok(Bytes::short((u64::from(part(time)?) << 32 | u64::from(part(increment)?)).to_le_bytes()))
}

fn regex(form: &Form<'_>) -> Result<Option<(u8, Bytes)>, Misfit> {
    let misfit = || form.misfit("pattern and options, strings without NUL, as $regularExpression");
    let (pattern, options) = if form.field(0).name == b"$regularExpression" {
        let inner = Form::of(form.single()?.document().ok_or_else(misfit)?);
        let (pattern, options) = inner.pair(b"pattern", b"options").ok_or_else(misfit)?;
        (pattern.string().ok_or_else(misfit)?, options.string().ok_or_else(misfit)?)
    } else {
        let pair = form.pair(b"$regex", b"$options").and_then(|(p, o)| Some((p.string()?, o.string()?)));
        let Some(pair) = pair else { return Ok(None) };
        pair
    };
    if pattern.contains(&0) || options.contains(&0) {
        return Err(misfit());
    }
    // BSON wants the options in alphabetical order.
    let mut options = options.to_vec();
    options.sort_unstable();
    Ok(Some((REGEX, Bytes::Long([pattern, &[0], &options, &[0]].concat()))))
}

fn code(form: &Form<'_>) -> Result<(u8, Bytes), Misfit> {
    let misfit = || form.misfit("a string as $code, and with it nothing but a document as $scope");
    if form.count == 1 && form.field(0).name == b"$code" {
        let code = form.field(0);
        code.string().ok_or_else(misfit)?;
        return Ok((CODE, Bytes::Long(code.value.to_vec())));
    }
    let (code, scope) = form.pair(b"$code", b"$scope").ok_or_else(misfit)?;
    code.string().ok_or_else(misfit)?;
    let scope = scope.document().ok_or_else(misfit)?;
    let length = (4 + code.value.len() + scope.len()) as u32;
    Ok((CODE_WITH_SCOPE, Bytes::Long([&length.to_le_bytes(), code.value, scope].concat())))
}

fn db_pointer(form: &Form<'_>) -> Result<Bytes, Misfit> {
    let misfit = || form.misfit("a string as $ref and an object id as $id in $dbPointer");
    let inner = Form::of(form.single()?.document().ok_or_else(misfit)?);
    let (name, id) = inner.pair(b"$ref", b"$id").ok_or_else(misfit)?;
    name.string().ok_or_else(misfit)?;
    if id.tag != OBJECT_ID {
        return Err(misfit());
    }
    Ok(Bytes::Long([name.value, id.value].concat()))
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (room, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *room = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn byte(text: &[u8]) -> Option<u8> {
    match text {
        [one] => digit(*one),
        _ => hex::<1>(text).map(|[byte]| byte),
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let dashes = [8, 13, 18, 23];
    if text.len() != 36 || dashes.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let digits: Vec<u8> = text.iter().enumerate().filter(|(at, _)| !dashes.contains(at)).map(|(_, b)| *b).collect();
    hex(&digits)
}
