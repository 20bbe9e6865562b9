//! A stream without gaps: where it breaks, it is opened again at the next position.

use crate::error::Error;
use crate::retry::{Repeat, Retry};
use std::collections::VecDeque;
use std::time::Duration;
use tonic::Streaming;

/// How long a broken stream is opened again before the watch gives up.
const REOPEN_FOR: Duration = Duration::from_secs(60);

/// One message of such a stream.
pub(crate) trait Frame {
    /// What it brings, several at a time.
    type Change;

    /// Where to begin again after it, and what it brings.
    fn unpack(self) -> (u64, Vec<Self::Change>);
}

/// The stream as it is now, and where it goes on.
#[derive(Debug)]
pub(crate) struct Reopening<F: Frame> {
    frames: Option<Streaming<F>>,
    /// Where to begin again; none before the first frame of a watch that began now.
    next: Option<u64>,
    ready: VecDeque<F::Change>,
}

impl<F: Frame> Reopening<F> {
    /// A stream that was just opened at `from`, or at the end where nothing is said.
    pub fn opened(frames: Streaming<F>, from: Option<u64>) -> Self {
        Self { frames: Some(frames), next: from, ready: VecDeque::new() }
    }

    /// The next change, when it comes; `open` begins the stream again at a position.
    pub async fn next(
        &mut self,
        open: impl AsyncFn(Option<u64>) -> Result<Streaming<F>, Error>,
    ) -> Result<F::Change, Error> {
        let mut retry = None;
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            let failed = match &mut self.frames {
                Some(frames) => match frames.message().await {
                    Ok(Some(frame)) => {
                        let (next, changes) = frame.unpack();
                        self.next = Some(next);
                        self.ready.extend(changes);
                        continue;
                    }
                    Ok(None) => Error::Unreachable { message: "the server ended the stream".into() },
                    Err(status) => status.into(),
                },
                None => match open(self.next).await {
                    Ok(frames) => {
                        self.frames = Some(frames);
                        continue;
                    }
                    Err(error) => error,
                },
            };
            self.frames = None;
            if self.next.is_none() {
                // It never learned where it was, so going on could leave a gap.
                return Err(failed);
            }
            retry.get_or_insert_with(|| Retry::for_up_to(REOPEN_FOR, Repeat::Safe)).pause(failed).await?;
        }
    }
}
