//! Results for people: a block for each case and number of requests in flight, with ratios.

use std::fmt::Write;

use crate::row::Row;

pub const CAPSTAN: &str = "capstan";
pub const DISK: &str = "disk";

/// The rows that may be compared with each other.
pub struct Block<'a> {
    pub case: &'a str,
    pub in_flight: usize,
    pub rows: Vec<&'a Row>,
}

impl Block<'_> {
    /// How a row's rate compares with the best of the peers that leave no flush for later.
    pub fn ratio(&self, row: &Row) -> Option<f64> {
        let peers = self.rows.iter().filter(|row| row.system != CAPSTAN && row.durability != "later");
        let best = peers.map(|row| row.per_second).fold(0.0, f64::max);
        (best > 0.0).then(|| row.per_second / best)
    }
}

/// Results by case and requests in flight; the probes of the disk are apart.
pub fn blocks(rows: &[Row]) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for row in rows.iter().filter(|row| row.system != DISK) {
        match blocks.iter_mut().find(|block| block.case == row.case && block.in_flight == row.in_flight) {
            Some(block) => block.rows.push(row),
            None => blocks.push(Block { case: &row.case, in_flight: row.in_flight, rows: vec![row] }),
        }
    }
    let order = rows.iter().map(|row| row.case.as_str()).collect::<Vec<_>>();
    blocks.sort_by_key(|block| (order.iter().position(|case| *case == block.case), block.in_flight));
    blocks
}

/// The table that a terminal shows.
pub fn render(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 10]| {
        let [case, in_flight, clients, system, transport, rate, p50, p99, ratio, errors] = cells;
        writeln!(
            text,
            "{case:<22}{in_flight:>9}{clients:>9}  {system:<11}{transport:<9}{rate:>11}{p50:>9}{p99:>9}{ratio:>8}{errors:>8}"
        )
        .expect("a string takes everything");
    };
    line(["case", "in flight", "clients", "system", "by", "per second", "p50 ms", "p99 ms", "ratio", "errors"]);
    for block in blocks(rows) {
        for row in &block.rows {
            let ratio = block.ratio(row).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
            line([
                block.case,
                &block.in_flight.to_string(),
                &row.clients.to_string(),
                &row.system,
                &row.transport,
                &grouped(row.per_second),
                &format!("{:.2}", row.p50_ms),
                &format!("{:.2}", row.p99_ms),
                &ratio,
                &row.errors.to_string(),
            ]);
        }
    }
    for probe in rows.iter().filter(|row| row.system == DISK) {
        let (low, median, high) =
            (grouped(probe.per_second_min), grouped(probe.per_second), grouped(probe.per_second_max));
        writeln!(text, "\ndisk: {median} flushes a second, {low} to {high} over {} probes", probe.repeats)
            .expect("a string takes everything");
    }
    text
}

/// A rate without decimals, in groups of three.
pub fn grouped(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(system: &str, in_flight: usize, per_second: f64) -> Row {
        Row {
            system: system.to_owned(),
            case: "enqueue".to_owned(),
            transport: "x".to_owned(),
            clients: in_flight,
            in_flight,
            durability: "before_ack".to_owned(),
            per_second,
            p50_ms: 1.0,
            p99_ms: 2.0,
            errors: 0,
            repeats: 1,
            per_second_min: per_second,
            per_second_max: per_second,
        }
    }

    #[test]
    fn ratios_are_against_the_best_peer_with_as_much_in_flight() {
        let rows =
            [row("redis", 8, 200.0), row("postgres", 8, 100.0), row("capstan", 8, 300.0), row("capstan", 1024, 900.0)];

        let blocks = blocks(&rows);

        assert_eq!(
            blocks.iter().map(|block| (block.in_flight, block.rows.len())).collect::<Vec<_>>(),
            [(8, 3), (1024, 1)]
        );
        assert_eq!(blocks[0].ratio(&rows[2]), Some(1.5));
        assert_eq!(blocks[1].ratio(&rows[3]), None, "nothing to compare with");
    }

    #[test]
    fn rates_are_grouped_by_thousands() {
        assert_eq!([0.4, 999.0, 1000.0, 1_234_567.8].map(grouped), ["0", "999", "1,000", "1,234,568"]);
    }
}
