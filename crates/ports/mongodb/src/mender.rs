//! Puts single documents of a unit right.

use async_trait::async_trait;
use bytes::Bytes;
use capstan_endpoint::{Mend, Mended, Result};

use crate::placing::{Placing, groups, letter};
use crate::there::{State, There};
use crate::write::{Target, Verb};

pub(crate) struct MongoMender(pub Target);

#[async_trait]
impl Mend for MongoMender {
    async fn put(&mut self, documents: &[Bytes]) -> Result<Mended> {
        // Most of what is mended is there with other bytes, so every group is looked up first.
        let refused = Placing::new(self.0.clone(), true).place(documents.iter().map(Bytes::as_ref)).await?;
        Ok(Mended { documents: (documents.len() - refused.len()) as u64, refused })
    }

    async fn remove(&mut self, documents: &[Bytes]) -> Result<Mended> {
        let mut mended = Mended::default();
        for group in groups(&self.0, documents.iter().map(Bytes::as_ref), &mut mended.refused) {
            // A server deletes what is equal in value, and there is one such document at most: only where it is found to be
            // of the very same type and bytes is it the one that is meant.
            let there = There::of(&self.0, &group).await?;
            let mut found = Vec::new();
            for document in group {
                match there.state_of(document) {
                    State::Missing => {}
                    State::Same | State::Different => found.push(document),
                    State::Unknown => {
                        mended.refused.push(letter(document, "the server answers no question about this `_id`".into()));
                    }
                }
            }
            let outcome = self.0.write(Verb::Remove, &found).await?;
            let mut turned_away: Vec<_> = outcome.refused.into_iter().chain(outcome.duplicates).collect();
            if !outcome.unsure.is_empty() {
                let unsure: Vec<&[u8]> = outcome.unsure.iter().map(|place| found[*place]).collect();
                let there = There::of(&self.0, &unsure).await?;
                let stay = outcome.unsure.into_iter().filter(|place| there.state_of(found[*place]) != State::Missing);
                turned_away.extend(stay.map(|place| (place, "the server says nothing, and has not removed it".into())));
            }
            mended.documents += (found.len() - turned_away.len()) as u64;
            mended.refused.extend(turned_away.into_iter().map(|(place, reason)| letter(found[place], reason)));
        }
        Ok(mended)
    }
}
