//! How much room a folder's disk has, and how much of it must stay free.

use crate::error::SpoolError;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Tells how many bytes may still be written below a path.
pub(super) type Probe = dyn Fn(&Path) -> io::Result<u64> + Send + Sync;

/// Looked at before a part begins and before each of its blocks: other programs write to the disk as well, and a disk
/// that is full to the last byte is trouble for all of them.
#[derive(Clone)]
pub(super) struct Room {
    pub reserve: u64,
    pub probe: Arc<Probe>,
}

impl Default for Room {
    fn default() -> Self {
        Self { reserve: 0, probe: Arc::new(of_the_disk) }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("reserve", &self.reserve).finish_non_exhaustive()
    }
}

impl Room {
    pub fn left(&self, root: &Path) -> Result<u64, SpoolError> {
        (self.probe)(root).map_err(|e| SpoolError::io("measure free space", root.display().to_string(), e))
    }

    /// Refuses to go on where less than the reserve is left.
    pub fn check(&self, root: &Path) -> Result<(), SpoolError> {
        if self.reserve == 0 {
            return Ok(());
        }
        let left = self.left(root)?;
        if left >= self.reserve {
            return Ok(());
        }
        let reason = format!("it has {left} bytes of room, less than the {} that are kept free", self.reserve);
        let source = io::Error::new(io::ErrorKind::StorageFull, reason);
        Err(SpoolError::Full { place: root.display().to_string(), source })
    }
}

fn of_the_disk(root: &Path) -> io::Result<u64> {
    let room = rustix::fs::statvfs(root)?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}
