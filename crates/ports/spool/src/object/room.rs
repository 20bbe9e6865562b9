//! Whether a bucket takes anything at this moment.

use super::Bucket;
use super::fault::WRITE;
use super::write::PIECE_BYTES;
use crate::error::{SpoolError, SpoolFault};

/// What is offered to the bucket goes to this name, and never becomes an object.
const PROBE: &str = "capstan-spool.probe";

impl Bucket {
    /// Begins an upload of one piece, and takes it back. It needs the rights that writing a part needs, and no others: a
    /// small object might still find room where a part does not.
    pub(super) async fn has_room(&self) -> Result<bool, SpoolError> {
        let path = self.prefix.clone().join(PROBE);
        let begun = self.store.create_multipart(&path).await;
        let tried = match &begun {
            Ok(id) => {
                let piece = vec![0; PIECE_BYTES].into();
                let put = self.store.put_part(&path, id, 0, piece).await;
                let ended = self.store.abort_multipart(&path, id).await;
                put.and(ended)
            }
            Err(_) => begun.map(drop),
        };
        match tried.map_err(|error| self.failed(WRITE, &error)) {
            Ok(()) => Ok(true),
            Err(error) if error.fault() == SpoolFault::NoRoom => Ok(false),
            Err(error) => Err(error),
        }
    }
}
