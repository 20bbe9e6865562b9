//! What a part is called, and by whose lease it was written.

use capstan_ids::{SessionName, Token};
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of one part, unlike that of any other: the token makes it so across leases, the sequence within one.
///
/// As text: `job/unit_chunk.gGENERATION.tTOKEN.sSEQUENCE`, in plain characters of every file system and object store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartName {
    job: SessionName,
    unit: Arc<str>,
    chunk: u32,
    generation: u32,
    token: Token,
    sequence: u32,
}

/// Why a text is not a part's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("part name must be job/unit_chunk.gN.tN.sN with a unit of 1 to 64 characters of a-z 0-9, found {found:?}")]
pub struct PartNameError {
    /// What came, shortened.
    pub found: String,
}

impl PartName {
    /// The part `sequence` of what the lease `token` dumps of a chunk; `generation` counts the chunk's dumps.
    ///
    /// `unit` is 1 to 64 characters of a-z and 0-9.
    pub fn new(
        job: SessionName,
        unit: &str,
        chunk: u32,
        generation: u32,
        token: Token,
        sequence: u32,
    ) -> Result<Self, PartNameError> {
        let valid =
            (1..=64).contains(&unit.len()) && unit.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !valid {
            return Err(PartNameError::of(unit));
        }
        Ok(Self { job, unit: Arc::from(unit), chunk, generation, token, sequence })
    }

    /// The job it belongs to, named by its session.
    pub fn job(&self) -> &SessionName {
        &self.job
    }

    /// The unit it is a piece of.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// Which of the unit's chunks it is a piece of.
    pub fn chunk(&self) -> u32 {
        self.chunk
    }

    /// Which dump of that chunk wrote it.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The token of the lease it was written under.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Its place among the parts of that lease.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The name without its job: what the part is called in the job's folder.
    pub(crate) fn leaf(&self) -> String {
        format!("{}_{}.g{}.t{}.s{}", self.unit, self.chunk, self.generation, self.token, self.sequence)
    }

    /// The part of `job` called `leaf`, if that is how a part is called.
    pub(crate) fn from_leaf(job: &SessionName, leaf: &str) -> Option<Self> {
        let (unit, rest) = leaf.split_once('_')?;
        let mut fields = rest.split('.');
        let chunk = number(fields.next()?)?;
        let generation = number(fields.next()?.strip_prefix('g')?)?;
        let token = number(fields.next()?.strip_prefix('t')?)?;
        let sequence = number(fields.next()?.strip_prefix('s')?)?;
        if fields.next().is_some() {
            return None;
        }
        Self::new(job.clone(), unit, chunk, generation, Token::from_wire(token), sequence).ok()
    }
}

/// A number as we write it; `01` and `+1` would be second names for one part.
fn number<N: FromStr + ToString>(text: &str) -> Option<N> {
    text.parse::<N>().ok().filter(|n| n.to_string() == text)
}

impl PartNameError {
    fn of(text: &str) -> Self {
        Self { found: text.chars().take(80).collect() }
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.job, self.leaf())
    }
}

impl FromStr for PartName {
    type Err = PartNameError;

    fn from_str(text: &str) -> Result<Self, PartNameError> {
        let (job, leaf) = text.split_once('/').ok_or_else(|| PartNameError::of(text))?;
        let job = SessionName::new(job).map_err(|_| PartNameError::of(text))?;
        Self::from_leaf(&job, leaf).ok_or_else(|| PartNameError::of(text))
    }
}

impl Serialize for PartName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PartName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl<C> Encode<C> for PartName {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.str(&self.to_string())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for PartName {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let at = d.position();
        d.str()?.parse().map_err(|e| DecodeError::message(e).at(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> PartName {
        PartName::new(SessionName::new("shop-2").unwrap(), "4fa3", 12, 1, Token::from_wire(u64::MAX), 3).unwrap()
    }

    #[test]
    fn a_name_reads_back_from_its_text() {
        assert_eq!(name().to_string(), "shop-2/4fa3_12.g1.t18446744073709551615.s3");
        assert_eq!(name().to_string().parse(), Ok(name()));
        assert_eq!(serde_json::from_str::<PartName>(&serde_json::to_string(&name()).unwrap()).unwrap(), name());
        assert_eq!(minicbor::decode::<PartName>(&minicbor::to_vec(name()).unwrap()).unwrap(), name());
    }

    #[test]
    fn a_text_that_is_no_name_is_refused() {
        let good = "shop/4fa3_1.g1.t1.s1";
        assert!(good.parse::<PartName>().is_ok());
        for bad in [
            "",
            "shop",
            "4fa3_1.g1.t1.s1",
            "shop/4fa3_01.g1.t1.s1",
            "shop/4fa3_+1.g1.t1.s1",
            "shop/4fa3_1.g1.t1",
            "shop/_1.g1.t1.s1",
            "shop/4fa3_1.g1.t1.s1.x",
            "shop/../4fa3_1.g1.t1.s1",
            "sh op/4fa3_1.g1.t1.s1",
            "shop/4FA3_1.g1.t1.s1",
            "shop/a/b_1.g1.t1.s1",
        ] {
            assert!(bad.parse::<PartName>().is_err(), "{bad:?}");
        }
    }
}
