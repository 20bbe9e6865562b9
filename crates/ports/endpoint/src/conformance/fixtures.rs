//! Documents and names that adapters have stumbled over.

use bytes::Bytes;

use crate::{Batch, Cursor, ExtJson, Namespace, Unit};

/// A BSON value: its type byte and its bytes.
#[derive(Clone, Debug)]
pub struct Value {
    pub kind: u8,
    pub bytes: Vec<u8>,
}

fn value(kind: u8, parts: &[&[u8]]) -> Value {
    Value { kind, bytes: parts.concat() }
}

fn text(kind: u8, text: &str) -> Value {
    let length = i32::try_from(text.len() + 1).expect("fixtures are small");
    value(kind, &[&length.to_le_bytes(), text.as_bytes(), &[0]])
}

fn binary(subtype: u8, bytes: &[u8]) -> Value {
    let length = i32::try_from(bytes.len()).expect("fixtures are small");
    value(0x05, &[&length.to_le_bytes(), &[subtype], bytes])
}

/// An int32.
pub fn int32(number: i32) -> Value {
    value(0x10, &[&number.to_le_bytes()])
}

/// A double.
pub fn double(number: f64) -> Value {
    value(0x01, &[&number.to_le_bytes()])
}

/// A string.
pub fn string(of: &str) -> Value {
    text(0x02, of)
}

/// A raw document of these elements in this order.
pub fn document(elements: &[(&str, &Value)]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for (name, value) in elements {
        bytes.push(value.kind);
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&value.bytes);
    }
    bytes.push(0);
    let length = i32::try_from(bytes.len()).expect("fixtures are small");
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    bytes
}

/// Values of every BSON type, the hard ones of each.
pub fn values() -> Vec<Value> {
    let nested = document(&[("z", &int32(1)), ("a", &string("x"))]);
    let array = document(&[("0", &int32(1)), ("1", &string("two"))]);
    let scoped = {
        let code = text(0x0d, "function() {}").bytes;
        let length = i32::try_from(4 + code.len() + nested.len()).expect("fixtures are small");
        value(0x0f, &[&length.to_le_bytes(), &code, &nested])
    };
    vec![
        double(1.5),
        double(-0.0),
        double(f64::NAN),
        double(f64::INFINITY),
        double(f64::NEG_INFINITY),
        double(5e-324),
        string(""),
        string("grüße\0 nul \u{10ffff}"),
        value(0x03, &[&nested]),
        value(0x03, &[&document(&[])]),
        value(0x04, &[&array]),
        binary(0, &[]),
        binary(0, &[0, 255]),
        binary(2, &[2, 0, 0, 0, 7, 8]),
        binary(3, &[3; 16]),
        binary(4, &[4; 16]),
        binary(5, &[5; 16]),
        binary(0x80, b"user"),
        value(0x06, &[]),
        value(0x07, &[&[0x50, 0x7f, 0x1f, 0x77, 0xbc, 0xf8, 0x6c, 0xd7, 0x99, 0x43, 0x90, 0x11]]),
        value(0x08, &[&[1]]),
        value(0x08, &[&[0]]),
        value(0x09, &[&(-62_135_596_800_001_i64).to_le_bytes()]),
        value(0x09, &[&i64::MAX.to_le_bytes()]),
        value(0x0a, &[]),
        value(0x0b, &[b"^a/b\0", b"im\0"]),
        value(0x0c, &[&text(0x02, "a.b").bytes, &[9; 12]]),
        text(0x0d, "f()"),
        text(0x0e, "symbol"),
        scoped,
        int32(i32::MIN),
        value(0x11, &[&1u32.to_le_bytes(), &u32::MAX.to_le_bytes()]),
        value(0x12, &[&i64::MIN.to_le_bytes()]),
        value(
            0x13,
            &[&[0xff, 0xff, 0xff, 0xff, 0x63, 0x8e, 0x8d, 0x37, 0xc0, 0x87, 0xad, 0xbe, 0x09, 0xed, 0xff, 0x5f]],
        ),
        value(0x13, &[&[0; 15], &[0x78]]),
        value(0x7f, &[]),
        value(0xff, &[]),
    ]
}

/// Documents with every value as a field, and with every value that may be one as `_id`. Their `_id`s differ.
pub fn documents() -> Vec<Vec<u8>> {
    let mut documents = Vec::new();
    for (number, value) in (0..).zip(values()) {
        documents.push(document(&[("_id", &int32(number)), ("v", &value), ("a.$b", &value)]));
    }
    for (number, value) in (0..).zip(values()) {
        // An array, a regular expression and `undefined` are no `_id`s that a server takes.
        if ![0x04, 0x06, 0x0b].contains(&value.kind) && value.kind != 0x10 {
            documents.push(document(&[("_id", &value), ("n", &int32(number))]));
        }
    }
    documents
}

/// Documents with ascending `_id`s, of sizes that go around some round numbers.
pub fn numbered(count: i32) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            let filler = "x".repeat(usize::try_from(number).expect("ascending from zero") * 37 % 1_500);
            document(&[("_id", &int32(number)), ("filler", &string(&filler))])
        })
        .collect()
}

/// A document of exactly 16 MiB, the most that a server takes from a user.
pub fn largest() -> Vec<u8> {
    let overhead = document(&[("_id", &int32(0)), ("b", &binary(0, &[]))]).len();
    document(&[("_id", &int32(0)), ("b", &binary(0, &vec![7; (16 << 20) - overhead]))])
}

/// Collections with names that file systems, URLs and shells have opinions about.
pub fn odd_names() -> Vec<Namespace> {
    let long = "long.".repeat(40);
    [
        "with space",
        "with/slash",
        "with.dots..",
        "ünïcode",
        "100%+1",
        "a?b&c=d",
        "quote\"'`",
        "-dash",
        long.as_str(),
        &"é".repeat(80),
    ]
    .into_iter()
    .map(|collection| Namespace::new("odd", collection))
    .collect()
}

/// A unit with options and indexes whose order matters.
pub fn defined(namespace: Namespace) -> Unit {
    let parse = |text| ExtJson::parse(text).expect("a fixture is valid");
    Unit {
        options: Some(parse(
            r#"{"validator":{"z":{"$gt":{"$numberInt":"1"}},"a":{"$type":"string"}},"validationLevel":"off"}"#,
        )),
        indexes: vec![
            parse(r#"{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}"#),
            parse(
                r#"{"v":{"$numberInt":"2"},"key":{"z":{"$numberInt":"1"},"a":{"$numberInt":"-1"}},"name":"z_1_a_-1","sparse":true}"#,
            ),
        ],
        ..Unit::collection(namespace)
    }
}

/// Documents as one batch.
pub fn batch(documents: &[Vec<u8>]) -> Batch {
    Batch {
        bytes: Bytes::from(documents.concat()),
        documents: u32::try_from(documents.len()).expect("fixtures are few"),
        cursor: Cursor(serde_json::Value::Null),
    }
}
