//! A server that keeps whatever it is told, definitions of every kind too, and fails as a test says. Servers that have all of
//! these kinds cannot be had for tests.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex};

use bson::{Bson, Document, doc};
use capstan_endpoint::{Namespace, Unit};

use crate::wire::{self, Serving};

/// What it holds: one database, whatever its name.
#[derive(Default)]
pub struct Held {
    /// By collection, then by `_id` as text.
    pub documents: BTreeMap<String, BTreeMap<String, Document>>,
    /// `listCollections` entries.
    pub collections: BTreeMap<String, Document>,
    pub indexes: BTreeMap<String, Vec<Document>>,
    /// Names of the commands, in order.
    pub log: Vec<String>,
    /// Errors of single documents that were given, by code.
    pub write_errors: Vec<i32>,
}

#[derive(Clone, Default)]
pub struct Keeper(pub Arc<Mutex<Held>>);

/// What a test does to a command instead of letting it through.
pub enum Instead {
    Answer(Document),
    /// The connection is closed.
    Close,
    /// So many of its documents are written, then the connection is closed.
    CloseAfter(usize),
}

impl Keeper {
    pub async fn serve(&self) -> Serving {
        self.serve_but(|_| None).await
    }

    /// Serves, but for the commands that a test has another answer to.
    pub async fn serve_but(&self, instead: impl Fn(&Document) -> Option<Instead> + Send + Sync + 'static) -> Serving {
        let (keeper, instead) = (self.clone(), Arc::new(instead));
        wire::serve(move |command| match instead(command) {
            Some(Instead::Answer(answer)) => Some(answer),
            Some(Instead::Close) => None,
            Some(Instead::CloseAfter(some)) => {
                let mut command = command.clone();
                command.get_array_mut("documents").unwrap().truncate(some);
                keeper.answer(&command);
                None
            }
            None => Some(keeper.answer(command)),
        })
        .await
    }

    pub fn ids(&self, collection: &str) -> Vec<String> {
        self.0.lock().unwrap().documents.get(collection).map(|held| held.keys().cloned().collect()).unwrap_or_default()
    }

    pub fn answer(&self, command: &Document) -> Document {
        let (name, of) = command.iter().next().unwrap();
        let of = of.as_str().unwrap_or_default().to_owned();
        let mut held = self.0.lock().unwrap();
        held.log.push(name.clone());
        match name.to_lowercase().as_str() {
            "hello" | "ismaster" => wire::hello(),
            "buildinfo" => doc! { "version": "0", "storageEngines": ["keeper"], "ok": 1 },
            "listdatabases" => doc! { "databases": [{ "name": "a" }], "ok": 1 },
            "listcollections" => cursor(held.collections.values().cloned().collect()),
            "listindexes" => cursor(held.indexes.get(&of).cloned().unwrap_or_default()),
            "create" => held.create(of, command),
            "createindexes" => {
                let indexes = command.get_array("indexes").unwrap().iter().map(|index| index.as_document().unwrap());
                held.indexes.entry(of).or_default().extend(indexes.cloned());
                doc! { "ok": 1 }
            }
            "drop" => {
                held.collections.remove(&of);
                held.documents.remove(&of);
                doc! { "ok": 1 }
            }
            "insert" => held.insert(of, command.get_array("documents").unwrap()),
            "update" => {
                let held = held.documents.entry(of).or_default();
                let mut replaced = 0;
                for update in command.get_array("updates").unwrap().iter().map(|update| update.as_document().unwrap()) {
                    let document = update.get_document("u").unwrap().clone();
                    if update.get_bool("upsert").unwrap_or(false) || held.contains_key(&key(&document)) {
                        held.insert(key(&document), document);
                        replaced += 1;
                    }
                }
                doc! { "ok": 1, "n": replaced }
            }
            "find" => cursor(held.find(&of, command)),
            "collstats" => doc! { "count": held.documents.get(&of).map_or(0, |held| held.len() as i64), "ok": 1 },
            "ping" | "killcursors" | "endsessions" => doc! { "ok": 1 },
            _ => doc! { "ok": 0, "code": 59, "errmsg": format!("no such command: {name}") },
        }
    }
}

impl Held {
    fn create(&mut self, name: String, command: &Document) -> Document {
        let mut options = command.clone();
        for own in ["create", "$db", "lsid", "writeConcern", "apiVersion"] {
            options.remove(own);
        }
        let kind = match (options.contains_key("viewOn"), options.contains_key("timeseries")) {
            (true, _) => "view",
            (_, true) => "timeseries",
            _ => "collection",
        };
        self.indexes.entry(name.clone()).or_default().push(doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" });
        self.collections.insert(name.clone(), doc! { "name": name, "type": kind, "options": options });
        doc! { "ok": 1 }
    }

    fn insert(&mut self, name: String, documents: &[Bson]) -> Document {
        let held = self.documents.entry(name).or_default();
        let mut errors = Vec::new();
        for (index, document) in (0i32..).zip(documents) {
            let document = document.as_document().unwrap();
            match held.entry(key(document)) {
                Entry::Occupied(_) => {
                    errors.push(doc! { "index": index, "code": 11_000, "errmsg": "E11000 duplicate key" });
                    self.write_errors.push(11_000);
                }
                Entry::Vacant(place) => {
                    place.insert(document.clone());
                }
            }
        }
        let written = (documents.len() - errors.len()) as i32;
        if errors.is_empty() {
            doc! { "ok": 1, "n": written }
        } else {
            doc! { "ok": 1, "n": written, "writeErrors": errors }
        }
    }

    fn find(&self, name: &str, command: &Document) -> Vec<Document> {
        let asked = command.get_document("filter").ok().and_then(|filter| filter.get_document("_id").ok());
        let among: Option<Vec<String>> =
            asked.and_then(|id| id.get_array("$in").ok()).map(|ids| ids.iter().map(ToString::to_string).collect());
        let held = self.documents.get(name).into_iter().flatten();
        held.filter(|(id, _)| among.as_ref().is_none_or(|among| among.contains(id))).map(|(_, d)| d.clone()).collect()
    }
}

fn key(document: &Document) -> String {
    document.get("_id").unwrap().to_string()
}

fn cursor(documents: Vec<Document>) -> Document {
    doc! { "cursor": { "id": 0_i64, "ns": "a.b", "firstBatch": documents }, "ok": 1 }
}

/// A unit of its only database.
pub fn unit(collection: &str) -> Unit {
    Unit::collection(Namespace::new("a", collection))
}
