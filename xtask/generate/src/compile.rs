//! From `.proto` files to Rust and descriptors.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use prost::Message;

use crate::files::Files;

/// What the server's reflection service reads.
pub const DESCRIPTORS: &str = "descriptors.bin";

/// Compiles every `.proto` file below `sources`.
pub fn compile(sources: &Path) -> Result<Files> {
    let protos = protos(sources)?;
    if protos.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut compiler = protox::Compiler::new([sources]).context("read the .proto files")?;
    compiler.include_imports(true).include_source_info(true);
    for proto in &protos {
        compiler.open_file(proto).with_context(|| format!("compile {}", proto.display()))?;
    }
    let mut descriptors = compiler.file_descriptor_set();

    let folder = tempfile::tempdir().context("make a temporary folder")?;
    // Payloads and checkpoints pass through unread, so they are shared and not copied.
    let builder = tonic_prost_build::configure().out_dir(folder.path()).bytes(".");
    builder.compile_fds(descriptors.clone()).context("generate code from the .proto files")?;

    // The comments are in the code already; reflection has no use for them.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let mut files = BTreeMap::from([(DESCRIPTORS.to_owned(), descriptors.encode_to_vec())]);
    for entry in fs::read_dir(folder.path()).context("list the generated code")? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).context("a generated file has no readable name")?;
        // Well-known types come from prost-types; an empty file would only be noise.
        let code = fs::read(&path).with_context(|| format!("read generated {name}"))?;
        files.insert(name.to_owned(), code);
    }
    Ok(files)
}

/// The `.proto` files below a folder, in order; none where there is no such folder.
fn protos(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop().filter(|folder| folder.exists()) {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "proto") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTO: &str = r#"
        syntax = "proto3";
        package example.v1;
        // Greets.
        service Greeter { rpc Greet(Name) returns (Name); }
        message Name { bytes name = 1; }
    "#;

    fn sources(proto: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("example/v1")).unwrap();
        fs::write(folder.path().join("example/v1/greeter.proto"), proto).unwrap();
        folder
    }

    #[test]
    fn the_same_sources_give_the_same_code_and_descriptors() {
        let folder = sources(PROTO);

        let first = compile(folder.path()).unwrap();
        let second = compile(folder.path()).unwrap();

        assert_eq!(first, second);
        assert_eq!(first.keys().collect::<Vec<_>>(), [DESCRIPTORS, "example.v1.rs"]);
        let code = String::from_utf8(first["example.v1.rs"].clone()).unwrap();
        for part in ["pub struct Name", "mod greeter_client", "mod greeter_server", "prost::bytes::Bytes"] {
            assert!(code.contains(part), "{part} in:\n{code}");
        }
    }

    #[test]
    fn a_faulty_proto_is_refused_by_name() {
        let folder = sources("syntax = \"proto3\"; message Broken { Missing field = 1; }");

        let error = format!("{:#}", compile(folder.path()).unwrap_err());

        assert!(error.contains("greeter.proto") && error.contains("Missing"), "{error}");
    }
}
