//! The shop: what it promises to those who move it.
#![allow(clippy::unwrap_used, reason = "a test's helpers may fail as tests do")]

use bson::spec::ElementType;
use bson::{Document, RawDocument};
use capstan_endpoint::bson_frames::walk;
use capstan_endpoint::conformance::read_all;
use capstan_endpoint::{Adapters, SplitTarget, UnitKind};
use capstan_testkit::shop::{self, fixed_documents, generate};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Every file of a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in [folder.to_owned(), folder.join("shop")].iter().flat_map(|f| fs::read_dir(f).unwrap()) {
        let path = entry.unwrap().path();
        if path.is_file() {
            found.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap());
        }
    }
    found
}

fn documents(mut bytes: &[u8]) -> Vec<&RawDocument> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        found.push(RawDocument::from_bytes(&bytes[..length]).unwrap());
        bytes = &bytes[length..];
    }
    found
}

fn made(documents: u64, seed: u64) -> (shop::Summary, BTreeMap<String, Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let summary = generate(folder.path(), documents, seed).unwrap();
    (summary, files(folder.path()))
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let (summary, first) = made(3_000, 7);
    let (again, second) = made(3_000, 7);
    let (_, other) = made(3_000, 8);

    assert_eq!(summary, again);
    assert!(first == second);
    assert!(first["orders.bson"] != other["orders.bson"]);
}

#[test]
fn there_are_as_many_documents_as_asked_for_and_as_the_summary_says() {
    for asked in [0, 1, 100, 1_000, 12_345] {
        let (summary, files) = made(asked, 1);

        assert_eq!(summary.documents, asked.max(fixed_documents()));
        let stored: Vec<usize> =
            files.iter().filter(|(name, _)| name.ends_with(".bson")).map(|(_, b)| documents(b).len()).collect();
        assert_eq!(stored.iter().sum::<usize>() as u64, summary.documents);
        assert_eq!(
            files.iter().filter(|(n, _)| n.ends_with(".bson")).map(|(_, b)| b.len() as u64).sum::<u64>(),
            summary.bytes
        );
        assert_eq!(summary.collections.iter().map(|c| c.documents).sum::<u64>(), summary.documents);
    }
}

#[test]
fn every_document_is_valid_and_every_type_occurs() {
    fn visit(document: &RawDocument, types: &mut BTreeSet<u8>) {
        for element in document {
            let (_, value) = element.unwrap();
            types.insert(value.element_type() as u8);
            if let Some(inner) = value.as_document() {
                visit(inner, types);
            }
            if let Some(items) = value.as_array() {
                for item in items {
                    let item = item.unwrap();
                    types.insert(item.element_type() as u8);
                    if let Some(inner) = item.as_document() {
                        visit(inner, types);
                    }
                }
            }
        }
    }
    let mut types = BTreeSet::new();
    for (_, bytes) in made(5_000, 3).1.iter().filter(|(name, _)| name.ends_with(".bson")) {
        for document in documents(bytes) {
            visit(document, &mut types);
            assert!(Document::try_from(document).is_ok(), "{document:?}");
            assert_eq!(
                document.iter().next().unwrap().unwrap().0.as_str(),
                "_id",
                "ids come first, as servers keep them"
            );
        }
    }
    let all: BTreeSet<u8> =
        (0..=u8::MAX).filter(|tag| ElementType::from(*tag).is_some_and(|t| t as u8 == *tag)).collect();
    assert_eq!(types, all);
}

#[test]
fn no_two_documents_of_a_collection_have_the_same_id() {
    for (name, bytes) in made(20_000, 5).1.iter().filter(|(name, _)| name.ends_with(".bson")) {
        let documents = documents(bytes);
        // Type and value, as they lie in the document.
        let ids: BTreeSet<String> = documents.iter().map(|d| format!("{:?}", d.get("_id").unwrap().unwrap())).collect();
        assert_eq!(ids.len(), documents.len(), "{name}");
    }
}

#[test]
fn references_lead_somewhere_and_totals_add_up() {
    let (_, files) = made(20_000, 5);
    let ids = |name: &str| -> BTreeSet<String> {
        documents(&files[name]).iter().map(|d| format!("{:?}", d.get("_id").unwrap().unwrap())).collect()
    };
    let (customers, products) = (ids("customers.bson"), ids("products.bson"));
    for order in documents(&files["orders.bson"]) {
        assert!(customers.contains(&format!("{:?}", order.get("customer").unwrap().unwrap())));
        let order = Document::try_from(order).unwrap();
        let mut total = 0.0;
        for line in order.get_array("lines").unwrap() {
            let line = line.as_document().unwrap();
            assert!(products.contains(&format!("{:?}", bson::RawBsonRef::String(line.get_str("sku").unwrap()))));
            let price: f64 = line.get("price").unwrap().to_string().trim_matches('"').parse().unwrap();
            total += price * f64::from(line.get_i32("quantity").unwrap());
        }
        let said: f64 = order.get("total").unwrap().to_string().trim_matches('"').parse().unwrap();
        assert!((said - total).abs() < 0.005, "{said} {total}");
    }
}

#[test]
fn metadata_name_their_collection_and_hold_an_index_of_each_kind() {
    let (summary, files) = made(2_000, 1);
    let metadata: Vec<Document> = files
        .iter()
        .filter(|(name, _)| name.ends_with(".metadata.json"))
        .map(|(name, text)| serde_json::from_slice(text).unwrap_or_else(|e| panic!("{name}: {e}")))
        .collect();

    let names: BTreeSet<&str> = metadata.iter().map(|m| m.get_str("collectionName").unwrap()).collect();
    let expected: BTreeSet<&str> = summary.collections.iter().map(|c| &*c.name).chain(["open_orders"]).collect();
    assert_eq!(names, expected);

    let all = metadata.iter().map(Document::to_string).collect::<String>();
    for word in [
        "unique",
        "sparse",
        "2dsphere",
        "text",
        "hashed",
        "partialFilterExpression",
        "expireAfterSeconds",
        "capped",
        "viewOn",
        "validator",
    ] {
        assert!(all.contains(word), "{word}");
    }
    assert!(files.contains_key("gr%C3%BC%C3%9Fe+%F0%9F%98%80.bson"));
    assert_eq!(files["nothing_yet.bson"].len(), 0);
    assert!(!files.contains_key("open_orders.bson"), "a view has no documents");
}

#[test]
fn some_documents_are_large_and_most_are_small() {
    let (summary, files) = made(20_000, 1);
    let mut sizes: Vec<usize> = files
        .iter()
        .filter(|(n, _)| n.ends_with(".bson"))
        .flat_map(|(_, b)| documents(b))
        .map(|d| d.as_bytes().len())
        .collect();
    sizes.sort_unstable();

    assert!(sizes[sizes.len() / 2] < 400, "the median is {}", sizes[sizes.len() / 2]);
    assert!(*sizes.last().unwrap() > 2 << 20);
    assert!(summary.bytes / summary.documents < 1_000);
}

/// What those who move the shop see of it: every document, every definition, nothing left aside.
#[tokio::test]
async fn the_dump_adapter_reads_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let summary = generate(folder.path(), 3_000, 1).unwrap();
    let url = format!("dump:{}", folder.path().display()).parse().unwrap();
    let source = Adapters::of_files().source(&url).await.unwrap();

    let listing = source.units().await.unwrap();
    let (mut documents, mut bytes) = (0, 0);
    for unit in &listing.units {
        let read = read_all(&*source, unit, &SplitTarget::default()).await.unwrap();
        documents += walk(&read).count() as u64;
        bytes += read.len() as u64;
    }

    assert_eq!(listing.set_aside, []);
    assert_eq!((documents, bytes), (summary.documents, summary.bytes));
    assert_eq!(listing.units.len(), summary.collections.len() + 1);
    let view = listing.units.iter().find(|unit| unit.namespace.collection == "open_orders").unwrap();
    assert_eq!(view.kind, UnitKind::View);
    assert_eq!(listing.units.iter().map(|unit| unit.indexes.len()).max(), Some(4));
}
