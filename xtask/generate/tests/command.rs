//! The program as `cargo xtask generate` calls it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const PROTO: &str = "syntax = \"proto3\"; package example.v1; message Name { string name = 1; }";

fn generate(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_capstan-generate"))
        .arg(root)
        .args(arguments)
        .output()
        .expect("it was built for this test")
}

#[test]
fn a_check_fails_and_writes_nothing_until_the_code_is_generated() {
    let root = tempfile::tempdir().unwrap();
    let sources = root.path().join("crates/ports/proto/proto");
    let generated = root.path().join("crates/ports/proto/src/generated");
    fs::create_dir_all(&sources).unwrap();
    fs::write(sources.join("name.proto"), PROTO).unwrap();

    let missing = generate(root.path(), &["--check"]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert!(!generated.exists());

    assert!(generate(root.path(), &[]).status.success());
    assert!(generated.join("example.v1.rs").exists());
    assert!(generate(root.path(), &["--check"]).status.success());

    fs::write(sources.join("name.proto"), PROTO.replace("name = 1", "name = 2")).unwrap();
    let outdated = generate(root.path(), &["--check"]);
    assert_eq!(outdated.status.code(), Some(1), "{outdated:?}");
    assert!(String::from_utf8_lossy(&outdated.stdout).contains("example.v1.rs: out of date"), "{outdated:?}");
}
