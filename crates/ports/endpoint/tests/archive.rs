//! Archives: the real mongodump's, ours, and broken ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod shared;

use std::path::Path;
use std::sync::Arc;

use capstan_endpoint::conformance::{read_all, source_conforms};
use capstan_endpoint::{Adapters, EndpointError, EndpointUrl, PartKey, Sink, Source, SplitTarget, WritePlan};

fn url(path: &Path) -> EndpointUrl {
    format!("dump:{}", path.display()).parse().unwrap()
}

async fn source(path: &Path) -> Result<Arc<dyn Source>, EndpointError> {
    Adapters::of_files().source(&url(path)).await
}

async fn sink(path: &Path) -> Arc<dyn Sink> {
    Adapters::of_files().sink(&url(path), "job").await.unwrap()
}

async fn copy(from: &Path, to: &Path) {
    let (source, sink, plan) = (source(from).await.unwrap(), sink(to).await, WritePlan::default());
    let units = source.units().await.unwrap().units;
    for unit in &units {
        sink.prepare(unit, &plan).await.unwrap();
        let target = SplitTarget { documents: 300, bytes: 50_000, chunks_max: 4 };
        let mut facts = Vec::new();
        for (chunk, planned) in (0..).zip(source.split(unit, &target).await.unwrap()) {
            let key = PartKey { chunk, generation: 0, token: 1 };
            let mut writer = sink.open_chunk(unit, &key, None).await.unwrap();
            let mut reader = source.read(unit, &planned.range, None).await.unwrap();
            while let Some(batch) = reader.next().await.unwrap() {
                writer.write(batch).await.unwrap();
            }
            facts.push(writer.seal().await.unwrap());
        }
        sink.finish_unit(unit, &plan, &facts).await.unwrap();
    }
    sink.finish_job(&units).await.unwrap();
}

/// Reads everything that a source holds, as a job that moves all of it would.
async fn read_everything(path: &Path) -> Result<Vec<u8>, EndpointError> {
    let source = source(path).await?;
    let mut bytes = Vec::new();
    for unit in source.units().await?.units {
        bytes.extend(read_all(&*source, &unit, &SplitTarget::default()).await?);
    }
    Ok(bytes)
}

#[tokio::test]
async fn the_real_archives_conform_as_sources() {
    let name = "the_real_archives_conform_as_sources";
    for archive in ["sample.archive", "types.archive.gz"] {
        let Some(path) = shared::data(name, archive) else { return };
        source_conforms(&*source(&path).await.unwrap()).await;
    }
}

#[tokio::test]
async fn the_real_archives_unpacked_into_a_directory_are_the_real_dump() {
    let name = "the_real_archives_unpacked_into_a_directory_are_the_real_dump";
    let Some(dump) = shared::data(name, "dump") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (archive, database) in [("sample.archive", "sample"), ("types.archive.gz", "types")] {
        let Some(path) = shared::data(name, archive) else { return };
        let unpacked = folder.path().join(database);
        copy(&path, &unpacked).await;
        for entry in std::fs::read_dir(unpacked.join(database)).unwrap() {
            let path = entry.unwrap().path();
            let real = std::fs::read(dump.join(database).join(path.file_name().unwrap())).unwrap();
            assert!(std::fs::read(&path).unwrap() == real, "{} differs", path.display());
        }
        let files = std::fs::read_dir(unpacked.join(database)).unwrap().count();
        assert_eq!(files, if database == "sample" { 18 } else { 10 });
    }
}

#[tokio::test]
async fn archives_of_ours_hold_the_real_dump() {
    let Some(dump) = shared::data("archives_of_ours_hold_the_real_dump", "dump") else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ["all.archive", "all.archive.gz"] {
        let (archive, again) = (folder.path().join(name), folder.path().join(format!("{name}.unpacked")));
        copy(&dump, &archive).await;
        source_conforms(&*source(&archive).await.unwrap()).await;
        copy(&archive, &again).await;
        for database in ["sample", "types"] {
            for entry in std::fs::read_dir(dump.join(database)).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("prelude.json") {
                    continue;
                }
                let back = std::fs::read(again.join(database).join(path.file_name().unwrap())).unwrap();
                assert!(std::fs::read(&path).unwrap() == back, "{name}: {} differs", path.display());
            }
        }
        assert_eq!(
            std::fs::read_dir(folder.path())
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".capstan"))
                .count(),
            0
        );
    }
}

#[tokio::test]
async fn an_archive_of_ours_has_the_blocks_that_mongorestore_expects() {
    let name = "an_archive_of_ours_has_the_blocks_that_mongorestore_expects";
    let Some(real) = shared::data(name, "types.archive.gz") else { return };
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours.archive");
    copy(&real, &ours).await;
    let real = {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(
            &mut flate2::read::MultiGzDecoder::new(std::fs::File::open(real).unwrap()),
            &mut bytes,
        )
        .unwrap();
        bytes
    };

    let (mut real, mut ours) = (items(&real), items(&std::fs::read(ours).unwrap()));

    // The tool and the server that the header names are ours to say, and the order of collections is free.
    assert_eq!((real.remove(0).len(), ours.remove(0).len()), (2, 2));
    let (announced, same) = (real.remove(0), ours.remove(0));
    assert_eq!(announced, same);
    real.sort_unstable();
    ours.sort_unstable();
    assert!(real == ours, "blocks differ");
}

/// The header's document, what is announced, and then block after block; each a list of documents. Order within the first two kept.
fn items(archive: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (mut at, mut blocks, mut block) = (4, Vec::new(), Vec::new());
    while at < archive.len() {
        let length = u32::from_le_bytes(archive[at..at + 4].try_into().unwrap());
        if length == u32::MAX {
            at += 4;
            blocks.push(std::mem::take(&mut block));
            continue;
        }
        block.push(archive[at..at + length as usize].to_vec());
        at += length as usize;
    }
    assert!(block.is_empty());
    let announced = blocks[0].split_off(1);
    let header = blocks.remove(0);
    let documents = |count: usize| vec![vec![0; count]; 1];
    let mut items = vec![[header, documents(1)].concat(), announced];
    items.extend(blocks);
    items
}

/// A small archive of ours, made of some of the real dump's collections.
async fn small_archive(test: &str, folder: &Path) -> Option<std::path::PathBuf> {
    let real = shared::data(test, "dump/types")?;
    let some = folder.join("types");
    std::fs::create_dir(&some).unwrap();
    for name in ["ids", "empty", "checked"] {
        for ending in ["bson", "metadata.json"] {
            std::fs::copy(real.join(format!("{name}.{ending}")), some.join(format!("{name}.{ending}"))).unwrap();
        }
    }
    let archive = folder.join("whole.archive");
    copy(&some, &archive).await;
    Some(archive)
}

#[tokio::test]
async fn an_archive_cut_at_any_byte_is_refused_with_its_place() {
    let name = "an_archive_cut_at_any_byte_is_refused_with_its_place";
    let folder = tempfile::tempdir().unwrap();
    let Some(whole) = small_archive(name, folder.path()).await else { return };
    let Some(packed) = shared::data(name, "types.archive.gz") else { return };
    let cut_file = folder.path().join("cut.archive");
    for (path, documents) in [(whole, 21 + 459), (packed, 21 + 459 + 1083)] {
        let bytes = std::fs::read(path).unwrap();
        for cut in 0..bytes.len() {
            std::fs::write(&cut_file, &bytes[..cut]).unwrap();
            match read_everything(&cut_file).await {
                Err(EndpointError::Damaged { place, reason, .. }) => {
                    assert!(place.ends_with("cut.archive") && !reason.is_empty());
                }
                Err(other) => panic!("cut at {cut}: {other}"),
                Ok(_) => panic!("cut at {cut} passed"),
            }
        }
        std::fs::write(&cut_file, &bytes).unwrap();
        assert_eq!(read_everything(&cut_file).await.unwrap().len(), documents);
    }
}

#[tokio::test]
async fn an_archive_with_a_flipped_bit_is_refused_or_gives_the_same_documents() {
    let name = "an_archive_with_a_flipped_bit_is_refused_or_gives_the_same_documents";
    let folder = tempfile::tempdir().unwrap();
    let Some(whole) = small_archive(name, folder.path()).await else { return };
    let broken = folder.path().join("broken.archive");
    let (bytes, documents) = (std::fs::read(&whole).unwrap(), read_everything(&whole).await.unwrap());
    let prelude = bytes.windows(4).position(|bytes| bytes == [0xff; 4]).unwrap() + 4;
    let mut passed = Vec::new();
    for at in prelude..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&broken, &flipped).unwrap();
        match read_everything(&broken).await {
            Err(error) => assert!(matches!(error, EndpointError::Damaged { .. }), "{error}"),
            Ok(read) => {
                assert!(read == documents, "a flip at {at} changed what was read");
                passed.push(at);
            }
        }
    }
    // Eight bytes in the header of each of three blocks mean nothing: a checksum where the collection only begins.
    assert_eq!(passed.len(), 3 * 8, "{passed:?}");
}

#[tokio::test]
async fn interleaved_blocks_are_read_collection_by_collection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixed.archive");
    let document = |id: i32| {
        capstan_endpoint::conformance::fixtures::document(&[(
            "_id",
            &capstan_endpoint::conformance::fixtures::int32(id),
        )])
    };
    let (a, b): (Vec<_>, Vec<_>) = ((0..40).map(document).collect(), (100..140).map(document).collect());
    std::fs::write(&path, interleaved(&[("a", &a), ("b", &b)], 3)).unwrap();

    let source = source(&path).await.unwrap();
    source_conforms(&*source).await;

    let units = source.units().await.unwrap().units;
    let target = SplitTarget { documents: 5, bytes: u64::MAX, chunks_max: 100 };
    assert_eq!(source.split(&units[0], &target).await.unwrap().len(), 8);
    assert_eq!(read_all(&*source, &units[0], &target).await.unwrap(), a.concat());
    assert_eq!(read_all(&*source, &units[1], &target).await.unwrap(), b.concat());
}

/// An archive in which collections take turns, a few documents a block.
fn interleaved(collections: &[(&str, &Vec<Vec<u8>>)], each: usize) -> Vec<u8> {
    use bson::rawdoc;
    let mut bytes = 0x8199_e26d_u32.to_le_bytes().to_vec();
    let terminator = [0xff; 4];
    bytes.extend_from_slice(rawdoc! { "version": "0.1", "concurrent_collections": 2 }.as_bytes());
    for (name, _) in collections {
        bytes.extend_from_slice(
            rawdoc! { "db": "d", "collection": *name, "metadata": "", "size": 0, "type": "collection" }.as_bytes(),
        );
    }
    bytes.extend_from_slice(&terminator);
    let header = |name: &str, crc: Option<u64>| rawdoc! { "db": "d", "collection": name, "EOF": crc.is_some(), "CRC": crc.unwrap_or(0) as i64 };
    for turn in 0..collections[0].1.len().div_ceil(each) {
        for (name, documents) in collections {
            bytes.extend_from_slice(header(name, None).as_bytes());
            documents.iter().skip(turn * each).take(each).for_each(|document| bytes.extend_from_slice(document));
            bytes.extend_from_slice(&terminator);
        }
    }
    for (name, documents) in collections {
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Xz, &documents.concat());
        bytes.extend_from_slice(header(name, Some(crc)).as_bytes());
        bytes.extend_from_slice(&terminator);
    }
    bytes
}
