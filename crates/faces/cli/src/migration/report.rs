//! What came of a migration, for people.

mod table;

use self::table::Table;
use crate::failure::Failure;
use capstan_api::report::{Proof, counted, grouped, size};
use capstan_migration::Mode;
use serde::Deserialize;
use std::fmt::Write as _;

/// Documents of a collection that are named at the terminal; a report as JSON or as a page has more.
const EXAMPLES_SHOWN: usize = 5;

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
    verified: Proof,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    planned: Option<Figures>,
    #[serde(default)]
    dump: Option<String>,
    #[serde(default)]
    refused: Vec<SetAside>,
    #[serde(default)]
    set_aside: Vec<SetAside>,
    #[serde(default)]
    by_unit: Vec<Unit>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Figures {
    documents: u64,
    bytes: u64,
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
    view: bool,
    #[serde(default)]
    planned: Option<Figures>,
    #[serde(default)]
    verified: Option<Proof>,
    #[serde(default)]
    examples: Vec<SetAside>,
    #[serde(default)]
    set_aside: Vec<SetAside>,
}

impl Report {
    /// Reads a report.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text)
            .map_err(|error| Failure::Failed(anyhow::anyhow!("the report cannot be read: {error}")))
    }

    /// Whether the job is done, nothing was put aside beyond what was allowed, and nothing else is wrong at the target. That
    /// is the server's to judge: documents that it counts as missing may be just those that were allowed for.
    pub fn is_good(&self) -> bool {
        self.state == "completed"
    }

    /// The report as people read it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("writing to a string cannot fail");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        if !self.by_unit.is_empty() {
            self.table().write(text)?;
        }
        for aside in self.by_unit.iter().flat_map(|unit| &unit.set_aside).chain(&self.set_aside) {
            writeln!(text, "  set aside: {}: {}", aside.what, aside.reason)?;
        }
        for unit in self.by_unit.iter().filter(|unit| !unit.examples.is_empty()) {
            for found in unit.examples.iter().take(EXAMPLES_SHOWN) {
                writeln!(text, "  {}: {}: {}", unit.target, found.what, found.reason)?;
            }
            let more = unit.examples.len().saturating_sub(EXAMPLES_SHOWN);
            if more > 0 {
                writeln!(text, "  {}: {more} more are in the report (--output json, --report FILE)", unit.target)?;
            }
        }
        for refused in &self.refused {
            writeln!(text, "  refused: {}: {}", refused.what, refused.reason)?;
        }
        writeln!(text, "{}", self.summary())?;
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
        // A simulation has nothing to compare, and one that was refused has nothing that was compared.
        if self.mode != Mode::Simulate && !(self.units == 0 && self.state == "failed") {
            writeln!(text, "{}", self.verified.sentence(self.mode))?;
            if let Some(hint) = self.verified.hint() {
                writeln!(text, "{hint}")?;
            }
        }
        Ok(())
    }

    /// Unit by unit, what the mode is there for.
    fn table(&self) -> Table {
        let mut heads = vec!["FROM", "TO"];
        heads.extend(match self.mode {
            Mode::Simulate => &["CHUNKS", "DOCUMENTS", "BYTES"][..],
            Mode::Verify => &["COMPARED", "BYTES", "FOUND"],
            _ => &["CHUNKS", "DOCUMENTS", "BYTES", "PROVED"],
        });
        let rows = self.by_unit.iter().map(|unit| {
            let mut row = vec![unit.source.clone(), unit.target.clone()];
            let figures = if self.mode == Mode::Simulate { unit.planned } else { Some(unit.moved()) };
            let Figures { documents, bytes } = figures.unwrap_or_default();
            if self.mode != Mode::Verify {
                row.push(unit.chunks.to_string());
            }
            row.push(if unit.view { "view".to_owned() } else { grouped(documents) });
            row.push(size(bytes));
            if self.mode != Mode::Simulate {
                row.push(unit.verified.as_ref().map_or_else(|| "-".to_owned(), |proof| proof.word(self.mode)));
            }
            row
        });
        Table { rows: rows.collect(), heads }
    }

    /// One line of what was done, as the mode means it.
    fn summary(&self) -> String {
        let state = self.state.replace('_', " ");
        let (units, chunks) = (counted(self.units, "collection"), counted(self.chunks, "chunk"));
        let (documents, bytes) = (counted(self.documents, "document"), size(self.bytes));
        let rate = if self.seconds > 0.0 { self.bytes as f64 / self.seconds } else { 0.0 };
        match self.mode {
            Mode::Simulate if self.units == 0 => {
                format!("{state}: nothing would be moved, and nothing was written; {:.1} s", self.seconds)
            }
            Mode::Simulate => {
                let Figures { documents, bytes } = self.planned.unwrap_or_default();
                let (documents, bytes) = (counted(documents, "document"), size(bytes));
                format!(
                    "{state}: {documents} ({bytes}) of {units} in {chunks} would be moved; nothing was written; {:.1} s",
                    self.seconds
                )
            }
            Mode::Verify => format!(
                "{state}: {documents} ({bytes}) of {units} {}, {:.1} s, {}/s of each side",
                if self.verified.mode == "counts" { "counted" } else { "compared" },
                self.seconds,
                size(rate as u64)
            ),
            _ => format!(
                "{state}: {documents} ({bytes}) of {units} in {chunks}, {:.1} s, {}/s",
                self.seconds,
                size(rate as u64)
            ),
        }
    }
}

impl Unit {
    fn moved(&self) -> Figures {
        Figures { documents: self.documents, bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(more: serde_json::Value) -> Report {
        let mut report = serde_json::json!({
            "event": "report", "job": "shop", "state": "completed", "units": 2, "chunks": 2, "documents": 1_234_568,
            "bytes": 5_000_100, "seconds": 2.5, "dead_letters": 0,
            "verified": { "mode": "hash", "ranges": 64, "missing": 0, "extra": 0, "different": 0, "repaired": 0 },
            "by_unit": [
                { "source": "shop.orders", "target": "store.orders", "chunks": 1, "documents": 1_234_567,
                  "bytes": 5_000_000, "dead_letters": 0, "planned": { "documents": 7, "bytes": 900 },
                  "verified": { "mode": "hash", "ranges": 64, "missing": 0, "extra": 0, "different": 0, "repaired": 0 } },
                { "source": "shop.recent", "target": "store.recent", "chunks": 0, "documents": 0, "bytes": 0,
                  "dead_letters": 0, "view": true },
            ],
        });
        for (field, value) in more.as_object().unwrap() {
            report[field] = value.clone();
        }
        Report::parse(&report.to_string()).unwrap()
    }

    fn proof(missing: u64, different: u64, reordered: u64) -> serde_json::Value {
        serde_json::json!({ "mode": "hash", "ranges": 64, "missing": missing, "extra": 0, "different": different,
            "repaired": 0, "reordered": reordered })
    }

    #[test]
    fn a_report_says_what_was_moved_and_what_was_proved() {
        insta::assert_snapshot!(report(serde_json::json!({})).text(), @r"
        FROM         TO            CHUNKS  DOCUMENTS    BYTES  PROVED
        shop.orders  store.orders       1  1,234,567  4.8 MiB  equal
        shop.recent  store.recent       0       view      0 B  -
        completed: 1,234,568 documents (4.8 MiB) of 2 collections in 2 chunks, 2.5 s, 1.9 MiB/s
        verified: every document compared byte for byte in 64 ranges, no difference
        ");
    }

    #[test]
    fn a_simulation_says_what_would_be_moved() {
        let planned = serde_json::json!({ "mode": "simulate", "documents": 0, "bytes": 0,
            "planned": { "documents": 7, "bytes": 900 } });
        insta::assert_snapshot!(report(planned).text(), @r"
        FROM         TO            CHUNKS  DOCUMENTS  BYTES
        shop.orders  store.orders       1          7  900 B
        shop.recent  store.recent       0       view    0 B
        completed: 7 documents (900 B) of 2 collections in 2 chunks would be moved; nothing was written; 2.5 s
        ");
    }

    #[test]
    fn a_simulation_that_is_refused_says_why_and_no_figures() {
        let refused = serde_json::json!({ "mode": "simulate", "state": "failed", "units": 0, "by_unit": [],
            "refused": [{ "what": "shop.orders", "reason": "it holds documents" }] });
        insta::assert_snapshot!(report(refused).text(), @r"
          refused: shop.orders: it holds documents
        failed: nothing would be moved, and nothing was written; 2.5 s
        ");
    }

    #[test]
    fn a_verification_says_what_was_compared_and_when_only_the_order_differs() {
        let compared =
            serde_json::json!({ "mode": "verify", "state": "completed_with_failures", "verified": proof(0, 12, 12) });
        insta::assert_snapshot!(report(compared).text(), @r"
        FROM         TO             COMPARED    BYTES  FOUND
        shop.orders  store.orders  1,234,567  4.8 MiB  equal
        shop.recent  store.recent       view      0 B  -
        completed with failures: 1,234,568 documents (4.8 MiB) of 2 collections compared, 2.5 s, 1.9 MiB/s of each side
        NOT EQUAL: 0 missing, 0 extra, 12 different; 0 repaired
        all of those that differ have the same fields and values in another order, as targets that put _id first make them; --ignore-field-order takes such documents as equal
        ");
    }

    #[test]
    fn a_kept_dump_is_proved_whole_and_not_compared() {
        let kept = serde_json::json!({ "mode": "dump-only", "dump": "nightly" });
        insta::assert_snapshot!(report(kept).text(), @r"
        FROM         TO            CHUNKS  DOCUMENTS    BYTES  PROVED
        shop.orders  store.orders       1  1,234,567  4.8 MiB  whole
        shop.recent  store.recent       0       view      0 B  -
        completed: 1,234,568 documents (4.8 MiB) of 2 collections in 2 chunks, 2.5 s, 1.9 MiB/s
        kept in the spool as dump nightly
        proved: every part in the spool was read again and is whole, 64 chunks
        ");
    }

    #[test]
    fn a_few_documents_are_named_and_the_others_counted() {
        let mut report = report(serde_json::json!({ "mode": "verify", "verified": proof(8, 0, 0) }));
        let found = |n: u32| SetAside { what: n.to_string(), reason: "missing at the target".into() };
        report.by_unit[0].examples = (0..8).map(found).collect();

        let text = report.text();

        assert_eq!(text.lines().filter(|line| line.contains("missing at the target")).count(), EXAMPLES_SHOWN);
        assert!(text.contains("store.orders: 0: missing") && text.contains("store.orders: 3 more are"), "{text}");
    }

    /// Documents that were put aside, as many as were allowed, are missing at the target, and the job is good.
    #[test]
    fn what_was_allowed_to_be_put_aside_is_good() {
        let report = report(serde_json::json!({ "state": "completed", "dead_letters": 3, "verified": proof(3, 0, 0) }));
        assert!(report.is_good());
    }

    #[test]
    fn a_difference_is_shouted_and_is_not_good() {
        let report = report(serde_json::json!({ "state": "completed_with_failures", "verified": proof(3, 2, 1) }));
        assert!(report.text().contains("NOT EQUAL: 3 missing, 0 extra, 2 different"));
        assert!(report.text().contains("\n1 of those that differ"), "{}", report.text());
        assert!(!report.is_good());
    }
}
