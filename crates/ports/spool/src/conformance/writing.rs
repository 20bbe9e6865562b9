//! Writing, sealing and reading back.

use super::{document, documents, job, joined, part, read, write};
use crate::error::SpoolError;
use crate::port::Spool;
use bytes::Bytes;

pub async fn what_was_sealed_is_read_back(spool: &dyn Spool) {
    let many = vec![900; 5_000];
    let cases: [&[&[usize]]; 6] =
        [&[], &[&[]], &[&[13]], &[&[13, 14, 400], &[], &[70]], &[&many, &many, &[13]], &[&[16 << 20, 16 << 20], &[13]]];
    for noise in [false, true] {
        for (sequence, batches) in cases.iter().enumerate() {
            let name = part("sealed", 1 + u64::from(noise), sequence as u32);
            let (facts, written) = write(spool, name.clone(), batches, noise).await.expect("a part is written");

            let mut blocks = Vec::new();
            read(spool, &facts, &mut blocks).await.expect("a sealed part is read");

            assert_eq!(facts.name, name);
            assert_eq!(facts.bytes, written.len() as u64);
            assert_eq!(facts.documents, batches.iter().map(|sizes| sizes.len() as u64).sum::<u64>());
            assert_eq!(facts.blocks as usize, blocks.len());
            assert_eq!(documents(&blocks), facts.documents);
            assert!(joined(&blocks) == written, "case {sequence}: other bytes came back");
            spool.prove(&facts).await.expect("a sealed part is proved");
            let listed = spool.list(&job("sealed")).await.expect("a job is listed");
            assert!(listed.iter().any(|l| l.name == name && l.stored_bytes == facts.stored_bytes), "{listed:?}");
        }
    }
}

pub async fn what_was_not_sealed_is_not_there(spool: &dyn Spool) {
    let name = part("unsealed", 1, 0);
    let mut writer = spool.begin_part(name.clone()).await.expect("a part begins");
    for _ in 0..4 {
        writer.write(Bytes::from(document(1 << 20, true)), 1).await.expect("a batch is taken");
    }

    assert_eq!(spool.list(&job("unsealed")).await.expect("a job is listed"), []);
    drop(writer);
    assert_eq!(spool.list(&job("unsealed")).await.expect("a job is listed"), []);
    assert_eq!(spool.list(&job("never-heard-of")).await.expect("any job is listed"), []);
}

pub async fn a_name_is_given_once(spool: &dyn Spool) {
    let name = part("once", 1, 0);
    let writer = spool.begin_part(name.clone()).await.expect("a part begins");
    let beside = spool.begin_part(name.clone()).await.map(|_| ());
    assert!(matches!(beside, Err(SpoolError::Exists { .. })), "a second writer beside the first: {beside:?}");

    let facts = writer.seal().await.expect("a part is sealed");

    let after = spool.begin_part(name).await.map(|_| ());
    assert!(matches!(after, Err(SpoolError::Exists { .. })), "a second writer after the first: {after:?}");
    spool.prove(&facts).await.expect("the first part is untouched");
}

pub async fn many_parts_are_written_at_once(spool: &dyn Spool) {
    const WRITERS: u64 = 12;
    let mut writers = Vec::new();
    for token in 0..WRITERS {
        writers.push(spool.begin_part(part("many", token, 0)).await.expect("a part begins"));
    }
    for round in 0..40 {
        for (token, writer) in writers.iter_mut().enumerate() {
            let batch = document(64 << 10 | token, round % 2 == 0);
            writer.write(Bytes::from(batch), 1).await.expect("a batch is taken");
        }
    }
    for (token, writer) in writers.into_iter().enumerate() {
        let facts = writer.seal().await.expect("a part is sealed");
        let mut blocks = Vec::new();
        read(spool, &facts, &mut blocks).await.expect("a sealed part is read");
        let expected: Vec<u8> = (0..40).flat_map(|round| document(64 << 10 | token, round % 2 == 0)).collect();
        assert!(joined(&blocks) == expected, "part {token} holds another's documents");
    }
    assert_eq!(spool.list(&job("many")).await.expect("a job is listed").len(), WRITERS as usize);
}

pub async fn a_wrong_batch_spoils_its_part(spool: &dyn Spool) {
    let short = Bytes::from(document(100, false)).slice(..99);
    for (sequence, (batch, count)) in [(short, 1), (Bytes::from(document(100, false)), 2)].into_iter().enumerate() {
        let mut writer = spool.begin_part(part("wrong", 1, sequence as u32)).await.expect("a part begins");
        writer.write(Bytes::from(document(50, false)), 1).await.expect("a batch is taken");

        let refused = writer.write(batch, count).await;

        assert!(matches!(refused, Err(SpoolError::Batch { .. })), "{refused:?}");
        assert!(writer.write(Bytes::from(document(50, false)), 1).await.is_err(), "a spoilt part takes no more");
        assert!(writer.seal().await.is_err(), "a spoilt part is not sealed");
    }
    assert_eq!(spool.list(&job("wrong")).await.expect("a job is listed"), []);
}
