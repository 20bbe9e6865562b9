//! The generated section of a page: results with their date, machine and conditions.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::options::Options;
use crate::rounds::Outcome;
use crate::row::{PAYLOAD_BYTES, Row};
use crate::table::{DISK, blocks, grouped};

/// Writes the section that a benchmark has on a page, between its markers, and nothing else of the page.
pub fn save(file: &Path, benchmark: &str, section: &str) -> Result<()> {
    let page = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let page = replaced(&page, benchmark, section)
        .with_context(|| format!("{} lacks the lines {} and {}", file.display(), begin(benchmark), end(benchmark)))?;
    fs::write(file, page).with_context(|| format!("write {}", file.display()))
}

fn begin(benchmark: &str) -> String {
    format!("<!-- begin: cargo xtask bench {benchmark} --save -->")
}

fn end(benchmark: &str) -> String {
    format!("<!-- end: cargo xtask bench {benchmark} --save -->")
}

fn replaced(page: &str, benchmark: &str, section: &str) -> Option<String> {
    let (begin, end) = (begin(benchmark), end(benchmark));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{section}{end}{after}"))
}

pub fn render(options: &Options, outcome: &Outcome) -> String {
    let mut text = String::new();
    write(&mut text, options, outcome).expect("a string takes everything");
    text
}

fn write(text: &mut String, options: &Options, outcome: &Outcome) -> std::fmt::Result {
    writeln!(text, "\n{}", outcome.machine.measured())?;
    writeln!(
        text,
        "{} bytes of payload, {} s a cell after a warm-up of {} s, medians of {}.",
        PAYLOAD_BYTES,
        options.seconds,
        Options::WARM_UP.as_secs(),
        options.repeats
    )?;
    for probe in outcome.rows.iter().filter(|row| row.system == DISK) {
        writeln!(
            text,
            "The disk made {} flushes a second in the median of {} probes between the rounds ({} to {}).",
            grouped(probe.per_second),
            probe.repeats,
            grouped(probe.per_second_min),
            grouped(probe.per_second_max)
        )?;
    }
    writeln!(text, "\n| system | how |\n|---|---|")?;
    for (system, how) in &outcome.systems {
        writeln!(text, "| {system} | {how} |")?;
    }
    write_rows(text, &outcome.rows)?;
    if !outcome.failures.is_empty() {
        writeln!(text, "\nNot measured:\n")?;
        for failure in &outcome.failures {
            writeln!(text, "- {failure}")?;
        }
    }
    writeln!(text)
}

/// The table of rates, block by block.
pub fn write_rows(text: &mut String, rows: &[Row]) -> std::fmt::Result {
    writeln!(
        text,
        "\n| case | in flight | clients | system | by | per second (lowest to highest) | p50 ms | p99 ms | ratio to the best peer | errors |\n|---|---:|---:|---|---|---:|---:|---:|---:|---:|"
    )?;
    for block in blocks(rows) {
        for row in &block.rows {
            let ratio = block.ratio(row).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            let (rate, low, high) = (grouped(row.per_second), grouped(row.per_second_min), grouped(row.per_second_max));
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {rate} ({low} to {high}) | {:.2} | {:.2} | {ratio} | {} |",
                row.case, row.in_flight, row.clients, row.system, row.transport, row.p50_ms, row.p99_ms, row.errors
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_markers_is_replaced() {
        let (begin, end) = (begin("work"), end("work"));
        let page = format!("# Title\n{begin}\nold\n{end}\nrest\n");

        let page = replaced(&page, "work", "new\n").unwrap();

        assert_eq!(page, format!("# Title\n{begin}\nnew\n{end}\nrest\n"));
        assert_eq!(replaced(&page, "migrate", "new\n"), None);
    }
}
