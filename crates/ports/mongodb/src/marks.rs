//! Which collections a job is writing, kept in the databases it writes to until the job is finished.
//!
//! The mark tells a job's own unfinished work from what was there before: a repeated `prepare` goes on with it, and
//! `abandon` drops that and nothing else. It lies in a collection of its own for each job, `capstan.unfinished.JOB`, so
//! that jobs never disturb each other.

use std::time::{Duration, Instant};

use bson::doc;
use capstan_endpoint::{Namespace, Result, Unit, WriteMode};

use crate::fault;
use crate::id::fnv;
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

/// How long a drop may wait at the server for its turn.
const DROP_MAX: Duration = Duration::from_secs(15);
/// Between the end of a drop at the server and the deadline of whoever sent it.
const MARGIN: Duration = Duration::from_secs(1);

/// Drops a collection or view; one that is not there is no failure.
pub(crate) async fn drop_collection(server: &Server, database: &str, name: &str) -> Result<()> {
    drop_before(server, database, name, None).await
}

/// Drops a collection or view so that the server is done with it, or has given up, before the deadline.
pub(crate) async fn drop_before(server: &Server, database: &str, name: &str, deadline: Option<Instant>) -> Result<()> {
    // Looked for first: not every server says by a number that there is nothing to drop.
    if listing::collections(server, database, Some(name)).await?.is_empty() {
        return Ok(());
    }
    const ACTION: &str = "dropping a collection";
    let left = deadline.map_or(DROP_MAX + MARGIN, |deadline| deadline.saturating_duration_since(Instant::now()));
    let within = left.saturating_sub(MARGIN).min(DROP_MAX);
    if within < MARGIN {
        let message = format!("{} ms are left for it, too few to be sure that it ends in time", left.as_millis());
        let said = fault::Said { code: None, message };
        return Err(fault::raise(fault::Fault::Passing, server.place(), ACTION, said));
    }
    let gives_up = tokio::time::Instant::now() + within;
    let limit = i64::try_from(within.as_millis()).expect("seconds");
    match server.run(database, doc! { "drop": name, "maxTimeMS": limit }).await {
        Ok(_) => Ok(()),
        Err(error) if fault::code(&error) == Some(fault::NAMESPACE_NOT_FOUND) => Ok(()),
        Err(error) => {
            if fault::of(&error) == fault::Fault::Cut {
                // It may still wait for its turn there: nobody begins anew while it could yet come.
                tokio::time::sleep_until(gives_up).await;
            }
            Err(server.failed(ACTION, &error))
        }
    }
}
