//! The page's table of collections: what the mode did with each, and what was proved of it.

use super::facts::{Facts, Figures, Unit};
use super::figures::{grouped, size};
use super::html::{Escaped, left_out};
use super::{Proof, UNITS_SHOWN};
use capstan_migration::Mode;
use std::fmt::{self, Write as _};

/// One column: its head, whether it holds figures, and a unit's cell.
struct Column {
    head: &'static str,
    figures: bool,
    cell: fn(&Unit, Mode) -> String,
}

const FROM: Column = Column { head: "From", figures: false, cell: |unit, _| Escaped(&unit.source).to_string() };
const TO: Column = Column { head: "To", figures: false, cell: |unit, _| Escaped(&unit.target).to_string() };
const CHUNKS: Column = Column { head: "Chunks", figures: true, cell: |unit, _| grouped(unit.chunks) };
const DOCUMENTS: Column = Column { head: "Documents", figures: true, cell: documents };
const COMPARED: Column = Column { head: "Compared", ..DOCUMENTS };
const DATA: Column = Column { head: "Data", figures: true, cell: |unit, mode| size(figures(unit, mode).bytes) };
const REFUSED: Column = Column { head: "Refused", figures: true, cell: |unit, _| grouped(unit.dead_letters) };
const PROVED: Column = Column { head: "Proved", figures: false, cell: proved };
const FOUND: Column = Column { head: "Found", ..PROVED };
const RANGES: Column = of_proof("Ranges", |unit, _| of(unit, |proof| proof.ranges));
const MISSING: Column = of_proof("Missing", |unit, _| of(unit, |proof| proof.missing));
const EXTRA: Column = of_proof("Extra", |unit, _| of(unit, |proof| proof.extra));
const DIFFERENT: Column = of_proof("Different", different);
const REPAIRED: Column = of_proof("Repaired", |unit, _| of(unit, |proof| proof.repaired));

const fn of_proof(head: &'static str, cell: fn(&Unit, Mode) -> String) -> Column {
    Column { head, figures: true, cell }
}

/// What a mode has to tell of each unit.
fn columns(mode: Mode) -> &'static [&'static Column] {
    match mode {
        Mode::Simulate => &[&FROM, &TO, &CHUNKS, &DOCUMENTS, &DATA],
        Mode::Verify => &[&FROM, &TO, &COMPARED, &DATA, &FOUND, &RANGES, &MISSING, &EXTRA, &DIFFERENT, &REPAIRED],
        Mode::DumpOnly => &[&FROM, &TO, &CHUNKS, &DOCUMENTS, &DATA, &PROVED, &MISSING],
        Mode::DumpAndRestore | Mode::Direct | Mode::RestoreOnly => &[
            &FROM, &TO, &CHUNKS, &DOCUMENTS, &DATA, &REFUSED, &PROVED, &RANGES, &MISSING, &EXTRA, &DIFFERENT, &REPAIRED,
        ],
    }
}

/// The table, with its heading.
pub(super) fn table(to: &mut String, facts: &Facts) -> fmt::Result {
    if facts.by_unit.is_empty() {
        return Ok(());
    }
    let heading = match facts.mode {
        Mode::Simulate => "Collections that would be moved",
        Mode::DumpOnly => "Collections in the dump",
        _ => "Collections and their verification",
    };
    write!(to, "<h2>{heading}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>")?;
    let columns = columns(facts.mode);
    for column in columns {
        write!(to, "<th{}>{}</th>", class(column), column.head)?;
    }
    to.write_str("</tr></thead>\n<tbody>\n")?;
    for unit in facts.by_unit.iter().take(UNITS_SHOWN) {
        to.write_str("<tr>")?;
        for column in columns {
            write!(to, "<td{}>{}</td>", class(column), (column.cell)(unit, facts.mode))?;
        }
        to.write_str("</tr>\n")?;
    }
    to.write_str("</tbody></table></div>\n")?;
    left_out(to, facts.by_unit.len() as u64, UNITS_SHOWN, "collections")
}

fn class(column: &Column) -> &'static str {
    if column.figures { " class=\"n\"" } else { "" }
}

fn figures(unit: &Unit, mode: Mode) -> Figures {
    match mode {
        Mode::Simulate => unit.planned.unwrap_or_default(),
        _ => Figures { documents: unit.documents, bytes: unit.bytes },
    }
}

fn documents(unit: &Unit, mode: Mode) -> String {
    if unit.view { "view".to_owned() } else { grouped(figures(unit, mode).documents) }
}

fn proved(unit: &Unit, mode: Mode) -> String {
    let (mood, word) = match &unit.verified {
        _ if unit.given_up => ("bad", "given up"),
        Some(proof) if proof.mode != "none" || proof.faults() > 0 => {
            let word = match proof.faults() {
                0 => proof.word(mode),
                // How many and how is told by the columns beside it.
                _ if mode == Mode::DumpOnly => "not whole".to_owned(),
                _ if proof.mode == "counts" => "counts differ".to_owned(),
                _ => "not equal".to_owned(),
            };
            return format!("<span class=\"{}\">{word}</span>", proof.mood());
        }
        _ if unit.finished => ("faint", "not compared"),
        _ => ("faint", "not complete"),
    };
    format!("<span class=\"{mood}\">{word}</span>")
}

fn of(unit: &Unit, figure: fn(&Proof) -> u64) -> String {
    unit.verified.as_ref().map(|proof| grouped(figure(proof))).unwrap_or_default()
}

/// With how many of them differ in the order of their fields alone.
fn different(unit: &Unit, _: Mode) -> String {
    let Some(proof) = &unit.verified else { return String::new() };
    match proof.reordered {
        0 => grouped(proof.different),
        some => format!("{} ({} in order)", grouped(proof.different), grouped(some)),
    }
}
