//! One frame: what is asked, in what order, and which answer belongs to whom.

use crate::grpc::calls::items::add;
use crate::grpc::convert::{self, Malformed};
use crate::grpc::status::told;
use capstan_coordinator::{Failure, Outcome};
use capstan_proto::v1::{self, ask::Request, reply::Answer};
use capstan_work::{Acquire, Command};
use std::time::Duration;

/// The asks of a frame that are decided together.
pub struct Frame {
    commands: Vec<Command>,
    /// For each command, in the same order, who asked and what.
    asked: Vec<(u64, Sort)>,
    refused: Vec<v1::Reply>,
    waiting: Vec<Waiting>,
}

/// An ask that waits for work.
pub struct Waiting {
    pub sequence: u64,
    pub acquire: Acquire,
    pub wait: Duration,
}

/// What was asked decides in which form it is answered.
#[derive(Clone, Copy)]
enum Sort {
    Add,
    Acquire,
    Renew,
    Complete,
    CompleteAndAcquire,
    Fail,
    Release,
}

impl Frame {
    /// Converts every ask; one that is malformed is refused by itself.
    pub fn read(asks: Vec<v1::Ask>) -> Self {
        let (commands, asked) = (Vec::with_capacity(asks.len()), Vec::with_capacity(asks.len()));
        let mut frame = Self { commands, asked, refused: Vec::new(), waiting: Vec::new() };
        for ask in asks {
            if let Err(malformed) = frame.take(ask.sequence, ask.request) {
                frame.refused.push(reply(ask.sequence, Answer::Problem(told(malformed))));
            }
        }
        frame
    }

    fn take(&mut self, sequence: u64, request: Option<Request>) -> Result<(), Malformed> {
        let request = request.ok_or_else(|| Malformed::missing("request", "what is asked"))?;
        let (sort, command) = match request {
            Request::Add(request) => (Sort::Add, add(request)?),
            Request::Acquire(request) => {
                let (acquire, wait) = convert::acquire(request)?;
                if !wait.is_zero() {
                    self.waiting.push(Waiting { sequence, acquire, wait });
                    return Ok(());
                }
                (Sort::Acquire, Command::Acquire(acquire))
            }
            Request::Renew(request) => (Sort::Renew, convert::renew(request)?),
            Request::Complete(request) => (Sort::Complete, Command::Complete(convert::complete(request)?)),
            Request::CompleteAndAcquire(request) => (Sort::CompleteAndAcquire, convert::complete_and_acquire(request)?),
            Request::Fail(request) => (Sort::Fail, convert::fail(request)?),
            Request::Release(request) => (Sort::Release, convert::release(request)?),
        };
        self.commands.push(command);
        self.asked.push((sequence, sort));
        Ok(())
    }

    /// What waits for work, to be answered apart.
    pub fn take_waiting(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// What is decided now, in the order it was asked.
    pub fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    /// The answers, those to malformed asks last.
    pub fn replies(self, outcomes: Result<Vec<Outcome>, Failure>) -> Vec<v1::Reply> {
        let mut replies = Vec::with_capacity(self.asked.len() + self.refused.len());
        match outcomes {
            Ok(outcomes) => {
                let answered = self.asked.into_iter().zip(outcomes);
                replies.extend(answered.map(|((sequence, sort), outcome)| reply(sequence, sort.told(outcome))));
            }
            Err(failure) => {
                let problem = told(failure);
                replies
                    .extend(self.asked.iter().map(|(sequence, _)| reply(*sequence, Answer::Problem(problem.clone()))));
            }
        }
        replies.extend(self.refused);
        replies
    }
}

impl Sort {
    fn told(self, outcome: Outcome) -> Answer {
        let answer = match outcome {
            Ok(answer) => answer,
            Err(rejection) => return Answer::Problem(told(rejection)),
        };
        match self {
            Self::Add => Answer::Add(convert::added(answer)),
            Self::Acquire => Answer::Acquire(convert::acquired(answer, Duration::ZERO)),
            Self::Renew => Answer::Renew(convert::renewed(answer)),
            Self::Complete => Answer::Complete(convert::completed(answer)),
            Self::CompleteAndAcquire => Answer::CompleteAndAcquire(convert::completed_and_acquired(answer)),
            Self::Fail => Answer::Fail(convert::failed(answer)),
            Self::Release => Answer::Release(convert::released(answer)),
        }
    }
}

fn reply(sequence: u64, answer: Answer) -> v1::Reply {
    v1::Reply { sequence, answer: Some(answer) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_work::Rejection;

    fn ask(sequence: u64, request: Request) -> v1::Ask {
        v1::Ask { sequence, request: Some(request) }
    }

    fn release(session: &str) -> Request {
        Request::Release(v1::ReleaseRequest {
            session: session.into(),
            item_id: "a".into(),
            token: 7,
            ..Default::default()
        })
    }

    #[test]
    fn a_malformed_ask_is_refused_alone_and_every_ask_is_answered_once() {
        let acquire =
            |wait_ms| Request::Acquire(v1::AcquireRequest { worker_id: "w".into(), wait_ms, ..Default::default() });
        let asks = vec![
            ask(1, release("no/name")),
            ask(2, release("shop")),
            ask(3, acquire(500)),
            ask(4, acquire(0)),
            v1::Ask { sequence: 5, request: None },
        ];

        let mut frame = Frame::read(asks);
        let (commands, waiting) = (frame.take_commands(), frame.take_waiting());
        assert_eq!(commands.len(), 2);
        assert_eq!(waiting.iter().map(|w| w.sequence).collect::<Vec<_>>(), [3]);

        let unknown = Rejection::SessionUnknown(capstan_ids::SessionName::new("shop").unwrap());
        let nothing = capstan_work::Answer::Nothing(capstan_work::NoWork::AllDone);
        let replies = frame.replies(Ok(vec![Err(unknown), Ok(nothing)]));

        let codes: Vec<_> = replies
            .iter()
            .map(|reply| match reply.answer.as_ref().unwrap() {
                Answer::Problem(problem) => (reply.sequence, problem.code.as_str()),
                Answer::Acquire(acquired) => {
                    (reply.sequence, if acquired.nothing.is_some() { "nothing" } else { "leases" })
                }
                _ => (reply.sequence, "other"),
            })
            .collect();
        assert_eq!(codes, [(2, "session.unknown"), (4, "nothing"), (1, "value.invalid"), (5, "value.invalid")]);
    }

    #[test]
    fn a_failure_of_the_server_is_told_to_every_ask_of_the_frame() {
        let mut frame = Frame::read(vec![ask(1, release("shop")), ask(2, release("shop"))]);
        frame.take_commands();

        let replies = frame.replies(Err(Failure::Stopped));

        let told: Vec<_> =
            replies.iter().map(|reply| (reply.sequence, matches!(reply.answer, Some(Answer::Problem(_))))).collect();
        assert_eq!(told, [(1, true), (2, true)]);
    }
}
