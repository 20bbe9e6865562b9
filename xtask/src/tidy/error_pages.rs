//! Every stable error code has a page in docs/errors, and every page a code.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::Fault;
use super::source::Source;
use crate::workspace::Workspace;

/// The file whose string literals of the form `family.reason` are the codes.
const CODES: &str = "crates/faces/api/src/codes.rs";
const PAGES: &str = "docs/errors";

/// Codes without a page and pages without a code; nothing as long as there is no list of codes.
pub fn faults(workspace: &Workspace) -> Result<Vec<Fault>> {
    if !workspace.root.join(CODES).exists() {
        return Ok(Vec::new());
    }
    let codes = codes(&workspace.read(Path::new(CODES))?);
    let pages = workspace.files("md")?;
    let pages = pages.iter().filter(|page| page.parent() == Some(Path::new(PAGES)));
    let pages = pages.filter_map(|page| page.file_stem()?.to_str()).filter(|name| *name != "README");
    Ok(differences(&codes, &pages.map(str::to_owned).collect()))
}

fn differences(codes: &BTreeSet<String>, pages: &BTreeSet<String>) -> Vec<Fault> {
    let unexplained =
        codes.difference(pages).map(|code| Fault::new(CODES, format!("{code} has no page; write {PAGES}/{code}.md")));
    let orphaned = pages
        .difference(codes)
        .map(|page| Fault::new(format!("{PAGES}/{page}.md"), format!("no error has this code; see {CODES}")));
    unexplained.chain(orphaned).collect()
}

/// The literals that look like codes, tests and comments left out.
fn codes(text: &str) -> BTreeSet<String> {
    let source = Source::read(text);
    let (code, _) = source.without_tests();
    // Blanking keeps the place of every character, so the quotes found in the code frame the literal in the text.
    let text = text.chars().collect::<Vec<_>>();
    let quotes = code.chars().enumerate().filter(|(_, c)| *c == '"').map(|(at, _)| at).collect::<Vec<_>>();
    let literals = quotes.chunks_exact(2).map(|pair| text[pair[0] + 1..pair[1]].iter().collect::<String>());
    literals.filter(|literal| is_code(literal)).collect()
}

fn is_code(literal: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    literal.split_once('.').is_some_and(|(family, reason)| part(family) && part(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_from_the_literals_of_the_list() {
        let text = "/// \"not.this\"\nconst A: &str = \"lease.expired\"; const B: &str = \"kv.quorum_not_reached\"; const C: &str = \"plain words.\";\n#[cfg(test)]\nmod tests { const T: &str = \"test.only\"; }";

        assert_eq!(codes(text).into_iter().collect::<Vec<_>>(), ["kv.quorum_not_reached", "lease.expired"]);
    }

    #[test]
    fn a_code_without_a_page_and_a_page_without_a_code_are_refused() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();

        let faults = differences(&set(&["a.b", "c.d"]), &set(&["c.d", "e.f"]));

        assert_eq!(faults.iter().map(|fault| fault.place.as_str()).collect::<Vec<_>>(), [CODES, "docs/errors/e.f.md"]);
        assert_eq!(differences(&set(&["a.b"]), &set(&["a.b"])), []);
    }
}
