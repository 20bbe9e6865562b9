//! Writes some documents by as few commands as it takes, and finds those that the server will not have.

use bson::Document;
use capstan_endpoint::{EndpointError, Result};

use crate::bypass::Spared;
pub(crate) use crate::command::Verb;
use crate::fault::{self, Fault, Said};
use crate::listing;
use crate::range::raw;
use crate::server::Server;
use crate::throttle::{self, Throttle};

/// How often one document may cost a connection before it is taken for the cause.
const CUTS_MAX: u32 = 2;
/// How often a write is sent again that was not sent because of another one's connection.
const ELSEWHERE_TRIES: u32 = 50;
/// How often a write is sent again that failed in a way that passes: in about 3 seconds. Longer is for those who hand out work.
const PASSING_TRIES: u32 = 5;

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
    /// The server says that it wrote fewer than these.
    pub unsure: Vec<usize>,
}

impl Target {
    /// Writes all documents that the server takes. Fails only where none of that is a document's fault.
    ///
    /// Where an answer does not say which document it means, or there is none because the connection was cut, halves
    /// are tried until single documents are left. What was written before a cut shows as a duplicate. What is said of a
    /// command is held against a document only where it is known to be said of documents, or where another document
    /// goes through and this one fails again.
    pub async fn write(&self, verb: Verb, documents: &[&[u8]]) -> Result<Outcome> {
        let mut round = Round {
            target: self,
            verb,
            documents,
            outcome: Outcome::default(),
            waiting: self.tasks(verb, documents.len()),
            suspects: Vec::new(),
            witness: None,
            throttle: Throttle::default(),
            patience: Throttle::of(PASSING_TRIES),
            elsewhere: 0,
        };
        loop {
            while let Some(task) = round.waiting.pop().filter(|task| !task.places.is_empty()) {
                round.send(task).await?;
            }
            if round.suspects.is_empty() {
                return Ok(round.outcome);
            }
            round.hear_the_witness().await?;
        }
    }

    /// As many documents in a task as the server takes in one such command.
    fn tasks(&self, verb: Verb, documents: usize) -> Vec<Task> {
        let places: Vec<usize> = (0..documents).collect();
        let together = match verb {
            Verb::Replace | Verb::Put => self.server.limits.replacements,
            Verb::Insert | Verb::Remove => documents.max(1),
        };
        let task = |places: &[usize]| Task { places: places.to_vec(), cuts: 0, doubted: false };
        places.rchunks(together).map(task).collect()
    }

    /// What is asked of the server for its writes.
    fn spared(&self) -> Spared {
        let spared = self.server.bypass.spared();
        // A bucket that its server does not know is broken, whatever its age.
        Spared { validation: spared.validation && !listing::is_buckets(&self.collection), ..spared }
    }

    pub fn failed(&self, fault: Fault, said: Said) -> EndpointError {
        let place = format!("{} {}.{}", self.server.place(), self.database, self.collection);
        fault::raise(fault, &place, "writing", said)
    }
}

/// Documents on their way by one or more commands.
struct Round<'a> {
    target: &'a Target,
    verb: Verb,
    documents: &'a [&'a [u8]],
    outcome: Outcome,
    waiting: Vec<Task>,
    /// Documents whose command failed without a word of whether it was for them.
    suspects: Vec<(usize, Said)>,
    /// A document that went through.
    witness: Option<usize>,
    throttle: Throttle,
    patience: Throttle,
    elsewhere: u32,
}

/// What an answer means.
enum Judged {
    /// All is said of each document, and these are to be tried again for a reason.
    Each(Vec<usize>, Option<(Fault, Said)>),
    /// Something failed, and it is not said which document.
    All(Fault, Said),
}

impl Round<'_> {
    async fn send(&mut self, task: Task) -> Result<()> {
        let some: Vec<&[u8]> = task.places.iter().map(|place| self.documents[*place]).collect();
        let (bypass, server) = (&self.target.server.bypass, &self.target.server);
        let spared = self.target.spared();
        let (fault, said) = match self.target.send(self.verb, &some, spared).await {
            Ok(answer) => match self.judge(&answer, &task.places)? {
                Judged::Each(again, why) => {
                    if again.len() < task.places.len() {
                        self.throttle.ease();
                        self.patience.ease();
                    }
                    if let Some((fault, said)) = why {
                        self.wait(fault, said).await?;
                        self.waiting.push(Task { places: again, cuts: 0, doubted: false });
                    }
                    return Ok(());
                }
                Judged::All(fault, said) => (fault, said),
            },
            Err(error) => (fault::of(&error), fault::said(&error)),
        };
        if bypass.gives_way(spared, fault, &said) {
            self.waiting.push(task);
            return Ok(());
        }
        let single = task.places.len() == 1;
        match fault {
            // A server that cannot be reached is not waited for here.
            Fault::Throttled | Fault::Passing if fault == Fault::Throttled || said.code.is_some() => {
                self.wait(fault, said).await?;
                self.waiting.push(task);
            }
            // A server that has gone is not a document's fault, nor is what happens to others.
            Fault::Elsewhere if self.elsewhere < ELSEWHERE_TRIES && server.answers().await => {
                self.elsewhere += 1;
                self.waiting.push(task);
            }
            Fault::Cut if !server.answers().await => return Err(self.target.failed(fault, said)),
            Fault::Cut | Fault::Refused | Fault::Document if !single => self.waiting.extend(task.halves()),
            Fault::Cut if task.cuts + 1 < CUTS_MAX => {
                self.waiting.push(Task { cuts: task.cuts + 1, ..task });
            }
            Fault::Cut => {
                let reason =
                    format!("the server closes the connection on this document, {CUTS_MAX} times of {CUTS_MAX}");
                self.outcome.refused.push((task.places[0], reason));
            }
            _ if fault::DUPLICATE_KEY.contains(&said.code.unwrap_or(0)) => {
                self.outcome.duplicates.push((task.places[0], said.message));
            }
            Fault::Document => self.outcome.refused.push((task.places[0], bypass.explained(&said))),
            Fault::Refused if task.doubted => self.outcome.refused.push((task.places[0], said.to_string())),
            Fault::Refused => self.suspects.push((task.places[0], said)),
            Fault::Throttled | Fault::Elsewhere | Fault::Passing | Fault::Full | Fault::Denied | Fault::Never => {
                return Err(self.target.failed(fault, said));
            }
        }
        Ok(())
    }

    /// Documents whose command failed are tried once more, behind one that has gone through before and does again: then
    /// it is not the server. Without such a witness the whole write fails, and may be tried again.
    async fn hear_the_witness(&mut self) -> Result<()> {
        let suspects = std::mem::take(&mut self.suspects);
        let Some((_, said)) = suspects.last() else { return Ok(()) };
        let failed = || Err(self.target.failed(Fault::Passing, said.clone()));
        let Some(witness) = self.witness else { return failed() };
        let spared = self.target.spared();
        if let Err(error) = self.target.send(self.verb, &[self.documents[witness]], spared).await {
            return Err(self.target.failed(fault::of(&error).or_passing(), fault::said(&error)));
        }
        let again = suspects.into_iter().rev().map(|(place, _)| Task { places: vec![place], cuts: 0, doubted: true });
        self.waiting.extend(again);
        Ok(())
    }

    /// Sorts what an answer says of single documents.
    fn judge(&mut self, answer: &Document, places: &[usize]) -> Result<Judged> {
        let answer = raw(answer);
        if let Some((fault, said)) = fault::write_concern_error(&answer) {
            return Err(self.target.failed(fault, said));
        }
        let errors = fault::write_errors(&answer);
        let (mut again, mut why, mut good) = (Vec::new(), None, vec![true; places.len()]);
        for error in &errors {
            let said = Said { code: Some(error.code), message: error.message.clone() };
            let fault = fault::of_code(error.code, &said.message);
            match error.index.and_then(|index| good.get_mut(index)) {
                Some(good) => *good = false,
                None => return Ok(Judged::All(fault, said)),
            }
        }
        for error in errors {
            let Some(place) = error.index.and_then(|index| places.get(index)).copied() else { continue };
            let said = Said { code: Some(error.code), message: error.message };
            match fault::of_code(error.code, &said.message) {
                _ if fault::DUPLICATE_KEY.contains(&error.code) => self.outcome.duplicates.push((place, said.message)),
                fault @ (Fault::Throttled | Fault::Passing) => {
                    again.push(place);
                    why = Some((fault, said));
                }
                // An answer to a document, so it is about the document.
                Fault::Refused | Fault::Document | Fault::Never => {
                    self.outcome.refused.push((place, self.target.server.bypass.explained(&said)));
                }
                fault => return Err(self.target.failed(fault, said)),
            }
        }
        let good: Vec<usize> = places.iter().zip(&good).filter_map(|(place, good)| good.then_some(*place)).collect();
        self.witness = good.last().copied().or(self.witness);
        if fault::counted(&answer).is_some_and(|counted| counted < good.len() as u64) {
            self.outcome.unsure.extend(good);
        }
        Ok(Judged::Each(again, why))
    }

    async fn wait(&mut self, fault: Fault, said: Said) -> Result<()> {
        let pauses = if fault == Fault::Throttled { &mut self.throttle } else { &mut self.patience };
        match pauses.pause(throttle::advised(&said.message)) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(self.target.failed(fault, said)),
        }
        Ok(())
    }
}

/// Documents that go together, and how often a single one of them has cost the connection.
struct Task {
    places: Vec<usize>,
    cuts: u32,
    /// It failed before, and another went through since.
    doubted: bool,
}

impl Task {
    /// The second half first: the last of a list is taken first.
    fn halves(mut self) -> [Self; 2] {
        let second = self.places.split_off(self.places.len() / 2);
        [second, self.places].map(|places| Self { places, cuts: 0, doubted: false })
    }
}
