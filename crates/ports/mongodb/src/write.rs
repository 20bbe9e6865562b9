//! Writes some documents by one raw command, and finds those that the server will not have.

use bson::{Document, RawDocumentBuf, doc};
use capstan_endpoint::{Result, element};

use mongodb::Database;
use mongodb::error::{ErrorKind, WriteFailure};

use crate::compose::Composer;
use crate::fault::{self, Fault, Said};
use crate::server::Server;
use crate::throttle::{self, Throttle};

/// How often one document may cost a connection before it is taken for the cause.
const CUTS_MAX: u32 = 2;
/// How often a write is sent again that was not sent because of another one's connection.
const ELSEWHERE_TRIES: u32 = 50;
/// A document larger than this goes beside its command: inside, both together would be larger than a document may be.
const BODY_BYTES: usize = 15 << 20;

/// Which command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// New documents. One that is there already is an error of that document.
    Insert,
    /// Whole documents by their `_id`, whether they are there or not.
    Replace,
    /// Whatever has the `_id`s of these documents goes.
    Remove,
}

/// Where documents go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub server: Server,
    pub database: String,
    pub collection: String,
}

/// What became of documents that were not simply written, by their place among those given.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Something with their key is there.
    pub duplicates: Vec<(usize, String)>,
    /// The server will not have them.
    pub refused: Vec<(usize, String)>,
}

impl Target {
    /// Writes all documents that the server takes. Fails only where none of that is a document's fault.
    ///
    /// Where an answer does not say which document it means, or there is none because the connection was cut, halves
    /// are tried until single documents are left. What was written before a cut shows as a duplicate.
    pub async fn write(&self, verb: Verb, documents: &[&[u8]]) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let places: Vec<usize> = (0..documents.len()).collect();
        let together = if verb == Verb::Replace { self.server.limits.replacements } else { documents.len().max(1) };
        let mut waiting: Vec<Task> =
            places.rchunks(together).map(|places| Task { places: places.to_vec(), cuts: 0 }).collect();
        let (mut throttle, mut elsewhere) = (Throttle::default(), 0);
        while let Some(mut task) = waiting.pop().filter(|task| !task.places.is_empty()) {
            let some: Vec<&[u8]> = task.places.iter().map(|place| documents[*place]).collect();
            let answer = self.send(verb, &some).await;
            let (fault, said) = match answer {
                Ok(answer) => {
                    let (again, said) = self.judge(&answer, &task.places, &mut outcome)?;
                    if again.len() < task.places.len() {
                        throttle.ease();
                    }
                    if let Some(said) = said {
                        self.wait(&mut throttle, said).await?;
                        waiting.push(Task { places: again, cuts: 0 });
                    }
                    continue;
                }
                Err(error) => (fault::of(&error), fault::said(&error)),
            };
            match fault {
                Fault::Throttled => {
                    self.wait(&mut throttle, said).await?;
                    waiting.push(task);
                }
                // A server that has gone is not a document's fault, nor is what happens to others.
                Fault::Elsewhere if elsewhere < ELSEWHERE_TRIES && self.server.answers().await => {
                    elsewhere += 1;
                    waiting.push(task);
                }
                Fault::Cut if !self.server.answers().await => return Err(self.failed(fault, said)),
                Fault::Cut | Fault::Refused if task.places.len() > 1 => waiting.extend(task.halves()),
                Fault::Cut if task.cuts + 1 < CUTS_MAX => {
                    task.cuts += 1;
                    waiting.push(task);
                }
                Fault::Cut => {
                    let reason =
                        format!("the server closes the connection on this document, {CUTS_MAX} times of {CUTS_MAX}");
                    outcome.refused.push((task.places[0], reason));
                }
                Fault::Refused if fault::DUPLICATE_KEY.contains(&said.code.unwrap_or(0)) => {
                    outcome.duplicates.push((task.places[0], said.message));
                }
                Fault::Refused => outcome.refused.push((task.places[0], said.to_string())),
                Fault::Elsewhere | Fault::Passing | Fault::Full | Fault::Denied | Fault::Never => {
                    return Err(self.failed(fault, said));
                }
            }
        }
        Ok(outcome)
    }

    fn failed(&self, fault: Fault, said: Said) -> capstan_endpoint::EndpointError {
        let place = format!("{} {}.{}", self.server.place(), self.database, self.collection);
        fault::raise(fault, &place, "writing", said)
    }

    /// Sorts what an answer says of single documents. Gives back those that are to be tried again, and what was said of them.
    fn judge(&self, answer: &Document, places: &[usize], outcome: &mut Outcome) -> Result<(Vec<usize>, Option<Said>)> {
        let answer = crate::range::raw(answer);
        let (mut again, mut throttled) = (Vec::new(), None);
        for error in fault::write_errors(&answer) {
            let Some(place) = places.get(error.index).copied() else { continue };
            let said = Said { code: Some(error.code), message: error.message };
            match fault::of_code(error.code, &said.message) {
                _ if fault::DUPLICATE_KEY.contains(&error.code) => outcome.duplicates.push((place, said.message)),
                Fault::Throttled => {
                    again.push(place);
                    throttled = Some(said);
                }
                // An answer to a document, so it is about the document.
                Fault::Refused | Fault::Never => outcome.refused.push((place, said.to_string())),
                fault => return Err(self.failed(fault, said)),
            }
        }
        match fault::write_concern_error(&answer) {
            Some((fault, said)) => Err(self.failed(fault, said)),
            None => Ok((again, throttled)),
        }
    }

    async fn wait(&self, throttle: &mut Throttle, said: Said) -> Result<()> {
        match throttle.pause(throttle::advised(&said.message)) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(self.failed(Fault::Throttled, said)),
        }
        Ok(())
    }

    async fn send(&self, verb: Verb, documents: &[&[u8]]) -> mongodb::error::Result<Document> {
        let database = self.server.database(&self.database);
        match (verb, documents) {
            (Verb::Insert, [one]) if one.len() > BODY_BYTES => self.send_apart(&database, one).await,
            _ => database.run_raw_command(self.command(verb, documents)).await,
        }
    }

    /// Inserts a document that fills a command by itself, in a section of the message beside the command.
    async fn send_apart(&self, database: &Database, document: &[u8]) -> mongodb::error::Result<Document> {
        let document = RawDocumentBuf::from_bytes(document.to_vec()).map_err(mongodb::error::Error::custom)?;
        let collection = database.collection::<RawDocumentBuf>(&self.collection);
        let concern = self.server.acknowledgment().clone();
        match collection.insert_one(document).write_concern(concern).await.map_err(|error| *error.kind) {
            Ok(_) => Ok(Document::new()),
            Err(ErrorKind::Write(WriteFailure::WriteError(error))) => {
                Ok(doc! { "writeErrors": [{ "index": 0, "code": error.code, "errmsg": error.message }] })
            }
            Err(ErrorKind::Write(WriteFailure::WriteConcernError(error))) => {
                Ok(doc! { "writeConcernError": { "code": error.code, "errmsg": error.message } })
            }
            Err(kind) => Err(kind.into()),
        }
    }

    fn command(&self, verb: Verb, documents: &[&[u8]]) -> RawDocumentBuf {
        let bytes = documents.iter().map(|document| document.len() + 64).sum::<usize>() + 512;
        let command = Composer::with_capacity(bytes);
        let command = match verb {
            Verb::Insert => {
                command.string("insert", &self.collection).documents("documents", documents.iter().copied())
            }
            Verb::Replace => {
                let updates: Vec<Vec<u8>> = documents.iter().map(|document| replacement(document)).collect();
                command.string("update", &self.collection).documents("updates", updates.iter().map(Vec::as_slice))
            }
            Verb::Remove => {
                let deletes: Vec<Vec<u8>> = documents
                    .iter()
                    .map(|document| Composer::new().document("q", &same_id(document)).int32("limit", 1).finish())
                    .collect();
                command.string("delete", &self.collection).documents("deletes", deletes.iter().map(Vec::as_slice))
            }
        };
        command.boolean("ordered", false).document("writeConcern", self.server.write_concern().as_bytes()).into_raw()
    }
}

/// Replaces the document of that `_id`.
fn replacement(document: &[u8]) -> Vec<u8> {
    let query = same_id(document);
    Composer::with_capacity(document.len() + query.len() + 64)
        .document("q", &query)
        .document("u", document)
        .boolean("upsert", true)
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

/// Documents that go together, and how often a single one of them has cost the connection.
struct Task {
    places: Vec<usize>,
    cuts: u32,
}

impl Task {
    /// The second half first: the last of a list is taken first.
    fn halves(mut self) -> [Self; 2] {
        let second = self.places.split_off(self.places.len() / 2);
        [Self { places: second, cuts: 0 }, Self { places: self.places, cuts: 0 }]
    }
}
