//! The register of who leads, as one row that is replaced by comparing.

use crate::address::Address;
use crate::fault::Fault;
use crate::line::{Line, Server};
use crate::row::{damage, number, unsigned};
use crate::{OpenError, PostgresOptions, schema};
use capstan_ids::{Epoch, Position};
use capstan_journal::{Candidate, Election, JournalError, Replaced, Standing};
use std::fmt;
use std::time::Duration;

/// A sign of life that comes later than this is of no use to anybody.
const TIMEOUT_MAX: Duration = Duration::from_secs(1);

const LOOK: &str = "SELECT epoch, beat, server, address FROM leadership";
const REPLACE: &str = "UPDATE leadership SET epoch = $5, beat = $6, server = $7::text, address = $8::text \
    WHERE epoch = $1 AND beat = $2 AND server IS NOT DISTINCT FROM $3::text AND address IS NOT DISTINCT FROM $4::text";

/// The register of who leads, beside a journal in PostgreSQL.
///
/// Has a connection of its own, so that no sign of life waits for a commit, and answers within a second or not at
/// all. What it was given is flushed before it answers, also where the database's `synchronous_commit` is off.
pub struct PostgresElection {
    line: Line,
}

impl PostgresElection {
    /// Opens the register of the journal at `url`, and makes the journal's tables where there are none.
    ///
    /// Errors as those of [`PostgresJournal::connect`](crate::PostgresJournal::connect).
    pub fn connect(url: &str, options: PostgresOptions) -> Result<Self, OpenError> {
        let options = options.within_limits();
        let address = Address::parse(url, options.password.as_deref())?;
        let mut line = crate::line_to(Server::new(address, options.timeout, true))?;
        schema::prepare(&mut line).map_err(|fault| fault.told("open the register of who leads", &line.server.place))?;
        line.bound(options.timeout.min(TIMEOUT_MAX));
        Ok(Self { line })
    }

    fn told(&self, operation: &'static str, fault: Fault) -> JournalError {
        fault.told(operation, &self.line.server.place)
    }

    fn look(&mut self) -> Result<Standing, Fault> {
        let rows = self.line.query(LOOK, &[])?;
        let missing = |what: &str| damage(&self.line, "leadership", Position::ZERO, what.to_owned());
        let row = rows.first().ok_or_else(|| missing("its one row is missing"))?;
        let leader = match (row.get(2), row.get(3)) {
            (Some(server), Some(address)) => Some(Candidate { server, address }),
            (None, None) => None,
            _ => return Err(missing("a leader has no name or no address")),
        };
        Ok(Standing { epoch: Epoch::new(unsigned(row.get(0))), beat: unsigned(row.get(1)), leader })
    }

    fn put(&mut self, seen: &Standing, next: &Standing) -> Result<Replaced, Fault> {
        let server = |standing: &Standing| standing.leader.as_ref().map(|leader| leader.server.clone());
        let address = |standing: &Standing| standing.leader.as_ref().map(|leader| leader.address.clone());
        let numbers = |standing: &Standing| (number(standing.epoch.get()), number(standing.beat));
        let ((epoch, beat), (next_epoch, next_beat)) = (numbers(seen), numbers(next));
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
            [&epoch, &beat, &server(seen), &address(seen), &next_epoch, &next_beat, &server(next), &address(next)];
        match self.line.execute(0, REPLACE, &values)? {
            0 => self.look().map(Replaced::No),
            _ => Ok(Replaced::Yes),
        }
    }
}

impl Election for PostgresElection {
    fn standing(&mut self) -> Result<Standing, JournalError> {
        self.look().map_err(|fault| self.told("read who leads", fault))
    }

    fn replace(&mut self, seen: &Standing, next: &Standing) -> Result<Replaced, JournalError> {
        self.put(seen, next).map_err(|fault| self.told("say who leads", fault))
    }
}

impl fmt::Debug for PostgresElection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresElection").field("place", &self.line.server.place).finish_non_exhaustive()
    }
}
