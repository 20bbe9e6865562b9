//! Collections that are one range, because they are read in an order that is not that of their `_id`s.

use bson::{Bson, Document};
use capstan_endpoint::{ExtJson, Unit};

use crate::range::Piece;

/// Queries that a server answers by an index of their own, so that bounds on another cannot go with them.
const OWN_INDEX: [&str; 4] = ["$near", "$nearSphere", "$geoNear", "$text"];

/// Why a unit is not cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uncut {
    /// Its order is a part of what it holds: what was written first goes first.
    Capped,
    /// Its filter gives documents in an order of its own.
    Filtered(&'static str),
}

impl Uncut {
    pub fn of(unit: &Unit) -> Option<Self> {
        let filter = unit.filter.as_ref().map(ExtJson::to_document);
        let asked = filter.and_then(|filter| OWN_INDEX.into_iter().find(|word| asks(&filter, word)));
        asked.map(Self::Filtered).or_else(|| is_capped(unit).then_some(Self::Capped))
    }

    pub fn piece(self) -> Piece {
        match self {
            Self::Capped => Piece::Stored,
            Self::Filtered(_) => Piece::Others { except: Vec::new() },
        }
    }

    /// For people: what was done without, where that is worth a word.
    pub fn without(self) -> Option<String> {
        match self {
            Self::Capped => None,
            Self::Filtered(word) => {
                Some(format!("a filter by {word} goes with no range of _ids: what it gives is one chunk"))
            }
        }
    }
}

pub(crate) fn is_capped(unit: &Unit) -> bool {
    let options = unit.options.as_ref().map(ExtJson::to_document).unwrap_or_default();
    options.get_bool("capped").unwrap_or(false)
}

fn asks(filter: &Document, word: &str) -> bool {
    filter.iter().any(|(name, value)| name == word || asks_in(value, word))
}

fn asks_in(value: &Bson, word: &str) -> bool {
    match value {
        Bson::Document(document) => asks(document, word),
        Bson::Array(values) => values.iter().any(|value| asks_in(value, word)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_endpoint::Namespace;

    fn unit(options: &str, filter: &str) -> Unit {
        let text = |text: &str| Some(ExtJson::parse(text).unwrap());
        Unit { options: text(options), filter: text(filter), ..Unit::collection(Namespace::new("a", "b")) }
    }

    #[test]
    fn only_capped_collections_and_filters_with_an_order_of_their_own_are_not_cut() {
        assert_eq!(Uncut::of(&unit("{}", r#"{"a":{"$gt":1},"text":"$near"}"#)), None);
        assert_eq!(Uncut::of(&unit(r#"{"capped":true,"size":1}"#, "{}")), Some(Uncut::Capped));
        let near = r#"{"$and":[{"at":{"$near":[0,0]}},{"b":1}]}"#;
        assert_eq!(Uncut::of(&unit("{}", near)), Some(Uncut::Filtered("$near")));
        let text = Uncut::of(&unit(r#"{"capped":true}"#, r#"{"$text":{"$search":"x"}}"#));
        assert_eq!(text, Some(Uncut::Filtered("$text")));
    }
}
