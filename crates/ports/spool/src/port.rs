//! The port: what workers ask of a spool.
//!
//! Made so that an object store fits: whole objects are put, nothing is renamed, appended to or written twice.

use crate::error::SpoolError;
use crate::facts::PartFacts;
use crate::name::PartName;
use async_trait::async_trait;
use bytes::Bytes;
use capstan_ids::{SessionName, Token};
use std::collections::{BTreeSet, HashSet};
use std::fmt;

/// A place that keeps sealed parts.
#[async_trait]
pub trait Spool: Send + Sync + fmt::Debug {
    /// Starts a part. Refused with [`SpoolError::Exists`] where one of this name is being written or is sealed.
    async fn begin_part(&self, name: PartName) -> Result<Box<dyn PartWriter>, SpoolError>;

    /// Streams a sealed part back; each block is proved before it is handed out, the totals at the end.
    async fn open_part(&self, facts: &PartFacts) -> Result<Box<dyn PartReader>, SpoolError>;

    /// Reads the whole part and proves it against its facts, without handing anything out.
    async fn prove(&self, facts: &PartFacts) -> Result<(), SpoolError> {
        let mut part = self.open_part(facts).await?;
        while part.next().await?.is_some() {}
        Ok(())
    }

    /// The jobs that have a folder here, in the order of their names; it may be an empty one.
    async fn jobs(&self) -> Result<Vec<SessionName>, SpoolError>;

    /// The sealed parts of a job, in the order of their names. Empty for a job that the spool knows nothing of.
    async fn list(&self, job: &SessionName) -> Result<Vec<Listed>, SpoolError>;

    /// Removes a sealed part. A part that is not there is no error: deleting may be repeated.
    async fn delete(&self, part: &PartName) -> Result<(), SpoolError>;

    /// Removes what the job no longer needs: every part, sealed or not, that `keep` does not cover.
    async fn sweep(&self, job: &SessionName, keep: &Keep) -> Result<Swept, SpoolError>;

    /// Removes everything the job has here. May be repeated; things that are not the spool's own are left alone.
    async fn remove_job(&self, job: &SessionName) -> Result<Swept, SpoolError>;

    /// Who this spool is: a worker takes a job's restores only if it sees the marker that the dumps saw.
    fn marker(&self) -> Marker;

    /// How many bytes may still be written, where the store knows a limit.
    async fn free_space(&self) -> Result<Option<u64>, SpoolError>;

    /// Whether there is room to go on dumping: asked again and again while there was none. A folder looks at its disk; a
    /// bucket, which cannot say, is given something as large as a piece of a part, which is taken back.
    async fn has_room(&self) -> Result<bool, SpoolError>;
}

/// A part being written. Dropping it unsealed discards it.
#[async_trait]
pub trait PartWriter: Send {
    /// Adds whole BSON documents, one behind the other. Waits while compressing and storing are behind.
    ///
    /// `documents` must be how many there are: a batch that is not exactly so many documents is refused with
    /// [`SpoolError::Batch`]. After any error the part cannot be sealed.
    async fn write(&mut self, batch: Bytes, documents: u32) -> Result<(), SpoolError>;

    /// How many bytes of documents it was given so far; callers seal by this.
    fn bytes(&self) -> u64;

    /// Makes the part durable under its name. From here on it counts.
    async fn seal(self: Box<Self>) -> Result<PartFacts, SpoolError>;
}

/// A sealed part being read. Reads ahead by two blocks; dropping it stops that.
#[async_trait]
pub trait PartReader: Send {
    /// The next block, proved. `None` comes only after the whole part was proved against its facts.
    async fn next(&mut self) -> Result<Option<Block>, SpoolError>;
}

/// Some whole documents of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// How many.
    pub documents: u32,
    /// The documents as raw BSON, one behind the other.
    pub bytes: Bytes,
}

/// The random number a spool was made with; drawn by the caller, kept by the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Marker(u128);

impl Marker {
    /// A marker with this number.
    pub const fn new(number: u128) -> Self {
        Self(number)
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl std::str::FromStr for Marker {
    type Err = SpoolError;

    fn from_str(text: &str) -> Result<Self, SpoolError> {
        let number = (text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten();
        number.map(Self).ok_or_else(|| SpoolError::Marker { found: text.chars().take(64).collect() })
    }
}

/// A sealed part as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub name: PartName,
    /// How much room it takes.
    pub stored_bytes: u64,
}

/// What a sweep must leave alone: a part stays if any of the three says so.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// The parts that facts name.
    pub parts: HashSet<PartName>,
    /// The tokens of leases that may still be writing.
    pub tokens: BTreeSet<Token>,
    /// The highest token that had been granted when the two sets were made. Parts under a higher one belong to
    /// leases granted since, of which the sets can know nothing.
    pub granted_up_to: Option<Token>,
}

impl Keep {
    /// Whether a sweep must leave the part alone.
    pub fn covers(&self, part: &PartName) -> bool {
        self.parts.contains(part)
            || self.tokens.contains(&part.token())
            || self.granted_up_to.is_some_and(|last| part.token() > last)
    }
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many parts, sealed or not.
    pub parts: u64,
    /// How much room they took.
    pub stored_bytes: u64,
    /// Uploads that a crash left unfinished, and that were ended.
    pub uploads: u64,
}
