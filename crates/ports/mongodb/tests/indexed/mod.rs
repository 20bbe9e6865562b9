//! A server that honours index bounds: as much of the wire protocol as reading takes, over one collection in the order of
//! its `_id`s. No server that tests can have does that, and most that people have do.

mod order;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bson::{Bson, Document, doc};

use crate::wire::{self, Serving};

pub use order::compare;

/// What it serves, and how well.
pub struct Indexed {
    /// In the order of their `_id`s.
    pub ids: Vec<Bson>,
    /// Without it `$sample` is refused.
    pub samples: bool,
    /// A cursor is forgotten after so many answers.
    pub forgets_after: usize,
    cursors: Mutex<HashMap<i64, (Vec<Document>, usize)>>,
}

impl Indexed {
    /// Serves these `_id`s, of which equal ones are one, and says where.
    pub async fn serve(mut ids: Vec<Bson>, samples: bool, forgets_after: usize) -> (Serving, Arc<Self>) {
        ids.sort_by(compare);
        ids.dedup_by(|one, other| compare(one, other).is_eq());
        let server = Arc::new(Self { ids, samples, forgets_after, cursors: Mutex::default() });
        let answering = server.clone();
        (wire::serve(move |command| Some(answering.answer(command))).await, server)
    }

    pub fn answer(&self, command: &Document) -> Document {
        let (name, of) = command.iter().next().unwrap();
        match name.to_lowercase().as_str() {
            "hello" | "ismaster" => wire::hello(),
            "collstats" => doc! { "count": self.ids.len() as i64, "size": self.ids.len() as i64 * 50, "ok": 1 },
            "find" => self.open(self.find(command), command.get_i32("batchSize").unwrap_or(101)),
            "aggregate" if self.samples => self.open(self.sample(command), 10_000),
            "aggregate" => doc! { "ok": 0, "code": 40_324, "errmsg": "Unrecognized pipeline stage name: '$sample'" },
            "getmore" => self.more(of.as_i64().unwrap(), command.get_i32("batchSize").unwrap_or(101)),
            "ping" | "buildinfo" | "killcursors" | "endsessions" => doc! { "ok": 1 },
            other => panic!("an unknown command: {other}"),
        }
    }

    fn find(&self, command: &Document) -> Vec<Document> {
        let bound = |name| command.get_document(name).ok().map(|bound| bound.get("_id").unwrap());
        assert!(bound("min").or(bound("max")).is_none() || command.contains_key("hint"), "bounds need a hint");
        let after = |id: &&Bson| bound("min").is_none_or(|min| compare(id, min).is_ge());
        let before = |id: &&Bson| bound("max").is_none_or(|max| compare(id, max).is_lt());
        let number = |name: &str| command.get(name).and_then(|n| n.as_i64().or(n.as_i32().map(i64::from)));
        let skip = number("skip").unwrap_or(0) as usize;
        let limit = number("limit").map_or(usize::MAX, |limit| limit as usize);
        let found = self.ids.iter().filter(after).filter(before).skip(skip).take(limit);
        found.map(|id| doc! { "_id": id.clone(), "n": 1 }).collect()
    }

    /// Every so many-th: random enough, and the same each time.
    fn sample(&self, command: &Document) -> Vec<Document> {
        let stage = command.get_array("pipeline").unwrap()[0].as_document().unwrap().get_document("$sample").unwrap();
        let size = stage.get_i64("size").unwrap() as usize;
        self.ids
            .iter()
            .step_by(self.ids.len().div_ceil(size.max(1)).max(1))
            .map(|id| doc! { "_id": id.clone() })
            .collect()
    }

    fn open(&self, documents: Vec<Document>, batch: i32) -> Document {
        let mut cursors = self.cursors.lock().unwrap();
        let id = cursors.len() as i64 + 1;
        cursors.insert(id, (documents, 0));
        drop(cursors);
        self.give(id, batch, "firstBatch")
    }

    fn more(&self, id: i64, batch: i32) -> Document {
        if self.cursors.lock().unwrap()[&id].1 >= self.forgets_after {
            return doc! { "ok": 0, "code": 43, "errmsg": "cursor not found" };
        }
        self.give(id, batch, "nextBatch")
    }

    fn give(&self, id: i64, batch: i32, name: &str) -> Document {
        let mut cursors = self.cursors.lock().unwrap();
        let (documents, answers) = cursors.get_mut(&id).unwrap();
        *answers += 1;
        let given: Vec<Document> = documents.drain(..documents.len().min(batch as usize)).collect();
        let open = if documents.is_empty() { 0 } else { id };
        doc! { "cursor": { "id": open, "ns": "a.b", name: given }, "ok": 1 }
    }
}
