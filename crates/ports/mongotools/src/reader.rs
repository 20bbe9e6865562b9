//! Reads a range: one mongodump for each of its queries, each judged before the next one begins.

use bytes::BytesMut;
use capstan_endpoint::bson_frames::walk;
use capstan_endpoint::{Batch, BatchReader, Cursor, Ended, EndpointError, Namespace, Result, TaskOutlet, pump_on_task};
use capstan_mongodb::queries::PieceQuery;
use serde::{Deserialize, Serialize};
use tokio::process::ChildStdout;
use xxhash_rust::xxh3::Xxh3;

use crate::frames::{Broken, Frames, Run};
use crate::running::{Employer, Running};

/// Where reading begins: in which query, and behind how many of its documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    query: usize,
    /// Documents that the program gave, those included that belong elsewhere.
    documents: u64,
    /// XXH3-128 of their bytes, 32 hexadecimal digits; empty where there are none.
    passed: String,
}

/// What is read, and from where.
pub(crate) struct Reading {
    pub employer: Employer,
    pub namespace: Namespace,
    pub queries: Vec<PieceQuery>,
    pub place: Place,
}

/// Begins to read on a task of its own, which ends with its program when the reader is dropped.
pub(crate) fn read(reading: Reading) -> Box<dyn BatchReader> {
    let place = reading.employer.place.clone();
    pump_on_task(place, |outlet| async move { reading.run(&outlet).await })
}

impl Reading {
    async fn run(self, outlet: &TaskOutlet) -> Result<(), Ended> {
        for number in self.place.query..self.queries.len() {
            let mut passing = Passing::new(number, &self.place);
            let (mut running, output) = self.start(&self.queries[number])?;
            let mut frames = Frames::new(output);
            let broken = loop {
                match self.next_run(&mut running, &mut frames).await? {
                    Ok(Some(run)) => {
                        if let Some(batch) = passing.pass(&self, run)? {
                            outlet.put(batch).await?;
                        }
                    }
                    Ok(None) => break None,
                    Err(broken) => break Some(broken),
                }
            };
            drop(frames);
            self.judge(running, &passing, broken).await?;
        }
        Ok(())
    }

    fn start(&self, query: &PieceQuery) -> Result<(Running, ChildStdout)> {
        let Namespace { database, collection } = &self.namespace;
        let (running, _, output) =
            self.employer.start(database, collection, &["--out=-".to_owned()], |folder| match query.to_ext_json() {
                None => Ok(Vec::new()),
                Some(text) => Ok(vec![format!("--queryFile={}", folder.put("query.json", text.as_str())?.display())]),
            })?;
        Ok((running, output.expect("the output of mongodump is piped")))
    }

    async fn next_run(
        &self,
        running: &mut Running,
        frames: &mut Frames<ChildStdout>,
    ) -> Result<Result<Option<Run>, Broken>> {
        loop {
            match running.unless_silent("reading", frames.advance()).await? {
                Ok(None) => {}
                Ok(Some(run)) => return Ok(Ok(run)),
                Err(broken) => return Ok(Err(broken)),
            }
        }
    }

    /// Whether what a program gave is all that there is.
    async fn judge(&self, running: Running, passing: &Passing, broken: Option<Broken>) -> Result<()> {
        let ended = running.end().await?;
        let failed = |what: String| Err(self.employer.failed(format!("{what} ({})", ended.story())));
        if !ended.status.success() {
            return Err(self.employer.failed(ended.story()));
        }
        if let Some(broken) = broken {
            return failed(broken.to_string());
        }
        match ended.heard.dumped {
            Some(count) if count == passing.documents => passing.behind(self),
            Some(count) => {
                failed(format!("it says that it dumped {count} documents, and {} arrived", passing.documents))
            }
            None if ended.heard.no_collection => Err(EndpointError::Missing {
                what: format!("collection {}", self.namespace),
                place: self.employer.place.clone(),
            }),
            None => failed("it does not say how many documents it dumped".into()),
        }
    }

    fn changed(&self) -> EndpointError {
        EndpointError::Lost {
            what: format!("the place in {} that was read to", self.namespace),
            place: self.employer.place.clone(),
            reason: "mongodump gives other documents before it than the first time".into(),
        }
    }
}

/// The documents of one query on their way.
struct Passing {
    query: usize,
    documents: u64,
    hash: Xxh3,
    /// Up to where an earlier reading got, and what it saw.
    skip: u64,
    passed: String,
}

impl Passing {
    fn new(query: usize, from: &Place) -> Self {
        let (skip, passed) =
            if query == from.query { (from.documents, from.passed.clone()) } else { (0, String::new()) };
        Self { query, documents: 0, hash: Xxh3::new(), skip, passed }
    }

    /// Counts documents, leaves out those that were given before or belong elsewhere, and makes a batch of the rest.
    fn pass(&mut self, reading: &Reading, run: Run) -> Result<Option<Batch>> {
        let query = &reading.queries[self.query];
        // Where nothing is left out, which is the rule, the run itself is the batch.
        let mut kept: Option<BytesMut> = None;
        let (mut at, mut documents) = (0, 0);
        for document in walk(&run.bytes) {
            self.documents += 1;
            self.hash.update(document);
            if self.documents == self.skip && self.digest() != self.passed {
                return Err(reading.changed());
            }
            if self.documents > self.skip && query.takes(document) {
                documents += 1;
                if let Some(kept) = &mut kept {
                    kept.extend_from_slice(document);
                }
            } else {
                kept.get_or_insert_with(|| BytesMut::from(&run.bytes[..at]));
            }
            at += document.len();
        }
        if documents == 0 {
            return Ok(None);
        }
        let bytes = kept.map_or(run.bytes, BytesMut::freeze);
        let place = Place { query: self.query, documents: self.documents, passed: self.digest() };
        let cursor = Cursor(serde_json::to_value(place).expect("a place is plain data with text keys"));
        Ok(Some(Batch { bytes, documents, cursor }))
    }

    /// Whether reading came to where it was to begin.
    fn behind(&self, reading: &Reading) -> Result<()> {
        if self.documents >= self.skip { Ok(()) } else { Err(reading.changed()) }
    }

    fn digest(&self) -> String {
        format!("{:032x}", self.hash.digest128())
    }
}
