//! The page.

use super::facts::{Facts, Proof, SetAside};
use super::map::{ChunkMap, State};
use super::{LETTERS_SHOWN, ReportPage, UNITS_SHOWN};
use crate::look::word;
use capstan_migration::Spec;
use std::fmt::{self, Write as _};

/// Cells of one row of a map, their width, and the distance of one to the next.
const ROW: usize = 60;
const CELL: usize = 9;
const STEP: usize = 11;

/// The page as one document.
pub fn html(page: &ReportPage) -> String {
    let mut text = String::with_capacity(32 << 10);
    write(&mut text, page).expect("writing to a string cannot fail");
    text
}

fn write(to: &mut String, page: &ReportPage) -> fmt::Result {
    let facts = page.facts();
    let name = Escaped(&facts.job);
    write!(
        to,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{name}: {}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<main>\n",
        Escaped(&worded(&facts.state)),
        include_str!("style.css")
    )?;
    let spec: Spec = serde_json::from_str(&page.job.spec).unwrap_or_default();
    head(to, &facts, &spec)?;
    tiles(to, &facts)?;
    verdict(to, &facts)?;
    list(to, "Why it could not be done", &facts.refused)?;
    maps(to, &page.maps, facts.units)?;
    proofs(to, &facts)?;
    letters(to, page, &facts)?;
    let aside = facts.by_unit.iter().flat_map(|unit| unit.set_aside.iter().chain(&unit.examples));
    list(to, "Set aside", &aside.chain(&facts.set_aside).cloned().collect::<Vec<_>>())?;
    settings(to, page, &spec)?;
    write!(to, "<footer>Capstan {}</footer>\n</main>\n</body>\n</html>\n", env!("CARGO_PKG_VERSION"))
}

fn head(to: &mut String, facts: &Facts, spec: &Spec) -> fmt::Result {
    let mood = match facts.state.as_str() {
        "completed" => "good",
        "failed" | "cancelled" => "bad",
        "running" => "",
        _ => "warn",
    };
    write!(
        to,
        "<header>\n<h1>{}<span class=\"state {mood}\">{}</span></h1>\n<p>",
        Escaped(&facts.job),
        Escaped(&worded(&facts.state))
    )?;
    match (spec.from.as_str(), spec.to.as_str()) {
        ("", to_) => write!(to, "to {}", Escaped(to_))?,
        (from, "") => write!(to, "from {}", Escaped(from))?,
        (from, to_) => write!(to, "{} → {}", Escaped(from), Escaped(to_))?,
    }
    write!(to, " · {}", word(&spec.mode))?;
    if let Some(dump) = &facts.dump {
        write!(to, " · kept as dump {}", Escaped(dump))?;
    }
    to.write_str("</p>\n</header>\n")
}

fn tiles(to: &mut String, facts: &Facts) -> fmt::Result {
    let rate = if facts.seconds > 0.0 { facts.bytes as f64 / facts.seconds } else { 0.0 };
    to.write_str("<dl class=\"tiles\">\n")?;
    let mut tile = |what: &str, value: String| writeln!(to, "<div><dt>{what}</dt><dd>{value}</dd></div>");
    tile("Documents", grouped(facts.documents))?;
    tile("Data", size(facts.bytes))?;
    if let Some(planned) = facts.planned {
        tile("Planned", format!("{} · {}", grouped(planned.documents), size(planned.bytes)))?;
    }
    tile("Collections", grouped(facts.units))?;
    tile("Chunks", grouped(facts.chunks))?;
    tile("Time", duration(facts.seconds))?;
    if facts.bytes > 0 {
        tile("Speed", format!("{}/s", size(rate as u64)))?;
    }
    if facts.dead_letters > 0 {
        tile("Refused documents", grouped(facts.dead_letters))?;
    }
    to.write_str("</dl>\n")
}

fn verdict(to: &mut String, facts: &Facts) -> fmt::Result {
    let proof = &facts.verified;
    let (mood, text) = match (proof.mode.as_str(), proof.faults()) {
        ("hash", 0) if proof.repaired > 0 => {
            ("good", format!("Equal after {} repairs: every document compared byte for byte", grouped(proof.repaired)))
        }
        ("hash", 0) => (
            "good",
            format!(
                "Verified: every document compared byte for byte in {} ranges, no difference",
                grouped(proof.ranges)
            ),
        ),
        ("counts", 0) => ("warn", "Counted: both sides have as many documents, which proves no contents".to_owned()),
        ("none" | "", 0) => ("warn", "Not verified".to_owned()),
        (_, _) => (
            "bad",
            format!(
                "Not equal: {} missing, {} extra, {} different; {} repaired",
                grouped(proof.missing),
                grouped(proof.extra),
                grouped(proof.different),
                grouped(proof.repaired)
            ),
        ),
    };
    writeln!(to, "<p class=\"verdict {mood}\">{text}</p>")
}

fn maps(to: &mut String, maps: &[ChunkMap], units: u64) -> fmt::Result {
    if maps.iter().all(|map| map.cells.is_empty()) {
        return Ok(());
    }
    to.write_str("<h2>Chunks</h2>\n<ul class=\"legend\">\n")?;
    for state in State::ALL {
        let name = state.name();
        writeln!(
            to,
            "<li><svg width=\"10\" height=\"10\" aria-hidden=\"true\"><rect width=\"10\" height=\"10\" rx=\"2\" class=\"{name}\"/></svg>{name}</li>"
        )?;
    }
    to.write_str("</ul>\n<div class=\"map\">\n")?;
    for map in maps.iter().filter(|map| !map.cells.is_empty()) {
        let source = Escaped(&map.source);
        let each = map.chunks.div_ceil(map.cells.len() as u64);
        let several = if each > 1 { format!(", up to {each} a cell") } else { String::new() };
        let (noun, chunks) = (if map.chunks == 1 { "chunk" } else { "chunks" }, grouped(map.chunks));
        writeln!(to, "<div class=\"name\">{source}<small>{chunks} {noun}{several}</small></div>")?;
        picture(to, map)?;
    }
    to.write_str("</div>\n")?;
    left_out(to, units, UNITS_SHOWN, "collections")
}

/// One `path` for each state: a page with many chunks stays small.
fn picture(to: &mut String, map: &ChunkMap) -> fmt::Result {
    let cells = map.cells.len();
    let (width, height) = (cells.min(ROW) * STEP, cells.div_ceil(ROW) * STEP);
    let counts = State::ALL.iter().filter_map(|state| {
        let count = map.cells.iter().filter(|cell| *cell == state).count();
        (count > 0).then(|| format!("{count} {}", state.name()))
    });
    let label = format!("{}: {}", map.source, counts.collect::<Vec<_>>().join(", "));
    write!(
        to,
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        Escaped(&label)
    )?;
    for state in State::ALL {
        let mut there = map.cells.iter().enumerate().filter(|(_, cell)| **cell == state).peekable();
        if there.peek().is_none() {
            continue;
        }
        write!(to, "<path class=\"{}\" d=\"", state.name())?;
        for (at, _) in there {
            write!(to, "M{} {}h{CELL}v{CELL}h-{CELL}z", at % ROW * STEP, at / ROW * STEP)?;
        }
        to.write_str("\"/>")?;
    }
    to.write_str("</svg>\n")
}

fn proofs(to: &mut String, facts: &Facts) -> fmt::Result {
    if facts.by_unit.is_empty() {
        return Ok(());
    }
    to.write_str(
        "<h2>Collections and their verification</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>From</th><th>To</th>\
         <th class=\"n\">Chunks</th><th class=\"n\">Documents</th><th class=\"n\">Data</th><th class=\"n\">Refused</th>\
         <th>Proved</th><th class=\"n\">Ranges</th><th class=\"n\">Missing</th><th class=\"n\">Extra</th>\
         <th class=\"n\">Different</th><th class=\"n\">Repaired</th></tr></thead>\n<tbody>\n",
    )?;
    for unit in facts.by_unit.iter().take(UNITS_SHOWN) {
        write!(
            to,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>",
            Escaped(&unit.source),
            Escaped(&unit.target),
            grouped(unit.chunks),
            grouped(unit.documents),
            size(unit.bytes),
            grouped(unit.dead_letters)
        )?;
        match &unit.verified {
            None => {
                let why = if unit.finished { "not compared" } else { "not complete" };
                writeln!(to, "<td class=\"faint\">{why}</td><td colspan=\"5\"></td></tr>")?;
            }
            Some(proof) => writeln!(
                to,
                "{}<td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                proved(proof),
                grouped(proof.ranges),
                grouped(proof.missing),
                grouped(proof.extra),
                grouped(proof.different),
                grouped(proof.repaired)
            )?,
        }
    }
    to.write_str("</tbody></table></div>\n")?;
    left_out(to, facts.by_unit.len() as u64, UNITS_SHOWN, "collections")
}

fn proved(proof: &Proof) -> &'static str {
    match (proof.mode.as_str(), proof.faults()) {
        ("hash", 0) => "<td class=\"good\">equal</td>",
        ("counts", 0) => "<td class=\"warn\">same count</td>",
        (_, 0) => "<td class=\"faint\">not compared</td>",
        _ => "<td class=\"bad\">not equal</td>",
    }
}

fn letters(to: &mut String, page: &ReportPage, facts: &Facts) -> fmt::Result {
    if facts.dead_letters == 0 {
        return Ok(());
    }
    writeln!(to, "<h2>Documents that the target refused</h2>")?;
    if page.letters.is_empty() {
        return writeln!(
            to,
            "<p>{} documents. They lie with their reasons in the dead-letter folder of the workers that wrote them, under {}.</p>",
            grouped(facts.dead_letters),
            Escaped(&facts.job)
        );
    }
    to.write_str(
        "<div class=\"scroll\"><table>\n<thead><tr><th>Collection</th><th>Reason</th><th>Document</th></tr></thead>\n<tbody>\n",
    )?;
    for letter in page.letters.iter().take(LETTERS_SHOWN) {
        writeln!(
            to,
            "<tr><td>{}</td><td>{}</td><td class=\"doc\">{}</td></tr>",
            Escaped(&letter.collection),
            Escaped(&letter.reason),
            Escaped(&letter.document)
        )?;
    }
    to.write_str("</tbody></table></div>\n")?;
    left_out(to, facts.dead_letters, page.letters.len().min(LETTERS_SHOWN), "documents")
}

fn list(to: &mut String, heading: &str, entries: &[SetAside]) -> fmt::Result {
    if entries.is_empty() {
        return Ok(());
    }
    writeln!(
        to,
        "<h2>{heading}</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>What</th><th>Why</th></tr></thead>\n<tbody>"
    )?;
    for entry in entries.iter().take(UNITS_SHOWN) {
        writeln!(to, "<tr><td>{}</td><td>{}</td></tr>", Escaped(&entry.what), Escaped(&entry.reason))?;
    }
    to.write_str("</tbody></table></div>\n")?;
    left_out(to, entries.len() as u64, UNITS_SHOWN, "entries")
}

fn settings(to: &mut String, page: &ReportPage, spec: &Spec) -> fmt::Result {
    to.write_str("<h2>Settings</h2>\n<div class=\"scroll\"><table>\n<tbody>\n")?;
    let mut row = |what: &str, value: &str| writeln!(to, "<tr><th>{what}</th><td>{}</td></tr>", Escaped(value));
    if !spec.include.is_empty() {
        row("Only", &spec.include.join(", "))?;
    }
    if !spec.exclude.is_empty() {
        row("Without", &spec.exclude.join(", "))?;
    }
    for rename in &spec.renames {
        row("Renamed", &format!("{} → {}", rename.from, rename.to))?;
    }
    for filter in &spec.filters {
        row("Filter", &format!("{}: {}", filter.collection, filter.query))?;
    }
    row("Where the target holds something", &word(&spec.write))?;
    row("Indexes", &word(&spec.indexes))?;
    row("Compared by", &word(&spec.verify))?;
    let chunks = format!("{} documents or {}", grouped(spec.chunks.documents), size(spec.chunks.bytes));
    row("Chunks of at most", &chunks)?;
    let pools = page.job.pools.iter().map(|pool| match pool.size {
        Some(size) => format!("{} {size}", pool.kind),
        None => format!("{} without limit", pool.kind),
    });
    row("Pools", &pools.collect::<Vec<_>>().join(", "))?;
    let rates = page.job.rates.unwrap_or_default();
    let rates = [
        rates.documents.map(|most| format!("{} documents/s", grouped(most))),
        rates.bytes.map(|most| format!("{}/s", size(most))),
        rates.operations.map(|most| format!("{most} chunks at a time")),
    ];
    let rates: Vec<String> = rates.into_iter().flatten().collect();
    row("Rates", if rates.is_empty() { "not limited".to_owned() } else { rates.join(", ") }.as_str())?;
    let retry = format!("{} attempts, then {}", spec.retry.attempts, word(&spec.retry.on_exhausted));
    row("What fails", &retry)?;
    to.write_str("</tbody></table></div>\n")
}

fn left_out(to: &mut String, all: u64, shown: usize, what: &str) -> fmt::Result {
    match all.saturating_sub(shown as u64) {
        0 => Ok(()),
        more => writeln!(to, "<p class=\"faint\">and {} more {what}</p>", grouped(more)),
    }
}

/// Text as it stands in an element or an attribute.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

fn worded(state: &str) -> String {
    state.replace('_', " ")
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}
