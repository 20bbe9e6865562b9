//! The generated section of docs/benchmarks.md.

use std::fmt::Write;

use super::Outcome;
use super::data::DATA;
use super::options::Options;
use super::table::ratio;
use crate::table::grouped;

pub fn render(options: &Options, outcome: &Outcome) -> String {
    let mut text = String::new();
    write(&mut text, options, outcome).expect("a string takes everything");
    text
}

fn write(text: &mut String, options: &Options, outcome: &Outcome) -> std::fmt::Result {
    writeln!(text, "\n{} Medians of {} rounds.\n", outcome.machine.measured(), options.rounds)?;
    writeln!(text, "| way | what it is |\n|---|---|")?;
    for way in &outcome.ways {
        writeln!(text, "| {} | {} |", escaped(way.name()), escaped(way.about()))?;
    }
    for data in DATA.iter().filter(|data| options.has(data.name)) {
        for target in &options.targets {
            let rows: Vec<_> =
                outcome.rows.iter().filter(|row| row.data == data.name && row.target == target.name).collect();
            let Some(first) = rows.first() else { continue };
            writeln!(
                text,
                "\n**{} {}, {} to {}**\n",
                grouped(first.documents as f64),
                data.about,
                options.source.name,
                target.name
            )?;
            writeln!(
                text,
                "| way | wall s (least to most) | its CPU s | peak MiB | documents/s | MB/s | wall to the loop's | wall to the tools' | CPU to the tools' | servers' part of all CPU |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
            )?;
            for row in rows {
                writeln!(
                    text,
                    "| {} | {:.2} ({:.2} to {:.2}) | {:.2} | {:.0} | {} | {:.1} | {} | {} | {} | {:.0} % |",
                    escaped(&row.way),
                    row.wall_s,
                    row.wall_s_min,
                    row.wall_s_max,
                    row.cpu_s,
                    row.peak_mib,
                    grouped(row.documents_per_s),
                    row.bytes_per_s / 1e6,
                    ratio(row.wall_to_loop),
                    ratio(row.wall_to_tools),
                    ratio(row.cpu_to_tools),
                    row.server_share() * 100.0
                )?;
            }
        }
    }
    writeln!(text)
}

/// A bar would end a cell.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}
