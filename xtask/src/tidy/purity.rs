//! A core decides and does nothing else: it can do no I/O, ask no clock, throw no dice and start no thread.
//!
//! Two checks make that hold: a core is built only from crates that can do none of it, and its sources name no part of
//! the standard library that can. Tests of a core are free.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::layers::{Crate, IDS, Layer};
use super::source::{Source, Token, paths, tokens};
use super::{Fault, inside};
use crate::workspace::Workspace;

const CORE: &str = "crates/core";

/// What a core may be built from.
const ALLOWED: [&str; 7] = [IDS, "minicbor", "hashbrown", "thiserror", "serde", "serde_json", "sha2"];

/// What a core may not name, and what it would mean.
const FORBIDDEN: [(&str, &str); 14] = [
    ("std::fs", "files belong to ports"),
    ("std::io", "I/O belongs to ports"),
    ("std::net", "sockets belong to ports"),
    ("std::os", "the operating system belongs to ports"),
    ("std::process", "processes belong to the faces"),
    ("std::thread", "threads belong to services"),
    ("std::env", "settings come in as arguments"),
    ("std::time::Instant", "time comes in as an argument"),
    ("std::time::SystemTime", "time comes in as an argument"),
    ("std::time::UNIX_EPOCH", "time comes in as an argument"),
    ("std::hash::RandomState", "randomness comes in as an argument"),
    ("std::collections::hash_map::RandomState", "randomness comes in as an argument"),
    ("tokio", "tasks belong to services"),
    ("rand", "randomness comes in as an argument"),
];

/// Macros that write to a terminal.
const PRINTING: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];

/// Every dependency of a core that is not on the list.
pub fn dependency_faults(crates: &[Crate]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for core in crates.iter().filter(|member| member.layer() == Some(Layer::Core)) {
        for need in &core.needs {
            if need.for_build_script {
                faults.push(Fault::new(
                    &core.name,
                    format!("a core has no build script, so it cannot need {}", need.name),
                ));
            } else if !ALLOWED.contains(&need.name.as_str()) && !crates.iter().any(|other| other.name == need.name) {
                let said = format!("a core is built from {} only, not from {}", ALLOWED.join(", "), need.name);
                faults.push(Fault::new(&core.name, said));
            }
        }
    }
    faults
}

/// Every place in the cores among `files` that names what a core may not do.
pub fn source_faults(workspace: &Workspace, files: &[PathBuf]) -> Result<Vec<Fault>> {
    let cores =
        inside(files, CORE).into_iter().filter(|file| file.iter().any(|part| part == "src")).collect::<Vec<_>>();
    let mut sources = Vec::new();
    let mut tests = HashSet::new();
    for file in cores {
        let (code, modules) = Source::read(&workspace.read(&file)?).without_tests();
        tests.extend(modules.iter().map(|module| module_path(&file, module)));
        sources.push((file, code));
    }
    // A test module may be a file or a folder of files.
    sources.retain(|(file, _)| !file.ancestors().any(|part| tests.contains(&part.with_extension(""))));
    Ok(sources.iter().flat_map(|(file, code)| code_faults(file, code)).collect())
}

/// Where the module `name`, declared in `file`, lies, without an extension.
fn module_path(file: &Path, name: &str) -> PathBuf {
    match file.file_name().and_then(|name| name.to_str()) {
        Some("lib.rs" | "main.rs" | "mod.rs") => file.with_file_name(name),
        _ => file.with_extension("").join(name),
    }
}

fn code_faults(file: &Path, code: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for path in paths(code) {
        if let Some((what, why)) = forbidden(&path.segments) {
            let written = path.segments.join("::");
            faults.push(Fault::at(file, path.line, format!("a core may not name {what} (`{written}`): {why}")));
        }
    }
    let tokens = tokens(code).collect::<Vec<_>>();
    for pair in tokens.windows(2) {
        if let [(Token::Word(word), line), (Token::Sign('!'), _)] = pair
            && PRINTING.contains(word)
        {
            faults.push(Fault::at(file, *line, format!("a core may not print (`{word}!`): it returns events")));
        }
    }
    faults
}

/// Matches what lies inside a forbidden part, and also what would bring it in by another name: `use std::time;`,
/// `use std::time::*;`, `use std as s;`.
fn forbidden(segments: &[String]) -> Option<(&'static str, &'static str)> {
    let segments = match segments {
        [before @ .., last] if last == "*" || last == "self" => before,
        whole => whole,
    };
    if segments.is_empty() {
        return None;
    }
    FORBIDDEN.into_iter().find(|(what, _)| {
        let rule = what.split("::").collect::<Vec<_>>();
        let same = rule.iter().zip(segments).take_while(|(rule, segment)| *rule == segment).count();
        let covers_all = segments.len() < rule.len() && is_module(segments);
        same == rule.len() || (same == segments.len() && covers_all)
    })
}

/// `std`, or a module of it with both allowed and forbidden parts; `std::collections` is too useful to refuse whole.
fn is_module(segments: &[String]) -> bool {
    let segments = segments.iter().map(String::as_str).collect::<Vec<_>>();
    matches!(segments[..], ["std"] | ["std", "time"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::layers::Need;

    fn core(needs: &[&str]) -> Crate {
        let needs = needs.iter().map(|name| Need { name: (*name).to_owned(), for_build_script: false }).collect();
        Crate { name: "capstan-work".to_owned(), folder: "crates/core/work".into(), needs }
    }

    fn said(text: &str) -> Vec<String> {
        let (code, _) = Source::read(text).without_tests();
        code_faults(Path::new("work.rs"), &code).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_core_that_opens_a_file_is_refused_at_its_line() {
        let said = said("fn decide() {}\nfn peek() { let _ = std::fs::File::open(\"x\"); }\n");

        assert_eq!(said, ["work.rs:2: a core may not name std::fs (`std::fs::File::open`): files belong to ports"]);
    }

    #[test]
    fn every_way_to_the_world_outside_is_refused() {
        for text in [
            "use std::fs;",
            "use std::{collections::BTreeMap, net::{TcpStream}};",
            "use std::process::Command;",
            "use std::{thread as t};",
            "fn f() { ::std::env::var(\"HOME\"); }",
            "use std::time::{Duration, Instant};",
            "use std::time::SystemTime;",
            "use std::time;",
            "use std::time::*;",
            "use std as s;",
            "use std::{self as s};",
            "use std::*;",
            "use tokio::spawn;",
            "fn f() { rand::random() }",
            "use std::hash::RandomState;",
            "fn f() { println!(\"x\") }",
            "#[cfg(feature = \"test\")] use std::fs::read;",
        ] {
            assert_eq!(said(text).len(), 1, "{text}: {:?}", said(text));
        }
    }

    #[test]
    fn what_only_computes_is_allowed() {
        for text in [
            "use std::{collections::{BTreeMap, HashMap}, fmt, sync::Arc, time::Duration};",
            "use std::collections;",
            "// std::fs would be wrong here\nfn f() -> &'static str { \"std::fs\" }",
            "#[cfg(test)]\nmod tests { use std::time::Instant; }",
            "fn now(now: Moment) -> Moment { now }",
        ] {
            assert_eq!(said(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_core_is_built_only_from_crates_on_the_list() {
        assert_eq!(dependency_faults(&[core(&["capstan-ids", "minicbor", "serde"])]), []);

        let faults = dependency_faults(&[core(&["tokio"])]);

        assert_eq!(faults.len(), 1);
        assert!(faults[0].said.ends_with("not from tokio"), "{faults:?}");
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let src = folder.path().join("crates/core/work/src");
        std::fs::create_dir_all(&src).unwrap();
        std::fs::write(src.join("lib.rs"), "mod lease;\n#[cfg(test)] mod tests;\n").unwrap();
        std::fs::write(src.join("lease.rs"), "use std::fs;").unwrap();
        std::fs::write(src.join("tests.rs"), "use std::fs;").unwrap();
        let workspace = Workspace { root: folder.path().to_owned() };

        let faults = source_faults(&workspace, &workspace.files("rs").unwrap()).unwrap();

        assert_eq!(
            faults.iter().map(|fault| fault.place.as_str()).collect::<Vec<_>>(),
            ["crates/core/work/src/lease.rs:1"]
        );
    }
}
