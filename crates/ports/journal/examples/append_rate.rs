//! How many appends a second reach the disk: one commit of 1, 8, 64 or 512 events of 200 bytes each.
//!
//! `cargo run --release -p capstan-journal --example append_rate [directory]`

use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{Append, Commit, EmbeddedJournal, EmbeddedOptions, Journal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const EVENT_BYTES: usize = 200;
const MEASURED: Duration = Duration::from_secs(3);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/append_rate"), PathBuf::from);
    let stream = StreamName::new("work/measured")?;
    println!("{:>6} {:>12} {:>14} {:>10}", "batch", "appends/s", "events/s", "MB/s");
    for batch in [1_u64, 8, 64, 512] {
        let dir = dir.join(batch.to_string());
        std::fs::create_dir_all(&dir)?;
        std::fs::remove_dir_all(&dir)?;
        let mut journal = EmbeddedJournal::open(&dir, EmbeddedOptions::default())?;
        let mut commit = Commit::default();
        let (mut position, mut appends) = (journal.tail()?.next, 0_u64);
        let started = Instant::now();
        while started.elapsed() < MEASURED {
            commit.restart(WallTime(appends as i64));
            for _ in 0..batch {
                commit.push(&stream, |b| b.extend_from_slice(&[7; EVENT_BYTES]));
            }
            match journal.append(Epoch::new(1), position, &commit) {
                Append::Committed => {}
                other => return Err(format!("an append was not committed: {other:?}").into()),
            }
            position = position.plus(batch);
            appends += 1;
        }
        let seconds = started.elapsed().as_secs_f64();
        let events = (appends * batch) as f64 / seconds;
        println!(
            "{batch:>6} {:>12.0} {events:>14.0} {:>10.1}",
            appends as f64 / seconds,
            events * EVENT_BYTES as f64 / 1e6
        );

        drop(journal);
        let started = Instant::now();
        let journal = EmbeddedJournal::open(&dir, EmbeddedOptions::default())?;
        let opened = started.elapsed();
        let mut read = 0;
        for recorded in journal.read(Position::new(1))? {
            read += recorded?.commit.events();
        }
        println!("{:>6} {read} events opened in {opened:.1?}, opened and read in {:.1?}", "", started.elapsed());
        drop(journal);
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}
