//! Whatever happens to the stored bytes, a reader gets what was written or an error.

use super::{Subject, joined, part, read, write};
use crate::error::{SpoolError, SpoolFault};
use crate::facts::{Checksum, PartFacts};

/// A part of three blocks, and the documents in it.
async fn sample(subject: &dyn Subject, job: &str) -> (PartFacts, Vec<u8>) {
    // Batches of more than half a block, so that each is a block; they pack well, so that every byte can be tried.
    let spool = subject.spool();
    let (facts, written) = write(spool, part(job, 9, 0), &[&[700_000], &[40, 690_000], &[700_000]], false)
        .await
        .expect("a part is written");
    assert_eq!(facts.blocks, 3, "the sample has several blocks");
    (facts, written)
}

/// Reads a spoilt part: refused as damaged, and nothing handed out that was not written at that place.
async fn must_refuse(subject: &dyn Subject, facts: &PartFacts, written: &[u8], what: &str) {
    let mut blocks = Vec::new();
    match read(subject.spool(), facts, &mut blocks).await {
        Ok(()) => panic!("{what}: accepted"),
        Err(error) => {
            assert_eq!(error.fault(), SpoolFault::DumpAgain, "{what}: {error}");
            let text = error.to_string();
            assert!(text.contains(&facts.name.to_string()) && text.contains("must be dumped again"), "{what}: {text}");
        }
    }
    assert!(written.starts_with(&joined(&blocks)), "{what}: handed out bytes that were never written");
}

pub async fn a_part_cut_at_any_byte_is_refused(subject: &dyn Subject) {
    let (facts, written) = sample(subject, "cut").await;
    let stored = subject.stored(&facts.name).await;
    for length in 0..stored.len() {
        subject.tamper(&facts.name, Some(&stored[..length])).await;
        must_refuse(subject, &facts, &written, &format!("cut at {length}")).await;

        // Were the facts cut as well, the part itself still knows that it is not whole.
        let shorter = PartFacts { stored_bytes: length as u64, ..facts.clone() };
        must_refuse(subject, &shorter, &written, &format!("cut at {length}, facts too")).await;
    }
    subject.tamper(&facts.name, Some(&stored)).await;
    subject.spool().prove(&facts).await.expect("the whole part is whole again");
}

pub async fn a_part_with_any_byte_changed_is_refused(subject: &dyn Subject) {
    let (facts, written) = sample(subject, "changed").await;
    let stored = subject.stored(&facts.name).await;
    for at in 0..stored.len() {
        let mut spoilt = stored.clone();
        spoilt[at] ^= 1 << (at % 8);
        subject.tamper(&facts.name, Some(&spoilt)).await;
        must_refuse(subject, &facts, &written, &format!("bit {} of byte {at}", at % 8)).await;
    }
}

pub async fn a_part_with_more_behind_it_is_refused(subject: &dyn Subject) {
    let (facts, written) = sample(subject, "longer").await;
    let mut longer = subject.stored(&facts.name).await;
    longer.push(0);
    subject.tamper(&facts.name, Some(&longer)).await;

    must_refuse(subject, &facts, &written, "one byte more").await;
    let facts = PartFacts { stored_bytes: longer.len() as u64, ..facts };
    must_refuse(subject, &facts, &written, "one byte more, facts too").await;
}

pub async fn an_exchanged_part_is_refused(subject: &dyn Subject) {
    let (facts, written) = sample(subject, "exchanged").await;
    let (other, _) =
        write(subject.spool(), part("exchanged", 9, 1), &[&[300]], false).await.expect("a part is written");
    let bytes = subject.stored(&other.name).await;
    subject.tamper(&facts.name, Some(&bytes)).await;

    must_refuse(subject, &facts, &written, "another part in its place").await;
    let facts = PartFacts { name: facts.name, ..other };
    must_refuse(subject, &facts, &written, "another part in its place, with that part's figures").await;
}

pub async fn a_missing_part_is_missing(subject: &dyn Subject) {
    let (facts, written) = sample(subject, "missing").await;
    subject.tamper(&facts.name, None).await;

    let error = subject.spool().prove(&facts).await.expect_err("a missing part is not proved");

    assert!(matches!(error, SpoolError::Missing { .. }), "{error}");
    must_refuse(subject, &facts, &written, "missing").await;
}

pub async fn a_part_is_held_to_every_fact(subject: &dyn Subject) {
    let (facts, written) = sample(subject, "facts").await;
    let wrong = [
        PartFacts { documents: facts.documents + 1, ..facts.clone() },
        PartFacts { bytes: facts.bytes - 1, ..facts.clone() },
        PartFacts { blocks: facts.blocks + 1, ..facts.clone() },
        PartFacts { stored_bytes: facts.stored_bytes + 1, ..facts.clone() },
        PartFacts { checksum: Checksum(facts.checksum.0 ^ 1), ..facts.clone() },
    ];
    for facts in wrong {
        must_refuse(subject, &facts, &written, &format!("held to {facts:?}")).await;
    }
}
