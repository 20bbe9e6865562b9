//! The register of who leads: one row, replaced by compare and set.

use crate::address::Address;
use crate::rows::signed;
use crate::store::{Mode, Query, Store};
use crate::{CassandraOptions, OpenError, fault, fitness, schema};
use capstan_ids::Epoch;
use capstan_journal::{Candidate, Election, JournalError, Replaced, Standing};
use std::future::Future;
use std::time::Duration;

const STANDING: Query = Query {
    operation: "read who leads",
    text: "SELECT epoch, beat, server, address FROM leaders WHERE log = ?",
    mode: Mode::Serial,
};
const FIRST: Query = Query {
    operation: "replace who leads",
    text: "INSERT INTO leaders (log, epoch, beat, server, address) VALUES (?, ?, ?, ?, ?) IF NOT EXISTS",
    mode: Mode::Conditional,
};
const REPLACE: Query = Query {
    operation: "replace who leads",
    text: "UPDATE leaders SET epoch = ?, beat = ?, server = ?, address = ? WHERE log = ? \
           IF epoch = ? AND beat = ? AND server = ? AND address = ?",
    mode: Mode::Conditional,
};
/// How long a call may take in all.
const CALL_MAX: Duration = Duration::from_millis(1500);
/// How long one request may take, so that a call has time for a second one.
const REQUEST_MAX: Duration = Duration::from_millis(1200);

/// The register of who leads, in the journal's keyspace, over connections of its own.
///
/// Each call takes 1.5 s at most. Signs of life do not wait behind commits, and the other way round.
pub struct CassandraElection {
    store: Store,
}

impl CassandraElection {
    /// Connects to the register at `url`, which is written as for [`CassandraJournal`](crate::CassandraJournal), and
    /// makes its table if there is none.
    pub fn connect(url: &str, options: &CassandraOptions) -> Result<Self, OpenError> {
        let address = Address::parse(url, options.password.as_deref())?;
        let connecting = options.clone().within_limits().timeout;
        let store = Store::connect(&address, connecting)?;
        store.wait(async {
            fitness::check_version(&store).await?;
            schema::ensure(&store, &address).await
        })?;
        Ok(Self { store })
    }

    fn bounded<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, JournalError>>,
    ) -> Result<T, JournalError> {
        self.store.wait(async {
            tokio::time::timeout(CALL_MAX, work).await.unwrap_or_else(|_| {
                let text = format!("no answer within {} ms to {operation}", CALL_MAX.as_millis());
                Err(fault::away(&self.store.place, std::io::ErrorKind::TimedOut, text))
            })
        })
    }

    async fn read(&self) -> Result<Option<Standing>, JournalError> {
        type Row = (Option<i64>, Option<i64>, Option<String>, Option<String>);
        let row: Option<Row> = self.store.row(&STANDING, (&self.store.log,)).await?;
        Ok(row.map(|(epoch, beat, server, address)| Standing {
            epoch: Epoch::new(epoch.unwrap_or_default().unsigned_abs()),
            beat: beat.unwrap_or_default().unsigned_abs(),
            leader: server.zip(address).map(|(server, address)| Candidate { server, address }),
        }))
    }

    async fn compare_and_set(&self, seen: &Standing, next: &Standing) -> Result<bool, JournalError> {
        let log = &self.store.log;
        let (epoch, beat, server, address) = columns(next);
        if *seen == Standing::default() && self.store.applied(&FIRST, (log, epoch, beat, server, address)).await? {
            return Ok(true);
        }
        let was = columns(seen);
        let values = (epoch, beat, server, address, log, was.0, was.1, was.2, was.3);
        self.store.applied(&REPLACE, values).await
    }
}

impl Election for CassandraElection {
    fn standing(&mut self) -> Result<Standing, JournalError> {
        self.bounded(STANDING.operation, async { Ok(self.read().await?.unwrap_or_default()) })
    }

    fn replace(&mut self, seen: &Standing, next: &Standing) -> Result<Replaced, JournalError> {
        self.bounded(REPLACE.operation, async {
            let set = tokio::time::timeout(REQUEST_MAX, self.compare_and_set(seen, next)).await;
            if let Ok(Ok(true)) = set {
                return Ok(Replaced::Yes);
            }
            // It may have been done although the answer says no or was lost: a try that the database gave up can be
            // finished by the next one. No two servers ever put the same standing.
            match (self.read().await?.unwrap_or_default(), set) {
                (stands, _) if stands == *next => Ok(Replaced::Yes),
                (stands, Ok(Ok(_))) => Ok(Replaced::No(stands)),
                // Something else stood there in the end: whatever came of the try, it is over.
                (stands, _) if stands != *seen => Ok(Replaced::No(stands)),
                (_, Ok(Err(error))) => Err(error),
                (_, Err(_)) => {
                    let text = format!("no answer within {} ms", REQUEST_MAX.as_millis());
                    Err(fault::away(&self.store.place, std::io::ErrorKind::TimedOut, text))
                }
            }
        })
    }
}

impl std::fmt::Debug for CassandraElection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CassandraElection").field("place", &self.store.place).finish_non_exhaustive()
    }
}

#[allow(clippy::type_complexity, reason = "four columns, as the driver takes them")]
fn columns(standing: &Standing) -> (i64, i64, Option<&str>, Option<&str>) {
    let leader = standing.leader.as_ref();
    let (server, address) = (leader.map(|leader| &*leader.server), leader.map(|leader| &*leader.address));
    (signed(standing.epoch.get()), signed(standing.beat), server, address)
}
