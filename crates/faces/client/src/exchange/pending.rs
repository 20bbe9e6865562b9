//! Who waits for which answer.

use crate::error::Error;
use capstan_proto::v1::{ExchangeResponse, reply::Answer};
use tokio::sync::oneshot;

/// Waiting calls by sequence number, which is their place here: every ask is answered once, so a place is free again
/// when its answer has come.
#[derive(Default)]
pub struct Pending {
    places: Vec<Option<oneshot::Sender<Result<Answer, Error>>>>,
    free: Vec<usize>,
}

impl Pending {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Takes a place; the number is the ask's sequence number.
    pub fn add(&mut self, reply: oneshot::Sender<Result<Answer, Error>>) -> u64 {
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place] = Some(reply);
                place
            }
            None => {
                self.places.push(Some(reply));
                self.places.len() - 1
            }
        };
        place as u64
    }

    /// Hands answers to those who wait. What nobody asked for is passed over.
    pub fn answer(&mut self, answers: ExchangeResponse) {
        for reply in answers.replies {
            let place = usize::try_from(reply.sequence).unwrap_or(usize::MAX);
            let Some(waiting) = self.places.get_mut(place).and_then(Option::take) else { continue };
            self.free.push(place);
            // Whoever no longer waits wants no answer.
            let _ = waiting.send(reply.answer.ok_or_else(|| Error::unexpected("an answer")));
        }
    }

    /// The stream broke: nobody knows what became of these.
    pub fn fail_all(&mut self, error: &Error) {
        for waiting in self.places.drain(..).flatten() {
            let _ = waiting.send(Err(error.clone()));
        }
        self.free.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_proto::v1::{ReleaseResponse, Reply};

    fn answers(sequences: &[u64]) -> ExchangeResponse {
        let reply = |sequence: &u64| Reply {
            sequence: *sequence,
            answer: Some(Answer::Release(ReleaseResponse { state: *sequence as i32 })),
        };
        ExchangeResponse { replies: sequences.iter().map(reply).collect() }
    }

    #[test]
    fn answers_in_any_order_reach_whoever_asked() {
        let mut pending = Pending::default();
        let (replies, mut waiting): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
        let sequences: Vec<_> = replies.into_iter().map(|reply| pending.add(reply)).collect();

        pending.answer(answers(&[sequences[2], sequences[0], 99]));

        assert_eq!(pending.len(), 1);
        let first = waiting[0].try_recv().unwrap().unwrap();
        assert_eq!(first, Answer::Release(ReleaseResponse { state: sequences[0] as i32 }));
        assert!(waiting[1].try_recv().is_err());
    }

    #[test]
    fn a_place_is_used_again_only_after_its_answer() {
        let mut pending = Pending::default();
        let first = pending.add(oneshot::channel().0);
        let second = pending.add(oneshot::channel().0);
        assert_ne!(first, second);

        pending.answer(answers(&[first]));

        assert_eq!(pending.add(oneshot::channel().0), first);
        pending.answer(answers(&[second, second]));
        assert_eq!(pending.len(), 1, "a second answer to the same ask frees nothing twice");
    }

    #[test]
    fn a_broken_stream_is_told_to_everybody() {
        let mut pending = Pending::default();
        let (reply, mut waiting) = oneshot::channel();
        pending.add(reply);

        pending.fail_all(&Error::Unreachable { message: "reset".into() });

        assert!(waiting.try_recv().unwrap().unwrap_err().is_unknown());
        assert_eq!(pending.len(), 0);
    }
}
