//! How many appends a second a Cassandra keeps: one commit of 1, 100 or 1000 events of 200 bytes each.
//!
//! `cargo run --release -p capstan-journal-cassandra --example cassandra_append_rate cassandra://127.0.0.1:9042/capstan`
//!
//! Each size is measured for three seconds, in a log of its own that is left there.

use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{Append, Commit, Journal};
use capstan_journal_cassandra::{CassandraJournal, CassandraOptions};
use std::time::{Duration, Instant};

const EVENT_BYTES: usize = 200;
const MEASURED: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "cassandra://127.0.0.1:9042/capstan_rate".to_owned());
    let stream = StreamName::new("work/measured")?;
    println!("{:>6} {:>10} {:>12} {:>8} {:>12} {:>12}", "events", "commits/s", "events/s", "MB/s", "median", "slowest");
    for events in [1_u64, 100, 1000] {
        let mut journal = CassandraJournal::connect(&format!("{url}?log=rate_{events}"), CassandraOptions::default())?;
        if events == 1 {
            println!("{:?}", journal.durability());
        }
        let tail = journal.tail()?;
        let (epoch, begun, mut position) = (tail.epoch.next(), tail.next, tail.next);
        let (mut commit, mut took) = (Commit::default(), Vec::new());
        let started = Instant::now();
        while started.elapsed() < MEASURED {
            commit.restart(WallTime(took.len() as i64));
            for _ in 0..events {
                commit.push(&stream, |bytes| bytes.extend_from_slice(&[7; EVENT_BYTES]));
            }
            let asked = Instant::now();
            match journal.append(epoch, position, &commit) {
                Append::Committed => took.push(asked.elapsed()),
                other => return Err(format!("an append was not committed: {other:?}").into()),
            }
            position = position.plus(events);
        }
        let seconds = started.elapsed().as_secs_f64();
        let commits = took.len() as f64 / seconds;
        took.sort();
        println!(
            "{events:>6} {commits:>10.0} {:>12.0} {:>8.1} {:>12.1?} {:>12.1?}",
            commits * events as f64,
            commits * (events * EVENT_BYTES as u64) as f64 / 1e6,
            took[took.len() / 2],
            took[took.len() - 1],
        );
        read_back(url.as_str(), events, begun, epoch)?;
    }
    Ok(())
}

/// Opens the log anew and reads what was appended.
fn read_back(url: &str, events: u64, from: Position, epoch: Epoch) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let journal = CassandraJournal::connect(&format!("{url}?log=rate_{events}"), CassandraOptions::default())?;
    let opened = started.elapsed();
    let mut read = 0;
    for recorded in journal.read(from)? {
        let recorded = recorded?;
        assert_eq!(recorded.epoch, epoch);
        read += recorded.commit.events();
    }
    println!("{:>6} opened in {opened:.1?}, {read} events read in {:.1?}", "", started.elapsed() - opened);
    Ok(())
}
