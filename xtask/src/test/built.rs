//! What a build made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Artifact, Message, TargetKind};

use crate::workspace::Workspace;

/// Builds every test and what the tests call, and returns the programs by name, the `wanted` ones among them.
///
/// One build with the features of the whole workspace: building a program by itself may choose other features for what
/// it depends on, and build that again.
pub fn programs(workspace: &Workspace, wanted: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    let tests = ["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"];
    let mut programs = by_name(artifacts(workspace, &tests)?);
    // Cargo builds the programs of a package for its tests only if it has tests that could call them.
    if !wanted.iter().all(|name| programs.contains_key(*name)) {
        let rest = ["build", "--workspace", "--bins", "--message-format", "json-render-diagnostics"];
        programs.extend(by_name(artifacts(workspace, &rest)?));
    }
    Ok(programs)
}

fn artifacts(workspace: &Workspace, arguments: &[&str]) -> Result<Vec<Artifact>> {
    let mut child = workspace.cargo(arguments).stdout(Stdio::piped()).spawn().context("start cargo")?;
    let output = child.stdout.take().expect("its output is piped");
    let messages = Message::parse_stream(std::io::BufReader::new(output)).collect::<Result<Vec<_>, _>>();
    let status = child.wait().context("wait for cargo")?;
    if !status.success() {
        bail!("the build failed ({status})");
    }
    let messages = messages.context("read what cargo built")?;
    Ok(messages
        .into_iter()
        .filter_map(|message| if let Message::CompilerArtifact(made) = message { Some(made) } else { None })
        .collect())
}

fn by_name(artifacts: Vec<Artifact>) -> BTreeMap<String, PathBuf> {
    let is_program = |made: &Artifact| made.target.kind.contains(&TargetKind::Bin) && !made.profile.test;
    let programs = artifacts.into_iter().filter(is_program);
    programs.filter_map(|made| Some((made.target.name, made.executable?.into()))).collect()
}
