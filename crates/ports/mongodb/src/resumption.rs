//! Finds the place again where reading went on to before.

use capstan_endpoint::EndpointError;

use crate::id::Id;
use crate::range::{Piece, Place};

/// What was given before and comes again, because a query can begin only at an `_id` or at a count.
///
/// A count alone proves nothing: documents before it may have gone, and a server that promises no order may begin anywhere.
/// So the last document that was given has to come again where it is expected, or else all begins anew.
#[derive(Debug, PartialEq)]
pub(crate) enum Resumption {
    /// All that comes is new.
    Nothing,
    /// This one may be the first.
    Perhaps(Id),
    /// All is known up to the one of this mark.
    Until(String),
    /// The one of this mark is the first.
    First(String),
    /// Nothing tells what was given last: a cursor of a version that knew no marks.
    Unknown,
}

/// The last document that was given is not where it was.
#[derive(Debug, PartialEq)]
pub(crate) struct Gone;

impl Gone {
    pub fn at(self, place: &str) -> EndpointError {
        EndpointError::Lost {
            what: "the place to go on from".into(),
            place: place.into(),
            reason: "the last document that was read is not where it was".into(),
        }
    }
}

/// Tells a document from others by its `_id`.
pub(crate) fn mark(document: &[u8]) -> String {
    Id::of(document).map(|id| id.mark()).unwrap_or_default()
}

impl Resumption {
    pub fn of(piece: &Piece, place: &Place) -> Self {
        match (&place.last, piece.is_ordered()) {
            _ if place.skip == 0 => place.after.clone().map_or(Self::Nothing, Self::Perhaps),
            (Some(last), true) => Self::Until(last.clone()),
            (Some(last), false) => Self::First(last.clone()),
            (None, _) => Self::Unknown,
        }
    }

    /// Whether this document, the next that came, was given before.
    pub fn leaves_out(&mut self, document: &[u8]) -> Result<bool, Gone> {
        let out = match self {
            Self::Nothing => return Ok(false),
            Self::Perhaps(id) => Id::of(document).as_ref() == Some(id),
            Self::Until(last) if mark(document) != *last => return Ok(true),
            Self::First(last) if mark(document) != *last => return Err(Gone),
            Self::Until(_) | Self::First(_) => true,
            Self::Unknown => return Err(Gone),
        };
        *self = Self::Nothing;
        Ok(out)
    }

    /// Nothing more comes.
    pub fn ended(&self) -> Result<(), Gone> {
        match self {
            Self::Nothing | Self::Perhaps(_) => Ok(()),
            Self::Until(_) | Self::First(_) | Self::Unknown => Err(Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::Bounds;
    use capstan_endpoint::conformance::fixtures;

    fn document(id: i32) -> Vec<u8> {
        fixtures::document(&[("_id", &fixtures::int32(id))])
    }

    fn place(skip: u64, last: Option<i32>) -> Place {
        let after = Id::of(&document(1)).filter(|_| skip != 3);
        Place { after, skip, last: last.map(|last| mark(&document(last))), ..Place::default() }
    }

    /// Which of these are new, or that reading has to begin anew.
    fn read(piece: &Piece, place: &Place, ids: &[i32]) -> Result<Vec<i32>, Gone> {
        let mut resumption = Resumption::of(piece, place);
        let mut new = Vec::new();
        for id in ids {
            if !resumption.leaves_out(&document(*id))? {
                new.push(*id);
            }
        }
        resumption.ended().map(|()| new)
    }

    #[test]
    fn in_the_order_of_ids_reading_goes_on_behind_the_last_document_whatever_came_or_went_before_it() {
        let piece = Piece::Ids(Bounds::default());
        assert_eq!(read(&piece, &place(0, None), &[1, 2, 3]), Ok(vec![2, 3]));
        assert_eq!(read(&piece, &place(0, None), &[2, 3]), Ok(vec![2, 3]), "it was deleted");
        assert_eq!(read(&piece, &place(2, Some(3)), &[1, 2, 3, 4]), Ok(vec![4]));
        assert_eq!(read(&piece, &place(2, Some(3)), &[1, 3, 4]), Ok(vec![4]), "one before it was deleted");
        assert_eq!(read(&piece, &place(2, Some(3)), &[1, 2, 4]), Err(Gone), "nothing says where to go on");
    }

    #[test]
    fn in_any_other_order_the_last_document_has_to_be_where_it_was() {
        let piece = Piece::Stored;
        assert_eq!(read(&piece, &place(3, Some(7)), &[7, 9, 8]), Ok(vec![9, 8]));
        assert_eq!(read(&piece, &place(3, Some(7)), &[9, 8]), Err(Gone));
        assert_eq!(read(&piece, &place(3, Some(7)), &[]), Err(Gone));
        assert_eq!(read(&piece, &place(3, None), &[7]), Err(Gone), "a cursor of an older version");
    }
}
