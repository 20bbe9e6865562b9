//! An `_id` as it stands in a document, kept as text that gives the same bytes back.

use bson::{Bson, RawDocumentBuf};
use capstan_endpoint::{ExtJson, element};
use serde::{Deserialize, Serialize};

use crate::compose::Composer;

/// An `_id` with its type, whatever it is.
///
/// In a journal it is `{"_id":…}` in canonical extended JSON, and where that would not give the same bytes back (a name
/// twice in a nested document) the same document in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Id {
    pub kind: u8,
    pub value: Vec<u8>,
}

const HEX: &str = "hex:";

/// Text that is no `_id`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no `_id`: {{\"_id\":…}} in extended JSON is expected, or hex: and a document of one element")]
pub(crate) struct NoId(String);

impl Id {
    /// The `_id` of a document; `None` without one, or in a document that is broken before it.
    pub fn of(document: &[u8]) -> Option<Self> {
        element::id_of(document).map(|element| Self { kind: element.kind, value: element.value.to_vec() })
    }

    /// `{"_id": …}`, as `min` and `max` take it.
    pub fn document(&self) -> RawDocumentBuf {
        Composer::new().element(self.kind, "_id", &self.value).into_raw()
    }

    /// The value decoded. Of a nested document's repeated names only the last is kept.
    pub fn to_bson(&self) -> Option<Bson> {
        self.document().get("_id").ok().flatten().and_then(|value| Bson::try_from(value).ok())
    }

    /// Tells it from others, in few characters and the same on every machine and in every version.
    pub fn mark(&self) -> String {
        format!("{:016x}", fnv(std::iter::once(&self.kind).chain(&self.value)))
    }

    fn to_text(&self) -> String {
        let document = self.document();
        let exact = |text: &ExtJson| RawDocumentBuf::try_from(&text.to_document()).is_ok_and(|back| back == document);
        match ExtJson::from_raw(&document).ok().filter(exact) {
            Some(text) => text.into(),
            None => HEX.to_owned() + &document.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let document = match text.strip_prefix(HEX) {
            Some(digits) => {
                let pairs = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok());
                pairs.collect::<Option<Vec<u8>>>()?
            }
            None => RawDocumentBuf::try_from(&ExtJson::parse(text).ok()?.to_document()).ok()?.into_bytes(),
        };
        Self::of(&document).filter(|id| id.document().as_bytes() == document)
    }
}

/// FNV-1a of 64 bits.
pub(crate) fn fnv<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.to_text()
    }
}

impl TryFrom<String> for Id {
    type Error = NoId;

    fn try_from(text: String) -> Result<Self, NoId> {
        Self::parse(&text).ok_or_else(|| NoId(text.chars().take(100).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_endpoint::conformance::fixtures;

    #[test]
    fn an_id_of_any_type_comes_back_from_a_journal_byte_for_byte() {
        for value in fixtures::values() {
            let id = Id { kind: value.kind, value: value.bytes };
            let text = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<Id>(&text).unwrap(), id, "{text}");
        }
    }

    #[test]
    fn an_id_that_extended_json_cannot_hold_comes_back_too() {
        let (one, two) = (fixtures::int32(1), fixtures::int32(2));
        let id = Id { kind: 0x03, value: fixtures::document(&[("a", &one), ("a", &two)]) };

        let text = serde_json::to_string(&id).unwrap();

        assert!(text.starts_with("\"hex:"));
        assert_eq!(serde_json::from_str::<Id>(&text).unwrap(), id);
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in ["", "{}", "{\"a\":1}", "{\"_id\":1,\"b\":2}", "hex:", "hex:0g", "hex:05000000", "hex:€"] {
            assert!(Id::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
