//! The order that BSON values have in an index: by kind, then by value.

use std::cmp::Ordering;

use bson::Bson;
use bson::spec::ElementType;

/// Where a type stands among the others. Types of one place are compared with each other by value.
pub(crate) fn place(kind: u8) -> u8 {
    match ElementType::from(kind) {
        Some(ElementType::MinKey) => 0,
        Some(ElementType::Undefined) => 1,
        Some(ElementType::Null) => 2,
        Some(ElementType::Double | ElementType::Int32 | ElementType::Int64 | ElementType::Decimal128) => 3,
        Some(ElementType::String | ElementType::Symbol) => 4,
        Some(ElementType::EmbeddedDocument) => 5,
        Some(ElementType::Array) => 6,
        Some(ElementType::Binary) => 7,
        Some(ElementType::ObjectId) => 8,
        Some(ElementType::Boolean) => 9,
        Some(ElementType::DateTime) => 10,
        Some(ElementType::Timestamp) => 11,
        Some(ElementType::RegularExpression) => 12,
        Some(ElementType::DbPointer) => 13,
        Some(ElementType::JavaScriptCode) => 14,
        Some(ElementType::JavaScriptCodeWithScope) => 15,
        Some(ElementType::MaxKey) | None => 16,
    }
}

/// Compares values that ranges are cut at: numbers that are no decimals, strings, object ids and dates. All others of a
/// kind are equal here.
pub(crate) fn compare(one: &Bson, other: &Bson) -> Ordering {
    place(one.element_type() as u8).cmp(&place(other.element_type() as u8)).then_with(|| match (one, other) {
        (Bson::String(one) | Bson::Symbol(one), Bson::String(other) | Bson::Symbol(other)) => one.cmp(other),
        (Bson::ObjectId(one), Bson::ObjectId(other)) => one.bytes().cmp(&other.bytes()),
        (Bson::DateTime(one), Bson::DateTime(other)) => one.cmp(other),
        (one, other) => numbers(one, other).unwrap_or(Ordering::Equal),
    })
}

/// Numbers by value and exactly, whatever their types; NaN before all others.
fn numbers(one: &Bson, other: &Bson) -> Option<Ordering> {
    let whole = |value: &Bson| value.as_i64().or_else(|| value.as_i32().map(i64::from));
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        (Some(one), None) => Some(whole_to_double(one, other.as_f64()?)),
        (None, Some(other)) => Some(whole_to_double(other, one.as_f64()?).reverse()),
        (None, None) => {
            let (one, other) = (one.as_f64()?, other.as_f64()?);
            one.partial_cmp(&other).or_else(|| Some(other.is_nan().cmp(&one.is_nan())))
        }
    }
}

fn whole_to_double(whole: i64, double: f64) -> Ordering {
    /// The first double past the whole numbers of 64 bits.
    const PAST: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() || double < -PAST {
        Ordering::Greater
    } else if double >= PAST {
        Ordering::Less
    } else {
        // Truncated it is exact, so only what was cut off is left to decide.
        let truncated = double.trunc();
        whole.cmp(&(truncated as i64)).then_with(|| truncated.partial_cmp(&double).unwrap_or(Ordering::Equal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_types_have_one_order() {
        let ascending = [
            Bson::Double(f64::NAN),
            Bson::Double(f64::NEG_INFINITY),
            Bson::Double(-1e300),
            Bson::Int64(i64::MIN),
            Bson::Int64(i64::MIN + 1),
            Bson::Int32(-1),
            Bson::Double(-0.5),
            Bson::Int32(0),
            Bson::Double(0.5),
            Bson::Int64(1),
            Bson::Int64(9_007_199_254_740_992),
            Bson::Int64(9_007_199_254_740_993),
            Bson::Double(9_007_199_254_740_994.0),
            Bson::Int64(i64::MAX),
            Bson::Double(9_223_372_036_854_775_808.0),
            Bson::Double(f64::INFINITY),
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (past, other) in ascending.iter().enumerate() {
                assert_eq!(compare(one, other), at.cmp(&past), "{one} {other}");
            }
        }
        assert_eq!(compare(&Bson::Double(-0.0), &Bson::Int32(0)), Ordering::Equal);
        assert_eq!(compare(&Bson::Double(2.0), &Bson::Int64(2)), Ordering::Equal);
    }

    #[test]
    fn kinds_come_in_the_order_of_the_server() {
        let ascending =
            [0xff, 0x06, 0x0a, 0x10, 0x02, 0x03, 0x04, 0x05, 0x07, 0x08, 0x09, 0x11, 0x0b, 0x0c, 0x0d, 0x0f];
        assert!(ascending.map(place).is_sorted());
        assert_eq!((place(0x01), place(0x12), place(0x13)), (place(0x10), place(0x10), place(0x10)));
        assert_eq!(place(0x0e), place(0x02));
        assert!(place(0x7f) > place(0x0f));
    }
}
