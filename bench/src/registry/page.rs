//! Floods and the replay for people, and the generated section of docs/benchmarks.md.

use std::fmt::{Result, Write};

use super::Outcome;
use super::case::REPORTED;
use super::flood::Flood;
use super::options::Options;
use super::replay::Replay;
use crate::options::Options as WorkOptions;
use crate::table::{DISK, grouped};

pub fn render(options: &Options, outcome: &Outcome) -> String {
    let mut text = String::new();
    write(&mut text, options, outcome).expect("a string takes everything");
    text
}

/// What a terminal shows below the rates.
pub fn floods_and_replay(floods: &[Flood], replay: Option<&Replay>) -> String {
    let mut text = String::new();
    write_floods(&mut text, floods).expect("a string takes everything");
    write_replay(&mut text, replay).expect("a string takes everything");
    text
}

fn write(text: &mut String, options: &Options, outcome: &Outcome) -> Result {
    writeln!(text, "\n{} The load average was {} when it began.", outcome.machine.measured(), outcome.load)?;
    if !outcome.rows.is_empty() {
        writeln!(
            text,
            "Rates: {} s a cell after a warm-up of {} s, medians of {}; reports and reads of {} pipelines.",
            options.seconds,
            WorkOptions::WARM_UP.as_secs(),
            options.repeats,
            grouped(REPORTED as f64)
        )?;
    }
    for probe in outcome.rows.iter().filter(|row| row.system == DISK) {
        let [rate, low, high] = [probe.per_second, probe.per_second_min, probe.per_second_max].map(grouped);
        let probes = probe.repeats;
        writeln!(text, "The disk made {rate} flushes a second in the median of {probes} probes ({low} to {high}).")?;
    }
    writeln!(text, "\n| system | how |\n|---|---|")?;
    for (system, how) in &outcome.systems {
        writeln!(text, "| {system} | {how} |")?;
    }
    if !outcome.rows.is_empty() {
        crate::page::write_rows(text, &outcome.rows)?;
    }
    write_floods(text, &outcome.floods)?;
    write_replay(text, outcome.replay.as_ref())?;
    writeln!(text)
}

fn write_floods(text: &mut String, floods: &[Flood]) -> Result {
    let Some(first) = floods.first() else { return Ok(()) };
    writeln!(
        text,
        "\nFloods of {} pipelines, {:.0} s each, sent by the clock; an event is one of the journal.\n",
        grouped(first.pipelines as f64),
        first.seconds
    )?;
    writeln!(
        text,
        "| flood | by | heartbeats/s | usage reports/s | p50 ms | p99 ms | errors | events | at most by rule 21 | event bytes | snapshots | disk MiB before | after | stale |"
    )?;
    writeln!(text, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    for flood in floods {
        let mib = |bytes: Option<u64>| {
            bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1048576.0))
        };
        writeln!(
            text,
            "| {} | {} | {} | {} | {:.2} | {:.2} | {} | {} | {} | {} | {} | {} | {} | {} |",
            flood.case,
            flood.transport,
            grouped(flood.heartbeats_per_second),
            grouped(flood.usage_reports_per_second),
            flood.p50_ms,
            flood.p99_ms,
            flood.errors,
            grouped(flood.journal_events as f64),
            grouped(flood.journal_events_max as f64),
            grouped(flood.journal_bytes as f64),
            flood.snapshots,
            mib(flood.disk_bytes_before),
            mib(flood.disk_bytes_after),
            flood.stale
        )?;
    }
    Ok(())
}

fn write_replay(text: &mut String, replay: Option<&Replay>) -> Result {
    let Some(replay) = replay else { return Ok(()) };
    writeln!(text, "\n| a server that starts on | events read | log MiB | s until it listens | events/s | peak MiB |")?;
    writeln!(text, "|---|---:|---:|---:|---:|---:|")?;
    writeln!(
        text,
        "| the log alone, {} pipelines | {} | {:.0} | {:.2} | {} | {:.0} |",
        grouped(replay.pipelines as f64),
        grouped(replay.events as f64),
        replay.log_bytes as f64 / 1048576.0,
        replay.seconds,
        grouped(replay.events_per_second),
        replay.peak_mib
    )?;
    writeln!(
        text,
        "| the snapshot taken then, and a tail | {} | – | {:.2} | – | {:.0} |",
        grouped(replay.tail_events as f64),
        replay.restart_seconds,
        replay.restart_peak_mib
    )
}
