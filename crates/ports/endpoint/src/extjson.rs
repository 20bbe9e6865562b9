//! BSON as canonical extended JSON text, in the order of its fields.
//!
//! For definitions, `_id`s in reports and lines of JSON; documents on their way between stores stay raw.

use std::fmt::{self, Write};

use bson::raw::{RawArray, RawBsonRef, RawDocument, RawDocumentBuf};
use serde::{Deserialize, Serialize};

/// A document as canonical extended JSON text: small, readable, and its fields keep their order wherever it is kept.
///
/// Kept as text because an index on `{b, a}` is not one on `{a, b}`, and a JSON object that travels through a
/// journal may come back sorted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExtJson(String);

/// Text or bytes that are no document.
#[derive(Debug, thiserror::Error)]
pub enum ExtJsonError {
    #[error("text is not a document in extended JSON")]
    Text(#[source] serde_json::Error),
    #[error("bytes are not a BSON document")]
    Bytes(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ExtJson {
    /// Reads extended JSON, canonical or relaxed, and keeps it in its canonical form.
    pub fn parse(text: &str) -> Result<Self, ExtJsonError> {
        let document: bson::Document = serde_json::from_str(text).map_err(ExtJsonError::Text)?;
        let raw = RawDocumentBuf::try_from(&document).map_err(|e| ExtJsonError::Bytes(Box::new(e)))?;
        Self::from_raw(&raw)
    }

    /// Writes a raw document as text.
    pub fn from_raw(document: &RawDocument) -> Result<Self, ExtJsonError> {
        let mut text = String::new();
        write_document(&mut text, document).map_err(|e| ExtJsonError::Bytes(Box::new(e)))?;
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The document.
    pub fn to_document(&self) -> bson::Document {
        serde_json::from_str(&self.0).expect("text is checked when it is made")
    }
}

impl TryFrom<String> for ExtJson {
    type Error = ExtJsonError;

    fn try_from(text: String) -> Result<Self, ExtJsonError> {
        Self::parse(&text)
    }
}

impl From<ExtJson> for String {
    fn from(document: ExtJson) -> String {
        document.0
    }
}

impl fmt::Display for ExtJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Appends a document. Fails at the first element that is not valid BSON; what was appended before it stays.
pub fn write_document(out: &mut String, document: &RawDocument) -> Result<(), bson::error::Error> {
    out.push('{');
    for (at, element) in document.iter().enumerate() {
        let (key, value) = element?;
        if at > 0 {
            out.push(',');
        }
        write_string(out, key.as_str());
        out.push(':');
        write_value(out, value)?;
    }
    out.push('}');
    Ok(())
}

fn write_array(out: &mut String, array: &RawArray) -> Result<(), bson::error::Error> {
    out.push('[');
    for (at, value) in array.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_value(out, value?)?;
    }
    out.push(']');
    Ok(())
}

/// Appends a value in its canonical form.
pub fn write_value(out: &mut String, value: RawBsonRef<'_>) -> Result<(), bson::error::Error> {
    match value {
        RawBsonRef::Double(number) => {
            out.push_str("{\"$numberDouble\":\"");
            write_double(out, number);
            out.push_str("\"}");
        }
        RawBsonRef::String(text) => write_string(out, text),
        RawBsonRef::Array(array) => write_array(out, array)?,
        RawBsonRef::Document(document) => write_document(out, document)?,
        RawBsonRef::Boolean(value) => push(out, format_args!("{value}")),
        RawBsonRef::Null => out.push_str("null"),
        RawBsonRef::RegularExpression(regex) => {
            out.push_str("{\"$regularExpression\":{\"pattern\":");
            write_string(out, regex.pattern.as_str());
            out.push_str(",\"options\":");
            write_string(out, regex.options.as_str());
            out.push_str("}}");
        }
        RawBsonRef::JavaScriptCode(code) => {
            out.push_str("{\"$code\":");
            write_string(out, code);
            out.push('}');
        }
        RawBsonRef::JavaScriptCodeWithScope(code) => {
            out.push_str("{\"$code\":");
            write_string(out, code.code);
            out.push_str(",\"$scope\":");
            write_document(out, code.scope)?;
            out.push('}');
        }
        RawBsonRef::Int32(number) => push(out, format_args!("{{\"$numberInt\":\"{number}\"}}")),
        RawBsonRef::Int64(number) => push(out, format_args!("{{\"$numberLong\":\"{number}\"}}")),
        RawBsonRef::Timestamp(stamp) => {
            push(out, format_args!("{{\"$timestamp\":{{\"t\":{},\"i\":{}}}}}", stamp.time, stamp.increment));
        }
        RawBsonRef::Binary(binary) => {
            out.push_str("{\"$binary\":{\"base64\":\"");
            write_base64(out, binary.bytes);
            push(out, format_args!("\",\"subType\":\"{:02x}\"}}}}", u8::from(binary.subtype)));
        }
        RawBsonRef::ObjectId(id) => push(out, format_args!("{{\"$oid\":\"{id}\"}}")),
        RawBsonRef::DateTime(time) => {
            push(out, format_args!("{{\"$date\":{{\"$numberLong\":\"{}\"}}}}", time.timestamp_millis()));
        }
        RawBsonRef::Symbol(text) => {
            out.push_str("{\"$symbol\":");
            write_string(out, text);
            out.push('}');
        }
        RawBsonRef::Decimal128(number) => push(out, format_args!("{{\"$numberDecimal\":\"{number}\"}}")),
        RawBsonRef::Undefined => out.push_str("{\"$undefined\":true}"),
        RawBsonRef::MaxKey => out.push_str("{\"$maxKey\":1}"),
        RawBsonRef::MinKey => out.push_str("{\"$minKey\":1}"),
        RawBsonRef::DbPointer(pointer) => {
            // Its parts are private to the bson crate; its own JSON of this type is the canonical one.
            out.push_str(&serde_json::to_string(&pointer).expect("a pointer is a string and an object id"));
        }
    }
    Ok(())
}

fn push(out: &mut String, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes everything");
}

/// The shortest digits that give the number back; with a fraction or an exponent, so that it stays a double.
fn write_double(out: &mut String, number: f64) {
    if number.is_nan() {
        out.push_str("NaN");
    } else if number.is_infinite() {
        out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        let digits = format!("{number:?}");
        match digits.split_once('e') {
            Some((mantissa, exponent)) if exponent.starts_with('-') => push(out, format_args!("{mantissa}E{exponent}")),
            Some((mantissa, exponent)) => push(out, format_args!("{mantissa}E+{exponent}")),
            None => out.push_str(&digits),
        }
    }
}

/// Appends a JSON string.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..=0x1f => {
                out.push_str(&text[plain_from..at]);
                push(out, format_args!("\\u{byte:04x}"));
                plain_from = at + 1;
                continue;
            }
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        out.push_str(escaped);
        plain_from = at + 1;
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

fn write_base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= group.len() { digit as char } else { '=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_keeps_the_order_of_its_fields_through_a_journal() {
        let text =
            r#"{"v":{"$numberInt":"2"},"key":{"b":{"$numberInt":"1"},"a":{"$numberDouble":"-1.0"}},"name":"b_1_a_-1"}"#;
        let definition = ExtJson::parse(text).unwrap();

        let journalled = serde_json::to_value(&definition).unwrap();
        let back: ExtJson = serde_json::from_value(journalled).unwrap();

        assert_eq!(back.as_str(), text);
        let key = back.to_document().get_document("key").unwrap().clone();
        assert_eq!(key.keys().collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn every_type_has_its_canonical_form() {
        for text in [
            r#"{"v":{"$numberDouble":"-0.0"}}"#,
            r#"{"v":{"$numberDouble":"NaN"}}"#,
            r#"{"v":{"$numberDouble":"-Infinity"}}"#,
            r#"{"v":{"$numberDouble":"1E+300"}}"#,
            r#"{"v":{"$numberLong":"-9223372036854775808"}}"#,
            r#"{"v":"a\"b\\\u0000\n\u001fü"}"#,
            r#"{"v":{"$binary":{"base64":"AQIDBA==","subType":"80"}}}"#,
            r#"{"v":{"$binary":{"base64":"AQID","subType":"00"}}}"#,
            r#"{"v":{"$binary":{"base64":"","subType":"05"}}}"#,
            r#"{"v":{"$oid":"507f1f77bcf86cd799439011"}}"#,
            r#"{"v":{"$date":{"$numberLong":"-62135596800001"}}}"#,
            r#"{"v":{"$regularExpression":{"pattern":"^a/\"","options":"im"}}}"#,
            r#"{"v":{"$timestamp":{"t":4294967295,"i":1}}}"#,
            r#"{"v":{"$numberDecimal":"1.5E+6111"}}"#,
            r#"{"v":{"$code":"f()","$scope":{"x":{"$numberInt":"1"}}}}"#,
            r#"{"v":{"$code":"f()"}}"#,
            r#"{"v":{"$symbol":"s"}}"#,
            r#"{"v":{"$dbPointer":{"$ref":"a.b","$id":{"$oid":"507f1f77bcf86cd799439011"}}}}"#,
            r#"{"v":{"$undefined":true}}"#,
            r#"{"v":{"$minKey":1}}"#,
            r#"{"v":{"$maxKey":1}}"#,
            r#"{"v":[null,true,{}]}"#,
        ] {
            assert_eq!(ExtJson::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn operators_of_a_validator_are_not_taken_for_types() {
        for text in [
            r#"{"a":{"$regex":"^x","$options":"i"},"b":{"$type":"date"},"c":{"$not":{"$regex":"y"}}}"#,
            r#"{"$expr":{"$gt":["$a",{"$numberInt":"1"}]},"$jsonSchema":{"bsonType":"object","required":["a"]}}"#,
            r#"{"a":{"$in":[{"$regularExpression":{"pattern":"x","options":""}},{"$numberLong":"5"}]},"$comment":"c"}"#,
        ] {
            assert_eq!(ExtJson::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in ["", "[]", "1", "{", r#"{"v":{"$oid":"x"}}"#] {
            assert!(ExtJson::parse(text).is_err(), "{text}");
        }
    }
}
