//! What was typed.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::Args;

use crate::options::Output;

#[derive(Args)]
pub struct Options {
    /// The server that documents are read from, as NAME=URL,PID[+PID]
    #[arg(long, value_name = "NAME=URL,PID[+PID]")]
    pub source: Server,
    /// A server that documents are written to, as NAME=URL,PID[+PID]
    #[arg(long = "target", value_name = "NAME=URL,PID[+PID]", required = true)]
    pub targets: Vec<Server>,
    /// The capstan binary to measure
    #[arg(long)]
    pub capstan: PathBuf,
    /// The mongodump program; without it and mongorestore the tools are not measured
    #[arg(long, requires = "mongorestore")]
    pub mongodump: Option<PathBuf>,
    /// The mongorestore program
    #[arg(long, requires = "mongodump")]
    pub mongorestore: Option<PathBuf>,
    /// Folder for spools and journals
    #[arg(long)]
    pub data_dir: PathBuf,
    /// Only these data, by name: small, large
    #[arg(long, value_delimiter = ',')]
    pub data: Vec<String>,
    /// How often everything is measured; medians are reported
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Write the results between the markers of this page
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
}

impl Options {
    pub fn has(&self, data: &str) -> bool {
        self.data.is_empty() || self.data.iter().any(|name| name == data)
    }
}

/// A server that runs already, and the processes that it and what it stores in descend from.
#[derive(Clone)]
pub struct Server {
    pub name: String,
    pub url: String,
    pub pids: Vec<u32>,
}

impl FromStr for Server {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.rsplit_once(',')?)));
        let (name, (url, pid)) = parts.context("is NAME=URL,PID[+PID]")?;
        let pids: Result<Vec<u32>, _> = pid.split('+').map(str::parse).collect();
        Ok(Self { name: name.to_owned(), url: url.to_owned(), pids: pids.context("a PID is a number")? })
    }
}
