//! Long proofs, by name: what takes too long for every test run and is asked for instead.
//!
//! A proof is a command whose exit status is the verdict. It prints its own progress and its own last line.

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::{Workspace, succeed};

/// A proof: what it shows, and what of the program for proofs shows it.
struct Proof {
    name: &'static str,
    shows: &'static str,
    command: &'static [&'static str],
    /// What is proved, the server too, unless another is asked for.
    profile: Profile,
}

/// How what is proved is built, and the program that proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    /// Checks its own invariants as it goes
    Debug,
    /// What people run
    Release,
}

/// Every proof there is. Its last result belongs in the docs.
const PROOFS: &[Proof] = &[
    Proof {
        name: "kills",
        shows: "clients of every sort on a server that is killed, frozen and told to end a hundred times",
        command: &["kills"],
        profile: Profile::Debug,
    },
    Proof {
        name: "torn",
        shows: "the same, and after each kill the log's last flush is torn as a power cut may tear it",
        command: &["kills", "--torn"],
        profile: Profile::Debug,
    },
    Proof {
        name: "failover",
        shows: "three servers on one database (--journal postgres or cassandra), whose leader is killed, frozen and cut off",
        command: &["failover"],
        profile: Profile::Release,
    },
    Proof {
        name: "worker-lost",
        shows: "a migration whose workers and server are killed on the way; both sides are the same at its end",
        command: &["worker-lost"],
        profile: Profile::Debug,
    },
    Proof {
        name: "million",
        shows: "a million items: memory and disk of each, and seconds from a kill to the first acquire",
        command: &["million"],
        profile: Profile::Release,
    },
    Proof {
        name: "churn",
        shows: "the rate with a million items behind against that with none, and the longest wait for a status",
        command: &["churn"],
        profile: Profile::Release,
    },
];

#[derive(Args)]
pub struct Options {
    /// Which proof to run
    name: Option<String>,
    /// Prove another build than the proof asks for
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Passed on to the proof
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let Some(name) = &options.name else {
        for proof in PROOFS {
            println!("{:<12} {}", proof.name, proof.shows);
        }
        return Ok(());
    };
    let proof = PROOFS.iter().find(|proof| proof.name == name);
    let proof = proof.with_context(|| format!("there is no proof named {name}; `cargo xtask prove` lists them"))?;
    let mut command = workspace.cargo(["run", "--package", "capstan-proofs"]);
    if options.profile.unwrap_or(proof.profile) == Profile::Release {
        command.arg("--release");
    }
    command.arg("--").args(proof.command).args(&options.arguments);
    succeed(&mut command, &format!("the proof {name}"))
}
