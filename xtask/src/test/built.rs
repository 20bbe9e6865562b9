//! What a build made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Artifact, Message, TargetKind};

use crate::workspace::Workspace;

/// Builds every test and every program, and returns the programs by name.
///
/// One build with the features of the whole workspace: building a program by itself may choose other features for what
/// it depends on, and build that again.
pub fn programs(workspace: &Workspace) -> Result<BTreeMap<String, PathBuf>> {
    let tests = ["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"];
    let mut found = artifacts(workspace, &tests)?;
    // Cargo builds the programs of a package for its tests only if it has tests that could call them.
    found.extend(artifacts(
        workspace,
        &["build", "--workspace", "--bins", "--message-format", "json-render-diagnostics"],
    )?);
    Ok(found.into_iter().filter_map(program).collect())
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

fn program(artifact: Artifact) -> Option<(String, PathBuf)> {
    let is_program = artifact.target.kind.contains(&TargetKind::Bin) && !artifact.profile.test;
    let executable = artifact.executable.filter(|_| is_program)?;
    Some((artifact.target.name, executable.into()))
}
