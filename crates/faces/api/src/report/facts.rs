//! Of a report, what its page shows.

use serde::Deserialize;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub job: String,
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
pub struct Proof {
    pub mode: String,
    pub ranges: u64,
    pub missing: u64,
    pub extra: u64,
    pub different: u64,
    pub repaired: u64,
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
    pub finished: bool,
    pub verified: Option<Proof>,
    pub examples: Vec<SetAside>,
    pub set_aside: Vec<SetAside>,
}

impl Proof {
    /// Documents that are still not the same on both sides.
    pub fn faults(&self) -> u64 {
        (self.missing + self.extra + self.different).saturating_sub(self.repaired)
    }
}
