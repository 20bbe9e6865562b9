//! The adapter: the port's calls, made of what the other modules can do.

use crate::address::Address;
use crate::log::{Log, low};
use crate::reader::Reader;
use crate::snapshot::Shelf;
use crate::store::Store;
use crate::{CassandraOptions, OpenError, archive, fitness, retention, schema};
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{
    Append, Commit, Durability, Journal, JournalError, Recorded, Refusal, SnapshotInfo, SnapshotRows, SnapshotWriter,
    Tail,
};
use std::fmt;
use std::sync::Arc;

/// A journal in Cassandra, which several servers share.
///
/// Calls block, each for a few requests at most; they must not be made from an asynchronous task.
pub struct CassandraJournal {
    pub(crate) store: Arc<Store>,
    pub(crate) log: Log,
    pub(crate) shelf: Shelf,
    durability: Durability,
    /// Whether an earlier server may have died between moving the log's beginning on and deleting what was below.
    may_have_left_buckets: bool,
}

impl CassandraJournal {
    /// Connects to the journal at `url`, and makes keyspace, tables and log if there are none.
    ///
    /// ```text
    /// cassandra://user:secret@host1:9042,host2/keyspace?log=main&replication_factor=3
    ///     &local_dc=eu&consistency=quorum|local_quorum&tls_ca=/etc/capstan/ca.pem
    /// ```
    ///
    /// [`JournalError::Away`] if no host answers, [`JournalError::Unfit`] if it is too old, a right is missing, or a
    /// setting keeps less than a journal promises, [`JournalError::Version`] if a newer program has made the tables.
    pub fn connect(url: &str, options: CassandraOptions) -> Result<Self, OpenError> {
        let address = Address::parse(url, options.password.as_deref())?;
        let options = options.within_limits();
        let store = Arc::new(Store::connect(&address, options.timeout)?);
        let durability = store.wait(async {
            fitness::check_version(&store).await?;
            let copies = schema::ensure(&store, &address).await?;
            fitness::durability(&store, copies).await
        })?;
        let backlog_max = options.snapshot_backlog_max;
        let log = store.wait(Log::join(Arc::clone(&store), options, &address.agreement()))?;
        let shelf = Shelf::new(Arc::clone(&store), backlog_max);
        Ok(Self { store, log, shelf, durability, may_have_left_buckets: true })
    }

    /// Goes on so much higher that no token given after a backup was taken can be given again; once, right after the
    /// backup was restored and before any server is started. Answers the position that the next event takes.
    pub fn leap(&mut self) -> Result<Position, JournalError> {
        let store = Arc::clone(&self.store);
        store.wait(self.log.leap())
    }

    async fn begin(
        &mut self,
        epoch: Epoch,
        stream: &StreamName,
        at: Position,
    ) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        let last = self.log.look().await?;
        assert!(at < last.next, "a snapshot of events that are not durable");
        if epoch < last.epoch {
            return Err(JournalError::Deposed { epoch, seen: last.epoch });
        }
        let begins = low(&self.store).await?;
        if at.plus(1) < begins.first {
            // What comes after it is gone: nothing could be made of such a snapshot.
            return Err(JournalError::Dropped { asked: at, first: begins.first });
        }
        let log = match at < begins.first || at == Position::ZERO {
            true => None,
            false => Some(Reader::new(Arc::clone(&self.store), at, last).await?),
        };
        let info = SnapshotInfo { stream: stream.clone(), position: at, epoch, at: begins.before, bytes: 0 };
        self.shelf.begin(info, log)
    }
}

impl Journal for CassandraJournal {
    fn tail(&mut self) -> Result<Tail, JournalError> {
        let store = Arc::clone(&self.store);
        store.wait(self.log.tail())
    }

    fn durability(&self) -> Durability {
        self.durability.clone()
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.log.reserve(bytes)
    }

    fn append(&mut self, epoch: Epoch, position: Position, commit: &Commit) -> Append {
        assert!(!commit.is_empty(), "an empty commit takes no position");
        let store = Arc::clone(&self.store);
        store.wait(self.log.append(epoch, position, commit))
    }

    fn read(
        &self,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        let reader = self.store.wait(async {
            let last = self.log.looked().await?;
            Reader::new(Arc::clone(&self.store), from.max(Position::new(1)), last).await
        })?;
        Ok(Box::new(reader))
    }

    fn begin_snapshot(
        &mut self,
        epoch: Epoch,
        stream: &StreamName,
        at: Position,
    ) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        let store = Arc::clone(&self.store);
        store.wait(self.begin(epoch, stream, at))
    }

    fn snapshots(&self) -> Result<Vec<SnapshotInfo>, JournalError> {
        self.store.wait(async {
            let last = self.log.looked().await?;
            self.shelf.whole(low(&self.store).await?.first, last.next).await
        })
    }

    fn read_snapshot(&self, snapshot: &SnapshotInfo) -> Result<SnapshotRows, JournalError> {
        self.store.wait(self.shelf.rows(snapshot))
    }

    fn drop_snapshot(&mut self, snapshot: &SnapshotInfo) -> Result<(), JournalError> {
        self.store.wait(self.shelf.remove(snapshot))
    }

    fn trim(&mut self, position: Position, audited: &[StreamName]) -> Result<(), JournalError> {
        let look_for_left = self.may_have_left_buckets;
        self.store.wait(retention::trim(&self.store, position, audited, look_for_left))?;
        self.may_have_left_buckets = false;
        Ok(())
    }

    fn read_archive(
        &self,
        stream: &StreamName,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        let reader = self.store.wait(async {
            let begins = low(&self.store).await?;
            archive::read(&self.store, stream, from, begins.first).await
        })?;
        Ok(Box::new(reader))
    }

    fn trim_archive(&mut self, stream: &StreamName, before: WallTime) -> Result<(), JournalError> {
        self.store.wait(archive::trim(&self.store, stream, before))
    }

    fn idle(&mut self) -> Result<(), JournalError> {
        let store = Arc::clone(&self.store);
        store.wait(self.log.idle())
    }
}

impl fmt::Debug for CassandraJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CassandraJournal").field("place", &self.store.place).finish_non_exhaustive()
    }
}
