//! All pipelines together: how they are doing, the room they share, and how many workers are wanted.

use super::Answered;
use super::page::Page;
use crate::answer;
use crate::problem::{Part, Problem};
use crate::registry;
use crate::request::{Json, Parameters};
use crate::scale::{self, Demands};
use crate::wire::room::{
    AvailabilityShape, LimitsShape, LimitsSpec, ReservationShape, ScaleShape, ScalesShape, SystemShape,
};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use capstan_coordinator::Handle;
use capstan_ids::Kind;
use capstan_registry::{Rejection, Rules};

pub async fn get(State(handle): State<Handle>) -> Answered {
    answer::json(StatusCode::OK, &SystemShape::from(handle.read(|state| state.registry.system()).await?))
}

pub async fn availability(State(handle): State<Handle>, RawQuery(query): RawQuery) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["cpu_percent", "memory_mb"])?;
    let number = |name, expected: &str| {
        let text = parameters.get(name).unwrap_or("0");
        text.parse::<f64>().map_err(|_| Problem::parameter(Part::Query, name, expected, text))
    };
    let cpu_percent = number("cpu_percent", "a number from 0 to 100")?;
    let memory_mb = number("memory_mb", "a whole number from 0 to 100,000,000")?;
    // Fractions of a MB and what is no number would be lost on the way to a whole one.
    if memory_mb.fract() != 0.0 {
        let text = parameters.get("memory_mb").unwrap_or_default();
        return Err(Problem::parameter(Part::Query, "memory_mb", "a whole number from 0 to 100,000,000", text));
    }
    let availability = registry::check(&handle, cpu_percent, memory_mb as i64).await?;
    answer::json(StatusCode::OK, &AvailabilityShape::from(availability))
}

pub async fn limits(State(handle): State<Handle>) -> Answered {
    tagged(&handle.read(|state| state.registry.rules().clone()).await?)
}

pub async fn change_limits(State(handle): State<Handle>, headers: HeaderMap, Json(spec): Json<LimitsSpec>) -> Answered {
    let only_if = expected(&handle, &headers).await?;
    tagged(&registry::change_rules(&handle, spec.only_if(only_if)).await?)
}

/// The rules as they are, where the request names their tag: only these are changed then. None where it names no tag.
async fn expected(handle: &Handle, headers: &HeaderMap) -> Result<Option<Rules>, Problem> {
    let mut named = Vec::new();
    for value in headers.get_all(header::IF_MATCH) {
        let text = value.to_str().unwrap_or("bytes that are not text");
        if text.trim() == "*" {
            return Ok(None);
        }
        let refused = || Problem::parameter(Part::Header, "If-Match", "one or more ETags in double quotes, or *", text);
        named.extend(entity_tags(text).ok_or_else(refused)?);
    }
    if named.is_empty() {
        return Ok(None);
    }
    let rules = handle.read(|state| state.registry.rules().clone()).await?;
    if named.contains(&registry::rules_tag(&rules).as_str()) {
        Ok(Some(rules))
    } else {
        Err(Rejection::RulesDiffer.into())
    }
}

/// The entity tags of a list, as they are written; none where it is not one. A weak one never matches (RFC 9110, 13.1.1).
fn entity_tags(text: &str) -> Option<Vec<&str>> {
    let is_tag = |tag: &&str| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        opaque.is_some_and(|opaque| !opaque.contains('"'))
    };
    let tags: Vec<&str> = text.split(',').map(str::trim).collect();
    tags.iter().all(is_tag).then_some(tags)
}

fn tagged(rules: &Rules) -> Answered {
    let mut response = answer::json(StatusCode::OK, &LimitsShape::from(rules))?;
    let tag = HeaderValue::from_str(&registry::rules_tag(rules)).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

pub async fn queue(State(handle): State<Handle>) -> Answered {
    let queue = handle.read(|state| state.registry.queue()).await?;
    let items: Vec<ReservationShape> = queue.into_iter().map(Into::into).collect();
    answer::json(StatusCode::OK, &Page { items, next_cursor: None })
}

pub async fn scale(State(handle): State<Handle>, RawQuery(query): RawQuery) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["kind", "slots"])?;
    let slots = parameters.number("slots", 1, scale::SLOTS_MAX)?.unwrap_or(scale::SLOTS_DEFAULT);
    let kind = parameters.get("kind").map(Kind::new).transpose()?;
    let (demands, room) = demands(&handle).await?;
    let of = |kind: &str, demand: scale::Demand| ScaleShape {
        kind: kind.to_owned(),
        value: demand.workers(slots, room),
        ready: demand.ready,
        running: demand.running,
    };
    if let Some(kind) = kind {
        // A kind that there is no work of needs nobody: an autoscaler must not take that for an error.
        let demand = demands.get(kind.as_str()).copied().unwrap_or_default();
        return answer::json(StatusCode::OK, &of(kind.as_str(), demand));
    }
    let kinds: Vec<ScaleShape> = demands.iter().map(|(kind, demand)| of(kind, *demand)).collect();
    let value = kinds.iter().map(|kind| kind.value).sum();
    answer::json(StatusCode::OK, &ScalesShape { value, slots, room, kinds })
}

async fn demands(handle: &Handle) -> Result<(Demands, bool), Problem> {
    let (mut demands, mut after) = (Demands::new(), None);
    loop {
        let look = move |state: &capstan_coordinator::State| {
            let next = scale::add_slice(state, after.as_ref(), &mut demands);
            (demands, next, state.registry.system().availability.available)
        };
        let (so_far, next, room) = handle.read(look).await?;
        match next {
            None => return Ok((so_far, room)),
            Some(next) => (demands, after) = (so_far, Some(next)),
        }
    }
}
