//! The generated section of a page: results with their date, machine and conditions.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::options::Options;
use crate::rounds::Outcome;
use crate::row::PAYLOAD_BYTES;
use crate::table::{DISK, blocks, grouped};

const BEGIN: &str = "<!-- begin: cargo xtask bench work --save -->";
const END: &str = "<!-- end: cargo xtask bench work --save -->";

/// Writes the section between the markers of a page, and nothing else of the page.
pub fn save(file: &Path, section: &str) -> Result<()> {
    let page = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let page =
        replaced(&page, section).with_context(|| format!("{} lacks the lines {BEGIN} and {END}", file.display()))?;
    fs::write(file, page).with_context(|| format!("write {}", file.display()))
}

fn replaced(page: &str, section: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{section}{END}{after}"))
}

pub fn render(options: &Options, outcome: &Outcome) -> String {
    let mut text = String::new();
    write(&mut text, options, outcome).expect("a string takes everything");
    text
}

fn write(text: &mut String, options: &Options, outcome: &Outcome) -> std::fmt::Result {
    let machine = &outcome.machine;
    writeln!(
        text,
        "\nMeasured on {}: {}, {} cores shared by client and server, {} GiB, Linux {}, {}.",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.kernel,
        machine.file_system
    )?;
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
    writeln!(
        text,
        "\n| case | in flight | clients | system | by | per second (lowest to highest) | p50 ms | p99 ms | ratio to the best peer | errors |\n|---|---:|---:|---|---|---:|---:|---:|---:|---:|"
    )?;
    for block in blocks(&outcome.rows) {
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
    if !outcome.failures.is_empty() {
        writeln!(text, "\nNot measured:\n")?;
        for failure in &outcome.failures {
            writeln!(text, "- {failure}")?;
        }
    }
    writeln!(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_markers_is_replaced() {
        let page = format!("# Title\n{BEGIN}\nold\n{END}\nrest\n");

        let page = replaced(&page, "new\n").unwrap();

        assert_eq!(page, format!("# Title\n{BEGIN}\nnew\n{END}\nrest\n"));
        assert_eq!(replaced("# Title\n", "new"), None);
    }
}
