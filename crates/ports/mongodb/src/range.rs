//! Ranges of `_id`s, and the queries that read them.
//!
//! A range is one or more *pieces*, read one after the other.
//!
//! - [`Piece::Ids`] is a stretch of the index on `_id`: `min` and `max` with `hint`. Every value has a place in an index, so
//!   stretches that touch cover a collection whatever its `_id`s are, under its own collation.
//! - Where a server does not honour index bounds, comparisons are all there is, and `$lt` and `$gte` see only values of
//!   their own kind. Then ranges are cut only inside kinds that are compared soundly ([`Kind`]): there `$lt b` and
//!   `$gte b` exclude each other and leave nothing out. All other values ([`Piece::Others`]) are what the kinds, by
//!   the very same predicates, are not, so nothing falls between them. The reader checks the kind of what it gets besides.
//!   NaN and the infinities, which servers order in several ways, are among the others.
//! - [`Piece::Stored`] is a capped collection, whose order is a part of what it holds: all of it, as it lies there.
//!
//! Reading goes on behind the last document that was given, and only where it is found again: by its `_id` where the order
//! is that of the `_id`s, else at the place that it had ([`Place`]).

use bson::spec::ElementType;
use bson::{Bson, Document, RawDocumentBuf, doc};
use capstan_endpoint::element::Element;
use capstan_endpoint::{EndpointError, Range};
use serde::{Deserialize, Serialize};

use crate::compose::Composer;
use crate::id::Id;

/// From one `_id` (included) to another (not included). Without an end it is open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Id>,
}

/// A part of a range, read by one query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Piece {
    /// Between two places of the index.
    Ids(Bounds),
    /// Values of one kind between two of them.
    Of {
        kind: Kind,
        #[serde(flatten)]
        bounds: Bounds,
    },
    /// Everything that is not of these kinds.
    Others {
        #[serde(default)]
        except: Vec<Kind>,
    },
    /// Everything, in the order in which it is stored.
    Stored,
}

/// Kinds of which every server that we know compares values soundly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Number,
    String,
    ObjectId,
    Date,
}

impl Kind {
    /// The kind of a value; none for types that ranges are not cut in. Decimals may be of a kind with numbers or, where
    /// they are too large for a double, not: there only the server's word counts.
    pub fn of(element: Element<'_>) -> Option<Self> {
        match ElementType::from(element.kind)? {
            ElementType::Double => {
                let number = f64::from_le_bytes(*element.value.first_chunk::<8>()?);
                number.is_finite().then_some(Self::Number)
            }
            ElementType::Int32 | ElementType::Int64 => Some(Self::Number),
            ElementType::String => Some(Self::String),
            ElementType::ObjectId => Some(Self::ObjectId),
            ElementType::DateTime => Some(Self::Date),
            _ => None,
        }
    }

    /// What is true of values of the kind between two of them, and of nothing else.
    fn between(self, from: Option<Bson>, to: Option<Bson>) -> Document {
        let name = match self {
            Self::Number => {
                let mut between = doc! { "$gte": from.unwrap_or(Bson::Double(f64::MIN)) };
                match to {
                    Some(to) => between.insert("$lt", to),
                    None => between.insert("$lte", f64::MAX),
                };
                return between;
            }
            Self::String => "string",
            Self::ObjectId => "objectId",
            Self::Date => "date",
        };
        let mut between = Document::new();
        between.extend(from.map(|from| ("$gte".to_owned(), from)));
        between.extend(to.map(|to| ("$lt".to_owned(), to)));
        if between.is_empty() {
            between.insert("$type", name);
        }
        between
    }
}

/// Where reading begins in a piece: at an `_id`, and so many documents past it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Which piece of the range.
    #[serde(default)]
    pub piece: usize,
    /// The last `_id` that was given and is short enough to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Id>,
    /// Documents that were given after that.
    #[serde(default)]
    pub skip: u64,
    /// The [mark](Id::mark) of the last of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

impl Piece {
    /// Whether a document belongs here, as far as the server's query may leave that open.
    pub fn takes(&self, id: Option<Element<'_>>) -> bool {
        let is_decimal = id.is_some_and(|id| ElementType::from(id.kind) == Some(ElementType::Decimal128));
        let kind = id.and_then(Kind::of);
        match self {
            Self::Ids(_) | Self::Stored => true,
            Self::Of { kind: wanted, .. } => kind == Some(*wanted) || is_decimal && *wanted == Kind::Number,
            Self::Others { except } => kind.is_none_or(|kind| !except.contains(&kind)),
        }
    }

    /// Whether it is read in the order of its `_id`s, so that reading can begin at one.
    pub fn is_ordered(&self) -> bool {
        matches!(self, Self::Ids(_) | Self::Of { .. })
    }

    /// The query on `_id` alone.
    pub fn filter(&self, after: Option<&Id>) -> Document {
        match self {
            Self::Ids(_) | Self::Stored => Document::new(),
            Self::Of { kind, bounds } => {
                let from = after.or(bounds.from.as_ref()).and_then(Id::to_bson);
                let to = bounds.to.as_ref().and_then(Id::to_bson);
                doc! { "_id": kind.between(from, to) }
            }
            Self::Others { except } if except.is_empty() => Document::new(),
            Self::Others { except } => {
                let kinds = except.iter().map(|kind| doc! { "_id": kind.between(None, None) });
                doc! { "$nor": kinds.collect::<Vec<_>>() }
            }
        }
    }

    /// The command that reads it from a place on.
    ///
    /// Where the order is that of the `_id`s, the document at `place.after`, if it is still there, comes first, and what
    /// `place.skip` counts after it. In any other order the last document that was given comes first.
    pub fn find(&self, query: &Query<'_>, place: &Place) -> RawDocumentBuf {
        let filter = match (self.filter(place.after.as_ref()), query.filter) {
            (own, None) => own,
            (own, Some(given)) if own.is_empty() => given.clone(),
            (own, Some(given)) => doc! { "$and": [own, given.clone()] },
        };
        let mut command = Composer::new().string("find", query.collection).document("filter", raw(&filter).as_bytes());
        let id = raw(&doc! { "_id": 1 });
        match self {
            Self::Ids(Bounds { from, to }) => {
                command = command.document("hint", id.as_bytes());
                if let Some(from) = place.after.as_ref().or(from.as_ref()) {
                    command = command.document("min", from.document().as_bytes());
                }
                if let Some(to) = to {
                    command = command.document("max", to.document().as_bytes());
                }
                // By the order of the index, which is what the hint says already; said so that it is promised.
                command = command.document("sort", id.as_bytes());
            }
            Self::Of { .. } => command = command.document("sort", id.as_bytes()),
            Self::Others { .. } => command = behind(command, place),
            Self::Stored => {
                command = behind(command, place).document("sort", raw(&doc! { "$natural": 1 }).as_bytes());
            }
        }
        command = command.int32("batchSize", i32::try_from(query.documents).expect("a thousand at most"));
        if let Some(concern) = query.read_concern {
            command = command.document("readConcern", raw(concern).as_bytes());
        }
        command.into_raw()
    }
}

/// Leaves out what was given, but for the last of it.
fn behind(command: Composer, place: &Place) -> Composer {
    match place.skip.saturating_sub(1) {
        0 => command,
        skip => command.element(0x12, "skip", &skip.to_le_bytes()),
    }
}

/// What is the same for all pieces of a unit.
pub(crate) struct Query<'a> {
    pub collection: &'a str,
    /// How many are asked for at once.
    pub documents: u32,
    pub filter: Option<&'a Document>,
    pub read_concern: Option<&'a Document>,
}

/// A document of ours as raw bytes.
pub(crate) fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("names in it hold no zero: they come from here or from BSON")
}

/// A range as it is kept.
pub(crate) fn keep(pieces: &[Piece]) -> Range {
    Range(serde_json::to_value(pieces).expect("pieces are plain data with text keys"))
}

/// A range that was kept.
pub(crate) fn recall(range: &Range, place: &str) -> Result<Vec<Piece>, EndpointError> {
    Vec::<Piece>::deserialize(&range.0).map_err(|error| {
        EndpointError::unsupported("this range", place, format!("it was made by another kind of source ({error})"))
    })
}

/// The pieces between boundaries of an index: one more than there are boundaries.
pub(crate) fn stretches(boundaries: Vec<Id>) -> Vec<Bounds> {
    let starts = std::iter::once(None).chain(boundaries.iter().cloned().map(Some));
    let ends = boundaries.iter().cloned().map(Some).chain(std::iter::once(None));
    starts.zip(ends).map(|(from, to)| Bounds { from, to }).collect()
}

/// A value as it is compared.
pub(crate) fn value(id: &Id) -> Bson {
    id.to_bson().unwrap_or(Bson::Null)
}
