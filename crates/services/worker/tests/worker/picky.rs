//! A real dump as a target that refuses some documents for good.

use crate::through::OnTheWay;
use async_trait::async_trait;
use capstan_endpoint::{Batch, ChunkWriter, RefusedDocument, Result, bson_frames};

/// Refuses documents that hold this text.
pub struct Picky(pub &'static str);

#[async_trait]
impl OnTheWay for Picky {
    async fn write(&self, writer: &mut dyn ChunkWriter, batch: Batch) -> Result<Vec<RefusedDocument>> {
        let holds = |document: &[u8]| document.windows(self.0.len()).any(|part| part == self.0.as_bytes());
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for document in bson_frames::walk(&batch.bytes) {
            if holds(document) {
                let document = bytes::Bytes::copy_from_slice(document);
                refused.push(RefusedDocument { document, reason: "not to my taste".into() });
            } else {
                taken.extend_from_slice(document);
            }
        }
        let documents = batch.documents - refused.len() as u32;
        if documents > 0 {
            let rest = Batch { bytes: taken.into(), documents, cursor: batch.cursor };
            refused.extend(writer.write(rest).await?);
        }
        Ok(refused)
    }
}
