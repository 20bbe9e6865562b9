//! What opening makes, what it refuses, and what it says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod live;

use capstan_ids::Epoch;
use capstan_journal::{Append, Journal, JournalError};
use capstan_journal_cassandra::{CassandraElection, CassandraJournal, CassandraOptions, OpenError};
use live::raw::Raw;
use live::{commit, committed, everything, new_log};
use std::thread;

fn refused(url: &str) -> OpenError {
    let options = CassandraOptions { timeout: std::time::Duration::from_secs(2), ..CassandraOptions::default() };
    CassandraJournal::connect(url, options).map(|_| ()).unwrap_err()
}

#[test]
fn servers_that_start_at_once_make_one_set_of_tables() {
    let Some(log) = new_log() else { return };
    let (raw, keyspace) = (Raw::connect(&log.host, None), log.log.clone());
    let url = format!("{}/{keyspace}", log.host);

    let servers: Vec<_> = (0..4)
        .map(|server| {
            let url = url.clone();
            thread::spawn(move || match server % 2 {
                0 => CassandraJournal::connect(&url, CassandraOptions::default()).map(Some),
                _ => CassandraElection::connect(&url, &CassandraOptions::default()).map(|_| None),
            })
        })
        .collect();
    let mut journals: Vec<_> = servers.into_iter().filter_map(|server| server.join().unwrap().unwrap()).collect();

    committed(&mut journals[0], 1, 1, &commit("by one"));
    committed(&mut journals[1], 1, 2, &commit("by the other"));
    assert_eq!(everything(&journals[0], 1).len(), 2);

    // And a newer program's tables are left alone.
    raw.run(&format!("INSERT INTO {keyspace}.versions (name, version) VALUES ('journal', 99)"), ());
    let newer = refused(&url);
    assert!(matches!(newer, OpenError::Journal(JournalError::Version { found: 99, known: 1, .. })), "{newer:?}");
    let told = "has format version 99, this program knows up to 1; use a newer program";
    assert_eq!(newer.to_string(), format!("keyspace {keyspace} in {url}?log=main {told}"));
    let register = CassandraElection::connect(&url, &CassandraOptions::default()).map(|_| ()).unwrap_err();
    assert_eq!(register.to_string(), newer.to_string());
    assert_eq!(raw.rows::<(i32,)>(&format!("SELECT version FROM {keyspace}.versions"), ()), [(99,)]);
    assert_eq!(everything(&journals[0], 1).len(), 2, "nothing was changed");
    raw.run(&format!("DROP KEYSPACE {keyspace}"), ());
}

#[test]
fn a_keyspace_that_keeps_nothing_over_a_restart_is_refused() {
    let Some(log) = new_log() else { return };
    let raw = Raw::connect(&log.host, None);
    raw.run(
        &format!(
            "CREATE KEYSPACE {} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}} \
             AND durable_writes = false",
            log.log
        ),
        (),
    );

    let unfit = refused(&format!("{}/{}", log.host, log.log));

    assert!(matches!(&unfit, OpenError::Journal(JournalError::Unfit { what, .. }) if what.contains("durable_writes")));
    raw.run(&format!("DROP KEYSPACE {}", log.log), ());
}

#[test]
fn servers_of_one_log_agree_about_its_consistency() {
    let Some(log) = new_log() else { return };
    drop(log.open());

    let unfit = refused(&format!("{}&consistency=local_quorum&local_dc=datacenter1", log.url()));

    assert!(matches!(&unfit, OpenError::Journal(JournalError::Unfit { what, .. }) if what.contains("consistency")));
}

#[test]
fn a_database_that_is_not_there_is_away_and_its_password_is_not_told() {
    // Nothing listens on a port that was just given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();

    let away = refused(&format!("cassandra://ada:hunter2@127.0.0.1:{port}/x"));

    let told = format!("{away} {away:?}");
    assert!(matches!(away, OpenError::Journal(JournalError::Away { .. })), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

/// A journal whose log a restore takes in several batches.
fn long() -> capstan_journal::EmbeddedJournal {
    use capstan_journal::embedded::faulty::FaultyDisk;
    use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
    let mut journal = EmbeddedJournal::open_in(FaultyDisk::new().files(), EmbeddedOptions::default()).unwrap();
    capstan_journal::conformance::lived(&mut journal);
    let next = journal.tail().unwrap().next;
    for number in 0..9_000 {
        let answer = journal.append(Epoch::new(4), next.plus(number), &commit("one"));
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

#[test]
fn a_restore_that_was_cut_short_anywhere_is_refused_with_what_to_do() {
    use capstan_journal::backup;
    use capstan_journal::conformance::{audited, backup_of};
    if new_log().is_none() {
        return;
    }
    let (bytes, verified) = backup_of(&mut long(), &audited());

    for part in 1..8 {
        let log = new_log().unwrap();
        let mut target = log.open();
        let cut = bytes.len() * part / 8;
        backup::restore(&mut CutAt(&bytes[..cut]), &verified, &mut target, &mut |_| {}).unwrap_err();
        drop(target);

        let refused = refused(&log.url()).to_string();
        assert!(refused.contains("was begun and has not ended"), "{refused}");
        assert!(refused.contains("restore into another log (?log=NAME)"), "{refused}");
    }
}
