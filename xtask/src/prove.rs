//! Long proofs, by name: what takes too long for every test run and is asked for instead.
//!
//! A proof is a command whose exit status is the verdict. It prints its own progress and its own last line.

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::{Workspace, succeed};

/// A proof: what it shows, and the cargo command that shows it.
struct Proof {
    name: &'static str,
    shows: &'static str,
    cargo: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// Every proof there is. Its last result belongs in the docs.
const PROOFS: &[Proof] = &[];

#[derive(Args)]
pub struct Options {
    /// Which proof to run
    name: Option<String>,
    /// Passed on to the proof
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let Some(name) = &options.name else {
        if PROOFS.is_empty() {
            println!("no proofs yet");
        }
        for proof in PROOFS {
            println!("{:<24} {}", proof.name, proof.shows);
        }
        return Ok(());
    };
    let proof = PROOFS.iter().find(|proof| proof.name == name);
    let proof = proof.with_context(|| format!("there is no proof named {name}; `cargo xtask prove` lists them"))?;
    let mut command = workspace.cargo(proof.cargo);
    command.args(&options.arguments).envs(proof.environment.iter().copied());
    succeed(&mut command, &format!("the proof {name}"))
}
