//! As much of the wire protocol as a server of a test takes: what it answers is the test's affair.

use bson::Document;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const OP_QUERY: i32 = 2004;
const OP_REPLY: i32 = 1;
const OP_MSG: i32 = 2013;

/// A server on a free port, which goes when this is dropped: nothing listens there any more, and open connections end.
pub struct Serving {
    pub url: String,
    task: JoinHandle<()>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers commands by a function; without an answer the connection is closed.
pub async fn serve<F>(answer: F) -> Serving
where
    F: Fn(&Document) -> Option<Document> + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mongodb://{}/?serverSelectionTimeoutMS=2000", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut talks = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            talks.spawn(talk(stream, answer.clone()));
        }
    });
    Serving { url, task }
}

async fn talk(mut stream: TcpStream, answer: impl Fn(&Document) -> Option<Document>) {
    let mut header = [0; 16];
    while stream.read_exact(&mut header).await.is_ok() {
        let field = |at: usize| i32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        let (length, request, code) = (field(0), field(4), field(12));
        let mut body = vec![0; length as usize - 16];
        stream.read_exact(&mut body).await.unwrap();
        let (code, command, before) = match code {
            OP_QUERY => {
                let name = body[4..].iter().position(|byte| *byte == 0).unwrap();
                let fixed: Vec<u8> = [0; 16].into_iter().chain(1i32.to_le_bytes()).collect();
                (OP_REPLY, &body[4 + name + 1 + 8..], fixed)
            }
            OP_MSG => (OP_MSG, &body[5..], vec![0; 5]),
            other => panic!("an unknown message: {other}"),
        };
        let Some(answer) = answer(&Document::from_reader(command).unwrap()) else { return };
        let answer = [before, answer.to_vec().unwrap()].concat();
        let length = i32::try_from(answer.len() + 16).unwrap();
        let head = [length, 0, request, code].map(i32::to_le_bytes).concat();
        if stream.write_all(&[head, answer].concat()).await.is_err() {
            return;
        }
    }
}

/// What a server says of itself.
pub fn hello() -> Document {
    bson::doc! {
        "ismaster": true, "isWritablePrimary": true, "maxBsonObjectSize": 16 << 20, "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000, "maxWireVersion": 21, "minWireVersion": 0, "ok": 1,
    }
}
