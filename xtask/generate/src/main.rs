//! Writes the checked-in gRPC code of `crates/ports/proto` from its `.proto` files, or checks that it is up to date.
//!
//! The same sources give the same bytes on every machine: the compiler is a crate, not a program that may or may not be
//! installed. Beside the code it writes the set of descriptors from which the server answers reflection requests.
//!
//! `capstan-generate ROOT [--check]`

mod compile;
mod files;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

const SOURCES: &str = "crates/ports/proto/proto";
const GENERATED: &str = "crates/ports/proto/src/generated";

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let root = PathBuf::from(arguments.next().context("usage: capstan-generate ROOT [--check]")?);
    let check = arguments.next().is_some_and(|argument| argument == "--check");

    let wanted = compile::compile(&root.join(SOURCES))?;
    let differences = files::differences(&root.join(GENERATED), &wanted)?;
    for difference in &differences {
        println!("generate: {GENERATED}/{}: {}", difference.file, difference.what);
    }
    if check && !differences.is_empty() {
        eprintln!("generated code is not up to date; run `cargo xtask generate`");
        return Ok(ExitCode::FAILURE);
    }
    files::settle(&root.join(GENERATED), &wanted, &differences)?;
    Ok(ExitCode::SUCCESS)
}
