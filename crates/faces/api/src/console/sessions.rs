//! Sessions of the contract: a name, two times, and whatever environment its owner keeps with it.

use super::wire::Session;
use super::{Answered, Refused, session_of};
use crate::answer;
use crate::problem::Problem;
use crate::request::{check_media_type, parse, whole};
use crate::v1::sessions::view;
use crate::wire::{Object, opaque};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use capstan_coordinator::Handle;
use capstan_ids::SessionName;
use capstan_work::{Command, Policy, PolicyChange, SessionView};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Sessions looked at in one go.
const SLICE: usize = 200;

#[derive(Deserialize)]
struct CreateSession {
    name: String,
}

pub async fn all(State(handle): State<Handle>, request: Request) -> Answered {
    match *request.method() {
        Method::GET => list(&handle).await,
        Method::POST => {
            check_media_type(request.headers())?;
            create(&handle, request.into_body()).await
        }
        _ => Err(Refused::no_method()),
    }
}

pub async fn one(State(handle): State<Handle>, request: Request) -> Answered {
    let session = session_of(request.uri().path())?;
    match *request.method() {
        Method::GET => Ok(answer::json(StatusCode::OK, &Session(view(&handle, session).await?))?),
        Method::PUT => {
            check_media_type(request.headers())?;
            update(&handle, session, request.into_body()).await
        }
        Method::DELETE => {
            handle.submit(Command::DeleteSession { session: session.clone() }).await?;
            Ok(answer::json(StatusCode::OK, &json!({ "detail": format!("Session '{session}' deleted.") }))?)
        }
        _ => Err(Refused::no_method()),
    }
}

async fn list(handle: &Handle) -> Answered {
    let mut views: Vec<Session> = Vec::new();
    loop {
        let after = views.last().map(|last| last.0.name.clone());
        let look = move |state: &capstan_coordinator::State| -> Vec<SessionView> {
            state.work.sessions_after(after.as_ref()).take(SLICE).collect()
        };
        let slice = handle.read(look).await?;
        let more = slice.len() == SLICE;
        views.extend(slice.into_iter().map(Session));
        if !more {
            return Ok(answer::json(StatusCode::OK, &views)?);
        }
    }
}

async fn create(handle: &Handle, body: Body) -> Answered {
    let CreateSession { name } = parse::<Object<CreateSession>>(&whole(body).await?)?.0;
    let session = SessionName::new(name).map_err(bad)?;
    let open = Command::OpenSession {
        session: session.clone(),
        policy: Policy::console(),
        notes: None,
        items: Vec::new(),
        gates: Vec::new(),
    };
    handle.submit(open).await?;
    Ok(answer::json(StatusCode::CREATED, &Session(view(handle, session).await?))?)
}

/// Any object; `env` replaces what was kept, and name and times are the server's.
async fn update(handle: &Handle, session: SessionName, body: Body) -> Answered {
    let mut fields = parse::<BTreeMap<String, Box<RawValue>>>(&whole(body).await?)?;
    let env = fields.remove("env");
    if let Some(env) = &env
        && !(env.get().starts_with('{') || env.get() == "null")
    {
        return Err(bad("env must be an object"));
    }
    let notes = opaque("env", env)?;
    let change = PolicyChange::default();
    let updated = handle.submit(Command::UpdateSession { session: session.clone(), change, notes }).await;
    match updated.map_err(Problem::from) {
        Ok(_) => Ok(answer::json(StatusCode::OK, &Session(view(handle, session).await?))?),
        // What this route cannot take is 400 in the contract.
        Err(problem) if problem.class() == crate::Class::Invalid => Err(bad(problem.detail)),
        Err(problem) => Err(problem.into()),
    }
}

fn bad(why: impl ToString) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, why.to_string())
}
