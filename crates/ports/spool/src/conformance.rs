//! The suite that every adapter passes. An adapter's tests call [`check`] with a [`Subject`]; a broken promise panics.

mod damage;
mod keeping;
mod writing;

use crate::error::SpoolError;
use crate::facts::PartFacts;
use crate::name::PartName;
use crate::port::{Block, Spool};
use async_trait::async_trait;
use bytes::Bytes;
use capstan_ids::{SessionName, Token};

/// An adapter with a way around it, to see and to spoil what it stores.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The spool; the same one at each call.
    fn spool(&self) -> &dyn Spool;
    /// What is stored for a sealed part.
    async fn stored(&self, part: &PartName) -> Vec<u8>;
    /// Stores other bytes in its place, or nothing at all.
    async fn tamper(&self, part: &PartName, bytes: Option<&[u8]>);
}

/// Runs the whole suite on a spool that is empty at first and compresses.
///
/// Takes seconds: it damages a part at every byte.
pub async fn check(subject: &dyn Subject) {
    writing::what_was_sealed_is_read_back(subject.spool()).await;
    writing::what_was_not_sealed_is_not_there(subject.spool()).await;
    writing::a_name_is_given_once(subject.spool()).await;
    writing::many_parts_are_written_at_once(subject.spool()).await;
    writing::a_wrong_batch_spoils_its_part(subject.spool()).await;
    damage::a_part_cut_at_any_byte_is_refused(subject).await;
    damage::a_part_with_any_byte_changed_is_refused(subject).await;
    damage::a_part_with_more_behind_it_is_refused(subject).await;
    damage::an_exchanged_part_is_refused(subject).await;
    damage::a_missing_part_is_missing(subject).await;
    damage::a_part_is_held_to_every_fact(subject).await;
    keeping::a_deleted_part_is_missing_and_may_be_deleted_again(subject.spool()).await;
    keeping::a_sweep_keeps_what_it_is_told(subject.spool()).await;
    keeping::a_removed_job_leaves_the_others_alone(subject.spool()).await;
    keeping::every_job_with_parts_is_listed(subject.spool()).await;
    keeping::the_marker_stays(subject.spool()).await;
}

/// A job of its own for each check, so that they do not see each other's parts.
fn job(name: &str) -> SessionName {
    SessionName::new(name).expect("the suite's names are names")
}

fn part(name: &str, token: u64, sequence: u32) -> PartName {
    PartName::new(job(name), "4fa3c1d2e5b60718", 7, 1, Token::from_wire(token), sequence)
        .expect("the suite's names are names")
}

/// A BSON document of exactly `size` bytes (13 at least): one string that packs well or does not, as `noise` says.
fn document(size: usize, noise: bool) -> Vec<u8> {
    let text = size - 13;
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&(size as u32).to_le_bytes());
    out.extend_from_slice(b"\x02s\0");
    out.extend_from_slice(&(text as u32 + 1).to_le_bytes());
    let mut state = size as u64;
    out.extend((0..text).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if noise { b' ' + (state >> 58) as u8 } else { b'x' }
    }));
    out.extend_from_slice(&[0, 0]);
    out
}

/// Writes a part of one batch for each list of document sizes.
async fn write(
    spool: &dyn Spool,
    name: PartName,
    batches: &[&[usize]],
    noise: bool,
) -> Result<(PartFacts, Vec<u8>), SpoolError> {
    let mut writer = spool.begin_part(name).await?;
    let mut all = Vec::new();
    for sizes in batches {
        let batch: Vec<u8> = sizes.iter().flat_map(|size| document(*size, noise)).collect();
        all.extend_from_slice(&batch);
        writer.write(Bytes::from(batch), sizes.len() as u32).await?;
    }
    assert_eq!(writer.bytes(), all.len() as u64, "a writer counts what it was given");
    let facts = writer.seal().await?;
    Ok((facts, all))
}

/// Reads blocks until the end or an error; what came before the error stands in `blocks`.
async fn read(spool: &dyn Spool, facts: &PartFacts, blocks: &mut Vec<Block>) -> Result<(), SpoolError> {
    let mut reader = spool.open_part(facts).await?;
    loop {
        match reader.next().await {
            Ok(Some(block)) => blocks.push(block),
            Ok(None) => {
                assert!(matches!(reader.next().await, Ok(None)), "the end stays the end");
                return Ok(());
            }
            Err(error) => {
                assert!(reader.next().await.is_err(), "after an error there is no end to be had");
                return Err(error);
            }
        }
    }
}

fn joined(blocks: &[Block]) -> Vec<u8> {
    blocks.iter().map(|block| &block.bytes[..]).collect::<Vec<_>>().concat()
}

fn documents(blocks: &[Block]) -> u64 {
    blocks.iter().map(|block| u64::from(block.documents)).sum()
}
