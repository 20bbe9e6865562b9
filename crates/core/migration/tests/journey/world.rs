//! What workers would find, and what they would say of it.

use capstan_migration::{Namespace, Stage, UnitId, WorkItem};
use proptest::prelude::*;
use serde_json::json;

/// What workers would find: for each collection the documents of its chunks.
#[derive(Debug)]
pub struct World {
    pub collections: Vec<(String, Vec<u64>)>,
    pub scan: &'static str,
}

impl World {
    pub fn result(&self, item: &WorkItem, missed: bool) -> serde_json::Value {
        let payload: serde_json::Value = serde_json::from_str(&item.payload).unwrap();
        let documents = |unit: UnitId, chunk: u32| self.chunks(unit)[chunk as usize];
        match item.id.as_str().parse::<Stage>().unwrap() {
            Stage::Survey { .. } => json!({"units": self.units(), "scan": self.scan}),
            Stage::Plan(unit) => {
                let chunks = self.chunks(unit).iter().enumerate();
                let chunks: Vec<_> =
                    chunks.map(|(n, documents)| json!({"range": {"n": n}, "documents": documents + 1})).collect();
                json!({ "chunks": chunks })
            }
            Stage::Dump { unit, chunk, generation } => {
                let documents = documents(unit, chunk);
                let part = json!({"name": format!("j/{unit}_{chunk}.g{generation}.t1.s0"), "documents": documents,
                    "bytes": documents * 10, "blocks": 1, "stored_bytes": 7, "checksum": "00"});
                let parts = if documents == 0 { vec![] } else { vec![part] };
                json!({"documents": documents, "bytes": documents * 10, "parts": parts, "marker": "m"})
            }
            Stage::Restore { generation, .. } if missed && generation < 3 => json!({"missed": {"reason": "gone"}}),
            Stage::Restore { .. } => {
                let documents = payload["documents"].as_u64().unwrap();
                let parts: Vec<_> = payload["parts"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|part| part["documents"].as_u64().unwrap())
                    .collect();
                assert_eq!(parts.iter().sum::<u64>(), documents, "the payload carries the dump's facts");
                json!({"restored": {"documents": documents, "bytes": documents * 10}})
            }
            Stage::Copy { unit, chunk } => {
                let documents = documents(unit, chunk);
                json!({"restored": {"documents": documents, "bytes": documents * 10}})
            }
            Stage::Verify(unit) => {
                let (ranges, documents) = (self.chunks(unit).len(), self.chunks(unit).iter().sum::<u64>());
                json!({"verdict": {"mode": "hash", "ranges": ranges, "missing": 0, "extra": 0, "different": 0, "repaired": 0,
                    "compared": {"documents": documents, "bytes": documents * 10}}})
            }
            Stage::Index(_) | Stage::Finish | Stage::Sweep | Stage::Abandon => json!({}),
        }
    }

    pub fn units(&self) -> Vec<serde_json::Value> {
        let unit = |(name, _): &(String, Vec<u64>)| json!({"source": {"database": "shop", "collection": name}, "definition": {}, "documents": 3, "bytes": 30});
        self.collections.iter().map(unit).collect()
    }

    pub fn chunks(&self, unit: UnitId) -> &[u64] {
        let of = |name: &str| UnitId::of(&Namespace::new("shop", name));
        &self.collections.iter().find(|(name, _)| of(name) == unit).unwrap().1
    }

    /// As plans guess: one more in each chunk than there is.
    pub fn planned(&self) -> u64 {
        self.documents() + self.collections.iter().map(|(_, chunks)| chunks.len() as u64).sum::<u64>()
    }

    /// One for each chunk that has documents.
    pub fn parts(&self) -> usize {
        self.collections.iter().flat_map(|(_, chunks)| chunks).filter(|documents| **documents > 0).count()
    }

    pub fn documents(&self) -> u64 {
        self.collections.iter().flat_map(|(_, chunks)| chunks).sum()
    }
}

pub fn world() -> impl Strategy<Value = World> {
    let chunks = prop::collection::vec(0_u64..50, 0..5);
    let scan = prop_oneof![Just("after_unit"), Just("after_job"), Just("never")];
    (prop::collection::vec(chunks, 1..4), scan).prop_map(|(collections, scan)| World {
        collections: collections.into_iter().enumerate().map(|(n, chunks)| (format!("c{n}"), chunks)).collect(),
        scan,
    })
}

pub const SHOP: &str = "from = 'dump:a'\nto = 'dump:b'";

pub fn shop() -> World {
    World { collections: vec![("orders".into(), vec![5, 3])], scan: "after_unit" }
}
