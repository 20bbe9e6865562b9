//! What can go wrong at an endpoint, sorted by what the caller can do about it.

use std::io;
use std::path::Path;
use std::time::Duration;

/// The result of every endpoint operation.
pub type Result<T, E = EndpointError> = std::result::Result<T, E>;

/// A failure at an endpoint. The variant says what can be done; the fields say what, where and why.
///
/// Holds no secret: endpoints are named by [`EndpointUrl`](crate::EndpointUrl), which hides passwords when shown.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address cannot be understood. Correct it.
    #[error("endpoint `{url}` is not usable: {reason}")]
    Url { url: String, reason: String },
    /// Something that was named is not there. Correct the name, or bring it.
    #[error("{what} not found in {place}")]
    Missing { what: String, place: String },
    /// The data themselves are broken at a known place. Reading again will not help.
    #[error("{place} is damaged at byte {offset}: {reason}")]
    Damaged { place: String, offset: u64, reason: String },
    /// The target holds data already and the write mode protects them.
    #[error("{what} is occupied: {holds}; choose write mode overwrite or merge, or another target")]
    Occupied { what: String, holds: String },
    /// The endpoint cannot do this, whoever asks.
    #[error("{what} is not supported by {place}: {reason}")]
    Unsupported { what: String, place: String, reason: String },
    /// Access was refused: credentials, roles, file permissions.
    #[error("access to {place} was refused while {action}")]
    Denied { place: String, action: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// Work that a checkpoint or facts speak of is gone. Start the chunk anew.
    #[error("{what} is lost in {place}: {reason}; the chunk has to be done again")]
    Lost { what: String, place: String, reason: String },
    /// No room. Wait for room.
    #[error("no space left in {place} while {action}")]
    Full { place: String, action: String, source: io::Error },
    /// Asked to slow down. Wait longer than for other failures.
    #[error("{place} is throttling while {action}: {reason}")]
    Throttled {
        place: String,
        action: String,
        reason: String,
        /// How long the endpoint itself says to wait.
        wait: Option<Duration>,
    },
    /// The file system failed in a way that may pass.
    #[error("I/O failed in {place} while {action}")]
    Io { place: String, action: String, source: io::Error },
    /// A service did not answer, or answered with a failure that may pass.
    #[error("{place} is not available while {action}")]
    Unavailable { place: String, action: String, source: Box<dyn std::error::Error + Send + Sync> },
}

/// What a caller does about an [`EndpointError`]; the only thing that retry decisions look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The same call will fail the same way: report it.
    Permanent,
    /// Try again after a usual pause.
    Transient,
    /// Try again after a longer pause.
    Throttled,
    /// Wait until there is room, with the reason shown.
    Full,
    /// Forget the checkpoint and do the chunk from its beginning.
    StartOver,
}

impl EndpointError {
    /// What a caller should do.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Url { .. }
            | Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::Occupied { .. }
            | Self::Unsupported { .. }
            | Self::Denied { .. } => ErrorClass::Permanent,
            Self::Lost { .. } => ErrorClass::StartOver,
            Self::Full { .. } => ErrorClass::Full,
            Self::Throttled { .. } => ErrorClass::Throttled,
            Self::Io { .. } | Self::Unavailable { .. } => ErrorClass::Transient,
        }
    }

    /// How long the endpoint says to wait before the next try; none where it says nothing of it.
    pub fn advised_wait(&self) -> Option<Duration> {
        match self {
            Self::Throttled { wait, .. } => *wait,
            _ => None,
        }
    }

    /// True where the same call would fail the same way again.
    pub fn is_permanent(&self) -> bool {
        self.class() == ErrorClass::Permanent
    }

    /// Sorts a file system failure: missing, refused, full, or passing.
    pub fn from_io(source: io::Error, action: impl Into<String>, path: &Path) -> Self {
        let (place, action) = (path.display().to_string(), action.into());
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { what: "the file".into(), place },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { place, action, source: Box::new(source) }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { place, action, source }
            }
            _ => Self::Io { place, action, source },
        }
    }

    /// Broken data at a place, with the reason.
    pub fn damaged(place: impl Into<String>, offset: u64, reason: impl Into<String>) -> Self {
        Self::Damaged { place: place.into(), offset, reason: reason.into() }
    }

    /// Something this endpoint cannot do.
    pub fn unsupported(what: impl Into<String>, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), place: place.into(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_failure_that_may_pass() {
        let at = Path::new("/backup/a.bson");
        let full = EndpointError::from_io(io::ErrorKind::StorageFull.into(), "writing", at);
        let broken = EndpointError::from_io(io::ErrorKind::Interrupted.into(), "writing", at);

        assert_eq!((full.class(), broken.class()), (ErrorClass::Full, ErrorClass::Transient));
        assert_eq!(full.to_string(), "no space left in /backup/a.bson while writing");
    }
}
