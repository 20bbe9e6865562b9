//! A job played through in the real coordinator, with a worker that finds what it is told to find.

use crate::stage::*;
use capstan_coordinator::Failure;
use capstan_ids::{ItemId, WorkerId};
use capstan_migration::{End, JobCommand, JobName};
use capstan_work::{Acquire, Answer, Command, Complete, Grant, Holder};

pub fn name() -> JobName {
    JobName::new("move").unwrap()
}

pub fn done(grant: &Grant, result: &str) -> Command {
    let item = ItemId::new(grant.body.id()).unwrap();
    let complete = Complete::new(grant.session.clone(), item, Holder::Token(grant.token));
    Command::Complete(Complete { result: Some(result.into()), ..complete })
}

/// A job that goes its way as if by itself: each item of a collection called `bad` that is dumped fails for good.
pub struct Played {
    pub server: Server,
    pub job: JobName,
    /// Stages that were completed or failed, in order.
    pub done: Vec<String>,
}

impl Played {
    pub async fn begin(spec: &str) -> Self {
        let server = Stage::new().start();
        let spec = Box::new(serde_json::from_str(spec).unwrap());
        let job = server.handle.command_job(JobCommand::Submit { name: Some(name()), spec }).await.unwrap();
        Self { server, job, done: Vec::new() }
    }

    pub async fn take(&self) -> Option<Grant> {
        let acquire = Acquire::from(self.job.session(), WorkerId::new("alice").unwrap());
        match self.server.handle.submit(Command::Acquire(acquire)).await.unwrap() {
            Answer::Granted(mut grants) => Some(grants.remove(0)),
            _ => None,
        }
    }

    /// Works until nothing is handed out any more.
    pub async fn work(&mut self, units: &[&str]) {
        while let Some(grant) = self.take().await {
            let item = grant.body.id().to_owned();
            let bad = &*grant.body.unpack().index_name == "shop.bad" && item.starts_with("dump:");
            let command = if bad { fails(&grant, true) } else { done(&grant, &result(&item, units)) };
            self.server.handle.submit(command).await.unwrap();
            self.done.push(item.split(':').next().unwrap().to_owned());
        }
    }

    pub async fn ask(&self, command: JobCommand) -> Result<JobName, Failure> {
        self.server.handle.command_job(command).await
    }

    pub async fn end(&self) -> Option<End> {
        let job = self.job.clone();
        let look = move |state: &capstan_coordinator::State| state.jobs.job(&job).unwrap().ended.map(|(end, _)| end);
        self.server.handle.read(look).await.unwrap()
    }

    pub fn times(&self, stage: &str) -> usize {
        self.done.iter().filter(|done| *done == stage).count()
    }
}

pub fn fails(grant: &Grant, permanent: bool) -> Command {
    Command::Fail {
        session: grant.session.clone(),
        item: ItemId::new(grant.body.id()).unwrap(),
        holder: Holder::Token(grant.token),
        error: "the disk is broken".into(),
        permanent,
        retry_after: None,
        checkpoint: None,
    }
}

/// What a worker would bring, for units of one chunk of three documents each.
pub fn result(item: &str, units: &[&str]) -> String {
    let unit =
        |name: &&str| format!(r#"{{"source": {{"database": "shop", "collection": "{name}"}}, "definition": {{}}}}"#);
    let units: Vec<_> = units.iter().map(unit).collect();
    match item.split([':', '.']).next().unwrap() {
        "survey" => format!(r#"{{"units": [{}]}}"#, units.join(",")),
        "plan" => r#"{"chunks": [{"range": {"all": true}, "documents": 3, "bytes": 30}]}"#.into(),
        "dump" => r#"{"documents": 3, "bytes": 30, "parts": [{"name": "p", "documents": 3, "bytes": 30, "blocks": 1, "stored_bytes": 9, "checksum": "00"}]}"#.into(),
        "restore" | "copy" => r#"{"restored": {"documents": 3, "bytes": 30}}"#.into(),
        "verify" => r#"{"verdict": {"mode": "hash", "ranges": 1, "missing": 0, "extra": 0, "different": 0, "repaired": 0}}"#.into(),
        _ => "{}".into(),
    }
}
