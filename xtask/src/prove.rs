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
const PROOFS: &[Proof] = &[
    Proof {
        name: "kills",
        shows: "clients of every sort on a server that is killed, frozen and told to end a hundred times",
        cargo: &["run", "--package", "capstan-proofs", "--", "kills"],
        environment: &[],
    },
    Proof {
        name: "torn",
        shows: "the same, and after each kill the log's last flush is torn as a power cut may tear it",
        cargo: &["run", "--package", "capstan-proofs", "--", "kills", "--torn"],
        environment: &[],
    },
    Proof {
        name: "failover",
        shows: "three servers on one database (--journal postgres or cassandra), whose leader is killed, frozen and cut off",
        cargo: &["run", "--package", "capstan-proofs", "--", "failover"],
        environment: &[],
    },
    Proof {
        name: "worker-lost",
        shows: "a migration whose workers and server are killed on the way; both sides are the same at its end",
        cargo: &["run", "--package", "capstan-proofs", "--", "worker-lost"],
        environment: &[],
    },
    Proof {
        name: "million",
        shows: "a million items: memory and disk of each, and seconds from a kill to the first acquire",
        cargo: &["run", "--release", "--package", "capstan-proofs", "--", "million"],
        environment: &[],
    },
    Proof {
        name: "churn",
        shows: "the rate with a million items behind against that with none, and the longest wait for a status",
        cargo: &["run", "--release", "--package", "capstan-proofs", "--", "churn"],
        environment: &[],
    },
];

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
