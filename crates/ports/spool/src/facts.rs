//! What sealing a part answers: everything a reader needs to tell whether it has the whole of it.

use crate::name::PartName;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The facts of one sealed part. They go to the journal, and a part counts only where facts name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct PartFacts {
    /// Which part.
    #[n(0)]
    pub name: PartName,
    /// How many documents it holds.
    #[n(1)]
    pub documents: u64,
    /// Their size as raw BSON.
    #[n(2)]
    pub bytes: u64,
    /// How many blocks they lie in.
    #[n(3)]
    pub blocks: u32,
    /// The size of the part where it lies.
    #[n(4)]
    pub stored_bytes: u64,
    /// Over the stored bytes, from the first to the last.
    #[n(5)]
    pub checksum: Checksum,
}

/// An XXH3-64 checksum, sixteen hex digits as text: doubles would not hold it in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Checksum(#[n(0)] pub(crate) u64);

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u64::from_str_radix(&text, 16).ok().map(Self);
        number
            .filter(|sum| sum.to_string() == text)
            .ok_or_else(|| de::Error::custom("checksum must be 16 hex digits in lower case"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_read_back_from_json_and_cbor() {
        let facts = PartFacts {
            name: "shop/4fa3_1.g1.t9.s0".parse().unwrap(),
            documents: 3,
            bytes: 400,
            blocks: 1,
            stored_bytes: 210,
            checksum: Checksum(u64::MAX - 1),
        };

        let json = serde_json::to_string(&facts).unwrap();

        assert!(json.contains(r#""checksum":"fffffffffffffffe""#), "{json}");
        assert_eq!(serde_json::from_str::<PartFacts>(&json).unwrap(), facts);
        assert_eq!(minicbor::decode::<PartFacts>(&minicbor::to_vec(&facts).unwrap()).unwrap(), facts);
        assert!(serde_json::from_str::<PartFacts>(&json.replace("fffffffffffffffe", "FE")).is_err());
    }
}
