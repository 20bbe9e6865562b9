//! What a sink that mends promises: N1 to N3.

use bytes::Bytes;

use super::sinks::{PLAN, SinkMaker, call, has, key, unit, write_chunk};
use crate::conformance::fixtures::{self, document, int32, string};
use crate::element::id_of;
use crate::{ErrorClass, Mended};

/// Replaces, adds and removes, twice over, and looks at the whole unit after each.
pub(super) async fn single_documents_are_mended(maker: &dyn SinkMaker) {
    let sink = maker.open("mended", "job").await;
    let unit = unit("mended");
    if !sink.abilities().mends {
        let refused = sink.mender(&unit).await.err().map(|e| e.class());
        assert_eq!(refused, Some(ErrorClass::Permanent), "{}: mending is refused for good", sink.place());
        return;
    }
    let mut documents = fixtures::numbered(20);
    call!(sink, prepare(&unit, &PLAN));
    let facts = write_chunk(&*sink, &unit, key(0, 1), &documents).await;
    call!(sink, finish_unit(&unit, &PLAN, &[facts]));
    call!(sink, finish_job(std::slice::from_ref(&unit)));

    let changed = document(&[("_id", &int32(3)), ("was", &string("something else"))]);
    let missing = document(&[("_id", &int32(100)), ("is", &string("new"))]);
    let right = Bytes::from(documents[4].clone());
    documents[3].clone_from(&changed);
    documents.push(missing.clone());
    let mended = maker.open("mended", "another").await;
    let mut mender = call!(mended, mender(&unit));
    for _ in 0..2 {
        let put = mender.put(&[changed.clone().into(), missing.clone().into(), right.clone()]).await;
        let put = put.unwrap_or_else(|e| panic!("{}: put failed: {e}", sink.place()));
        assert_eq!(put, Mended { documents: 3, refused: Vec::new() }, "{}: N1 broken", sink.place());
        has(&*sink, &unit, &documents).await;
    }

    let id = |document: &[u8]| Bytes::from(id_of(document).expect("fixtures have one").to_document());
    let gone = [id(&documents[7]), Bytes::from(documents[5].clone())];
    let equal_in_value = document(&[("_id", &fixtures::double(6.0))]);
    let others = [document(&[("_id", &int32(999))]), equal_in_value].map(Bytes::from);
    documents.remove(7);
    documents.remove(5);
    for count in [2, 0] {
        let removed = mender.remove(&[&gone[..], &others[..]].concat()).await;
        let removed = removed.unwrap_or_else(|e| panic!("{}: remove failed: {e}", sink.place()));
        assert_eq!(removed, Mended { documents: count, refused: Vec::new() }, "{}: N2 broken", sink.place());
        has(&*sink, &unit, &documents).await;
    }
    assert_eq!(mender.put(&[]).await.ok(), Some(Mended::default()), "{}: nothing is too much to ask", sink.place());
}
