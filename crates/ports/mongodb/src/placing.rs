//! Brings documents to a target, in groups that the server takes at once, each exactly once.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use capstan_endpoint::{EndpointError, RefusedDocument, Result, element};

use crate::fault::{Fault, Said};
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
        let (mut new, mut changed, mut unknown) = (documents.to_vec(), Vec::new(), Vec::new());
        if self.looking.load(Ordering::Relaxed) {
            let there = There::of(&self.target, documents).await?;
            self.looking.store(!there.is_empty(), Ordering::Relaxed);
            new.retain(|document| match there.state_of(document) {
                State::Missing => true,
                State::Same => false,
                State::Different => {
                    changed.push(*document);
                    false
                }
                // What cannot be asked about is written whatever is there.
                State::Unknown => {
                    unknown.push(*document);
                    false
                }
            });
        }
        let duplicates = self.insert(new, &mut changed, &mut unknown, refused).await?;
        if documents.len() >= TELLING_GROUP && duplicates * 2 >= documents.len() {
            self.looking.store(true, Ordering::Relaxed);
        }
        // What has gone since it was seen is new again.
        let gone = self.replace(Verb::Replace, changed, refused).await?;
        self.insert(gone, &mut Vec::new(), &mut unknown, refused).await?;
        let gone = self.replace(Verb::Put, unknown, refused).await?;
        if gone.is_empty() { Ok(()) } else { Err(self.uncounted()) }
    }

    /// Inserts documents, and sorts those that were there already. Says how many those were.
    async fn insert<'a>(
        &self,
        mut new: Vec<&'a [u8]>,
        changed: &mut Vec<&'a [u8]>,
        unknown: &mut Vec<&'a [u8]>,
        refused: &mut Vec<RefusedDocument>,
    ) -> Result<usize> {
        let (mut all, mut first) = (0, true);
        while !new.is_empty() {
            let outcome = self.target.write(Verb::Insert, &new).await?;
            refused.extend(outcome.refused.into_iter().map(|(place, reason)| letter(new[place], reason)));
            all += outcome.duplicates.len();
            let asked = outcome.duplicates.iter().map(|(place, _)| place).chain(&outcome.unsure);
            let asked: Vec<&'a [u8]> = asked.map(|place| new[*place]).collect();
            if asked.is_empty() {
                break;
            }
            let there = There::of(&self.target, &asked).await?;
            let mut lies = |document: &'a [u8]| match there.state_of(document) {
                State::Same => true,
                State::Different => {
                    changed.push(document);
                    true
                }
                State::Unknown => {
                    unknown.push(document);
                    true
                }
                State::Missing => false,
            };
            for (place, reason) in outcome.duplicates {
                // Not its `_id`, then, but the key of another unique index, or an `_id` equal in value only.
                if !lies(new[place]) {
                    refused.push(letter(new[place], reason));
                }
            }
            let uncounted: Vec<&'a [u8]> = outcome.unsure.into_iter().map(|place| new[place]).collect();
            new = uncounted.into_iter().filter(|document| !lies(document)).collect();
            // Without an `_id` nobody could say whether it was written.
            if !new.is_empty() && (!first || new.iter().any(|document| element::id_of(document).is_none())) {
                return Err(self.uncounted());
            }
            first = false;
        }
        Ok(all)
    }

    /// Replaces documents. Gives back those that are not there.
    async fn replace<'a>(
        &self,
        verb: Verb,
        documents: Vec<&'a [u8]>,
        refused: &mut Vec<RefusedDocument>,
    ) -> Result<Vec<&'a [u8]>> {
        let outcome = self.target.write(verb, &documents).await?;
        let turned_away = outcome.refused.into_iter().chain(outcome.duplicates);
        refused.extend(turned_away.map(|(place, reason)| letter(documents[place], reason)));
        if outcome.unsure.is_empty() {
            return Ok(Vec::new());
        }
        let unsure: Vec<&[u8]> = outcome.unsure.into_iter().map(|place| documents[place]).collect();
        let there = There::of(&self.target, &unsure).await?;
        if unsure.iter().any(|document| there.state_of(document) == State::Different) {
            return Err(self.uncounted());
        }
        Ok(unsure.iter().filter(|document| there.state_of(document) == State::Missing).copied().collect())
    }

    /// A server that answers well and does not write.
    fn uncounted(&self) -> EndpointError {
        let message = "the server counts fewer documents than it was sent, names none as failed, and lacks some".into();
        self.target.failed(Fault::Passing, Said { code: None, message })
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
