//! The keyspace and its tables, made by the first server that needs them.
//!
//! Two servers that make the same table at once would make two, and their nodes would quarrel about which is meant. So
//! one server makes the tables at a time, under a lock that the database keeps. The lock's own table gets its number
//! from its name, and so is the same whoever makes it; it holds nothing that must not be forgotten.

use crate::address::{Address, Quorum};
use crate::store::{Mode, Query, Store};
use crate::{fault, fitness};
use capstan_journal::JournalError;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_128;

/// The newest version of the tables that this program knows.
const VERSION: i32 = 1;

/// Each version's statements, which may be repeated. A statement that was released is never changed.
const MIGRATIONS: [&[&str]; VERSION as usize] = [&[
    // One row for each journal of the keyspace: where it begins, when the last commit before that was made, and what
    // its servers agree about.
    "CREATE TABLE IF NOT EXISTS journals (log text PRIMARY KEY, low bigint, low_at bigint, agreement text)",
    // Commits. A bucket is named after its first position; `successor` stands once nothing more comes into it.
    "CREATE TABLE IF NOT EXISTS commits (log text, bucket bigint, position bigint, next bigint static, \
     epoch bigint static, bytes bigint static, successor bigint static, id blob, made_under bigint, at bigint, \
     events int, parts int, body blob, PRIMARY KEY ((log, bucket), position))",
    // The bodies of commits that are too large for their row. They count where the row in `commits` stands.
    "CREATE TABLE IF NOT EXISTS parts (log text, bucket bigint, position bigint, id blob, part int, body blob, \
     PRIMARY KEY ((log, bucket), position, id, part))",
    // Where to begin to look for a position.
    "CREATE TABLE IF NOT EXISTS buckets (log text, bucket bigint, PRIMARY KEY (log, bucket)) \
     WITH CLUSTERING ORDER BY (bucket DESC)",
    // Snapshots that count, and pages that no longer or do not yet. One row a stream and no deletions: nothing that
    // reads it has to step over what is gone.
    "CREATE TABLE IF NOT EXISTS snapshots (log text, stream text, epoch bigint static, \
     kept frozen<list<frozen<tuple<bigint, bigint, bigint, bigint, blob, int, blob>>>>, \
     unswept frozen<list<frozen<tuple<blob, bigint>>>>, PRIMARY KEY (log, stream))",
    // Archived buckets of audited streams.
    "CREATE TABLE IF NOT EXISTS archives (log text, stream text, bucket bigint, last bigint, last_at bigint, \
     id blob, pages int, sum blob, dropped boolean, PRIMARY KEY ((log, stream), bucket))",
    // What snapshots and archives consist of.
    "CREATE TABLE IF NOT EXISTS pages (log text, id blob, shelf int, page int, sum blob, body blob, \
     PRIMARY KEY ((log, id, shelf), page))",
    // Who leads.
    "CREATE TABLE IF NOT EXISTS leaders (log text PRIMARY KEY, epoch bigint, beat bigint, server text, address text)",
]];

/// Longer than any migration takes; a server that died while it held the lock is waited for as long.
const LOCK_SECONDS: i32 = 60;
const WAIT_MAX: Duration = Duration::from_secs(90);
/// How long a node may take to know what it lists.
const SETTLED_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

const VERSION_READ: Query = Query {
    operation: "read the version of the tables",
    text: "SELECT version FROM versions WHERE name = 'journal'",
    mode: Mode::Read,
};
const VERSION_WRITE: Query = Query {
    operation: "write the version of the tables",
    text: "INSERT INTO versions (name, version) VALUES ('journal', ?)",
    mode: Mode::Write,
};
const LOCK: Query = Query {
    operation: "take the lock on the tables",
    text: "INSERT INTO migration_lock (name, holder) VALUES ('journal', ?) IF NOT EXISTS USING TTL ?",
    mode: Mode::Conditional,
};
const UNLOCK: Query = Query {
    operation: "give back the lock on the tables",
    text: "DELETE FROM migration_lock WHERE name = 'journal' IF holder = ?",
    mode: Mode::Conditional,
};

/// Sees that keyspace and tables are there and of this version; answers how many copies the keyspace keeps.
pub(crate) async fn ensure(store: &Store, address: &Address) -> Result<u32, JournalError> {
    let keyspace = &address.keyspace;
    let kept = match fitness::replication(store, keyspace).await? {
        Some(kept) => kept,
        None => {
            let datacentre = match (&address.local_dc, address.quorum) {
                (Some(dc), Quorum::Local) => dc,
                _ => "replication_factor",
            };
            let text = format!(
                "CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = \
                 {{'class': 'NetworkTopologyStrategy', '{datacentre}': {}}}",
                address.replication_factor
            );
            change(store, "make the keyspace", &text).await?;
            fitness::replication(store, keyspace).await?.ok_or_else(|| {
                fault::unfit(&store.place, format!("the keyspace {keyspace} was made and is not there"))
            })?
        }
    };
    let copies = fitness::check_keyspace(address, kept.0, &kept.1)?;
    let began = Instant::now();
    // A node lists a keyspace a moment before it knows it, where another server makes it right now.
    while let Err(error) = store.session().use_keyspace(keyspace, false).await {
        if began.elapsed() > SETTLED_MAX {
            return Err(fault::store(&store.place, "use the keyspace", error.to_string()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if current(store, keyspace).await? < VERSION {
        migrate(store, keyspace).await?;
    }
    Ok(copies)
}

/// The version of the tables; zero where there are none yet.
async fn current(store: &Store, keyspace: &str) -> Result<i32, JournalError> {
    let text = format!(
        "SELECT table_name FROM system_schema.tables WHERE keyspace_name = '{keyspace}' AND table_name = 'versions'"
    );
    let there = store.session().query_unpaged(text, ()).await;
    let there = there.map_err(|error| fault::not_executed(error, "look for the tables", &store.place))?;
    if there.into_rows_result().is_ok_and(|rows| rows.rows_num() == 0) {
        return Ok(0);
    }
    let found = match store.row::<(Option<i32>,)>(&VERSION_READ, ()).await {
        Ok(row) => row.and_then(|(version,)| version).unwrap_or(0),
        // A node lists a table a moment before it knows it: somebody is making the tables right now.
        Err(JournalError::Store { .. }) => 0,
        Err(error) => return Err(error),
    };
    if found > VERSION {
        let place = format!("keyspace {keyspace} in {}", store.place);
        return Err(JournalError::Version { place, found: found.unsigned_abs(), known: VERSION.unsigned_abs() });
    }
    Ok(found)
}

async fn migrate(store: &Store, keyspace: &str) -> Result<(), JournalError> {
    // A number that any server would give this table of this keyspace.
    let number = xxh3_128(format!("{keyspace}.migration_lock").as_bytes());
    let hex = format!("{number:032x}");
    let id = format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]);
    let text =
        format!("CREATE TABLE IF NOT EXISTS migration_lock (name text PRIMARY KEY, holder blob) WITH id = '{id}'");
    change(store, "make the table of the lock", &text).await?;

    let (holder, began) = (crate::rows::drawn(), Instant::now());
    while !store.applied(&LOCK, (&holder[..], LOCK_SECONDS)).await? {
        if current(store, keyspace).await? == VERSION {
            return Ok(());
        }
        if began.elapsed() > WAIT_MAX {
            let text = format!("another server has held the lock on the tables for {} s", WAIT_MAX.as_secs());
            return Err(fault::away(&store.place, std::io::ErrorKind::TimedOut, text));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let made = make(store, keyspace).await;
    let unlocked = store.applied(&UNLOCK, (&holder[..],)).await;
    made.and(unlocked.map(|_| ()))
}

async fn make(store: &Store, keyspace: &str) -> Result<(), JournalError> {
    let versions = "CREATE TABLE IF NOT EXISTS versions (name text PRIMARY KEY, version int)";
    change(store, "make the tables", versions).await?;
    let found = current(store, keyspace).await?;
    for (version, statements) in (1..).zip(MIGRATIONS).skip(found.unsigned_abs() as usize) {
        tracing::info!(place = store.place, version, "making the journal's tables");
        for statement in statements {
            change(store, "make the tables", statement).await?;
        }
        store.run(&VERSION_WRITE, (version,)).await?;
    }
    Ok(())
}

/// Changes the schema, and waits until all nodes that answer agree about it.
async fn change(store: &Store, operation: &'static str, text: &str) -> Result<(), JournalError> {
    let mut statement = scylla::statement::unprepared::Statement::new(text);
    statement.set_is_idempotent(true);
    statement.set_request_timeout(Some(Duration::from_secs(30)));
    let changed = store.session().query_unpaged(statement, ()).await;
    changed.map(|_| ()).map_err(|error| fault::not_executed(error, operation, &store.place))
}
