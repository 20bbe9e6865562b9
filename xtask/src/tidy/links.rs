//! Links between the project's own pages lead somewhere, headings included.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::Fault;
use crate::workspace::Workspace;

/// Every link in `pages` to a file or heading of the repository that is not there.
pub fn faults(workspace: &Workspace, pages: &[PathBuf]) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for page in pages {
        let text = workspace.read(page)?;
        for (line, target) in targets(&text) {
            if let Some(said) = broken(workspace, page, &text, &target)? {
                faults.push(Fault::at(page, line, said));
            }
        }
    }
    Ok(faults)
}

fn broken(workspace: &Workspace, page: &Path, text: &str, target: &str) -> Result<Option<String>> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(None);
    }
    let (file, heading) = target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let there = match file {
        "" => page.to_owned(),
        _ => resolve(page, file),
    };
    if !workspace.root.join(&there).exists() {
        return Ok(Some(format!("links to {target}, and there is no {}", there.display())));
    }
    let Some(heading) = heading.filter(|_| there.extension().is_some_and(|extension| extension == "md")) else {
        return Ok(None);
    };
    let other = if there == page { text.to_owned() } else { workspace.read(&there)? };
    let found = headings(&other).any(|slug| slug == heading);
    Ok((!found).then(|| format!("links to {target}, and {} has no such heading", there.display())))
}

/// The linked file by path relative to the root; a leading slash means the root.
fn resolve(page: &Path, file: &str) -> PathBuf {
    let mut path = match file.strip_prefix('/') {
        Some(file) => return PathBuf::from(file),
        None => page.parent().unwrap_or(Path::new("")).to_owned(),
    };
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path
}

/// Link targets with their lines, code left out: `[text](target)` and `[label]: target`.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, prose) in prose(text) {
        let mut rest = prose.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let target = rest.split([')', ' ']).next().unwrap_or_default().trim_matches(['<', '>']);
            found.push((line, target.to_owned()));
        }
        let definition = prose.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        if let Some((_, target)) = definition {
            found.push((line, target.split(' ').next().unwrap_or_default().to_owned()));
        }
    }
    found
}

/// The lines of a page that are not in a fenced block, without their inline code.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then(|| (at + 1, line.split('`').step_by(2).collect::<Vec<_>>().join("``")))
    })
}

/// The anchors of a page's headings: lower case, spaces to hyphens, punctuation dropped.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let mut fenced = false;
    text.lines().filter_map(move |line| {
        fenced ^= line.trim_start().starts_with("```");
        let heading = line.strip_prefix('#').filter(|_| !fenced)?.trim_start_matches('#').trim();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pages: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in pages {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let workspace = Workspace { root: folder.path().to_owned() };
        let files = workspace.files("md").unwrap();
        faults(&workspace, &files).unwrap().iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_link_to_a_missing_file_or_heading_is_refused_at_its_line() {
        let said = said(&[
            ("README.md", "# Here\n[gone](docs/gone.md)\n[there](docs/there.md#nowhere)\n[ref]: nothing.md\n"),
            ("docs/there.md", "# There\n[up](../README.md#away)\n"),
        ]);

        let places = said.iter().map(|said| said.split(": ").next().unwrap()).collect::<Vec<_>>();
        assert_eq!(places, ["README.md:2", "README.md:3", "README.md:4", "docs/there.md:2"], "{said:#?}");
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let said = said(&[
            (
                "README.md",
                "# What's `here` now?\n[a](docs/b.md#a-b) [web](https://x.y) [me](#whats-here-now) [folder](docs/)\n",
            ),
            (
                "docs/b.md",
                "```\n[code](none.md)\n```\n## A B\n`[code](none.md)` [up](../README.md) [root](/docs/b.md)\n",
            ),
        ]);

        assert_eq!(said, Vec::<String>::new());
    }
}
