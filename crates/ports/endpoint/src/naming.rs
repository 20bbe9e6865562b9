//! Gives an `_id` to documents that have none, where they are read: always the same one.
//!
//! A target that finds documents by their `_id` would make one up at every writing, so that a chunk written twice would
//! be there twice, and nothing could be compared. The one given here is an object id made of the collection's name, the
//! document's place in its file and its bytes. So a repeated chunk, other chunks and the verification give the same, and
//! two files under one name do not take each other's documents for theirs.

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::Unit;
use crate::bson_frames::walk;
use crate::element::id_of;

/// Type, name and value of an object id called `_id`.
const ELEMENT_BYTES: usize = 1 + 4 + 12;

/// Names the documents of one unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Naming(Option<u64>);

impl Naming {
    /// What the unit asks for: names, or every byte as it is.
    pub(crate) fn of(unit: &Unit) -> Self {
        let seed = || xxh3_128(unit.namespace.to_string().as_bytes()) as u64;
        Self(unit.name_documents.then(seed))
    }

    /// Gives an `_id` to the document that begins there and ends the buffer, where it has none.
    pub(crate) fn name_last(self, buffer: &mut Vec<u8>, begin: usize, place: u64) {
        if let Some(element) = self.element(&buffer[begin..], place) {
            buffer.splice(begin + 4..begin + 4, element);
            lengthen(&mut buffer[begin..]);
        }
    }

    /// The same documents, those without an `_id` with one. Of each, `place` tells its place by its number among them and by
    /// the bytes before it.
    pub(crate) fn name_all(self, documents: Bytes, place: impl Fn(u64, u64) -> u64) -> Bytes {
        if self.0.is_none() || walk(&documents).all(|document| id_of(document).is_some()) {
            return documents;
        }
        let mut named = Vec::with_capacity(documents.len() + documents.len() / 8);
        let mut before = 0;
        for (number, document) in (0..).zip(walk(&documents)) {
            let begin = named.len();
            named.extend_from_slice(document);
            self.name_last(&mut named, begin, place(number, before));
            before += document.len() as u64;
        }
        named.into()
    }

    fn element(self, document: &[u8], place: u64) -> Option<[u8; ELEMENT_BYTES]> {
        let seed = self.0.filter(|_| id_of(document).is_none())?;
        let content = xxh3_128_with_seed(document, seed);
        let hash = xxh3_128_with_seed(&place.to_le_bytes(), content as u64 ^ (content >> 64) as u64);
        let mut element = [0; ELEMENT_BYTES];
        element[..5].copy_from_slice(b"\x07_id\0");
        element[5..].copy_from_slice(&hash.to_be_bytes()[..12]);
        Some(element)
    }
}

/// Says in the document's first bytes that it has grown.
fn lengthen(document: &mut [u8]) {
    let length = u32::try_from(document.len()).expect("a document is smaller than 4 GiB");
    document[..4].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Namespace;
    use crate::conformance::fixtures::{document, int32};

    fn naming(name_documents: bool) -> Naming {
        Naming::of(&Unit { name_documents, ..Unit::collection(Namespace::new("shop", "orders")) })
    }

    #[test]
    fn only_documents_without_an_id_are_named_and_each_by_its_place() {
        let (with, without) = (document(&[("a", &int32(1)), ("_id", &int32(1))]), document(&[("a", &int32(1))]));
        let all: Bytes = [&with[..], &without, &without].concat().into();

        let named = naming(true).name_all(all.clone(), |number, _| number);

        let documents: Vec<_> = walk(&named).collect();
        assert_eq!(documents.len(), 3);
        assert_eq!(documents[0], with);
        let ids: Vec<_> = documents[1..].iter().map(|document| id_of(document).unwrap()).collect();
        assert_eq!((ids[0].kind, ids[0].value.len()), (7, 12));
        assert_ne!(ids[0], ids[1], "the same bytes at two places are two documents");
        assert!(bson::RawDocument::from_bytes(documents[1]).unwrap().get_i32("a").is_ok());
        assert_eq!(naming(true).name_all(all.clone(), |number, _| number), named, "again, the same");
        assert_eq!(naming(false).name_all(all.clone(), |number, _| number), all, "not asked for, not a byte changes");
    }
}
