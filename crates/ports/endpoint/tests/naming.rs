//! Documents without an `_id` are given the same one at every reading, whatever chunks they are read in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use capstan_endpoint::conformance::fixtures::{document, int32};
use capstan_endpoint::element::id_of;
use capstan_endpoint::{Adapters, EndpointUrl, Source, SplitTarget, Unit};

const DOCUMENTS: i32 = 3_000;

async fn read(source: &dyn Source, unit: &Unit, documents: u64, resume: bool) -> Vec<Vec<u8>> {
    let target = SplitTarget { documents, bytes: 1 << 30, chunks_max: 100 };
    let mut all = Vec::new();
    for chunk in source.split(unit, &target).await.unwrap() {
        let mut reader = source.read(unit, &chunk.range, None).await.unwrap();
        while let Some(batch) = reader.next().await.unwrap() {
            all.extend(batch.iter().map(<[u8]>::to_vec));
            if resume {
                reader = source.read(unit, &chunk.range, Some(&batch.cursor)).await.unwrap();
            }
        }
    }
    all
}

async fn is_named_alike(url: String) {
    let url: EndpointUrl = url.parse().unwrap();
    let source = Adapters::of_files().source(&url).await.unwrap();
    let unit = source.units().await.unwrap().units.remove(0);
    let named = Unit { name_documents: true, ..unit.clone() };

    let plain = read(source.as_ref(), &unit, 100_000, false).await;
    let whole = read(source.as_ref(), &named, 100_000, false).await;
    let pieces = read(source.as_ref(), &named, 70, false).await;
    let resumed = read(source.as_ref(), &named, 2_500, true).await;

    assert_eq!(plain.len(), DOCUMENTS as usize);
    assert!(plain.iter().all(|document| id_of(document).is_none()), "{url}: bytes change only where that is asked for");
    let ids: std::collections::HashSet<_> =
        whole.iter().map(|document| id_of(document).unwrap().value.to_vec()).collect();
    assert_eq!(ids.len(), DOCUMENTS as usize, "{url}: each has its own");
    assert!(whole == pieces && whole == resumed, "{url}: however it is read");
}

#[tokio::test]
async fn every_kind_of_file_gives_the_same_ids_however_it_is_cut_or_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    // Half of them are alike: only their places tell them apart.
    let lines: String = (0..DOCUMENTS).map(|n| format!("{{\"n\":{}}}\n", n / 2)).collect();
    std::fs::create_dir_all(folder.path().join("lines/shop")).unwrap();
    std::fs::write(folder.path().join("lines/shop/orders.jsonl"), lines).unwrap();
    let array: Vec<String> = (0..DOCUMENTS).map(|n| format!("{{\"n\":{}}}", n / 2)).collect();
    std::fs::write(folder.path().join("orders.json"), format!("[{}]", array.join(", "))).unwrap();
    let bson: Vec<u8> = (0..DOCUMENTS).flat_map(|n| document(&[("n", &int32(n / 2))])).collect();
    std::fs::write(folder.path().join("orders.bson"), bson).unwrap();
    for to in ["dump?gzip=true", "orders.archive", "orders.archive.gz"] {
        capstan_copy(folder.path(), to).await;
    }

    for url in [
        "jsonl:lines",
        "jsonl:orders.json",
        "dump:orders.bson",
        "dump:dump",
        "dump:orders.archive",
        "dump:orders.archive.gz",
    ] {
        let (scheme, name) = url.split_once(':').unwrap();
        is_named_alike(format!("{scheme}:{}", at(name))).await;
    }
}

/// Writes the documents of `orders.bson` to another form of dump.
async fn capstan_copy(folder: &Path, to: &str) {
    use capstan_endpoint::{PartKey, WritePlan};
    let adapters = Adapters::of_files();
    let source = adapters.source(&format!("dump:{}/orders.bson", folder.display()).parse().unwrap()).await.unwrap();
    let sink = adapters.sink(&format!("dump:{}/{to}", folder.display()).parse().unwrap(), "copy").await.unwrap();
    let mut unit = source.units().await.unwrap().units.remove(0);
    let range = source.split(&unit, &SplitTarget::default()).await.unwrap().remove(0).range;
    let mut reader = source.read(&unit, &range, None).await.unwrap();
    unit.namespace.database = "shop".into();
    let plan = WritePlan::default();
    sink.prepare(&unit, &plan).await.unwrap();
    let mut writer = sink.open_chunk(&unit, &PartKey { chunk: 0, generation: 0, token: 1 }, None).await.unwrap();
    while let Some(batch) = reader.next().await.unwrap() {
        writer.write(batch).await.unwrap();
    }
    let facts = writer.seal().await.unwrap();
    sink.finish_unit(&unit, &plan, &[facts]).await.unwrap();
    sink.finish_job(&[unit]).await.unwrap();
}
