//! What a source promises: S1 to S5.

use crate::bson_frames::walk;
use crate::{
    BATCH_BYTES, BATCH_DOCUMENTS, Batch, Cursor, PlannedChunk, Range, Result, Source, SplitTarget, Unit, UnitKind,
};

/// Ways to cut that meet at least one boundary each.
fn targets() -> impl Iterator<Item = SplitTarget> {
    [
        (u64::MAX, u64::MAX, 1),
        (1, u64::MAX, 50),
        (3, u64::MAX, 1_000),
        (u64::MAX, 1, 7),
        (100, 4_096, 10_000),
        (0, 0, 0),
    ]
    .into_iter()
    .map(|(documents, bytes, chunks_max)| SplitTarget { documents, bytes, chunks_max })
}

/// Checks all promises of a source that is not changed meanwhile.
pub async fn source_conforms(source: &dyn Source) {
    let place = source.place();
    let listing = source.units().await.unwrap_or_else(|e| panic!("{place}: units cannot be listed: {e}"));
    let again = source.units().await.unwrap_or_else(|e| panic!("{place}: units cannot be listed again: {e}"));
    assert_eq!(listing, again, "{place}: the listing changes from call to call");
    assert!(!listing.units.is_empty(), "{place}: a source without units proves nothing");
    for unit in &listing.units {
        let journalled = serde_json::to_value(unit).expect("a unit is JSON");
        let back: Unit = serde_json::from_value(journalled).expect("a unit comes back from JSON");
        assert_eq!(&back, unit, "{place}: a unit changes on its way through a journal");
        unit_conforms(source, unit).await;
    }
}

async fn unit_conforms(source: &dyn Source, unit: &Unit) {
    let place = format!("{} {}", source.place(), unit.namespace);
    let mut whole: Option<Vec<u8>> = None;
    for target in targets() {
        let chunks = split(source, unit, &target).await;
        assert!(chunks.len() <= target.chunks_max.max(1) as usize, "{place}: more chunks than {target:?} allows");
        if unit.kind == UnitKind::View {
            assert!(chunks.is_empty(), "{place}: a view has no documents of its own");
        }
        let mut all = Vec::new();
        for chunk in &chunks {
            let batches = batches(source, unit, &chunk.range, None).await;
            check_batches(&place, chunk, &batches);
            all.extend(batches.iter().flat_map(|batch| batch.bytes.to_vec()));
        }
        match &whole {
            None => whole = Some(all),
            Some(whole) => assert!(
                same(source, whole, &all),
                "{place}: S1 broken: ranges of {target:?} do not cover the unit once"
            ),
        }
    }
    resumes(source, unit, &place).await;
}

async fn split(source: &dyn Source, unit: &Unit, target: &SplitTarget) -> Vec<PlannedChunk> {
    let place = format!("{} {}", source.place(), unit.namespace);
    source.split(unit, target).await.unwrap_or_else(|e| panic!("{place}: split for {target:?} failed: {e}"))
}

fn check_batches(place: &str, chunk: &PlannedChunk, batches: &[Batch]) {
    for batch in batches {
        let documents: Vec<&[u8]> = walk(&batch.bytes).collect();
        assert!(!documents.is_empty(), "{place}: an empty batch");
        assert_eq!(documents.len(), batch.documents as usize, "{place}: a batch miscounts its documents");
        assert_eq!(
            documents.iter().map(|d| d.len()).sum::<usize>(),
            batch.bytes.len(),
            "{place}: a batch ends inside a document"
        );
        assert!(batch.documents <= BATCH_DOCUMENTS, "{place}: S5 broken: a batch of {} documents", batch.documents);
        let last = documents.last().map_or(0, |document| document.len());
        assert!(
            batch.bytes.len() < BATCH_BYTES + last.max(1),
            "{place}: S5 broken: a batch of {} bytes",
            batch.bytes.len()
        );
        assert!(batch.cursor.0.to_string().len() <= 1_024, "{place}: a cursor is larger than 1 KiB");
    }
    let documents = batches.iter().map(|batch| u64::from(batch.documents)).sum::<u64>();
    let bytes = batches.iter().map(|batch| batch.bytes.len() as u64).sum::<u64>();
    // Estimates may be wrong; a source that is cut by place or count has counted.
    if let (Some(expected), Some(length)) = (chunk.documents, chunk.bytes) {
        assert!(
            documents <= expected.saturating_mul(2).max(64),
            "{place}: {documents} documents where {expected} were planned"
        );
        assert!(bytes <= length.saturating_mul(4).max(1 << 20), "{place}: {bytes} bytes where {length} were planned");
    }
}

/// S2 and S3, with ranges and cursors that went through a journal.
async fn resumes(source: &dyn Source, unit: &Unit, place: &str) {
    let target = SplitTarget { documents: 40, bytes: u64::MAX, chunks_max: 3 };
    for chunk in split(source, unit, &target).await {
        let range = Range(serde_json::from_str(&chunk.range.0.to_string()).expect("a range is JSON"));
        let first = batches(source, unit, &range, None).await;
        let bytes = |batches: &[Batch]| batches.iter().flat_map(|batch| batch.bytes.to_vec()).collect::<Vec<_>>();
        if source.abilities().stable {
            let second = batches(source, unit, &range, None).await;
            assert!(bytes(&first) == bytes(&second), "{place}: S3 broken: two readings differ");
        }
        for (number, batch) in first.iter().enumerate() {
            let cursor = Cursor(serde_json::from_str(&batch.cursor.0.to_string()).expect("a cursor is JSON"));
            let rest = batches(source, unit, &range, Some(&cursor)).await;
            assert!(
                same(source, &bytes(&first[number + 1..]), &bytes(&rest)),
                "{place}: S2 broken after batch {number} of {}",
                chunk.range.0
            );
        }
    }
}

/// The same documents; in the same order where the source is stable.
fn same(source: &dyn Source, one: &[u8], other: &[u8]) -> bool {
    if source.abilities().stable {
        return one == other;
    }
    let sorted = |bytes| {
        let mut documents: Vec<&[u8]> = walk(bytes).collect();
        documents.sort_unstable();
        documents
    };
    sorted(one) == sorted(other)
}

async fn batches(source: &dyn Source, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Vec<Batch> {
    let read = async {
        let mut reader = source.read(unit, range, from).await?;
        let mut batches = Vec::new();
        while let Some(batch) = reader.next().await? {
            batches.push(batch);
        }
        Ok::<_, crate::EndpointError>(batches)
    };
    read.await.unwrap_or_else(|e| panic!("{} {}: reading {} failed: {e}", source.place(), unit.namespace, range.0))
}

/// All documents of a unit, back to back, range after range.
pub async fn read_all(source: &dyn Source, unit: &Unit, target: &SplitTarget) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for chunk in source.split(unit, target).await? {
        let mut reader = source.read(unit, &chunk.range, None).await?;
        while let Some(batch) = reader.next().await? {
            all.extend_from_slice(&batch.bytes);
        }
    }
    Ok(all)
}
