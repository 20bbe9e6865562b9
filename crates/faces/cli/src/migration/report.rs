//! What came of a migration, for people.

use crate::failure::Failure;
use serde::Deserialize;
use std::fmt::Write as _;

/// Of a report, what its reader at the terminal is shown and what decides the exit code.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// How it stands.
    pub state: String,
    units: u64,
    chunks: u64,
    documents: u64,
    bytes: u64,
    seconds: f64,
    dead_letters: u64,
    verified: Verified,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    planned: Option<Planned>,
    #[serde(default)]
    dump: Option<String>,
    #[serde(default)]
    refused: Vec<SetAside>,
    #[serde(default)]
    set_aside: Vec<SetAside>,
    #[serde(default)]
    by_unit: Vec<Unit>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Planned {
    documents: u64,
    bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Verified {
    mode: String,
    ranges: u64,
    missing: u64,
    extra: u64,
    different: u64,
    repaired: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct SetAside {
    what: String,
    reason: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Unit {
    source: String,
    target: String,
    chunks: u64,
    documents: u64,
    bytes: u64,
    dead_letters: u64,
    #[serde(default)]
    verified: Option<Verdict>,
    #[serde(default)]
    examples: Vec<SetAside>,
    #[serde(default)]
    set_aside: Vec<SetAside>,
}

#[derive(Clone, Debug, Deserialize)]
struct Verdict {
    mode: String,
    missing: u64,
    extra: u64,
    different: u64,
}

impl Report {
    /// Reads a report.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text)
            .map_err(|error| Failure::Failed(anyhow::anyhow!("the report cannot be read: {error}")))
    }

    /// Whether the job is done, nothing was put aside beyond what was allowed, and nothing is wrong at the target.
    pub fn is_good(&self) -> bool {
        self.state == "completed" && self.verified.faults() == 0
    }

    /// The report as people read it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to a string cannot fail");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let width = |of: fn(&Unit) -> &str| self.by_unit.iter().map(|unit| of(unit).chars().count()).max().unwrap_or(0);
        let (from, to) = (width(|unit| &unit.source).max(4), width(|unit| &unit.target).max(2));
        if !self.by_unit.is_empty() {
            writeln!(
                text,
                "{:from$}  {:to$}  {:>6}  {:>11}  {:>9}  PROVED",
                "FROM", "TO", "CHUNKS", "DOCUMENTS", "BYTES"
            )?;
        }
        for unit in &self.by_unit {
            let proof = unit.verified.as_ref().map_or_else(|| "-".to_owned(), Verdict::text);
            let (documents, bytes) = (grouped(unit.documents), size(unit.bytes));
            writeln!(
                text,
                "{:from$}  {:to$}  {:>6}  {documents:>11}  {bytes:>9}  {proof}",
                unit.source, unit.target, unit.chunks
            )?;
        }
        for aside in
            self.by_unit.iter().flat_map(|unit| unit.set_aside.iter().chain(&unit.examples)).chain(&self.set_aside)
        {
            writeln!(text, "  set aside: {} {}", aside.what, aside.reason)?;
        }
        for refused in &self.refused {
            writeln!(text, "  refused: {} {}", refused.what, refused.reason)?;
        }
        let rate = if self.seconds > 0.0 { self.bytes as f64 / self.seconds } else { 0.0 };
        writeln!(
            text,
            "{}: {} documents ({}) of {} collections in {} chunks, {:.1} s, {}/s",
            self.state.replace('_', " "),
            grouped(self.documents),
            size(self.bytes),
            self.units,
            self.chunks,
            self.seconds,
            size(rate as u64)
        )?;
        if let Some(planned) = self.planned.filter(|_| self.mode == "simulate") {
            let (documents, bytes) = (grouped(planned.documents), size(planned.bytes));
            writeln!(text, "simulated: {documents} documents ({bytes}) would be moved; nothing was written")?;
        }
        if let Some(dump) = &self.dump {
            writeln!(text, "kept in the spool as dump {dump}")?;
        }
        if self.dead_letters > 0 {
            let letters: Vec<String> = self
                .by_unit
                .iter()
                .filter(|unit| unit.dead_letters > 0)
                .map(|unit| format!("{} of {}", unit.dead_letters, unit.source))
                .collect();
            writeln!(text, "refused by the target: {} documents ({})", grouped(self.dead_letters), letters.join(", "))?;
        }
        writeln!(text, "{}", self.verified.text())
    }
}

impl Verified {
    /// Documents that are still not the same on both sides.
    fn faults(&self) -> u64 {
        (self.missing + self.extra + self.different).saturating_sub(self.repaired)
    }

    fn text(&self) -> String {
        let wrong = self.faults();
        match self.mode.as_str() {
            "hash" if wrong == 0 && self.repaired > 0 => format!(
                "equal after repair: {} missing, {} extra, {} different were found, {} repaired",
                self.missing, self.extra, self.different, self.repaired
            ),
            "hash" if wrong == 0 => format!(
                "verified: every document compared byte for byte in {} ranges, no difference",
                grouped(self.ranges)
            ),
            "hash" => format!(
                "NOT EQUAL: {} missing, {} extra, {} different; {} repaired",
                self.missing, self.extra, self.different, self.repaired
            ),
            "counts" if wrong == 0 => "counted: both sides have as many documents (which proves no contents)".into(),
            "counts" => format!("COUNTS DIFFER: {} missing, {} extra", self.missing, self.extra),
            _ => "not verified".into(),
        }
    }
}

impl Verdict {
    fn text(&self) -> String {
        let wrong = self.missing + self.extra + self.different;
        match (self.mode.as_str(), wrong) {
            ("hash", 0) => "equal".into(),
            ("counts", 0) => "same count".into(),
            (_, 0) => "-".into(),
            _ => format!("{} missing, {} extra, {} different", self.missing, self.extra, self.different),
        }
    }
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that shows three digits.
pub fn size(bytes: u64) -> String {
    let mut figure = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if figure < 1_000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{figure:.1} {unit}") };
        }
        figure /= 1_024.0;
    }
    format!("{figure:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(state: &str, missing: u64) -> Report {
        let text = serde_json::json!({
            "event": "report", "job": "shop", "state": state, "units": 1, "chunks": 2, "documents": 1_234_567, "bytes": 5_000_000,
            "seconds": 2.5, "dead_letters": 0,
            "verified": { "mode": "hash", "ranges": 64, "missing": missing, "extra": 0, "different": 0, "repaired": 0 },
            "by_unit": [{ "source": "shop.orders", "target": "store.orders", "chunks": 2, "documents": 1_234_567, "bytes": 5_000_000,
                "dead_letters": 0, "verified": { "mode": "hash", "ranges": 64, "missing": missing, "extra": 0, "different": 0, "repaired": 0 } }],
        });
        Report::parse(&text.to_string()).unwrap()
    }

    #[test]
    fn a_report_says_what_was_moved_and_what_was_proved() {
        insta::assert_snapshot!(report("completed", 0).text(), @r"
        FROM         TO            CHUNKS    DOCUMENTS      BYTES  PROVED
        shop.orders  store.orders       2    1,234,567    4.8 MiB  equal
        completed: 1,234,567 documents (4.8 MiB) of 1 collections in 2 chunks, 2.5 s, 1.9 MiB/s
        verified: every document compared byte for byte in 64 ranges, no difference
        ");
    }

    #[test]
    fn a_difference_is_shouted_and_is_not_good() {
        let report = report("completed_with_failures", 3);
        assert!(report.text().contains("NOT EQUAL: 3 missing"));
        assert!(!report.is_good());
    }
}
