//! The page.

use super::facts::{Facts, Figures, SetAside};
use super::figures::{duration, grouped, size};
use super::map::{ChunkMap, State};
use super::{LETTERS_SHOWN, ReportPage, UNITS_SHOWN, units};
use crate::look::word;
use capstan_migration::{Mode, Spec};
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
    units::table(to, &facts)?;
    letters(to, page, &facts)?;
    let found = facts.by_unit.iter().flat_map(|unit| {
        let of_unit = |found: &SetAside| format!("{}: {}", unit.target, found.what);
        unit.examples.iter().map(move |found| SetAside { what: of_unit(found), reason: found.reason.clone() })
    });
    list(to, "Documents that were found not to be the same", &found.collect::<Vec<_>>())?;
    let aside = facts.by_unit.iter().flat_map(|unit| &unit.set_aside).chain(&facts.set_aside);
    list(to, "Set aside", &aside.cloned().collect::<Vec<_>>())?;
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
    let Figures { documents, bytes } = match facts.mode {
        Mode::Simulate => facts.planned.unwrap_or_default(),
        _ => Figures { documents: facts.documents, bytes: facts.bytes },
    };
    to.write_str("<dl class=\"tiles\">\n")?;
    let mut tile = |what: &str, value: String| writeln!(to, "<div><dt>{what}</dt><dd>{value}</dd></div>");
    let what = match facts.mode {
        Mode::Simulate => "Documents to move",
        Mode::Verify if facts.verified.mode == "counts" => "Documents counted",
        Mode::Verify => "Documents compared",
        Mode::DumpOnly => "Documents dumped",
        Mode::DumpAndRestore | Mode::Direct | Mode::RestoreOnly => "Documents moved",
    };
    tile(what, grouped(documents))?;
    tile("Data", size(bytes))?;
    tile("Collections", grouped(facts.units))?;
    if facts.mode != Mode::Verify {
        tile("Chunks", grouped(facts.chunks))?;
    }
    tile("Time", duration(facts.seconds))?;
    if facts.mode != Mode::Simulate && bytes > 0 && facts.seconds > 0.0 {
        let each = if facts.mode == Mode::Verify { "Speed, each side" } else { "Speed" };
        tile(each, format!("{}/s", size((bytes as f64 / facts.seconds) as u64)))?;
    }
    if facts.dead_letters > 0 {
        tile("Refused documents", grouped(facts.dead_letters))?;
    }
    to.write_str("</dl>\n")
}

fn verdict(to: &mut String, facts: &Facts) -> fmt::Result {
    let proof = &facts.verified;
    let (mood, text) = match facts.mode {
        Mode::Simulate => ("warn", "simulated: nothing was written".to_owned()),
        // One that was refused has nothing that was compared.
        _ if facts.units == 0 && facts.state == "failed" => return Ok(()),
        mode => (proof.mood(), proof.sentence(mode)),
    };
    writeln!(to, "<p class=\"verdict {mood}\">{text}</p>")?;
    match proof.hint() {
        Some(hint) => writeln!(to, "<p class=\"faint hint\">{}</p>", Escaped(&hint)),
        None => Ok(()),
    }
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
    let order = if spec.ignore_field_order { ", whatever the order of fields" } else { "" };
    row("Compared by", &format!("{}{order}", word(&spec.verify)))?;
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

/// How many entries of a list are not shown.
pub(super) fn left_out(to: &mut String, all: u64, shown: usize, what: &str) -> fmt::Result {
    match all.saturating_sub(shown as u64) {
        0 => Ok(()),
        more => writeln!(to, "<p class=\"faint\">and {} more {what}</p>", grouped(more)),
    }
}

/// Text as it stands in an element or an attribute.
pub(super) struct Escaped<'a>(pub &'a str);

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
