//! Work items: making, looking, keeping, ending.

use super::wire::{BackfillWorkItem, CompleteBody, CreateWorkItem, RenewLease, holder};
use super::{Answered, Refused};
use crate::answer;
use crate::problem::Problem;
use crate::request::{check_batch, parse, whole};
use crate::v1::items::{Filter, ItemSlice, slice, view};
use crate::wire::Object;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use capstan_coordinator::Handle;
use capstan_ids::{ItemId, SessionName};
use capstan_work::{Added, Answer, Command, Conflicts, ItemView, NewItem};
use futures::stream;
use serde_json::json;
use std::collections::HashSet;
use std::io;

/// Items of one slice of a list: the owner of the state never stops for more.
const SLICE: usize = 1_000;

/// The session is looked for before the body is read, as the contract does.
async fn known(handle: &Handle, session: &SessionName) -> Result<(), Refused> {
    let name = session.clone();
    if handle.read(move |state| state.work.has_session(&name)).await? { Ok(()) } else { Err(Refused::no_session()) }
}

pub async fn create(handle: &Handle, session: SessionName, body: Body) -> Answered {
    let bytes = whole(body).await?;
    let create = match parse::<Object<CreateWorkItem>>(&bytes) {
        Ok(create) => create.0,
        Err(fault) => return Err(invalid(handle, &session, fault.into()).await),
    };
    let id = create.work_item_id.0.clone();
    match add(handle, &session, vec![create.into()]).await?.first() {
        Some(Added::Created) => {
            let item = view(handle, session, id).await?;
            Ok(answer::json(StatusCode::CREATED, &BackfillWorkItem::from(&item))?)
        }
        _ => Err(Refused::new(StatusCode::CONFLICT, format!("Work item '{id}' already exists."))),
    }
}

pub async fn create_batch(handle: &Handle, session: SessionName, body: Body) -> Answered {
    let bytes = whole(body).await?;
    let creates = match parse::<Vec<Object<CreateWorkItem>>>(&bytes) {
        Ok(creates) => creates,
        Err(fault) => return Err(invalid(handle, &session, fault.into()).await),
    };
    check_batch("the batch", creates.len())?;
    // The first of a name counts; the others are duplicates, and left out like those that exist.
    let mut seen = HashSet::new();
    let mut items: Vec<NewItem> = creates.into_iter().map(|create| create.0.into()).collect();
    items.retain(|item| seen.insert(item.id.clone()));
    let ids: Vec<ItemId> = items.iter().map(|item| item.id.clone()).collect();
    let added = add(handle, &session, items).await?;
    let created = ids.into_iter().zip(added).filter(|(_, added)| *added == Added::Created);
    let mut created: Vec<ItemId> = created.map(|(id, _)| id).collect();
    let mut shown: Vec<BackfillWorkItem> = Vec::with_capacity(created.len());
    while !created.is_empty() {
        let part: Vec<ItemId> = created.drain(..created.len().min(SLICE)).collect();
        let name = session.clone();
        let look = move |state: &capstan_coordinator::State| -> Vec<ItemView> {
            part.iter().filter_map(|id| state.work.item(&name, id)).collect()
        };
        shown.extend(handle.read(look).await?.iter().map(BackfillWorkItem::from));
    }
    Ok(answer::json(StatusCode::CREATED, &shown)?)
}

/// What is said of an invalid body: that there is no such session, if there is none.
pub(super) async fn invalid(handle: &Handle, session: &SessionName, refused: Refused) -> Refused {
    known(handle, session).await.err().unwrap_or(refused)
}

async fn add(handle: &Handle, session: &SessionName, items: Vec<NewItem>) -> Result<Vec<Added>, Refused> {
    if items.is_empty() {
        known(handle, session).await?;
        return Ok(Vec::new());
    }
    let (session, gates) = (session.clone(), Vec::new());
    match handle.submit(Command::AddItems { session, items, gates, conflicts: Conflicts::Report }).await? {
        Answer::Added(added) => Ok(added),
        other => Err(answer::unexpected(&other).into()),
    }
}

pub async fn get(handle: &Handle, session: SessionName, item: ItemId) -> Answered {
    let item = found(&item, view(handle, session, item.clone()).await)?;
    Ok(answer::json(StatusCode::OK, &BackfillWorkItem::from(&item))?)
}

fn found<T>(item: &ItemId, outcome: Result<T, Problem>) -> Result<T, Refused> {
    outcome.map_err(|problem| {
        if *problem.code == crate::codes::ITEM_UNKNOWN { Refused::no_item(item.as_str()) } else { problem.into() }
    })
}

/// The whole list in order of creation, streamed: neither the owner nor this task ever holds all of it.
pub async fn list(handle: &Handle, session: SessionName) -> Answered {
    let first = slice(handle, session.clone(), 0, SLICE, Filter::default()).await?;
    let handle = handle.clone();
    let written = stream::try_unfold(Progress::First(first), move |progress| {
        let (handle, session) = (handle.clone(), session.clone());
        async move {
            let (slice, opening) = match progress {
                Progress::First(slice) => (slice, true),
                Progress::From(next) => {
                    // Cut off rather than cut short: a list that cannot be told whole does not end like one.
                    let slice = slice(&handle, session, next, SLICE, Filter::default()).await;
                    (slice.map_err(|problem| io::Error::other(problem.detail))?, false)
                }
                Progress::Done => return Ok(None),
            };
            let next = slice.next.map_or(Progress::Done, Progress::From);
            Ok::<_, io::Error>(Some((chunk(&slice, opening)?, next)))
        }
    });
    Ok(answer::json_bytes(StatusCode::OK, Body::from_stream(written)))
}

enum Progress {
    First(ItemSlice),
    From(u64),
    Done,
}

fn chunk(slice: &ItemSlice, opening: bool) -> Result<Bytes, io::Error> {
    let mut bytes = Vec::with_capacity(512 * slice.items.len() + 2);
    bytes.extend(opening.then_some(b'['));
    for (at, item) in slice.items.iter().enumerate() {
        if at > 0 || !opening {
            bytes.push(b',');
        }
        serde_json::to_writer(&mut bytes, &BackfillWorkItem::from(item))?;
    }
    bytes.extend(slice.next.is_none().then_some(b']'));
    Ok(bytes.into())
}

pub async fn delete_all(handle: &Handle, session: SessionName) -> Answered {
    match handle.submit(Command::DeleteItems { session }).await? {
        Answer::Counted(count) => {
            Ok(answer::json(StatusCode::OK, &json!({ "detail": format!("Deleted {count} work items") }))?)
        }
        other => Err(answer::unexpected(&other).into()),
    }
}

pub async fn renew(handle: &Handle, session: SessionName, item: ItemId, body: Body) -> Answered {
    let bytes = whole(body).await?;
    let renew = match parse::<Object<RenewLease>>(&bytes) {
        Ok(renew) => renew.0,
        Err(fault) => return Err(invalid(handle, &session, fault.into()).await),
    };
    let command = Command::Renew {
        session,
        item: item.clone(),
        holder: holder(renew.worker_id.0, renew.token),
        progress: renew.progress.map(|progress| progress.0.into()),
        checkpoint: None,
        lease: None,
    };
    match found(&item, submit(handle, command).await)? {
        Answer::Renewed { item, .. } => Ok(answer::json(StatusCode::OK, &BackfillWorkItem::from(&*item))?),
        other => Err(answer::unexpected(&other).into()),
    }
}

pub async fn complete(handle: &Handle, session: SessionName, item: ItemId, body: Body) -> Answered {
    let bytes = whole(body).await?;
    let complete = match parse::<CompleteBody>(&bytes) {
        Ok(complete) => complete.lower(session, item.clone()),
        Err(fault) => return Err(invalid(handle, &session, fault.into()).await),
    };
    check_batch("successors", complete.successors.len())?;
    match found(&item, submit(handle, Command::Complete(complete)).await)? {
        Answer::Completed { item, .. } => Ok(answer::json(StatusCode::OK, &BackfillWorkItem::from(&*item))?),
        // The item was deleted under its lease; that its holder has stopped is known now.
        Answer::Done => Err(Refused::no_item(item.as_str())),
        other => Err(answer::unexpected(&other).into()),
    }
}

async fn submit(handle: &Handle, command: Command) -> Result<Answer, Problem> {
    handle.submit(command).await.map_err(Problem::from)
}
