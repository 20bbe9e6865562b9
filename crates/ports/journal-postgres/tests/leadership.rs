//! Who may write, when statements come late and answers are lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod live;

use capstan_ids::{Epoch, Position};
use capstan_journal::{Append, Candidate, Election, Journal, JournalError, Replaced, SnapshotProgress, Standing};
use capstan_journal_postgres::{PostgresElection, PostgresJournal, PostgresOptions};
use live::{commit, committed, everything, fenced, impatient, offer, stream, until};
use std::thread;
use std::time::{Duration, Instant};

on_a_database! {
    /// Rule 1: before its first commit stands, a new leader has fenced nobody, and its own first commit finds that out.
    fn a_new_leader_that_has_written_nothing_finds_what_the_old_one_wrote_since(database) {
        let (mut old, mut new) = (database.open(), database.open());
        committed(&mut old, 1, 1, &commit(&["old"]));
        let free = new.tail().unwrap().next.get();

        committed(&mut old, 1, free, &commit(&["old wakes"]));

        fenced(&mut new, 2, free, &commit(&["accession"]));
        let free = new.tail().unwrap().next.get();
        committed(&mut new, 2, free, &commit(&["accession"]));
        fenced(&mut old, 1, free + 1, &commit(&["old again"]));
        fenced(&mut old, 1, free, &commit(&["old again"]));
        assert_eq!(everything(&new, 1).len(), 3);
    }

    /// Rule 1: the statement was sent before, and is carried out after.
    fn a_delayed_insert_at_a_position_that_retention_has_emptied_changes_nothing(database) {
        let mut old = database.open();
        committed(&mut old, 1, 1, &commit(&["old"]));
        database.run_here("BEGIN; SELECT * FROM head FOR UPDATE");
        let delayed = thread::spawn(move || {
            let answer = offer(&mut old, 1, 2, &commit(&["delayed"]));
            (old, answer)
        });
        database.until_blocked(1);

        // What another leader has written, snapshotted and let go of meanwhile.
        database.run_here("UPDATE head SET next = 9, ended = 9, follows = 8, first = 9, epoch = 2; DELETE FROM commits; COMMIT");

        let (mut old, answer) = delayed.join().unwrap();
        assert!(matches!(answer, Append::Fenced), "{answer:?}");
        assert_eq!((database.count("commits"), old.tail().unwrap().next), (0, Position::new(9)));
    }

    /// Rule 1: of two that wait for the same position, the one with the higher epoch was first.
    fn a_deposed_append_that_waited_behind_the_new_leaders_is_fenced(database) {
        let (mut old, mut new) = (database.open(), database.open());
        database.run_here("BEGIN; SELECT * FROM head FOR UPDATE");
        let first = thread::spawn(move || offer(&mut new, 2, 1, &commit(&["accession"])));
        database.until_blocked(1);
        let second = thread::spawn(move || offer(&mut old, 1, 1, &commit(&["late"])));
        database.until_blocked(2);
        database.run("COMMIT");

        let answers = (first.join().unwrap(), second.join().unwrap());
        let journal = database.open();
        let stands = everything(&journal, 1);

        assert_eq!(stands.len(), 1);
        match answers {
            (Append::Committed, Append::Fenced) => assert_eq!(stands[0].epoch, Epoch::new(2)),
            // The database owes no order to those that wait: then the old leader was still it.
            (Append::Fenced, Append::Committed) => assert_eq!(stands[0].epoch, Epoch::new(1)),
            other => panic!("expected one of them to stand, found {other:?}"),
        }
    }

    /// Rule 2.
    fn an_append_cut_off_by_a_terminated_backend_settles_by_offering_it_again(database) {
        let mut journal = database.open();
        database.run_here("BEGIN; LOCK TABLE commits IN SHARE MODE");
        let cut_off = thread::spawn(move || {
            let answer = offer(&mut journal, 1, 1, &commit(&["a", "b"]));
            (journal, answer)
        });
        database.until_blocked(1);
        database.terminate();
        let (mut journal, answer) = cut_off.join().unwrap();
        database.run("ROLLBACK");

        assert!(matches!(answer, Append::Unknown(JournalError::Away { .. })), "{answer:?}");
        committed(&mut journal, 1, 1, &commit(&["a", "b"]));
        assert_eq!(everything(&journal, 1).len(), 1);
    }

    /// Rule 2: what was committed although nobody heard of it.
    fn an_append_whose_answer_was_lost_settles_by_offering_it_again(database) {
        let (way, address) = database.way();
        let mut journal = PostgresJournal::connect(&address, PostgresOptions::default()).unwrap();
        committed(&mut journal, 1, 1, &commit(&["before"]));

        way.lose_answers();
        let answer = offer(&mut journal, 1, 2, &commit(&["lost"]));
        assert!(matches!(answer, Append::Unknown(JournalError::Away { .. })), "{answer:?}");
        assert_eq!(database.count("commits"), 2);
        let answer = offer(&mut journal, 1, 2, &commit(&["lost"]));
        assert!(matches!(answer, Append::Unknown(_)), "{answer:?}");
        way.open();

        committed(&mut journal, 1, 2, &commit(&["lost"]));
        let mut other = database.open();
        committed(&mut other, 2, 3, &commit(&["another leader's"]));
        committed(&mut journal, 1, 2, &commit(&["lost"]));
        fenced(&mut journal, 1, 2, &commit(&["not the lost one"]));
        assert_eq!(everything(&journal, 1).len(), 3);
    }

    /// P2: without a change of its own, the second answer would not wait for a replica that the first waited for.
    fn settling_an_unknown_commit_is_a_change_of_its_own(database) {
        let mut journal = database.open();
        committed(&mut journal, 1, 1, &commit(&["a"]));
        let changed = |database: &live::Database| {
            database.ask::<String>(&format!("SELECT xmin::text FROM {}.head", database.schema), &[])
        };
        let before = changed(&database);

        committed(&mut journal, 1, 1, &commit(&["a"]));

        assert_ne!(changed(&database), before);
        assert_eq!(journal.tail().unwrap().next, Position::new(2));
    }

    /// P5: a stopped process behind a living kernel acknowledges TCP for ever.
    fn a_frozen_database_is_given_up_in_time_and_found_again(database) {
        let (way, address) = database.way();
        let mut journal = PostgresJournal::connect(&address, impatient()).unwrap();
        committed(&mut journal, 1, 1, &commit(&["before"]));
        way.freeze();

        let began = Instant::now();
        let answer = offer(&mut journal, 1, 2, &commit(&["frozen"]));
        let (tail, read) = (journal.tail(), journal.read(Position::new(1)).map(drop));
        let took = began.elapsed();

        assert!(matches!(answer, Append::Unknown(JournalError::Away { .. })), "{answer:?}");
        assert!(matches!(tail, Err(JournalError::Away { .. })), "{tail:?}");
        assert!(matches!(read, Err(JournalError::Away { .. })), "{read:?}");
        assert!(took < Duration::from_secs(4), "three calls of half a second took {took:?}");
        way.open();
        committed(&mut journal, 1, 2, &commit(&["frozen"]));
        assert_eq!(everything(&journal, 1).len(), 2);
    }

    /// P5: a lock that somebody holds is waited for no longer than anything else.
    fn an_append_that_waits_for_a_lock_is_given_up_in_time(database) {
        let mut journal = PostgresJournal::connect(&database.address(), impatient()).unwrap();
        database.run_here("BEGIN; SELECT * FROM head FOR UPDATE");

        let began = Instant::now();
        let answer = offer(&mut journal, 1, 1, &commit(&["a"]));
        let took = began.elapsed();

        database.run("COMMIT");
        assert!(matches!(answer, Append::Unknown(_)), "{answer:?}");
        assert!(took < Duration::from_secs(3), "half a second took {took:?}");
        committed(&mut journal, 1, 1, &commit(&["a"]));
        assert_eq!(everything(&journal, 1).len(), 1);
    }

    /// Rule 5: begun by a leader, finished by nobody who may.
    fn a_snapshot_of_a_leader_that_is_deposed_meanwhile_does_not_count(database) {
        let (mut old, mut new) = (database.open(), database.open());
        committed(&mut old, 1, 1, &commit(&["a"]));
        let mut writer = old.begin_snapshot(Epoch::new(1), &stream("jobs"), Position::new(1)).unwrap();
        writer.row(b"state".to_vec());
        committed(&mut new, 2, 2, &commit(&["accession"]));
        writer.finish();

        let mut failed = None;
        until(|| match writer.progress() {
            SnapshotProgress::Writing => false,
            SnapshotProgress::Done(info) => panic!("expected no snapshot, found {info:?}"),
            SnapshotProgress::Failed(error) => failed.replace(error).is_none(),
        });

        assert!(matches!(failed, Some(JournalError::Deposed { seen, .. }) if seen == Epoch::new(2)), "{failed:?}");
        assert!(new.snapshots().unwrap().is_empty());
        let refused = old.trim(Position::new(2), &[]);
        assert!(matches!(refused, Err(JournalError::Deposed { .. })), "{refused:?}");
        assert_eq!(everything(&new, 1).len(), 2);
    }

    /// Signs of life: within a second or not at all.
    fn the_register_of_a_frozen_database_says_so_in_time(database) {
        let (way, address) = database.way();
        let mut election = PostgresElection::connect(&address, PostgresOptions::default()).unwrap();
        way.freeze();

        let began = Instant::now();
        let (seen, put) = (election.standing(), election.replace(&Standing::default(), &led()));
        let took = began.elapsed();

        way.open();
        assert!(matches!(seen, Err(JournalError::Away { .. })), "{seen:?}");
        assert!(matches!(put, Err(JournalError::Away { .. })), "{put:?}");
        assert!(took < Duration::from_secs(4), "two calls of one second took {took:?}");
        assert_eq!(election.standing().unwrap(), Standing::default());
    }

    /// Both hear of it before they say anything on it: nobody has to ask twice.
    fn a_connection_that_ended_between_two_calls_costs_no_call(database) {
        let mut election = PostgresElection::connect(&database.address(), PostgresOptions::default()).unwrap();
        let mut journal = database.open();
        committed(&mut journal, 1, 1, &commit(&["a"]));

        until(|| database.terminate() == 0);

        committed(&mut journal, 1, 2, &commit(&["b"]));
        assert_eq!(election.replace(&Standing::default(), &led()).unwrap(), Replaced::Yes);
        assert_eq!(election.standing().unwrap(), led());
    }
}

fn led() -> Standing {
    let leader = Some(Candidate { server: "one".into(), address: "http://one".into() });
    Standing { epoch: Epoch::new(1), beat: 1, leader }
}
