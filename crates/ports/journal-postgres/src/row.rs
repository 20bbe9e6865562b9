//! A commit as a row: its bytes, and a sum over everything that the row says.

use crate::fault::Fault;
use crate::line::Line;
use capstan_ids::{Epoch, Position, WallTime};
use capstan_journal::{Commit, JournalError, Names, Recorded};
use tokio_postgres::Row;

/// A commit on its way into a table.
pub(crate) struct Encoded {
    pub position: i64,
    pub epoch: i64,
    pub at: i64,
    pub events: i64,
    pub bytes: Vec<u8>,
    pub checksum: i64,
}

impl Encoded {
    pub fn new(identity: i64, epoch: Epoch, position: Position, commit: &Commit) -> Self {
        Self::within(Vec::new(), identity, epoch, position, commit)
    }

    /// Like [`Encoded::new`], in a buffer that is used again.
    pub fn within(mut bytes: Vec<u8>, identity: i64, epoch: Epoch, position: Position, commit: &Commit) -> Self {
        bytes.clear();
        commit.encode(&mut bytes);
        let mut it = Self {
            position: number(position.get()),
            epoch: number(epoch.get()),
            at: commit.at().micros(),
            events: number(commit.events()),
            bytes,
            checksum: 0,
        };
        it.checksum = it.sum(identity);
        it
    }

    fn sum(&self, identity: i64) -> i64 {
        sum([identity, self.position, self.epoch, self.at, self.events], &self.bytes)
    }
}

/// The columns of a stored commit, in the order that [`decode`] takes them.
///
/// CRC-32C, over the journal's identity and the row's numbers first: a row that was copied to another place or from
/// another journal does not prove itself.
fn sum(numbers: [i64; 5], bytes: &[u8]) -> i64 {
    let head = numbers.iter().fold(0, |sum, number| crc32c::crc32c_append(sum, &number.to_le_bytes()));
    i64::from(crc32c::crc32c_append(head, bytes))
}

/// Reads a row of (position, epoch, at, events, bytes, checksum) back, and proves it.
pub(crate) fn decode(
    row: &Row,
    identity: i64,
    names: &mut Names,
    table: &dyn Fn() -> String,
) -> Result<Recorded, JournalError> {
    let [position, epoch, at, events]: [i64; 4] = [row.get(0), row.get(1), row.get(2), row.get(3)];
    let (bytes, checksum): (&[u8], i64) = (row.get(4), row.get(5));
    let damaged = |what: String| damaged(Position::new(unsigned(position)), table(), what);
    let found = sum([identity, position, epoch, at, events], bytes);
    if found != checksum {
        return Err(damaged(format!("the row's checksum is {checksum:08x}, and what it holds has {found:08x}")));
    }
    let (commit, taken) = Commit::decode(WallTime(at), bytes, names).map_err(|error| damaged(error.to_string()))?;
    if taken != bytes.len() || number(commit.events()) != events {
        return Err(damaged(format!("the row says {events} events, and its bytes hold {}", commit.events())));
    }
    Ok(Recorded { position: Position::new(unsigned(position)), epoch: Epoch::new(unsigned(epoch)), commit })
}

/// Something that stands is not what was written.
pub(crate) fn damaged(position: Position, place: String, what: String) -> JournalError {
    JournalError::Damaged { position, place, offset: 0, what }
}

/// The same, for a statement's result.
pub(crate) fn damage(line: &Line, table: &str, position: Position, what: String) -> Fault {
    Fault::Unusable(damaged(position, table_of(&line.server.place, table), what))
}

/// A table's name as it is shown.
pub(crate) fn table_of(place: &str, table: &str) -> String {
    format!("{place}, table {table}")
}

/// Positions, epochs and counts as the database's numbers.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).expect("positions stay below 2^53, and epochs count leaders")
}

/// The database's numbers as ours; one that was made negative is no number of ours, and its row does not prove itself.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
