//! Reads a range: asks ahead, copies documents out of answers, and says after each batch how to go on.

use bson::Document;
use bytes::BytesMut;
use capstan_endpoint::{
    BATCH_BYTES, BATCH_DOCUMENTS, Batch, BatchReader, Cursor, Ended, EndpointError, ErrorClass, Estimate, Result,
    TaskOutlet, bson_frames, element, pump_on_task,
};
use futures::StreamExt;
use mongodb::raw_batch_cursor::RawBatch;

use crate::fault;
use crate::id::Id;
use crate::portion::Portion;
use crate::range::{Piece, Place, Query};
use crate::resumption::{Resumption, mark};
use crate::server::Server;
use crate::throttle::Throttle;

/// An `_id` whose text is longer is not kept in a cursor; documents after the last short one are counted instead.
const KEPT_TEXT_MAX: usize = 700;
/// How often a query may fail in a way that may pass, without anything new, before that is a failure.
const TRIES_IN_VAIN: u32 = 3;

/// What is read, and from where.
pub(crate) struct Reading {
    pub server: Server,
    pub database: String,
    pub collection: String,
    pub filter: Option<Document>,
    pub pieces: Vec<Piece>,
    pub place: Place,
    /// How much there seems to be, to tell what a document weighs.
    pub estimate: Estimate,
}

/// Begins to read on a task of its own, which ends when the reader is dropped.
pub(crate) fn read(reading: Reading) -> Box<dyn BatchReader> {
    let place = format!("{} {}.{}", reading.server.place(), reading.database, reading.collection);
    pump_on_task(place, |outlet| async move { reading.run(&outlet).await })
}

/// Why a query was not read to its end.
enum Stop {
    Ended(Ended),
    /// An answer could not be received.
    TooMuch(EndpointError),
    /// Answers are of the wrong weight.
    Unbalanced,
}

impl<E: Into<Ended>> From<E> for Stop {
    fn from(end: E) -> Self {
        Self::Ended(end.into())
    }
}

impl Reading {
    async fn run(&self, outlet: &TaskOutlet) -> Result<(), Ended> {
        let mut gathered = Gathered::new(self.place.clone());
        let mut portion = Portion::of(self.estimate);
        let (mut in_vain, mut throttle) = (0, Throttle::default());
        while let Some(piece) = self.pieces.get(gathered.place.piece) {
            let before = gathered.given;
            let outcome = self.piece(piece, &mut gathered, &mut portion, outlet).await;
            gathered.give(piece, outlet).await?;
            if gathered.given > before {
                throttle.ease();
            }
            match outcome {
                Ok(()) => gathered.next_piece(),
                Err(Stop::Unbalanced) => {}
                Err(Stop::TooMuch(_)) if portion.shrink() => {}
                Err(Stop::TooMuch(error)) => return Err(Ended::Failed(error)),
                Err(Stop::Ended(Ended::Failed(error))) if error.class() == ErrorClass::Throttled => {
                    let Some(pause) = throttle.pause(error.advised_wait()) else { return Err(Ended::Failed(error)) };
                    tokio::time::sleep(pause).await;
                }
                // A cursor that waited too long for its reader is gone, a member may step down, and another request
                // may have lost a connection for all: reading just goes on behind what was given.
                Err(Stop::Ended(Ended::Failed(error))) if error.class() == ErrorClass::Transient => {
                    in_vain = if gathered.given > before { 0 } else { in_vain + 1 };
                    // Some servers fall over what is too much for them.
                    if in_vain > 1 && portion.shrink() {
                        in_vain = 1;
                    }
                    if in_vain > TRIES_IN_VAIN || !self.server.answers().await {
                        return Err(Ended::Failed(error));
                    }
                }
                Err(Stop::Ended(ended)) => return Err(ended),
            }
        }
        Ok(())
    }

    async fn piece(
        &self,
        piece: &Piece,
        gathered: &mut Gathered,
        portion: &mut Portion,
        outlet: &TaskOutlet,
    ) -> Result<(), Stop> {
        let failed = |error: mongodb::error::Error| {
            let too_much = fault::is_unreadable(&error);
            let error = self.server.failed("reading", &error);
            if too_much { Stop::TooMuch(error) } else { error.into() }
        };
        let query = Query {
            collection: &self.collection,
            documents: portion.documents(),
            filter: self.filter.as_ref(),
            read_concern: self.server.read_concern(),
        };
        // What an earlier query gave and did not get into a batch comes again.
        gathered.seen = 0;
        let mut resumption = Resumption::of(piece, &gathered.place);
        let command = piece.find(&query, &gathered.place);
        let database = self.server.database(&self.database);
        let mut asking = database.run_raw_cursor_command(command).batch_size(portion.documents());
        if let Some(selection) = self.server.selection() {
            asking = asking.selection_criteria(selection);
        }
        let mut cursor = asking.batch().await.map_err(failed)?;
        while let Some(answer) = cursor.next().await {
            let answer = answer.map_err(failed)?;
            let mut documents = 0;
            for document in answer.doc_slices().map_err(failed)? {
                let document = document.ok().and_then(|value| value.as_document()).map(bson::RawDocument::as_bytes);
                let document =
                    document.filter(|bytes| bson_frames::first_document(bytes).is_ok()).ok_or_else(|| {
                        EndpointError::damaged(self.server.place(), 0, "an answer holds what is no document")
                    })?;
                documents += 1;
                if resumption.leaves_out(document).map_err(|gone| gone.at(self.server.place()))? {
                    continue;
                }
                gathered.take(piece, document);
                if gathered.is_full() {
                    gathered.give(piece, outlet).await?;
                }
            }
            let bytes = answer.as_raw_document().as_bytes().len() as u64;
            if portion.weigh(documents, bytes, piece.is_ordered()) && is_open(&answer) {
                return Err(Stop::Unbalanced);
            }
        }
        Ok(resumption.ended().map_err(|gone| gone.at(self.server.place()))?)
    }
}

/// Whether more answers follow.
fn is_open(answer: &RawBatch) -> bool {
    let cursor = answer.as_raw_document().get_document("cursor");
    cursor.is_ok_and(|cursor| cursor.get_i64("id").is_ok_and(|id| id != 0))
}

/// Documents on their way into a batch, and the place they go on from.
struct Gathered {
    bytes: BytesMut,
    /// Where each document begins, and how many the server had given before it.
    starts: Vec<(usize, u64)>,
    /// Documents that the server gave behind the last batch, those of other pieces included.
    seen: u64,
    /// Behind the last batch.
    place: Place,
    given: u64,
}

impl Gathered {
    fn new(place: Place) -> Self {
        Self { bytes: BytesMut::new(), starts: Vec::new(), seen: 0, place, given: 0 }
    }

    fn take(&mut self, piece: &Piece, document: &[u8]) {
        self.seen += 1;
        if matches!(piece, Piece::Ids(_)) || piece.takes(element::id_of(document)) {
            self.starts.push((self.bytes.len(), self.seen - 1));
            self.bytes.extend_from_slice(document);
        }
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES || self.starts.len() >= BATCH_DOCUMENTS as usize
    }

    fn next_piece(&mut self) {
        self.place = Place { piece: self.place.piece + 1, ..Place::default() };
        self.seen = 0;
    }

    async fn give(&mut self, piece: &Piece, outlet: &TaskOutlet) -> Result<(), Ended> {
        if self.starts.is_empty() {
            return Ok(());
        }
        self.advance(piece.is_ordered());
        let documents = u32::try_from(self.starts.len()).expect("at most a thousand");
        self.given += u64::from(documents);
        let cursor = Cursor(serde_json::to_value(&self.place).expect("a place is plain data with text keys"));
        self.starts.clear();
        let batch = Batch { bytes: self.bytes.split().freeze(), documents, cursor };
        outlet.put(batch).await
    }

    /// Moves the place behind what is gathered: to the last `_id` that is short enough, and the documents after it.
    fn advance(&mut self, ordered: bool) {
        let Some((last, before)) = self.starts.last().copied() else { return };
        let passed = before + 1;
        self.seen -= passed;
        let short = |(start, before): &(usize, u64)| {
            let id = Id::of(&self.bytes[*start..]).filter(|id| id.value.len() <= KEPT_TEXT_MAX)?;
            (String::from(id.clone()).len() <= KEPT_TEXT_MAX).then_some((id, passed - before - 1))
        };
        match self.starts.iter().rev().find_map(short).filter(|_| ordered) {
            Some((id, skip)) => (self.place.after, self.place.skip) = (Some(id), skip),
            None => self.place.skip += passed,
        }
        self.place.last = (self.place.skip > 0).then(|| mark(&self.bytes[last..]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range::Bounds;
    use capstan_endpoint::conformance::fixtures;

    #[test]
    fn an_id_too_long_for_a_cursor_is_counted_from_the_last_short_one() {
        let long = "x".repeat(2_000);
        let mut gathered = Gathered::new(Place::default());
        let piece = Piece::Ids(Bounds::default());
        for id in ["a", "b", &long, &long] {
            gathered.take(&piece, &fixtures::document(&[("_id", &fixtures::string(id))]));
        }

        gathered.advance(true);

        assert_eq!((gathered.place.skip, gathered.place.last.is_some()), (2, true));
        assert_eq!(gathered.place.after.as_ref().and_then(Id::to_bson), Some(bson::Bson::String("b".into())));
        assert!(serde_json::to_string(&gathered.place).unwrap().len() < 1_024);
    }

    #[test]
    fn what_is_read_in_no_order_is_counted_with_what_was_passed_over() {
        let mut gathered = Gathered::new(Place { skip: 5, ..Place::default() });
        let piece = Piece::Others { except: vec![crate::range::Kind::Number] };
        let string_a = fixtures::document(&[("_id", &fixtures::string("a"))]);
        for id in [fixtures::int32(1), fixtures::string("a"), fixtures::int32(2)] {
            gathered.take(&piece, &fixtures::document(&[("_id", &id)]));
        }

        gathered.advance(false);

        // The last one is not ours, and comes again: the place ends with the last that was given.
        assert_eq!((gathered.starts.len(), gathered.place.skip, gathered.seen), (1, 7, 1));
        assert_eq!((gathered.place.last, gathered.place.after), (Some(mark(&string_a)), None));
    }
}
