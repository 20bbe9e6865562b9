//! Checks that the code is built the way ARCHITECTURE.md and STYLE.md say, so that neither can drift from it.
//!
//! Each check is a function from text or a graph to [`Fault`]s and is tested with input that it must refuse.

mod error_pages;
mod layers;
mod leftovers;
mod links;
mod manifests;
mod purity;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use source::Source;

/// Past this, a file is asked what the second idea in it is. A warning, not a fault.
const LINES_MAX: usize = 500;

/// Something that is not as the project says it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// A crate, or a file with or without a line.
    pub place: String,
    /// What was found and what to do.
    pub said: String,
}

impl Fault {
    fn new(place: impl Into<String>, said: impl Into<String>) -> Self {
        Self { place: place.into(), said: said.into() }
    }

    fn at(file: &Path, line: usize, said: impl Into<String>) -> Self {
        Self::new(format!("{}:{line}", file.display()), said)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.said)
    }
}

/// Runs every check, prints what it found, and fails if anything was at fault.
pub fn run(workspace: &Workspace) -> Result<()> {
    let crates = layers::crates(&workspace.metadata()?)?;
    let rust = workspace.files("rs")?.into_iter().filter(|file| !is_generated(file)).collect::<Vec<_>>();
    let markdown = workspace.files("md")?;

    let mut faults = layers::faults(&crates);
    faults.extend(purity::dependency_faults(&crates));
    faults.extend(manifests::faults(workspace, &crates)?);
    let mut long = Vec::new();
    for file in &rust {
        let text = workspace.read(file)?;
        let source = Source::read(&text);
        faults.extend(leftovers::faults(file, &source));
        let lines = text.lines().count();
        if lines > LINES_MAX {
            long.push(format!("{}: {lines} lines; what is the second idea in it?", file.display()));
        }
    }
    faults.extend(purity::source_faults(workspace, &rust)?);
    faults.extend(links::faults(workspace, &markdown)?);
    faults.extend(error_pages::faults(workspace)?);

    for warning in &long {
        eprintln!("warning: {warning}");
    }
    for fault in &faults {
        eprintln!("fault: {fault}");
    }
    if !faults.is_empty() {
        bail!("tidy found {} fault{}", faults.len(), if faults.len() == 1 { "" } else { "s" });
    }
    println!("tidy: {} crates, {} source files, {} pages, no faults", crates.len(), rust.len(), markdown.len());
    Ok(())
}

/// Generated sources are judged by what generates them.
fn is_generated(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "generated")
}

/// The crates of one layer's folder whose sources are among `files`.
fn inside(files: &[PathBuf], folder: &str) -> Vec<PathBuf> {
    files.iter().filter(|file| file.starts_with(folder)).cloned().collect()
}
