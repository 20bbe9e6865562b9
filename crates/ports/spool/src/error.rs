//! What can go wrong with a part, by what the caller can do about it.

use crate::name::PartName;
use std::io;

/// What a spool cannot do, and why.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The part is not there, though the spool is.
    #[error("part {part} is missing in {place}; its chunk must be dumped again")]
    Missing {
        /// Which part.
        part: PartName,
        /// Which spool.
        place: String,
    },
    /// The part is not what was sealed.
    #[error("part {part} in {place} is damaged at byte {offset}: {what}; its chunk must be dumped again")]
    Damaged {
        /// Which part.
        part: PartName,
        /// Which spool.
        place: String,
        /// Where in the stored bytes.
        offset: u64,
        /// What was expected and what was found.
        what: String,
    },
    /// There is no room left.
    #[error("the spool {place} is full; free some space there, and dumping goes on")]
    Full {
        /// Which spool.
        place: String,
        /// What the store said.
        source: io::Error,
    },
    /// The spool itself is not there, or is another one than was opened: say, an unmounted volume.
    #[error(
        "the spool {place} has marker {found} where {expected} was expected; is its volume mounted, its bucket there?"
    )]
    Away {
        /// Which spool.
        place: String,
        /// The marker it was opened with.
        expected: String,
        /// The marker it has now, or `none`.
        found: String,
    },
    /// Somebody writes, or has sealed, a part of this name: a bug of the caller, since a lease counts its parts.
    #[error("part {part} exists already in {place}; a part is written once")]
    Exists {
        /// Which part.
        part: PartName,
        /// Which spool.
        place: String,
    },
    /// A batch is not what it was said to be; nothing of it was taken.
    #[error("a batch for part {part}: {what}")]
    Batch {
        /// Which part.
        part: PartName,
        /// What was expected and what was found.
        what: String,
    },
    /// A part would exceed a limit.
    #[error(
        "part {part}: {what} of {found} bytes exceeds the limit of {limit}; seal the part and begin another, or send smaller batches"
    )]
    TooLarge {
        /// Which part.
        part: PartName,
        /// Of what.
        what: &'static str,
        /// How large it would be.
        found: u64,
        /// The most there may be.
        limit: u64,
    },
    /// A newer program wrote the part.
    #[error(
        "part {part} in {place} has format version {found}, this program knows up to {known}; use a newer program, or dump the chunk again"
    )]
    Version {
        /// Which part.
        part: PartName,
        /// Which spool.
        place: String,
        /// Its version.
        found: u16,
        /// The newest known one.
        known: u16,
    },
    /// The store refuses its user.
    #[error("the spool {place} does not let this worker {operation}; its credentials must be right, and allow {right}")]
    Denied {
        /// What was tried.
        operation: &'static str,
        /// Which spool.
        place: String,
        /// What its user must be allowed, in the store's own words.
        right: &'static str,
        /// What the store said.
        source: io::Error,
    },
    /// The URL is not one of a spool. Shows nothing of it that could be a secret.
    #[error("the spool {url} is not usable: {reason}")]
    Url {
        /// The URL without its options, or `(not shown)`.
        url: String,
        /// What was expected and what was found.
        reason: String,
    },
    /// A secret that the URL names cannot be had.
    #[error("the spool {place} needs secret {name}, which cannot be had")]
    Secret {
        /// Which spool.
        place: String,
        /// The secret's name.
        name: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A marker that is none.
    #[error("a spool's marker must be 32 hex digits in lower case, found {found:?}")]
    Marker {
        /// What came, shortened.
        found: String,
    },
    /// The store failed in a way that may pass.
    #[error("{operation} in the spool {place}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// Which spool, or which file in it.
        place: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// What the caller does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpoolFault {
    /// Dump the chunk again: the part will not come back.
    DumpAgain,
    /// Stop dumping until there is room; restoring makes some.
    NoRoom,
    /// Try again, later and from anywhere that sees the spool.
    Retry,
    /// Give up: trying again changes nothing.
    Refused,
}

impl SpoolError {
    /// What the caller does about it.
    pub fn fault(&self) -> SpoolFault {
        match self {
            Self::Missing { .. } | Self::Damaged { .. } => SpoolFault::DumpAgain,
            Self::Full { .. } => SpoolFault::NoRoom,
            Self::Away { .. } | Self::Store { .. } | Self::Secret { .. } => SpoolFault::Retry,
            Self::Exists { .. }
            | Self::Batch { .. }
            | Self::TooLarge { .. }
            | Self::Version { .. }
            | Self::Denied { .. }
            | Self::Url { .. }
            | Self::Marker { .. } => SpoolFault::Refused,
        }
    }

    /// An I/O failure, told apart by whether it is for want of room.
    pub(crate) fn io(operation: &'static str, place: impl Into<String>, source: io::Error) -> Self {
        let place = place.into();
        match source.kind() {
            // A quota is a full disk to whoever has it.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { place, source },
            _ => Self::Store { operation, place, source },
        }
    }
}
