//! What the driver's `insert_many` costs beside the raw commands of this crate: wall time and this process's own CPU.
//!
//! `cargo run --release -p capstan-mongodb --example insert_cost -- mongodb://127.0.0.1:27017`

use std::time::{Duration, Instant};

use bson::{Document, RawDocumentBuf, doc};
use capstan_endpoint::{Adapter, Batch, Cursor, EndpointUrl, Namespace, PartKey, Unit, WriteMode, WritePlan};
use capstan_mongodb::MongoAdapter;
use mongodb::Client;

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let url = std::env::args().nth(1).ok_or("name a server: mongodb://HOST:PORT")?;
    let client = Client::with_uri_str(&url).await?;
    client.database("insert_cost").drop().await?;
    println!("bytes  documents  way          wall ms   cpu ms");
    // Not every server takes it well to drop what is not there.
    let mut began_before = false;
    for (filler, documents) in [(150, 100_000), (950, 40_000)] {
        let batches = batches(filler, documents)?;
        let bytes = batches[0][0].as_bytes().len();
        for _ in 0..ROUNDS {
            let collection = client.database("insert_cost").collection::<RawDocumentBuf>("driver");
            if began_before {
                collection.drop().await?;
            }
            began_before = true;
            let began = Began::now()?;
            for batch in &batches {
                collection.insert_many(batch).ordered(false).await?;
            }
            began.tell(bytes, documents, "insert_many")?;

            let began = raw(&url, &batches).await?;
            began.tell(bytes, documents, "raw command")?;
        }
    }
    client.database("insert_cost").drop().await?;
    Ok(())
}

fn batches(filler: usize, documents: usize) -> Result<Vec<Vec<RawDocumentBuf>>, Failure> {
    let one = |n: usize| -> Document {
        doc! { "_id": n as i64, "name": "a name", "price": 9.5, "tags": ["a", "b"], "filler": "x".repeat(filler) }
    };
    let all = (0..documents).map(|n| RawDocumentBuf::try_from(&one(n))).collect::<Result<Vec<_>, _>>()?;
    Ok(all.chunks(1_000).map(<[_]>::to_vec).collect())
}

/// The same by this crate's sink, whose batches are bytes back to back, as they come from a source or a spool.
async fn raw(url: &str, batches: &[Vec<RawDocumentBuf>]) -> Result<Began, Failure> {
    let url: EndpointUrl = url.parse()?;
    let sink = MongoAdapter.sink(&url, "insert_cost").await?;
    let unit = Unit::collection(Namespace::new("insert_cost", "raw"));
    sink.prepare(&unit, &WritePlan { mode: WriteMode::Overwrite, ..WritePlan::default() }).await?;
    let batches: Vec<Batch> = batches
        .iter()
        .map(|batch| Batch {
            bytes: batch.iter().flat_map(|document| document.as_bytes()).copied().collect::<Vec<u8>>().into(),
            documents: u32::try_from(batch.len()).expect("a thousand"),
            cursor: Cursor(serde_json::Value::Null),
        })
        .collect();
    let mut writer = sink.open_chunk(&unit, &PartKey { chunk: 0, generation: 0, token: 1 }, None).await?;
    let began = Began::now()?;
    for batch in batches {
        writer.write(batch).await?;
    }
    writer.seal().await?;
    Ok(began)
}

struct Began {
    wall: Instant,
    cpu: Duration,
}

impl Began {
    fn now() -> Result<Self, Failure> {
        Ok(Self { wall: Instant::now(), cpu: cpu()? })
    }

    fn tell(&self, bytes: usize, documents: usize, way: &str) -> Result<(), Failure> {
        let (wall, cpu) = (self.wall.elapsed().as_millis(), (cpu()? - self.cpu).as_millis());
        println!("{bytes:>5}  {documents:>9}  {way:<11}  {wall:>7}  {cpu:>7}");
        Ok(())
    }
}

/// The processor time of this process so far, in the hundredths of a second that Linux counts in.
fn cpu() -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().ok_or("no fields")?.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(Duration::from_millis(ticks * 10))
}
