//! FerretDB: the MongoDB wire protocol from a PostgreSQL of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::{Place, built, on_path, postgres};
use crate::workspace::succeed;

const NAME: &str = "ferret";
const SOURCES: built::Sources = &[
    ("go.mod", include_str!("../../services/ferret/go.mod")),
    ("go.sum", include_str!("../../services/ferret/go.sum")),
    ("main.go", include_str!("../../services/ferret/main.go")),
];

/// The program, where it is built and there is a PostgreSQL for it to store in.
pub fn program() -> Option<PathBuf> {
    let program = built::find(NAME, SOURCES)?.join(NAME);
    (program.is_file() && postgres::program("postgres").is_some()).then_some(program)
}

pub fn build() -> Result<()> {
    postgres::program("postgres").context("needs the program postgres")?;
    if built::find(NAME, SOURCES).is_some() {
        return Ok(());
    }
    let go = on_path("go").or_else(|| Some(PathBuf::from("/usr/local/go/bin/go")).filter(|go| go.is_file()));
    let go = go.context("needs the program go")?;
    built::build(NAME, SOURCES, |folder| {
        let mut build = Command::new(go);
        // Another toolchain is not downloaded: this one can do it, or it cannot be had here.
        build.env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0").current_dir(folder).stdin(Stdio::null());
        build.args(["build", "-tags", "ferretdb_no_sqlite", "-o", NAME, "."]);
        succeed(&mut build, "go build")
    })
}

pub fn command(program: &Path, place: &Place, postgres: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(format!("127.0.0.1:{}", place.port)).arg(postgres).current_dir(&place.folder);
    command
}
