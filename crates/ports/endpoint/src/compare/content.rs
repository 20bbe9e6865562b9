//! What a document says, whatever the order of its fields.

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::element::elements;

const DOCUMENT: u8 = 0x03;
const ARRAY: u8 = 0x04;
/// Documents in documents that are looked into. MongoDB keeps no more; what is deeper counts by its bytes.
const DEPTH_MAX: u32 = 100;

/// A hash of a document that stays the same when fields change places, at any depth. Elements of an array have their
/// places as names, so their order counts. A document that is broken inside is hashed as its bytes.
pub(crate) fn content_hash(document: &[u8]) -> u128 {
    hash_in(document, DEPTH_MAX)
}

fn hash_in(document: &[u8], depth: u32) -> u128 {
    let mut sum = 0_u128;
    for element in elements(document) {
        let Some((name, element)) = element else { return xxh3_128(document) };
        let value = match element.kind {
            DOCUMENT | ARRAY if depth > 0 => hash_in(element.value, depth - 1),
            _ => xxh3_128(element.value),
        };
        // The type and the name are part of what is summed, so that nothing changes places between fields.
        let mut field = [0; 33];
        field[..16].copy_from_slice(&value.to_le_bytes());
        field[16..32].copy_from_slice(&xxh3_128(name).to_le_bytes());
        field[32] = element.kind;
        sum = sum.wrapping_add(xxh3_128(&field));
    }
    // An empty document differs from no value at all, and a sum from the single field it may consist of.
    xxh3_128_with_seed(&sum.to_le_bytes(), u64::from(DOCUMENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fixtures;
    use bson::{Bson, doc};

    fn of(document: bson::Document) -> u128 {
        content_hash(&bson::serialize_to_vec(&document).expect("a document of plain values"))
    }

    #[test]
    fn fields_may_change_places_at_any_depth() {
        let one = doc! { "_id": 1, "a": { "x": 1, "y": [{ "p": 1, "q": 2 }] } };
        let other = doc! { "a": { "y": [{ "q": 2, "p": 1 }], "x": 1 }, "_id": 1 };

        assert_eq!(of(one), of(other));
    }

    #[test]
    fn nothing_else_may_change() {
        let base = doc! { "a": 1, "b": [1, 2], "c": { "d": 1 } };
        let others = [
            doc! { "a": 1, "b": [2, 1], "c": { "d": 1 } },
            doc! { "a": 1_i64, "b": [1, 2], "c": { "d": 1 } },
            doc! { "b": 1, "a": [1, 2], "c": { "d": 1 } },
            doc! { "a": 1, "b": [1, 2], "c": { "d": 1 }, "e": Bson::Null },
            doc! { "a": 1, "b": [1, 2], "c": { "d": 1, "e": {} } },
            doc! { "a": 1, "b": [1, 2] },
            doc! { "a": 1, "b": { "0": 1, "1": 2 }, "c": { "d": 1 } },
            doc! { "a": { "d": 1 }, "b": [1, 2], "c": 1 },
        ];

        for other in others {
            assert_ne!(of(base.clone()), of(other.clone()), "{other}");
        }
    }

    #[test]
    fn each_kind_of_value_counts() {
        let hashes: std::collections::HashSet<u128> =
            fixtures::values().iter().map(|value| content_hash(&fixtures::document(&[("v", value)]))).collect();
        assert_eq!(hashes.len(), fixtures::values().len());
    }

    #[test]
    fn a_document_that_is_broken_inside_is_its_bytes_and_deep_ones_end() {
        let broken = [12, 0, 0, 0, 0x77, b'a', 0, 1, 0, 0, 0, 0];
        assert_eq!(content_hash(&broken), xxh3_128(&broken));

        let mut deep = vec![5, 0, 0, 0, 0];
        for _ in 0..50_000 {
            deep = fixtures::document(&[("a", &fixtures::Value { kind: DOCUMENT, bytes: deep })]);
            if deep.len() > 100_000 {
                break;
            }
        }
        assert_eq!(content_hash(&deep), content_hash(&deep.clone()));
    }
}
