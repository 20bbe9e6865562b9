//! How many commits a second a PostgreSQL makes durable: of 1, 100 and 1000 events of 200 bytes each, and how fast they
//! are read back. Twelve seconds, in a schema of its own that it drops afterwards.
//!
//! `cargo run --release -p capstan-journal-postgres --example postgres_append_rate postgres://USER@HOST:PORT/DATABASE`

use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{Append, Commit, Journal};
use capstan_journal_postgres::{PostgresJournal, PostgresOptions};
use std::time::{Duration, Instant};

const EVENT_BYTES: usize = 200;
const MEASURED: Duration = Duration::from_secs(4);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("expected postgres://USER@HOST:PORT/DATABASE as the only argument")?;
    let and = if url.contains('?') { '&' } else { '?' };
    let stream = StreamName::new("work/measured")?;
    println!(
        "{:>6} {:>10} {:>10} {:>8} {:>8} {:>8} {:>12}",
        "events", "commits/s", "events/s", "MB/s", "p50 µs", "p99 µs", "read, ev/s"
    );
    for events in [1_u64, 100, 1_000] {
        let schema = format!("append_rate_{}_{events}", std::process::id());
        let mut journal = PostgresJournal::connect(&format!("{url}{and}schema={schema}"), PostgresOptions::default())?;
        let mut commit = Commit::default();
        let (mut position, mut took) = (journal.tail()?.next, Vec::new());
        let started = Instant::now();
        while started.elapsed() < MEASURED {
            commit.restart(WallTime(took.len() as i64));
            for _ in 0..events {
                commit.push(&stream, |bytes| bytes.extend_from_slice(&[7; EVENT_BYTES]));
            }
            let began = Instant::now();
            match journal.append(Epoch::new(1), position, &commit) {
                Append::Committed => {}
                other => return Err(format!("an append was not committed: {other:?}").into()),
            }
            took.push(began.elapsed().as_micros());
            position = position.plus(events);
        }
        let commits = took.len() as f64 / started.elapsed().as_secs_f64();
        let rate = commits * events as f64;
        took.sort_unstable();
        let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);

        let (started, mut read) = (Instant::now(), 0);
        for recorded in journal.read(Position::new(1))? {
            read += recorded?.commit.events();
        }
        let read = read as f64 / started.elapsed().as_secs_f64();
        let megabytes = rate * EVENT_BYTES as f64 / 1e6;
        println!("{events:>6} {commits:>10.0} {rate:>10.0} {megabytes:>8.1} {half:>8} {most:>8} {read:>12.0}");
        drop(journal);
        drop_schema(&url, &schema)?;
    }
    Ok(())
}

fn drop_schema(url: &str, schema: &str) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await?)
    })
}
