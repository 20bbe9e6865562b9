//! Audited events that have left the log: rows of their own, by stream.
//!
//! Events of one commit that stood apart in the log stand apart here too: each run of neighbours is a commit of its own
//! under its first event's position.

use crate::fault::Fault;
use crate::line::Line;
use crate::pages::{Pages, Shared};
use crate::row::{Encoded, number};
use capstan_ids::{Position, StreamName, WallTime};
use capstan_journal::{Commit, JournalError, Recorded};

// A trim that was cut short comes again: what it had kept by then is there.
const KEEP: &str = "INSERT INTO archive (stream, position, epoch, at, events, bytes, checksum) \
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[]) \
    ON CONFLICT DO NOTHING";

const START: &str = "SELECT max(position), (SELECT first FROM head) FROM archive WHERE stream = $1 AND position <= $2";

const LET_GO: &str = "DELETE FROM archive WHERE stream = $1 AND position IN \
    (SELECT position FROM archive WHERE stream = $1 AND at < $2 ORDER BY position LIMIT 5000)";

/// How many bytes of runs go to the database at once.
const SHEET_BYTES: usize = 4 << 20;

/// Runs on their way to the archive.
pub(crate) struct Sheet {
    identity: i64,
    streams: Vec<String>,
    runs: Vec<Encoded>,
    bytes: usize,
}

impl Sheet {
    pub fn new(identity: i64) -> Self {
        Self { identity, streams: Vec::new(), runs: Vec::new(), bytes: 0 }
    }

    /// Copies what a commit holds of `streams`.
    pub fn keep(&mut self, line: &mut Line, recorded: &Recorded, streams: &[StreamName]) -> Result<(), Fault> {
        for stream in streams {
            for run in runs(recorded, stream) {
                let encoded = Encoded::new(self.identity, run.epoch, run.position, &run.commit);
                self.bytes += encoded.bytes.len();
                self.streams.push(stream.as_str().to_owned());
                self.runs.push(encoded);
            }
        }
        if self.bytes >= SHEET_BYTES { self.flow(line) } else { Ok(()) }
    }

    /// Makes everything that was kept durable.
    pub fn flow(&mut self, line: &mut Line) -> Result<(), Fault> {
        if self.runs.is_empty() {
            return Ok(());
        }
        let column = |of: fn(&Encoded) -> i64| self.runs.iter().map(of).collect::<Vec<i64>>();
        let bytes: Vec<&[u8]> = self.runs.iter().map(|run| run.bytes.as_slice()).collect();
        let (positions, epochs) = (column(|run| run.position), column(|run| run.epoch));
        let (ats, events, checksums) = (column(|run| run.at), column(|run| run.events), column(|run| run.checksum));
        line.execute(self.bytes, KEEP, &[&self.streams, &positions, &epochs, &ats, &events, &bytes, &checksums])?;
        (self.bytes, self.streams, self.runs) = (0, Vec::new(), Vec::new());
        Ok(())
    }
}

/// The events of one stream in a commit, neighbours together.
fn runs(recorded: &Recorded, stream: &StreamName) -> Vec<Recorded> {
    let mut runs: Vec<Recorded> = Vec::new();
    for entry in recorded.commit.entries(recorded.position).filter(|entry| entry.stream == stream) {
        let follows = |run: &Recorded| run.position.plus(run.commit.events()) == entry.position;
        if !runs.last().is_some_and(follows) {
            let commit = Commit::new(recorded.commit.at());
            runs.push(Recorded { position: entry.position, epoch: recorded.epoch, commit });
        }
        let run = runs.last_mut().expect("one was added where there was none");
        run.commit.push(stream, |bytes| bytes.extend_from_slice(entry.event));
    }
    runs
}

/// What the archive of a stream holds from `from` on, up to where the log begins.
pub(crate) fn read(line: &Shared, identity: i64, stream: &StreamName, from: Position) -> Result<Archived, Fault> {
    let rows = crate::pages::locked(line).query(START, &[&stream.as_str(), &number(from.get())])?;
    let row = rows.first().expect("an aggregate has one row");
    let place = |found: Option<i64>| found.map(|found| Position::new(crate::row::unsigned(found)));
    let start = place(row.get(0)).unwrap_or(from);
    // A crash between keeping and letting go leaves events that the log still has.
    let until = place(row.get(1)).unwrap_or(start);
    let pages = Pages::new(line.clone(), identity, Some(stream.as_str().to_owned()), start, until);
    Ok(Archived { pages, from, over: false })
}

/// Archived events, oldest first.
pub(crate) struct Archived {
    pages: Pages,
    from: Position,
    over: bool,
}

impl Archived {
    fn read(&mut self) -> Result<Option<Recorded>, JournalError> {
        while let Some((recorded, _)) = self.pages.next()? {
            if recorded.position.plus(recorded.commit.events()) > self.from {
                return Ok(Some(recorded));
            }
        }
        Ok(None)
    }
}

impl Iterator for Archived {
    type Item = Result<Recorded, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = self.read();
        self.over = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}

/// Lets go of some archived events of a stream made before `before`; false once there are none.
pub(crate) fn let_go(line: &mut Line, stream: &StreamName, before: WallTime) -> Result<bool, Fault> {
    Ok(line.execute(0, LET_GO, &[&stream.as_str(), &before.micros()])? > 0)
}
