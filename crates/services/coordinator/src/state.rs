//! Everything the owner owns, and how events of it are written.

use crate::adapting::Adapting;
use crate::admission;
use crate::jobs;
use crate::reporting::Reporting;
use crate::status::Status;
use crate::streams::{self, Streams};
use capstan_ids::{Moment, Position, SessionName, StreamName};
use capstan_journal::Commit;
use capstan_migration::{JobEvent, Jobs};
use capstan_registry::Registry;
use capstan_work::{Answer, Command, Context, Event, Rejection, Stamp, WorkState};

/// The cores' states, side by side: they meet only here.
#[derive(Debug, Default)]
pub struct State {
    /// Sessions and items.
    pub work: WorkState,
    /// Migrations.
    pub jobs: Jobs,
    /// What is running, and whether there is room.
    pub registry: Registry,
    pub(crate) adapting: Adapting,
    pub(crate) reporting: Reporting,
}

/// An event of any core.
#[derive(Clone, Debug, PartialEq)]
pub enum StateEvent {
    /// Of a session, or of all of them.
    Work(Option<SessionName>, Event),
    /// Of a job.
    Job(Box<JobEvent>),
    /// Of the registry.
    Registry(Box<capstan_registry::Event>),
    /// A leader took over: its epoch stands with the commit.
    Led(String),
}

/// Where the events of a decision go, and what it may look at.
pub(crate) struct Writing<'a> {
    pub context: Context,
    /// Cores of the machine, which pools are sized by.
    pub cores: u32,
    pub streams: &'a mut Streams,
    pub commit: &'a mut Commit,
    /// Sessions of jobs that something happened to.
    pub touched: Vec<SessionName>,
    pub status: &'a Status,
}

impl Writing<'_> {
    fn work(&mut self, session: Option<&SessionName>, event: &Event) {
        self.commit.push(self.streams.of(session), |buffer| event.encode(buffer));
        self.context.next = self.context.next.plus(1);
        if let Some(session) = session
            && self.touched.last() != Some(session)
            && jobs::is_of_a_job(session)
        {
            self.touched.push(session.clone());
        }
    }

    pub fn registry(&mut self, event: &capstan_registry::Event) {
        self.status.count_pipeline(event);
        self.commit.push(&self.streams.registry, |buffer| event.encode(buffer));
        self.context.next = self.context.next.plus(1);
        use capstan_registry::Event::{Released, ReservationDropped, ReservationQueued, Reserved};
        if let Reserved { id, .. }
        | Released { id, .. }
        | ReservationQueued { id, .. }
        | ReservationDropped { id, .. } = event
        {
            self.touched.extend(admission::session_of(id));
        }
    }

    pub fn job(&mut self, event: &JobEvent) {
        self.commit.push(&self.streams.jobs, |buffer| event.encode(buffer));
        self.context.next = self.context.next.plus(1);
    }
}

impl StateEvent {
    /// Reads an event of a stream.
    pub fn decode(stream: &StreamName, event: &[u8]) -> Result<Self, String> {
        match stream.as_str() {
            streams::WORK => Ok(Self::Work(None, decoded(event)?)),
            streams::JOBS => JobEvent::decode(event).map(|event| Self::Job(Box::new(event))).map_err(|e| e.to_string()),
            streams::REGISTRY => capstan_registry::Event::decode(event)
                .map(|event| Self::Registry(Box::new(event)))
                .map_err(|e| e.to_string()),
            streams::LEADER => String::from_utf8(event.to_vec()).map(Self::Led).map_err(|e| e.to_string()),
            other => match streams::session_of(stream) {
                Some(session) => Ok(Self::Work(Some(session), decoded(event)?)),
                None => Err(format!("no core has a stream {other}")),
            },
        }
    }
}

fn decoded(event: &[u8]) -> Result<Event, String> {
    Event::decode(event).map_err(|e| e.to_string())
}

impl State {
    /// Makes an event true.
    pub(crate) fn apply(&mut self, position: Position, moment: Moment, event: &StateEvent) {
        match event {
            StateEvent::Work(session, event) => self.work.apply(Stamp { position, moment }, session.as_ref(), event),
            StateEvent::Job(event) => {
                self.jobs.apply(capstan_migration::Stamp { position, wall: moment.wall }, event);
            }
            StateEvent::Registry(event) => self.registry.apply(moment, event),
            StateEvent::Led(_) => {}
        }
    }

    /// Decides and applies a command in every core it concerns, and writes its events.
    pub(crate) fn perform(&mut self, command: &Command, writing: &mut Writing<'_>) -> Result<Answer, Rejection> {
        let answer = match command {
            Command::Complete(complete) | Command::CompleteAndAcquire { complete, .. }
                if jobs::is_of_a_job(&complete.session) && self.jobs.owns(&complete.session) =>
            {
                self.complete_for_job(complete, command, writing)?
            }
            Command::Resume { session } if self.is_held_back(session) => {
                let expected = "its job waits for room, and goes on by itself once the registry has that";
                return Err(Rejection::SessionState { session: session.clone(), state: "paused", expected });
            }
            Command::Pause { session, immediate, reason } if self.jobs.owns(session) => {
                let mut answer = Answer::Done;
                for command in self.as_pause(session.clone(), *immediate, reason) {
                    answer = self.perform_work(&command, writing)?;
                }
                answer
            }
            _ => self.perform_work(command, writing)?,
        };
        if !writing.touched.is_empty() {
            self.settle_jobs(writing);
        }
        Ok(answer)
    }

    pub(crate) fn perform_work(&mut self, command: &Command, writing: &mut Writing<'_>) -> Result<Answer, Rejection> {
        let context = writing.context;
        self.work.perform(command, context, &mut |session, event| writing.work(session, event))
    }

    /// Decides and applies a command about pipelines, and what follows for the jobs among them.
    pub(crate) fn perform_registry(
        &mut self,
        command: &capstan_registry::Command,
        writing: &mut Writing<'_>,
    ) -> Result<capstan_registry::Answer, capstan_registry::Rejection> {
        let answer = self.tell(command, writing)?;
        if matches!(command, capstan_registry::Command::ChangeRules(_)) {
            self.reporting.look_at_once();
            self.ask_again(writing);
        }
        if !writing.touched.is_empty() {
            self.settle_jobs(writing);
        }
        Ok(answer)
    }

    /// Whether every promise holds; what is broken otherwise.
    pub fn check(&self) -> Result<(), String> {
        self.work.check().map_err(|violation| violation.to_string())?;
        self.jobs.check().map_err(|violation| violation.to_string())?;
        self.registry.check().map_err(|violation| violation.to_string())?;
        self.check_admission()
    }
}
