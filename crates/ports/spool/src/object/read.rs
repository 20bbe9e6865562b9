//! Reading an object: what arrives goes to the thread that unpacks it.

use super::Bucket;
use super::fault::{READ, fault, said};
use crate::blocking::blocking;
use crate::decode::Decoder;
use crate::error::SpoolError;
use crate::facts::PartFacts;
use bytes::{Buf, Bytes};
use futures::StreamExt;
use object_store::{Error as StoreError, GetResult, ObjectStoreExt};
use std::io::{self, Read};
use tokio::sync::mpsc;

/// Pieces of a body that wait to be unpacked; each is as large as it came from the network, some 16 KiB.
const CHUNKS_WAITING: usize = 32;

/// The bytes of an object as they arrive. Blocks its thread while none do.
pub(super) struct Download {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
    ended: bool,
}

/// Opens a part whose size is right and whose header is proved.
pub(super) async fn open(bucket: &Bucket, facts: PartFacts) -> Result<Decoder<Download>, SpoolError> {
    let place = bucket.place.clone();
    let got = match bucket.store.get(&bucket.path(&facts.name)).await {
        Ok(got) => got,
        Err(StoreError::NotFound { .. }) => {
            // A missing part is dumped again, but not because its whole bucket is away.
            bucket.check_marker().await?;
            return Err(SpoolError::Missing { part: facts.name, place });
        }
        Err(error) => return Err(fault(READ, &place, &error)),
    };
    let found = got.meta.size;
    if found != facts.stored_bytes {
        let what = format!("{} stored bytes expected, {found} found", facts.stored_bytes);
        return Err(SpoolError::Damaged { offset: found.min(facts.stored_bytes), part: facts.name, place, what });
    }
    let (sender, chunks) = mpsc::channel(CHUNKS_WAITING);
    tokio::spawn(download(got, sender));
    blocking("open a part", move || {
        Decoder::begin(Download { chunks, current: Bytes::new(), ended: false }, place, facts)
    })
    .await
}

/// Ends with the object, with an error, or with whoever wanted it. The object's end is an empty chunk: that nothing
/// more comes may also mean that the process stops, and then the part is not damaged.
async fn download(got: GetResult, chunks: mpsc::Sender<io::Result<Bytes>>) {
    let mut body = got.into_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| io::Error::other(said(&error)));
        let failed = chunk.is_err();
        let nothing = chunk.as_ref().is_ok_and(Bytes::is_empty);
        if !nothing && chunks.send(chunk).await.is_err() || failed {
            return;
        }
    }
    // Whoever has gone does not want to know.
    let _ = chunks.send(Ok(Bytes::new())).await;
}

impl Read for Download {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() && !self.ended {
            let broken = || Err(io::Error::other("the process is shutting down"));
            self.current = self.chunks.blocking_recv().unwrap_or_else(broken)?;
            self.ended = self.current.is_empty();
        }
        let count = bytes.len().min(self.current.len());
        self.current.copy_to_slice(&mut bytes[..count]);
        Ok(count)
    }
}
