//! Which collections a job is writing, kept in the databases it writes to until the job is finished.
//!
//! The mark tells a job's own unfinished work from what was there before: a repeated `prepare` goes on with it, and
//! `abandon` drops that and nothing else. It lies in a collection of its own for each job, `capstan.unfinished.JOB`, so
//! that jobs never disturb each other.

use bson::doc;
use capstan_endpoint::{Namespace, Result, Unit, WriteMode};

use crate::fault;
use crate::listing;
use crate::range::raw;
use crate::server::Server;

const PREFIX: &str = "capstan.unfinished.";
/// A longer name of a job is cut and told apart by its hash.
const JOB_BYTES_MAX: usize = 48;

/// Whether a collection is such bookkeeping.
pub(crate) fn is_one(collection: &str) -> bool {
    collection.starts_with(PREFIX)
}

/// The name of a collection that shows which deployment this is.
pub(crate) fn trace(random: &str) -> String {
    format!("{PREFIX}trace-{random}")
}

/// The marks of one job.
#[derive(Debug)]
pub(crate) struct Marks {
    server: Server,
    collection: String,
}

impl Marks {
    pub fn of(server: Server, job: &str) -> Self {
        let collection = match job.char_indices().find(|(at, _)| *at >= JOB_BYTES_MAX) {
            None => format!("{PREFIX}{job}"),
            Some((end, _)) => format!("{PREFIX}{}-{:016x}", &job[..end], fnv(job.as_bytes())),
        };
        Self { server, collection }
    }

    /// Whether the job has begun this unit.
    pub async fn has(&self, namespace: &Namespace) -> Result<bool> {
        let find = doc! { "find": &self.collection, "filter": { "_id": &namespace.collection }, "limit": 1 };
        Ok(!self.server.gather(&namespace.database, raw(&find), "looking for the job's marks").await?.is_empty())
    }

    /// The job begins to write this unit, or has finished it.
    pub async fn put(&self, unit: &Unit, mode: WriteMode, finished: bool) -> Result<()> {
        let mark = doc! { "_id": &unit.namespace.collection, "keep": finished || mode == WriteMode::Merge };
        let update = doc! { "q": { "_id": &unit.namespace.collection }, "u": mark, "upsert": true };
        let concern = bson::Document::try_from(self.server.write_concern().as_ref()).unwrap_or_default();
        let command = doc! { "update": &self.collection, "updates": [update], "writeConcern": concern };
        let action = "marking a collection as the job's";
        let answer = self.server.command(&unit.namespace.database, command, action).await?;
        match fault::write_errors(&raw(&answer)).into_iter().next() {
            None => Ok(()),
            Some(error) => {
                let said = fault::Said { code: Some(error.code), message: error.message };
                Err(fault::raise(fault::of_code(error.code, &said.message), self.server.place(), action, said))
            }
        }
    }

    /// Removes the job's marks from a database.
    pub async fn clear(&self, database: &str) -> Result<()> {
        drop_collection(&self.server, database, &self.collection).await
    }

    /// Drops what the job has begun and not finished, in all databases that it has marks in.
    pub async fn abandon(&self) -> Result<()> {
        for database in listing::databases(&self.server).await? {
            let find = doc! { "find": &self.collection };
            for mark in self.server.gather(&database, raw(&find), "looking for the job's marks").await? {
                if let (Ok(name), Ok(false)) = (mark.get_str("_id"), mark.get_bool("keep")) {
                    drop_collection(&self.server, &database, name).await?;
                }
            }
            self.clear(&database).await?;
        }
        Ok(())
    }
}

/// Drops a collection or view; one that is not there is no failure.
pub(crate) async fn drop_collection(server: &Server, database: &str, name: &str) -> Result<()> {
    // Looked for first: not every server says by a number that there is nothing to drop.
    if listing::collections(server, database, Some(name)).await?.is_empty() {
        return Ok(());
    }
    match server.run(database, doc! { "drop": name }).await {
        Err(error) if fault::code(&error) == Some(fault::NAMESPACE_NOT_FOUND) => Ok(()),
        answer => answer.map(drop).map_err(|error| server.failed("dropping a collection", &error)),
    }
}

/// FNV-1a of 64 bits: the same on every machine and in every version.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
