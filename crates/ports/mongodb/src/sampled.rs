//! Boundaries from documents drawn at random, even in documents and in bytes.

use bson::RawDocument;

use crate::fault;
use crate::id::Id;

/// A document that was drawn at random.
pub(crate) struct Sampled {
    id: Id,
    /// Of the whole document; nothing where the server does not say.
    bytes: u64,
}

impl Sampled {
    pub fn of(document: &RawDocument) -> Option<Self> {
        let bytes = document.get("bytes").ok().flatten().and_then(fault::number);
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        Some(Self { id: Id::of(document.as_bytes())?, bytes })
    }
}

/// The values that part a sorted sample into so many parts of about as many documents and bytes each: a few huge documents
/// weigh as much as many small ones.
pub(crate) fn even(sorted: &[Sampled], parts: u64) -> Vec<Id> {
    let all: u64 = sorted.iter().map(|sampled| sampled.bytes).sum();
    let weight = |sampled: &Sampled| 1.0 / sorted.len() as f64 + sampled.bytes as f64 / all.max(1) as f64;
    let total: f64 = sorted.iter().map(weight).sum();
    let (mut boundaries, mut before) = (Vec::new(), 0.0);
    for sampled in sorted {
        // A hair less, for sums of fractions are not exact.
        if boundaries.len() as u64 + 1 < parts && before * parts as f64 / total >= boundaries.len() as f64 + 1.0 - 1e-9
        {
            boundaries.push(sampled.id.clone());
        }
        before += weight(sampled);
    }
    boundaries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::value;
    use bson::Bson;

    fn sample(bytes: &[u64]) -> Vec<Sampled> {
        let one = |(at, bytes): (i32, &u64)| {
            Sampled::of(&bson::rawdoc! { "_id": at, "bytes": i64::try_from(*bytes).unwrap() }).unwrap()
        };
        (0..).zip(bytes).map(one).collect()
    }

    fn cut(bytes: &[u64], parts: u64) -> Vec<Bson> {
        even(&sample(bytes), parts).iter().map(value).collect()
    }

    #[test]
    fn documents_of_one_size_or_of_none_that_is_known_are_parted_evenly() {
        for bytes in [0, 200] {
            assert_eq!(cut(&[bytes; 100], 4), [25, 50, 75].map(Bson::Int32), "{bytes}");
        }
        assert_eq!(cut(&[7; 3], 3), [1, 2].map(Bson::Int32));
        assert!(cut(&[7; 3], 1).is_empty() && cut(&[], 3).is_empty());
    }

    #[test]
    fn a_few_huge_documents_weigh_as_much_as_many_small_ones() {
        let mut bytes = [100; 1_000];
        bytes[900..910].fill(1_000_000);

        let boundaries = cut(&bytes, 8);

        let among_huge = boundaries.iter().filter(|id| (900..=910).contains(&id.as_i32().unwrap())).count();
        assert!(among_huge >= 3, "{boundaries:?}");
        assert!(boundaries[0].as_i32().unwrap() <= 300, "{boundaries:?}");
    }

    #[test]
    fn one_document_that_outweighs_parts_is_cut_at_once() {
        assert_eq!(cut(&[1_000_000, 1, 1, 1], 4), [1, 2, 3].map(Bson::Int32));
    }
}
