//! Following what happens.

use crate::client::Client;
use crate::error::Error;
use crate::reopening::{Frame, Reopening};
use capstan_proto::v1;
use tonic::Streaming;

/// Changes in their order, without gaps: where the stream breaks, it is opened again at the next position.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    session: String,
    frames: Reopening<v1::WatchResponse>,
}

impl Frame for v1::WatchResponse {
    type Change = v1::Change;

    fn unpack(self) -> (u64, Vec<v1::Change>) {
        (self.next, self.changes)
    }
}

impl Client {
    /// Follows what happens from a position on, or from now on; the empty session means all.
    ///
    /// A position that is no longer kept is refused; [`Error::Refused`] then says where to begin.
    pub async fn watch(&self, from: Option<u64>, session: &str) -> Result<Watch, Error> {
        let frames = Reopening::opened(open(self, session, from).await?, from);
        Ok(Watch { client: self.clone(), session: session.to_owned(), frames })
    }
}

impl Watch {
    /// The next change, when it comes.
    pub async fn next(&mut self) -> Result<v1::Change, Error> {
        let (client, session) = (&self.client, &self.session);
        self.frames.next(async |from| open(client, session, from).await).await
    }
}

async fn open(client: &Client, session: &str, from: Option<u64>) -> Result<Streaming<v1::WatchResponse>, Error> {
    let request = v1::WatchRequest { from, session: session.to_owned() };
    Ok(client.work().watch(request).await?.into_inner())
}
