//! Everything the owner owns, and how events of it are written.

use crate::streams::{self, Streams};
use capstan_ids::{Moment, Position, SessionName, StreamName};
use capstan_journal::Commit;
use capstan_work::{Answer, Command, Context, Event, Rejection, Stamp, WorkState};

/// The cores' states, side by side: they meet only here.
#[derive(Debug, Default)]
pub struct State {
    /// Sessions and items.
    pub work: WorkState,
}

/// An event of any core.
#[derive(Clone, Debug, PartialEq)]
pub enum StateEvent {
    /// Of a session, or of all of them.
    Work(Option<SessionName>, Event),
    /// A leader took over: its epoch stands with the commit.
    Led(String),
}

impl StateEvent {
    /// Reads an event of a stream.
    pub fn decode(stream: &StreamName, event: &[u8]) -> Result<Self, String> {
        match stream.as_str() {
            streams::WORK => Ok(Self::Work(None, decoded(event)?)),
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
            StateEvent::Led(_) => {}
        }
    }

    /// Decides and applies a command, and writes its events to `commit`.
    pub(crate) fn perform(
        &mut self,
        command: &Command,
        context: Context,
        streams: &mut Streams,
        commit: &mut Commit,
    ) -> Result<Answer, Rejection> {
        self.work.perform(command, context, &mut |session, event| {
            commit.push(streams.of(session), |buffer| event.encode(buffer));
        })
    }

    /// Whether every promise holds; what is broken otherwise.
    pub fn check(&self) -> Result<(), String> {
        self.work.check().map_err(|violation| violation.to_string())
    }
}
