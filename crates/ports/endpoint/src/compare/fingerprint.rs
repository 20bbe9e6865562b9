//! What is kept of a side: a count and a sum for each bucket.

use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::compare::content::content_hash;
use crate::compare::reading::Collect;
use crate::compare::report::Tally;
use crate::element::{Element, id_of};

/// Documents aimed at in a bucket.
const DOCUMENTS_PER_BUCKET: u64 = 64;
/// With the most buckets a fingerprint takes 8 MiB.
const BUCKETS: std::ops::RangeInclusive<u64> = 256..=(1 << 18);

/// How many buckets suit a unit: a power of two.
pub(crate) fn bucket_count(documents: u64) -> usize {
    let buckets = (documents / DOCUMENTS_PER_BUCKET).clamp(*BUCKETS.start(), *BUCKETS.end());
    usize::try_from(buckets.next_power_of_two()).expect("at most 2^18")
}

/// What tells documents of one side from those of the other: the hash of its `_id`, and of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub key: u128,
    pub hash: u128,
}

impl Pair {
    pub(crate) fn of(document: &[u8]) -> Self {
        let hash = xxh3_128(document);
        Self { key: Self::key(document, hash), hash }
    }

    /// Another hash for the same key: one that the order of fields does not change.
    pub(crate) fn whatever_order(document: &[u8]) -> Self {
        let hash = content_hash(document);
        Self { key: Self::key(document, hash), hash }
    }

    /// The same for both kinds of hash, but of a document without an `_id`, which is known by its hash.
    fn key(document: &[u8], hash: u128) -> u128 {
        match id_of(document) {
            // The type is the seed, so that 1 and 1.0 and "1" have nothing in common.
            Some(Element { kind, value }) => xxh3_128_with_seed(value, u64::from(kind)),
            None => hash,
        }
    }

    /// Whether the document has no `_id`, so that nobody could name it.
    pub(crate) fn is_nameless(self) -> bool {
        self.key == self.hash
    }

    pub(crate) fn bucket(self, buckets: usize) -> usize {
        (self.key as usize) & (buckets - 1)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    sum: u128,
    count: u64,
}

/// One side, summed up. Order does not matter, so parts of a side can be taken apart and added.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint {
    buckets: Vec<Bucket>,
    tally: Tally,
    nameless: u64,
    pair: fn(&[u8]) -> Pair,
}

impl Fingerprint {
    /// Of documents that are told apart by `pair`.
    pub(crate) fn new(buckets: usize, pair: fn(&[u8]) -> Pair) -> Self {
        Self { buckets: vec![Bucket::default(); buckets], tally: Tally::default(), nameless: 0, pair }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Documents without an `_id`.
    pub(crate) fn nameless(&self) -> u64 {
        self.nameless
    }

    pub(crate) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Documents in a bucket.
    pub(crate) fn count(&self, bucket: usize) -> u64 {
        self.buckets[bucket].count
    }

    /// The buckets that are not the same on the other side.
    pub(crate) fn differing(&self, other: &Self) -> Vec<usize> {
        (0..self.buckets.len()).filter(|&at| self.buckets[at] != other.buckets[at]).collect()
    }
}

impl Collect for Fingerprint {
    fn take(&mut self, document: &[u8]) {
        let pair = (self.pair)(document);
        let at = pair.bucket(self.buckets.len());
        let bucket = &mut self.buckets[at];
        bucket.count += 1;
        bucket.sum = bucket.sum.wrapping_add(pair.hash);
        self.nameless += u64::from(pair.is_nameless());
        self.tally.documents += 1;
        self.tally.bytes += document.len() as u64;
    }

    fn add(&mut self, other: Self) {
        for (bucket, other) in self.buckets.iter_mut().zip(other.buckets) {
            bucket.count += other.count;
            bucket.sum = bucket.sum.wrapping_add(other.sum);
        }
        self.nameless += other.nameless;
        self.tally.documents += other.tally.documents;
        self.tally.bytes += other.tally.bytes;
    }
}
