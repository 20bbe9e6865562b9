//! Being filled by a restore.
//!
//! A row of `snapshots` in a state of its own says that a restore has begun and not ended. It comes and goes in the
//! statements that change the head. The journal gets another identity at once, which every statement names: whoever had
//! it open before adds nothing to it.

use crate::archive::Sheet;
use crate::fault::Fault;
use crate::head;
use crate::journal::PostgresJournal;
use crate::line::Line;
use crate::row::{Encoded, number, unsigned};
use crate::schema::drawn;
use capstan_ids::{Position, StreamName};
use capstan_journal::{
    Append, Beginning, Journal, JournalError, Recorded, Refusal, SnapshotInfo, SnapshotWriter, Takeover,
};

const BEGIN: &str = "WITH begun AS (UPDATE head SET next = $1::bigint, ended = $1::bigint, follows = $1::bigint, \
    first = $1::bigint, first_at = $2::bigint, epoch = $3::bigint, identity = $5::bigint \
    WHERE next = 1 AND epoch = 0 AND identity = $4::bigint AND NOT EXISTS (SELECT 1 FROM snapshots WHERE state <> 2) \
    RETURNING first) \
    INSERT INTO snapshots (id, state, stream, position, epoch) SELECT -1, 3, 'restore', first, 0 FROM begun";

const UNFINISHED: &str = "SELECT 1 FROM snapshots WHERE state = 3";

const GO_ON: &str = "UPDATE head SET next = $1::bigint WHERE identity = $2::bigint AND next <= $1::bigint";

const COMPLETE: &str = "WITH leapt AS (UPDATE head SET next = next + $1::bigint \
    WHERE identity = $2::bigint AND next + $1::bigint <= $3::bigint RETURNING next), \
    ended AS (DELETE FROM snapshots USING leapt WHERE state = 3) SELECT next FROM leapt";

/// Refuses a journal that a restore has left half filled.
pub(crate) fn see_finished(line: &mut Line) -> Result<(), Fault> {
    if line.query(UNFINISHED, &[])?.is_empty() {
        return Ok(());
    }
    let schema = &line.server.address.schema;
    let what = format!(
        "a restore into it was begun and has not ended; empty it by DROP SCHEMA {schema} CASCADE, and restore again"
    );
    Err(Fault::Unusable(JournalError::Unfit { place: line.server.place.clone(), what }))
}

impl PostgresJournal {
    /// Puts commits behind the end, or finds that they stand there, all of them or none.
    fn put_all(&mut self, commits: &[Encoded]) -> Result<bool, Fault> {
        let ended = head::look(&mut self.line, self.identity, Position::ZERO)?.ended;
        let put = head::put(&mut self.line, self.identity, ended, commits)?;
        // The answer of an earlier offer may have been lost: nobody else writes under this identity, so where the last
        // one stands all do.
        Ok(put || commits.last().map_or(Ok(true), |last| head::settle(&mut self.line, self.identity, last))?)
    }
}

impl Takeover for PostgresJournal {
    fn begin(&mut self, beginning: &Beginning) -> Result<(), JournalError> {
        let Beginning { first, epoch, before } = beginning;
        let values = (number(first.get()), before.micros(), number(epoch.get()));
        let identity = drawn();
        let begun = self.line.execute(0, BEGIN, &[&values.0, &values.1, &values.2, &self.identity, &identity]);
        if begun.map_err(|fault| fault.told("begin a restore", &self.place))? == 1 {
            self.become_another(identity);
            return self.tail().map(drop);
        }
        let next = self.tail()?.next;
        let what = format!(
            "it is not empty (its next position is {next}), and a backup is restored into an empty one only; choose \
             another schema (?schema=NAME)"
        );
        Err(JournalError::Unfit { place: self.place.clone(), what })
    }

    fn adopt_snapshot(&mut self, info: &SnapshotInfo) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        self.shelf.adopt(info.clone()).map_err(|source| crate::no_line(&self.place, source))
    }

    fn archive(&mut self, stream: &StreamName, runs: &[Recorded]) -> Result<(), JournalError> {
        let mut sheet = Sheet::new(self.identity);
        let streams = std::slice::from_ref(stream);
        let kept = runs.iter().try_for_each(|run| sheet.keep(&mut self.line, run, streams));
        kept.and_then(|()| sheet.flow(&mut self.line)).map_err(|fault| fault.told("archive", &self.place))
    }

    fn put(&mut self, commits: &[Recorded]) -> Append {
        let Some(last) = commits.last() else { return Append::Committed };
        let size = commits.iter().map(|recorded| recorded.commit.size() as u64).max().unwrap_or(0);
        if size > self.commit_bytes_max {
            return Append::Refused(Refusal::TooLarge { size, limit: self.commit_bytes_max });
        }
        let encode =
            |Recorded { position, epoch, commit }: &Recorded| Encoded::new(self.identity, *epoch, *position, commit);
        let encoded: Vec<Encoded> = commits.iter().map(encode).collect();
        match self.put_all(&encoded) {
            Ok(true) => {
                self.reached = self.reached.max(last.position.plus(last.commit.events()));
                Append::Committed
            }
            Ok(false) => Append::Fenced,
            Err(fault) if fault.is_damage() => Append::Broken(fault.told("restore", &self.place)),
            Err(fault) => Append::Unknown(fault.told("restore", &self.place)),
        }
    }

    fn go_on_at(&mut self, position: Position) -> Result<(), JournalError> {
        let gone = self.line.execute(0, GO_ON, &[&number(position.get()), &self.identity]);
        let gone = gone.map_err(|fault| fault.told("leave positions out", &self.place))?;
        assert!(gone == 1, "positions never go back");
        self.tail().map(drop)
    }

    fn complete(&mut self) -> Result<Position, JournalError> {
        // As far again must be left for the next time.
        let most = number(Position::MAX.get() - Position::RESTORE_LEAP);
        let leapt = self.line.query(COMPLETE, &[&number(Position::RESTORE_LEAP), &self.identity, &most]);
        match leapt.map_err(|fault| fault.told("end a restore", &self.place))?.first() {
            Some(row) => Ok(Position::new(unsigned(row.get(0)))),
            None => Err(self.no_positions_left()),
        }
    }
}
