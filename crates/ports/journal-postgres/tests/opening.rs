//! What is found out when a journal is opened, and what is said about it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod live;

use capstan_ids::Epoch;
use capstan_journal::{Append, Durability, Journal, JournalError};
use capstan_journal_postgres::{OpenError, PostgresElection, PostgresJournal, PostgresOptions};
use live::{Database, commit, committed, everything, fenced, offer};
use std::error::Error;
use std::net::TcpListener;
use std::thread;

fn connect(url: &str) -> Result<PostgresJournal, OpenError> {
    PostgresJournal::connect(url, PostgresOptions::default())
}

/// All that a person is told.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[track_caller]
fn unfit(url: &str) -> String {
    match connect(url) {
        Err(OpenError::Journal(JournalError::Unfit { what, .. })) => what,
        other => panic!("expected the database to be unfit, found {other:?}"),
    }
}

/// A role of a test's own, that may log in and nothing else; gone with it.
struct Role<'a> {
    database: &'a Database,
    name: String,
}

impl<'a> Role<'a> {
    fn new(database: &'a Database) -> Self {
        let name = format!("{}_role", database.schema);
        database.run(&format!("CREATE ROLE {name} LOGIN PASSWORD 'hunter2'"));
        Self { database, name }
    }

    fn address(&self) -> String {
        self.database.address_of(&format!("{}:hunter2", self.name), None)
    }

    /// Does what an error has asked for.
    fn follow(&self, what: &str) {
        let statement = what.rsplit("; ").next().unwrap();
        assert!(statement.starts_with("GRANT") || statement.starts_with("ALTER"), "{what}");
        self.database.run(statement);
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        self.database.terminate();
        self.database.run(&format!("DROP OWNED BY {0} CASCADE; DROP ROLE {0}", self.name));
    }
}

#[test]
fn a_database_that_is_away_is_said_to_be_so_without_the_password() {
    // A port that was ours a moment ago: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();

    let error = connect(&format!("postgres://capstan:hunter2@127.0.0.1:{port}/journal")).unwrap_err();

    assert!(matches!(error, OpenError::Journal(JournalError::Away { .. })), "{error:?}");
    let told = told(&error);
    assert!(
        told.starts_with(&format!("postgres://127.0.0.1:{port}/journal?schema=capstan cannot be reached")),
        "{told}"
    );
    assert!(told.contains("refused") && !format!("{told} {error:?}").contains("hunter2"), "{told}");
}

#[test]
fn what_listens_and_never_answers_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://capstan@127.0.0.1:{}/journal", silent.local_addr().unwrap().port());

    let began = std::time::Instant::now();
    let error = PostgresJournal::connect(&url, live::impatient()).unwrap_err();

    assert!(matches!(error, OpenError::Journal(JournalError::Away { .. })), "{error:?}");
    assert!(began.elapsed() < std::time::Duration::from_secs(3), "half a second took {:?}", began.elapsed());
}

on_a_database! {
    fn a_database_that_does_not_exist_is_said_to_be_so(database) {
        let url = database.address().replacen(&format!("/{}?", database.name()), "/no_such_database?", 1);
        let what = unfit(&url);
        assert!(what.contains("no_such_database") && what.contains("CREATE DATABASE"), "{what}");
    }

    /// Each error asks for one right, and with it the next step is reached.
    fn a_missing_right_is_named_as_the_grant_that_gives_it(database) {
        let role = Role::new(&database);
        let (name, schema) = (&role.name, &database.schema);
        let what = unfit(&role.address());
        assert!(what.contains(&format!("GRANT CREATE ON DATABASE {} TO {name}", database.name())), "{what}");

        database.run(&format!("CREATE SCHEMA {schema}"));
        let what = unfit(&role.address());
        assert!(what.contains(&format!("GRANT USAGE ON SCHEMA {schema} TO {name}")), "{what}");
        role.follow(&what);
        let what = unfit(&role.address());
        assert!(what.contains(&format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {name}")), "{what}");
        role.follow(&what);

        committed(&mut connect(&role.address()).unwrap(), 1, 1, &commit(&["a"]));
    }

    /// Tables that somebody else made, and a role that may look at them only.
    fn a_role_that_may_only_read_is_told_what_it_lacks(database) {
        let mut owners = database.open();
        let role = Role::new(&database);
        let (name, schema) = (&role.name, &database.schema);
        database.run(&format!("GRANT USAGE ON SCHEMA {schema} TO {name}"));
        let blind = unfit(&role.address());
        database.run(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {name}"));

        let what = unfit(&role.address());

        assert_eq!(what, blind);
        let lacked = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}");
        assert!(what.contains(&lacked), "{what}");
        role.follow(&what);
        let mut journal = connect(&role.address()).unwrap();
        committed(&mut journal, 1, 1, &commit(&["a"]));
        // One that it loses while it works: nothing is written, and it is said what for.
        database.run(&format!("REVOKE UPDATE ON ALL TABLES IN SCHEMA {schema} FROM {name}"));
        let answer = offer(&mut journal, 1, 2, &commit(&["b"]));
        assert!(matches!(&answer, Append::Unknown(JournalError::Unfit { what, .. }) if what.contains("GRANT")), "{answer:?}");
        assert_eq!(everything(&owners, 1).len(), 1);
        committed(&mut owners, 1, 2, &commit(&["b"]));
    }

    fn a_role_that_is_set_to_read_only_is_told_how_that_ends(database) {
        database.open();
        let role = Role::new(&database);
        database.run(&format!("GRANT ALL ON SCHEMA {0} TO {1}; GRANT ALL ON ALL TABLES IN SCHEMA {0} TO {1}", database.schema, role.name));
        database.run(&format!("ALTER ROLE {} SET default_transaction_read_only = on", role.name));

        let what = unfit(&role.address());

        assert!(what.contains("takes no changes"), "{what}");
        role.follow(&what);
        connect(&role.address()).unwrap();
    }

    fn tables_of_a_newer_version_are_refused_and_left_alone(database) {
        let mut older = database.open();
        committed(&mut older, 1, 1, &commit(&["a"]));
        drop(older);
        database.run_here("UPDATE capstan_journal SET version = 99");

        let refused = connect(&database.address()).unwrap_err();
        let register = PostgresElection::connect(&database.address(), PostgresOptions::default()).unwrap_err();

        for error in [refused, register] {
            assert!(matches!(error, OpenError::Journal(JournalError::Version { found: 99, known: 1, .. })), "{error:?}");
        }
        assert_eq!(database.count("commits"), 1);
    }

    /// A server that made the version's table and no more is not met: it is all one transaction. An older version is.
    fn tables_of_an_older_version_are_brought_up_to_date(database) {
        database.run(&format!("CREATE SCHEMA {}", database.schema));
        database.run_here("CREATE TABLE capstan_journal (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL); \
            INSERT INTO capstan_journal (version) VALUES (0)");

        let mut journal = database.open();

        committed(&mut journal, 1, 1, &commit(&["a"]));
        assert_eq!(database.ask::<i32>(&format!("SELECT version FROM {}.capstan_journal", database.schema), &[]), 1);
    }

    fn a_schema_of_somebody_elses_is_left_alone(database) {
        database.run(&format!("CREATE SCHEMA {}", database.schema));
        database.run_here("CREATE TABLE commits (theirs text)");

        let what = unfit(&database.address());

        assert!(what.contains("choose another schema"), "{what}");
        assert_eq!(database.ask::<i64>("SELECT count(*) FROM pg_tables WHERE schemaname = $1", &[&database.schema]), 1);
    }

    fn a_table_that_was_dropped_is_missed(database) {
        database.open();
        database.run_here("DROP TABLE archive");
        let what = unfit(&database.address());
        assert!(what.contains(".archive is missing"), "{what}");
    }

    fn servers_that_start_together_make_the_tables_once(database) {
        let opened = thread::scope(|scope| {
            let open = || {
                let journal = scope.spawn(|| drop(connect(&database.address()).unwrap()));
                let register = scope.spawn(|| drop(PostgresElection::connect(&database.address(), PostgresOptions::default()).unwrap()));
                [journal, register]
            };
            let starting: Vec<_> = (0..4).flat_map(|_| open()).collect();
            starting.into_iter().map(|server| server.join()).filter(Result::is_ok).count()
        });

        assert_eq!(opened, 8);
        assert_eq!((database.count("head"), database.count("capstan_journal"), database.count("leadership")), (1, 1, 1));
        let (mut one, mut two) = (database.open(), database.open());
        committed(&mut one, 1, 1, &commit(&["a"]));
        fenced(&mut two, 1, 1, &commit(&["b"]));
    }

    fn journals_in_one_database_do_not_touch_each_other(database) {
        let mut one = database.open();
        let other = format!("{}_other", database.schema);
        let mut two = connect(&database.address().replace(&format!("schema={}", database.schema), &format!("schema={other}"))).unwrap();

        committed(&mut one, 1, 1, &commit(&["one"]));
        committed(&mut two, 5, 1, &commit(&["two"]));

        assert_eq!(everything(&one, 1)[0].commit, commit(&["one"]));
        assert_eq!(everything(&two, 1)[0].commit, commit(&["two"]));
        database.run(&format!("DROP SCHEMA {other} CASCADE"));
    }

    fn a_database_that_acknowledges_too_early_is_reported(database) {
        assert_eq!(database.open().durability(), Durability::BeforeAck);
        for (setting, expected) in [("off", false), ("local", true), ("remote_apply", true)] {
            let url = format!("{}&options=-csynchronous_commit%3D{setting}", database.address());
            let durability = connect(&url).unwrap().durability();
            assert_eq!(durability == Durability::BeforeAck, expected, "{setting}: {durability:?}");
            if let Durability::Later(reason) = durability {
                assert!(reason.contains("synchronous_commit"), "{reason}");
            }
        }
    }

    fn a_socket_leads_there_as_well(database) {
        let sockets: String = database.ask("SHOW unix_socket_directories", &[]);
        let port: String = database.ask("SHOW port", &[]);
        let directory = sockets.split(',').next().unwrap().trim().replace('/', "%2F");
        let user: String = database.ask("SELECT current_user::text", &[]);
        let (schema, name) = (&database.schema, database.name());
        let url = format!("postgres://{user}@{directory}:{port}/{name}?schema={schema}&application_name={schema}");

        let mut journal = connect(&url).unwrap();

        committed(&mut journal, 1, 1, &commit(&["a"]));
    }

    /// The port blocks, and a program that is asynchronous may have opened it in the wrong place.
    fn it_works_where_another_runtime_runs(database) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut journal = connect(&database.address()).unwrap();
            committed(&mut journal, 1, 1, &commit(&["a"]));
            assert_eq!(everything(&journal, 1).len(), 1);
        });
    }
}

/// A journal whose log a restore takes in several batches.
fn long() -> capstan_journal::EmbeddedJournal {
    use capstan_journal::embedded::faulty::FaultyDisk;
    use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
    let mut journal = EmbeddedJournal::open_in(FaultyDisk::new().files(), EmbeddedOptions::default()).unwrap();
    capstan_journal::conformance::lived(&mut journal);
    let next = journal.tail().unwrap().next;
    for number in 0..9_000 {
        let answer = journal.append(Epoch::new(4), next.plus(number), &commit(&["one"]));
        assert!(matches!(answer, Append::Committed), "{answer:?}");
    }
    journal
}

/// A backup that cannot be read on after so many bytes, as a restore that was killed there never did.
struct CutAt<'a>(&'a [u8]);

impl std::io::Read for CutAt<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.0.is_empty() {
            return Err(std::io::Error::other("the process was killed"));
        }
        std::io::Read::read(&mut self.0, into)
    }
}

on_a_database! {
    fn a_restore_that_was_cut_short_anywhere_is_refused_with_what_to_do(database) {
        use capstan_journal::backup;
        use capstan_journal::conformance::{audited, backup_of};
        database.open();
        let (bytes, verified) = backup_of(&mut long(), &audited());
        let schema = database.schema.clone();

        for part in 1..8 {
            database.run(&format!("DROP SCHEMA {schema} CASCADE"));
            let mut target = database.open();
            let cut = bytes.len() * part / 8;
            backup::restore(&mut CutAt(&bytes[..cut]), &verified, &mut target, &mut |_| {}).unwrap_err();
            drop(target);

            let refused = unfit(&database.address());
            assert!(refused.contains("was begun and has not ended"), "{refused}");
            assert!(refused.contains(&format!("DROP SCHEMA {schema} CASCADE")), "{refused}");
        }
        database.run(&format!("DROP SCHEMA {schema} CASCADE"));
        backup::restore(&mut &bytes[..], &verified, &mut database.open(), &mut |_| {}).unwrap();
        database.open();
    }
}
