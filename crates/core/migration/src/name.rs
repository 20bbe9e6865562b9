//! What jobs, units and collections are called.

use capstan_ids::SessionName;
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A job's name: 1 to 46 characters of `A-Z a-z 0-9 _ -`, so that its session's name is valid too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(Arc<str>);

/// Why a text is not a job's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("job name must be 1 to {} characters of A-Z a-z 0-9 _ -, found {found:?}", JobName::LEN_MAX)]
pub struct JobNameError {
    /// What came, shortened.
    pub found: String,
}

const SESSION_PREFIX: &str = "job-";

impl JobName {
    /// The most characters it may have.
    pub const LEN_MAX: usize = 46;

    /// Checks the text.
    pub fn new(text: impl AsRef<str>) -> Result<Self, JobNameError> {
        let text = text.as_ref();
        let valid = (1..=Self::LEN_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if valid { Ok(Self(Arc::from(text))) } else { Err(JobNameError { found: text.chars().take(64).collect() }) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The session that holds its work.
    pub fn session(&self) -> SessionName {
        SessionName::new(format!("{SESSION_PREFIX}{self}")).expect("a job's name is short and plain enough")
    }

    /// The job whose session this is called like.
    pub fn of_session(session: &SessionName) -> Option<Self> {
        Self::new(session.as_str().strip_prefix(SESSION_PREFIX)?).ok()
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for JobName {
    type Err = JobNameError;

    fn from_str(text: &str) -> Result<Self, JobNameError> {
        Self::new(text)
    }
}

impl<C> Encode<C> for JobName {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for JobName {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let at = d.position();
        Self::new(d.str()?).map_err(|error| DecodeError::message(error).at(at))
    }
}

impl Serialize for JobName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for JobName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A collection in a database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// The database: never empty, no dots.
    #[n(0)]
    pub database: Box<str>,
    /// The collection: never empty, dots allowed.
    #[n(1)]
    pub collection: Box<str>,
}

impl Namespace {
    /// A collection of a database.
    pub fn new(database: impl Into<Box<str>>, collection: impl Into<Box<str>>) -> Self {
        Self { database: database.into(), collection: collection.into() }
    }

    /// Reads `database.collection`: the first dot parts them.
    pub fn parse(text: &str) -> Option<Self> {
        let (database, collection) = text.split_once('.')?;
        (!database.is_empty() && !collection.is_empty()).then(|| Self::new(database, collection))
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.collection)
    }
}

/// A unit within its job: the first eight bytes of SHA-256 of the source's `db.coll`, shown as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct UnitId(#[n(0)] u64);

impl UnitId {
    /// The id of the unit that is read from there.
    pub fn of(source: &Namespace) -> Self {
        let digest = Sha256::digest(source.to_string());
        Self(u64::from_be_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes")))
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Why a text is not a unit's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a unit id is 16 hexadecimal digits in lower case")]
pub struct UnitIdError;

impl FromStr for UnitId {
    type Err = UnitIdError;

    fn from_str(text: &str) -> Result<Self, UnitIdError> {
        // Upper case, signs and missing zeros would be second names for one unit.
        let id = u64::from_str_radix(text, 16).ok().map(Self);
        id.filter(|id| id.to_string() == text).ok_or(UnitIdError)
    }
}

impl Serialize for UnitId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnitId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_units_id_is_the_beginning_of_the_hash_of_its_name() {
        // printf 'shop.orders' | sha256sum
        let id = UnitId::of(&Namespace::parse("shop.orders").unwrap());
        assert_eq!(id.to_string(), "7458f44cdbf1d509");
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "1", "+fffffffffffffff", "7458F44CDBF1D509", "17458f44cdbf1d509"] {
            assert!(bad.parse::<UnitId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_jobs_name_and_its_sessions_belong_together() {
        let job = JobName::new("x".repeat(46)).unwrap();
        assert_eq!(JobName::of_session(&job.session()), Some(job));
        assert_eq!(JobName::of_session(&SessionName::new("shop").unwrap()), None);
        for bad in ["", "a.b", &"x".repeat(47)] {
            assert!(JobName::new(bad).is_err(), "{bad:?}");
        }
    }
}
