//! What a comparison finds is put right, and looked at again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use capstan_endpoint::compare::{CompareOptions, MendOptions, Mending, Side, mend};
use capstan_endpoint::conformance::fixtures::{self, document, double, int32, string};
use capstan_endpoint::element::id_of;
use capstan_endpoint::{Adapters, Mend, Mended, RefusedDocument, Result, SplitTarget, bson_frames};

/// Mends a file of documents by writing it anew.
struct FileMender {
    path: PathBuf,
    /// A document that it will not take.
    refuses: Option<Vec<u8>>,
    calls: usize,
}

impl FileMender {
    fn change(&mut self, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
        let bytes = std::fs::read(&self.path).unwrap();
        let mut documents = bson_frames::walk(&bytes).map(<[u8]>::to_vec).collect();
        change(&mut documents);
        std::fs::write(&self.path, documents.concat()).unwrap();
        self.calls += 1;
    }
}

fn same_id(left: &[u8], right: &[u8]) -> bool {
    id_of(left) == id_of(right)
}

#[async_trait]
impl Mend for FileMender {
    async fn put(&mut self, documents: &[Bytes]) -> Result<Mended> {
        let refuses = self.refuses.clone();
        let (refused, taken): (Vec<_>, Vec<_>) =
            documents.iter().partition(|document| refuses.as_ref().is_some_and(|never| document[..] == never[..]));
        self.change(|kept| {
            for document in &taken {
                kept.retain(|other| !same_id(other, document));
                kept.push(document.to_vec());
            }
        });
        let letter = |document: &Bytes| RefusedDocument { document: document.clone(), reason: "never".into() };
        Ok(Mended { documents: taken.len() as u64, refused: refused.into_iter().map(letter).collect() })
    }

    async fn remove(&mut self, documents: &[Bytes]) -> Result<Mended> {
        let mut removed = 0;
        self.change(|kept| {
            let before = kept.len();
            kept.retain(|other| !documents.iter().any(|document| same_id(other, document)));
            removed = (before - kept.len()) as u64;
        });
        Ok(Mended { documents: removed, refused: Vec::new() })
    }
}

async fn side(path: &Path, documents: &[Vec<u8>]) -> Side {
    std::fs::write(path, documents.concat()).unwrap();
    let source = Adapters::of_files().source(&format!("dump:{}", path.display()).parse().unwrap()).await.unwrap();
    let unit = source.units().await.unwrap().units.remove(0);
    Side { source, unit }
}

/// What mending made of `found`, how often it wrote, and what came of it.
async fn mended(
    expected: &[Vec<u8>],
    found: &[Vec<u8>],
    options: &MendOptions,
    refuses: Option<Vec<u8>>,
) -> (Vec<Vec<u8>>, usize, Mending) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("found.bson");
    let (expected, found) = (side(&folder.path().join("expected.bson"), expected).await, side(&path, found).await);
    let mut mender = FileMender { path: path.clone(), refuses, calls: 0 };
    let mending = mend(&expected, &found, &mut mender, options, Arc::new(|_| {})).await.unwrap();
    let bytes = std::fs::read(path).unwrap();
    let mut documents: Vec<_> = bson_frames::walk(&bytes).map(<[u8]>::to_vec).collect();
    documents.sort_unstable();
    (documents, mender.calls, mending)
}

fn options(delete_extra: bool) -> MendOptions {
    let split = SplitTarget { documents: 50, bytes: 10_000, chunks_max: 9 };
    let compare = CompareOptions { split, ..CompareOptions::default() };
    MendOptions { compare, delete_extra, ..MendOptions::default() }
}

fn sorted(documents: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut documents = documents.to_vec();
    documents.sort_unstable();
    documents
}

/// Documents, and a copy of them in which a fault of each sort is planted.
fn planted() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut expected = fixtures::numbered(1_000);
    expected.push(document(&[("_id", &int32(2_000)), ("a", &int32(1)), ("b", &int32(2))]));
    expected.push(document(&[("_id", &int32(2_001)), ("a", &int32(1))]));
    expected.push(document(&[("_id", &int32(2_002)), ("a", &int32(1))]));
    let mut found = expected.clone();
    found[1_000] = document(&[("_id", &int32(2_000)), ("b", &int32(2)), ("a", &int32(1))]);
    found[1_001] = document(&[("_id", &int32(2_001)), ("a", &double(1.0))]);
    found[1_002] = document(&[("_id", &double(2_002.0)), ("a", &int32(1))]);
    found[5] = document(&[("_id", &int32(5)), ("changed", &string("yes"))]);
    found.push(document(&[("_id", &string("only here"))]));
    found.remove(7);
    (expected, found)
}

#[tokio::test]
async fn every_planted_fault_is_mended_and_what_was_right_stays() {
    let (expected, found) = planted();

    let (documents, _, mending) = mended(&expected, &found, &options(true), None).await;

    assert_eq!(documents, sorted(&expected));
    let before = &mending.before;
    // An `_id` of another type is another document: one too much, one missing.
    assert_eq!((before.missing, before.extra, before.different), (2, 2, 3));
    assert!(mending.after.is_equal());
    assert_eq!((mending.repaired(), mending.refused.len()), (7, 0));
}

#[tokio::test]
async fn what_only_the_target_has_stays_unless_it_was_to_be_removed() {
    let (expected, found) = planted();

    let (documents, _, mending) = mended(&expected, &found, &options(false), None).await;

    assert!(documents.contains(&document(&[("_id", &string("only here"))])));
    let after = &mending.after;
    assert_eq!((after.missing, after.extra, after.different), (0, 2, 0));
    assert_eq!(mending.repaired(), 5);
}

#[tokio::test]
async fn more_faults_than_are_kept_at_once_take_rounds() {
    let expected = fixtures::numbered(1_000);
    let few = MendOptions { faults_max: 150, ..options(true) };

    let (documents, calls, mending) = mended(&expected, &expected[..10], &few, None).await;

    assert_eq!(documents, sorted(&expected));
    assert!(mending.after.is_equal() && calls >= 7, "{calls} calls");
}

#[tokio::test]
async fn a_document_that_cannot_be_mended_stays_counted_with_the_reason() {
    let expected = fixtures::numbered(100);
    let never = expected[3].clone();

    let (_, _, mending) = mended(&expected, &expected[10..], &options(false), Some(never)).await;

    assert_eq!((mending.before.missing, mending.after.missing, mending.repaired()), (10, 1, 9));
    assert_eq!(mending.refused[0].reason, "never");
}

#[tokio::test]
async fn nothing_is_written_where_both_sides_are_equal() {
    let documents = fixtures::documents();

    let (_, calls, mending) = mended(&documents, &documents, &options(true), None).await;

    assert_eq!(calls, 0);
    assert!(mending.after.is_equal());
}

/// What the target had made of documents without an `_id` counted as too much and went, and nothing could take its place.
#[tokio::test]
async fn nothing_is_removed_where_what_is_expected_has_no_ids() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("found.bson");
    let nameless: Vec<_> = (0..20).map(|n| document(&[("n", &int32(n))])).collect();
    let named: Vec<_> = (0..20).map(|n| document(&[("_id", &int32(n)), ("n", &int32(n))])).collect();
    let (expected, found) = (side(&folder.path().join("e.bson"), &nameless).await, side(&path, &named).await);
    let mut mender = FileMender { path: path.clone(), refuses: None, calls: 0 };

    let refused = mend(&expected, &found, &mut mender, &options(true), Arc::new(|_| {})).await.unwrap_err();

    assert!(refused.to_string().contains("20 documents"), "{refused}");
    assert!(refused.is_permanent());
    assert_eq!((mender.calls, std::fs::read(&path).unwrap()), (0, named.concat()));
}
