//! The tables, made and brought up to date by whichever server comes first.
//!
//! Everything up to the newest version is one transaction under an advisory lock: servers that start together wait for
//! the first, find its work done, and go on.

use crate::fault::Fault;
use crate::fitness::{self, Facts, unfit};
use crate::line::Line;
use capstan_journal::JournalError;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// What makes each version out of the one before; the first makes version 1.
const STEPS: [&str; 1] = [include_str!("1.sql")];

/// The tables of the newest version.
const TABLES: [&str; 6] = ["head", "commits", "archive", "snapshots", "snapshot_pages", "leadership"];

/// Where the version stands. Its name is our own: a schema of somebody else's is not taken for ours.
const VERSION_TABLE: &str = "capstan_journal";

/// How long servers wait for the one that makes the tables.
const MAKING_MAX: Duration = Duration::from_secs(30);

const KNOWN: u32 = STEPS.len() as u32;

/// Sees that the database is fit and that the tables are there, in this program's version.
pub(crate) fn prepare(line: &mut Line) -> Result<Facts, Fault> {
    let schema = line.server.address.schema.clone();
    let facts = fitness::facts(line)?;
    facts.check(&schema).map_err(|what| unfit(line, what))?;
    if !facts.has_schema() || version(line, &facts)? < Some(KNOWN) {
        facts.check_making(&schema).map_err(|what| unfit(line, what))?;
        make(line, &schema, &facts)?;
    }
    let found = version(line, &facts)?;
    if let Some(found) = found.filter(|found| *found > KNOWN) {
        let place = line.server.place.clone();
        return Err(Fault::Unusable(JournalError::Version { place, found, known: KNOWN }));
    }
    facts.check_tables(line, &TABLES)?;
    Ok(facts)
}

/// The version of the tables; none where there are none of ours.
fn version(line: &mut Line, facts: &Facts) -> Result<Option<u32>, Fault> {
    const THERE: &str = "SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_class c \
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";
    let schema = line.server.address.schema.clone();
    match line.query(THERE, &[&schema, &VERSION_TABLE])?.first().map(|row| row.get(0)) {
        None => Ok(None),
        Some(false) => Err(unfit(line, facts.lacks_tables(&schema))),
        Some(true) => {
            let rows = line.query("SELECT version FROM capstan_journal", &[])?;
            let found = rows.first().map(|row| row.get::<_, i32>(0)).and_then(|found| u32::try_from(found).ok());
            found
                .map(Some)
                .ok_or_else(|| unfit(line, format!("the table {schema}.{VERSION_TABLE} is empty; restore a backup")))
        }
    }
}

/// Makes what is missing, unless another server has done it meanwhile.
fn make(line: &mut Line, schema: &str, facts: &Facts) -> Result<(), Fault> {
    let usual = line.bound(MAKING_MAX);
    let made = begin(line, schema, facts.has_schema()).and_then(|()| {
        let steps = STEPS.iter().zip(1..).skip(version(line, facts)?.unwrap_or(0) as usize);
        for (step, version) in steps {
            line.batch(step)?;
            line.batch(&format!("UPDATE {VERSION_TABLE} SET version = {version}"))?;
            tracing::info!(place = line.server.place, version, "the journal's tables were made");
        }
        line.batch(&format!("INSERT INTO head (identity) VALUES ({}) ON CONFLICT DO NOTHING; COMMIT", drawn()))
    });
    if made.is_err() {
        // Where this fails the connection is gone, and the transaction with it.
        let _ = line.batch("ROLLBACK");
    }
    line.bound(usual);
    made.map_err(|fault| match fault {
        Fault::Denied(denied) if *denied.code() == SqlState::DUPLICATE_TABLE => unfit(
            line,
            format!("the schema holds a table of somebody else's ({}); choose another schema", denied.message()),
        ),
        other => other,
    })
}

fn begin(line: &mut Line, schema: &str, has_schema: bool) -> Result<(), Fault> {
    let millis = MAKING_MAX.as_millis();
    // Asking for a schema that is there needs the right to make one all the same.
    let make_schema = if has_schema { String::new() } else { format!("CREATE SCHEMA IF NOT EXISTS {schema};") };
    line.batch(&format!(
        "BEGIN; SET LOCAL statement_timeout = {millis}; SELECT pg_advisory_xact_lock({lock}); {make_schema} \
         CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL); \
         INSERT INTO {VERSION_TABLE} (version) VALUES (0) ON CONFLICT DO NOTHING",
        lock = lock_of(schema),
    ))
}

/// The advisory lock of a schema: FNV-1a of its name, which every server computes alike.
fn lock_of(schema: &str) -> i64 {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("capstan journal {schema}").bytes().fold(0xcbf2_9ce4_8422_2325, hash).cast_signed()
}

/// A number that no other has: each of the standard library's hash states is seeded by the system.
pub(crate) fn drawn() -> i64 {
    (RandomState::new().build_hasher().finish() >> 1).cast_signed()
}
