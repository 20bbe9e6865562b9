//! Brings documents to a target, in groups that the server takes at once, each exactly once.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use capstan_endpoint::{RefusedDocument, Result};

use crate::there::{State, There};
use crate::write::{Target, Verb};

/// Bytes of documents in one command. A command may have 16 MiB and a little, and a single document may fill that.
const GROUP_BYTES: usize = 8 << 20;
/// Documents in one command.
const GROUP_DOCUMENTS: usize = 1_000;
/// From so many documents on, duplicates among a group show that this stretch was written before.
const TELLING_GROUP: usize = 8;

/// Writes documents so that each lies there once, with its own bytes, whatever was there before. Several groups may be on
/// their way at once.
pub(crate) struct Placing {
    target: Target,
    /// This stretch may have been written before: look first, instead of provoking an error for each document.
    looking: AtomicBool,
}

impl Placing {
    pub fn new(target: Target, looking: bool) -> Self {
        Self { target, looking: AtomicBool::new(looking) }
    }

    /// Writes documents, and gives back those that the target will never take.
    pub async fn place(&self, documents: impl Iterator<Item = &[u8]>) -> Result<Vec<RefusedDocument>> {
        let mut refused = Vec::new();
        for group in groups(&self.target, documents, &mut refused) {
            self.group(&group, &mut refused).await?;
        }
        Ok(refused)
    }

    async fn group(&self, documents: &[&[u8]], refused: &mut Vec<RefusedDocument>) -> Result<()> {
        let (mut new, mut changed) = (documents.to_vec(), Vec::new());
        if self.looking.load(Ordering::Relaxed) {
            let there = There::of(&self.target, documents).await?;
            self.looking.store(!there.is_empty(), Ordering::Relaxed);
            new.retain(|document| match there.state_of(document) {
                State::Missing => true,
                State::Same => false,
                // What cannot be asked about is written whatever is there.
                State::Different | State::Unknown => {
                    changed.push(*document);
                    false
                }
            });
        }
        let outcome = self.target.write(Verb::Insert, &new).await?;
        refused.extend(outcome.refused.into_iter().map(|(place, reason)| letter(new[place], reason)));
        if documents.len() >= TELLING_GROUP && outcome.duplicates.len() * 2 >= documents.len() {
            self.looking.store(true, Ordering::Relaxed);
        }
        if !outcome.duplicates.is_empty() {
            let duplicates: Vec<&[u8]> = outcome.duplicates.iter().map(|(place, _)| new[*place]).collect();
            let there = There::of(&self.target, &duplicates).await?;
            for (place, reason) in outcome.duplicates {
                match there.state_of(new[place]) {
                    State::Same => {}
                    State::Different | State::Unknown => changed.push(new[place]),
                    // Not its `_id`, then, but the key of another unique index, or an `_id` equal in value only.
                    State::Missing => refused.push(letter(new[place], reason)),
                }
            }
        }
        let outcome = self.target.write(Verb::Replace, &changed).await?;
        let turned_away = outcome.refused.into_iter().chain(outcome.duplicates);
        refused.extend(turned_away.map(|(place, reason)| letter(changed[place], reason)));
        Ok(())
    }
}

/// Documents as they go together in one command. Those that are too large for the server are refused here.
pub(crate) fn groups<'a>(
    target: &Target,
    documents: impl Iterator<Item = &'a [u8]>,
    refused: &mut Vec<RefusedDocument>,
) -> Vec<Vec<&'a [u8]>> {
    let limits = target.server.limits;
    let (mut groups, mut bytes) = (Vec::<Vec<&[u8]>>::new(), 0);
    for document in documents {
        if document.len() > limits.document {
            let reason = format!("it has {} bytes, and the target takes {}", document.len(), limits.document);
            refused.push(letter(document, reason));
            continue;
        }
        bytes += document.len();
        match groups.last_mut() {
            Some(group) if bytes <= GROUP_BYTES && group.len() < limits.documents.min(GROUP_DOCUMENTS) => {
                group.push(document);
            }
            _ => {
                groups.push(vec![document]);
                bytes = document.len();
            }
        }
    }
    groups
}

pub(crate) fn letter(document: &[u8], reason: String) -> RefusedDocument {
    RefusedDocument { document: Bytes::copy_from_slice(document), reason }
}
