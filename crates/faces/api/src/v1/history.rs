//! What happened to pipelines, and what the registry was like at some time.

use super::Answered;
use super::page::{self, Page};
use super::pipelines::{cursor, named};
use super::watch::{beginning, last_word, streamed};
use crate::answer;
use crate::grpc::watch_problem;
use crate::problem::{Part, Problem};
use crate::registry::{self, Placed, told};
use crate::request::{Parameters, PathParameters};
use crate::router::Api;
use crate::wire::fact::FactShape;
use crate::wire::room::RegistryShape;
use crate::wire::time;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use capstan_coordinator::{FactFilter, Handle, Watch};
use capstan_ids::{Position, WallTime};
use capstan_registry::{Listing, PipelineId};
use futures::stream;
use std::convert::Infallible;
use std::time::Duration;

/// Nothing is sent for no longer than this.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub async fn audit(State(handle): State<Handle>, RawQuery(query): RawQuery) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["pipeline", "from", "until", "after", "cursor", "limit"])?;
    let pipeline = parameters.get("pipeline").map(PipelineId::new).transpose()?;
    facts(&handle, pipeline, &parameters).await
}

pub async fn of_one(State(handle): State<Handle>, path: PathParameters, RawQuery(query): RawQuery) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["from", "until", "after", "cursor", "limit"])?;
    facts(&handle, Some(named(&path)?), &parameters).await
}

async fn facts(handle: &Handle, pipeline: Option<PipelineId>, parameters: &Parameters<'_>) -> Answered {
    let position = |name| parameters.number(name, 0, Position::MAX.get() - 1);
    let (after, cursor) = (position("after")?, position("cursor")?);
    if let (Some(_), Some(cursor)) = (after, cursor) {
        return Err(Problem::parameter(Part::Query, "cursor", "left out where after is given", &cursor.to_string()));
    }
    let filter = FactFilter {
        pipeline,
        from: moment(parameters, "from")?,
        until: moment(parameters, "until")?,
        after: after.or(cursor).map(Position::new),
        most: page::limit(parameters)?,
    };
    let page = registry::facts(handle, filter).await?;
    let items: Vec<FactShape> =
        page.facts.into_iter().map(|(position, fact)| Placed { position, fact }.into()).collect();
    answer::json(StatusCode::OK, &Page { items, next_cursor: page.next.map(|next| next.get().to_string()) })
}

fn moment(parameters: &Parameters<'_>, name: &'static str) -> Result<Option<WallTime>, Problem> {
    let refused = |text: &str| Problem::parameter(Part::Query, name, "a time such as 2026-01-31T12:00:00Z", text);
    parameters.get(name).map(|text| time::parse(text).ok_or_else(|| refused(text))).transpose()
}

pub async fn as_it_was(State(handle): State<Handle>, RawQuery(query): RawQuery) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["at", "cursor", "limit"])?;
    let missing = || Problem::no_parameter(Part::Query, "at", "say which time, such as 2026-01-31T12:00:00Z");
    let at = moment(&parameters, "at")?.ok_or_else(missing)?;
    let listing =
        Listing { after: cursor(&parameters)?, most: Some(page::limit(&parameters)? as u32), ..Listing::default() };
    let registry = registry::registry_at(&handle, at).await?;
    let page = registry.list(&listing, at)?;
    answer::json(StatusCode::OK, &RegistryShape::of(&registry, at, page))
}

/// Follows the registry as server-sent events: what is journalled, without gaps.
pub async fn watch(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let from = beginning(query.as_deref(), &headers)?;
    let watch = api.handle.watch(from, None).await.map_err(watch_problem)?;
    let events = stream::unfold(Some((watch, api)), |state| async move {
        let (mut watch, api) = state?;
        let mut text = String::new();
        let goes_on = tokio::select! {
            goes_on = next(&mut watch, &mut text) => goes_on,
            () = api.info.closing.cancelled() => return None,
        };
        Some((Ok::<_, Infallible>(Bytes::from(text)), goes_on.then_some((watch, api))))
    });
    Ok(streamed(Body::from_stream(events)))
}

/// Writes what comes next; whether the stream goes on after it.
async fn next(watch: &mut Watch, text: &mut String) -> bool {
    let quiet = tokio::time::sleep(HEARTBEAT);
    tokio::pin!(quiet);
    loop {
        let change = tokio::select! {
            change = watch.next() => change,
            () = &mut quiet => {
                // The id moves on too: who comes back after a long silence need not read what was not for it.
                text.push_str(&format!(": heartbeat\nid: {}\n\n", watch.position().get() - 1));
                return true;
            }
        };
        match change {
            Ok(change) => {
                let Some(placed) = told(&change) else { continue };
                let shape = FactShape::from(placed);
                let data = serde_json::to_string(&shape).expect("a fact holds only text and numbers");
                text.push_str(&format!("id: {}\nevent: {}\ndata: {data}\n\n", shape.position, shape.event));
                return true;
            }
            Err(error) => return last_word(watch_problem(error), text),
        }
    }
}
