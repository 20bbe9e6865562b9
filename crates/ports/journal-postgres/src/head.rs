//! The row that says where the log ends, and the statements that change it.
//!
//! Everything that adds to the log or takes from it begins with a conditional update of this one row, in the same
//! statement. So the database's lock on a row puts all writers in one order, and what was decided by an older look at
//! it changes nothing, however late it arrives: an append that its server has given up and offered again, or one that
//! comes when retention has emptied its position.

use crate::fault::Fault;
use crate::line::Line;
use crate::row::{Encoded, damage, number, unsigned};
use capstan_ids::{Epoch, Position, WallTime};
use capstan_journal::JournalError;
use tokio_postgres::types::ToSql;

/// Where the log ends and begins, as one look at it found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub next: Position,
    /// Where the last commit ended; below `next` only right after a leap.
    pub ended: Position,
    pub epoch: Epoch,
    pub first: Position,
    /// When the commit before `first` was made.
    pub first_at: WallTime,
    /// The first position of the commit that holds the one asked for, or of the last one before it.
    pub holding: Option<Position>,
    /// When that commit was made.
    pub held_at: Option<WallTime>,
}

const HEAD: &str = "SELECT identity, next, ended, epoch, first, first_at, c.position, c.at FROM head \
    LEFT JOIN LATERAL (SELECT position, at FROM commits WHERE position <= $1 ORDER BY position DESC LIMIT 1) c ON true";

const IDENTITY: &str = "SELECT identity FROM head";

const APPEND: &str = "WITH taken AS (UPDATE head SET follows = ended, ended = $1::bigint + $4::bigint, \
    next = $1::bigint + $4::bigint, epoch = $2::bigint \
    WHERE next = $1::bigint AND epoch <= $2::bigint AND identity = $7::bigint RETURNING follows) \
    INSERT INTO commits (position, follows, epoch, at, events, bytes, checksum) \
    SELECT $1::bigint, follows, $2::bigint, $3::bigint, $4::bigint, $5::bytea, $6::bigint FROM taken";

// Commits of a restore, all or none of them.
const PUT: &str = "WITH taken AS (UPDATE head SET follows = ($8::bigint[])[array_upper($8::bigint[], 1)], \
    ended = $9::bigint, next = $9::bigint, epoch = $10::bigint \
    WHERE next <= ($1::bigint[])[1] AND ended = ($8::bigint[])[1] AND epoch <= ($2::bigint[])[1] \
    AND identity = $7::bigint RETURNING 1) \
    INSERT INTO commits (position, follows, epoch, at, events, bytes, checksum) SELECT put.position, put.follows, \
    put.epoch, put.at, put.events, put.bytes, put.checksum FROM taken, unnest($1::bigint[], $8::bigint[], \
    $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bigint[]) \
    AS put (position, follows, epoch, at, events, bytes, checksum)";

// Changes nothing, and is a change all the same: its own commit waits for whatever the lost one's waited for, a flush
// or a replica.
const SETTLE: &str = "UPDATE head SET next = head.next FROM commits c WHERE head.identity = $7::bigint \
    AND c.position = $1::bigint AND c.epoch = $2::bigint AND c.at = $3::bigint AND c.events = $4::bigint \
    AND c.checksum = $6::bigint AND c.bytes = $5::bytea";

// The rows go only where the head has moved, whoever else moved it meanwhile.
const TRIM: &str = "WITH trimmed AS (UPDATE head SET first = $1::bigint, first_at = $2::bigint \
    WHERE first < $1::bigint AND ended >= $1::bigint AND epoch <= $3::bigint AND identity = $4::bigint \
    RETURNING first) DELETE FROM commits USING trimmed WHERE commits.position < trimmed.first";

const LEAP: &str = "UPDATE head SET next = next + $1::bigint \
    WHERE identity = $2::bigint AND next + $1::bigint <= $3::bigint RETURNING next";

/// Looks at the head, and for the commit that holds `position`.
pub(crate) fn look(line: &mut Line, identity: i64, position: Position) -> Result<Head, Fault> {
    let rows = line.query(HEAD, &[&number(position.get())])?;
    let row = rows.first().ok_or_else(|| beheaded(line))?;
    see_identity(line, identity, row.get(0))?;
    let place = |column: usize| Position::new(unsigned(row.get(column)));
    Ok(Head {
        next: place(1),
        ended: place(2),
        epoch: Epoch::new(unsigned(row.get(3))),
        first: place(4),
        first_at: WallTime(row.get(5)),
        holding: row.get::<_, Option<i64>>(6).map(|found| Position::new(unsigned(found))),
        held_at: row.get::<_, Option<i64>>(7).map(WallTime),
    })
}

/// The number that this journal's checksums begin with.
pub(crate) fn identity(line: &mut Line) -> Result<i64, Fault> {
    let rows = line.query(IDENTITY, &[])?;
    rows.first().map(|row| row.get(0)).ok_or_else(|| beheaded(line))
}

/// Adds a commit where it belongs; false where the position is taken, not the next, or a higher epoch was seen.
pub(crate) fn append(line: &mut Line, identity: i64, commit: &Encoded) -> Result<bool, Fault> {
    change(line, APPEND, identity, commit)
}

/// Puts commits of a restore behind where the log ended, all or none; false where it does not end there, or is another.
pub(crate) fn put(line: &mut Line, identity: i64, ended: Position, commits: &[Encoded]) -> Result<bool, Fault> {
    let Some(last) = commits.last() else { return Ok(true) };
    let column = |of: fn(&Encoded) -> i64| commits.iter().map(of).collect::<Vec<i64>>();
    let (positions, epochs) = (column(|commit| commit.position), column(|commit| commit.epoch));
    let (ats, events) = (column(|commit| commit.at), column(|commit| commit.events));
    let checksums = column(|commit| commit.checksum);
    let bytes: Vec<&[u8]> = commits.iter().map(|commit| commit.bytes.as_slice()).collect();
    let ends = commits.iter().map(|commit| commit.position + commit.events);
    let follows: Vec<i64> = std::iter::once(number(ended.get())).chain(ends).take(commits.len()).collect();
    let size = commits.iter().map(|commit| commit.bytes.len()).sum();
    let end = last.position + last.events;
    let values: [&(dyn ToSql + Sync); 10] =
        [&positions, &epochs, &ats, &events, &bytes, &checksums, &identity, &follows, &end, &last.epoch];
    Ok(line.execute(size, PUT, &values)? > 0)
}

/// Whether this very commit stands, and is as durable as it would be had its answer come.
pub(crate) fn settle(line: &mut Line, identity: i64, commit: &Encoded) -> Result<bool, Fault> {
    change(line, SETTLE, identity, commit)
}

fn change(line: &mut Line, sql: &'static str, identity: i64, commit: &Encoded) -> Result<bool, Fault> {
    let Encoded { position, epoch, at, events, bytes, checksum } = commit;
    let changed = line.execute(bytes.len(), sql, &[position, epoch, at, events, bytes, checksum, &identity])?;
    Ok(changed == 1)
}

/// Lets go of everything before `first`; false where somebody else has, or leads.
pub(crate) fn trim(
    line: &mut Line,
    identity: i64,
    epoch: i64,
    first: Position,
    first_at: WallTime,
) -> Result<bool, Fault> {
    let dropped = line.execute(0, TRIM, &[&number(first.get()), &first_at.micros(), &epoch, &identity])?;
    Ok(dropped > 0)
}

/// Moves the next position on by `by`, unless `most` would be passed.
pub(crate) fn leap(line: &mut Line, identity: i64, by: u64, most: Position) -> Result<Option<Position>, Fault> {
    let rows = line.query(LEAP, &[&number(by), &identity, &number(most.get())])?;
    Ok(rows.first().map(|row| Position::new(unsigned(row.get(0)))))
}

fn see_identity(line: &Line, expected: i64, found: i64) -> Result<(), Fault> {
    if expected == found {
        return Ok(());
    }
    let what =
        "another journal stands where this one stood before; see where the address leads, and start the server again";
    Err(Fault::Unusable(JournalError::Unfit { place: line.server.place.clone(), what: what.to_owned() }))
}

fn beheaded(line: &Line) -> Fault {
    damage(line, "head", Position::new(1), "its one row is missing".to_owned())
}
