//! Items: adding, looking, ending.

use super::Calls;
use crate::grpc::convert::{self, Malformed, item_id, session_name};
use crate::grpc::page;
use crate::grpc::status::status;
use crate::problem::Problem;
use capstan_coordinator::State;
use capstan_ids::{Kind, SessionName};
use capstan_proto::v1::{self, AddResult};
use capstan_work::{Command, Conflicts, ItemView, Rejection};
use futures::{StreamExt, TryStreamExt};
use tonic::Status;

/// Frames of one stream of items that may be on their way at once.
const FRAMES_AHEAD: usize = 16;
/// Items that one look at the state goes over, so that nobody else waits long for theirs.
const LOOK_MAX: usize = 2_000;
/// Looks of one request: a filter that lets little through ends a page early.
const LOOKS_MAX: usize = 25;
/// Bytes of text after which a page ends.
const PAGE_BYTES: usize = 4 << 20;

impl Calls {
    pub(in crate::grpc) async fn add_items(
        &self,
        request: v1::AddItemsRequest,
    ) -> Result<v1::AddItemsResponse, Problem> {
        Ok(convert::added(self.handle.submit(add(request)?).await?))
    }

    /// Frames are offered in their order, a few ahead of their answers.
    pub(in crate::grpc) async fn add_items_stream(
        &self,
        frames: tonic::Streaming<v1::AddItemsRequest>,
    ) -> Result<v1::AddItemsStreamResponse, Status> {
        let answers = frames.enumerate().map(|(number, frame)| async move {
            let answer = self.add_items(frame?).await;
            answer.map_err(|problem| {
                let detail = format!("frame {number}: {}", problem.detail);
                status(Problem { detail, ..problem })
            })
        });
        let mut answers = std::pin::pin!(answers.buffered(FRAMES_AHEAD));
        let mut sum = v1::AddItemsStreamResponse::default();
        while let Some(answer) = answers.try_next().await? {
            let count =
                |wanted: AddResult| answer.results.iter().filter(|result| **result == wanted as i32).count() as u64;
            sum.frames += 1;
            sum.created += count(AddResult::Created);
            sum.unchanged += count(AddResult::Unchanged);
            sum.conflicts += count(AddResult::Conflict);
        }
        Ok(sum)
    }

    pub(in crate::grpc) async fn get_item(&self, request: v1::GetItemRequest) -> Result<v1::GetItemResponse, Problem> {
        let (session, item) = (session_name(&request.session)?, item_id(&request.item_id, "item_id")?);
        let wanted = (session.clone(), item.clone());
        let look = move |state: &State| (state.work.has_session(&wanted.0), state.work.item(&wanted.0, &wanted.1));
        match self.handle.read(look).await? {
            (_, Some(view)) => Ok(v1::GetItemResponse { item: Some(convert::item(view)) }),
            (true, None) => Err(Rejection::ItemUnknown { session, item }.into()),
            (false, None) => Err(Rejection::SessionUnknown(session).into()),
        }
    }

    pub(in crate::grpc) async fn list_items(
        &self,
        request: v1::ListItemsRequest,
    ) -> Result<v1::ListItemsResponse, Problem> {
        let session = session_name(&request.session)?;
        let size = page::size(request.page_size)?;
        let mut from = match request.cursor.as_str() {
            "" => Some(0),
            cursor => Some(cursor.parse::<u64>().map_err(|_| page::bad_cursor(cursor))?),
        };
        let filter = Filter::of(&request)?;
        let (mut items, mut bytes) = (Vec::new(), 0);
        for _ in 0..LOOKS_MAX {
            let Some(start) = from.filter(|_| items.len() < size && bytes < PAGE_BYTES) else { break };
            let (wanted, name, room) = (filter.clone(), session.clone(), size - items.len());
            let look = move |state: &State| Look::at(state, &name, start, room, &wanted);
            let look = self.handle.read(look).await?.ok_or_else(|| Rejection::SessionUnknown(session.clone()))?;
            from = look.next;
            bytes += look.bytes;
            items.extend(look.items.into_iter().map(convert::item));
        }
        Ok(v1::ListItemsResponse { items, next_cursor: from.map_or_else(String::new, |next| next.to_string()) })
    }

    pub(in crate::grpc) async fn delete_item(
        &self,
        request: v1::DeleteItemRequest,
    ) -> Result<v1::DeleteItemResponse, Problem> {
        let (session, item) = (session_name(&request.session)?, item_id(&request.item_id, "item_id")?);
        self.done(Command::DeleteItem { session, item }).await?;
        Ok(v1::DeleteItemResponse {})
    }

    pub(in crate::grpc) async fn delete_items(
        &self,
        request: v1::DeleteItemsRequest,
    ) -> Result<v1::DeleteItemsResponse, Problem> {
        let deleted = self.counted(Command::DeleteItems { session: session_name(&request.session)? }).await?;
        Ok(v1::DeleteItemsResponse { deleted })
    }

    pub(in crate::grpc) async fn cancel_item(
        &self,
        request: v1::CancelItemRequest,
    ) -> Result<v1::CancelItemResponse, Problem> {
        let (session, item) = (session_name(&request.session)?, item_id(&request.item_id, "item_id")?);
        self.done(Command::CancelItem { session, item }).await?;
        Ok(v1::CancelItemResponse {})
    }

    pub(in crate::grpc) async fn retry(&self, request: v1::RetryRequest) -> Result<v1::RetryResponse, Problem> {
        let (session, items) = (session_name(&request.session)?, convert::retry_ids(&request.item_ids)?);
        let retried = self.counted(Command::Retry { session, items }).await?;
        Ok(v1::RetryResponse { retried })
    }

    pub(in crate::grpc) async fn set_priority(
        &self,
        request: v1::SetPriorityRequest,
    ) -> Result<v1::SetPriorityResponse, Problem> {
        let (session, item) = (session_name(&request.session)?, item_id(&request.item_id, "item_id")?);
        self.done(Command::SetPriority { session, item, priority: convert::priority(request.priority)? }).await?;
        Ok(v1::SetPriorityResponse {})
    }
}

/// The command that adds the items of a request.
pub(in crate::grpc) fn add(request: v1::AddItemsRequest) -> Result<Command, Malformed> {
    Ok(Command::AddItems {
        session: session_name(&request.session)?,
        gates: convert::gates(&request.gates)?,
        items: convert::new_items(request.items, "items")?,
        conflicts: if request.per_item { Conflicts::Report } else { Conflicts::Refuse },
    })
}

/// Which items of a list are wanted; an empty list lets all through.
#[derive(Clone, Debug)]
struct Filter {
    states: Vec<v1::ItemState>,
    kinds: Vec<Kind>,
}

impl Filter {
    fn of(request: &v1::ListItemsRequest) -> Result<Self, Malformed> {
        let known = |(index, number): (usize, &i32)| match v1::ItemState::try_from(*number) {
            Ok(state) if state != v1::ItemState::Unspecified => Ok(state),
            _ => Err(Malformed::new(format!("states[{index}]"), "a known state", number)),
        };
        let states = request.states.iter().enumerate().map(known).collect::<Result<_, _>>()?;
        Ok(Self { states, kinds: convert::kinds(&request.kinds)? })
    }

    fn lets_through(&self, view: &ItemView) -> bool {
        (self.states.is_empty() || self.states.contains(&convert::state(view.state)))
            && (self.kinds.is_empty() || self.kinds.contains(&view.body.unpack().kind))
    }
}

/// What one look at the state found.
struct Look {
    items: Vec<ItemView>,
    bytes: usize,
    /// Where to go on; none at the end.
    next: Option<u64>,
}

impl Look {
    /// None where there is no such session.
    fn at(state: &State, session: &SessionName, from: u64, room: usize, filter: &Filter) -> Option<Self> {
        let mut look = Self { items: Vec::new(), bytes: 0, next: None };
        for (gone_over, view) in state.work.items_from(session, from)?.enumerate() {
            if look.items.len() == room || gone_over == LOOK_MAX || look.bytes >= PAGE_BYTES {
                look.next = Some(view.number);
                break;
            }
            if filter.lets_through(&view) {
                let texts = [&view.checkpoint, &view.result, &view.last_error];
                look.bytes +=
                    view.body.as_bytes().len() + texts.map(|t| t.as_ref().map_or(0, |t| t.len())).iter().sum::<usize>();
                look.items.push(view);
            }
        }
        Some(look)
    }
}
