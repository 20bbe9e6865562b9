//! Following what happens.

use crate::client::Client;
use crate::error::Error;
use crate::retry::{Repeat, Retry};
use capstan_proto::v1;
use std::collections::VecDeque;
use std::time::Duration;
use tonic::Streaming;

/// How long a broken stream is opened again before the watch gives up.
const REOPEN_FOR: Duration = Duration::from_secs(60);

/// Changes in their order, without gaps: where the stream breaks, it is opened again at the next position.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    session: String,
    frames: Option<Streaming<v1::WatchResponse>>,
    /// Where to begin again; none before the first frame of a watch that began now.
    next: Option<u64>,
    ready: VecDeque<v1::Change>,
}

impl Client {
    /// Follows what happens from a position on, or from now on; the empty session means all.
    ///
    /// A position that is no longer kept is refused; [`Error::Refused`] then says where to begin.
    pub async fn watch(&self, from: Option<u64>, session: &str) -> Result<Watch, Error> {
        let mut watch = Watch {
            client: self.clone(),
            session: session.to_owned(),
            frames: None,
            next: from,
            ready: VecDeque::new(),
        };
        watch.open().await?;
        Ok(watch)
    }
}

impl Watch {
    /// The next change, when it comes.
    pub async fn next(&mut self) -> Result<v1::Change, Error> {
        let mut retry = None;
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Ok(change);
            }
            let failed = match &mut self.frames {
                Some(frames) => match frames.message().await {
                    Ok(Some(frame)) => {
                        self.next = Some(frame.next);
                        self.ready.extend(frame.changes);
                        continue;
                    }
                    Ok(None) => Error::Unreachable { message: "the server ended the stream".into() },
                    Err(status) => status.into(),
                },
                None => match self.open().await {
                    Ok(()) => continue,
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

    async fn open(&mut self) -> Result<(), Error> {
        let request = v1::WatchRequest { from: self.next, session: self.session.clone() };
        self.frames = Some(self.client.work().watch(request).await?.into_inner());
        Ok(())
    }
}
