//! What the disk can do at this moment: one small record, one flush, again and again.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use crate::row::{PAYLOAD_BYTES, Row};

/// The file is written over and never grows, so that a flush carries the record and nothing of the file system.
const FILE_BYTES: u64 = 1024 * 1024;
const LENGTH: Duration = Duration::from_millis(500);

pub fn run(folder: &Path) -> Result<Row> {
    let path = folder.join("probe");
    let outcome = flush_again_and_again(&path).with_context(|| format!("probe the disk with {}", path.display()));
    fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    outcome
}

fn flush_again_and_again(path: &Path) -> Result<Row> {
    let file = File::create(path)?;
    file.write_all_at(&vec![0; usize::try_from(FILE_BYTES)?], 0)?;
    file.sync_all()?;

    let record = [b'x'; PAYLOAD_BYTES];
    let mut latency_us = Histogram::<u64>::new(3)?;
    let mut at = 0;
    let start = Instant::now();
    while start.elapsed() < LENGTH {
        let began = Instant::now();
        file.write_all_at(&record, at)?;
        file.sync_data()?;
        latency_us.saturating_record(u64::try_from(began.elapsed().as_micros())?.max(1));
        at = (at + PAYLOAD_BYTES as u64) % FILE_BYTES;
    }
    let per_second = latency_us.len() as f64 / start.elapsed().as_secs_f64();
    Ok(Row {
        system: "disk".to_owned(),
        case: "fdatasync".to_owned(),
        transport: "file".to_owned(),
        clients: 1,
        in_flight: 1,
        durability: "before_ack".to_owned(),
        per_second,
        p50_ms: latency_us.value_at_quantile(0.5) as f64 / 1000.0,
        p99_ms: latency_us.value_at_quantile(0.99) as f64 / 1000.0,
        errors: 0,
        repeats: 1,
        per_second_min: per_second,
        per_second_max: per_second,
    })
}
