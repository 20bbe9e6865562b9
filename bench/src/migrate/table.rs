//! Results for people at a terminal.

use std::fmt::Write;

use super::row::Row;
use crate::table::grouped;

/// A ratio, or a dash where there is nothing to compare with.
pub fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
}

pub fn render(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 12]| {
        let [data, target, way, wall, cpu, memory, documents, bytes, to_loop, to_tools, cpu_to_tools, servers] = cells;
        writeln!(
            text,
            "{data:<7}{target:<8}{way:<26}{wall:>8}{cpu:>8}{memory:>10}{documents:>12}{bytes:>8}{to_loop:>9}{to_tools:>10}{cpu_to_tools:>14}{servers:>9}"
        )
        .expect("a string takes everything");
    };
    line([
        "data",
        "to",
        "way",
        "wall s",
        "cpu s",
        "peak MiB",
        "documents/s",
        "MB/s",
        "to loop",
        "to tools",
        "cpu to tools",
        "servers",
    ]);
    for row in rows {
        line([
            &row.data,
            &row.target,
            &row.way,
            &format!("{:.2}", row.wall_s),
            &format!("{:.2}", row.cpu_s),
            &format!("{:.0}", row.peak_mib),
            &grouped(row.documents_per_s),
            &format!("{:.1}", row.bytes_per_s / 1e6),
            &ratio(row.wall_to_loop),
            &ratio(row.wall_to_tools),
            &ratio(row.cpu_to_tools),
            &format!("{:.0} %", row.server_share() * 100.0),
        ]);
    }
    text
}
