//! One move, as it is printed; and the median of several.

use serde::Serialize;

use super::data::Filled;
use super::metered::Used;
use super::ways::{PLAIN_LOOP, TOOLS};

/// A row of results. The fields are what scripts read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub way: String,
    pub target: String,
    pub data: String,
    /// As counted at the target; as many as there are at the source.
    pub documents: u64,
    pub wall_s: f64,
    pub wall_s_min: f64,
    pub wall_s_max: f64,
    pub cpu_s: f64,
    pub peak_mib: f64,
    pub documents_per_s: f64,
    pub bytes_per_s: f64,
    /// Processor time of both servers meanwhile.
    pub server_cpu_s: f64,
    pub rounds: usize,
    /// Wall time and processor time against the plain loop's and the tools', where those were measured.
    pub wall_to_loop: Option<f64>,
    pub wall_to_tools: Option<f64>,
    pub cpu_to_tools: Option<f64>,
    #[serde(skip)]
    bytes: u64,
}

impl Row {
    pub fn of(way: &str, target: &str, data: &str, filled: Filled, used: &Used) -> Self {
        Self {
            way: way.to_owned(),
            target: target.to_owned(),
            data: data.to_owned(),
            documents: filled.documents,
            wall_s: used.wall_s,
            wall_s_min: used.wall_s,
            wall_s_max: used.wall_s,
            cpu_s: used.cpu_s,
            peak_mib: used.peak_mib,
            documents_per_s: 0.0,
            bytes_per_s: 0.0,
            server_cpu_s: used.server_cpu_s,
            rounds: 1,
            wall_to_loop: None,
            wall_to_tools: None,
            cpu_to_tools: None,
            bytes: filled.bytes,
        }
    }

    fn is_beside(&self, other: &Self) -> bool {
        self.target == other.target && self.data == other.data
    }

    /// The servers' part of all processor time that was used.
    pub fn server_share(&self) -> f64 {
        self.server_cpu_s / (self.server_cpu_s + self.cpu_s).max(f64::MIN_POSITIVE)
    }
}

/// One row for each thing measured, by target and data in the order in which they were first measured, with ratios.
pub fn medians(rows: &[Row]) -> Vec<Row> {
    let mut medians: Vec<Row> = Vec::new();
    for row in rows {
        if medians.iter().any(|there| there.way == row.way && there.is_beside(row)) {
            continue;
        }
        let same: Vec<&Row> = rows.iter().filter(|other| other.way == row.way && other.is_beside(row)).collect();
        let of = |figure: fn(&Row) -> f64| crate::row::median(same.iter().map(|row| figure(row)).collect());
        let wall_s = of(|row| row.wall_s);
        medians.push(Row {
            wall_s,
            wall_s_min: same.iter().map(|row| row.wall_s).fold(f64::INFINITY, f64::min),
            wall_s_max: same.iter().map(|row| row.wall_s).fold(0.0, f64::max),
            cpu_s: of(|row| row.cpu_s),
            peak_mib: of(|row| row.peak_mib),
            server_cpu_s: of(|row| row.server_cpu_s),
            documents_per_s: row.documents as f64 / wall_s,
            bytes_per_s: row.bytes as f64 / wall_s,
            rounds: same.len(),
            ..row.clone()
        });
    }
    medians.sort_by_key(|row| {
        let first = rows.iter().position(|first| first.is_beside(row));
        // The two that others are compared with frame them.
        (
            first,
            match row.way.as_str() {
                PLAIN_LOOP => 0,
                TOOLS => 2,
                _ => 1,
            },
        )
    });
    let peer = |row: &Row, way: &str| medians.iter().find(|peer| peer.way == way && peer.is_beside(row)).cloned();
    medians
        .iter()
        .map(|row| {
            let (plain, tools) = (peer(row, PLAIN_LOOP), peer(row, TOOLS));
            Row {
                wall_to_loop: plain.map(|plain| row.wall_s / plain.wall_s),
                wall_to_tools: tools.as_ref().map(|tools| row.wall_s / tools.wall_s),
                cpu_to_tools: tools.map(|tools| row.cpu_s / tools.cpu_s.max(0.01)),
                ..row.clone()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(way: &str, target: &str, wall_s: f64, cpu_s: f64) -> Row {
        let used = Used { wall_s, cpu_s, peak_mib: 10.0, server_cpu_s: 3.0 };
        Row::of(way, target, "small", Filled { documents: 100, bytes: 1_000 }, &used)
    }

    #[test]
    fn ratios_are_of_medians_at_the_same_target() {
        let rows = [
            row(TOOLS, "a", 4.0, 2.0),
            row("capstan direct", "a", 9.0, 0.5),
            row(PLAIN_LOOP, "a", 2.0, 0.25),
            row("capstan direct", "a", 3.0, 0.5),
            row("capstan direct", "a", 2.0, 1.0),
            row("capstan direct", "b", 1.0, 1.0),
        ];

        let medians = medians(&rows);

        let ways: Vec<&str> = medians.iter().map(|row| row.way.as_str()).collect();
        assert_eq!(ways, [PLAIN_LOOP, "capstan direct", TOOLS, "capstan direct"]);
        let direct = &medians[1];
        assert_eq!((direct.wall_s, direct.wall_s_min, direct.wall_s_max, direct.rounds), (3.0, 2.0, 9.0, 3));
        assert_eq!(
            (direct.wall_to_loop, direct.wall_to_tools, direct.cpu_to_tools),
            (Some(1.5), Some(0.75), Some(0.25))
        );
        assert_eq!((direct.documents_per_s, direct.bytes_per_s), (100.0 / 3.0, 1_000.0 / 3.0));
        assert_eq!(medians[3].wall_to_loop, None, "nothing to compare with");
    }
}
