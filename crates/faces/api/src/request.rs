//! What comes in, read once: names in the path, parameters in the query, one JSON body.

use crate::codes;
use crate::problem::{Fault, Part, Problem};
use crate::wire::Object;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use capstan_ids::{IdempotencyKey, ItemId, SessionName};
use capstan_migration::JobName;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// The most bytes of one body.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// The most items of one batch.
pub const BATCH_MAX: usize = 10_000;

/// A JSON object in the body.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// A JSON object in the body, or its default where there is no body.
#[derive(Debug)]
pub struct JsonOrDefault<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_media_type(request.headers())?;
        let bytes = whole(request.into_body()).await?;
        Ok(Self(parse::<Object<T>>(&bytes)?.0))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for JsonOrDefault<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = whole(body).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        check_media_type(&parts.headers)?;
        Ok(Self(parse::<Object<T>>(&bytes)?.0))
    }
}

/// Reads JSON; what is wrong with it is found out only if something is.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| Fault::find::<T>(bytes, &error))
}

/// The whole body, at most [`BODY_BYTES_MAX`] of it.
pub async fn whole(body: Body) -> Result<Bytes, Problem> {
    let too_large = || Problem::too_large("body", "bytes", BODY_BYTES_MAX);
    // What says beforehand that it is too large is not read at all.
    if axum::body::HttpBody::size_hint(&body).lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Problem::broken_off()),
    }
}

/// JSON, whatever else the header says about it; no header at all is taken for JSON.
pub fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(declared) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let declared = declared.to_str().unwrap_or("something that is not text");
    let essence = declared.split(';').next().unwrap_or_default().trim();
    let json = essence.eq_ignore_ascii_case("application/json")
        || (essence.len() > 5 && essence[essence.len() - 5..].eq_ignore_ascii_case("+json"));
    if json { Ok(()) } else { Err(Problem::media_type(declared)) }
}

/// The session of the path.
#[derive(Debug)]
pub struct InSession(pub SessionName);

/// The item of the path, and its session.
#[derive(Debug)]
pub struct OnItem {
    /// Where.
    pub session: SessionName,
    /// Which.
    pub item: ItemId,
}

impl<S: Send + Sync> FromRequestParts<S> for InSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = path(parts, state).await?;
        Ok(Self(SessionName::new(named(&params, "session")?)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OnItem {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = path(parts, state).await?;
        let session = SessionName::new(named(&params, "session")?)?;
        Ok(Self { session, item: ItemId::new(named(&params, "id")?)? })
    }
}

/// The job of the path.
#[derive(Debug)]
pub struct InJob(pub JobName);

impl<S: Send + Sync> FromRequestParts<S> for InJob {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = path(parts, state).await?;
        Ok(Self(job_name(named(&params, "job")?)?))
    }
}

/// A job's name.
pub fn job_name(text: &str) -> Result<JobName, Problem> {
    JobName::new(text).map_err(|error| {
        Problem::new(&codes::VALUE_INVALID, error.to_string()).with("field", "job").with("found", error.found)
    })
}

/// A parameter of the path, decoded.
#[derive(Debug)]
pub struct PathParameters(RawPathParams);

impl PathParameters {
    /// The parameter of this name.
    pub fn get(&self, name: &str) -> Result<&str, Problem> {
        named(&self.0, name)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        path(parts, state).await.map(Self)
    }
}

async fn path<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, Problem> {
    RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| Problem::parameter(Part::Path, "of this route", "percent-encoded UTF-8", parts.uri.path()))
}

fn named<'a>(params: &'a RawPathParams, name: &str) -> Result<&'a str, Problem> {
    let found = params.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value).ok_or_else(|| Problem::no_parameter(Part::Path, name, "it belongs into the path"))
}

/// The parameters of a query, each of them known.
#[derive(Debug, Default)]
pub struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Parameters<'a> {
    /// Reads a query and refuses parameters that are not among `known`, or come twice where they may not.
    pub fn read(query: Option<&'a str>, known: &[&str]) -> Result<Self, Problem> {
        let parameters = Self::read_lenient(query);
        for (at, (name, value)) in parameters.0.iter().enumerate() {
            if !known.contains(&name.as_ref()) {
                let allowed =
                    if known.is_empty() { "left out".to_owned() } else { format!("one of {}", known.join(", ")) };
                return Err(Problem::parameter(Part::Query, &shortened(name), &allowed, name));
            }
            if parameters.0[..at].iter().any(|(before, _)| before == name) {
                return Err(Problem::parameter(Part::Query, name, "given once", value));
            }
        }
        Ok(parameters)
    }

    /// Reads a query and leaves alone what is not known.
    pub fn read_lenient(query: Option<&'a str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect())
    }

    /// The parameter of this name; an empty one counts.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
    }

    /// A number within bounds.
    pub fn number(&self, name: &str, from: u64, to: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if (from..=to).contains(&number) => Ok(Some(number)),
            _ => Err(Problem::parameter(Part::Query, name, &format!("{from} to {to}"), text)),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The key of a repeatable acquire.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let refused =
        |found: &str| Problem::parameter(Part::Header, "Idempotency-Key", "1 to 128 printable characters", found);
    let text = value.to_str().map_err(|_| refused("bytes that are not text"))?;
    IdempotencyKey::new(text).map(Some).map_err(|_| refused(text))
}

/// A batch within its limit.
pub fn check_batch(what: &str, length: usize) -> Result<(), Problem> {
    if length > BATCH_MAX { Err(Problem::too_large(what, "items", BATCH_MAX)) } else { Ok(()) }
}
