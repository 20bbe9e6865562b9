//! What a comparison proved, in the words that the terminal and the page share.

use super::figures::{counted, grouped};
use capstan_migration::Mode;
use serde::Deserialize;

/// What a report says was proved, of a unit or over all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Proof {
    /// `none`, `counts` or `hash`.
    pub mode: String,
    /// Ranges that were compared; of a kept dump, chunks that were read again.
    pub ranges: u64,
    /// Documents that the target lacks; of a kept dump, those in parts that are damaged or missing.
    pub missing: u64,
    /// Documents that only the target has.
    pub extra: u64,
    /// Documents that differ.
    pub different: u64,
    /// Of all these, those that were mended.
    pub repaired: u64,
    /// Of those that differ: they have the same fields with the same values, only in another order.
    pub reordered: u64,
    /// Documents whose fields stand in another order were taken as equal.
    pub field_order_ignored: bool,
}

impl Proof {
    /// Documents that are still not the same on both sides.
    pub fn faults(&self) -> u64 {
        (self.missing + self.extra + self.different).saturating_sub(self.repaired)
    }

    /// What it proves, in one sentence.
    pub fn sentence(&self, mode: Mode) -> String {
        let wrong = self.faults();
        match self.mode.as_str() {
            "hash" if mode == Mode::DumpOnly && wrong == 0 => {
                format!(
                    "proved: every part in the spool was read again and is whole, {}",
                    counted(self.ranges, "chunk")
                )
            }
            "hash" if mode == Mode::DumpOnly => {
                format!("NOT WHOLE: {} in parts that are damaged or missing", counted(self.missing, "document"))
            }
            "hash" if wrong == 0 && self.repaired > 0 => format!(
                "equal after repair: {} missing, {} extra, {} different were found, {} repaired",
                grouped(self.missing),
                grouped(self.extra),
                grouped(self.different),
                grouped(self.repaired)
            ),
            "hash" if wrong == 0 => format!(
                "verified: every document compared {} in {}, no difference",
                if self.field_order_ignored { "field by field, whatever their order," } else { "byte for byte" },
                counted(self.ranges, "range")
            ),
            "hash" => format!(
                "NOT EQUAL: {} missing, {} extra, {} different; {} repaired",
                grouped(self.missing),
                grouped(self.extra),
                grouped(self.different),
                grouped(self.repaired)
            ),
            "counts" if wrong == 0 => "counted: both sides have as many documents (which proves no contents)".into(),
            "counts" => {
                format!("COUNTS DIFFER: {} missing, {} extra", grouped(self.missing), grouped(self.extra))
            }
            _ => "not verified".into(),
        }
    }

    /// What helps where no value differs; none where nothing differs in the order of its fields alone.
    pub fn hint(&self) -> Option<String> {
        if self.faults() == 0 || self.reordered == 0 {
            return None;
        }
        let which = if self.reordered == self.different { "all".to_owned() } else { grouped(self.reordered) };
        Some(format!(
            "{which} of those that differ have the same fields and values in another order, as targets that put _id first \
             make them; --ignore-field-order takes such documents as equal"
        ))
    }

    /// The same of one unit, in the fewest words.
    pub fn word(&self, mode: Mode) -> String {
        match (self.mode.as_str(), self.faults()) {
            ("hash", 0) if mode == Mode::DumpOnly => "whole".into(),
            ("hash", 0) if self.repaired > 0 => "equal after repair".into(),
            ("hash", 0) => "equal".into(),
            ("counts", 0) => "same count".into(),
            (_, 0) => "-".into(),
            _ if mode == Mode::DumpOnly => format!("{} missing", grouped(self.missing)),
            _ => {
                let order = match self.reordered {
                    0 => String::new(),
                    some => format!(" ({} in order)", grouped(some)),
                };
                let (missing, extra, different) = (grouped(self.missing), grouped(self.extra), grouped(self.different));
                format!("{missing} missing, {extra} extra, {different} different{order}")
            }
        }
    }

    /// How the page colours it: `good`, `warn` where it proves no contents, `bad`.
    pub(super) fn mood(&self) -> &'static str {
        match (self.mode.as_str(), self.faults()) {
            ("hash", 0) => "good",
            (_, 0) => "warn",
            _ => "bad",
        }
    }
}
