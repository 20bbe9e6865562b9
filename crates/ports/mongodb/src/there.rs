//! What a target holds under some `_id`s.

use std::collections::HashMap;

use bson::RawDocumentBuf;
use capstan_endpoint::{ErrorClass, Result, element};

use crate::compose::Composer;
use crate::id::Id;
use crate::throttle::Throttle;
use crate::write::Target;

/// What became known of documents that were looked up; those that are missing are not in it.
#[derive(Default)]
pub(crate) struct There(HashMap<Id, State>);

/// What lies at the target where a document is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Missing,
    Same,
    /// Other bytes under the very same `_id`.
    Different,
    /// The server answers no question about this `_id`.
    Unknown,
}

impl There {
    /// Looks up the `_id`s of these documents.
    pub async fn of(target: &Target, documents: &[&[u8]]) -> Result<Self> {
        let mut there = Self::default();
        let (mut waiting, mut throttle) = (vec![documents], Throttle::default());
        while let Some(some) = waiting.pop().filter(|some| !some.is_empty()) {
            let mut given = HashMap::with_capacity(some.len());
            given.extend(some.iter().filter_map(|document| Some((Id::of(document)?, *document))));
            // Compared as they come: what lies there may be much larger than what was given.
            let see = |found: &[u8]| {
                if let Some((id, document)) = Id::of(found).and_then(|id| given.remove_entry(&id)) {
                    there.0.insert(id, if found == document { State::Same } else { State::Different });
                }
            };
            match target.server.each(&target.database, look(target, some), "looking for documents", see).await {
                Ok(()) => {}
                Err(error) if error.class() == ErrorClass::Throttled => {
                    let Some(pause) = throttle.pause(error.advised_wait()) else { return Err(error) };
                    tokio::time::sleep(pause).await;
                    waiting.push(some);
                }
                Err(error) => {
                    let of_a_document = error.class() == ErrorClass::Permanent
                        || error.class() == ErrorClass::Transient && target.server.answers().await;
                    match some {
                        _ if !of_a_document => return Err(error),
                        [one] => there.unknown(one),
                        _ => {
                            let (first, second) = some.split_at(some.len() / 2);
                            waiting.extend([first, second]);
                        }
                    }
                }
            }
        }
        Ok(there)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn unknown(&mut self, document: &[u8]) {
        self.0.extend(Id::of(document).map(|id| (id, State::Unknown)));
    }

    /// What is there under the `_id` of one of the documents that were looked up.
    pub fn state_of(&self, document: &[u8]) -> State {
        Id::of(document).and_then(|id| self.0.get(&id).copied()).unwrap_or(State::Missing)
    }
}

fn look(target: &Target, documents: &[&[u8]]) -> RawDocumentBuf {
    let ids = documents.iter().filter_map(|document| element::id_of(document)).map(|id| (id.kind, id.value));
    let among = Composer::new().array("$in", ids).finish();
    let filter = Composer::new().document("_id", &among).finish();
    let batch = i32::try_from(documents.len()).expect("a group has a thousand documents at most");
    Composer::new().string("find", &target.collection).document("filter", &filter).int32("batchSize", batch).into_raw()
}
