//! The commands that write documents.

use bson::{Document, RawDocumentBuf, doc};
use capstan_endpoint::element;
use mongodb::Database;
use mongodb::error::{ErrorKind, WriteFailure};

use crate::bypass::Spared;
use crate::compose::Composer;
use crate::write::Target;

/// A document larger than this goes beside its command: inside, both together would be larger than a document may be.
const BODY_BYTES: usize = 15 << 20;

/// Which command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// New documents. One that is there already is an error of that document.
    Insert,
    /// Whole documents by their `_id`, where they are known to be there. A sharded collection takes that whatever its key.
    Replace,
    /// Whole documents by their `_id`, whether they are there or not.
    Put,
    /// Whatever has the `_id`s of these documents goes.
    Remove,
}

impl Target {
    /// Sends one command, and gives its answer.
    pub async fn send(&self, verb: Verb, documents: &[&[u8]], spared: Spared) -> mongodb::error::Result<Document> {
        let database = self.server.database(&self.database);
        match (verb, documents) {
            (Verb::Insert, [one]) if one.len() > BODY_BYTES => self.send_apart(&database, one, spared).await,
            _ => database.run_raw_command(self.command(verb, documents, spared)).await,
        }
    }

    /// Inserts a document that fills a command by itself, in a section of the message beside the command.
    async fn send_apart(
        &self,
        database: &Database,
        document: &[u8],
        spared: Spared,
    ) -> mongodb::error::Result<Document> {
        let document = RawDocumentBuf::from_bytes(document.to_vec()).map_err(mongodb::error::Error::custom)?;
        let collection = database.collection::<RawDocumentBuf>(&self.collection);
        let mut inserting = collection.insert_one(document).write_concern(self.server.acknowledgment().clone());
        if spared.validation {
            inserting = inserting.bypass_document_validation(true);
        }
        let Err(error) = inserting.await else { return Ok(Document::new()) };
        match &*error.kind {
            ErrorKind::Write(WriteFailure::WriteError(error)) => {
                Ok(doc! { "writeErrors": [{ "index": 0, "code": error.code, "errmsg": &error.message }] })
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
                Ok(doc! { "writeConcernError": { "code": error.code, "errmsg": &error.message } })
            }
            _ => Err(error),
        }
    }

    fn command(&self, verb: Verb, documents: &[&[u8]], spared: Spared) -> RawDocumentBuf {
        let bytes = documents.iter().map(|document| document.len() + 64).sum::<usize>() + 512;
        let command = Composer::with_capacity(bytes);
        let name = &self.collection;
        let command = match verb {
            Verb::Insert => {
                let documents = documents.iter().copied();
                spared.ask(command.string("insert", name).documents("documents", documents))
            }
            Verb::Replace | Verb::Put => {
                let updates: Vec<_> = documents.iter().map(|one| replacement(one, verb == Verb::Put)).collect();
                let updates = updates.iter().map(Vec::as_slice);
                spared.ask(command.string("update", name).documents("updates", updates))
            }
            Verb::Remove => {
                let one =
                    |document: &&[u8]| Composer::new().document("q", &same_id(document)).int32("limit", 1).finish();
                let deletes: Vec<Vec<u8>> = documents.iter().map(one).collect();
                command.string("delete", name).documents("deletes", deletes.iter().map(Vec::as_slice))
            }
        };
        command.boolean("ordered", false).document("writeConcern", self.server.write_concern().as_bytes()).into_raw()
    }
}

/// Replaces the document of that `_id`.
fn replacement(document: &[u8], upsert: bool) -> Vec<u8> {
    let query = same_id(document);
    Composer::with_capacity(document.len() + query.len() + 64)
        .document("q", &query)
        .document("u", document)
        .boolean("upsert", upsert)
        .finish()
}

/// Asks for the `_id` of a document. `$eq` takes every value as a value, a regular expression too. Without an `_id` nothing is
/// asked for: such a document is new.
fn same_id(document: &[u8]) -> Vec<u8> {
    match element::id_of(document) {
        Some(id) => {
            let equal = Composer::new().element(id.kind, "$eq", id.value).finish();
            Composer::new().document("_id", &equal).finish()
        }
        None => Composer::new().document("_id", &Composer::new().array("$in", std::iter::empty()).finish()).finish(),
    }
}
