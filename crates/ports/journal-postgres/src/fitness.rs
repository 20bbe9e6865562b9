//! Whether a database can keep a journal: its version, its settings, and our rights in it.

use crate::fault::Fault;
use crate::line::Line;
use capstan_journal::{Durability, JournalError};
use tokio_postgres::Row;

/// PostgreSQL 12: older ones are no longer mended by their makers, and nothing here was tried on them.
const OLDEST: i32 = 120_000;

const FACTS: &str = "SELECT current_setting('server_version_num')::int AS version, \
    current_setting('transaction_read_only') = 'on' AS read_only, pg_is_in_recovery() AS replica, \
    current_setting('synchronous_commit') AS synchronous, current_setting('fsync') AS fsync, \
    current_setting('full_page_writes') AS full_pages, \
    quote_ident(current_user) AS role, quote_ident(current_database()) AS database, \
    has_database_privilege(current_database(), 'CREATE') AS may_create_schema, \
    has_schema_privilege(n.oid, 'USAGE') AS may_use, has_schema_privilege(n.oid, 'CREATE') AS may_create \
    FROM (SELECT 1) here LEFT JOIN pg_namespace n ON n.nspname = $1";

const RIGHTS: &str = "SELECT c.relname::text, \
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE') \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname = ANY($2)";

/// What was found of the database.
pub(crate) struct Facts {
    version: i32,
    read_only: bool,
    replica: bool,
    role: String,
    database: String,
    may_create_schema: bool,
    /// None where there is no such schema.
    may_use: Option<bool>,
    may_create: bool,
    pub durability: Durability,
}

/// Asks the database what it is and what we may do.
pub(crate) fn facts(line: &mut Line) -> Result<Facts, Fault> {
    let schema = line.server.address.schema.clone();
    let rows = line.query(FACTS, &[&schema])?;
    let row = rows.first().expect("a query for one row of values has one");
    Ok(Facts {
        version: row.get("version"),
        read_only: row.get("read_only"),
        replica: row.get("replica"),
        role: row.get("role"),
        database: row.get("database"),
        may_create_schema: row.get("may_create_schema"),
        may_use: row.get("may_use"),
        may_create: row.get::<_, Option<bool>>("may_create").unwrap_or(false),
        durability: durability(row),
    })
}

impl Facts {
    /// Whether the schema is there.
    pub fn has_schema(&self) -> bool {
        self.may_use.is_some()
    }

    /// What keeps the database from keeping any journal at all.
    pub fn check(&self, schema: &str) -> Result<(), String> {
        if self.version < OLDEST {
            let (major, minor) = (self.version / 10_000, self.version % 10_000);
            return Err(format!(
                "it is PostgreSQL {major}.{minor}, and 12 is the oldest that is supported; use a newer server"
            ));
        }
        if self.replica {
            return Err("it is a replica, which takes no changes; name the primary server in the address".to_owned());
        }
        if self.read_only {
            let role = &self.role;
            return Err(format!(
                "it takes no changes from {role} (default_transaction_read_only is on); ALTER ROLE {role} SET default_transaction_read_only = off"
            ));
        }
        if self.may_use == Some(false) {
            return Err(self.lacks(&format!("USAGE ON SCHEMA {schema}")));
        }
        Ok(())
    }

    /// What keeps us from making the tables.
    pub fn check_making(&self, schema: &str) -> Result<(), String> {
        match self.may_use {
            None if !self.may_create_schema => Err(self.lacks(&format!("CREATE ON DATABASE {}", self.database))),
            Some(_) if !self.may_create => Err(self.lacks(&format!("USAGE, CREATE ON SCHEMA {schema}"))),
            _ => Ok(()),
        }
    }

    /// What keeps us from using the tables that are there.
    pub fn check_tables(&self, line: &mut Line, tables: &[&str]) -> Result<(), Fault> {
        let schema = line.server.address.schema.clone();
        let found = line.query(RIGHTS, &[&schema, &tables])?;
        for table in tables {
            let what = match found.iter().find(|row| row.get::<_, &str>(0) == *table) {
                Some(row) if row.get(1) => continue,
                Some(_) => self.lacks_tables(&schema),
                None => format!("the table {schema}.{table} is missing; restore a backup, or choose another schema"),
            };
            return Err(unfit(line, what));
        }
        Ok(())
    }

    /// Tables are there, and we may not use all of them as we have to.
    pub fn lacks_tables(&self, schema: &str) -> String {
        self.lacks(&format!("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema}"))
    }

    fn lacks(&self, right: &str) -> String {
        format!("{} lacks a right; GRANT {right} TO {}", self.role, self.role)
    }
}

/// The database is there, and somebody has to change something about it.
pub(crate) fn unfit(line: &Line, what: String) -> Fault {
    Fault::Unusable(JournalError::Unfit { place: line.server.place.clone(), what })
}

/// How the database keeps what it acknowledges, by its settings as this session has them.
fn durability(row: &Row) -> Durability {
    let settings = [
        ("synchronous", "synchronous_commit is off: what was acknowledged last is lost when the server crashes"),
        ("fsync", "fsync is off: a power cut can lose or damage anything"),
        ("full_pages", "full_page_writes is off: a power cut can tear pages that were whole"),
    ];
    let off = settings.iter().filter(|(column, _)| row.get::<_, &str>(column) == "off");
    let reasons: Vec<&str> = off.map(|(_, reason)| *reason).collect();
    if reasons.is_empty() { Durability::BeforeAck } else { Durability::Later(reasons.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> Facts {
        Facts {
            version: 150_018,
            read_only: false,
            replica: false,
            role: "capstan".into(),
            database: "work".into(),
            may_create_schema: false,
            may_use: Some(true),
            may_create: false,
            durability: Durability::BeforeAck,
        }
    }

    #[test]
    fn what_makes_a_database_unfit_is_said_with_what_to_do() {
        let cases = [
            (Facts { version: 110_022, ..fit() }, "it is PostgreSQL 11.22, and 12 is the oldest"),
            (Facts { replica: true, read_only: true, ..fit() }, "name the primary server"),
            (Facts { read_only: true, ..fit() }, "ALTER ROLE capstan SET default_transaction_read_only = off"),
            (Facts { may_use: Some(false), ..fit() }, "GRANT USAGE ON SCHEMA blue TO capstan"),
        ];
        for (facts, expected) in cases {
            let what = facts.check("blue").unwrap_err();
            assert!(what.contains(expected), "{what}");
        }
        for version in [120_000, 150_018, 190_000] {
            assert_eq!(Facts { version, ..fit() }.check("blue"), Ok(()));
        }
    }

    #[test]
    fn what_is_needed_to_make_the_tables_depends_on_whether_there_is_a_schema() {
        let missing = Facts { may_use: None, ..fit() };
        assert!(missing.check_making("blue").unwrap_err().contains("GRANT CREATE ON DATABASE work TO capstan"));
        assert_eq!(Facts { may_create_schema: true, ..missing }.check_making("blue"), Ok(()));
        assert!(fit().check_making("blue").unwrap_err().contains("GRANT USAGE, CREATE ON SCHEMA blue TO capstan"));
        assert_eq!(Facts { may_create: true, ..fit() }.check_making("blue"), Ok(()));
    }
}
