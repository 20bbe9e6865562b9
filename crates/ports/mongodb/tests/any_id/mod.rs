//! Any `_id` that there may be.

use bson::Bson;
use proptest::prelude::*;

/// Values of every type, the hard ones of each among them.
pub fn id() -> impl Strategy<Value = Bson> {
    let plain = prop_oneof![
        4 => (-50i32..50).prop_map(Bson::Int32),
        2 => (-50i64..50).prop_map(|n| Bson::Int64(n << 40)),
        2 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0), -50.0..50.0].prop_map(Bson::Double),
        1 => "-?[1-9]{1,3}(\\.5)?".prop_map(|text| Bson::Decimal128(text.parse().unwrap())),
        4 => prop_oneof!["", "BsonNull", "BsonMaxKey", "[a-cA-C]{0,4}", "[\u{e000}\u{10000}é]{1,2}", "x{900,1500}"].prop_map(Bson::String),
        2 => any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(bson::oid::ObjectId::from_bytes(bytes))),
        1 => any::<bool>().prop_map(Bson::Boolean),
        1 => any::<i64>().prop_map(|time| Bson::DateTime(bson::DateTime::from_millis(time))),
        1 => any::<(u32, u32)>().prop_map(|(time, increment)| Bson::Timestamp(bson::Timestamp { time, increment })),
        2 => (any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(subtype, bytes)| {
            Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::from(subtype), bytes })
        }),
        1 => prop_oneof![Just(Bson::Null), Just(Bson::MinKey), Just(Bson::MaxKey)],
        1 => "[a-c]{0,2}".prop_map(Bson::JavaScriptCode),
    ];
    plain.prop_recursive(2, 8, 3, |inner| {
        prop::collection::vec(("[ab$]{1,2}", inner), 0..3)
            .prop_map(|fields| Bson::Document(fields.into_iter().collect()))
    })
}
