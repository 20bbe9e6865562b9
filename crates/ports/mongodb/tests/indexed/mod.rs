//! A server that honours index bounds: as much of the wire protocol as reading takes, over one collection in the order of
//! its `_id`s. No server that tests can have does that, and most that people have do.

mod order;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bson::{Bson, Document, doc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub use order::compare;

const OP_QUERY: i32 = 2004;
const OP_REPLY: i32 = 1;
const OP_MSG: i32 = 2013;

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
    pub async fn serve(mut ids: Vec<Bson>, samples: bool, forgets_after: usize) -> (String, Arc<Self>) {
        ids.sort_by(compare);
        ids.dedup_by(|one, other| compare(one, other).is_eq());
        let server = Arc::new(Self { ids, samples, forgets_after, cursors: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mongodb://{}", listener.local_addr().unwrap());
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().talk(stream));
            }
        });
        (url, server)
    }

    async fn talk(self: Arc<Self>, mut stream: TcpStream) {
        let mut header = [0; 16];
        while stream.read_exact(&mut header).await.is_ok() {
            let field = |at: usize| i32::from_le_bytes(header[at..at + 4].try_into().unwrap());
            let (length, request, code) = (field(0), field(4), field(12));
            let mut body = vec![0; length as usize - 16];
            stream.read_exact(&mut body).await.unwrap();
            let answer = match code {
                OP_QUERY => {
                    let name = body[4..].iter().position(|byte| *byte == 0).unwrap();
                    let answer = self.answer(&Document::from_reader(&body[4 + name + 1 + 8..]).unwrap());
                    let fixed: Vec<u8> = [0; 16].into_iter().chain(1i32.to_le_bytes()).collect();
                    (OP_REPLY, [fixed, answer.to_vec().unwrap()].concat())
                }
                OP_MSG => {
                    let answer = self.answer(&Document::from_reader(&body[5..]).unwrap());
                    (OP_MSG, [vec![0; 5], answer.to_vec().unwrap()].concat())
                }
                other => panic!("an unknown message: {other}"),
            };
            let length = i32::try_from(answer.1.len() + 16).unwrap();
            let head = [length, 0, request, answer.0].map(i32::to_le_bytes).concat();
            stream.write_all(&[head, answer.1].concat()).await.unwrap();
        }
    }

    fn answer(&self, command: &Document) -> Document {
        let (name, of) = command.iter().next().unwrap();
        match name.to_lowercase().as_str() {
            "hello" | "ismaster" => doc! {
                "ismaster": true, "isWritablePrimary": true, "maxBsonObjectSize": 16 << 20,
                "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "maxWireVersion": 21,
                "minWireVersion": 0, "ok": 1,
            },
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
