//! Checked-in files that are generated: written again, or compared with what would be written.
//!
//! They are checked in so that a build needs no generator, and compared in every test run so that they stay true. The
//! gRPC code comes from `xtask/generate`, a program of its own that alone needs the protocol buffer compiler; documents
//! come from the `capstan` binary, which prints them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::workspace::{Workspace, succeed};

/// The program that writes the gRPC code.
pub const GENERATOR: &str = "capstan-generate";
/// The program that prints the documents.
pub const BINARY: &str = "capstan";

/// A document that the binary prints.
struct Printed {
    file: &'static str,
    arguments: &'static [&'static str],
}

const PRINTED: &[Printed] = &[Printed { file: "docs/openapi.json", arguments: &["openapi"] }];

#[derive(Args)]
pub struct Options {
    /// Write nothing; fail where a checked-in file is not what would be generated
    #[arg(long)]
    check: bool,
}

/// The two programs, built.
pub struct Generators {
    pub code: PathBuf,
    pub documents: PathBuf,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut packages = vec!["build", "--package", GENERATOR];
    if !PRINTED.is_empty() {
        packages.extend(["--package", BINARY]);
    }
    succeed(&mut workspace.cargo(packages), "building the generators")?;
    let built = workspace.scratch()?.with_file_name("debug");
    let generators = Generators { code: built.join(GENERATOR), documents: built.join(BINARY) };
    generate(workspace, &generators, options.check)
}

/// Writes or compares every generated file, with generators that are built already.
pub fn generate(workspace: &Workspace, generators: &Generators, check: bool) -> Result<()> {
    let mut code = Command::new(&generators.code);
    code.arg(&workspace.root).args(check.then_some("--check")).stdin(Stdio::null());
    succeed(&mut code, "generating the gRPC code")?;
    for document in PRINTED {
        let mut command = Command::new(&generators.documents);
        command.args(document.arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = command.output().with_context(|| format!("start {}", generators.documents.display()))?;
        if !output.status.success() {
            bail!("{BINARY} {} failed ({})", document.arguments.join(" "), output.status);
        }
        settle(&workspace.root, Path::new(document.file), &output.stdout, check)?;
    }
    Ok(())
}

fn settle(root: &Path, file: &Path, wanted: &[u8], check: bool) -> Result<()> {
    let path = root.join(file);
    if fs::read(&path).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if check {
        bail!("{} is not what would be generated; run `cargo xtask generate`", file.display());
    }
    println!("generate: {}", file.display());
    fs::write(&path, wanted).with_context(|| format!("write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_differs_is_refused_by_the_check_and_mended_by_writing() {
        let root = tempfile::tempdir().unwrap();
        let file = Path::new("openapi.json");
        fs::write(root.path().join(file), "old").unwrap();

        assert!(settle(root.path(), file, b"new", true).is_err());
        assert_eq!(fs::read(root.path().join(file)).unwrap(), b"old", "a check writes nothing");

        settle(root.path(), file, b"new", false).unwrap();
        settle(root.path(), file, b"new", true).unwrap();
    }
}
