//! Verification finds every fault that is planted, and names the documents.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod shared;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use capstan_endpoint::compare::{CompareOptions, Comparison, Difference, DifferenceKind, Side, compare};
use capstan_endpoint::conformance::fixtures::{self, document, int32, string};
use capstan_endpoint::{Adapters, SplitTarget};

use DifferenceKind::{Different, Extra, Missing};

/// The unit that a file of these documents is.
async fn side(folder: &Path, name: &str, documents: &[Vec<u8>]) -> Side {
    let path = folder.join(format!("{name}.bson"));
    std::fs::write(&path, documents.concat()).unwrap();
    let url = format!("dump:{}", path.display()).parse().unwrap();
    let source = Adapters::of_files().source(&url).await.unwrap();
    let unit = source.units().await.unwrap().units.remove(0);
    Side { source, unit }
}

async fn compared(expected: &[Vec<u8>], found: &[Vec<u8>], options: &CompareOptions) -> Comparison {
    let folder = tempfile::tempdir().unwrap();
    let (expected, found) =
        (side(folder.path(), "expected", expected).await, side(folder.path(), "found", found).await);
    compare(&expected, &found, options, Arc::new(|_| {})).await.unwrap()
}

fn small() -> CompareOptions {
    CompareOptions { split: SplitTarget { documents: 50, bytes: 10_000, chunks_max: 9 }, ..CompareOptions::default() }
}

fn listed(comparison: &Comparison) -> Vec<(DifferenceKind, &str)> {
    let mut listed: Vec<_> =
        comparison.differences.iter().map(|difference| (difference.kind, difference.id.as_deref().unwrap())).collect();
    listed.sort_unstable();
    listed
}

#[tokio::test]
async fn the_same_documents_in_another_order_are_equal() {
    let documents = [fixtures::documents(), fixtures::numbered(3_000)].concat();
    let reversed: Vec<_> = documents.iter().rev().cloned().collect();

    let comparison = compared(&documents, &reversed, &small()).await;

    assert!(comparison.is_equal());
    assert_eq!(comparison.expected, comparison.found);
    assert_eq!(comparison.expected.documents, documents.len() as u64);
}

#[tokio::test]
async fn each_planted_fault_is_found_and_named() {
    let base = fixtures::numbered(1_000);
    let reordered = document(&[("filler", &string("")), ("_id", &int32(0))]);
    let retyped = document(&[("_id", &int32(0)), ("filler", &int32(0))]);
    let changed = document(&[("_id", &int32(0)), ("filler", &string("!"))]);
    for (fault, plant) in [("field order", reordered), ("type", retyped), ("value", changed)] {
        let mut found = base.clone();
        found[0] = plant;
        let comparison = compared(&base, &found, &small()).await;
        assert_eq!(listed(&comparison), [(Different, r#"{"$numberInt":"0"}"#)], "{fault}");
        assert_eq!((comparison.missing, comparison.extra, comparison.different), (0, 0, 1), "{fault}");
        let reordered = u64::from(fault == "field order");
        assert_eq!((comparison.reordered, comparison.differences[0].reordered), (reordered, reordered == 1), "{fault}");
    }

    let missing = compared(&base, &base[1..], &small()).await;
    assert_eq!(listed(&missing), [(Missing, r#"{"$numberInt":"0"}"#)]);
    let extra = compared(&base[..999], &base, &small()).await;
    assert_eq!(listed(&extra), [(Extra, r#"{"$numberInt":"999"}"#)]);
    assert!(!missing.is_equal() && !extra.is_equal());
}

#[tokio::test]
async fn an_id_of_another_type_is_another_document() {
    let number = |value: &fixtures::Value| vec![document(&[("_id", value)])];
    let long = fixtures::Value { kind: 0x12, bytes: vec![1, 0, 0, 0, 0, 0, 0, 0] };

    let comparison = compared(&number(&int32(1)), &number(&long), &small()).await;

    assert_eq!(listed(&comparison), [(Missing, r#"{"$numberInt":"1"}"#), (Extra, r#"{"$numberLong":"1"}"#)]);
}

#[tokio::test]
async fn repeated_ids_and_documents_without_one_are_compared_as_sets() {
    let twin = |text: &str| document(&[("_id", &int32(7)), ("v", &string(text))]);
    let bare = |text: &str| document(&[("v", &string(text))]);

    let expected = [twin("a"), twin("b"), bare("x"), bare("x"), bare("y")];
    let found = [twin("b"), twin("c"), bare("x"), bare("z")];
    let comparison = compared(&expected, &found, &small()).await;

    assert_eq!((comparison.different, comparison.missing, comparison.extra), (1, 2, 1));
    let shown = |kind, id: Option<&str>, document: Option<&str>| Difference {
        kind,
        id: id.map(Into::into),
        document: document.map(Into::into),
        reordered: false,
    };
    for difference in [
        shown(Different, Some(r#"{"$numberInt":"7"}"#), None),
        shown(Missing, None, Some(r#"{"v":"x"}"#)),
        shown(Missing, None, Some(r#"{"v":"y"}"#)),
        shown(Extra, None, Some(r#"{"v":"z"}"#)),
    ] {
        assert!(comparison.differences.contains(&difference), "{difference:?} in {comparison:?}");
    }
}

#[tokio::test]
async fn the_order_of_fields_is_ignored_where_that_is_asked_for_and_nothing_else_is() {
    let base = [fixtures::numbered(1_000), vec![document(&[("a", &int32(1)), ("b", &int32(2))])]].concat();
    let mut found = base.clone();
    found[0] = document(&[("filler", &string("")), ("_id", &int32(0))]);
    found[1_000] = document(&[("b", &int32(2)), ("a", &int32(1))]);
    let ignoring = CompareOptions { ignore_field_order: true, ..small() };

    assert!(compared(&base, &found, &ignoring).await.is_equal());

    found[1] = document(&[("filler", &string("!")), ("_id", &int32(1))]);
    let comparison = compared(&base, &found, &ignoring).await;
    assert_eq!((comparison.different, comparison.reordered), (1, 0));
    assert_eq!(listed(&comparison), [(Different, r#"{"$numberInt":"1"}"#)]);
    // What has no `_id` is known by its bytes unless order is ignored.
    let strict = compared(&base, &found, &small()).await;
    assert_eq!((strict.different, strict.reordered, strict.missing, strict.extra), (2, 1, 1, 1));
}

#[tokio::test]
async fn many_differences_are_all_counted_and_some_are_listed() {
    let expected = fixtures::numbered(5_000);
    let found: Vec<_> = (0..5_000).map(|number| document(&[("_id", &int32(number))])).collect();
    let options = CompareOptions { listed_max: 10, pairs_max: 4_000, ..small() };

    let comparison = compared(&expected, &found, &options).await;

    assert_eq!((comparison.different, comparison.differences.len(), comparison.counts_are_exact), (5_000, 10, true));

    let hurried = CompareOptions { passes_max: 1, ..options };
    let comparison = compared(&expected, &found, &hurried).await;
    assert!(!comparison.counts_are_exact && !comparison.is_equal());
    assert!((1..5_000).contains(&comparison.different));
}

#[tokio::test]
async fn nothing_equals_nothing_and_progress_is_told() {
    assert!(compared(&[], &[], &small()).await.is_equal());

    let folder = tempfile::tempdir().unwrap();
    let side = side(folder.path(), "a", &fixtures::numbered(100)).await;
    let seen = Arc::new(AtomicU64::new(0));
    let told = seen.clone();
    let on_progress = Arc::new(move |progress: capstan_endpoint::compare::CompareProgress| {
        told.fetch_max(progress.documents, Ordering::Relaxed);
    });
    compare(&side, &side, &small(), on_progress).await.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 200);
}

#[tokio::test]
async fn one_flipped_byte_of_the_real_dump_is_found() {
    let Some(path) = shared::data("one_flipped_byte_of_the_real_dump_is_found", "dump/sample/restaurant.bson") else {
        return;
    };
    let bytes = std::fs::read(path).unwrap();
    let mut flipped = bytes.clone();
    let at = bytes.windows(4).position(|bytes| bytes == b"http").unwrap();
    flipped[at] ^= 1;

    let comparison = compared(&[bytes], &[flipped], &small()).await;

    assert_eq!((comparison.missing, comparison.extra, comparison.different), (0, 0, 1));
}
