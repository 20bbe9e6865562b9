//! A session, and what can be asked of it.

use crate::acquire::{Acquire, Acquired};
use crate::client::Client;
use crate::error::Error;
use crate::retry::Repeat;
use crate::watch::Watch;
use capstan_ids::SessionName;
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{self, ask::Request, reply::Answer};
use tonic::transport::Channel;

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What is on it.
    pub entries: Vec<T>,
    /// Where the next page begins; empty on the last.
    pub next_cursor: String,
}

/// A namespace of work on a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Session {
    client: Client,
    name: SessionName,
}

/// A unary call that is harmless to repeat.
macro_rules! call {
    ($session:expr, $call:ident, $request:expr) => {{
        let request = $request;
        let call = |mut work: WorkClient<Channel>| {
            let request = request.clone();
            async move { work.$call(request).await }
        };
        $session.client.call(Repeat::Safe, call).await
    }};
}

impl Session {
    pub(crate) fn new(client: Client, name: SessionName) -> Self {
        Self { client, name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    fn named(&self) -> String {
        self.name.as_str().to_owned()
    }

    /// Its rules, notes, times and status.
    pub async fn get(&self) -> Result<v1::Session, Error> {
        let answer = call!(self, get_session, v1::GetSessionRequest { session: self.named() })?;
        answer.session.ok_or_else(|| Error::unexpected("a session"))
    }

    /// Counts and totals.
    pub async fn status(&self) -> Result<v1::SessionStatus, Error> {
        let answer = call!(self, session_status, v1::SessionStatusRequest { session: self.named() })?;
        answer.status.ok_or_else(|| Error::unexpected("a status"))
    }

    /// Changes what is named of its rules, and its notes where given.
    pub async fn update(&self, policy: v1::PolicyChange, notes: Option<String>) -> Result<(), Error> {
        call!(self, update_session, v1::UpdateSessionRequest { session: self.named(), policy: Some(policy), notes })?;
        Ok(())
    }

    /// Removes it; live leases are revoked.
    pub async fn delete(&self) -> Result<(), Error> {
        call!(self, delete_session, v1::DeleteSessionRequest { session: self.named() })?;
        Ok(())
    }

    /// Stops handing out work; at once takes the leases back, otherwise holders finish.
    pub async fn pause(&self, immediate: bool, reason: &str) -> Result<(), Error> {
        call!(self, pause, v1::PauseRequest { session: self.named(), immediate, reason: reason.to_owned() })?;
        Ok(())
    }

    /// Goes on; failed items become pending with a fresh set of attempts.
    pub async fn resume(&self) -> Result<(), Error> {
        call!(self, resume, v1::ResumeRequest { session: self.named() })?;
        Ok(())
    }

    /// Ends its unfinished work for good.
    pub async fn cancel(&self, reason: &str) -> Result<(), Error> {
        call!(self, cancel_session, v1::CancelSessionRequest { session: self.named(), reason: reason.to_owned() })?;
        Ok(())
    }

    /// Ends it: nothing changes in it any more.
    pub async fn close(&self) -> Result<(), Error> {
        call!(self, close_session, v1::CloseSessionRequest { session: self.named() })?;
        Ok(())
    }

    /// Limits its live leases; no value lifts the limit.
    pub async fn set_limit(&self, name: &str, value: Option<u32>) -> Result<(), Error> {
        self.client.set_limit_of(self.name(), name, value).await
    }

    /// Keeps a group from being empty until the gate is opened.
    pub async fn hold_gate(&self, group: &str, gate: &str) -> Result<(), Error> {
        let (group, gate) = (group.to_owned(), gate.to_owned());
        call!(self, hold_gate, v1::HoldGateRequest { session: self.named(), group, gate })?;
        Ok(())
    }

    /// Opens a gate.
    pub async fn open_gate(&self, group: &str, gate: &str) -> Result<(), Error> {
        let (group, gate) = (group.to_owned(), gate.to_owned());
        call!(self, open_gate, v1::OpenGateRequest { session: self.named(), group, gate })?;
        Ok(())
    }

    /// Its workers, and what each holds.
    pub async fn workers(&self) -> Result<Vec<v1::Worker>, Error> {
        self.client.workers_of(self.name()).await
    }

    /// Adds items, all of them or none. Concurrent calls share a frame.
    pub async fn add(&self, items: Vec<v1::ItemSpec>) -> Result<v1::AddItemsResponse, Error> {
        self.add_with(v1::AddItemsRequest { session: self.named(), items, ..Default::default() }).await
    }

    /// Adds what can be added, and says which items exist with other content.
    pub async fn add_each(&self, items: Vec<v1::ItemSpec>) -> Result<v1::AddItemsResponse, Error> {
        let request = v1::AddItemsRequest { session: self.named(), items, per_item: true, ..Default::default() };
        self.add_with(request).await
    }

    async fn add_with(&self, request: v1::AddItemsRequest) -> Result<v1::AddItemsResponse, Error> {
        match self.client.ask(Request::Add(request)).await? {
            Answer::Add(added) => Ok(added),
            _ => Err(Error::unexpected("what became of the items")),
        }
    }

    /// Adds batches as they come, each a commit of its own. Not repeated; after an error, adding them all again is safe.
    pub async fn add_stream(
        &self,
        batches: impl futures::Stream<Item = Vec<v1::ItemSpec>> + Send + 'static,
    ) -> Result<v1::AddItemsStreamResponse, Error> {
        let session = self.named();
        let frames = futures::StreamExt::map(batches, move |items| v1::AddItemsRequest {
            session: session.clone(),
            items,
            ..Default::default()
        });
        Ok(self.client.work().add_items_stream(frames).await?.into_inner())
    }

    /// One item as it stands.
    pub async fn item(&self, id: &str) -> Result<v1::Item, Error> {
        let answer = call!(self, get_item, v1::GetItemRequest { session: self.named(), item_id: id.to_owned() })?;
        answer.item.ok_or_else(|| Error::unexpected("an item"))
    }

    /// A page of items; `filter` says which, how many, and from where. Its session is this one.
    pub async fn items(&self, filter: v1::ListItemsRequest) -> Result<Page<v1::Item>, Error> {
        let answer = call!(self, list_items, v1::ListItemsRequest { session: self.named(), ..filter.clone() })?;
        Ok(Page { entries: answer.items, next_cursor: answer.next_cursor })
    }

    /// Removes one item; a live lease is revoked.
    pub async fn delete_item(&self, id: &str) -> Result<(), Error> {
        call!(self, delete_item, v1::DeleteItemRequest { session: self.named(), item_id: id.to_owned() })?;
        Ok(())
    }

    /// Removes every item, and answers how many there were.
    pub async fn delete_items(&self) -> Result<u64, Error> {
        Ok(call!(self, delete_items, v1::DeleteItemsRequest { session: self.named() })?.deleted)
    }

    /// Ends an unfinished item for good.
    pub async fn cancel_item(&self, id: &str) -> Result<(), Error> {
        call!(self, cancel_item, v1::CancelItemRequest { session: self.named(), item_id: id.to_owned() })?;
        Ok(())
    }

    /// Makes failed items pending again, all where none is named, and answers how many.
    pub async fn retry(&self, ids: Vec<String>) -> Result<u64, Error> {
        Ok(call!(self, retry, v1::RetryRequest { session: self.named(), item_ids: ids.clone() })?.retried)
    }

    /// Moves an unfinished item forward or back; higher goes first.
    pub async fn set_priority(&self, id: &str, priority: i16) -> Result<(), Error> {
        let (item_id, priority) = (id.to_owned(), priority.into());
        call!(self, set_priority, v1::SetPriorityRequest { session: self.named(), item_id, priority })?;
        Ok(())
    }

    /// Asks for work of this session.
    pub async fn acquire(&self, wish: Acquire) -> Result<Acquired, Error> {
        self.client.acquire(&wish.from(self.name())).await
    }

    /// Follows what happens in it, from a position on or from now on.
    pub async fn watch(&self, from: Option<u64>) -> Result<Watch, Error> {
        self.client.watch(from, self.name()).await
    }
}
