//! What a sink promises: T1 to T5, and what it declares.

use std::sync::Arc;

use async_trait::async_trait;

use crate::bson_frames::walk;
use crate::conformance::{fixtures, mending, read_all};
use crate::{
    Checkpoint, ChunkFacts, ChunkWriter, ErrorClass, Namespace, Occupancy, PartKey, Scan, Sink, SplitTarget, Unit,
    UnitKind, WriteMode, WritePlan,
};

/// Makes places to write to.
#[async_trait]
pub trait SinkMaker: Send + Sync {
    /// Opens the place of this name for this job. The same name is the same place; a new name is an empty place.
    async fn open(&self, place: &str, job: &str) -> Arc<dyn Sink>;

    /// The documents of all types that this store takes. What it cannot hold is tested where it is refused.
    fn documents(&self) -> Vec<Vec<u8>> {
        fixtures::documents()
    }

    /// The odd names that this store takes.
    fn names(&self) -> Vec<Namespace> {
        fixtures::odd_names()
    }
}

/// Checks all promises of a sink, each in a place of its own.
pub async fn sink_conforms(maker: &dyn SinkMaker) {
    every_document_comes_back(maker).await;
    odd_names_and_definitions_come_back(maker).await;
    a_document_of_16_mib_comes_back(maker).await;
    a_writer_goes_on_from_every_checkpoint(maker).await;
    what_a_crashed_writer_left_is_not_taken(maker).await;
    of_two_writers_only_the_named_one_counts(maker).await;
    a_unit_that_holds_something_is_protected(maker).await;
    finishing_may_be_repeated(maker).await;
    an_abandoned_job_leaves_nothing(maker).await;
    a_foreign_checkpoint_is_refused(maker).await;
    mending::single_documents_are_mended(maker).await;
}

pub(super) const PLAN: WritePlan =
    WritePlan { mode: WriteMode::FailIfExists, indexes: crate::IndexTime::After, deadline: None };

pub(super) fn unit(name: &str) -> Unit {
    Unit::collection(Namespace::new("conformance", name))
}

pub(super) fn key(chunk: u32, token: u64) -> PartKey {
    PartKey { chunk, generation: 0, token }
}

/// Calls a sink and says which call failed.
macro_rules! call {
    ($sink:expr, $call:ident ( $($argument:expr),* )) => {
        $sink.$call($($argument),*).await.unwrap_or_else(|e| panic!("{}: {} failed: {e}", $sink.place(), stringify!($call)))
    };
}
pub(super) use call;

async fn write(writer: &mut Box<dyn ChunkWriter>, documents: &[Vec<u8>]) {
    let refused = writer.write(fixtures::batch(documents)).await.unwrap_or_else(|e| panic!("write failed: {e}"));
    assert!(refused.is_empty(), "a document was refused: {}", refused[0].reason);
}

async fn seal(writer: Box<dyn ChunkWriter>) -> ChunkFacts {
    let facts = writer.seal().await.unwrap_or_else(|e| panic!("seal failed: {e}"));
    let journalled = serde_json::to_string(&facts).expect("facts are JSON");
    serde_json::from_str(&journalled).expect("facts come back from JSON")
}

pub(super) async fn write_chunk(sink: &dyn Sink, unit: &Unit, key: PartKey, documents: &[Vec<u8>]) -> ChunkFacts {
    let mut writer = call!(sink, open_chunk(unit, &key, None));
    for some in documents.chunks(7) {
        write(&mut writer, some).await;
    }
    let facts = seal(writer).await;
    assert_eq!(facts.documents, documents.len() as u64, "{}: facts miscount documents", sink.place());
    assert_eq!(facts.bytes, documents.concat().len() as u64, "{}: facts miscount bytes", sink.place());
    facts
}

/// Finishes, reopens under another job's name and compares with what should be there.
async fn holds(maker: &dyn SinkMaker, place: &str, sink: &dyn Sink, unit: &Unit, documents: &[Vec<u8>]) {
    call!(sink, finish_job(std::slice::from_ref(unit)));
    has(&*maker.open(place, "reader").await, unit, documents).await;
}

pub(super) async fn has(sink: &dyn Sink, unit: &Unit, documents: &[Vec<u8>]) {
    if sink.abilities().scan == Scan::Never {
        assert_eq!(sink.scan().await.err().map(|e| e.class()), Some(ErrorClass::Permanent), "scan is refused for good");
        return;
    }
    let source = call!(sink, scan());
    let listing = source.units().await.unwrap_or_else(|e| panic!("{}: cannot be listed: {e}", sink.place()));
    let found = listing.units.iter().find(|found| found.namespace == unit.namespace);
    let found = found.unwrap_or_else(|| panic!("{}: `{}` is not listed", sink.place(), unit.namespace));
    let target = SplitTarget::default();
    let bytes = read_all(&*source, found, &target).await.unwrap_or_else(|e| panic!("{}: {e}", sink.place()));
    let (mut expected, mut back): (Vec<&[u8]>, Vec<&[u8]>) =
        (documents.iter().map(Vec::as_slice).collect(), walk(&bytes).collect());
    if sink.abilities().write_by_id {
        expected.sort_unstable();
        back.sort_unstable();
    }
    if sink.abilities().exact_bytes {
        assert!(
            expected == back,
            "{}: T4 broken: `{}` holds {} documents, {} were written, or other bytes",
            sink.place(),
            unit.namespace,
            back.len(),
            expected.len()
        );
    } else {
        assert_eq!(expected.len(), back.len(), "{}: T4 broken: documents are lost or too many", sink.place());
    }
    if sink.abilities().definitions {
        assert_eq!(
            (&found.options, &found.indexes, found.kind),
            (&unit.options, &unit.indexes, unit.kind),
            "{}: definitions changed",
            sink.place()
        );
    }
}

async fn every_document_comes_back(maker: &dyn SinkMaker) {
    let sink = maker.open("documents", "job").await;
    let (all, unit) = ([maker.documents(), fixtures::numbered(500)].concat(), unit("documents"));
    // Of `_id`s that a numbered document has too, a store by `_id` keeps one.
    let all = if sink.abilities().write_by_id { maker.documents() } else { all };
    call!(sink, prepare(&unit, &PLAN));
    let third = all.len() / 3;

    // Out of order, and with a chunk that turned out empty.
    let last = write_chunk(&*sink, &unit, key(3, 12), &all[third..]).await;
    let first = write_chunk(&*sink, &unit, key(0, 10), &all[..third]).await;
    let empty = write_chunk(&*sink, &unit, key(1, 11), &[]).await;
    call!(sink, finish_unit(&unit, &PLAN, &[first, empty, last]));

    if sink.abilities().scan == Scan::AfterUnit {
        has(&*sink, &unit, &all).await;
    }
    holds(maker, "documents", &*sink, &unit, &all).await;
}

async fn odd_names_and_definitions_come_back(maker: &dyn SinkMaker) {
    let sink = maker.open("names", "job").await;
    let mut units: Vec<Unit> = maker.names().into_iter().map(Unit::collection).collect();
    if sink.abilities().definitions {
        units.push(fixtures::defined(Namespace::new("odd", "defined")));
    }
    for (number, unit) in (0..).zip(&units) {
        call!(sink, prepare(unit, &PLAN));
        let documents = fixtures::numbered(number);
        let facts = write_chunk(&*sink, unit, key(0, 1), &documents).await;
        call!(sink, finish_unit(unit, &PLAN, &[facts]));
    }
    call!(sink, finish_job(&units));
    let reader = maker.open("names", "reader").await;
    for (number, unit) in (0..).zip(&units) {
        has(&*reader, unit, &fixtures::numbered(number)).await;
    }
}

async fn a_document_of_16_mib_comes_back(maker: &dyn SinkMaker) {
    let sink = maker.open("largest", "job").await;
    let (unit, documents) = (unit("largest"), [fixtures::largest()]);
    call!(sink, prepare(&unit, &PLAN));
    let facts = write_chunk(&*sink, &unit, key(0, 1), &documents).await;
    call!(sink, finish_unit(&unit, &PLAN, &[facts]));
    holds(maker, "largest", &*sink, &unit, &documents).await;
}

async fn a_writer_goes_on_from_every_checkpoint(maker: &dyn SinkMaker) {
    let documents = fixtures::numbered(60);
    let batches: Vec<&[Vec<u8>]> = documents.chunks(2).collect();
    let sink = maker.open("checkpoints", "job").await;
    let unit = unit("checkpoints");
    call!(sink, prepare(&unit, &PLAN));

    let mut resume: Option<Checkpoint> = None;
    let mut token = 100;
    let facts = loop {
        let done = (token - 100) as usize;
        let mut writer = call!(sink, open_chunk(&unit, &key(0, token), resume.as_ref()));
        let Some(batch) = batches.get(done) else { break seal(writer).await };
        write(&mut writer, batch).await;
        let checkpoint =
            writer.checkpoint().await.unwrap_or_else(|e| panic!("{}: checkpoint failed: {e}", sink.place()));
        assert!(checkpoint.0.to_string().len() <= 8 << 10, "{}: a checkpoint is larger than 8 KiB", sink.place());
        // What follows the checkpoint was not acknowledged, so it is written again by the next writer.
        if let Some(ahead) = batches.get(done + 1) {
            write(&mut writer, ahead).await;
        }
        drop(writer);
        resume = Some(serde_json::from_str(&serde_json::to_string(&checkpoint).expect("JSON")).expect("JSON"));
        token += 1;
    };

    if !sink.abilities().write_by_id {
        assert_eq!(facts.documents, 60, "{}: T2 broken: facts miscount what was resumed", sink.place());
    }
    call!(sink, finish_unit(&unit, &PLAN, &[facts]));
    holds(maker, "checkpoints", &*sink, &unit, &documents).await;
}

async fn what_a_crashed_writer_left_is_not_taken(maker: &dyn SinkMaker) {
    let sink = maker.open("crashed", "job").await;
    let (unit, documents) = (unit("crashed"), fixtures::numbered(20));
    call!(sink, prepare(&unit, &PLAN));
    let mut crashed = call!(sink, open_chunk(&unit, &key(0, 1), None));
    write(&mut crashed, &documents[..10]).await;
    drop(crashed);
    if !sink.abilities().write_by_id {
        let other = maker.open("crashed", "other").await;
        assert_eq!(
            call!(other, occupancy(&unit)),
            Occupancy::Vacant,
            "{}: T1 broken: unfinished work shows",
            sink.place()
        );
    }

    let facts = write_chunk(&*sink, &unit, key(0, 2), &documents).await;
    call!(sink, finish_unit(&unit, &PLAN, &[facts]));
    holds(maker, "crashed", &*sink, &unit, &documents).await;
}

async fn of_two_writers_only_the_named_one_counts(maker: &dyn SinkMaker) {
    let sink = maker.open("two", "job").await;
    let (unit, documents) = (unit("two"), fixtures::numbered(30));
    call!(sink, prepare(&unit, &PLAN));

    // The older writer lost its lease after a checkpoint, does not know it, and goes on beside its successor.
    let mut older = call!(sink, open_chunk(&unit, &key(0, 5), None));
    write(&mut older, &documents[..10]).await;
    let checkpoint = older.checkpoint().await.unwrap_or_else(|e| panic!("checkpoint failed: {e}"));
    let mut newer = call!(sink, open_chunk(&unit, &key(0, 6), Some(&checkpoint)));
    write(&mut older, &documents[10..20]).await;
    write(&mut newer, &documents[10..]).await;
    let late = older.seal().await;
    let facts = seal(newer).await;

    assert!(late.is_ok() || !sink.abilities().write_by_id);
    call!(sink, finish_unit(&unit, &PLAN, &[facts]));
    holds(maker, "two", &*sink, &unit, &documents).await;
}

async fn a_unit_that_holds_something_is_protected(maker: &dyn SinkMaker) {
    let first = maker.open("occupied", "first").await;
    if first.abilities().scan == Scan::Never {
        return;
    }
    let (unit, old, new) = (unit("occupied"), fixtures::numbered(5), fixtures::numbered(9));
    assert_eq!(call!(first, occupancy(&unit)), Occupancy::Vacant);
    call!(first, prepare(&unit, &PLAN));
    let facts = write_chunk(&*first, &unit, key(0, 1), &old).await;
    call!(first, finish_unit(&unit, &PLAN, &[facts]));
    call!(first, finish_job(std::slice::from_ref(&unit)));

    let second = maker.open("occupied", "second").await;
    assert!(
        matches!(call!(second, occupancy(&unit)), Occupancy::Occupied { .. }),
        "{}: not seen as occupied",
        second.place()
    );
    let refused = second.prepare(&unit, &PLAN).await.err().map(|e| e.class());
    assert_eq!(refused, Some(ErrorClass::Permanent), "{}: fail-if-exists did not fail", second.place());
    has(&*second, &unit, &old).await;
    if !second.abilities().write_by_id {
        let merge = WritePlan { mode: WriteMode::Merge, ..PLAN };
        let refused = second.prepare(&unit, &merge).await.err().map(|e| e.class());
        assert_eq!(
            refused,
            Some(ErrorClass::Permanent),
            "{}: merging without writing by id was allowed",
            second.place()
        );
        has(&*second, &unit, &old).await;
    }

    let plan = WritePlan { mode: WriteMode::Overwrite, ..PLAN };
    call!(second, prepare(&unit, &plan));
    let facts = write_chunk(&*second, &unit, key(0, 2), &new).await;
    call!(second, finish_unit(&unit, &plan, &[facts]));
    holds(maker, "occupied", &*second, &unit, &new).await;
}

async fn finishing_may_be_repeated(maker: &dyn SinkMaker) {
    for chunks in [1, 3] {
        let place = format!("repeated-{chunks}");
        let sink = maker.open(&place, "job").await;
        let (unit, documents) = (unit("repeated"), fixtures::numbered(30));
        call!(sink, prepare(&unit, &PLAN));
        let mut facts = Vec::new();
        for (chunk, some) in (0..).zip(documents.chunks(30 / chunks)) {
            facts.push(write_chunk(&*sink, &unit, key(chunk, 1), some).await);
        }
        call!(sink, finish_unit(&unit, &PLAN, &facts));

        // As after a crash: by another process that knows only the arguments.
        let again = maker.open(&place, "job").await;
        call!(again, prepare(&unit, &PLAN));
        call!(again, finish_unit(&unit, &PLAN, &facts));
        call!(again, finish_job(std::slice::from_ref(&unit)));
        let third = maker.open(&place, "job").await;
        holds(maker, &place, &*third, &unit, &documents).await;
    }
}

async fn an_abandoned_job_leaves_nothing(maker: &dyn SinkMaker) {
    let sink = maker.open("abandoned", "job").await;
    if sink.abilities().write_by_id {
        return;
    }
    let (unit, documents) = (unit("abandoned"), fixtures::numbered(10));
    call!(sink, prepare(&unit, &PLAN));
    let facts = write_chunk(&*sink, &unit, key(0, 1), &documents).await;
    call!(sink, abandon());
    call!(sink, abandon());

    let lost = sink.finish_unit(&unit, &PLAN, &[facts]).await.err().map(|e| e.class());
    assert_eq!(lost, Some(ErrorClass::StartOver), "{}: parts survived the end of their job", sink.place());
    let next = maker.open("abandoned", "next").await;
    assert_eq!(call!(next, occupancy(&unit)), Occupancy::Vacant);
    let view = Unit { kind: UnitKind::View, ..unit };
    assert_eq!(call!(next, occupancy(&view)), Occupancy::Vacant);
}

async fn a_foreign_checkpoint_is_refused(maker: &dyn SinkMaker) {
    let sink = maker.open("foreign", "job").await;
    let unit = unit("foreign");
    call!(sink, prepare(&unit, &PLAN));
    let foreign = Checkpoint(serde_json::json!("of somebody else"));
    let refused = sink.open_chunk(&unit, &key(0, 1), Some(&foreign)).await.err().map(|e| e.class());
    assert_eq!(refused, Some(ErrorClass::StartOver), "{}: a foreign checkpoint was accepted", sink.place());
}
