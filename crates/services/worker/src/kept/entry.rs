//! What a catalogue says, as BSON documents.

use bytes::Bytes;
use capstan_endpoint::Unit;
use capstan_ids::{SessionName, Token};
use capstan_spool::{PartFacts, PartName};
use serde::{Deserialize, Serialize};

/// The format that is written; a reader refuses a higher one.
pub(super) const FORMAT: i32 = 1;
/// The unit under whose name a catalogue's own parts lie. A unit's id has 16 characters, so it is nobody else's.
pub(super) const CATALOGUE: &str = "catalogue";
const HEAD: &str = "head";

/// The head of a catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub capstan_dump: i32,
    /// The job that made it.
    pub job: String,
    /// Where it was read from; secrets are only referred to.
    pub from: String,
    /// When it was complete.
    pub when: bson::DateTime,
    /// The marker of its spool.
    pub marker: String,
    pub units: i64,
    pub chunks: i64,
    pub documents: i64,
    pub bytes: i64,
    /// Where units and chunks are listed.
    pub body: Vec<PartFacts>,
}

/// One line of a catalogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// All that defines a collection, as the source said it: JSON text, because the order of its fields counts.
    Unit(String),
    /// A chunk of the unit before.
    Chunk(ChunkEntry),
}

/// One chunk of a kept dump.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChunkEntry {
    pub documents: i64,
    pub bytes: i64,
    pub parts: Vec<PartFacts>,
}

/// The unit of a definition, with the filter that it was dumped by: what it is compared with is chosen by that too.
pub(super) fn unit(definition: &str) -> serde_json::Result<Unit> {
    serde_json::from_str(definition)
}

pub(super) fn document(entry: &impl Serialize) -> Bytes {
    bson::serialize_to_vec(entry).expect("entries are plain data, and no number in them exceeds 63 bits").into()
}

/// The name of the part that makes a dump visible: it says the facts of the head.
pub(super) fn pointer(head: &PartFacts, sequence: u32) -> PartName {
    let unit = format!("{HEAD}{:016x}{:016x}{}", head.bytes, head.stored_bytes, head.checksum);
    let documents = u32::try_from(head.documents).expect("a head is one document");
    PartName::new(head.name.job().clone(), &unit, documents, head.blocks, head.name.token(), sequence)
        .expect("52 plain characters")
}

/// The facts of the head that a part points to, if it is such a part.
pub(super) fn pointed_to(name: &PartName) -> Option<PartFacts> {
    let figures = name.unit().strip_prefix(HEAD).filter(|figures| figures.len() == 48)?;
    let (bytes, rest) = figures.split_at_checked(16)?;
    let (stored, checksum) = rest.split_at_checked(16)?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let head = head_name(name.job(), name.token(), name.sequence().checked_sub(1)?);
    let checksum = serde_json::from_value(checksum.into()).ok()?;
    Some(PartFacts {
        name: head,
        documents: u64::from(name.chunk()),
        bytes: number(bytes)?,
        blocks: name.generation(),
        stored_bytes: number(stored)?,
        checksum,
    })
}

/// Whether a part belongs to a catalogue.
pub(super) fn is_catalogue(name: &PartName) -> bool {
    name.unit() == CATALOGUE || pointed_to(name).is_some()
}

pub(super) fn body_name(job: &SessionName, token: Token, sequence: u32) -> PartName {
    PartName::new(job.clone(), CATALOGUE, 0, 0, token, sequence).expect("a plain word")
}

pub(super) fn head_name(job: &SessionName, token: Token, sequence: u32) -> PartName {
    PartName::new(job.clone(), CATALOGUE, 1, 0, token, sequence).expect("a plain word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_says_all_facts_of_the_head() {
        let facts = PartFacts {
            name: "job-nightly/catalogue_1.g0.t77.s4".parse().unwrap(),
            documents: 1,
            bytes: u64::MAX,
            blocks: 1,
            stored_bytes: 300,
            checksum: serde_json::from_str("\"00000000000000ff\"").unwrap(),
        };

        let name = pointer(&facts, 5);

        assert_eq!(name.to_string().parse(), Ok(name.clone()), "{name}");
        assert_eq!(pointed_to(&name), Some(facts.clone()));
        assert_eq!(pointed_to(&facts.name), None);
        assert_eq!(pointed_to(&"job-nightly/4fa3c1d2e5b60718_0.g0.t77.s0".parse().unwrap()), None);
    }
}
