//! What a server answers to questions that many documents, or a few numbers, are the answer to.

use bson::{Document, RawDocumentBuf, doc};
use capstan_endpoint::Result;
use futures::StreamExt;

use crate::fault;
use crate::server::Server;
use crate::split::Size;

/// Documents of one answer, where documents are small.
const ANSWER_DOCUMENTS: u32 = 10_000;

impl Server {
    /// Runs a command that answers with a cursor and shows each document of it.
    pub async fn each(
        &self,
        database: &str,
        command: RawDocumentBuf,
        action: &str,
        see: impl FnMut(&[u8]),
    ) -> Result<()> {
        self.show(database, command, see).await.map_err(|error| self.failed(action, &error))
    }

    /// The same, with the driver's own error.
    async fn show(
        &self,
        database: &str,
        command: RawDocumentBuf,
        mut see: impl FnMut(&[u8]),
    ) -> mongodb::error::Result<()> {
        let database = self.database(database);
        let mut asking = database.run_raw_cursor_command(command).batch_size(ANSWER_DOCUMENTS);
        if let Some(selection) = self.selection() {
            asking = asking.selection_criteria(selection);
        }
        let mut cursor = asking.batch().await?;
        while let Some(answer) = cursor.next().await {
            for document in answer?.doc_slices()? {
                if let Some(document) = document.ok().and_then(|value| value.as_document()) {
                    see(document.as_bytes());
                }
            }
        }
        Ok(())
    }

    /// The documents of an answer that is known to be small.
    pub async fn gather(&self, database: &str, command: RawDocumentBuf, action: &str) -> Result<Vec<RawDocumentBuf>> {
        self.try_gather(database, command).await.map_err(|error| self.failed(action, &error))
    }

    /// The same, with the driver's own error.
    pub async fn try_gather(
        &self,
        database: &str,
        command: RawDocumentBuf,
    ) -> mongodb::error::Result<Vec<RawDocumentBuf>> {
        let mut documents = Vec::new();
        let keep = |document: &[u8]| documents.extend(RawDocumentBuf::from_bytes(document.to_vec()));
        self.show(database, command, keep).await?;
        Ok(documents)
    }

    /// How much a collection holds, as far as the server knows without looking.
    pub async fn size(&self, database: &str, collection: &str) -> Result<Size> {
        let number = |answer: &Document, name| {
            let value = answer.get(name)?;
            let number = value.as_i64().or_else(|| value.as_i32().map(i64::from)).or(value.as_f64().map(|n| n as i64));
            number.and_then(|number| u64::try_from(number).ok())
        };
        let answer = match self.run(database, doc! { "collStats": collection }).await {
            Ok(answer) if answer.contains_key("count") => Ok(answer),
            _ => self.run(database, doc! { "count": collection }).await,
        };
        match answer {
            Ok(answer) => Ok(Size {
                documents: number(&answer, "count").or_else(|| number(&answer, "n")),
                bytes: number(&answer, "size"),
            }),
            Err(error) if fault::code(&error).is_some() && fault::of(&error) != fault::Fault::Passing => {
                Ok(Size::default())
            }
            Err(error) => Err(self.failed("counting", &error)),
        }
    }
}
