//! Of a report, what its page shows.

use super::Proof;
use capstan_migration::Mode;
use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub job: String,
    pub mode: Mode,
    pub state: String,
    pub units: u64,
    pub chunks: u64,
    pub documents: u64,
    pub bytes: u64,
    pub seconds: f64,
    pub dead_letters: u64,
    pub verified: Proof,
    pub planned: Option<Figures>,
    pub dump: Option<String>,
    pub refused: Vec<SetAside>,
    pub set_aside: Vec<SetAside>,
    pub by_unit: Vec<Unit>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Figures {
    pub documents: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SetAside {
    pub what: String,
    pub reason: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Unit {
    pub source: String,
    pub target: String,
    pub chunks: u64,
    pub documents: u64,
    pub bytes: u64,
    pub dead_letters: u64,
    pub view: bool,
    pub finished: bool,
    pub given_up: bool,
    pub planned: Option<Figures>,
    pub verified: Option<Proof>,
    pub examples: Vec<SetAside>,
    pub set_aside: Vec<SetAside>,
}
