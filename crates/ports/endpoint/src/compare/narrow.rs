//! From differing buckets to documents.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::Result;
use crate::compare::CompareOptions;
use crate::compare::content::content_hash;
use crate::compare::fingerprint::{Fingerprint, Pair};
use crate::compare::reading::{Collect, Plan, Watch, read_both};
use crate::compare::report::{Comparison, Difference, DifferenceKind};
use crate::element::id_of;

/// Which documents differ, by the hash of their `_id`: no more than were asked for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub kinds: HashMap<u128, DifferenceKind>,
    /// Documents of the expected side that have no `_id`, whether they differ or not.
    pub nameless: u64,
    max: usize,
}

impl Faults {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    fn keep(&mut self, kind: DifferenceKind, pair: Pair) {
        if self.kinds.len() < self.max {
            self.kinds.insert(pair.key, kind);
        }
    }
}

/// Reads differing buckets again, as many at a time as memory allows, and counts and lists what differs.
#[expect(clippy::too_many_arguments, reason = "two sides, what is known of them, and what comes of it")]
pub(crate) async fn narrow(
    plans: &[Plan; 2],
    left: &Fingerprint,
    right: &Fingerprint,
    differing: &[usize],
    options: &CompareOptions,
    watch: &Watch,
    comparison: &mut Comparison,
    faults: &mut Faults,
) -> Result<()> {
    let mut listed = Vec::new();
    let groups = group(differing, options.pairs_max, |bucket| left.count(bucket) + right.count(bucket));
    comparison.counts_are_exact = groups.len() <= options.passes_max as usize;
    for group in groups.into_iter().take(options.passes_max as usize) {
        let (buckets, wanted) = (left.len(), Arc::new(group.into_iter().collect::<HashSet<_>>()));
        let pair = options.pair();
        let empty = move || Looks { buckets, wanted: wanted.clone(), pair, looks: Vec::new() };
        let [left, right] = read_both(plans, options, watch, empty).await?;
        for fault in differences(left.looks, right.looks) {
            comparison.count(fault.kind);
            comparison.reordered += u64::from(fault.reordered);
            faults.keep(fault.kind, fault.pair);
            if listed.len() < options.listed_max {
                listed.push(fault);
            }
        }
    }
    comparison.differences = name(plans, listed, options, watch).await?;
    Ok(())
}

/// Groups buckets so that each holds at most so many documents, or is a single bucket.
fn group(buckets: &[usize], documents_max: u64, documents: impl Fn(usize) -> u64) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut held = u64::MAX;
    for &bucket in buckets {
        held = held.saturating_add(documents(bucket));
        match groups.last_mut() {
            Some(group) if held <= documents_max => group.push(bucket),
            _ => {
                groups.push(vec![bucket]);
                held = documents(bucket);
            }
        }
    }
    groups
}

/// A document, looked at closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    pair: Pair,
    /// The hash that the order of fields does not change.
    content: u128,
}

/// The documents of some buckets.
struct Looks {
    buckets: usize,
    wanted: Arc<HashSet<usize>>,
    pair: fn(&[u8]) -> Pair,
    looks: Vec<Look>,
}

impl Collect for Looks {
    fn take(&mut self, document: &[u8]) {
        let pair = (self.pair)(document);
        if self.wanted.contains(&pair.bucket(self.buckets)) {
            self.looks.push(Look { pair, content: content_hash(document) });
        }
    }

    fn add(&mut self, mut other: Self) {
        self.looks.append(&mut other.looks);
    }
}

/// One document that is not the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    kind: DifferenceKind,
    pair: Pair,
    reordered: bool,
}

/// What is on one side only. Two that share an `_id` and differ are one document that was changed.
fn differences(mut left: Vec<Look>, mut right: Vec<Look>) -> Vec<Fault> {
    left.sort_unstable();
    right.sort_unstable();
    let (mut only_left, mut only_right) = (Vec::new(), Vec::new());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        match (left.peek(), right.peek()) {
            (Some(l), Some(r)) if l.pair == r.pair => {
                left.next();
                right.next();
            }
            (Some(l), Some(r)) if l < r => only_left.extend(left.next()),
            (_, Some(_)) => only_right.extend(right.next()),
            (Some(_), None) => only_left.extend(left.next()),
            (None, None) => break,
        }
    }
    let mut answers = Vec::new();
    let fault = |kind, look: Look| Fault { kind, pair: look.pair, reordered: false };
    let mut right = only_right.into_iter().peekable();
    for look in only_left {
        while let Some(extra) = right.next_if(|extra| extra.pair.key < look.pair.key) {
            answers.push(fault(DifferenceKind::Extra, extra));
        }
        match right.next_if(|other| other.pair.key == look.pair.key) {
            Some(other) => {
                let reordered = other.content == look.content;
                answers.push(Fault { reordered, ..fault(DifferenceKind::Different, look) });
            }
            None => answers.push(fault(DifferenceKind::Missing, look)),
        }
    }
    answers.extend(right.map(|extra| fault(DifferenceKind::Extra, extra)));
    answers
}

/// Finds the `_id`s of the differences that are listed, of which only hashes are known so far.
async fn name(
    plans: &[Plan; 2],
    listed: Vec<Fault>,
    options: &CompareOptions,
    watch: &Watch,
) -> Result<Vec<Difference>> {
    let wanted = Arc::new(listed.iter().map(|fault| fault.pair.key).collect::<HashSet<_>>());
    let pair = options.pair();
    let empty = move || Names { wanted: wanted.clone(), pair, names: HashMap::new() };
    let [mut names, other] = read_both(plans, options, watch, empty).await?;
    names.add(other);
    let named = |fault: Fault| {
        let (id, document) = names.names.get(&fault.pair.key).cloned().unwrap_or_default();
        Difference { kind: fault.kind, id, document, reordered: fault.reordered }
    };
    Ok(listed.into_iter().map(named).collect())
}

struct Names {
    wanted: Arc<HashSet<u128>>,
    pair: fn(&[u8]) -> Pair,
    /// The `_id`, or else the beginning of the document.
    names: HashMap<u128, (Option<String>, Option<String>)>,
}

/// How much of a document without `_id` is shown.
const SHOWN_CHARS: usize = 200;

impl Collect for Names {
    fn take(&mut self, document: &[u8]) {
        let pair = (self.pair)(document);
        if !self.wanted.contains(&pair.key) {
            return;
        }
        self.names.entry(pair.key).or_insert_with(|| match id_of(document) {
            Some(id) => (Some(id.to_ext_json()), None),
            None => {
                let mut text = String::new();
                let raw = bson::RawDocument::from_bytes(document);
                // What is no valid BSON shows as far as it could be read.
                let _ = raw.map(|raw| crate::extjson::write_document(&mut text, raw));
                (None, Some(text.chars().take(SHOWN_CHARS).collect()))
            }
        });
    }

    fn add(&mut self, other: Self) {
        self.names.extend(other.names);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_matched_as_sets_so_that_repeated_ids_count() {
        let pair = |key, hash| Pair { key, hash };
        let looks = |pairs: Vec<Pair>| pairs.into_iter().map(|pair| Look { pair, content: pair.hash }).collect();
        let left = vec![pair(1, 1), pair(2, 5), pair(2, 5), pair(3, 1), pair(4, 1)];
        let right = vec![pair(0, 9), pair(2, 5), pair(3, 2), pair(4, 1), pair(4, 1), pair(5, 1)];

        let found: Vec<_> =
            differences(looks(left), looks(right)).into_iter().map(|fault| (fault.kind, fault.pair)).collect();

        use DifferenceKind::{Different, Extra, Missing};
        let expected = [
            (Extra, pair(0, 9)),
            (Missing, pair(1, 1)),
            (Missing, pair(2, 5)),
            (Different, pair(3, 1)),
            (Extra, pair(4, 1)),
            (Extra, pair(5, 1)),
        ];
        assert_eq!(found.len(), expected.len());
        assert!(expected.iter().all(|one| found.contains(one)), "{found:?}");
    }

    #[test]
    fn buckets_are_grouped_within_what_memory_allows() {
        let sizes = [5, 5, 1, 20, 3];
        let groups = group(&[0, 1, 2, 3, 4], 10, |bucket| sizes[bucket]);
        assert_eq!(groups, [vec![0, 1], vec![2], vec![3], vec![4]]);
    }
}
