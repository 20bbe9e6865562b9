//! Who a bucket is: the same random number in an object, as a folder has in a file.

use super::Bucket;
use super::fault::{READ_MARKER, WRITE_MARKER, fault};
use crate::error::SpoolError;
use crate::port::Marker;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode};

const MARKER: &str = "capstan-spool.marker";
/// A marker has 33 bytes; what is longer is not read to its end.
const MARKER_BYTES_MAX: u64 = 4096;

/// The spool's marker; `fresh` becomes it where there is none. Of workers that open a new spool at once, one decides.
pub(super) async fn settle(
    store: &dyn ObjectStore,
    prefix: &Path,
    place: &str,
    fresh: Marker,
) -> Result<Marker, SpoolError> {
    if let Some(marker) = read(store, prefix, place).await? {
        return Ok(marker);
    }
    let text = format!("{fresh}\n");
    match store.put_opts(&prefix.clone().join(MARKER), text.into(), PutMode::Create.into()).await {
        Ok(_) => return Ok(fresh),
        // Another worker was faster, or our own request was repeated after its answer was lost.
        Err(StoreError::AlreadyExists { .. }) => {}
        Err(error) => return Err(fault(WRITE_MARKER, place, &error)),
    }
    read(store, prefix, place).await?.ok_or_else(|| SpoolError::Away {
        place: place.into(),
        expected: "one that another worker wrote".into(),
        found: "none".into(),
    })
}

async fn read(store: &dyn ObjectStore, prefix: &Path, place: &str) -> Result<Option<Marker>, SpoolError> {
    let got = match store.get(&prefix.clone().join(MARKER)).await {
        Err(StoreError::NotFound { .. }) => return Ok(None),
        got => got.map_err(|error| fault(READ_MARKER, place, &error))?,
    };
    if got.meta.size > MARKER_BYTES_MAX {
        return Err(SpoolError::Marker { found: format!("{} bytes", got.meta.size) });
    }
    let bytes = got.bytes().await.map_err(|error| fault(READ_MARKER, place, &error))?;
    String::from_utf8_lossy(&bytes).trim_end().parse().map(Some)
}

impl Bucket {
    /// Makes sure that the spool is still the one that was opened: that nobody emptied or exchanged it.
    pub async fn check_marker(&self) -> Result<(), SpoolError> {
        match read(&*self.store, &self.prefix, &self.place).await? {
            Some(found) if found == self.marker => Ok(()),
            found => Err(SpoolError::Away {
                place: self.place.clone(),
                expected: self.marker.to_string(),
                found: found.map_or_else(|| "none".into(), |found| found.to_string()),
            }),
        }
    }
}
